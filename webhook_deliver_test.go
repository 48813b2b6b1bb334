package shopifysync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// Without a state store that outlives the process a customer is stored before
// the webhook is acknowledged.
func TestWebhookFetchesAtOnce(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		s := w.signs().syncer()
		h := mount(s)
		w.sync(s)
		time.Sleep(2 * time.Second)
		ids := w.ids()
		if err := w.shop.Update(ids[0], func(c *shopifytest.Customer) { c.FirstName, c.Tags = "Ann", nil }); err != nil {
			t.Fatal(err)
		}
		if err := w.shop.Delete(ids[1]); err != nil {
			t.Fatal(err)
		}
		for i, r := range []*http.Request{w.delivery("customers/update", ids[0]), w.delivery("customers/delete", ids[1])} {
			if got := status(h, r); got != http.StatusOK {
				t.Errorf("delivery %d: %d", i, got)
			}
		}
		w.mirrors()
		if left := w.openMarks(); len(left) != 0 {
			t.Errorf("marks are left: %+v", left)
		}
	})
}

// What arrives together is fetched together.
func TestWebhooksFetchTogether(t *testing.T) {
	inWorld(t, 200, func(t *testing.T, w *world) {
		s := w.signs().syncer()
		h := mount(s)
		w.sync(s)
		time.Sleep(2 * time.Second)
		var wg sync.WaitGroup
		before := len(w.server.Requests())
		for _, id := range w.ids() {
			if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "moved"; c.FirstName = "Bob" }); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if got := status(h, w.delivery("customers/update", id)); got != http.StatusOK {
					t.Errorf("status %d", got)
				}
			})
		}
		wg.Wait()
		if n := len(w.server.Requests()) - before; n > 6 {
			t.Errorf("%d requests for 200 webhooks at once", n)
		}
		w.mirrors()
	})
}

// With a state store that outlives the process a webhook leaves a mark.
func TestWebhookMarks(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		var told []shopifysync.ConnectionID
		s := w.signs().syncer(shopifysync.WithStateStore(durable{w.store}), shopifysync.WithMarked(func(_ context.Context, id shopifysync.ConnectionID) { told = append(told, id) }))
		h := mount(s)
		ids := w.ids()
		before, now := len(w.server.Requests()), time.Now()
		for _, r := range []*http.Request{
			w.delivery("customers/update", ids[0]), w.delivery("customers/delete", ids[1]), w.delivery("customers/merge", ids[3], ids[2]),
			w.delivery("customer.tags_added", ids[4]),
		} {
			if got := status(h, r); got != http.StatusOK {
				t.Fatalf("status %d", got)
			}
		}
		if n := len(w.server.Requests()) - before; n != 0 {
			t.Errorf("%d requests to Shopify", n)
		}
		first, _ := w.shop.Customer(ids[0])
		mark := func(i int, reason string) shopifysync.Mark {
			return shopifysync.Mark{
				Connection: connID, CustomerID: shopifysync.CustomerID(ids[i]), Reason: reason,
				NotBefore: now.Add(500 * time.Millisecond).UTC().Truncate(time.Millisecond),
			}
		}
		want := []shopifysync.Mark{mark(0, "customers/update"), mark(1, "customers/delete"), mark(2, "customers/merge"), mark(3, "customers/merge"), mark(4, "customer.tags_added")}
		want[0].Floor = first.UpdatedAt.UTC()
		want[2].MergedInto = shopifysync.CustomerID(ids[3])
		got := w.openMarks()
		for i := range got {
			got[i].Generation = 0
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("marks (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]shopifysync.ConnectionID{connID, connID, connID, connID}, told); diff != "" {
			t.Errorf("WithMarked (-want +got):\n%s", diff)
		}
	})
}

// state returns what is remembered of the world's connection.
func (w *world) state() shopifysync.ConnectionState {
	w.t.Helper()
	got, err := w.store.ConnectionState(w.t.Context(), shopifysync.ConnectionStateParams{Connection: connID})
	if err != nil {
		w.t.Fatal(err)
	}
	return got.State
}

// remember changes what is remembered of the world's connection.
func (w *world) remember(change func(*shopifysync.ConnectionState)) {
	w.t.Helper()
	st := w.state()
	change(&st)
	if _, err := w.store.SaveConnectionState(w.t.Context(), shopifysync.SaveConnectionStateParams{State: st}); err != nil {
		w.t.Fatal(err)
	}
}

// Shopify may be behind its own webhooks. What it does not show yet keeps its
// mark, and is not acknowledged unless it shows within the time.
func TestWebhookBeforeShopifyShowsIt(t *testing.T) {
	tests := []struct {
		name string
		lag  time.Duration
		want int
	}{
		{"at once", 0, http.StatusOK},
		{"a second later", time.Second, http.StatusOK},
		{"ten seconds later", 10 * time.Second, http.StatusServiceUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				s := w.signs().syncer()
				h := mount(s)
				w.sync(s)
				time.Sleep(time.Minute)
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ReadLag = tt.lag })
				changed := w.ids()[0]
				created := w.shop.Create(shopifytest.Customer{FirstName: "Ann", Email: "ann@example.com"}).ID
				if err := w.shop.Update(changed, func(c *shopifytest.Customer) { c.FirstName = "Bob" }); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				began := time.Now()
				for topic, id := range map[string]int64{"customers/create": created, "customers/update": changed} {
					wg.Go(func() {
						if got := status(h, w.delivery(topic, id)); got != tt.want {
							t.Errorf("%s: status %d, want %d", topic, got, tt.want)
						}
					})
				}
				wg.Wait()
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("answered after %v", took)
				}
				if left := len(w.openMarks()); (left == 0) != (tt.want == http.StatusOK) {
					t.Errorf("%d marks are left", left)
				}
				time.Sleep(5 * time.Minute)
				for topic, id := range map[string]int64{"customers/create": created, "customers/update": changed} {
					if got := status(h, w.delivery(topic, id)); got != http.StatusOK {
						t.Errorf("%s, sent again: status %d", topic, got)
					}
				}
				w.mirrors()
			})
		})
	}
}

// While Shopify refuses the connection, marks that outlive the process are
// enough; others are not.
func TestWebhookOfAPausedConnection(t *testing.T) {
	for _, outlives := range []bool{false, true} {
		for _, health := range []shopifysync.HealthState{shopifysync.HealthFrozen, shopifysync.HealthReauthorise, shopifysync.HealthUninstalled} {
			inWorld(t, 10, func(t *testing.T, w *world) {
				var opts []shopifysync.Option
				want := http.StatusServiceUnavailable
				if outlives {
					opts = append(opts, shopifysync.WithStateStore(durable{w.store}))
					want = http.StatusOK
				}
				s := w.signs().syncer(opts...)
				w.remember(func(st *shopifysync.ConnectionState) {
					st.Pause = &shopifysync.Pause{State: health, ProbeAt: time.Now().Add(time.Hour)}
					if health == shopifysync.HealthUninstalled {
						st.Pause.ProbeAt = time.Time{}
					}
				})
				if got := status(mount(s), w.delivery("customers/update", w.ids()[0])); got != want {
					t.Errorf("%s, durable %v: status %d, want %d", health, outlives, got, want)
				}
				if len(w.openMarks()) != 1 || len(w.server.Requests()) != 0 {
					t.Errorf("%s, durable %v: marks %v, %d requests", health, outlives, w.openMarks(), len(w.server.Requests()))
				}
			})
		}
	}
}

// A store that is frozen pauses the connection, whoever finds out first.
func TestWebhookFindsAFrozenStore(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		h := mount(w.signs().syncer())
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen })
		if got := status(h, w.delivery("customers/update", w.ids()[0])); got != http.StatusServiceUnavailable {
			t.Errorf("status %d", got)
		}
		if p := w.state().Pause; p == nil || p.State != shopifysync.HealthFrozen {
			t.Fatalf("pause %+v", p)
		}
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Open })
		time.Sleep(time.Hour)
		if got := status(h, w.delivery("customers/update", w.ids()[0])); got != http.StatusOK {
			t.Errorf("an hour later: status %d", got)
		}
		if p := w.state().Pause; p != nil {
			t.Errorf("pause %+v", p)
		}
	})
}

// app/uninstalled is a hint: what counts is whether Shopify refuses the token.
func TestWebhookUninstalled(t *testing.T) {
	tests := []struct {
		name    string
		happens func(w *world)
		want    int
		pause   shopifysync.HealthState
	}{
		{"it is true", func(w *world) { w.shop.Uninstall() }, 200, shopifysync.HealthUninstalled},
		{"it is not", func(*world) {}, 200, ""},
		{"Shopify is down", func(w *world) {
			w.shop.Inject(shopifytest.Fault{Times: shopifytest.Always, Status: 500})
		}, 503, ""},
		{"the store is frozen", func(w *world) {
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen })
		}, 503, shopifysync.HealthFrozen},
		{"the store is locked", func(w *world) {
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Locked })
		}, 503, shopifysync.HealthLocked},
		{"the name is another store's", func(w *world) { w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ShopID++ }) }, 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				s := w.signs().syncer()
				h := mount(s)
				w.sync(s)
				r := w.delivery("app/uninstalled")
				tt.happens(w)
				if got := status(h, r); got != tt.want {
					t.Errorf("status %d, want %d", got, tt.want)
				}
				var got shopifysync.HealthState
				if p := w.state().Pause; p != nil {
					got = p.State
					if p.ProbeAt.IsZero() != (got == shopifysync.HealthUninstalled) {
						t.Errorf("pause %+v", p)
					}
				}
				if got != tt.pause {
					t.Errorf("paused as %q, want %q", got, tt.pause)
				}
				if len(w.contacts()) == 0 {
					t.Error("the contacts are gone")
				}
				if tt.pause != shopifysync.HealthUninstalled {
					return
				}
				before := len(w.server.Requests())
				if got := status(h, w.delivery("app/uninstalled")); got != 200 || len(w.server.Requests()) != before {
					t.Errorf("once more: status %d, %d requests", got, len(w.server.Requests())-before)
				}
			})
		})
	}
}

// reconnects changes the state while Shopify is being asked, as a Connect of
// another process does.
type reconnects struct {
	durable
	asked func()
}

func (r *reconnects) SaveConnectionState(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
	if f := r.asked; f != nil {
		r.asked = nil
		f()
	}
	return r.durable.SaveConnectionState(ctx, p)
}

// A connection that is connected anew while the old token is refused is not
// paused.
func TestWebhookUninstalledWhileConnecting(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		conns := shopifysync.StaticConnections(w.signs().conn)
		state := &reconnects{durable: durable{w.store}}
		s, err := shopifysync.New(w.store, conns, shopifysync.WithStateStore(state), shopifysync.WithHTTPClient(w.server.Client()))
		if err != nil {
			t.Fatal(err)
		}
		w.shop.Uninstall()
		state.asked = func() {
			w.shop.Reinstall("canary-token-2")
			w.conn.Credentials.AccessToken = shopifysync.NewSecret("canary-token-2")
			if _, err := conns.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: w.conn}); err != nil {
				t.Fatal(err)
			}
			w.remember(func(st *shopifysync.ConnectionState) { st.ConnectedAt = time.Now() })
		}
		if got := status(mount(s), w.delivery("app/uninstalled")); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
		if p := w.state().Pause; p != nil {
			t.Errorf("pause %+v", p)
		}
	})
}

func TestWebhookAsksForACheck(t *testing.T) {
	for _, topic := range []string{"app/scopes_update", "shop/update"} {
		inWorld(t, 10, func(t *testing.T, w *world) {
			h := mount(w.signs().syncer())
			for i := range 2 {
				if got := status(h, w.delivery(topic)); got != http.StatusOK {
					t.Errorf("%s: status %d", topic, got)
				}
				if st := w.state(); !st.CheckDue || st.Revision != 1 {
					t.Errorf("%s, time %d: %+v", topic, i, st)
				}
			}
		})
	}
}

// bulk_operations/finish has a waiting run ask at once, and is no more than a
// hint.
func TestWebhookBulkEnded(t *testing.T) {
	polls := func(hints int) (n int) {
		inWorld(t, 3000, func(t *testing.T, w *world) {
			// Slow pages, and a file that is never ready: polls become rare.
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 1, time.Second })
			s := w.signs().syncer(shopifysync.WithBulkThreshold(10))
			h := mount(s)
			var wg sync.WaitGroup
			wg.Go(func() {
				for range hints {
					time.Sleep(2 * time.Second)
					if got := status(h, w.delivery("bulk_operations/finish")); got != http.StatusOK {
						t.Errorf("status %d", got)
					}
				}
			})
			w.sync(s)
			wg.Wait()
			n = w.server.Count("PollBulkOperation")
			w.mirrors()
		})
		return n
	}
	if without, with := polls(0), polls(6); with <= without || with > without+6 {
		t.Errorf("%d polls, with a webhook %d", without, with)
	}
}

// redaction is a customers/redact of the world's store.
func (w *world) redaction(shopID int64, shop, customer string) *http.Request {
	body := fmt.Sprintf(`{"shop_id":%d,"shop_domain":%q,"customer":%s,"orders_to_redact":[]}`, shopID, shop, customer)
	return signed("/webhooks/shopify/"+string(connID), "customers/redact", body)
}

func TestWebhookRedactsACustomer(t *testing.T) {
	const shop = "demo.myshopify.com"
	tests := []struct {
		name    string
		request func(w *world, id int64, email string) *http.Request
		change  func(*shopifysync.ConnectionState)
		want    int
		erased  bool
	}{
		{"by id", func(w *world, id int64, _ string) *http.Request { return w.delivery("customers/redact", id) }, nil, 200, true},
		{"by e-mail", func(w *world, _ int64, email string) *http.Request {
			return w.redaction(w.shop.Config().ShopID, shop, fmt.Sprintf(`{"email":%q}`, email))
		}, nil, 200, true},
		{"nobody has that e-mail", func(w *world, _ int64, _ string) *http.Request {
			return w.redaction(w.shop.Config().ShopID, shop, `{"email":"nobody@example.com"}`)
		}, nil, 200, false},
		{"the store was renamed", func(w *world, id int64, _ string) *http.Request {
			return w.redaction(w.shop.Config().ShopID, "old-name.myshopify.com", fmt.Sprintf(`{"id":%d}`, id))
		}, nil, 200, true},
		{"another store", func(w *world, id int64, _ string) *http.Request {
			return w.redaction(w.shop.Config().ShopID+1, shop, fmt.Sprintf(`{"id":%d}`, id))
		}, nil, 422, false},
		{"the store's identity is not known yet", func(w *world, id int64, _ string) *http.Request {
			return w.delivery("customers/redact", id)
		}, func(st *shopifysync.ConnectionState) { st.ShopID = "" }, 200, true},
		{"it is not known, and the name is another", func(w *world, id int64, _ string) *http.Request {
			return w.redaction(w.shop.Config().ShopID, "other.myshopify.com", fmt.Sprintf(`{"id":%d}`, id))
		}, func(st *shopifysync.ConnectionState) { st.ShopID = "" }, 422, false},
		{"after Disconnect", func(w *world, id int64, _ string) *http.Request {
			return w.delivery("customers/redact", id)
		}, func(st *shopifysync.ConnectionState) { st.Disconnected = &shopifysync.Disconnection{At: time.Now()} }, 200, true},
		{"after Disconnect, with no more than the secret", func(w *world, id int64, _ string) *http.Request {
			w.conn.Credentials = shopifysync.Credentials{ClientSecret: w.conn.Credentials.ClientSecret}
			return w.delivery("customers/redact", id)
		}, func(st *shopifysync.ConnectionState) { st.Disconnected = &shopifysync.Disconnection{At: time.Now()} }, 200, true},
		{"while it is paused", func(w *world, id int64, _ string) *http.Request {
			return w.delivery("customers/redact", id)
		}, func(st *shopifysync.ConnectionState) {
			st.Pause = &shopifysync.Pause{State: shopifysync.HealthUninstalled}
		}, 200, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				var erasures int
				conns := shopifysync.StaticConnections(w.signs().conn)
				s, err := shopifysync.New(w.store, conns, shopifysync.WithHTTPClient(w.server.Client()), shopifysync.WithLogger(slog.New(slog.NewTextHandler(w.log, nil))),
					shopifysync.WithPrivacyHandler(shopifysync.PrivacyHandler{
						Erase: func(context.Context, shopifysync.Erasure) error { erasures++; return nil },
					}))
				if err != nil {
					t.Fatal(err)
				}
				person := w.shop.Create(shopifytest.Customer{FirstName: "Ann", Email: "Ann@example.com"})
				w.sync(s)
				if tt.change != nil {
					w.remember(tt.change)
				}
				before, requests := len(w.contacts()), len(w.server.Requests())
				r := tt.request(w, person.ID, person.Email)
				if _, err := conns.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: w.conn}); err != nil {
					t.Fatal(err)
				}
				if got := status(mount(s), r); got != tt.want {
					t.Errorf("status %d, want %d: %s", got, tt.want, w.log)
				}
				got := w.contacts()
				_, there := got[shopifysync.CustomerID(person.ID)]
				if there == tt.erased || len(got) != before-erasures || (erasures == 1) != tt.erased {
					t.Errorf("there %v, %d contacts of %d, %d erasures", there, len(got), before, erasures)
				}
				if n := len(w.server.Requests()) - requests; n != 0 {
					t.Errorf("%d requests to Shopify", n)
				}
				if strings.Contains(strings.ToLower(w.log.String()), "ann@example.com") {
					t.Errorf("the log shows the person: %s", w.log)
				}
			})
		})
	}
}

// shop/redact is acted on only if Shopify refuses the token, or after Disconnect.
func TestWebhookRedactsAShop(t *testing.T) {
	tests := []struct {
		name    string
		happens func(w *world)
		want    int
		erased  bool
	}{
		{"uninstalled", func(w *world) { w.shop.Uninstall() }, 200, true},
		{"disconnected", func(w *world) {
			w.remember(func(st *shopifysync.ConnectionState) {
				st.Disconnected = &shopifysync.Disconnection{At: time.Now()}
			})
		}, 200, true},
		{"still installed", func(*world) {}, 200, false},
		{"Shopify is down", func(w *world) {
			w.shop.Inject(shopifytest.Fault{Times: shopifytest.Always, Status: 500})
		}, 503, false},
		{"frozen", func(w *world) {
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen })
		}, 503, false},
		{"another store", func(w *world) {
			w.shop.Uninstall()
			w.remember(func(st *shopifysync.ConnectionState) { st.ShopID += "1" })
		}, 422, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				s := w.signs().syncer()
				w.sync(s)
				before := len(w.contacts())
				r := w.delivery("shop/redact")
				tt.happens(w)
				began := time.Now()
				if got := status(mount(s), r); got != tt.want {
					t.Errorf("status %d, want %d: %s", got, tt.want, w.log)
				}
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("answered after %v", took)
				}
				if n := len(w.contacts()); (n == 0) != tt.erased || !tt.erased && n != before {
					t.Errorf("%d contacts of %d are left", n, before)
				}
			})
		})
	}
}

// What Shopify asks to erase while it does not say whether the store has left,
// as of one that was closed, is erased by Serve once that is known or no longer
// to be waited for.
func TestServeRedactsAShop(t *testing.T) {
	const day = 24 * time.Hour
	down := shopifytest.Fault{Times: shopifytest.Always, Status: 500}
	state := func(to shopifytest.State) func(*world) {
		return func(w *world) { w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = to }) }
	}
	tests := []struct {
		name         string
		before, then func(w *world)
		asked        time.Duration // so long ago, when then happens
		erased, open bool          // 90 minutes later
	}{
		{"closed, then its token is refused", state(shopifytest.Frozen), func(w *world) {
			state(shopifytest.Open)(w)
			w.shop.Uninstall()
		}, 3 * time.Hour, true, false},
		{"Shopify was down, then the token is refused", func(w *world) { w.shop.Inject(down) }, func(w *world) {
			w.shop.ClearFaults()
			w.shop.Uninstall()
		}, 3 * time.Hour, true, false},
		{"closed for 27 days", state(shopifytest.Frozen), func(*world) {}, 27 * day, false, true},
		{"closed for 28 days", state(shopifytest.Locked), func(*world) {}, 28 * day, true, false},
		{"Shopify is down for 28 days", func(w *world) { w.shop.Inject(down) }, func(*world) {}, 28 * day, false, true},
		{"closed, then open again: it was an old webhook", state(shopifytest.Frozen), state(shopifytest.Open), 40 * day, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				w.signs()
				s := w.syncerWith(w.connectable(), shopifysync.WithStateStore(durable{w.store}))
				w.connect(s)
				w.sync(s)
				contacts := len(w.contacts())
				stop := serve(t, s)
				time.Sleep(time.Minute)
				tt.before(w)
				if got := status(mount(s), w.delivery("shop/redact")); got != http.StatusOK {
					t.Errorf("status %d", got)
				}
				time.Sleep(time.Minute)
				if got := w.status(s); got.RedactAsked.IsZero() || len(w.contacts()) != contacts {
					t.Errorf("asked at %v, %d contacts", got.RedactAsked, len(w.contacts()))
				}
				stop()
				w.remember(func(st *shopifysync.ConnectionState) { st.RedactAsked = time.Now().Add(-tt.asked) })
				before := len(w.server.Requests())
				stop = serve(t, s)
				time.Sleep(30 * time.Minute)
				if n := len(w.server.Requests()) - before; n > 200 { // an outage is asked about every five minutes
					t.Errorf("%d requests", n)
				}
				tt.then(w)
				time.Sleep(90 * time.Minute)
				stop()
				st := w.state()
				if n := len(w.contacts()); (n == 0) != tt.erased || !tt.erased && n != contacts {
					t.Errorf("%d contacts of %d are left", n, contacts)
				}
				if st.RedactAsked.IsZero() == tt.open || st.ShopID == "" {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// A store that is connected again while it is being erased comes after that:
// what it then brings stays.
func TestConnectWaitsForErasure(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		w.signs()
		conns := w.connectable()
		again := make(chan error, 1)
		var s *shopifysync.Syncer
		s = w.syncerWith(conns, shopifysync.WithStateStore(durable{w.store}), shopifysync.WithPrivacyHandler(shopifysync.PrivacyHandler{
			Erase: func(context.Context, shopifysync.Erasure) error {
				go func() {
					_, err := s.Connect(t.Context(), w.conn)
					if err == nil {
						_, err = s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
					}
					again <- err
				}()
				time.Sleep(20 * time.Second)
				return nil
			},
		}))
		w.connect(s)
		w.sync(s)
		w.disconnect(s, false)
		if got := status(mount(s), w.delivery("shop/redact")); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
		if err := <-again; err != nil {
			t.Fatal(err)
		}
		if st := w.state(); st.Disconnected != nil || st.RunAt.IsZero() || st.Health.State != shopifysync.HealthOK {
			t.Errorf("%+v", st)
		}
		w.mirrors()
	})
}

func TestWebhookDataRequest(t *testing.T) {
	down := errors.New("down")
	tests := []struct {
		name   string
		handle func(shopifysync.DataRequest) error
		want   int
	}{
		{"handled", func(shopifysync.DataRequest) error { return nil }, 200},
		{"the handler fails", func(shopifysync.DataRequest) error { return down }, 503},
		{"the handler panics", func(shopifysync.DataRequest) error { panic("ann@example.com") }, 503},
		{"no handler", nil, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				var got []shopifysync.DataRequest
				var opts []shopifysync.Option
				if tt.handle != nil {
					opts = append(opts, shopifysync.WithPrivacyHandler(shopifysync.PrivacyHandler{
						DataRequest: func(_ context.Context, r shopifysync.DataRequest) error {
							got = append(got, r)
							return tt.handle(r)
						},
					}))
				}
				s := w.signs().syncer(opts...)
				person := w.shop.Create(shopifytest.Customer{FirstName: "Ann", Email: "ann@example.com", Phone: "+886912345678"})
				if got := status(mount(s), w.delivery("customers/data_request", person.ID)); got != tt.want {
					t.Errorf("status %d, want %d", got, tt.want)
				}
				if tt.handle != nil {
					id := shopifysync.CustomerID(person.ID)
					if len(got) != 1 || got[0].Connection != connID || got[0].ID == 0 || len(got[0].Customers) != 1 || got[0].Customers[0] != id ||
						got[0].Email.Reveal() != person.Email || got[0].Phone.Reveal() != person.Phone {
						t.Errorf("%+v", got)
					}
				} else if !strings.Contains(w.log.String(), fmt.Sprint(person.ID)) {
					t.Errorf("the log does not name the customer: %s", w.log)
				}
				for _, leak := range []string{"ann@", "886912345678"} {
					if strings.Contains(w.log.String(), leak) {
						t.Errorf("the log shows %q: %s", leak, w.log)
					}
				}
			})
		})
	}
}

// A data request that nobody took is listed by Status for the time in which it
// must be answered: by numbers alone, and not without end.
func TestOpenDataRequests(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		w.signs()
		s := w.syncerWith(w.connectable())
		w.connect(s)
		began := time.Now().UTC()
		id := w.ids()[0]
		request := func(number int) *http.Request {
			return signed("/webhooks/shopify/"+string(connID), "customers/data_request", fmt.Sprintf(
				`{"shop_id":%d,"shop_domain":"demo.myshopify.com","customer":{"id":%d,"email":"ann@example.com","phone":"+886912345678"},"data_request":{"id":%d}}`,
				w.shop.Config().ShopID, id, number))
		}
		deliver := func(number int) {
			t.Helper()
			if got := status(mount(s), request(number)); got != http.StatusOK {
				t.Errorf("request %d: status %d", number, got)
			}
		}
		deliver(1)
		deliver(1) // Shopify may send it again
		want := []shopifysync.OpenDataRequest{{ID: 1, At: began.Truncate(time.Millisecond), Customers: []shopifysync.CustomerID{shopifysync.CustomerID(id)}}}
		got := w.status(s)
		if diff := cmp.Diff(want, got.DataRequests); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if data, err := json.Marshal(got); err != nil || strings.Contains(string(data), "ann@") || strings.Contains(string(data), "886912345678") {
			t.Errorf("%v %s", err, data)
		}
		for number := 2; number <= 150; number++ {
			deliver(number)
		}
		if got := w.status(s).DataRequests; len(got) != 100 || got[99].ID != 150 {
			t.Errorf("%d are listed", len(got))
		}
		time.Sleep(29 * 24 * time.Hour)
		deliver(151)
		if got := w.status(s).DataRequests; len(got) != 100 {
			t.Errorf("after 29 days %d are listed", len(got))
		}
		time.Sleep(25 * time.Hour)
		if got := w.status(s).DataRequests; len(got) != 1 || got[0].ID != 151 {
			t.Errorf("after 30 days %+v are listed", got)
		}
		w.disconnect(s, true)
		if got := w.state().DataRequests; len(got) != 0 {
			t.Errorf("%d are left", len(got))
		}
	})
}

// After Disconnect nothing is served but what privacy law asks for.
func TestWebhookAfterDisconnect(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		s := w.signs().syncer()
		w.sync(s)
		w.remember(func(st *shopifysync.ConnectionState) {
			st.Disconnected = &shopifysync.Disconnection{At: time.Now()}
		})
		want := answer(mount(s), w.tampered())
		requests, contacts, st := len(w.server.Requests()), w.contacts(), w.state()
		for _, topic := range shopifytest.Topics("2026-10") {
			r, err := w.shop.DeliveryOf("2026-10", topic, w.ids()[0], w.ids()[1])
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Path = "/webhooks/shopify/" + string(connID)
			if strings.HasSuffix(topic, "redact") || topic == "customers/data_request" {
				continue
			}
			if diff := cmp.Diff(want, answer(mount(s), r)); diff != "" {
				t.Errorf("%s (-wrong signature +got):\n%s", topic, diff)
			}
		}
		if got := status(mount(s), signed("/webhooks/shopify/tenant-1", "orders/create", "{}")); got != http.StatusUnauthorized {
			t.Errorf("unknown topic: status %d", got)
		}
		if len(w.server.Requests()) != requests || !cmp.Equal(contacts, w.contacts()) || len(w.openMarks()) != 0 || !cmp.Equal(st, w.state()) {
			t.Error("something was read or written")
		}
	})
}

// Deliver is for hosts with their own router or queue.
func TestDeliver(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		s := w.signs().syncer()
		id := shopifysync.CustomerID(w.ids()[0])
		update := shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{id}}
		tests := []struct {
			name string
			id   shopifysync.ConnectionID
			ev   shopifysync.Event
			want error
		}{
			{"update", connID, update, nil},
			{"unknown connection", "nobody", update, shopifysync.ErrNotConnected},
			{"no customer", connID, shopifysync.Event{Topic: "customers/update"}, shopifysync.ErrInvalidWebhook},
			{"no such id", connID, shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{-1}}, shopifysync.ErrInvalidWebhook},
			{"privacy topic without its request", connID, shopifysync.Event{Topic: "customers/redact", Customers: []shopifysync.CustomerID{id}}, shopifysync.ErrInvalidWebhook},
			{"unknown topic", connID, shopifysync.Event{Topic: "orders/create"}, nil},
		}
		for _, tt := range tests {
			if err := s.Deliver(t.Context(), tt.id, tt.ev); !errors.Is(err, tt.want) || err != nil && !strings.HasPrefix(err.Error(), "shopifysync: ") {
				t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
			}
		}
		if len(w.contacts()) != 1 {
			t.Errorf("%d contacts", len(w.contacts()))
		}
		ended, cancel := context.WithCancelCause(t.Context())
		why := errors.New("why")
		cancel(why)
		if err := s.Deliver(ended, connID, update); err == nil {
			t.Error("no error with a context that has ended")
		}
	})
}

// 10,000 webhooks for 100 customers cost a handful of requests.
func TestManyWebhooksForFewCustomers(t *testing.T) {
	inWorld(t, 100, func(t *testing.T, w *world) {
		s := w.signs().syncer(shopifysync.WithStateStore(durable{w.store}))
		h := mount(s)
		w.sync(s)
		time.Sleep(2 * time.Second)
		before := len(w.server.Requests())
		var wg sync.WaitGroup
		ids := w.ids()
		for i := range 10_000 {
			id := ids[i%len(ids)]
			if i < len(ids) {
				if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.FirstName = "Ann" }); err != nil {
					t.Fatal(err)
				}
			}
			wg.Go(func() {
				if got := status(h, w.delivery("customers/update", id)); got != http.StatusOK {
					t.Errorf("status %d", got)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		if _, err := s.Drain(t.Context(), connID); err != nil {
			t.Fatal(err)
		}
		if n := len(w.server.Requests()) - before; n > 5 {
			t.Errorf("%d requests", n)
		}
		if left := w.openMarks(); len(left) != 0 {
			t.Errorf("%d marks are left", len(left))
		}
		w.mirrors()
	})
}

// Disconnect ends deliveries under way and waits for them; afterwards they are
// those of an unknown connection.
func TestDisconnectWaitsForWebhooks(t *testing.T) {
	for _, outlives := range []bool{false, true} {
		inWorld(t, 10, func(t *testing.T, w *world) {
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 2 * time.Second })
			state := &slowState{durable: durable{w.store}, pause: time.Second}
			var opts []shopifysync.Option
			if outlives {
				opts = append(opts, shopifysync.WithStateStore(state))
			}
			s := w.signs().syncer(opts...)
			h := mount(s)
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					if got := status(h, w.delivery("customers/update", w.ids()[0])); got == http.StatusOK {
						t.Error("acknowledged")
					}
				})
			}
			time.Sleep(200 * time.Millisecond)
			if _, err := s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: connID, RemoveContacts: true}); err != nil {
				t.Fatal(err)
			}
			before := len(w.server.Requests())
			wg.Wait()
			if got := status(h, w.delivery("customers/update", w.ids()[0])); got != http.StatusUnauthorized {
				t.Errorf("afterwards: status %d", got)
			}
			time.Sleep(time.Minute)
			if len(w.openMarks()) != 0 || len(w.contacts()) != 0 || len(w.server.Requests()) != before {
				t.Errorf("durable %v: marks %v, %d contacts, %d requests", outlives, w.openMarks(), len(w.contacts()), len(w.server.Requests())-before)
			}
		})
	}
}

// Who connects again goes on where it was: webhooks kept out meanwhile come
// with the run, later ones as ever.
func TestWebhookAfterReconnect(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		s := w.signs().syncer()
		h := mount(s)
		if _, err := s.Connect(t.Context(), w.conn); err != nil {
			t.Fatal(err)
		}
		w.sync(s)
		w.shop.Uninstall()
		gone := w.delivery("app/uninstalled")
		if got := status(h, gone); got != http.StatusOK {
			t.Fatalf("app/uninstalled: status %d", got)
		}
		if p := w.state().Pause; p == nil || p.State != shopifysync.HealthUninstalled {
			t.Fatalf("pause %+v", p)
		}
		redact := w.delivery("shop/redact")
		w.shop.Reinstall("canary-token-2")
		w.conn.Credentials.AccessToken = shopifysync.NewSecret("canary-token-2")
		if _, err := s.Connect(t.Context(), w.conn); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*http.Request{w.delivery("app/uninstalled"), redact, w.delivery("customers/delete", w.ids()[0])} {
			status(h, r)
		}
		if st := w.state(); st.Pause != nil {
			t.Errorf("pause %+v", st.Pause)
		}
		w.sync(s)
		w.mirrors()
	})
}
