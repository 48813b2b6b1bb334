package shopifytest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

const shopQuery = "query Shop { shop { id } }"

func TestFaultsHitWhatTheyShould(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	statuses := func(query string, n int) []int {
		var got []int
		for range n {
			got = append(got, app.do(query, nil).Status)
		}
		return got
	}
	for _, tt := range []struct {
		name  string
		fault shopifytest.Fault
		query string
		want  []int
	}{
		{"once", shopifytest.Fault{Operation: "Shop", Status: 500}, shopQuery, []int{500, 200, 200, 200}},
		{"after", shopifytest.Fault{Operation: "Shop", After: 2, Status: 500}, shopQuery, []int{200, 200, 500, 200}},
		{"times", shopifytest.Fault{Operation: "Shop", After: 1, Times: 2, Status: 500}, shopQuery, []int{200, 500, 500, 200}},
		{"always", shopifytest.Fault{Operation: "Shop", Times: shopifytest.Always, Status: 500}, shopQuery, []int{500, 500, 500, 500}},
		{"by field", shopifytest.Fault{Operation: "shop", Status: 500}, "{ shop { id } }", []int{500, 200, 200, 200}},
		{"any operation", shopifytest.Fault{Status: 500}, shopQuery, []int{500, 200, 200, 200}},
		{"another operation", shopifytest.Fault{Operation: "Other", Status: 500}, shopQuery, []int{200, 200, 200, 200}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store.ClearFaults()
			store.Inject(tt.fault)
			if diff := cmp.Diff(tt.want, statuses(tt.query, 4)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFaultStatuses(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	for _, tt := range []struct {
		fault       shopifytest.Fault
		contentType string
		body        string
	}{
		{shopifytest.Fault{Status: 401}, "application/json", "Invalid API key"},
		{shopifytest.Fault{Status: 402}, "application/json", "Unavailable Shop"},
		{shopifytest.Fault{Status: 403}, "application/json", "requires merchant approval"},
		{shopifytest.Fault{Status: 404}, "application/json", `{"errors":"Not Found"}`},
		{shopifytest.Fault{Status: 423}, "application/json", "unavailable"},
		{shopifytest.Fault{Status: 429}, "application/json", "Throttled"},
		{shopifytest.Fault{Status: 430}, "text/html", "Security"},
		{shopifytest.Fault{Status: 500}, "text/html", "Internal Server Error"},
		{shopifytest.Fault{Status: 503}, "text/html", "Service Unavailable"},
		{shopifytest.Fault{Status: 540}, "text/html", "540"},
		{shopifytest.Fault{Status: 500, Body: `{"errors":[]}`}, "application/json", `{"errors":[]}`},
	} {
		store.Inject(tt.fault)
		got := app.do(shopQuery, nil)
		if got.Status != tt.fault.Status || !strings.HasPrefix(got.Header.Get("Content-Type"), tt.contentType) || !strings.Contains(got.Body, tt.body) {
			t.Errorf("%d: %d %s %s", tt.fault.Status, got.Status, got.Header.Get("Content-Type"), got.Body)
		}
	}
	store.Inject(shopifytest.TooManyRequests("Shop", 1, 7))
	if got := app.do(shopQuery, nil); got.Status != 429 || got.Header.Get("Retry-After") != "7" {
		t.Errorf("%d %v", got.Status, got.Header)
	}
	store.Inject(shopifytest.Fault{Errors: shopifytest.ThrottledErrors()})
	if got := app.do(shopQuery, nil); got.Status != 200 || got.code() != "THROTTLED" || got.Data != nil {
		t.Errorf("%s", got.Body)
	}
	store.Inject(shopifytest.Fault{Header: http.Header{"x-shopify-api-deprecated-reason": {"old"}}})
	if got := app.do(shopQuery, nil); got.Header.Get("X-Shopify-API-Deprecated-Reason") != "old" || got.Data == nil {
		t.Errorf("a header beside the real answer: %v", got.Header)
	}
}

func TestFaultEdits(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	store.Generate(10, 1)
	page := func(after any) answer {
		return app.do(pageQuery, map[string]any{"first": 4, "after": after})
	}
	fault := func(edit func(map[string]any)) {
		store.ClearFaults()
		store.Inject(shopifytest.Fault{Operation: "Page", Times: shopifytest.Always, Edit: edit})
	}
	cursor := func(a answer) any { return at(a.Data, "customers", "pageInfo", "endCursor") }

	fault(shopifytest.RepeatCursor())
	first := page(nil)
	if second := page(cursor(first)); cursor(second) != cursor(first) || cursor(first) == nil {
		t.Errorf("cursors %v, %v", cursor(first), cursor(second))
	}
	fault(shopifytest.EndlessPages)
	if got := app.do(pageQuery, map[string]any{"first": 100}); at(got.Data, "customers", "pageInfo", "hasNextPage") != true {
		t.Errorf("%s", got.Body)
	}
	fault(shopifytest.OmitNode(1))
	if got := page(nil); len(list(at(got.Data, "customers", "nodes"))) != 3 || at(got.Data, "customers", "nodes", 1) != nil &&
		at(got.Data, "customers", "nodes", 1, "id") == at(first.Data, "customers", "nodes", 1, "id") {
		t.Errorf("%s", got.Body)
	}
	fault(shopifytest.NullErrors)
	if got := page(nil); !strings.Contains(got.Body, `"errors":null`) || got.Data == nil {
		t.Errorf("%s", got.Body)
	}
	fault(shopifytest.ThrottleStatus(1000, 5000, 0))
	if got := page(nil); got.left() != number("5000") || at(got.Extensions, "cost", "throttleStatus", "restoreRate") != number("0") {
		t.Errorf("%s", got.Body)
	}
}

func TestFaultConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, store, app := start(t, shopifytest.StoreConfig{})
		const cancel = `mutation Run { bulkOperationRunQuery(query: "{ customers { edges { node { id } } } }") { bulkOperation { id } } }`
		for _, tt := range []struct {
			drop    shopifytest.Drop
			carried bool
		}{
			{shopifytest.DropRequest, false},
			{shopifytest.DropAnswer, true},
			{shopifytest.DropMidBody, true},
		} {
			before := app.data("{ currentBulkOperation { id } }", nil)
			store.Inject(shopifytest.Fault{Operation: "Run", Drop: tt.drop})
			if got, err := app.try(app.request(cancel, nil)); err == nil {
				t.Errorf("drop %d: answered %s", tt.drop, got.Body)
			}
			carried := cmp.Diff(before, app.data("{ currentBulkOperation { id } }", nil)) != ""
			if carried != tt.carried {
				t.Errorf("drop %d: carried out %v", tt.drop, carried)
			}
		}

		store.Inject(shopifytest.Fault{Operation: "Shop", Hang: true})
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		began := time.Now()
		if _, err := app.try(app.request(shopQuery, nil).WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hang: %v", err)
		}
		if waited := time.Since(began); waited != time.Hour {
			t.Errorf("hang ended after %v", waited)
		}

		store.Inject(shopifytest.Fault{Operation: "Shop", Delay: time.Minute})
		began = time.Now()
		app.data(shopQuery, nil)
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("delayed by %v", waited)
		}
		store.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 300 * time.Millisecond })
		began = time.Now()
		app.data(shopQuery, nil)
		if waited := time.Since(began); waited != 300*time.Millisecond {
			t.Errorf("latency %v", waited)
		}
		if srv.Count("Run") != 3 {
			t.Errorf("%v", srv.Counts())
		}
	})
}

func TestTokenFault(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	store.Inject(shopifytest.Fault{Operation: shopifytest.OpToken, Body: `{"access_token":"shpat_x","scope":""}`})
	if got := app.token24(formType, form); got.Status != 200 || got.Body != `{"access_token":"shpat_x","scope":""}` {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if got := app.token24(formType, form); got.Status != 200 || !strings.Contains(got.Body, "expires_in") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

func TestBulkFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: 10})
		store.Generate(100, 1)
		store.Inject(shopifytest.Fault{Operation: shopifytest.OpBulkRun, Bulk: &shopifytest.BulkFailure{
			ErrorCode: "INTERNAL_SERVER_ERROR", AfterRows: 40, PartialData: true, PartialAfter: time.Minute,
		}})
		id := at(app.runBulk(bulkQuery), "bulkOperation", "id")
		time.Sleep(3 * time.Second)
		if op := app.poll(id); op["status"] != "RUNNING" || op["objectCount"] != "30" {
			t.Errorf("%v", op)
		}
		time.Sleep(2 * time.Second)
		op := app.poll(id)
		if op["status"] != "FAILED" || op["errorCode"] != "INTERNAL_SERVER_ERROR" || op["objectCount"] != "40" || op["url"] != nil || op["partialDataUrl"] != nil || op["completedAt"] != nil {
			t.Errorf("%v", op)
		}
		time.Sleep(time.Minute)
		if _, _, body := app.fetch(text(app.poll(id)["partialDataUrl"])); strings.Count(body, "\n") != 40 {
			t.Errorf("partial data has %d lines", strings.Count(body, "\n"))
		}

		store.Inject(shopifytest.Fault{Operation: shopifytest.OpBulkRun, Bulk: &shopifytest.BulkFailure{Status: "CANCELED"}})
		if op := app.poll(at(app.runBulk(bulkQuery), "bulkOperation", "id")); op["status"] != "CANCELED" || op["errorCode"] != nil {
			t.Errorf("%v", op)
		}
	})
}

func TestBulkDownloadFaults(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: shopifytest.Unlimited})
	store.Generate(500, 1)
	url := text(app.poll(at(app.runBulk(bulkQuery), "bulkOperation", "id"))["url"])
	_, _, whole := app.fetch(url)
	inject := func(f shopifytest.Fault) {
		f.Operation = shopifytest.OpBulkDownload
		store.Inject(f)
	}

	inject(shopifytest.Fault{Status: 403})
	if status, header, body := app.fetch(url); status != 403 || !strings.Contains(header.Get("Content-Type"), "xml") || !strings.Contains(body, "<Code>AccessDenied</Code>") {
		t.Errorf("%d %s", status, body)
	}
	inject(shopifytest.Fault{TruncateAt: 1000})
	if status, header, body := app.fetch(url); status != 200 || body != whole[:1000] || header.Get("Content-Length") != "1000" {
		t.Errorf("%d, %d bytes", status, len(body))
	}
	inject(shopifytest.Fault{OmitFinalNewline: true})
	if _, _, body := app.fetch(url); body != whole[:len(whole)-1] {
		t.Errorf("%d bytes of %d", len(body), len(whole))
	}
	inject(shopifytest.Fault{Drop: shopifytest.DropMidBody})
	response, err := app.client.Get(url)
	check(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(body) == 0 || !strings.HasPrefix(whole, string(body)) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	inject(shopifytest.Fault{Drop: shopifytest.DropRequest, Times: shopifytest.Always})
	if _, err := app.client.Get(url); err == nil {
		t.Error("answered")
	}
}
