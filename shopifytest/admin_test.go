package shopifytest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

const pageQuery = `query Page($first: Int!, $after: String, $query: String, $sortKey: CustomerSortKeys = ID, $reverse: Boolean = false) {
  customers(first: $first, after: $after, query: $query, sortKey: $sortKey, reverse: $reverse) {
    nodes { id updatedAt createdAt }
    pageInfo { hasNextPage endCursor }
  }
}`

// pages reads a whole list and returns the ids.
func (a *app) pages(first int, variables map[string]any) []string {
	a.t.Helper()
	var ids []string
	vars := map[string]any{"first": first}
	for k, v := range variables {
		vars[k] = v
	}
	for {
		data := a.data(pageQuery, vars)
		for _, n := range list(at(data, "customers", "nodes")) {
			ids = append(ids, text(at(n, "id")))
		}
		if at(data, "customers", "pageInfo", "hasNextPage") != true {
			return ids
		}
		vars["after"] = at(data, "customers", "pageInfo", "endCursor")
	}
}

func TestVersions(t *testing.T) {
	for _, tt := range []struct {
		name, requested, served string
		status                  int
	}{
		{"a supported version is served", "2026-07", "2026-07", 200},
		{"an old version is served by the oldest supported", "2024-04", "2026-01", 200},
		{"unstable is served", "unstable", "2026-10", 200},
		{"a version to come is not found", "2027-04", "", 404},
		{"a version that is none is not found", "latest", "", 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, app := start(t, shopifytest.StoreConfig{DeprecatedReason: "https://shopify.dev/changelog"})
			app.version = tt.requested
			got := app.do("{ shop { id } }", nil)
			if got.Status != tt.status || got.Header.Get("X-Shopify-API-Version") != tt.served {
				t.Errorf("status %d, served %q", got.Status, got.Header.Get("X-Shopify-API-Version"))
			}
			if got.Header.Get("X-Request-Id") == "" {
				t.Error("no X-Request-Id")
			}
			if tt.status == 200 && got.Header.Get("X-Shopify-API-Deprecated-Reason") == "" {
				t.Error("no X-Shopify-API-Deprecated-Reason")
			}
		})
	}
}

func TestCustomersCountNeeds202507(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{APIVersions: []string{"2024-04"}})
	got := app.do("{ customersCount { count } }", nil)
	if got.code() != "undefinedField" || got.message() != "Field 'customersCount' doesn't exist on type 'QueryRoot'" {
		t.Errorf("2024-04: %s", got.Body)
	}
	store.Configure(func(c *shopifytest.StoreConfig) { c.APIVersions = []string{"2026-01"} })
	store.Generate(30, 1)
	for _, tt := range []struct{ args, want string }{
		{"", `{"count":30,"precision":"EXACT"}`},
		{"(limit: 10)", `{"count":10,"precision":"AT_LEAST"}`},
		{"(limit: null)", `{"count":30,"precision":"EXACT"}`},
		{`(query: "id:>0 AND created_at:<'1990-01-01'")`, `{"count":0,"precision":"EXACT"}`},
	} {
		if got := app.do("{ customersCount"+tt.args+" { count precision } }", nil); !strings.Contains(got.Body, tt.want) {
			t.Errorf("%s: %s", tt.args, got.Body)
		}
	}
}

// Everything of a customer, once: the shapes of scalars, nulls and enums.
func TestCustomerOnTheWire(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	when := time.Date(2026, 3, 1, 12, 30, 15, 999, time.UTC)
	full := store.Create(shopifytest.Customer{
		ID: 9_007_199_254_740_993, FirstName: "小明", LastName: "王", Email: "Ming.WANG@Example.com", Phone: "+886912345678",
		Locale: "zh-TW", Note: "line 1\n\"quoted\" / \\", Tags: []string{"VIP", "會員"}, State: "ENABLED", VerifiedEmail: true,
		NumberOfOrders: 13, AmountSpent: shopifytest.Money{Amount: "11884.9", Currency: "TWD"},
		CreatedAt: when, UpdatedAt: when.Add(time.Minute),
		EmailConsent:   &shopifytest.EmailConsent{State: "SUBSCRIBED", UpdatedAt: when},
		SMSConsent:     &shopifytest.SMSConsent{State: "PENDING", Level: "CONFIRMED_OPT_IN", CollectedFrom: "OTHER"},
		DefaultAddress: &shopifytest.Address{Address1: "忠孝東路", City: "台北市", CountryCode: "TW", Phone: "0912345678"},
	})
	bare := store.Create(shopifytest.Customer{CreatedAt: when})
	query := `query($ids: [ID!]!) { nodes(ids: $ids) { __typename ... on Customer {
		id firstName lastName email phone locale note tags state verifiedEmail numberOfOrders
		amountSpent { amount currencyCode } createdAt updatedAt
		emailMarketingConsent { marketingState marketingOptInLevel consentUpdatedAt }
		smsMarketingConsent { marketingState marketingOptInLevel consentUpdatedAt consentCollectedFrom }
		defaultAddress { address1 address2 city province zip countryCodeV2 phone } } } }`
	ids := []string{gid(full.ID), gid(bare.ID)}
	got := app.data(query, map[string]any{"ids": ids})
	want := map[string]any{"nodes": []any{
		map[string]any{
			"__typename": "Customer", "id": "gid://shopify/Customer/9007199254740993", "firstName": "小明", "lastName": "王",
			"email": "Ming.WANG@Example.com", "phone": "+886912345678", "locale": "zh-TW", "note": "line 1\n\"quoted\" / \\",
			"tags": []any{"VIP", "會員"}, "state": "ENABLED", "verifiedEmail": true, "numberOfOrders": "13",
			"amountSpent": map[string]any{"amount": "11884.9", "currencyCode": "TWD"},
			"createdAt":   "2026-03-01T12:30:15Z", "updatedAt": "2026-03-01T12:31:15Z",
			"emailMarketingConsent": map[string]any{"marketingState": "SUBSCRIBED", "marketingOptInLevel": nil, "consentUpdatedAt": "2026-03-01T12:30:15Z"},
			"smsMarketingConsent": map[string]any{
				"marketingState": "PENDING", "marketingOptInLevel": "CONFIRMED_OPT_IN", "consentUpdatedAt": nil, "consentCollectedFrom": "OTHER",
			},
			"defaultAddress": map[string]any{
				"address1": "忠孝東路", "address2": nil, "city": "台北市", "province": nil, "zip": nil, "countryCodeV2": "TW", "phone": "0912345678",
			},
		},
		map[string]any{
			"__typename": "Customer", "id": gid(bare.ID), "firstName": nil, "lastName": nil, "email": nil, "phone": nil,
			"locale": "en", "note": nil, "tags": []any{}, "state": "DISABLED", "verifiedEmail": false, "numberOfOrders": "0",
			"amountSpent": map[string]any{"amount": "0.0", "currencyCode": "TWD"},
			"createdAt":   "2026-03-01T12:30:15Z", "updatedAt": "2026-03-01T12:30:15Z",
			"emailMarketingConsent": nil, "smsMarketingConsent": nil, "defaultAddress": nil,
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func gid(id int64) string { return fmt.Sprintf("gid://shopify/Customer/%d", id) }

func TestPagesCoverEveryOrder(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BucketSize: 1e9})
	store.Generate(300, 7)
	some := store.Newest(300)
	for i, c := range some { // an overlay: edited, gone, new
		switch i % 10 {
		case 3:
			check(t, store.Update(c.ID, func(c *shopifytest.Customer) { c.Note = "edited" }))
		case 7:
			check(t, store.Delete(c.ID))
		}
	}
	store.Create(shopifytest.Customer{FirstName: "New"})
	store.Create(shopifytest.Customer{ID: 5, FirstName: "Old id"})
	want := map[string]bool{}
	for c := range store.All() {
		want[gid(c.ID)] = true
	}
	if len(want) != 272 || store.Count() != 272 {
		t.Fatalf("%d customers, count %d", len(want), store.Count())
	}
	for _, key := range []string{"ID", "CREATED_AT", "UPDATED_AT"} {
		for _, reverse := range []bool{false, true} {
			forward := app.pages(37, map[string]any{"sortKey": key, "reverse": reverse})
			got := map[string]bool{}
			for _, id := range forward {
				if got[id] {
					t.Errorf("%s reverse %v: %s twice", key, reverse, id)
				}
				got[id] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s reverse %v:\n%s", key, reverse, diff)
			}
			backward := app.pages(300-60, map[string]any{"sortKey": key, "reverse": !reverse})
			for i, id := range backward {
				if forward[len(forward)-1-i] != id {
					t.Fatalf("%s: reverse is not the reverse at %d", key, i)
				}
			}
		}
	}
}

func TestPagesBackwards(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	store.Generate(10, 1)
	all := app.pages(250, nil)
	data := app.data(`{ customers(last: 3) { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } }`, nil)
	var got []string
	for _, e := range list(at(data, "customers", "edges")) {
		got = append(got, text(at(e, "node", "id")))
	}
	if diff := cmp.Diff(all[7:], got); diff != "" {
		t.Error(diff)
	}
	cursor := at(data, "customers", "edges", 0, "cursor")
	data = app.data(`query($c: String) { customers(last: 2, before: $c) { nodes { id } pageInfo { hasNextPage } } }`, map[string]any{"c": cursor})
	if at(data, "customers", "nodes", 0, "id") != all[5] || at(data, "customers", "pageInfo", "hasNextPage") != true {
		t.Errorf("%v", data)
	}
	data = app.data(`{ first: customers(first: 3) { pageInfo { endCursor } } }`, nil)
	data = app.data(`query($a: String, $b: String) { customers(first: 10, after: $a, before: $b) { nodes { id } } }`,
		map[string]any{"a": at(data, "first", "pageInfo", "endCursor"), "b": cursor})
	got = nil
	for _, n := range list(at(data, "customers", "nodes")) {
		got = append(got, text(at(n, "id")))
	}
	if diff := cmp.Diff(all[3:7], got); diff != "" {
		t.Errorf("between two cursors:\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	store.Generate(3, 1)
	page := app.data(pageQuery, map[string]any{"first": 1})
	cursor := at(page, "customers", "pageInfo", "endCursor")
	for _, tt := range []struct {
		name, query   string
		variables     map[string]any
		code, message any
	}{
		{"unknown field", "{ shop { owner } }", nil, "undefinedField", "Field 'owner' doesn't exist on type 'Shop'"},
		{"unknown argument", "{ shop(id: 1) { id } }", nil, "argumentNotAccepted", "Field 'shop' doesn't accept argument 'id'"},
		{"missing argument", "{ node { id } }", nil, "missingRequiredArguments", "Field 'node' is missing required arguments: id"},
		{"no selection", "{ shop }", nil, "selectionMismatch", "Field must have selections (field 'shop' returns Shop but has no selections. Did you mean 'shop { ... }'?)"},
		{"selection of a scalar", "{ shop { id { x } } }", nil, "selectionMismatch", "Selections can't be made on scalars (field 'id' returns ID but has selections)"},
		{"bad literal", `{ customers(first: "3") { nodes { id } } }`, nil, "argumentLiteralsIncompatible", `Argument 'first' on Field 'customers' has an invalid value ("3"). Expected type 'Int'.`},
		{"bad enum literal", `{ customers(first: 1, sortKey: TOTAL_SPENT) { nodes { id } } }`, nil, "argumentLiteralsIncompatible", `Argument 'sortKey' on Field 'customers' has an invalid value (TOTAL_SPENT). Expected type 'CustomerSortKeys'.`},
		{"bad id literal", `{ node(id: "7") { id } }`, nil, "argumentLiteralsIncompatible", "Invalid global id '7'"},
		{"unknown topic", `mutation { webhookSubscriptionCreate(topic: CUSTOMERS_REDACT, webhookSubscription: {}) { userErrors { message } } }`, nil, "argumentLiteralsIncompatible", "Argument 'topic' on Field 'webhookSubscriptionCreate' has an invalid value (CUSTOMERS_REDACT). Expected type 'WebhookSubscriptionTopic!'."},
		{"unknown input field", `mutation { webhookSubscriptionCreate(topic: CUSTOMERS_UPDATE, webhookSubscription: {uri: "https://a.example"}) { userErrors { message } } }`, nil, "argumentNotAccepted", "InputObject 'WebhookSubscriptionInput' doesn't accept argument 'uri'"},
		{"null variable", `query($id: ID!) { node(id: $id) { id } }`, nil, "INVALID_VARIABLE", "Variable $id of type ID! was provided invalid value"},
		{"id that is none", `query($id: ID!) { node(id: $id) { id } }`, map[string]any{"id": "x"}, "INVALID_VARIABLE", "Variable $id of type ID! was provided invalid value"},
		{"null in a list", `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, map[string]any{"ids": []any{nil}}, "INVALID_VARIABLE", "Variable $ids of type [ID!]! was provided invalid value for 0 (Expected value to not be null)"},
		{"text for an Int", pageQuery, map[string]any{"first": "3"}, "INVALID_VARIABLE", "Variable $first of type Int! was provided invalid value"},
		{"unknown enum value", pageQuery, map[string]any{"first": 3, "sortKey": "TOTAL_SPENT"}, "INVALID_VARIABLE", "Variable $sortKey of type CustomerSortKeys was provided invalid value"},
		{"undeclared variable", `{ node(id: $id) { id } }`, nil, "variableNotDefined", `Variable "$id" is not defined.`},
		{"unused variable", `query($id: ID) { shop { id } }`, nil, "variableNotUsed", `Variable "$id" is never used.`},
		{"unknown fragment", `{ shop { ...F } }`, nil, "useAndDefineFragment", `Unknown fragment "F".`},
		{"neither first nor last", "{ customers { nodes { id } } }", nil, "BAD_REQUEST", "you must provide one of first or last"},
		{"first and last", "{ customers(first: 1, last: 1) { nodes { id } } }", nil, "BAD_REQUEST", "providing both first and last is not supported"},
		{"page above 250", "{ customers(first: 251) { nodes { id } } }", nil, "BAD_REQUEST", "first cannot exceed 250"},
		{"negative page", "{ customers(first: -1) { nodes { id } } }", nil, "BAD_REQUEST", "first cannot be negative"},
		{"malformed cursor", pageQuery, map[string]any{"first": 1, "after": "garbage"}, "BAD_REQUEST", "Invalid cursor for current pagination sort."},
		{"cursor of another order", pageQuery, map[string]any{"first": 1, "after": cursor, "sortKey": "UPDATED_AT"}, "BAD_REQUEST", "Invalid cursor for current pagination sort."},
		{"too many ids", `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, map[string]any{"ids": manyIDs(251)}, "MAX_INPUT_SIZE_EXCEEDED", "The input array size of 251 is greater than the maximum allowed of 250."},
		{"subscriptions", "subscription { shop { id } }", nil, "missingOperation", "Schema is not configured for subscriptions"},
		{"empty", " ", nil, nil, "No query string was present"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := app.do(tt.query, tt.variables)
			if got.Status != http.StatusOK || got.code() != tt.code || got.message() != tt.message || got.Data != nil {
				t.Errorf("status %d: %s", got.Status, got.Body)
			}
		})
	}
	if got := app.do("{ shop { id ", nil); !strings.HasPrefix(text(got.message()), "syntax error") {
		t.Errorf("syntax error: %s", got.Body)
	}
}

func manyIDs(n int) []any {
	ids := make([]any, n)
	for i := range ids {
		ids[i] = gid(int64(i + 1))
	}
	return ids
}

func TestExecutor(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{Name: "Demo"})
	c := store.Create(shopifytest.Customer{FirstName: "A", Email: "a@example.com"})
	for _, tt := range []struct {
		name, query string
		variables   map[string]any
		want        string
	}{
		{"aliases", "{ a: shop { n: name } b: shop { name } }", nil, `{"a":{"n":"Demo"},"b":{"name":"Demo"}}`},
		{"fragments", "query { shop { ...F } } fragment F on Shop { name ...G } fragment G on Shop { currencyCode }", nil, `{"shop":{"name":"Demo","currencyCode":"TWD"}}`},
		{"merged selections", "{ shop { name } shop { currencyCode } }", nil, `{"shop":{"name":"Demo","currencyCode":"TWD"}}`},
		{"typename", "{ __typename shop { __typename } }", nil, `{"__typename":"QueryRoot","shop":{"__typename":"Shop"}}`},
		{"skip and include", "query($no: Boolean!) { shop { name @skip(if: true) currencyCode @include(if: $no) id @include(if: false) ianaTimezone } }", map[string]any{"no": false}, `{"shop":{"ianaTimezone":"Asia/Taipei"}}`},
		{"type conditions", `query($id: ID!) { node(id: $id) { ... on BulkOperation { status } ... on Customer { firstName } ... on Node { __typename } } }`, map[string]any{"id": gid(c.ID)}, `{"node":{"firstName":"A","__typename":"Customer"}}`},
		{"variable defaults", `query($f: Int = 1, $r: Boolean = true) { customers(first: $f, reverse: $r) { nodes { firstName } } }`, nil, `{"customers":{"nodes":[{"firstName":"A"}]}}`},
		{"absent nodes are null without an error", `{ nodes(ids: ["gid://shopify/Customer/1", "gid://shopify/BulkOperation/1"]) { id } node(id: "gid://shopify/Customer/2") { id } }`, nil, `{"nodes":[null,null],"node":null}`},
		{"a single value is a list of one", `query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }`, map[string]any{"ids": gid(c.ID)}, `{"nodes":[{"__typename":"Customer"}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := app.do(tt.query, tt.variables)
			if got.Errors != nil || !strings.HasPrefix(got.Body, `{"data":`+tt.want+`,"extensions"`) {
				t.Errorf("%s", got.Body)
			}
		})
	}
}

func TestRemovedCustomersAreNull(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	store.Generate(4, 1)
	all := store.Newest(4)
	check(t, store.Delete(all[0].ID))
	check(t, store.Merge(all[1].ID, all[2].ID))
	check(t, store.Redact(all[3].ID))
	data := app.data(`query($ids: [ID!]!) { nodes(ids: $ids) { ... on Customer { email firstName tags emailMarketingConsent { marketingState } } } }`,
		map[string]any{"ids": []string{gid(all[0].ID), gid(all[2].ID), gid(all[3].ID)}})
	want := []any{nil, nil, map[string]any{
		"email": nil, "firstName": nil, "tags": []any{}, "emailMarketingConsent": map[string]any{"marketingState": "REDACTED"},
	}}
	if diff := cmp.Diff(want, data["nodes"]); diff != "" {
		t.Error(diff)
	}
	if err := store.Delete(all[0].ID); err == nil {
		t.Error("deleted twice")
	}
	if kept, _ := store.Customer(all[1].ID); kept.NumberOfOrders != all[1].NumberOfOrders+all[2].NumberOfOrders {
		t.Errorf("merged orders: %d", kept.NumberOfOrders)
	}
}

func TestHTTPErrors(t *testing.T) {
	const unauthorized = `{"errors":"[API] Invalid API key or access token (unrecognized login or wrong password)"}`
	for _, tt := range []struct {
		name   string
		change func(*shopifytest.StoreConfig)
		token  string
		status int
		body   string
	}{
		{"wrong token", nil, "shpat_wrong", 401, unauthorized},
		{"no token", nil, "", 401, unauthorized},
		{"uninstalled", func(c *shopifytest.StoreConfig) { c.State = shopifytest.Uninstalled }, "shpat_test", 401, unauthorized},
		{"frozen", func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen }, "shpat_test", 402, `{"errors":"Unavailable Shop"}`},
		{"locked", func(c *shopifytest.StoreConfig) { c.State = shopifytest.Locked }, "shpat_test", 423, `{"errors":"This shop is unavailable"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, store, app := start(t, shopifytest.StoreConfig{})
			if tt.change != nil {
				store.Configure(tt.change)
			}
			app.token = tt.token
			if got := app.do("{ shop { id } }", nil); got.Status != tt.status || got.Body != tt.body {
				t.Errorf("status %d: %s", got.Status, got.Body)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	srv, store, app := start(t, shopifytest.StoreConfig{Aliases: []string{"shop.example.com"}})
	app.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	app.host = "nobody.myshopify.com"
	if got := app.do("{ shop { id } }", nil); got.Status != 404 || !strings.Contains(got.Header.Get("Content-Type"), "text/html") {
		t.Errorf("unknown store: %d %s", got.Status, got.Body)
	}
	app.host = "shop.example.com"
	want := "https://demo.myshopify.com/admin/api/2024-04/graphql.json"
	if got := app.do("{ shop { id } }", nil); got.Status != 301 || got.Header.Get("Location") != want {
		t.Errorf("alias: %d %s", got.Status, got.Header.Get("Location"))
	}
	store.Rename("new.myshopify.com")
	app.host = domain
	want = "https://new.myshopify.com/admin/api/2024-04/graphql.json"
	if got := app.do("{ shop { id } }", nil); got.Status != 301 || got.Header.Get("Location") != want {
		t.Errorf("renamed: %d %s", got.Status, got.Header.Get("Location"))
	}
	app.host = "new.myshopify.com"
	if got := text(at(app.data("{ shop { myshopifyDomain } }", nil), "shop", "myshopifyDomain")); got != "new.myshopify.com" {
		t.Errorf("domain %q", got)
	}
	// A client that follows the redirect turns POST into GET, and takes the
	// token along: that is what the log is for.
	app.client.CheckRedirect = nil
	app.host = domain
	if got := app.do("{ shop { id } }", nil); got.Status != 404 {
		t.Errorf("followed: %d", got.Status)
	}
	requests := srv.Requests()
	last := requests[len(requests)-1]
	if last.Method != "GET" || last.Host != "new.myshopify.com" || last.Header.Get("X-Shopify-Access-Token") != "shpat_test" || !last.TLS {
		t.Errorf("%+v", last)
	}
	response, err := app.client.Get("http://new.myshopify.com/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	requests = srv.Requests()
	if first := requests[len(requests)-2]; first.TLS || first.Path != "/" {
		t.Errorf("plain text: %+v", first)
	}
}

func TestRequestLog(t *testing.T) {
	srv, _, app := start(t, shopifytest.StoreConfig{})
	app.data("query Named { shop { id } }", nil)
	app.data("query Named { shop { id } }", nil)
	app.data("{ shop { id } }", map[string]any{"a": 1})
	app.do("not graphql", nil)
	if diff := cmp.Diff(map[string]int{"Named": 2, "shop": 1}, srv.Counts()); diff != "" {
		t.Error(diff)
	}
	got := srv.Requests()[2]
	if got.Host != domain || got.Operation != "shop" || got.Query != "{ shop { id } }" || string(got.Variables) != `{"a":1}` || got.Cost != 1 {
		t.Errorf("%+v", got)
	}
	if srv.Count("Named") != 2 {
		t.Error("Count")
	}
}

func TestScopesAndProtectedData(t *testing.T) {
	const query = `query($id: ID!) {
		customers(first: 2) { nodes { id email firstName numberOfOrders } }
		node(id: $id) { ... on Customer { phone note } }
	}`
	_, store, app := start(t, shopifytest.StoreConfig{})
	c := store.Create(shopifytest.Customer{Email: "a@example.com", FirstName: "A", Phone: "+886912345678", Note: "n"})
	vars := map[string]any{"id": gid(c.ID)}

	store.Configure(func(c *shopifytest.StoreConfig) { c.Scopes = []string{} })
	got := app.do(query, vars)
	if got.Data != nil || got.Status != 200 || got.code() != "ACCESS_DENIED" ||
		got.message() != "Access denied for customers field. Required access: `read_customers` access scope." {
		t.Errorf("no scope: %s", got.Body)
	}
	if diff := cmp.Diff([]any{"customers"}, at(got.Errors, 0, "path")); diff != "" {
		t.Error(diff)
	}
	if got := app.data("{ currentAppInstallation { accessScopes { handle } } }", nil); len(list(at(got, "currentAppInstallation", "accessScopes"))) != 0 {
		t.Errorf("%v", got)
	}

	store.Configure(func(c *shopifytest.StoreConfig) {
		c.Scopes = []string{"write_customers"}
		c.Access = shopifytest.NoPersonalData
	})
	got = app.do(query, vars)
	if at(got.Data, "customers", "nodes", 0, "email") != nil || at(got.Data, "customers", "nodes", 0, "numberOfOrders") != "0" ||
		at(got.Data, "node", "note") != "n" {
		t.Errorf("level 1: %s", got.Body)
	}
	var paths []any
	for _, e := range list(got.Errors) {
		paths = append(paths, at(e, "path"))
		if at(e, "extensions", "code") != "ACCESS_DENIED" || !strings.HasPrefix(text(at(e, "message")), "This app is not approved to use the ") {
			t.Errorf("%v", e)
		}
	}
	want := []any{pathOf("customers", "nodes", number("0"), "email"), pathOf("customers", "nodes", number("0"), "firstName"), pathOf("node", "phone")}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}

	store.Configure(func(c *shopifytest.StoreConfig) {
		c.Access = shopifytest.FullAccess
		c.DeniedFields = []string{"note"}
	})
	got = app.do(query, vars)
	if at(got.Data, "customers", "nodes", 0, "email") != "a@example.com" || at(got.Data, "node", "note") != nil || len(list(got.Errors)) != 1 {
		t.Errorf("one field: %s", got.Body)
	}

	store.Configure(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoCustomerData })
	got = app.do(`query($ids: [ID!]!) { nodes(ids: $ids) { id } shop { id } }`, map[string]any{"ids": []string{gid(c.ID)}})
	if at(got.Data, "nodes", 0) != nil || at(got.Data, "shop") == nil || !strings.HasPrefix(text(got.message()), "This app is not approved to access the Customer object.") {
		t.Errorf("no customers: %s", got.Body)
	}
	if diff := cmp.Diff(pathOf("nodes", number("0")), at(got.Errors, 0, "path")); diff != "" {
		t.Error(diff)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
