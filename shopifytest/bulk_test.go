package shopifytest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

const bulkFields = "id status errorCode type query createdAt completedAt objectCount rootObjectCount fileSize url partialDataUrl"

// runBulk starts a bulk operation and returns the payload.
func (a *app) runBulk(query string) map[string]any {
	a.t.Helper()
	data := a.data(`mutation($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { `+bulkFields+` } userErrors { field message } } }`,
		map[string]any{"q": query})
	return data["bulkOperationRunQuery"].(map[string]any)
}

func (a *app) poll(id any) map[string]any {
	a.t.Helper()
	data := a.data(`query($id: ID!) { node(id: $id) { ... on BulkOperation { `+bulkFields+` } } }`, map[string]any{"id": id})
	return data["node"].(map[string]any)
}

// fetch reads a file without the token.
func (a *app) fetch(url string, header ...string) (int, http.Header, string) {
	a.t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := a.client.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

const bulkQuery = "{ customers { edges { node { id firstName amountSpent { amount } } } } }"

func TestBulkLifecycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: 100})
		store.Generate(1000, 1)
		if got := app.data("{ currentBulkOperation { id } }", nil); got["currentBulkOperation"] != nil {
			t.Errorf("before any: %v", got)
		}
		payload := app.runBulk(bulkQuery)
		id := at(payload, "bulkOperation", "id")
		want := map[string]any{
			"id": id, "status": "CREATED", "errorCode": nil, "type": "QUERY", "query": bulkQuery,
			"createdAt": "2000-01-01T00:00:00Z", "completedAt": nil,
			"objectCount": "0", "rootObjectCount": "0", "fileSize": nil, "url": nil, "partialDataUrl": nil,
		}
		if diff := cmp.Diff(want, payload["bulkOperation"]); diff != "" || len(list(payload["userErrors"])) != 0 {
			t.Errorf("%v\n%s", payload["userErrors"], diff)
		}
		time.Sleep(5 * time.Second)
		want["status"], want["objectCount"], want["rootObjectCount"] = "RUNNING", "500", "500"
		if diff := cmp.Diff(want, app.poll(id)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(5 * time.Second)
		done := app.poll(id)
		if done["status"] != "COMPLETED" || done["completedAt"] != "2000-01-01T00:00:10Z" || done["objectCount"] != "1000" {
			t.Errorf("%v", done)
		}
		if diff := cmp.Diff(done, app.data("{ currentBulkOperation { "+bulkFields+" } }", nil)["currentBulkOperation"]); diff != "" {
			t.Error(diff)
		}
		url := text(done["url"])
		if !strings.HasPrefix(url, "https://storage.googleapis.com/shopify-tiers-assets-prod-us-east1/bulk-operation-outputs/") {
			t.Error(url)
		}
		status, header, body := app.fetch(url)
		if status != 200 || header.Get("Content-Length") != text(done["fileSize"]) || strings.Count(body, "\n") != 1000 || !strings.HasSuffix(body, "}\n") {
			t.Errorf("status %d, length %s of %v, %d lines", status, header.Get("Content-Length"), done["fileSize"], strings.Count(body, "\n"))
		}
		if status, _, body := app.fetch(strings.Replace(url, "Signature=", "Signature=x", 1)); status != 403 || !strings.Contains(body, "SignatureDoesNotMatch") {
			t.Errorf("mangled: %d", status)
		}
		time.Sleep(7*24*time.Hour + time.Second)
		if expired := app.poll(id); expired["status"] != "EXPIRED" || expired["url"] != nil {
			t.Errorf("%v", expired)
		}
		if status, header, body := app.fetch(url); status != 403 || !strings.Contains(header.Get("Content-Type"), "xml") || !strings.Contains(body, "<Code>ExpiredToken</Code>") {
			t.Errorf("expired: %d %s", status, body)
		}
	})
}

func TestBulkLines(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: shopifytest.Unlimited})
	c := store.Create(shopifytest.Customer{FirstName: "a/b", Email: "A@x.example", Tags: []string{"1/2"}})
	payload := app.runBulk(`{ customers { edges { node { id a: firstName email tags ...F } } } } fragment F on Customer { __typename numberOfOrders }`)
	store.Create(shopifytest.Customer{FirstName: "later"})                                             // not in the file:
	check(t, store.Update(c.ID, func(c *shopifytest.Customer) { c.FirstName = "changed afterwards" })) // as of createdAt
	_, _, body := app.fetch(text(app.poll(at(payload, "bulkOperation", "id"))["url"]))
	want := `{"id":"gid:\/\/shopify\/Customer\/` + gid(c.ID)[len("gid://shopify/Customer/"):] +
		`","a":"a\/b","email":"A@x.example","tags":["1\/2"],"__typename":"Customer","numberOfOrders":"0"}` + "\n"
	if diff := cmp.Diff(want, body); diff != "" {
		t.Error(diff)
	}
}

func TestBulkMatchesPages(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: shopifytest.Unlimited, BucketSize: 1e9})
	store.Generate(3000, 5)
	check(t, store.Delete(store.Newest(5)[4].ID))
	const fields = `id firstName lastName email phone locale note tags state verifiedEmail numberOfOrders amountSpent { amount currencyCode }
		createdAt updatedAt emailMarketingConsent { marketingState marketingOptInLevel consentUpdatedAt }
		smsMarketingConsent { marketingState marketingOptInLevel consentUpdatedAt consentCollectedFrom }
		defaultAddress { address1 address2 city province zip countryCodeV2 phone }`
	var pages []any
	vars := map[string]any{}
	for {
		data := app.data("query($c: String) { customers(first: 250, after: $c) { nodes { "+fields+" } pageInfo { hasNextPage endCursor } } }", vars)
		pages = append(pages, list(at(data, "customers", "nodes"))...)
		if at(data, "customers", "pageInfo", "hasNextPage") != true {
			break
		}
		vars["c"] = at(data, "customers", "pageInfo", "endCursor")
	}
	op := app.poll(at(app.runBulk("{ customers { edges { node { "+fields+" } } } }"), "bulkOperation", "id"))
	_, _, body := app.fetch(text(op["url"]))
	var rows []any
	for decoder := json.NewDecoder(strings.NewReader(body)); ; {
		var row any
		if err := decoder.Decode(&row); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if len(rows) != 2999 {
		t.Errorf("%d rows", len(rows))
	}
	if diff := cmp.Diff(pages, rows); diff != "" {
		t.Errorf("%.2000s", diff)
	}
}

func TestBulkValidation(t *testing.T) {
	_, _, app := start(t, shopifytest.StoreConfig{})
	for _, tt := range []struct {
		name, query string
		messages    []string
	}{
		{"nodes instead of edges", "{ customers { nodes { id } } }", []string{
			"All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: 'customers { edges { node {'. " +
				"Selecting via 'nodes' is not supported. Invalid connection fields: 'customers'.",
		}},
		{"edges without a node", "{ customers { edges { cursor } } }", []string{
			"All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: 'customers { edges { node {'. " +
				"Selecting via 'nodes' is not supported. Invalid connection fields: 'customers'.",
		}},
		{"a top-level node", `{ node(id: "gid://shopify/Customer/1") { id } }`, []string{
			"Bulk queries cannot contain a top level `node` field.",
			"Bulk queries must contain at least one connection.",
		}},
		{"no connection", "{ shop { id } }", []string{"Bulk queries must contain at least one connection."}},
		{"six connections", strings.Replace("{ a b c d e f }", "a b c d e f",
			strings.Join([]string{"a", "b", "c", "d", "e", "f"}, ": customers { edges { node { id } } } ")+": customers { edges { node { id } } }", 1),
			[]string{"Bulk queries cannot contain more than 5 connections."}},
		{"a mutation", `mutation { bulkOperationCancel(id: "gid://shopify/BulkOperation/1") { userErrors { message } } }`, []string{
			"Invalid operation type. Only `query` operations are supported.",
		}},
		{"variables", "query($q: String) { customers(query: $q) { edges { node { id } } } }", []string{"Invalid bulk query: variables are not supported."}},
		{"an unknown field", "{ customers { edges { node { orders } } } }", []string{"Invalid bulk query: Field 'orders' doesn't exist on type 'Customer'"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			payload := app.runBulk(tt.query)
			var want []any
			for _, m := range tt.messages {
				want = append(want, map[string]any{"field": []any{"query"}, "message": m})
			}
			if diff := cmp.Diff(want, payload["userErrors"]); diff != "" || payload["bulkOperation"] != nil {
				t.Errorf("%v\n%s", payload["bulkOperation"], diff)
			}
		})
	}
}

func TestBulkSlots(t *testing.T) {
	for _, tt := range []struct {
		version string
		slots   int
	}{{"2025-07", 1}, {"2026-01", 5}} {
		t.Run(tt.version, func(t *testing.T) {
			_, store, app := start(t, shopifytest.StoreConfig{APIVersions: []string{tt.version}, BulkSpeed: 1})
			store.Generate(100, 1)
			var running []string
			for range tt.slots {
				running = append(running, text(at(app.runBulk(bulkQuery), "bulkOperation", "id")))
			}
			payload := app.runBulk(bulkQuery)
			want := []any{map[string]any{
				"field":   nil,
				"message": "A bulk query operation for this app and shop is already in progress: " + strings.Join(running, ", ") + ".",
			}}
			if diff := cmp.Diff(want, payload["userErrors"]); diff != "" || payload["bulkOperation"] != nil {
				t.Error(diff)
			}
		})
	}
}

// However many start at once, a slot is one operation's.
func TestBulkSlotsAtOnce(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{APIVersions: []string{"2025-07"}, BulkSpeed: 1})
	store.Generate(300_000, 1)
	// To count the rows of a filter takes a while, in which others start.
	const filtered = `{ customers(query: "updated_at:>'2000-01-01'") { edges { node { id } } } }`
	var all sync.WaitGroup
	var started atomic.Int32
	for range 20 {
		all.Go(func() {
			if app.runBulk(filtered)["bulkOperation"] != nil {
				started.Add(1)
			}
		})
	}
	all.Wait()
	if n := started.Load(); n != 1 {
		t.Errorf("%d operations were started in one slot", n)
	}
}

func TestBulkCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: 10})
		store.Generate(100, 1)
		id := at(app.runBulk(bulkQuery), "bulkOperation", "id")
		time.Sleep(3 * time.Second)
		cancel := func(id any) map[string]any {
			return app.data(`mutation($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { id status } userErrors { field message } } }`,
				map[string]any{"id": id})["bulkOperationCancel"].(map[string]any)
		}
		want := map[string]any{"bulkOperation": map[string]any{"id": id, "status": "CANCELING"}, "userErrors": []any{}}
		if diff := cmp.Diff(want, cancel(id)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Second)
		op := app.poll(id)
		if op["status"] != "CANCELED" || op["completedAt"] != nil || op["url"] != nil || op["objectCount"] != "30" {
			t.Errorf("%v", op)
		}
		if _, _, body := app.fetch(text(op["partialDataUrl"])); strings.Count(body, "\n") != 30 {
			t.Errorf("partial data: %d lines", strings.Count(body, "\n"))
		}
		want = map[string]any{"bulkOperation": map[string]any{"id": id, "status": "CANCELED"}, "userErrors": []any{
			map[string]any{"field": nil, "message": "A bulk operation cannot be canceled when it is canceled"},
		}}
		if diff := cmp.Diff(want, cancel(id)); diff != "" {
			t.Error(diff)
		}
		want = map[string]any{"bulkOperation": nil, "userErrors": []any{
			map[string]any{"field": []any{"id"}, "message": "Bulk operation does not exist"},
		}}
		if diff := cmp.Diff(want, cancel("gid://shopify/BulkOperation/1")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBulkWithoutRowsHasNoURL(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: shopifytest.Unlimited})
	op := app.poll(at(app.runBulk(bulkQuery), "bulkOperation", "id"))
	if op["status"] != "COMPLETED" || op["url"] != nil || op["fileSize"] != nil || op["objectCount"] != "0" {
		t.Errorf("empty store: %v", op)
	}
	store.Generate(10, 1)
	op = app.poll(at(app.runBulk(`{ customers(query: "id:1") { edges { node { id } } } }`), "bulkOperation", "id"))
	if op["status"] != "COMPLETED" || op["url"] != nil {
		t.Errorf("no match: %v", op)
	}
}

func TestBulkHidesProtectedFieldsSilently(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: shopifytest.Unlimited, Access: shopifytest.NoPersonalData})
	store.Create(shopifytest.Customer{ID: 7, Email: "a@example.com", Note: "n"})
	op := app.poll(at(app.runBulk("{ customers { edges { node { id email note } } } }"), "bulkOperation", "id"))
	if _, _, body := app.fetch(text(op["url"])); body != `{"id":"gid:\/\/shopify\/Customer\/7","email":null,"note":"n"}`+"\n" {
		t.Error(body)
	}
	store.Configure(func(c *shopifytest.StoreConfig) { c.Scopes = []string{} })
	op = app.poll(at(app.runBulk(bulkQuery), "bulkOperation", "id"))
	if op["status"] != "FAILED" || op["errorCode"] != "ACCESS_DENIED" {
		t.Errorf("no scope: %v", op)
	}
}

func TestBulkFileRanges(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: shopifytest.Unlimited})
	store.Generate(2500, 1)
	url := text(app.poll(at(app.runBulk(bulkQuery), "bulkOperation", "id"))["url"])
	_, _, whole := app.fetch(url)
	size := len(whole)
	for _, tt := range []struct {
		name, header string
		status       int
		want         string
	}{
		{"to the end", "bytes=100000-", 206, whole[100000:]},
		{"from the start", "bytes=0-9", 206, whole[:10]},
		{"the middle", "bytes=150001-150100", 206, whole[150001:150101]},
		{"the last byte", "bytes=-1", 206, "\n"},
		{"beyond the end is cut", "bytes=10-99999999", 206, whole[10:]},
		{"all of it", "bytes=0-", 200, whole},
		{"several ranges are ignored", "bytes=0-1,5-6", 200, whole},
		{"nonsense is ignored", "lines=1-2", 200, whole},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, header, body := app.fetch(url, "Range", tt.header)
			if status != tt.status || body != tt.want {
				t.Errorf("status %d, %d bytes, want %d", status, len(body), len(tt.want))
			}
			if (header.Get("Content-Range") != "") != (status == 206) {
				t.Errorf("Content-Range %q", header.Get("Content-Range"))
			}
		})
	}
	status, header, _ := app.fetch(url, "Range", "bytes=999999999-")
	if status != 416 || header.Get("Content-Range") != "bytes */"+itoa(size) {
		t.Errorf("beyond: %d %q", status, header.Get("Content-Range"))
	}

	store.Configure(func(c *shopifytest.StoreConfig) { c.BulkGzip = true })
	_, header, body := app.fetch(url, "Accept-Encoding", "gzip")
	if header.Get("Content-Encoding") != "gzip" {
		t.Fatal("not compressed")
	}
	zip, err := gzip.NewReader(strings.NewReader(body))
	check(t, err)
	unzipped, err := io.ReadAll(zip)
	check(t, err)
	if !bytes.Equal(unzipped, []byte(whole)) {
		t.Error("the compressed file is another one")
	}
	if _, header, body := app.fetch(url, "Accept-Encoding", "identity"); header.Get("Content-Encoding") != "" || body != whole {
		t.Error("compressed though it was not asked for")
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}
