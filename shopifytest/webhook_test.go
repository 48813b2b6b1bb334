package shopifytest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

// receiver takes webhooks and answers with what status says.
type receiver struct {
	mu     sync.Mutex
	status func(n int) int // of the n-th request, from 0
	got    []received
}

type received struct {
	Time   time.Time
	Header http.Header
	Host   string
	Path   string
	Body   string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	n := len(r.got)
	r.got = append(r.got, received{time.Now(), request.Header, request.Host, request.URL.Path, string(body)})
	r.mu.Unlock()
	if r.status != nil {
		w.Header().Set("Location", "/elsewhere") // which no delivery may follow
		w.WriteHeader(r.status(n))
	}
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) topics() []string {
	var topics []string
	for _, g := range r.all() {
		topics = append(topics, g.Header.Get("X-Shopify-Topic"))
	}
	slices.Sort(topics)
	return topics
}

const subscribe = `mutation($topic: WebhookSubscriptionTopic!, $url: URL!, $fields: [String!]) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: {callbackUrl: $url, format: JSON, includeFields: $fields}) {
    webhookSubscription { id topic format includeFields apiVersion { handle supported } endpoint { ... on WebhookHttpEndpoint { callbackUrl } } }
    userErrors { field message }
  }
}`

func (a *app) subscribe(topic, url string, fields ...string) map[string]any {
	a.t.Helper()
	data := a.data(subscribe, map[string]any{"topic": topic, "url": url, "fields": fields})
	return data["webhookSubscriptionCreate"].(map[string]any)
}

const hookURL = "https://host.example/shopify/c1"

func TestSubscriptions(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{Scopes: []string{"read_customers"}})
	got := app.subscribe("CUSTOMERS_UPDATE", hookURL, "id", "updated_at")
	id := at(got, "webhookSubscription", "id")
	want := map[string]any{
		"webhookSubscription": map[string]any{
			"id": id, "topic": "CUSTOMERS_UPDATE", "format": "JSON", "includeFields": []any{"id", "updated_at"},
			// Made through a 2024-04 URL, which 2026-01 serves.
			"apiVersion": map[string]any{"handle": "2026-01", "supported": true},
			"endpoint":   map[string]any{"callbackUrl": hookURL},
		},
		"userErrors": []any{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct{ name, topic, url, field, message string }{
		{"taken", "CUSTOMERS_UPDATE", hookURL, "callbackUrl", "Address for this topic has already been taken"},
		{"not https", "CUSTOMERS_UPDATE", "http://host.example/", "callbackUrl", "Address protocol http:// is not supported"},
		{"blank", "CUSTOMERS_UPDATE", "https://", "callbackUrl", "Address is invalid"},
		{"missing scope", "CUSTOMERS_MERGE", hookURL, "topic", "You do not have permission to create or update webhooks with customers/merge topic. Required access: `read_customer_merge` access scope."},
	} {
		got := app.subscribe(tt.topic, tt.url)
		if at(got, "webhookSubscription") != nil || at(got, "userErrors", 0, "message") != tt.message {
			t.Errorf("%s: %v", tt.name, got)
		}
		field := list(at(got, "userErrors", 0, "field"))
		if len(field) == 0 || field[len(field)-1] != tt.field {
			t.Errorf("%s: field %v", tt.name, field)
		}
	}

	app.subscribe("CUSTOMERS_DELETE", hookURL)
	const update = `mutation($id: ID!, $url: URL!) { webhookSubscriptionUpdate(id: $id, webhookSubscription: {callbackUrl: $url, includeFields: null}) {
		webhookSubscription { includeFields endpoint { ... on WebhookHttpEndpoint { callbackUrl } } } userErrors { field message } } }`
	changed := app.data(update, map[string]any{"id": id, "url": hookURL + "2"})
	if at(changed, "webhookSubscriptionUpdate", "webhookSubscription", "endpoint", "callbackUrl") != hookURL+"2" {
		t.Errorf("%v", changed)
	}
	missing := pathOf(map[string]any{"field": pathOf("id"), "message": "Webhook subscription does not exist"})
	changed = app.data(update, map[string]any{"id": "gid://shopify/WebhookSubscription/1", "url": hookURL})
	if diff := cmp.Diff(missing, at(changed, "webhookSubscriptionUpdate", "userErrors")); diff != "" {
		t.Error(diff)
	}

	const listing = "query($c: String) { webhookSubscriptions(first: 1, after: $c) { nodes { id topic } pageInfo { hasNextPage endCursor } } }"
	page := app.data(listing, nil)
	if at(page, "webhookSubscriptions", "nodes", 0, "id") != id || at(page, "webhookSubscriptions", "pageInfo", "hasNextPage") != true {
		t.Errorf("%v", page)
	}
	page = app.data(listing, map[string]any{"c": at(page, "webhookSubscriptions", "pageInfo", "endCursor")})
	if at(page, "webhookSubscriptions", "nodes", 0, "topic") != "CUSTOMERS_DELETE" || at(page, "webhookSubscriptions", "pageInfo", "hasNextPage") != false {
		t.Errorf("%v", page)
	}

	const remove = `mutation($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } } }`
	if got := app.data(remove, map[string]any{"id": id}); at(got, "webhookSubscriptionDelete", "deletedWebhookSubscriptionId") != id {
		t.Errorf("%v", got)
	}
	if got := app.data(remove, map[string]any{"id": id}); cmp.Diff(missing, at(got, "webhookSubscriptionDelete", "userErrors")) != "" {
		t.Errorf("%v", got)
	}
	if left := store.Subscriptions(); len(left) != 1 || left[0].Topic != "CUSTOMERS_DELETE" {
		t.Errorf("%v", left)
	}

	// A version that ends rolls forward; the subscription stays.
	store.Configure(func(c *shopifytest.StoreConfig) { c.APIVersions = []string{"2026-04", "2026-07"} })
	if got := store.Subscriptions()[0].APIVersion; got != "2026-04" {
		t.Errorf("rolled forward to %s", got)
	}
	store.DropSubscriptions()
	if len(store.Subscriptions()) != 0 {
		t.Error("not dropped")
	}
}

func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{}
		_, store, app := start(t, shopifytest.StoreConfig{ClientSecret: "s3cret", ShopID: 99}, shopifytest.WithWebhookHandler(hook))
		app.subscribe("CUSTOMERS_UPDATE", hookURL)
		time.Sleep(90 * time.Second)
		c := store.Create(shopifytest.Customer{ID: 706405506930370084, FirstName: "王", Email: "a@example.com", Tags: []string{"VIP"}})
		synctest.Wait()
		all := hook.all()
		if len(all) != 1 {
			t.Fatalf("%d deliveries: %v", len(all), hook.topics())
		}
		got := all[0]
		if got.Host != "host.example" || got.Path != "/shopify/c1" {
			t.Errorf("sent to %s%s", got.Host, got.Path)
		}
		want := map[string]string{
			"X-Shopify-Topic":        "customers/update",
			"X-Shopify-Hmac-Sha256":  shopifytest.Sign("s3cret", []byte(got.Body)),
			"X-Shopify-Shop-Domain":  domain,
			"X-Shopify-Api-Version":  "2026-01",
			"X-Shopify-Triggered-At": "2000-01-01T00:01:30.000000Z",
			"Content-Type":           "application/json",
		}
		for name, value := range want {
			if got.Header.Get(name) != value {
				t.Errorf("%s: %q, want %q", name, got.Header.Get(name), value)
			}
		}
		if got.Header.Get("X-Shopify-Webhook-Id") == "" || got.Header.Get("X-Shopify-Event-Id") == "" {
			t.Error("no ids")
		}
		var body map[string]any
		decoder := json.NewDecoder(strings.NewReader(got.Body))
		decoder.UseNumber()
		check(t, decoder.Decode(&body))
		if body["id"] != json.Number("706405506930370084") || body["updated_at"] != "2000-01-01T08:01:30+08:00" || body["state"] != "disabled" {
			t.Errorf("%s", got.Body)
		}
		for _, gone := range []string{"tags", "email_marketing_consent", "sms_marketing_consent", "total_spent", "orders_count", "last_order_id"} {
			if _, ok := body[gone]; ok {
				t.Errorf("a payload of 2025-01 and later has no %s", gone)
			}
		}
		if attempts := store.Attempts(); len(attempts) != 1 || !attempts[0].OK() || attempts[0].Number != 1 {
			t.Errorf("%+v", attempts)
		}
		_ = c
	})
}

func TestPayloadOf202404(t *testing.T) {
	_, store, _ := start(t, shopifytest.StoreConfig{APIVersions: []string{"2024-04"}})
	c := store.Create(shopifytest.Customer{Tags: []string{"a", "b"}, Email: "a@example.com", NumberOfOrders: 2, AmountSpent: shopifytest.Money{Amount: "10.5"}})
	r, err := store.Delivery("customers/update", c.ID)
	check(t, err)
	body, err := io.ReadAll(r.Body)
	check(t, err)
	for _, part := range []string{
		`"tags":"a, b"`, `"orders_count":2`, `"total_spent":"10.50"`,
		`"email_marketing_consent":{"state":"not_subscribed","opt_in_level":"single_opt_in","consent_updated_at":null}`,
	} {
		if !strings.Contains(string(body), part) {
			t.Errorf("no %s in %s", part, body)
		}
	}
	if r.Header.Get("X-Shopify-Api-Version") != "2024-04" {
		t.Errorf("%v", r.Header)
	}
}

func TestTopicsOfEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{}
		_, store, app := start(t, shopifytest.StoreConfig{}, shopifytest.WithWebhookHandler(hook))
		for _, topic := range []string{
			"CUSTOMERS_CREATE", "CUSTOMERS_UPDATE", "CUSTOMERS_DELETE", "CUSTOMERS_MERGE", "CUSTOMERS_ENABLE", "CUSTOMERS_DISABLE",
			"CUSTOMERS_EMAIL_MARKETING_CONSENT_UPDATE", "CUSTOMERS_MARKETING_CONSENT_UPDATE", "CUSTOMER_TAGS_ADDED", "CUSTOMER_TAGS_REMOVED",
			"CUSTOMERS_PURCHASING_SUMMARY",
		} {
			if got := app.subscribe(topic, hookURL); at(got, "webhookSubscription") == nil {
				t.Fatalf("%s: %v", topic, got)
			}
		}
		var a, b shopifytest.Customer
		for _, tt := range []struct {
			name string
			act  func()
			want []string
		}{
			{"create", func() { a = store.Create(shopifytest.Customer{}) }, []string{"customers/create", "customers/update"}},
			{"edit", func() { check(t, store.Update(a.ID, func(c *shopifytest.Customer) { c.Note = "x" })) }, []string{"customers/update"}},
			{"account", func() { check(t, store.Update(a.ID, func(c *shopifytest.Customer) { c.State = "ENABLED" })) }, []string{"customers/enable", "customers/update"}},
			{"account closed", func() { check(t, store.Update(a.ID, func(c *shopifytest.Customer) { c.State = "DISABLED" })) }, []string{"customers/disable", "customers/update"}},
			{"e-mail consent", func() {
				check(t, store.Update(a.ID, func(c *shopifytest.Customer) { c.EmailConsent = &shopifytest.EmailConsent{State: "SUBSCRIBED"} }))
			}, []string{"customers/update", "customers_email_marketing_consent/update"}},
			{"SMS consent", func() {
				check(t, store.Update(a.ID, func(c *shopifytest.Customer) { c.SMSConsent = &shopifytest.SMSConsent{State: "SUBSCRIBED"} }))
			}, []string{"customers/update", "customers_marketing_consent/update"}},
			{"tags", func() { check(t, store.AddTags(a.ID, "x", "y")) }, []string{"customer.tags_added"}},
			{"tags off", func() { check(t, store.RemoveTags(a.ID, "x")) }, []string{"customer.tags_removed"}},
			{"nothing", func() { check(t, store.AddTags(a.ID, "y")) }, nil},
			{"order", func() { check(t, store.PlaceOrder(a.ID, "5.0")) }, []string{"customers/purchasing_summary"}},
			{"quiet", func() { check(t, store.UpdateQuietly(a.ID, func(c *shopifytest.Customer) { c.Note = "y" })) }, nil},
			{"another", func() { b = store.Create(shopifytest.Customer{}) }, []string{"customers/create", "customers/update"}},
			{"merge", func() { check(t, store.Merge(a.ID, b.ID)) }, []string{"customers/merge", "customers/update"}},
			{"failed merge", func() { store.FailMerge(a.ID, b.ID) }, []string{"customers/merge"}},
			{"delete", func() { check(t, store.Delete(a.ID)) }, []string{"customers/delete"}},
		} {
			hook.mu.Lock()
			hook.got = nil
			hook.mu.Unlock()
			tt.act()
			synctest.Wait()
			if diff := cmp.Diff(tt.want, hook.topics()); diff != "" {
				t.Errorf("%s:\n%s", tt.name, diff)
			}
			events := map[string]bool{}
			for _, g := range hook.all() {
				events[g.Header.Get("X-Shopify-Event-Id")] = true
			}
			if len(tt.want) > 0 && len(events) != 1 {
				t.Errorf("%s: %d event ids", tt.name, len(events))
			}
		}
	})
}

func TestPayloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, _ := start(t, shopifytest.StoreConfig{ShopID: 99})
		c := store.Create(shopifytest.Customer{ID: 7, Email: "a@example.com", Phone: "+886912345678", Tags: []string{"VIP"}, AmountSpent: shopifytest.Money{Amount: "5.5"}})
		for _, tt := range []struct {
			topic string
			ids   []int64
			want  string
		}{
			{"customers/delete", []int64{c.ID}, `{"id":7,"tax_exemptions":[],"admin_graphql_api_id":"gid://shopify/Customer/7"}`},
			{"customers/merge", []int64{c.ID, 8}, `{"admin_graphql_api_customer_kept_id":"gid://shopify/Customer/7","admin_graphql_api_customer_deleted_id":"gid://shopify/Customer/8","admin_graphql_api_job_id":null,"status":"completed","errors":[]}`},
			{"customer.tags_added", []int64{c.ID}, `{"customerId":"gid://shopify/Customer/7","tags":["VIP"],"occurredAt":"2000-01-01T08:00:00+08:00"}`},
			{"customers_email_marketing_consent/update", []int64{c.ID}, `{"customer_id":7,"email_address":"a@example.com","email_marketing_consent":{"state":"not_subscribed","opt_in_level":"single_opt_in","consent_updated_at":null}}`},
			{"customers_marketing_consent/update", []int64{c.ID}, `{"id":7,"phone":"+886912345678","sms_marketing_consent":{"state":"not_subscribed","opt_in_level":"unknown","consent_updated_at":null,"consent_collected_from":null}}`},
			{"customers/purchasing_summary", []int64{c.ID}, `{"customerId":"gid://shopify/Customer/7","numberOfOrders":0,"amountSpent":{"amount":"5.5","currencyCode":"TWD"},"lastOrderId":"gid://shopify/Order/7","occurredAt":"2000-01-01T08:00:00+08:00"}`},
			{"customers/redact", []int64{c.ID}, `{"shop_id":99,"shop_domain":"demo.myshopify.com","customer":{"id":7,"email":"a@example.com","phone":"+886912345678"},"orders_to_redact":[]}`},
			{"shop/redact", nil, `{"shop_id":99,"shop_domain":"demo.myshopify.com"}`},
			{"customers/redact", []int64{404}, `{"shop_id":99,"shop_domain":"demo.myshopify.com","customer":{"id":404,"email":null,"phone":null},"orders_to_redact":[]}`},
		} {
			r, err := store.Delivery(tt.topic, tt.ids...)
			check(t, err)
			body, err := io.ReadAll(r.Body)
			check(t, err)
			if diff := cmp.Diff(tt.want, string(body)); diff != "" {
				t.Errorf("%s:\n%s", tt.topic, diff)
			}
			if r.Header.Get("X-Shopify-Hmac-Sha256") != shopifytest.Sign("client-secret", body) || r.Header.Get("X-Shopify-Topic") != tt.topic {
				t.Errorf("%s: %v", tt.topic, r.Header)
			}
		}
		r, err := store.Delivery("customers/data_request", c.ID)
		check(t, err)
		if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), `"orders_requested":[],"customer":{"id":7`) || !strings.Contains(string(body), `"data_request":{"id":`) {
			t.Errorf("%s", body)
		}
		r, err = store.Delivery("app/uninstalled")
		check(t, err)
		if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), `{"id":99,`) || !strings.Contains(string(body), `"myshopify_domain":null`) {
			t.Errorf("%s", body)
		}
		for _, bad := range []string{"customers/merge", "orders/create", "customers/redact"} {
			if _, err := store.Delivery(bad); err == nil {
				t.Errorf("%s without customers: no error", bad)
			}
		}
	})
}

func TestDeliveryHidesProtectedData(t *testing.T) {
	_, store, _ := start(t, shopifytest.StoreConfig{Access: shopifytest.NoPersonalData, UnprefixedHeaders: true})
	c := store.Create(shopifytest.Customer{Email: "a@example.com", FirstName: "Ann", Phone: "+886912345678", DefaultAddress: &shopifytest.Address{City: "Taipei"}})
	r, err := store.Delivery("customers/update", c.ID)
	check(t, err)
	body, _ := io.ReadAll(r.Body)
	for _, secret := range []string{"a@example.com", "Ann", "912345678", "Taipei"} {
		if strings.Contains(string(body), secret) {
			t.Errorf("%s in %s", secret, body)
		}
	}
	if r.Header.Get("Shopify-Topic") != "customers/update" || r.Header.Get("X-Shopify-Topic") != "" || r.Header.Get("Shopify-Hmac-Sha256") == "" {
		t.Errorf("%v", r.Header)
	}
}

func TestAppWideTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{}
		_, store, app := start(t, shopifytest.StoreConfig{AppWebhookURL: "https://host.example/app"}, shopifytest.WithWebhookHandler(hook))
		c := store.Create(shopifytest.Customer{})
		app.subscribe("APP_UNINSTALLED", hookURL)
		check(t, store.Notify("customers/data_request", c.ID))
		check(t, store.Notify("customers/redact", c.ID))
		check(t, store.Notify("shop/redact"))
		synctest.Wait()
		store.Uninstall()
		synctest.Wait()
		want := []string{"app/uninstalled", "app/uninstalled", "customers/data_request", "customers/redact", "shop/redact"}
		if diff := cmp.Diff(want, hook.topics()); diff != "" {
			t.Error(diff)
		}
		for _, g := range hook.all() {
			if g.Path != "/app" && g.Header.Get("X-Shopify-Topic") != "app/uninstalled" {
				t.Errorf("%s at %s", g.Header.Get("X-Shopify-Topic"), g.Path)
			}
		}
		if len(store.Subscriptions()) != 0 {
			t.Error("subscriptions outlived the app")
		}
	})
}

// Eight retries in four hours, each pause twice as long; the body stays what
// it was; the signature is of the secret of the moment.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{status: func(n int) int {
			if n < 8 {
				return 503
			}
			return 200
		}}
		_, store, app := start(t, shopifytest.StoreConfig{}, shopifytest.WithWebhookHandler(hook))
		app.subscribe("CUSTOMERS_UPDATE", hookURL)
		c := store.Create(shopifytest.Customer{Note: "first"})
		time.Sleep(time.Second)
		began := hook.all()[0].Time
		check(t, store.UpdateQuietly(c.ID, func(c *shopifytest.Customer) { c.Note = "second" }))
		store.Configure(func(c *shopifytest.StoreConfig) { c.ClientSecret = "rotated" })
		time.Sleep(5 * time.Hour)
		all := hook.all()
		if len(all) != 9 {
			t.Fatalf("%d attempts", len(all))
		}
		pause := time.Duration(0)
		for i, g := range all[1:] {
			gap := g.Time.Sub(all[i].Time)
			if i > 0 && (gap < pause*19/10 || gap > pause*21/10) {
				t.Errorf("pause %d is %v after %v", i, gap, pause)
			}
			pause = gap
			if g.Body != all[0].Body || g.Header.Get("X-Shopify-Webhook-Id") != all[0].Header.Get("X-Shopify-Webhook-Id") {
				t.Errorf("attempt %d is another delivery", i)
			}
			if g.Header.Get("X-Shopify-Hmac-Sha256") != shopifytest.Sign("rotated", []byte(g.Body)) {
				t.Errorf("attempt %d is signed with the old secret", i)
			}
		}
		if took := all[8].Time.Sub(began); took < 4*time.Hour-time.Minute || took > 4*time.Hour+time.Minute {
			t.Errorf("eight retries took %v", took)
		}
		if len(store.Subscriptions()) != 1 {
			t.Error("the subscription is gone though the last retry was taken")
		}
	})
}

func TestSubscriptionIsDeletedAfterFailures(t *testing.T) {
	for _, status := range []int{302, 404, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hook := &receiver{status: func(int) int { return status }}
				_, store, app := start(t, shopifytest.StoreConfig{AppWebhookURL: "https://host.example/app"}, shopifytest.WithWebhookHandler(hook))
				app.subscribe("CUSTOMERS_UPDATE", hookURL)
				store.Create(shopifytest.Customer{})
				time.Sleep(4*time.Hour - time.Minute)
				if len(store.Subscriptions()) != 1 {
					t.Error("deleted too early")
				}
				time.Sleep(2 * time.Minute)
				if len(store.Subscriptions()) != 0 || len(hook.all()) != 9 {
					t.Errorf("%d attempts, %d subscriptions", len(hook.all()), len(store.Subscriptions()))
				}
				store.Create(shopifytest.Customer{})
				time.Sleep(time.Hour)
				if len(hook.all()) != 9 {
					t.Error("delivered to a deleted subscription")
				}
			})
		})
	}
}

// One event that the receiver cannot digest does not cost the subscription.
func TestSubscriptionOutlivesOneBadEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); string(body) == `{"id":1}` {
				w.WriteHeader(500)
			}
		})
		_, store, app := start(t, shopifytest.StoreConfig{}, shopifytest.WithWebhookHandler(hook))
		app.subscribe("CUSTOMERS_UPDATE", hookURL, "id")
		check(t, store.Notify("customers/update", 1))
		time.Sleep(time.Minute)
		check(t, store.Notify("customers/update", 2))
		time.Sleep(5 * time.Hour)
		if len(store.Subscriptions()) != 1 || len(store.Attempts()) != 10 {
			t.Errorf("%d subscriptions, %d attempts", len(store.Subscriptions()), len(store.Attempts()))
		}
	})
}

func TestReceiverHasFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wait atomic.Int64
		wait.Store(int64(5*time.Second + time.Millisecond))
		slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Duration(wait.Load())) })
		_, store, app := start(t, shopifytest.StoreConfig{}, shopifytest.WithWebhookHandler(slow))
		app.subscribe("CUSTOMERS_DELETE", hookURL)
		check(t, store.Notify("customers/delete", 1))
		time.Sleep(10 * time.Second)
		if got := store.Attempts(); len(got) != 1 || got[0].Status != 0 || got[0].OK() {
			t.Errorf("%+v", got)
		}
		wait.Store(int64(4 * time.Second))
		time.Sleep(2 * time.Minute)
		if got := store.Attempts(); len(got) != 2 || !got[1].OK() {
			t.Errorf("%+v", got)
		}
	})
}

func TestWebhookFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{}
		_, store, app := start(t, shopifytest.StoreConfig{}, shopifytest.WithWebhookHandler(hook))
		app.subscribe("CUSTOMERS_UPDATE", hookURL, "id")
		send := func(id int64) { check(t, store.Notify("customers/update", id)) }
		bodies := func() []string {
			var bodies []string
			for _, g := range hook.all() {
				bodies = append(bodies, g.Body)
			}
			return bodies
		}
		store.Inject(shopifytest.Fault{Operation: "customers/update", Delay: time.Minute})            // 1 comes late
		store.Inject(shopifytest.Fault{Operation: "customers/update", Drop: shopifytest.DropRequest}) // 2 never
		store.Inject(shopifytest.Fault{Operation: shopifytest.OpWebhook, Copies: 2})                  // 3 three times
		for id := range int64(4) {
			send(id + 1)
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		want := []string{`{"id":3}`, `{"id":3}`, `{"id":3}`, `{"id":4}`, `{"id":1}`}
		if diff := cmp.Diff(want, bodies()); diff != "" {
			t.Error(diff)
		}
		store.Inject(shopifytest.Fault{Operation: "customers/update", Status: 500})
		send(5)
		time.Sleep(time.Hour)
		attempts := store.Attempts()
		last := attempts[len(attempts)-2:]
		if last[0].Status != 500 || last[1].Status != 200 || last[1].Number != 2 || last[0].WebhookID != last[1].WebhookID {
			t.Errorf("%+v", last)
		}
	})
}

func TestBulkFinishIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{}
		_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: 10}, shopifytest.WithWebhookHandler(hook))
		store.Generate(100, 1)
		app.subscribe("BULK_OPERATIONS_FINISH", hookURL)
		id := text(at(app.runBulk(bulkQuery), "bulkOperation", "id"))
		time.Sleep(9 * time.Second)
		if len(hook.all()) != 0 {
			t.Error("too early")
		}
		time.Sleep(2 * time.Second)
		want := `{"admin_graphql_api_id":"` + id + `","completed_at":"2000-01-01T08:00:10+08:00","created_at":"2000-01-01T08:00:00+08:00","error_code":null,"status":"completed","type":"query"}`
		if all := hook.all(); len(all) != 1 || all[0].Body != want {
			t.Errorf("%+v", all)
		}
	})
}
