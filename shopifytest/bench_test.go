package shopifytest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"runtime"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// BenchmarkBulkLines writes lines of a bulk file; one op is one customer.
func BenchmarkBulkLines(b *testing.B) {
	srv := NewServer()
	defer srv.Close()
	st := srv.AddStore(StoreConfig{Domain: "demo.myshopify.com"})
	st.Generate(1_000_000, 1)
	const query = `{ customers { edges { node { id firstName lastName email phone locale note tags state verifiedEmail numberOfOrders
		amountSpent { amount currencyCode } createdAt updatedAt
		emailMarketingConsent { marketingState marketingOptInLevel consentUpdatedAt }
		smsMarketingConsent { marketingState marketingOptInLevel consentUpdatedAt consentCollectedFrom }
		defaultAddress { address1 address2 city province zip countryCodeV2 phone } } } } }`
	doc, op, errs := checkBulk(schemaFor("2026-01"), query)
	if errs != nil || op.Operation != ast.Query {
		b.Fatal(errs)
	}
	content := &bulkContent{store: st, doc: doc, op: op, people: st.people.snapshot(), now: srv.now()}
	b.ReportAllocs()
	n := 0
	b.ResetTimer()
	for n < b.N {
		content.lines(linePlace{}, b.N-n, func(_ linePlace, line []byte) bool {
			b.SetBytes(int64(len(line)))
			n++
			return true
		})
	}
}

// BenchmarkPage answers one page of 250 customers.
func BenchmarkPage(b *testing.B) {
	srv := NewServer()
	defer srv.Close()
	st := srv.AddStore(StoreConfig{Domain: "demo.myshopify.com", BucketSize: 1e12})
	st.Generate(1_000_000, 1)
	text, err := os.ReadFile("../internal/adminapi/operations.json")
	if err != nil {
		b.Fatal(err)
	}
	var exported struct {
		Operations []struct{ OperationName, Query string }
	}
	if err := json.Unmarshal(text, &exported); err != nil {
		b.Fatal(err)
	}
	var body []byte
	for _, op := range exported.Operations {
		if op.OperationName == "CustomersPage" {
			body, _ = json.Marshal(map[string]any{"query": op.Query, "variables": map[string]any{"first": 250, "sortKey": "ID", "reverse": true}})
		}
	}
	client := srv.Client()
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequest(http.MethodPost, "https://demo.myshopify.com/admin/api/2024-04/graphql.json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Shopify-Access-Token", "shpat_test")
		response, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		if err != nil || n < 100_000 {
			b.Fatal(n, err)
		}
		_ = response.Body.Close()
	}
}

// BenchmarkUpdate edits customers of a large store and delivers the webhook of
// each edit.
func BenchmarkUpdate(b *testing.B) {
	srv := NewServer(WithWebhookHandler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	defer srv.Close()
	st := srv.AddStore(StoreConfig{Domain: "demo.myshopify.com", NoDebounce: true})
	st.Generate(1_000_000, 1)
	st.subscriptions = []*subscription{{
		id: 1, topic: "CUSTOMERS_UPDATE", url: "https://receiver.example/", includeFields: []string{"id", "updated_at"}, version: "2026-01",
	}}
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		n++
		c, _ := st.Pick(mix(n))
		if err := st.Update(c.ID, func(c *Customer) { c.Note = "edited" }); err != nil {
			b.Fatal(err)
		}
		for st.WebhookCounts().Pending > 100 {
			runtime.Gosched()
		}
	}
}
