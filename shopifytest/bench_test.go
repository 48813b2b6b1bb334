package shopifytest

import (
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
