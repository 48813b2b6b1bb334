package shopify

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/internal/throttle"
)

func TestValidHost(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	tests := map[string]bool{
		"demo.myshopify.com":                  true,
		"a.myshopify.com":                     true,
		"1-2-3.myshopify.com":                 true,
		label63 + ".myshopify.com":            true,
		label63 + "a.myshopify.com":           false,
		strings.Repeat("a", 100000):           false,
		"":                                    false,
		".myshopify.com":                      false,
		"myshopify.com":                       false,
		"Demo.myshopify.com":                  false,
		"demo.myshopify.com.":                 false,
		"demo.myshopify.com\n":                false,
		"demo.myshopify.com:8080":             false,
		"demo.myshopify.com/":                 false,
		"https://demo.myshopify.com":          false,
		"-demo.myshopify.com":                 false,
		"demo-.myshopify.com":                 false,
		"de_mo.myshopify.com":                 false,
		"a.b.myshopify.com":                   false,
		"demo.myshopify.com.evil.example":     false,
		"evil.example#.myshopify.com":         false,
		"evil.example%2f.myshopify.com":       false,
		"evil.example/.myshopify.com":         false,
		"user@demo.myshopify.com":             false,
		"demo.myshopify.com@evil.example":     false,
		"d\u0435mo.myshopify.com":             false, // Cyrillic
		"demo\x00.myshopify.com":              false,
		"admin.shopify.com":                   false,
		"demo.myshopifyxcom":                  false,
		"demo.myshopify.com\nevil.example":    false,
		"evil.example\ndemo.myshopify.com":    false,
		"demo.myshopify.com?x=.myshopify.com": false,
	}
	for host, want := range tests {
		if got := ValidHost(host); got != want {
			t.Errorf("ValidHost(%.60q) = %v, want %v", host, got, want)
		}
	}
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	tests := []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"complete", func(*Config) {}, ""},
		{"unstable", func(c *Config) { c.Version = "unstable" }, ""},
		{"shop", func(c *Config) { c.Shop = "demo.example" }, "shopify: Shop must be a host of the form name.myshopify.com"},
		{"version", func(c *Config) { c.Version = "2024-04/../.." }, `shopify: Version must have the form "2024-04"`},
		{"no version", func(c *Config) { c.Version = "" }, `shopify: Version must have the form "2024-04"`},
		{"token", func(c *Config) { c.Token = nil }, "shopify: Token is missing"},
		{"bucket", func(c *Config) { c.Bucket = nil }, "shopify: Bucket is missing"},
		{"body", func(c *Config) { c.MaxBody = -1 }, "shopify: MaxBody is negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig(nil)
			tt.edit(&c)
			_, err := New(c)
			if got := fmt.Sprint(err); tt.want == "" && err != nil || tt.want != "" && got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	var (
		got  *http.Request
		body map[string]any
	)
	c := testConfig(transport(func(r *http.Request) (*http.Response, error) {
		got = r
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		return reply{body: goodBody}.response()
	}))
	c.UserAgent = "test/1"
	c.Edit = func(q string) string { return strings.Replace(q, " email", "", 1) }
	req := query()
	if _, _, err := send(t.Context(), newTestClient(t, c), req); err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPost || got.URL.String() != "https://demo.myshopify.com/admin/api/2024-04/graphql.json" {
		t.Errorf("%s %s", got.Method, got.URL)
	}
	wantHeader := http.Header{
		"Accept": {"application/json"}, "Content-Type": {"application/json"},
		"User-Agent": {"test/1"}, "X-Shopify-Access-Token": {testToken},
	}
	if diff := cmp.Diff(wantHeader, got.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	wantBody := map[string]any{
		"operationName": "CustomersPage",
		"query":         "\nquery CustomersPage { customers { nodes { id tags } } }",
		"variables":     map[string]any{"first": 250.0, "after": "cursor-of-a-customer"},
	}
	if diff := cmp.Diff(wantBody, body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(query(), req); diff != "" {
		t.Errorf("the caller's request was changed:\n%s", diff)
	}
}

func TestSetToken(t *testing.T) {
	tests := []struct {
		url  string
		sent bool
	}{
		{"https://demo.myshopify.com/admin", true},
		{"http://demo.myshopify.com/admin", false},
		{"https://demo.myshopify.com:8443/admin", false},
		{"https://other.myshopify.com/admin", false},
		{"https://demo.myshopify.com.evil.example/", false},
		{"https://evil.example/demo.myshopify.com", false},
	}
	for _, tt := range tests {
		req, err := http.NewRequest(http.MethodPost, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = setToken(req, testShop, testToken)
		if sent := req.Header.Get(tokenHeader) != ""; sent != tt.sent || (err == nil) != tt.sent {
			t.Errorf("%s: token set %v, error %v", tt.url, sent, err)
		}
	}
}

// One answer that is not retried, and everything that is said about it.
func TestAnswers(t *testing.T) {
	list := func(entries string) string { return `{"data":{"customers":null},"errors":[` + entries + `]}` }
	tests := []struct {
		name  string
		reply reply
		kind  Kind
		want  string
	}{
		{"401", reply{status: 401, body: `{"errors":"[API] Invalid API key or access token jane@example.com"}`}, Unauthorized,
			"shopify: CustomersPage: Shopify does not accept the access token (HTTP 401, request req-1); check that the app is still installed, then enter its current token"},
		{"402", reply{status: 402, body: `{"errors":"Unavailable Shop"}`}, Frozen,
			"shopify: CustomersPage: the store is frozen or closed (HTTP 402, request req-1); the merchant settles the bill in the Shopify admin, then sync again"},
		{"403", reply{status: 403}, Forbidden,
			"shopify: CustomersPage: the app may not use this store's Admin API (HTTP 403, request req-1); check the app's Admin API access and scopes in the Shopify admin"},
		{"404", reply{status: 404, body: "<html>jane@example.com"}, NotFound,
			"shopify: CustomersPage: there is no such store (HTTP 404, request req-1); check the store's name: Shopify admin, Settings, Domains, the one that ends in .myshopify.com"},
		{"423", reply{status: 423}, Locked,
			"shopify: CustomersPage: Shopify has locked the store (HTTP 423, request req-1); the merchant asks Shopify support, then sync again"},
		{"430", reply{status: 430, header: map[string]string{"Retry-After": "60"}}, Rejected,
			"shopify: CustomersPage: Shopify's security rejected the request (HTTP 430, request req-1, retry after 1m0s); wait an hour; if it goes on, give Shopify support the request id"},
		{"406", reply{status: 406}, InvalidQuery,
			"shopify: CustomersPage: Shopify did not accept the operation (HTTP 406, request req-1); report this with the code and the API version: the operation does not fit the version that Shopify serves"},
		{"501", reply{status: 501}, Server,
			"shopify: CustomersPage: Shopify failed (HTTP 501, request req-1); try again later; if it goes on, give Shopify support the request id"},
		{"204", reply{status: 204}, BadResponse,
			"shopify: CustomersPage: the answer is not what the Admin API sends (HTTP 204, request req-1); try again later; look for a proxy in between; if it goes on, report it with the request id"},
		{"moved to another store", reply{status: 301, header: map[string]string{"Location": "https://new-name.myshopify.com/admin/api?access_token=shpat_x"}}, Moved,
			"shopify: CustomersPage: the store answered with a redirect, which is not followed because the credentials would go along: new-name.myshopify.com (HTTP 301, request req-1); connect with the store's own .myshopify.com name: Shopify admin, Settings, Domains"},
		{"moved elsewhere", reply{status: 302, header: map[string]string{"Location": "https://evil.example/?jane@example.com"}}, Moved,
			"shopify: CustomersPage: the store answered with a redirect, which is not followed because the credentials would go along (HTTP 302, request req-1); connect with the store's own .myshopify.com name: Shopify admin, Settings, Domains"},
		{"moved to itself", reply{status: 307, header: map[string]string{"Location": "/password"}}, Moved,
			"shopify: CustomersPage: the store answered with a redirect, which is not followed because the credentials would go along (HTTP 307, request req-1); connect with the store's own .myshopify.com name: Shopify admin, Settings, Domains"},
		{"web page", reply{body: "<!doctype html><p>jane@example.com</p>", header: map[string]string{"Content-Type": "text/html"}}, BadResponse,
			"shopify: CustomersPage: the answer is not what the Admin API sends: it is a web page (request req-1); try again later; look for a proxy in between; if it goes on, report it with the request id"},
		{"not JSON", reply{body: `{"data": jane@example.com}`}, BadResponse,
			"shopify: CustomersPage: the answer is not what the Admin API sends: it is not complete JSON (request req-1); try again later; look for a proxy in between; if it goes on, report it with the request id"},
		{"a list", reply{body: `[]`}, BadResponse,
			"shopify: CustomersPage: the answer is not what the Admin API sends: it has neither data nor errors (request req-1); try again later; look for a proxy in between; if it goes on, report it with the request id"},
		{"nothing", reply{body: `{"data":null,"errors":null}`}, BadResponse,
			"shopify: CustomersPage: the answer is not what the Admin API sends: it has neither data nor errors (request req-1); try again later; look for a proxy in between; if it goes on, report it with the request id"},
		{"too large", reply{body: `{"data":"` + strings.Repeat("x", 5000) + `"}`}, BadResponse,
			"shopify: CustomersPage: the answer is not what the Admin API sends: it is larger than 4096 bytes (request req-1); try again later; look for a proxy in between; if it goes on, report it with the request id"},
		{"errors is a text", reply{body: `{"errors":"jane@example.com is not allowed"}`}, InvalidQuery,
			"shopify: CustomersPage: Shopify did not accept the operation (request req-1); report this with the code and the API version: the operation does not fit the version that Shopify serves"},
		{"errors is an object", reply{body: `{"errors":{"query":"jane@example.com"}}`}, InvalidQuery,
			"shopify: CustomersPage: Shopify did not accept the operation (request req-1); report this with the code and the API version: the operation does not fit the version that Shopify serves"},
		{"errors of odd types", reply{body: list(`null, 5, "x", {"message":5,"path":"x","extensions":[]}, {"path":[null,{}],"extensions":{"code":7}}`)}, InvalidQuery,
			"shopify: CustomersPage: Shopify did not accept the operation (request req-1); report this with the code and the API version: the operation does not fit the version that Shopify serves"},
		{"unknown field", reply{body: `{"errors":[{"message":"Field 'x' doesn't exist","path":["query"],"extensions":{"code":"undefinedField","typeName":"Customer","fieldName":"x"}}]}`}, InvalidQuery,
			"shopify: CustomersPage: Shopify did not accept the operation: Customer.x (undefinedField, request req-1); report this with the code and the API version: the operation does not fit the version that Shopify serves"},
		{"invalid variable", reply{body: `{"errors":[{"message":"Invalid global id 'jane@example.com'","extensions":{"code":"INVALID_VARIABLE","value":"jane@example.com"}}]}`}, InvalidQuery,
			"shopify: CustomersPage: Shopify did not accept the operation (INVALID_VARIABLE, request req-1); report this with the code and the API version: the operation does not fit the version that Shopify serves"},
		{"a code that is no code", reply{body: list(`{"extensions":{"code":"jane@example.com"}}`)}, InvalidQuery,
			"shopify: CustomersPage: Shopify did not accept the operation (request req-1); report this with the code and the API version: the operation does not fit the version that Shopify serves"},
		{"too dear", reply{body: `{"errors":[{"message":"Query cost is 1250","extensions":{"code":"MAX_COST_EXCEEDED","cost":1250,"maxCost":1000}}]}`}, MaxCost,
			"shopify: CustomersPage: the query costs more than Shopify allows a single query: cost 1250, allowed 1000 (MAX_COST_EXCEEDED, request req-1); ask for fewer records at a time"},
		{"scope missing", reply{body: list(`{"message":"Access denied for customers field.","path":["customers"],"extensions":{"code":"ACCESS_DENIED","requiredAccess":"read_customers access scope."}}`)}, AccessDenied,
			"shopify: CustomersPage: an access scope is missing: read_customers access scope. (ACCESS_DENIED, request req-1); grant the scope to the app, then connect again"},
		{"scope missing, not said which", reply{body: `{"data":null,"errors":[{"path":["customers","nodes",0,"tags"],"extensions":{"code":"ACCESS_DENIED"}}]}`}, AccessDenied,
			"shopify: CustomersPage: an access scope is missing: customers.nodes.0.tags (ACCESS_DENIED, request req-1); grant the scope to the app, then connect again"},
		{"protected data", reply{body: list(`{"message":"This app is not approved to access the Customer object. See https://shopify.dev/docs/apps/launch/protected-customer-data for more details.","path":["customers"],"extensions":{"code":"ACCESS_DENIED"}}`)}, ProtectedData,
			"shopify: CustomersPage: Shopify does not show this app the personal data of customers (ACCESS_DENIED, request req-1); request protected customer data access for the app, or use an app made in the Dev Dashboard"},
		{"protected data, no path, no code", reply{body: list(`{"message":"This app is not approved to access the Customer object."}`)}, ProtectedData,
			"shopify: CustomersPage: Shopify does not show this app the personal data of customers (request req-1); request protected customer data access for the app, or use an app made in the Dev Dashboard"},
		{"protected data, by plan", reply{body: list(`{"message":"This app is not approved to access the Customer object. Access to personally identifiable information (PII) like customer names, addresses, emails, phone numbers is only available on Shopify, Advanced, and Plus plans.","path":["customers"]}`)}, ProtectedData,
			"shopify: CustomersPage: Shopify does not show this app the personal data of customers: it is not part of the store's plan for an app made in the store's admin (request req-1); request protected customer data access for the app, or use an app made in the Dev Dashboard"},
		{"closed", reply{body: `{"errors":[{"extensions":{"code":"SHOP_INACTIVE"}}]}`}, Frozen,
			"shopify: CustomersPage: the store is frozen or closed (SHOP_INACTIVE, request req-1); the merchant settles the bill in the Shopify admin, then sync again"},
		{"another error beside data", reply{body: `{"data":{"customers":{"nodes":[]}},"errors":[{"message":"x","path":["customers","nodes"],"extensions":{"code":"BAD_REQUEST"}}]}`}, InvalidQuery,
			"shopify: CustomersPage: Shopify did not accept the operation (BAD_REQUEST, request req-1); report this with the code and the API version: the operation does not fit the version that Shopify serves"},
		{"a denial without a path beside data", reply{body: `{"data":{"customers":{"nodes":[]}},"errors":[{"extensions":{"code":"ACCESS_DENIED"}}]}`}, AccessDenied,
			"shopify: CustomersPage: an access scope is missing (ACCESS_DENIED, request req-1); grant the scope to the app, then connect again"},
		{"a denial of a whole root field that is there", reply{body: `{"data":{"customers":{"nodes":[]}},"errors":[{"path":["customers"],"extensions":{"code":"ACCESS_DENIED"}}]}`}, AccessDenied,
			"shopify: CustomersPage: an access scope is missing: customers (ACCESS_DENIED, request req-1); grant the scope to the app, then connect again"},
		{"a refused field and another error", reply{body: `{"data":{"customers":{"nodes":[]}},"errors":[{"path":["customers","nodes",0,"email"],"extensions":{"code":"ACCESS_DENIED"}},{"extensions":{"code":"MAX_COST_EXCEEDED"}}]}`}, MaxCost,
			"shopify: CustomersPage: the query costs more than Shopify allows a single query (MAX_COST_EXCEEDED, request req-1); ask for fewer records at a time"},
		{"the weightiest of several", reply{body: `{"errors":[{"extensions":{"code":"BAD_REQUEST"}},{"extensions":{"code":"MAX_COST_EXCEEDED"}},{"extensions":{"code":"ACCESS_DENIED"}}]}`}, MaxCost,
			"shopify: CustomersPage: the query costs more than Shopify allows a single query (MAX_COST_EXCEEDED, request req-1); ask for fewer records at a time"},
		{"data of another shape", reply{body: `{"data":{"customers":{"nodes":[{"id":"1","tags":"jane@example.com"}]}}}`}, BadResponse,
			"shopify: CustomersPage: the answer is not what the Admin API sends: Customers.Nodes.Tags is not a []string (request req-1); try again later; look for a proxy in between; if it goes on, report it with the request id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{replies: []reply{tt.reply}}
				config := testConfig(s)
				config.MaxBody = 4096
				_, meta, err := send(t.Context(), newTestClient(t, config), query())
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("got %v, want an *Error", err)
				}
				if e.Kind != tt.kind {
					t.Errorf("kind %v, want %v", e.Kind, tt.kind)
				}
				if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
					t.Errorf("text (-want +got):\n%s", diff)
				}
				checkNoSecrets(t, fmt.Sprintf("%v %+v %+v", err, *e, meta))
				if s.sent != 1 || meta.Attempts != 1 {
					t.Errorf("%d requests, %d attempts, want one", s.sent, meta.Attempts)
				}
			})
		})
	}
}

func TestEveryKindHasItsWords(t *testing.T) {
	for k := Canceled; k <= WrongClient; k++ {
		if d := kinds[k]; d.name == "" || d.what == "" || d.next == "" {
			t.Errorf("%v: %+v", k, d)
		}
	}
	if got := Kind(99).String(); got != "Kind(99)" {
		t.Errorf("an unknown kind is %q", got)
	}
}

func TestMeta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The virtual clock starts at midnight of 2000-01-01.
		const shopifyNow = "Thu, 01 Oct 2026 12:00:05 GMT"
		header := map[string]string{
			"Date": shopifyNow, "X-Shopify-API-Version": "2026-01",
			"X-Shopify-API-Deprecated-Reason": "https://shopify.dev/x", "X-Request-Id": "abc-123",
		}
		slow := transport(func(*http.Request) (*http.Response, error) {
			time.Sleep(1234567 * time.Microsecond)
			return reply{body: goodBody, header: header}.response()
		})
		data, meta, err := send(t.Context(), newTestClient(t, testConfig(slow)), query())
		if err != nil {
			t.Fatal(err)
		}
		if len(data.Customers.Nodes) != 1 || data.Customers.Nodes[0].ID != "1" {
			t.Errorf("data %+v", data)
		}
		want := Meta{
			ServedVersion: "2026-01", DeprecatedReason: "https://shopify.dev/x", RequestID: "abc-123",
			ObservedAt: time.Date(2026, 10, 1, 12, 0, 3, 765000000, time.UTC),
			Elapsed:    1234567 * time.Microsecond,
			Requested:  13, Actual: 13, Attempts: 1,
		}
		if diff := cmp.Diff(want, meta); diff != "" {
			t.Errorf("meta (-want +got):\n%s", diff)
		}

		// Without a Date our own clock serves, from before the request.
		delete(header, "Date")
		header["X-Request-Id"], header["X-Shopify-API-Version"] = "line\nbreak", strings.Repeat("9", 1000)
		before := time.Now().UTC().Truncate(time.Millisecond)
		_, meta, err = send(t.Context(), newTestClient(t, testConfig(slow)), query())
		if err != nil {
			t.Fatal(err)
		}
		if !meta.ObservedAt.Equal(before) {
			t.Errorf("observed at %v, want %v", meta.ObservedAt, before)
		}
		if meta.RequestID != "" || len(meta.ServedVersion) > 20 {
			t.Errorf("headers taken as they came: %+v", meta)
		}
	})
}

// The attempt that failed does not count: ObservedAt is about the last one.
func TestObservedAtIsOfTheLastAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{{status: 503, header: map[string]string{"Retry-After": "40"}}, {body: goodBody}}}
		start := time.Now().UTC()
		_, meta, err := send(t.Context(), newTestClient(t, testConfig(s)), query())
		if err != nil || !meta.ObservedAt.Equal(start.Add(40*time.Second)) || meta.Attempts != 2 {
			t.Errorf("%v, %+v", err, meta)
		}
	})
}

func TestRefusedFields(t *testing.T) {
	const refusal = "This app is not approved to use the email field."
	body := `{"data":{"customers":{"nodes":[{"id":"1","email":null,"tags":[]}]}},"errors":[
		{"message":"` + refusal + `","path":["customers","nodes",0,"email"]},
		{"message":"Access denied","path":["customers","nodes",0,"defaultAddress"],"extensions":{"code":"ACCESS_DENIED"}}]}`
	s := &script{replies: []reply{{body: body}}}
	data, meta, err := send(t.Context(), newTestClient(t, testConfig(s)), query())
	if err != nil {
		t.Fatal(err)
	}
	if len(data.Customers.Nodes) != 1 {
		t.Errorf("data %+v", data)
	}
	want := []FieldError{
		{Path: []any{"customers", "nodes", 0, "email"}, Message: refusal},
		{Path: []any{"customers", "nodes", 0, "defaultAddress"}, Code: "ACCESS_DENIED", Message: "Access denied"},
	}
	if diff := cmp.Diff(want, meta.FieldErrors); diff != "" {
		t.Errorf("field errors (-want +got):\n%s", diff)
	}
}

func TestSearchWarnings(t *testing.T) {
	tests := []struct {
		name, search string
		want         []string
	}{
		{"none", `[{"path":["customers"],"query":"updated_at:>x","parsed":{}}]`, nil},
		{"null", `null`, nil},
		{"a field", `[{"warnings":[{"field":"updated","message":"Invalid search field for this query.","code":"invalid_field"}]}]`, []string{"updated invalid_field"}},
		{"without a code", `[{"warnings":[{"field":"updated"}]}]`, []string{"updated ignored"}},
		{"a piece of a value", `[{"warnings":[{"field":"jane@example.com","code":"jane@example.com"}]}]`, []string{"? ignored"}},
		{"several", `[{"warnings":[{"field":"a"},{"field":"b"}]},{"warnings":[]},{"warnings":[{"field":"c"}]}]`, []string{"a ignored", "b ignored", "c ignored"}},
		{"of another shape", `{"warnings":["x"]}`, []string{unreadable}},
		{"warnings of another shape", `[{"warnings":"x"},{"warnings":["x"]}]`, []string{unreadable, unreadable}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{replies: []reply{{body: `{"data":{"customers":null},"extensions":{"search":` + tt.search + `}}`}}}
			_, meta, err := send(t.Context(), newTestClient(t, testConfig(s)), query())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, meta.SearchWarnings); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Records of a page that does not decode can still be decoded one by one, and
// what was refused in them is known.
func TestDecodeError(t *testing.T) {
	const data = `{"customers":{"nodes":[{"id":"1","email":null,"tags":"jane@example.com"},{"id":"2","tags":["b"]}]}}`
	body := `{"data":` + data + `,"errors":[{"path":["customers","nodes",0,"email"],"extensions":{"code":"ACCESS_DENIED"}}]}`
	_, meta, err := send(t.Context(), newTestClient(t, testConfig(&script{replies: []reply{{body: body}}})), query())
	var e *DecodeError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *DecodeError", err)
	}
	if string(e.Data) != data || e.Field != "Customers.Nodes.Tags" {
		t.Errorf("got %+v", e)
	}
	if len(meta.FieldErrors) != 1 {
		t.Errorf("field errors %v", meta.FieldErrors)
	}
	if out, _ := json.Marshal(err); bytes.Contains(out, []byte("jane")) {
		t.Errorf("marshalled: %s", out)
	}

	// Errors of the standard library's own decoders quote the value.
	var at struct{ Customers time.Time }
	if err := decodeData([]byte(`{"customers":"jane@example.com"}`), &at); err == nil || strings.Contains(err.Error(), "jane") {
		t.Errorf("got %v", err)
	}
}

// serve is a real HTTPS server and a client that reaches it, and the other one
// given, by their public names.
func serve(t *testing.T, store, other http.Handler) *http.Client {
	t.Helper()
	servers := map[string]*httptest.Server{testShop + ":443": httptest.NewTLSServer(store)}
	if other != nil {
		servers["evil.example:443"] = httptest.NewTLSServer(other)
		servers["other.myshopify.com:443"] = servers["evil.example:443"]
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			server, ok := servers[addr]
			if !ok {
				return nil, fmt.Errorf("no server for %s", addr)
			}
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the servers' certificates are for example.com
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		for _, s := range servers {
			s.Close()
		}
	})
	return &http.Client{Transport: transport}
}

// net/http copies custom headers to the target of a redirect: none is followed.
func TestTokenDoesNotFollowRedirects(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, target := range []string{"https://evil.example/", "https://other.myshopify.com/"} {
			t.Run(fmt.Sprint(status, " ", target), func(t *testing.T) {
				leaked := make(chan http.Header, 10)
				client := serve(t, http.RedirectHandler(target, status), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					leaked <- r.Header
				}))
				client.CheckRedirect = func(*http.Request, []*http.Request) error { return nil } // the host's own
				config := testConfig(nil)
				config.HTTPClient = client
				_, _, err := send(t.Context(), newTestClient(t, config), query())
				var e *Error
				if !errors.As(err, &e) || e.Kind != Moved {
					t.Errorf("got %v, want Moved", err)
				}
				select {
				case h := <-leaked:
					t.Errorf("the target was asked, with the token %q", h.Get(tokenHeader))
				default:
				}
				if client.CheckRedirect(nil, nil) != nil {
					t.Error("the host's client was changed")
				}
			})
		}
	}
}

// The cap is on what comes out of the decompressor, and holds for endless
// bodies.
func TestBodyCap(t *testing.T) {
	bomb := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestCompression)
		fmt.Fprint(z, `{"data":"`)
		zeros := bytes.Repeat([]byte("0"), 1<<20)
		for range 64 {
			if _, err := z.Write(zeros); err != nil {
				return
			}
		}
		fmt.Fprint(z, `"}`)
		z.Close()
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		zeros := bytes.Repeat([]byte("0"), 1<<16)
		for r.Context().Err() == nil {
			if _, err := w.Write(zeros); err != nil {
				return
			}
		}
	}
	for name, handler := range map[string]http.HandlerFunc{"gzip bomb": bomb, "endless": endless} {
		t.Run(name, func(t *testing.T) {
			config := testConfig(nil)
			config.HTTPClient = serve(t, handler, nil)
			config.MaxBody = 1 << 20
			_, meta, err := send(t.Context(), newTestClient(t, config), query())
			var e *Error
			if !errors.As(err, &e) || e.Kind != BadResponse || e.Detail != "it is larger than 1048576 bytes" {
				t.Errorf("got %v", err)
			}
			if meta.Attempts != 1 {
				t.Errorf("%d attempts, want one", meta.Attempts)
			}
		})
	}
}

// stall is a store that sends the head of an answer and nothing more.
func stall(t *testing.T) *http.Client {
	transport := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			buf := make([]byte, 1<<16)
			if _, err := there.Read(buf); err != nil {
				return
			}
			if _, err := io.WriteString(there, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"); err != nil {
				return
			}
			for {
				if _, err := there.Read(buf); err != nil { // the client hung up
					return
				}
			}
		}()
		return here, nil
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestSlowBodyEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig(nil)
		config.HTTPClient = stall(t)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, _, err := send(ctx, newTestClient(t, config), query())
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
		var e *Error
		if !errors.As(err, &e) || e.Kind != Canceled {
			t.Errorf("got %v, want Canceled", err)
		}
	})
}

// An attempt has 30 seconds, and running out of them is not the caller's
// deadline.
func TestAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig(nil)
		config.HTTPClient = stall(t)
		start := time.Now()
		_, meta, err := send(t.Context(), newTestClient(t, config), mutation())
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("took %v, want 30s", took)
		}
		if errors.Is(err, context.DeadlineExceeded) || meta.Attempts != 1 {
			t.Errorf("got %v after %d attempts", err, meta.Attempts)
		}
		want := "shopify: RunBulkQuery: no complete answer from Shopify: no answer within 30s; check the network and try again"
		if got := fmt.Sprint(err); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// Many goroutines share one client, and none of them goes beyond the budget.
func TestConcurrentUse(t *testing.T) {
	var mu sync.Mutex
	answered := 0
	config := testConfig(transport(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		answered++
		if answered%7 == 0 {
			return reply{status: 401}.response()
		}
		return reply{body: goodBody}.response()
	}))
	config.Token = func(_ context.Context, rejected string) (string, error) { return rejected + "x", nil }
	client := newTestClient(t, config)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for range 5 {
				var (
					data page
					meta Meta
				)
				req := query()
				req.OpName = fmt.Sprint("Op", g%3)
				err := client.Call(&meta, throttle.Priority(g%2)).MakeRequest(t.Context(), req, &graphql.Response{Data: &data})
				if err != nil && kindOf(err) != Unauthorized {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &script{replies: []reply{{status: 503, body: "jane@example.com"}, {status: 429, header: map[string]string{"Retry-After": "60"}}, {body: goodBody}}}
		config := testConfig(s)
		config.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				if a.Key == "wait" { // the jitter
					a.Value = slog.DurationValue(a.Value.Duration().Truncate(2 * time.Second))
				}
				return a
			},
		}))
		if _, _, err := send(t.Context(), newTestClient(t, config), query()); err != nil {
			t.Fatal(err)
		}
		want := `level=DEBUG msg="shopify: request" op=CustomersPage status=503 attempt=1 request_id=req-1 requested=0 actual=0 wait=0s
level=WARN msg="shopify: trying again" op=CustomersPage reason=server status=503 code="" attempt=1 request_id=req-1 wait=0s
level=DEBUG msg="shopify: request" op=CustomersPage status=429 attempt=2 request_id=req-1 requested=0 actual=0 wait=0s
level=WARN msg="shopify: trying again" op=CustomersPage reason=throttled status=429 code="" attempt=2 request_id=req-1 wait=1m0s
level=DEBUG msg="shopify: request" op=CustomersPage status=200 attempt=3 request_id=req-1 requested=13 actual=13 wait=1m0s
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		checkNoSecrets(t, out.String())
	})
}
