package shopifysync_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// A capture is a genuine delivery, to be sent again.
type capture struct {
	topic, version string
	header         http.Header
	body           []byte
}

// captured takes every delivery of every version for the customers given.
func captured(t *testing.T, shop *shopifytest.Store, customers ...int64) []capture {
	t.Helper()
	var all []capture
	for _, version := range shopifytest.Versions() {
		for _, topic := range shopifytest.Topics(version) {
			r, err := shop.DeliveryOf(version, topic, customers...)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, capture{topic, version, r.Header, body})
		}
	}
	return all
}

// to is the delivery at a path of the handler.
func (c capture) to(path string) *http.Request {
	return &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: path}, Header: maps.Clone(c.header),
		Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)),
	}
}

// A mall is many stores with a connection each.
type mall struct {
	server *shopifytest.Server
	shops  []*shopifytest.Store
	conns  []shopifysync.Connection
	store  *shopifysync.MemoryStore
	s      *shopifysync.Syncer
}

// newMall makes n stores of three customers. Each has a token of its own, and
// the client secret that secret names.
func newMall(t *testing.T, n int, secret func(i int) string, opts ...shopifysync.Option) *mall {
	t.Helper()
	m := &mall{server: shopifytest.NewServer(), store: shopifysync.NewMemoryStore()}
	for i := range n {
		domain := fmt.Sprintf("shop-%d.myshopify.com", i)
		token := fmt.Sprintf("token-%d", i)
		shop := m.server.AddStore(shopifytest.StoreConfig{
			Domain: domain, AccessToken: token, ClientSecret: secret(i), ShopID: int64(1000 + i), FirstCustomerID: int64(1_000_000 * (i + 1)),
		})
		for range 3 {
			shop.Create(shopifytest.Customer{FirstName: "Ann", Email: "ann@example.com"})
		}
		m.shops = append(m.shops, shop)
		m.conns = append(m.conns, shopifysync.Connection{
			ID: shopifysync.ConnectionID(fmt.Sprint(i)), Shop: shopifysync.Shop(domain),
			Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret(token), ClientSecret: shopifysync.NewSecret(secret(i))},
		})
	}
	var err error
	m.s, err = shopifysync.New(m.store, shopifysync.StaticConnections(m.conns...), append([]shopifysync.Option{shopifysync.WithHTTPClient(m.server.Client())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mall) customers(i int) []int64 {
	var ids []int64
	for c := range m.shops[i].All() {
		ids = append(ids, c.ID)
	}
	return ids
}

// rows returns all that is stored of a connection.
func (m *mall) rows(t *testing.T, i int, ids []int64) []shopifysync.Contact {
	t.Helper()
	p := shopifysync.ContactsParams{Connection: m.conns[i].ID}
	for _, id := range ids {
		p.IDs = append(p.IDs, shopifysync.CustomerID(id))
	}
	got, err := m.store.Contacts(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got.Contacts, func(a, b shopifysync.Contact) int { return int(a.CustomerID - b.CustomerID) })
	return got.Contacts
}

var wrongConnections = flag.Int("webhook.connections", 40, "how many connections TestWebhookWrongConnection has")

// Many connections, every genuine delivery of each sent to each of the others:
// nothing is written or asked, and the answer is the same as to a forgery.
func TestWebhookWrongConnection(t *testing.T) {
	n := *wrongConnections
	m := newMall(t, n, func(i int) string { return fmt.Sprintf("secret-%d", i) })
	defer m.server.Close()
	h := mount(m.s)
	forged := httptest.NewRequest(http.MethodPost, "/webhooks/shopify/0", strings.NewReader("{}"))
	forged.Header.Set("X-Shopify-Topic", "customers/update")
	forged.Header.Set("X-Shopify-Hmac-Sha256", shopifytest.Sign("nobody's", []byte("{}")))
	want := answer(h, forged)
	if want.Status != http.StatusUnauthorized {
		t.Fatalf("%+v", want)
	}
	topics := shopifytest.Topics("2026-10")
	var tried atomic.Int64
	attack := func(i int) { // sends what store i sends to all others
		ids := m.customers(i)
		for _, topic := range topics {
			r, err := m.shops[i].DeliveryOf("2026-10", topic, ids...)
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			c := capture{topic, "2026-10", r.Header, body}
			for j := range m.shops {
				if i == j {
					continue
				}
				again := c.to(fmt.Sprintf("/webhooks/shopify/%d", j))
				if tried.Add(1)%2 == 1 { // or by the header
					again = c.to("/webhooks/shopify")
					again.Header.Set("X-Shopify-Shop-Domain", string(m.conns[j].Shop))
				}
				if got := answer(h, again); !reflect.DeepEqual(want, got) {
					t.Errorf("%s of %d to %d (-forged +got):\n%s", topic, i, j, cmp.Diff(want, got))
					return
				}
			}
		}
	}
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			for ; i < n; i += 2 {
				attack(i)
			}
		})
	}
	wg.Wait()
	if pairs := int64(n * (n - 1) * len(topics)); tried.Load() != pairs {
		t.Errorf("%d tried, not %d", tried.Load(), pairs)
	}
	m.untouched(t)
}

// untouched checks that nothing was asked or kept.
func (m *mall) untouched(t *testing.T) {
	t.Helper()
	if got := m.server.Requests(); len(got) != 0 {
		t.Errorf("%d requests to Shopify: %s", len(got), got[0].Operation)
	}
	due, err := m.store.DueConnections(t.Context(), shopifysync.DueConnectionsParams{DueBy: time.Now().Add(time.Hour), Limit: 1})
	if err != nil || len(due.Connections) != 0 {
		t.Errorf("marks: %v, %v", due.Connections, err)
	}
	for i, c := range m.conns {
		if rows := m.rows(t, i, m.customers(i)); len(rows) != 0 {
			t.Errorf("connection %d: %+v", i, rows)
		}
		st, err := m.store.ConnectionState(t.Context(), shopifysync.ConnectionStateParams{Connection: c.ID})
		if err != nil || st.State.Revision != 0 {
			t.Errorf("connection %d: %+v, %v", i, st.State, err)
		}
	}
}

// Stores with one app have one client secret: there a misdirected delivery
// verifies. It may cost reads, with the right token, and changes nothing.
func TestWebhookMisdirectedWithinOneApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var requests []shopifysync.DataRequest
		m := newMall(t, 4, func(int) string { return "the app's" }, shopifysync.WithPrivacyHandler(shopifysync.PrivacyHandler{
			DataRequest: func(_ context.Context, r shopifysync.DataRequest) error { requests = append(requests, r); return nil },
			Erase:       func(context.Context, shopifysync.Erasure) error { t.Error("erased"); return nil },
		}))
		defer m.server.Close()
		h := mount(m.s)
		var before [][]shopifysync.Contact
		var everybody []int64
		for i, c := range m.conns {
			if _, err := m.s.Sync(t.Context(), shopifysync.SyncParams{Connection: c.ID}); err != nil {
				t.Fatal(err)
			}
			everybody = append(everybody, m.customers(i)...)
		}
		for i := range m.conns {
			before = append(before, m.rows(t, i, everybody))
		}
		var wg sync.WaitGroup
		for i, shop := range m.shops {
			for _, c := range captured(t, shop, m.customers(i)...) {
				for j := range m.conns {
					if i != j {
						wg.Go(func() { status(h, c.to(fmt.Sprintf("/webhooks/shopify/%d", j))) })
					}
				}
			}
		}
		wg.Wait()
		time.Sleep(5 * time.Minute)
		for i, c := range m.conns {
			if _, err := m.s.Drain(t.Context(), c.ID); err != nil {
				t.Errorf("drain %d: %v", i, err)
			}
			// A tombstone may stand where another store's webhook said "deleted",
			// and Shopify confirmed that this store has no such customer.
			after := slices.DeleteFunc(m.rows(t, i, everybody), func(c shopifysync.Contact) bool {
				return c.Removed == shopifysync.RemovedDeleted || c.Removed == shopifysync.RemovedMerged
			})
			ignoring := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Version" }, cmp.Ignore())
			if diff := cmp.Diff(before[i], after, ignoring); diff != "" {
				t.Errorf("connection %d (-before +after):\n%s", i, diff)
			}
			st, err := m.store.ConnectionState(t.Context(), shopifysync.ConnectionStateParams{Connection: c.ID})
			if err != nil || st.State.Pause != nil || st.State.Disconnected != nil {
				t.Errorf("connection %d: %+v, %v", i, st.State, err)
			}
		}
		for _, r := range m.server.Requests() {
			token := r.Header.Get("X-Shopify-Access-Token")
			if want := strings.TrimSuffix(strings.Replace(r.Host, "shop-", "token-", 1), ".myshopify.com"); token != want {
				t.Fatalf("%s was sent %q", r.Host, token)
			}
		}
		if len(requests) != 0 {
			t.Errorf("%d data requests were for another store", len(requests))
		}
	})
}

// Every genuine delivery, sent again with whatever is not signed changed, also
// after the app was uninstalled and connected again: no wrong removal, erasure
// or pause, and no value goes back.
func TestWebhookReplays(t *testing.T) {
	for _, outlives := range []bool{false, true} {
		t.Run(fmt.Sprintf("durable %v", outlives), func(t *testing.T) {
			inWorld(t, 12, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.RestoreRate, c.BucketSize = 1e6, 1e6 })
				var opts []shopifysync.Option
				if outlives {
					opts = append(opts, shopifysync.WithStateStore(durable{w.store}))
				}
				var mu sync.Mutex
				var erased [][]shopifysync.CustomerID
				opts = append(opts, shopifysync.WithPrivacyHandler(shopifysync.PrivacyHandler{
					Erase: func(_ context.Context, e shopifysync.Erasure) error {
						mu.Lock()
						defer mu.Unlock()
						erased = append(erased, e.Customers)
						return nil
					},
				}))
				s := w.signs().syncer(opts...)
				w.sync(s)
				ids := w.ids()
				subject, merged, leaver := ids[0], ids[1], ids[2]
				var genuine []capture
				genuine = append(genuine, captured(t, w.shop, subject, merged)...)

				// The redaction of leaver is genuine, too; that of subject never was.
				genuine = slices.DeleteFunc(genuine, func(c capture) bool { return c.topic == "customers/redact" })
				for _, c := range captured(t, w.shop, leaver, merged) {
					if c.topic == "customers/redact" {
						genuine = append(genuine, c)
					}
				}
				redact := genuine[len(genuine)-1]
				h := mount(s)
				path := "/webhooks/shopify/" + string(connID)
				if got := status(h, redact.to(path)); got != http.StatusOK {
					t.Fatalf("redact: status %d", got)
				}
				if err := w.shop.Delete(leaver); err != nil {
					t.Fatal(err)
				}
				// The store goes on.
				time.Sleep(time.Hour)
				for _, id := range []int64{subject, merged} {
					if err := w.shop.Update(id, func(c *shopifytest.Customer) {
						c.FirstName, c.Email, c.Note, c.Tags = "New", "new@example.com", "", nil
						c.EmailConsent, c.SMSConsent = nil, nil
					}); err != nil {
						t.Fatal(err)
					}
				}
				w.sync(s)
				w.mirrors()
				want := w.contacts()

				replay := func(stage string) {
					answers := w.replay(h, genuine, path, outlives)
					for settled := 0; settled < 3; settled++ { // beyond the last retry
						time.Sleep(10 * time.Minute)
						if _, err := s.Drain(t.Context(), connID); err != nil {
							t.Fatalf("%s: %v", stage, err)
						}
					}
					w.mirrors()
					ignoring := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Version" }, cmp.Ignore())
					if diff := cmp.Diff(want, w.contacts(), ignoring); diff != "" {
						t.Errorf("%s (-before +after):\n%s", stage, diff)
					}
					if st := w.state(); st.Pause != nil || st.Disconnected != nil {
						t.Errorf("%s: %+v", stage, st)
					}
					mu.Lock()
					defer mu.Unlock()
					for _, who := range erased {
						if len(who) != 1 || who[0] != shopifysync.CustomerID(leaver) {
							t.Errorf("%s: %v were erased", stage, who)
						}
					}
					if answers[401] == 0 || answers[422] == 0 || answers[200] == 0 {
						t.Errorf("%s: answers %v", stage, answers)
					}
				}
				replay("connected")

				w.shop.Uninstall()
				if got := status(h, w.delivery("app/uninstalled")); got != http.StatusOK {
					t.Fatalf("app/uninstalled: status %d", got)
				}
				if p := w.state().Pause; p == nil || p.State != shopifysync.HealthUninstalled {
					t.Fatalf("pause %+v", p)
				}
				w.shop.Reinstall("canary-token-1")
				w.remember(func(st *shopifysync.ConnectionState) { st.Pause = nil }) // as Connect does
				replay("connected again")
			})
		})
	}
}

// replay sends all captures again in every way, and counts the answers.
func (w *world) replay(h http.Handler, genuine []capture, path string, outlives bool) map[int]int {
	topics := slices.Sorted(maps.Keys(func() map[string]bool {
		all := map[string]bool{"orders/create": true, "": true}
		for _, c := range genuine {
			all[c.topic] = true
		}
		return all
	}()))
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	send := func(r *http.Request) {
		wg.Go(func() {
			got := status(h, r)
			mu.Lock()
			defer mu.Unlock()
			answers[got]++
		})
	}
	for _, c := range genuine {
		if c.version != "2024-04" && c.version != "2026-10" && c.topic != "app/scopes_update" {
			send(c.to(path))
			continue
		}
		for _, topic := range topics {
			r := c.to(path)
			r.Header.Set("X-Shopify-Topic", topic)
			send(r)
		}
		for name, value := range map[string]string{
			"X-Shopify-Shop-Domain": "other.myshopify.com", "X-Shopify-Webhook-Id": "x", "X-Shopify-Event-Id": "x",
			"X-Shopify-Triggered-At": "2099-01-01T00:00:00Z", "X-Shopify-Api-Version": "unstable",
		} {
			r := c.to(path)
			r.Header.Set(name, value)
			send(r)
		}
		send(c.to("/webhooks/shopify"))
		send(c.to("/webhooks/shopify/nobody"))
		unprefixed := c.to(path)
		unprefixed.Header = http.Header{}
		for name, values := range c.header {
			unprefixed.Header[strings.TrimPrefix(name, "X-")] = values
		}
		send(unprefixed)
		wg.Wait()
	}
	wg.Wait()
	return answers
}

// Every field missing from every payload: the customer is fetched whole, so
// nothing is cleared.
func TestWebhookWithoutItsFields(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		s := w.signs().syncer(shopifysync.WithStateStore(durable{w.store}))
		h := mount(s)
		id := w.shop.Create(shopifytest.Customer{
			FirstName: "Ann", LastName: "Lee", Email: "ann@example.com", Phone: "+886912345678", Note: "note", Tags: []string{"VIP"}, NumberOfOrders: 3,
			EmailConsent: &shopifytest.EmailConsent{State: "SUBSCRIBED", Level: "SINGLE_OPT_IN"}, SMSConsent: &shopifytest.SMSConsent{State: "SUBSCRIBED"},
		}).ID
		w.sync(s)
		want := w.contacts()[shopifysync.CustomerID(id)]
		tried := 0
		for _, c := range captured(t, w.shop, id, w.ids()[1]) {
			if strings.HasSuffix(c.topic, "/redact") || !strings.HasPrefix(c.topic, "customer") {
				continue
			}
			var object map[string]json.RawMessage
			if err := json.Unmarshal(c.body, &object); err != nil {
				t.Fatal(err)
			}
			for field := range object {
				less := maps.Clone(object)
				delete(less, field)
				null := maps.Clone(object)
				null[field] = json.RawMessage("null")
				for _, o := range []map[string]json.RawMessage{less, null} {
					body, err := json.Marshal(o)
					if err != nil {
						t.Fatal(err)
					}
					r := signed("/webhooks/shopify/"+string(connID), c.topic, string(body))
					if got := status(h, r); got != http.StatusOK && got != http.StatusUnprocessableEntity {
						t.Errorf("%s %s without %s: status %d", c.version, c.topic, field, got)
					}
					tried++
				}
			}
		}
		if tried < 1000 {
			t.Errorf("%d tried", tried)
		}
		for range 3 {
			time.Sleep(10 * time.Minute)
			if _, err := s.Drain(t.Context(), connID); err != nil {
				t.Fatal(err)
			}
		}
		got := w.contacts()[shopifysync.CustomerID(id)]
		got.Version = want.Version
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		w.mirrors()
	})
}
