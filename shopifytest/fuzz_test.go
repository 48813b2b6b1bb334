package shopifytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever is sent, the answer is JSON, and nothing panics.
func FuzzGraphQL(f *testing.F) {
	for _, query := range []string{
		"{ shop { id } }",
		`query Q($ids: [ID!]!) { nodes(ids: $ids) { id ... on Customer { email tags } } }`,
		`{ nodes(ids: 7) { id } node(id: "gid://shopify/Customer/1") { id } }`,
		`{ nodes(ids: ["gid://shopify/Customer/1", "x"]) { id } }`,
		`query($f: Int, $a: String) { customers(first: $f, after: $a, query: "id:>1 x:y", sortKey: UPDATED_AT) { edges { cursor node { id } } nodes { note } pageInfo { hasNextPage endCursor } } }`,
		`{ customers(last: 2, before: "eyJsYXN0X2lkIjoxLCJsYXN0X3ZhbHVlIjoiMSJ9") { nodes { id } } }`,
		`mutation { bulkOperationRunQuery(query: "{ customers { edges { node { id } } } }") { bulkOperation { id url } userErrors { field message } } }`,
		`mutation M($i: WebhookSubscriptionInput!) { webhookSubscriptionCreate(topic: CUSTOMERS_UPDATE, webhookSubscription: $i) { webhookSubscription { id apiVersion { handle } endpoint { ... on WebhookHttpEndpoint { callbackUrl } } } userErrors { message } } }`,
		`{ webhookSubscriptions(first: 3, after: "c3Vic2NyaXB0aW9uOjE=") { nodes { id } pageInfo { endCursor } } currentBulkOperation(type: MUTATION) { id } }`,
		`{ customersCount(limit: null, query: "created_at:>'2020-01-01'") { count precision } currentAppInstallation { accessScopes { handle } } }`,
		`{ ...F @include(if: true) } fragment F on QueryRoot { shop { plan { displayName } } }`,
		`fragment F on Customer { ...F } { customers(first: 1) { nodes { ...F } } }`,
		`{ __schema { types { name } } __type(name: "Shop") { name } __typename }`,
		"subscription { x }", "{", "{ a: shop { b: id } a: shop { c: name } }",
	} {
		f.Add(query, `{"ids":["gid://shopify/Customer/1",null],"f":3,"i":{"callbackUrl":"https://a.example/"}}`)
		f.Add(query, `{"ids":"gid://shopify/Customer/1","f":1e99,"a":"x"}`)
	}
	srv := NewServer()
	f.Cleanup(srv.Close)
	st := srv.AddStore(StoreConfig{Domain: "demo.myshopify.com", BucketSize: 1e12, BulkSpeed: Unlimited, BulkSlots: 1e9})
	st.Generate(20, 1)
	f.Fuzz(func(t *testing.T, query, variables string) {
		if variables != "" && !json.Valid([]byte(variables)) {
			return
		}
		body, err := json.Marshal(graphQLRequest{Query: query, Variables: json.RawMessage(variables)})
		if err != nil {
			return
		}
		r, err := http.NewRequest(http.MethodPost, "https://demo.myshopify.com/admin/api/2026-10/graphql.json", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Shopify-Access-Token", "shpat_test")
		w := &recorder{header: http.Header{}}
		srv.Handler().ServeHTTP(w, r)
		if !json.Valid(w.body.Bytes()) {
			t.Errorf("%d: not JSON: %.500s", w.status, w.body.String())
		}
	})
}

func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "a/b", "\"\\\n\r\t\x00\x1f\x7f", "王小明🐱", "\xff\xc3\x28", "a\xe2\x80\xa8b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, escape := range []bool{false, true} {
			line := appendString(nil, s, escape)
			var back string
			if err := json.Unmarshal(line, &back); err != nil {
				t.Fatalf("%v: %q", err, line)
			}
			want := s
			if !utf8.ValidString(s) {
				want = string([]rune(s)) // each bad byte becomes U+FFFD
			}
			if back != want {
				t.Errorf("%q became %q", s, back)
			}
			if escape && strings.Contains(strings.ReplaceAll(string(line), `\/`, ""), "/") {
				t.Errorf("a bare slash in %q", line)
			}
		}
	})
}

func FuzzParseRange(f *testing.F) {
	for _, seed := range []string{"", "bytes=0-", "bytes=5-9", "bytes=-3", "bytes=9-5", "bytes=-0", "bytes=99999999999999999999-", "bytes=1-2,3-4"} {
		f.Add(seed, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 1 {
			return
		}
		if start, end, ok := parseRange(header, size); ok && (start < 0 || end > size || start >= end) {
			t.Errorf("%q of %d: %d to %d", header, size, start, end)
		}
	})
}

func FuzzParseGID(f *testing.F) {
	for _, seed := range []string{"gid://shopify/Customer/1", "gid://shopify/Customer/", "gid://shopify//1", "gid://shopify/A/-1", "1", "gid://shopify/A/1/2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		kind, id, ok := parseGID(text)
		if !ok {
			return
		}
		if kind2, id2, ok := parseGID(fmt.Sprintf("gid://shopify/%s/%d", kind, id)); !ok || kind2 != kind || id2 != id {
			t.Errorf("%q is %s %d", text, kind, id)
		}
	})
}
