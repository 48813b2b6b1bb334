package shopifysync_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

const ourURL = "https://hooks.example.com/shopify/tenant-1"

// topicsOf are the topics that a connection subscribes to when a version is served.
func topicsOf(version string) []string {
	topics := []string{
		"APP_UNINSTALLED", "BULK_OPERATIONS_FINISH", "CUSTOMERS_CREATE", "CUSTOMERS_DELETE", "CUSTOMERS_DISABLE",
		"CUSTOMERS_EMAIL_MARKETING_CONSENT_UPDATE", "CUSTOMERS_ENABLE", "CUSTOMERS_MARKETING_CONSENT_UPDATE", "CUSTOMERS_MERGE",
		"CUSTOMERS_UPDATE", "CUSTOMER_TAGS_ADDED", "CUSTOMER_TAGS_REMOVED",
	}
	if version >= "2024-10" {
		topics = append(topics, "APP_SCOPES_UPDATE")
	}
	if version >= "2025-01" {
		topics = append(topics, "CUSTOMERS_PURCHASING_SUMMARY")
	}
	if version >= "2026-07" {
		topics = append(topics, "CUSTOMERS_WHATS_APP_MARKETING_CONSENT_UPDATE")
	}
	slices.Sort(topics)
	return topics
}

// subscribed returns the topics that the store sends to an address.
func (w *world) subscribed(address string) []string {
	var topics []string
	for _, s := range w.shop.Subscriptions() {
		if s.URL == address {
			topics = append(topics, s.Topic)
		}
	}
	slices.Sort(topics)
	return topics
}

var officialVersions = []string{
	"2024-04", "2024-07", "2024-10", "2025-01", "2025-07", "2025-10", "2026-01", "2026-04", "2026-07", "2026-10", "unstable",
}

// Each official version works when it is asked for and served, with the topics
// that it knows; one that is no longer served works, too, and is warned of.
func TestVersions(t *testing.T) {
	for _, version := range officialVersions {
		for _, rolled := range []bool{false, true} {
			name, served := version, version
			if rolled {
				name += " rolled over"
			}
			t.Run(name, func(t *testing.T) {
				inWorld(t, 30, func(t *testing.T, w *world) {
					conns := w.connectable()
					w.conn.APIVersion = version
					w.shop.Configure(func(c *shopifytest.StoreConfig) {
						switch {
						case rolled:
							c.APIVersions, served = []string{"2026-10"}, "2026-10"
						case version == "unstable":
							served = "2026-10"
						default:
							c.APIVersions = []string{version}
						}
					})
					s := w.syncerWith(conns)
					h := w.connect(s)
					if h.AskedVersion != version || h.ServedVersion != served {
						t.Errorf("asked %s, served %s", h.AskedVersion, h.ServedVersion)
					}
					warned := len(h.Warnings) == 1 && strings.Contains(h.Warnings[0], served)
					if want := version != "unstable" && served != version; warned != want || len(h.Warnings) > 1 {
						t.Errorf("warnings %q", h.Warnings)
					}
					if diff := cmp.Diff(topicsOf(served), w.subscribed(ourURL)); diff != "" {
						t.Errorf("topics (-want +got):\n%s", diff)
					}
					if r := w.sync(s); r.ServedVersion != served {
						t.Errorf("the run: %+v", r)
					}
					w.mirrors()
				})
			})
		}
	}
}

// A deprecation reaches the log and the health.
func TestDeprecationIsTold(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		conns := w.connectable()
		w.conn.APIVersion = "2026-10"
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.DeprecatedReason = "callbackUrl goes" })
		h := w.connect(w.syncerWith(conns, w.logged()))
		if len(h.Warnings) != 1 || !strings.Contains(h.Warnings[0], "callbackUrl goes") || !strings.Contains(w.log.String(), "callbackUrl goes") {
			t.Errorf("warnings %q", h.Warnings)
		}
	})
}

// A policy that asks for a consent which cannot be read links nobody, and that
// is told.
func TestUnreadWhatsAppConsentIsTold(t *testing.T) {
	type test struct {
		policy  shopifysync.WhatsAppPolicy
		served  string
		without shopifysync.FieldSet
		want    bool
	}
	for name, test := range map[string]test{
		"subscribed, before there was one": {shopifysync.WhatsAppSubscribed, "2026-04", 0, true},
		"subscribed, left out":             {shopifysync.WhatsAppSubscribed, "2026-07", shopifysync.FieldWhatsAppConsent, true},
		"subscribed":                       {shopifysync.WhatsAppSubscribed, "2026-07", 0, false},
		"all":                              {shopifysync.WhatsAppAll, "2026-04", 0, false},
		"none":                             {shopifysync.WhatsAppNone, "2026-04", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 1, func(t *testing.T, w *world) {
				conns := w.connectable()
				w.conn.APIVersion = test.served
				w.serve(test.served)
				w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa", Policy: test.policy}
				h := w.connect(w.syncerWith(conns, shopifysync.WithoutFields(test.without)))
				told := len(h.Warnings) == 1 && strings.Contains(h.Warnings[0], "from API version 2026-07 on")
				if told != test.want || len(h.Warnings) > 1 {
					t.Errorf("warnings %q", h.Warnings)
				}
			})
		})
	}
}

// A filter that Shopify does not understand lists everybody: catch-ups would
// not work, and that is told.
func TestSearchWarningIsTold(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		conns := w.connectable()
		w.conn.APIVersion = "2026-10"
		w.shop.Inject(shopifytest.Fault{Operation: "ChangedCustomers", Times: shopifytest.Always, Edit: func(m map[string]any) {
			m["extensions"].(map[string]any)["search"] = []any{map[string]any{
				"path": []any{"customers"}, "warnings": []any{map[string]any{"field": "updated_at", "code": "invalid_field"}},
			}}
		}})
		h := w.connect(w.syncerWith(conns, w.logged()))
		if h.State != shopifysync.HealthOK || len(h.Warnings) != 1 || !strings.Contains(h.Warnings[0], "catch-ups") || !strings.Contains(w.log.String(), "catch-ups") {
			t.Errorf("%q %q\n%s", h.State, h.Warnings, w.log)
		}
	})
}

// The subscription matrix: whatever is there, one check later there is exactly
// one subscription of ours for each topic, and those of others are untouched.
func TestSubscriptionsAreRepaired(t *testing.T) {
	type sub = shopifytest.Subscription
	with := func(topic, address string, fields ...string) sub {
		return sub{Topic: topic, URL: address, IncludeFields: fields}
	}
	ours := func(topic string) sub { return with(topic, ourURL, "id", "updated_at") }
	const update = "CUSTOMERS_UPDATE"
	tests := map[string]struct {
		there []sub // instead of the right one for customers/update
		want  shopifysync.SubscriptionState
		reqs  int // mutations
	}{
		"right":                       {[]sub{ours(update)}, shopifysync.SubscriptionOK, 0},
		"fields in another order":     {[]sub{with(update, ourURL, "updated_at", "id")}, shopifysync.SubscriptionOK, 0},
		"missing":                     {nil, shopifysync.SubscriptionCreated, 1},
		"all fields":                  {[]sub{with(update, ourURL)}, shopifysync.SubscriptionRepaired, 1},
		"a field too few":             {[]sub{with(update, ourURL, "id")}, shopifysync.SubscriptionRepaired, 1},
		"a field too many":            {[]sub{with(update, ourURL, "id", "updated_at", "email")}, shopifysync.SubscriptionRepaired, 1},
		"another host":                {[]sub{with(update, "https://old.example.com/shopify/tenant-1", "id", "updated_at")}, shopifysync.SubscriptionRepaired, 1},
		"a query":                     {[]sub{with(update, ourURL+"?a=b", "id", "updated_at")}, shopifysync.SubscriptionRepaired, 1},
		"twice, one right":            {[]sub{with(update, "https://old.example.com/shopify/tenant-1"), ours(update)}, shopifysync.SubscriptionRepaired, 1},
		"twice, one with our address": {[]sub{with(update, "https://old.example.com/shopify/tenant-1"), with(update, ourURL)}, shopifysync.SubscriptionRepaired, 2},
		"thrice, all wrong": {[]sub{
			with(update, "https://a.example.com/shopify/tenant-1"), with(update, "https://b.example.com/shopify/tenant-1"), with(update, ourURL+"?c"),
		}, shopifysync.SubscriptionRepaired, 3},
		"another connection's": {[]sub{with(update, "https://hooks.example.com/shopify/tenant-2")}, shopifysync.SubscriptionCreated, 1},
		"somebody else's":      {[]sub{with(update, "https://example.com/theirs")}, shopifysync.SubscriptionCreated, 1},
		"a longer path":        {[]sub{with(update, ourURL+"/x")}, shopifysync.SubscriptionCreated, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 1, func(t *testing.T, w *world) {
				s := w.syncerWith(w.connectable())
				w.connect(s)
				for _, old := range w.shop.Subscriptions() {
					if old.Topic == update {
						w.graphql(`mutation($id: ID!) { webhookSubscriptionDelete(id: $id) { userErrors { message } } }`, map[string]any{"id": old.ID})
					}
				}
				foreign := map[string]bool{}
				for _, there := range test.there {
					w.addSubscription(there)
					if !strings.HasSuffix(strings.Split(there.URL, "?")[0], "/shopify/tenant-1") {
						foreign[there.URL] = true
					}
				}
				before := w.mutations()
				for round, want := range []shopifysync.SubscriptionState{test.want, shopifysync.SubscriptionOK} {
					h, err := s.Check(t.Context(), connID)
					if err != nil {
						t.Fatal(err)
					}
					for _, got := range h.Subscriptions {
						want := want
						if got.Topic != "customers/update" {
							want = shopifysync.SubscriptionOK
						}
						if got.Topic == "customers_whats_app_marketing_consent/update" { // 2026-01 is served
							want = shopifysync.SubscriptionSkipped
						}
						if got.State != want {
							t.Errorf("check %d: %+v, want %s", round+1, got, want)
						}
					}
					if made := w.mutations() - before; made != test.reqs {
						t.Errorf("%d mutations after check %d, want %d", made, round+1, test.reqs)
					}
				}
				var right int
				for _, got := range w.shop.Subscriptions() {
					switch {
					case got.URL == ourURL && got.Topic == update:
						fields := slices.Sorted(slices.Values(got.IncludeFields))
						if !slices.Equal(fields, []string{"id", "updated_at"}) {
							t.Errorf("fields %q", fields)
						}
						right++
					case foreign[got.URL]:
						delete(foreign, got.URL)
					case got.URL != ourURL:
						t.Errorf("left over: %+v", got)
					}
				}
				if right != 1 || len(foreign) > 0 {
					t.Errorf("%d of ours; of others are gone: %v", right, foreign)
				}
			})
		})
	}
}

// Every payload that the subscriptions send is one that ParseWebhook reads.
func TestSubscribedPayloadsAreRead(t *testing.T) {
	for _, version := range []string{"2024-04", "2024-10", "2025-01", "2026-01", "2026-07", "2026-10"} {
		inWorld(t, 0, func(t *testing.T, w *world) {
			conns := w.connectable()
			w.conn.APIVersion = version
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.APIVersions = []string{version} })
			w.connect(w.syncerWith(conns))
			a, b := w.shop.Create(canaryCustomer), w.shop.Create(shopifytest.Customer{})
			for _, topic := range []string{
				"customers/create", "customers/update", "customers/enable", "customers/disable", "customers/delete", "customers/merge",
				"customer.tags_added", "customer.tags_removed", "customers_email_marketing_consent/update",
				"customers_marketing_consent/update", "customers/purchasing_summary",
			} {
				ids := []int64{a.ID}
				if topic == "customers/merge" {
					ids = append(ids, b.ID)
				}
				ev, body := w.delivered(topic, ids...)
				if len(ev.Customers) != len(ids) || !slices.Contains(ev.Customers, shopifysync.CustomerID(a.ID)) {
					t.Errorf("%s %s: %+v from %s", version, topic, ev, body)
				}
				if slices.Contains([]string{"customers/create", "customers/update", "customers/enable", "customers/disable"}, topic) && ev.UpdatedAt.IsZero() {
					t.Errorf("%s %s: no time in %s", version, topic, body)
				}
				heard := new(listener)
				heard.hear(string(body))
				heard.check(t)
			}
		})
	}
}

// Topics that the app may not have are skipped and reported.
func TestSubscriptionsWithoutScope(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		conns := w.connectable()
		w.conn.APIVersion = "2026-10"
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Scopes = []string{"write_customers"} })
		s := w.syncerWith(conns)
		h := w.connect(s)
		w.skipped(h, "customers/merge", "read_customer_merge")
		if len(h.Warnings) != 1 || !strings.Contains(h.Warnings[0], "customers/merge") {
			t.Errorf("warnings %q", h.Warnings)
		}
		// Once the scope is granted the next check subscribes.
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Scopes = []string{"read_customers", "read_customer_merge"} })
		if h, err := s.Check(t.Context(), connID); err != nil || len(h.Warnings) > 0 {
			t.Errorf("%v %q", err, h.Warnings)
		}
		if diff := cmp.Diff(topicsOf("2026-10"), w.subscribed(ourURL)); diff != "" {
			t.Error(diff)
		}
	})
}

func (w *world) skipped(h *shopifysync.Health, topic, reason string) {
	w.t.Helper()
	for _, got := range h.Subscriptions {
		if got.Topic == topic && (got.State != shopifysync.SubscriptionSkipped || !strings.Contains(got.Reason, reason)) {
			w.t.Errorf("%+v", got)
		}
	}
}

// Without a client secret deliveries could not be verified, so none are asked
// for; without an address neither.
func TestNoSubscriptions(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		h := w.connect(w.syncerWith(shopifysync.StaticConnections()))
		w.skipped(h, "customers/update", "API secret key")
		if len(w.shop.Subscriptions()) > 0 {
			t.Error("subscribed without a secret")
		}
		conns := w.connectable()
		s, err := shopifysync.New(w.store, conns, shopifysync.WithHTTPClient(w.server.Client()))
		if err != nil {
			t.Fatal(err)
		}
		if h := w.connect(s); h.Subscriptions != nil || w.server.Count("WebhookSubscriptions") > 0 {
			t.Errorf("%v", h.Subscriptions)
		}
	})
}

// Failed subscriptions do not fail Connect; they are told, and the next check
// repairs them.
func TestSubscriptionFailures(t *testing.T) {
	tests := map[string]struct {
		fault  shopifytest.Fault
		reason string
	}{
		"the list fails":      {shopifytest.Fault{Operation: "WebhookSubscriptions", Status: 501}, "try again later"},
		"the list is endless": {shopifytest.Fault{Operation: "WebhookSubscriptions", Edit: endless}, "does not end"},
		"creating fails":      {shopifytest.Fault{Operation: "CreateWebhookSubscription", Status: 500}, "try again later"},
		"answers are lost":    {shopifytest.Fault{Operation: "CreateWebhookSubscription", Drop: shopifytest.DropAnswer}, "try again later"},
		"creating is refused": {shopifytest.Fault{Operation: "CreateWebhookSubscription", Edit: userError("callbackUrl", "Address is canary-token")}, "public https address"},
		"refused otherwise":   {shopifytest.Fault{Operation: "CreateWebhookSubscription", Edit: userError("topic", "canary-token")}, "refused"},
		"no time":             {shopifytest.Fault{Operation: "CreateWebhookSubscription", Hang: true}, "enough time"},
		"frozen meanwhile":    {shopifytest.Fault{Operation: "CreateWebhookSubscription", Status: http.StatusPaymentRequired}, "unpaid bill"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 1, func(t *testing.T, w *world) {
				conns := w.connectable()
				w.conn.APIVersion = "2026-10"
				test.fault.Times = shopifytest.Always
				w.shop.Inject(test.fault)
				s := w.syncerWith(conns, w.logged())
				start := time.Now()
				h := w.connect(s)
				if took := time.Since(start); took > 2*time.Minute {
					t.Errorf("it took %v", took)
				}
				told := 0
				for _, got := range h.Subscriptions {
					if got.State != shopifysync.SubscriptionFailed || got.Reason == "" {
						t.Errorf("%+v", got)
					}
					if strings.Contains(got.Reason, test.reason) {
						told++
					}
				}
				if told < 13 { // two time out before there is not enough time
					t.Errorf("the reason %q is told of %d topics: %+v", test.reason, told, h.Subscriptions)
				}
				if len(h.Subscriptions) != 15 || len(h.Warnings) != 15 || !w.state().CheckDue || h.State != shopifysync.HealthOK {
					t.Errorf("%d topics, warnings %q, due %v", len(h.Subscriptions), h.Warnings, w.state().CheckDue)
				}
				w.shop.ClearFaults()
				h, err := s.Check(t.Context(), connID)
				if err != nil || len(h.Warnings) > 0 || w.state().CheckDue {
					t.Errorf("%v, %q", err, h.Warnings)
				}
				if diff := cmp.Diff(topicsOf("2026-10"), w.subscribed(ourURL)); diff != "" {
					t.Error(diff)
				}
				heard := new(listener)
				heard.hear(h, w.log.String())
				heard.check(t)
			})
		})
	}
}

// Shopify lets few requests through, and the subscriptions are made all the same.
func TestSubscriptionsUnderThrottling(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		conns := w.connectable()
		w.conn.APIVersion = "2026-10"
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BucketSize, c.RestoreRate = 50, 5 })
		w.connect(w.syncerWith(conns))
		if diff := cmp.Diff(topicsOf("2026-10"), w.subscribed(ourURL)); diff != "" {
			t.Error(diff)
		}
	})
}

// Many subscriptions are listed page by page.
func TestSubscriptionsOnManyPages(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BucketSize = 20_000 })
		for i := range 600 {
			w.addSubscription(shopifytest.Subscription{Topic: "CUSTOMERS_UPDATE", URL: "https://example.com/" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)})
		}
		w.connect(s)
		before := w.mutations()
		if _, err := s.Check(t.Context(), connID); err != nil || w.mutations() != before {
			t.Errorf("%v, %d mutations", err, w.mutations()-before)
		}
		if n := len(w.shop.Subscriptions()); n != 600+len(topicsOf("2026-01")) {
			t.Errorf("%d subscriptions", n)
		}
	})
}

// The connection's ID stands in the address as one segment.
func TestSubscriptionAddress(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		conns := w.connectable()
		w.conn.ID = "a/b ?%ü"
		s := w.syncerWith(conns)
		w.connect(s)
		const want = "https://hooks.example.com/shopify/a%2Fb%20%3F%25%C3%BC"
		if diff := cmp.Diff(topicsOf("2026-01"), w.subscribed(want)); diff != "" {
			t.Errorf("%s\n%v", diff, w.shop.Subscriptions())
		}
		before := w.mutations()
		if _, err := s.Check(t.Context(), w.conn.ID); err != nil || w.mutations() != before {
			t.Errorf("%v, %d mutations", err, w.mutations()-before)
		}
	})
	for _, template := range []string{"https://h.example/x?c={connection}", "https://h.example/x#{connection}", "http://h.example/{connection}", "https://h.example/"} {
		if _, err := shopifysync.New(shopifysync.NewMemoryStore(), shopifysync.StaticConnections(), shopifysync.WithWebhookURL(template)); err == nil {
			t.Errorf("%s was taken", template)
		}
	}
}
