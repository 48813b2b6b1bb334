package shopifysync_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// Neither secrets nor personal data get out of Connect, Check, Status and
// Disconnect, whatever goes wrong and whoever quotes them.
func TestConnectTellsNoSecrets(t *testing.T) {
	quoting := driverError{quote}
	always := func(f shopifytest.Fault) func(*world, *boundary) {
		f.Times = shopifytest.Always
		return func(w *world, _ *boundary) { w.shop.Inject(f) }
	}
	config := func(change func(*shopifytest.StoreConfig)) func(*world, *boundary) {
		return func(w *world, _ *boundary) { w.shop.Configure(change) }
	}
	// quotes makes each call of a kind quote everything.
	quotes := func(kind string) func(*world, *boundary) {
		return func(_ *world, b *boundary) {
			b.hook(func(_ int, step string) error {
				if step == kind {
					return fmt.Errorf("%s: %w", kind, quoting)
				}
				return nil
			})
		}
	}
	scenes := map[string]func(*world, *boundary){
		"success":          func(*world, *boundary) {},
		"wrong token":      config(func(c *shopifytest.StoreConfig) { c.AccessToken = "canary-token-2" }),
		"frozen":           config(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen }),
		"locked":           config(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Locked }),
		"uninstalled":      func(w *world, _ *boundary) { w.shop.Uninstall() },
		"renamed":          func(w *world, _ *boundary) { w.shop.Rename("renamed.myshopify.com") },
		"no scope":         config(func(c *shopifytest.StoreConfig) { c.Scopes = []string{"read_products"} }),
		"no personal data": config(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoPersonalData }),
		"no customer data": config(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoCustomerData }),
		"partly hidden":    config(func(c *shopifytest.StoreConfig) { c.DeniedFields = []string{"phone"} }),
		"errors that quote": always(shopifytest.Fault{Errors: []shopifytest.GraphQLError{{
			Message: quote, Extensions: map[string]any{"code": "ACCESS_DENIED", "requiredAccess": "`read_customers`"},
		}}}),
		"pages that quote":       always(shopifytest.Fault{Status: 500, Body: "<html>" + quote}),
		"refusals that quote":    always(shopifytest.Fault{Status: 403, Body: quote}),
		"answers that are odd":   always(shopifytest.Fault{Status: 200, Body: `{"data":{"shop":"` + strings.ReplaceAll(quote, `"`, `'`) + `"}}`}),
		"broken connections":     always(shopifytest.Fault{Drop: shopifytest.DropMidBody}),
		"user errors that quote": always(shopifytest.Fault{Operation: "CreateWebhookSubscription", Edit: userError("callbackUrl", quote)}),
		"odd subscriptions": always(shopifytest.Fault{Operation: "WebhookSubscriptions", Edit: func(m map[string]any) {
			m["data"] = map[string]any{"webhookSubscriptions": map[string]any{"nodes": []any{map[string]any{"id": 1, "topic": quote}}, "pageInfo": quote}}
		}}),
		"odd customer": always(shopifytest.Fault{Operation: "CustomersPage", Edit: editPage(func(p map[string]any) {
			p["nodes"].([]any)[0].(map[string]any)["note"] = []any{quote}
		})}),
		"another domain": always(shopifytest.Fault{Operation: "Shop", Edit: func(m map[string]any) {
			m["data"].(map[string]any)["shop"].(map[string]any)["myshopifyDomain"] = "canary note"
		}}),
	}
	for _, kind := range []string{
		"Connection", "SaveConnection", "DeleteConnection", "ConnectionsByShop", "ConnectionState", "SaveConnectionState",
		"AcquireLease", "ReleaseLease", "Runs", "Marks", "RemoveContacts", "ContactIDs", "ForgetConnection", "request",
	} {
		scenes["the host quotes: "+kind] = quotes(kind)
	}
	for name, scene := range scenes {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(t *testing.T, w *world) {
				heard := new(listener)
				s, b := w.boundary(shopifysync.WithHooks(heard.hooks()), w.logged(), shopifysync.WithOneConnectionPerShop())
				w.conn.Credentials.ClientSecret = shopifysync.NewSecret("canary-secret")
				w.conn.Credentials.PreviousClientSecret = shopifysync.NewSecret("canary-secret-2")
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ClientSecret = "canary-secret" })
				w.shop.Create(canaryCustomer)
				told := func() {
					ctx := t.Context()
					health, err := s.Connect(ctx, w.conn)
					heard.hear(health, err)
					health, err = s.Check(ctx, connID)
					heard.hear(health, err)
					status, err := s.Status(ctx, connID)
					heard.hear(status, err)
				}
				scene(w, b)
				told() // of a connection that is new
				b.hook(nil)
				w.shop.ClearFaults()
				w.shop.Configure(func(c *shopifytest.StoreConfig) {
					c.State, c.AccessToken, c.Access, c.Scopes = shopifytest.Open, "canary-token-1", shopifytest.FullAccess, nil
				})
				if name != "renamed" {
					w.connect(s)
					w.sync(s)
				}
				scene(w, b)
				told() // and of one that is there
				gone, err := s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: connID, RemoveContacts: true})
				heard.hear(gone, err)
				status, err := s.Status(t.Context(), connID)
				heard.hear(status, err, w.state(), w.log.String())
				heard.check(t)
				if len(heard.text.String()) < 1000 {
					t.Error("nothing was heard: the test does not test it")
				}
			})
		})
	}
}

// The host's own error stays within reach.
func TestConnectErrorsOfTheHost(t *testing.T) {
	for _, kind := range []string{"Connection", "SaveConnection", "ConnectionState", "SaveConnectionState", "AcquireLease"} {
		inWorld(t, 3, func(t *testing.T, w *world) {
			s, b := w.boundary()
			b.hook(func(_ int, step string) error {
				if step == kind {
					return driverError{quote}
				}
				return nil
			})
			var own driverError
			if _, err := s.Connect(t.Context(), w.conn); !errors.As(err, &own) {
				t.Errorf("%s: error %v", kind, err)
			}
		})
	}
}

// No token leaves for another host than the store's own, not in Connect either.
func TestConnectSendsNoTokenElsewhere(t *testing.T) {
	for name, location := range map[string]string{
		"attacker": "https://attacker.example/", "plain": "http://demo.myshopify.com/", "a store": "https://other.myshopify.com/", "port": "https://demo.myshopify.com:8443/",
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(t *testing.T, w *world) {
				conns := w.connectable()
				w.server.AddStore(shopifytest.StoreConfig{Domain: "other.myshopify.com"})
				w.shop.Inject(shopifytest.Fault{Status: http.StatusMovedPermanently, Header: http.Header{"Location": {location}}, Times: shopifytest.Always})
				_, err := w.syncerWith(conns).Connect(t.Context(), w.conn)
				if !errors.Is(err, shopifysync.ErrShopMoved) {
					t.Errorf("error %v", err)
				}
				for _, r := range w.server.Requests() {
					if r.Host != "demo.myshopify.com" || !r.TLS {
						t.Errorf("a request to %s, TLS %v", r.Host, r.TLS)
					}
				}
			})
		})
	}
	// A shop of any other form is refused before a request is made.
	inWorld(t, 3, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		for _, shop := range []shopifysync.Shop{"DEMO.myshopify.com", "demo.myshopify.com.", "attacker.example#.myshopify.com", "demo.myshopify.com:443", ""} {
			w.conn.Shop = shop
			if _, err := s.Connect(t.Context(), w.conn); !errors.Is(err, shopifysync.ErrInvalidShop) {
				t.Errorf("%q: %v", shop, err)
			}
		}
		if n := len(w.server.Requests()); n > 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// Every wait of Connect and Check ends at once with the context.
func TestConnectStopsAtOnce(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		w.connect(s)
		w.shop.Inject(shopifytest.Fault{Hang: true, Times: shopifytest.Always})
		for name, call := range map[string]func(context.Context) error{
			"Connect": func(ctx context.Context) error { _, err := s.Connect(ctx, w.conn); return err },
			"Check":   func(ctx context.Context) error { _, err := s.Check(ctx, connID); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			err := call(ctx)
			if took := time.Since(start); took > 1001*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v after %v", name, err, took)
			}
			cancel()
		}
	})
}

// Nor out of webhooks, drains, catch-ups, look-ups, exports' errors and
// erasures, with marks that are worked off at once or later.
func TestRealTimeTellsNoSecrets(t *testing.T) {
	scenes := map[string]func(w *world, b *boundary){
		"success": func(*world, *boundary) {},
		"pages that quote": func(w *world, _ *boundary) {
			w.shop.Inject(shopifytest.Fault{Times: shopifytest.Always, Status: 500, Body: "<html>" + quote})
		},
		"refusals that quote": func(w *world, _ *boundary) {
			w.shop.Inject(shopifytest.Fault{Times: shopifytest.Always, Status: 403, Body: quote})
		},
		"errors that quote": func(w *world, _ *boundary) {
			w.shop.Inject(shopifytest.Fault{Times: shopifytest.Always, Errors: []shopifytest.GraphQLError{{Message: quote, Extensions: map[string]any{"code": "ACCESS_DENIED"}}}})
		},
	}
	for _, kind := range []string{
		"Connection", "ConnectionState", "SaveConnectionState", "AcquireLease", "ReleaseLease", "PutMarks", "Marks", "ClearMarks", "PostponeMarks",
		"Contacts", "UpsertContacts", "RemoveContacts", "SaveRun", "Runs", "request",
	} {
		scenes["the host quotes: "+kind] = func(_ *world, b *boundary) {
			b.hook(func(_ int, step string) error {
				if step == kind {
					return driverError{quote}
				}
				return nil
			})
		}
	}
	for name, scene := range scenes {
		for _, inline := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, at once %t", name, inline), func(t *testing.T) {
				inWorld(t, 3, func(t *testing.T, w *world) {
					heard := new(listener)
					privacy := shopifysync.PrivacyHandler{
						Erase:       func(context.Context, shopifysync.Erasure) error { return driverError{quote} },
						DataRequest: func(context.Context, shopifysync.DataRequest) error { return driverError{quote} },
					}
					opts := []shopifysync.Option{shopifysync.WithHooks(heard.hooks()), w.logged()}
					if name != "success" {
						opts = append(opts, shopifysync.WithPrivacyHandler(privacy))
					}
					if inline {
						opts = append(opts, shopifysync.WithStateStore(w.store))
					}
					s, b := w.boundary(opts...)
					w.conn.Credentials.ClientSecret = shopifysync.NewSecret(clientSecret)
					w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ClientSecret = clientSecret })
					person := w.shop.Create(canaryCustomer).ID
					w.connect(s)
					w.sync(s)
					time.Sleep(time.Minute)
					if err := w.shop.Update(person, func(c *shopifytest.Customer) { c.Note = "another canary note" }); err != nil {
						t.Fatal(err)
					}
					scene(w, b)
					handler := mount(s)
					for _, topic := range []string{"customers/update", "customers/delete", "customers/data_request", "customers/redact"} {
						heard.hear(answer(handler, w.delivery(topic, person)))
					}
					heard.hear(answer(handler, w.delivery("app/uninstalled")))
					time.Sleep(2 * time.Second)
					drained, err := s.Drain(t.Context(), connID)
					heard.hear(drained, err)
					_, err = s.CatchUp(t.Context(), connID)
					heard.hear(err)
					for _, number := range []string{fmt.Sprint(person), "404404"} {
						_, err = s.Member(t.Context(), shopifysync.MemberParams{Connection: connID, Number: number})
						heard.hear(err)
					}
					who := shopifysync.PersonParams{Connection: connID, Email: "canary.mail@example.com"}
					_, err = s.Export(t.Context(), who)
					heard.hear(err)
					receipt, err := s.Erase(t.Context(), who)
					heard.hear(receipt, err, w.log.String())
					b.hook(nil)
					marks, err := w.store.Marks(t.Context(), shopifysync.MarksParams{Connection: connID, Limit: 100})
					heard.hear(marks, err, w.connState())
					heard.check(t)
					if len(heard.text.String()) < 1000 {
						t.Error("nothing was heard: the test does not test it")
					}
				})
			})
		}
	}
}
