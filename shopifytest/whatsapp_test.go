package shopifytest_test

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
	"github.com/omnichat/shopifysync/shopifytest"
)

// The consent is in pages, in reads by id and in bulk files, from 2026-07 on.
func TestWhatsAppConsent(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: shopifytest.Unlimited})
	since := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	ann := store.Create(shopifytest.Customer{Phone: "+886912345678", WhatsAppConsent: &shopifytest.WhatsAppConsent{
		State: "SUBSCRIBED", Level: "CONFIRMED_OPT_IN", UpdatedAt: since, CollectedFrom: "OTHER",
	}}).ID
	ben := store.Create(shopifytest.Customer{Phone: "+886912345679"}).ID // the default state
	cat := store.Create(shopifytest.Customer{Email: "cat@example.com"}).ID
	want := map[int64]*v2026_07.PhoneNumber{
		ann: {WhatsAppMarketingConsent: v2026_07.WhatsAppConsent{
			State: "SUBSCRIBED", OptInLevel: "CONFIRMED_OPT_IN", UpdatedAt: since, CollectedFrom: "OTHER",
		}},
		ben: {WhatsAppMarketingConsent: v2026_07.WhatsAppConsent{State: "NEVER_SUBSCRIBED"}},
		cat: nil,
	}
	compare := func(name string, customers []v2026_07.Customer) {
		t.Helper()
		got := map[int64]*v2026_07.PhoneNumber{}
		for _, c := range customers {
			id := idOf(t, c.Id)
			got[id] = c.DefaultPhoneNumber
			if kept, _ := store.Customer(id); c.Phone != kept.Phone || c.Email != kept.Email || c.UpdatedAt != kept.UpdatedAt {
				t.Errorf("%s: %+v", name, c)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	decode := func(data any, into any) {
		t.Helper()
		b, err := json.Marshal(data)
		check(t, err)
		check(t, json.Unmarshal(b, into))
	}

	app.version = "2026-07"
	var page v2026_07.CustomersPageResponse
	decode(app.data(v2026_07.CustomersPage_Operation, map[string]any{"first": 10, "sortKey": "ID", "reverse": true}), &page)
	compare("page", page.Customers.Nodes)
	var byID v2026_07.CustomersByIDResponse
	decode(app.data(v2026_07.CustomersByID_Operation, map[string]any{"ids": []string{gid(ann), gid(ben), gid(cat), gid(1)}}), &byID)
	if len(byID.Nodes) != 4 || byID.Nodes[3] != nil {
		t.Fatalf("%d nodes", len(byID.Nodes))
	}
	compare("by id", []v2026_07.Customer{*byID.Nodes[0], *byID.Nodes[1], *byID.Nodes[2]})

	app.data(`mutation($q: String!) { bulkOperationRunQuery(query: $q) { userErrors { message } } }`, map[string]any{"q": v2026_07.BulkCustomers_Operation})
	url := text(at(app.data(`{ currentBulkOperation { url } }`, nil), "currentBulkOperation", "url"))
	response, err := app.client.Get(url)
	check(t, err)
	defer response.Body.Close()
	file, err := io.ReadAll(response.Body)
	check(t, err)
	var rows []v2026_07.Customer
	for line := range strings.Lines(string(file)) {
		var c v2026_07.Customer
		check(t, json.Unmarshal([]byte(line), &c))
		rows = append(rows, c)
	}
	compare("bulk", rows)

	store.Configure(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoPersonalData })
	denied := app.do(v2026_07.CustomersByID_Operation, map[string]any{"ids": []string{gid(ann)}})
	if at(denied.Data, "nodes", 0, "defaultPhoneNumber") != nil || !strings.Contains(denied.Body, `"path":["nodes",0,"defaultPhoneNumber"]`) {
		t.Error(denied.Body)
	}

	// 2026-04 does not know the field.
	app.version = "2026-04"
	if got := app.do(`{ customers(first: 1) { nodes { defaultPhoneNumber { __typename } } } }`, nil); got.code() != "undefinedField" {
		t.Error(got.Body)
	}
}

func TestWhatsAppConsentWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &receiver{}
		srv := shopifytest.NewServer(shopifytest.WithWebhookHandler(hook))
		defer srv.Close()
		store := srv.AddStore(shopifytest.StoreConfig{Domain: domain, TimeZone: "UTC"})
		app := newApp(t, srv)
		app.version = "2026-07"
		app.subscribe("CUSTOMERS_WHATS_APP_MARKETING_CONSENT_UPDATE", hookURL)
		ann := store.Create(shopifytest.Customer{Phone: "+886912345678"})
		check(t, store.Update(ann.ID, func(c *shopifytest.Customer) { c.Note = "no consent changes" }))
		check(t, store.Update(ann.ID, func(c *shopifytest.Customer) {
			c.WhatsAppConsent = &shopifytest.WhatsAppConsent{State: "SUBSCRIBED", Level: "SINGLE_OPT_IN", UpdatedAt: ann.CreatedAt, CollectedFrom: "SHOPIFY"}
		}))
		synctest.Wait()
		got := hook.all()
		if len(got) != 1 {
			t.Fatalf("%d deliveries", len(got))
		}
		want := `{"customer_id":` + strconv.FormatInt(ann.ID, 10) + `,"phone_number":"+886912345678","whats_app_marketing_consent":` +
			`{"state":"subscribed","opt_in_level":"single_opt_in","updated_at":"2000-01-01T00:00:00Z","collected_from":"SHOPIFY"}}`
		if diff := cmp.Diff(want, got[0].Body); diff != "" {
			t.Error(diff)
		}

		// Whoever is redacted has withdrawn from this, too.
		check(t, store.Redact(ann.ID))
		if c, _ := store.Customer(ann.ID); c.WhatsAppConsent == nil || c.WhatsAppConsent.State != "REDACTED" {
			t.Errorf("%+v", c.WhatsAppConsent)
		}
	})
}

// idOf is the number in the global id of a customer.
func idOf(t *testing.T, gid string) int64 {
	t.Helper()
	id, err := strconv.ParseInt(strings.TrimPrefix(gid, "gid://shopify/Customer/"), 10, 64)
	check(t, err)
	return id
}
