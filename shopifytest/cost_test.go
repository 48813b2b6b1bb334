package shopifytest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

type number = json.Number

func (a answer) cost(field string) any { return at(a.Extensions, "cost", field) }

func (a answer) left() any { return at(a.Extensions, "cost", "throttleStatus", "currentlyAvailable") }

func TestObservedCost(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BucketSize: 1e6})
	store.Generate(300, 1)
	const fields = `id firstName email phone tags amountSpent { amount } defaultAddress { city }
		emailMarketingConsent { marketingState } smsMarketingConsent { marketingState }`
	for _, tt := range []struct {
		name, query       string
		requested, actual number
	}{
		{"a page of 250 with money, address and consents", "{ customers(first: 250) { nodes { " + fields + " } pageInfo { endCursor } } }", "13", "13"},
		{"a page of 50", "{ customers(first: 50) { nodes { id } } }", "9", "9"},
		{"a page of 10", "{ customers(first: 10) { nodes { id } } }", "6", "6"},
		{"edges and nodes count twice", "{ customers(first: 250) { edges { node { id } } nodes { id } } }", "24", "24"},
		{"cursors alone", "{ customers(first: 250) { edges { cursor } } }", "2", "2"},
		{"no rows: the difference is given back", `{ customers(first: 250, query: "id:1") { nodes { id } } }`, "13", "2"},
		{"nodes do not grow with their ids", `{ nodes(ids: ["gid://shopify/Customer/1", "gid://shopify/Customer/2"]) { id } }`, "1", "1"},
		{"shop", "{ shop { id name } }", "1", "1"},
		{"scopes", "{ currentAppInstallation { accessScopes { handle } } }", "2", "2"},
		{"counts", "{ a: customersCount { count } b: customersCount { count } }", "20", "20"},
		{"a bulk operation", "{ currentBulkOperation { id status } }", "1", "1"},
		{"a mutation", `mutation { bulkOperationCancel(id: "gid://shopify/BulkOperation/1") { bulkOperation { id } userErrors { message } } }`, "10", "10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := app.do(tt.query, nil)
			if got.cost("requestedQueryCost") != tt.requested || got.cost("actualQueryCost") != tt.actual {
				t.Errorf("%v", got.Extensions)
			}
		})
	}
}

func TestDocumentedCostCanExceedTheMaximum(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{CostModel: shopifytest.DocumentedCost})
	store.Generate(1, 1)
	query := `query($n: Int!) { customers(first: $n) { nodes { amountSpent { amount } defaultAddress { city }
		emailMarketingConsent { marketingState } smsMarketingConsent { marketingState } } } }`
	got := app.do(query, map[string]any{"n": 250})
	if got.Status != 200 || got.code() != "MAX_COST_EXCEEDED" || at(got.Errors, 0, "extensions", "cost") != number("1250") ||
		at(got.Errors, 0, "extensions", "maxCost") != number("1000") ||
		!strings.HasPrefix(text(got.message()), "Query cost is 1250, which exceeds the single query max cost limit (1000).") {
		t.Errorf("%s", got.Body)
	}
	if got := app.do(query, map[string]any{"n": 200}); got.cost("requestedQueryCost") != number("1000") {
		t.Errorf("%s", got.Body)
	}
}

// The bucket by a virtual clock, as a client sees it that does not wait.
func TestThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, app := start(t, shopifytest.StoreConfig{BucketSize: 30, RestoreRate: 10})
		store.Generate(250, 1)
		const query = "{ customers(first: 250) { nodes { id } } }" // 13 points
		app.data(query, nil)
		if got := app.do(query, nil); got.left() != number("4") {
			t.Errorf("%v", got.Extensions)
		}
		got := app.do(query, nil)
		want := `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED","documentation":"https://shopify.dev/api/usage/rate-limits"}}],` +
			`"extensions":{"cost":{"requestedQueryCost":13,"actualQueryCost":null,"throttleStatus":{"maximumAvailable":30.0,"currentlyAvailable":4,"restoreRate":10.0}}}}`
		if diff := cmp.Diff(want, got.Body); diff != "" || got.Status != 200 {
			t.Errorf("status %d\n%s", got.Status, diff)
		}
		time.Sleep(899 * time.Millisecond)
		if got := app.do(query, nil); got.code() != "THROTTLED" {
			t.Errorf("too early: %s", got.Body[:100])
		}
		time.Sleep(time.Millisecond)
		if got := app.do(query, nil); got.Errors != nil || got.left() != number("0") {
			t.Errorf("in time: %v %v", got.Errors, got.Extensions)
		}
		time.Sleep(time.Hour)
		if got := app.do(query, nil); got.left() != number("17") {
			t.Errorf("full again: %v", got.Extensions)
		}
		// What was asked for and not used is given back.
		if got := app.do(`{ customers(first: 250, query: "id:1") { nodes { id } } }`, nil); got.left() != number("15") {
			t.Errorf("given back: %v", got.Extensions)
		}
		store.Drain(10)
		store.Configure(func(c *shopifytest.StoreConfig) { c.Throttle429 = true })
		if got := app.do(query, nil); got.Status != 429 || got.Header.Get("Retry-After") != "1.0" || got.code() != "THROTTLED" {
			t.Errorf("%d %q %s", got.Status, got.Header.Get("Retry-After"), got.Body)
		}
	})
}
