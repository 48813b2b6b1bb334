package shopifytest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

func TestListOfVersions(t *testing.T) {
	want := []string{
		"2024-04", "2024-07", "2024-10", "2025-01", "2025-04", "2025-07", "2025-10",
		"2026-01", "2026-04", "2026-07", "2026-10",
	}
	if diff := cmp.Diff(want, shopifytest.Versions()); diff != "" {
		t.Error(diff)
	}
}

// Every topic of every version: signed, for this store, in the version's
// shape.
func TestDeliveryOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, app := start(t, shopifytest.StoreConfig{ShopID: 99})
		app.subscribe("CUSTOMERS_UPDATE", hookURL, "id")
		kept := store.Create(shopifytest.Customer{ID: 7, Email: "a@example.com", Phone: "+886912345678", Tags: []string{"VIP"}}).ID
		const gone = 8
		since := map[string]string{
			"app/scopes_update": "2024-10", "customers/purchasing_summary": "2025-01",
			"customers_whats_app_marketing_consent/update": "2026-07",
		}
		seen := map[string]int{}
		for _, version := range shopifytest.Versions() {
			for _, topic := range shopifytest.Topics(version) {
				seen[topic]++
				r, err := store.DeliveryOf(version, topic, kept, gone)
				check(t, err)
				body, err := io.ReadAll(r.Body)
				check(t, err)
				var object map[string]any
				if err := json.Unmarshal(body, &object); err != nil || len(object) == 0 {
					t.Errorf("%s %s: %v: %s", version, topic, err, body)
				}
				for name, want := range map[string]string{
					"X-Shopify-Topic": topic, "X-Shopify-Api-Version": version, "X-Shopify-Shop-Domain": domain,
					"X-Shopify-Hmac-Sha256": shopifytest.Sign("client-secret", body),
				} {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s %s: %s is %q, not %q", version, topic, name, got, want)
					}
				}
				if _, tags := object["tags"]; topic == "customers/update" && (tags != (version < "2025-01") || object["state"] == nil || r.URL.String() != hookURL) {
					t.Errorf("%s: %s at %s", version, body, r.URL)
				}
				if topic == "customers/merge" && !strings.Contains(string(body), "Customer/8") {
					t.Errorf("%s: %s", version, body)
				}
			}
		}
		for topic, n := range seen {
			want := len(shopifytest.Versions()) - max(0, slices.Index(shopifytest.Versions(), since[topic]))
			if n != want {
				t.Errorf("%s: in %d versions, not %d", topic, n, want)
			}
		}
		if len(seen) != 19 {
			t.Errorf("%d topics", len(seen))
		}
		for _, tt := range []struct{ version, topic string }{
			{"2026-04", "customers_whats_app_marketing_consent/update"}, {"2026-10", "orders/create"}, {"2026-10", "customers/merge"},
		} {
			if _, err := store.DeliveryOf(tt.version, tt.topic, kept); !errors.Is(err, shopifytest.ErrTopic) {
				t.Errorf("%s %s of one customer: %v", tt.version, tt.topic, err)
			}
		}
	})
}

// A topic that the served version does not know is no topic.
func TestServedVersionDecidesTheTopics(t *testing.T) {
	for _, version := range shopifytest.Versions() {
		_, store, app := start(t, shopifytest.StoreConfig{APIVersions: []string{version}})
		app.version = version
		for topic, since := range map[string]string{
			"CUSTOMERS_UPDATE": "2024-04", "CUSTOMERS_PURCHASING_SUMMARY": "2025-01", "APP_SCOPES_UPDATE": "2024-10",
			"CUSTOMERS_WHATS_APP_MARKETING_CONSENT_UPDATE": "2026-07", "CUSTOMERS_REDACT": "never",
		} {
			got := app.do(subscribe, map[string]any{"topic": topic, "url": hookURL})
			if known := got.Errors == nil; known != (version >= since) {
				t.Errorf("%s: %s is known: %v: %.300s", version, topic, known, got.Body)
			}
		}
		for _, s := range store.Subscriptions() {
			if s.APIVersion != version {
				t.Errorf("%s: %+v", version, s)
			}
		}
		count := app.do("{ customersCount { count } }", nil)
		if known := count.Errors == nil; known != (version >= "2025-07") {
			t.Errorf("%s has customersCount: %v", version, known)
		}
	}
}

func bodiesOf(hook *receiver) []string {
	var bodies []string
	for _, g := range hook.all() {
		bodies = append(bodies, g.Body)
	}
	return bodies
}

// A subscription that chose its fields does not get the same body twice within
// moments.
func TestDebounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{}
		_, store, app := start(t, shopifytest.StoreConfig{TimeZone: "UTC"}, shopifytest.WithWebhookHandler(hook))
		app.subscribe("CUSTOMERS_UPDATE", hookURL, "id")
		app.subscribe("CUSTOMERS_UPDATE", hookURL+"/fields", "id", "updated_at")
		app.subscribe("CUSTOMERS_UPDATE", hookURL+"/all")
		edit := func(id int64) {
			t.Helper()
			check(t, store.Update(id, func(c *shopifytest.Customer) { c.Note += "x" }))
			synctest.Wait()
		}
		count := func() map[string]int {
			n := map[string]int{}
			for _, g := range hook.all() {
				n[strings.TrimPrefix("https://"+g.Host+g.Path, hookURL)]++
			}
			return n
		}
		expect := func(when string, id, fields, all int) {
			t.Helper()
			if diff := cmp.Diff(map[string]int{"": id, "/fields": fields, "/all": all}, count()); diff != "" {
				t.Errorf("%s: %s", when, diff)
			}
		}
		a, b := store.Create(shopifytest.Customer{ID: 1}).ID, store.Create(shopifytest.Customer{ID: 2}).ID
		synctest.Wait()
		expect("created", 2, 2, 2)
		edit(a)
		expect("edited in the same second", 2, 2, 3)
		time.Sleep(time.Second)
		edit(a)
		edit(b)
		expect("a second later", 2, 4, 5)
		check(t, store.Notify("customers/update", a))
		synctest.Wait()
		expect("Notify always tells", 3, 5, 6)
		for range 3 {
			time.Sleep(6 * time.Second)
			edit(a)
		}
		expect("three times, longer after", 6, 8, 9)
		store.Configure(func(c *shopifytest.StoreConfig) { c.NoDebounce = true })
		edit(a)
		expect("switched off", 7, 9, 10)
	})
}

func TestScopesUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{}
		_, store, app := start(t, shopifytest.StoreConfig{ShopID: 99, TimeZone: "UTC", Scopes: []string{"read_customers"}}, shopifytest.WithWebhookHandler(hook))
		app.subscribe("APP_SCOPES_UPDATE", hookURL)
		time.Sleep(time.Second)
		store.Configure(func(c *shopifytest.StoreConfig) { c.Latency = time.Millisecond })
		store.Configure(func(c *shopifytest.StoreConfig) { c.Scopes = append(c.Scopes, "read_customer_merge") })
		synctest.Wait()
		store.Configure(func(c *shopifytest.StoreConfig) { slices.Reverse(c.Scopes) })
		synctest.Wait()
		want := []string{`{"id":100,"shop_id":"gid://shopify/Shop/99","previous":["read_customers"],"current":["read_customers","read_customer_merge"],"updated_at":"2000-01-01T00:00:01Z"}`}
		if diff := cmp.Diff(want, bodiesOf(hook)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMergeStatuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{}
		_, store, app := start(t, shopifytest.StoreConfig{}, shopifytest.WithWebhookHandler(hook))
		app.subscribe("CUSTOMERS_MERGE", hookURL)
		a, b := store.Create(shopifytest.Customer{}).ID, store.Create(shopifytest.Customer{}).ID
		for _, status := range []string{"in_progress", "requested", "FAILED"} {
			store.NotifyMerge(a, b, status)
			synctest.Wait()
		}
		store.FailMerge(a, b)
		synctest.Wait()
		check(t, store.Merge(a, b))
		synctest.Wait()
		var got []string
		for _, body := range bodiesOf(hook) {
			var merge struct {
				Status string
				Errors []any
			}
			check(t, json.Unmarshal([]byte(body), &merge))
			got = append(got, fmt.Sprint(merge.Status, " ", len(merge.Errors)))
		}
		want := []string{"in_progress 0", "requested 0", "FAILED 1", "failed 1", "completed 0"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// A canceled operation ends then, not when its rows would have been written.
func TestBulkFinishOfACanceledOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{}
		_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: 1}, shopifytest.WithWebhookHandler(hook))
		store.Generate(100, 1)
		app.subscribe("BULK_OPERATIONS_FINISH", hookURL)
		id := at(app.runBulk(bulkQuery), "bulkOperation", "id")
		for range 2 {
			app.data(`mutation($id: ID!) { bulkOperationCancel(id: $id) { userErrors { message } } }`, map[string]any{"id": id})
		}
		time.Sleep(2 * time.Second)
		if got := bodiesOf(hook); len(got) != 1 || !strings.Contains(got[0], `"status":"canceled"`) {
			t.Error(got)
		}
		time.Sleep(time.Hour)
		if got := bodiesOf(hook); len(got) != 1 {
			t.Error(got)
		}
	})
}

// Some are lost, some come twice, all in another order; the same ones in each
// test.
func TestShuffleAndPercent(t *testing.T) {
	const n = 200
	history := func() (ids []string, lost int) {
		synctest.Test(t, func(t *testing.T) {
			hook := &receiver{}
			_, store, app := start(t, shopifytest.StoreConfig{}, shopifytest.WithWebhookHandler(hook))
			app.subscribe("CUSTOMERS_UPDATE", hookURL, "id")
			store.Inject(shopifytest.Fault{Operation: "customers/update", Times: shopifytest.Always, Percent: 25, Drop: shopifytest.DropRequest})
			store.Inject(shopifytest.Fault{Operation: "customers/update", Times: shopifytest.Always, Copies: 1, Shuffle: 4 * time.Hour})
			began := time.Now()
			for id := range int64(n) {
				check(t, store.Notify("customers/update", id+1))
				synctest.Wait()
			}
			time.Sleep(5 * time.Hour)
			ids = bodiesOf(hook)
			if len(ids) == 0 {
				t.Fatal("none came")
			}
			if last := hook.all()[len(ids)-1].Time.Sub(began); last < 3*time.Hour || last >= 4*time.Hour {
				t.Errorf("the last came after %v", last)
			}
			for _, a := range store.Attempts() {
				if a.Lost {
					lost++
				}
			}
		})
		return ids, lost
	}
	ids, lost := history()
	if lost < n/8 || lost > n/2 || len(ids) != 2*(n-lost) {
		t.Errorf("%d of %d were lost, %d came", lost, n, len(ids))
	}
	if slices.IsSorted(ids) {
		t.Error("in the order of the events")
	}
	again, _ := history()
	if diff := cmp.Diff(ids, again); diff != "" {
		t.Error("another history with the same chance: " + diff)
	}
}

func TestPick(t *testing.T) {
	_, store, _ := start(t, shopifytest.StoreConfig{})
	if _, ok := store.Pick(1); ok {
		t.Error("picked from an empty store")
	}
	store.Generate(5, 1)
	store.Create(shopifytest.Customer{})
	gone := store.Create(shopifytest.Customer{}).ID
	check(t, store.Delete(gone))
	check(t, store.Delete(store.Newest(10)[3].ID))
	picked := map[int64]bool{}
	for n := range uint64(50) {
		c, ok := store.Pick(n)
		again, _ := store.Pick(n)
		if _, there := store.Customer(c.ID); !ok || !there || again.ID != c.ID {
			t.Errorf("%d: %v, then %d", n, c.ID, again.ID)
		}
		picked[c.ID] = true
	}
	if len(picked) != store.Count() {
		t.Errorf("%d of %d customers", len(picked), store.Count())
	}
}

func TestGlobalIDs(t *testing.T) {
	_, store, _ := start(t, shopifytest.StoreConfig{ShopID: 99, GlobalIDs: true})
	numeric := regexp.MustCompile(`"(customer_)?id":7\b`)
	for _, topic := range shopifytest.Topics("2026-10") {
		r, err := store.DeliveryOf("2026-10", topic, 7, 8)
		check(t, err)
		body, err := io.ReadAll(r.Body)
		check(t, err)
		if numeric.Match(body) || strings.HasPrefix(topic, "customer") != strings.Contains(string(body), "gid://shopify/Customer/7") {
			t.Errorf("%s: %s", topic, body)
		}
	}
}

// The one that is kept gains the amount spent of the one that is gone.
func TestMergeAddsAmounts(t *testing.T) {
	for _, tt := range []struct{ kept, gone, currency, want string }{
		{"10.5", "0.25", "", "10.75"},
		{"5.55", "1.45", "", "7.0"},
		{"", "", "", "0.0"},
		{"99999999999999999999.9", "0.1", "", "100000000000000000000.0"},
		{"10.5", "3.0", "HKD", "10.5"},
	} {
		_, store, _ := start(t, shopifytest.StoreConfig{})
		kept := store.Create(shopifytest.Customer{NumberOfOrders: 2, AmountSpent: shopifytest.Money{Amount: tt.kept}})
		gone := store.Create(shopifytest.Customer{NumberOfOrders: 3, AmountSpent: shopifytest.Money{Amount: tt.gone, Currency: tt.currency}})
		check(t, store.Merge(kept.ID, gone.ID))
		got, _ := store.Customer(kept.ID)
		if got.AmountSpent.Amount != tt.want || got.NumberOfOrders != 5 {
			t.Errorf("%s and %s %s: %s of %d orders, want %s of 5", tt.kept, tt.gone, tt.currency, got.AmountSpent.Amount, got.NumberOfOrders, tt.want)
		}
	}
}
