package adminapi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const withoutSample = `
query Sample {
	customers {
		nodes {
			... CustomerFields
			email
		}
	}
}
fragment CustomerFields on Customer {
	id
	email
	phone
	amountSpent {
		amount
		email
	}
	defaultAddress {
		country {
			name
		}
		phone
	}
	updatedAt
}
fragment Other on Customer {
	email
	amountSpent {
		amount
	}
}
`

func TestWithout(t *testing.T) {
	cut := func(parts ...string) string {
		text := withoutSample
		for _, part := range parts {
			head, fragment, _ := strings.Cut(text, "fragment CustomerFields")
			text = head + "fragment CustomerFields" + strings.Replace(fragment, part, "", 1)
		}
		return text
	}
	const (
		email   = "\temail\n"
		phone   = "\tphone\n"
		amount  = "\tamountSpent {\n\t\tamount\n\t\temail\n\t}\n"
		address = "\tdefaultAddress {\n\t\tcountry {\n\t\t\tname\n\t\t}\n\t\tphone\n\t}\n"
	)
	tests := []struct {
		name   string
		fields []string
		want   string
	}{
		{"nothing", nil, withoutSample},
		{"unknown", []string{"mail", "amount", "country", "customers"}, withoutSample},
		{"line", []string{"email"}, cut(email)},
		{"line whose name occurs deeper", []string{"phone"}, cut(phone)},
		{"block", []string{"amountSpent"}, cut(amount)},
		{"nested blocks", []string{"defaultAddress"}, cut(address)},
		{"all", []string{"defaultAddress", "phone", "email", "amountSpent"}, cut(address, phone, amount, email)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Without(withoutSample, tt.fields...)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWithoutOperations: the generated operations have the layout that Without
// relies on.
func TestWithoutOperations(t *testing.T) {
	all := []string{
		"firstName", "lastName", "email", "phone", "locale", "note", "tags", "state", "verifiedEmail", "numberOfOrders",
		"amountSpent", "createdAt", "emailMarketingConsent", "smsMarketingConsent", "defaultAddress",
	}
	for _, operation := range []string{BulkCustomers_Operation, CustomersByID_Operation, CustomersPage_Operation} {
		head, _, found := strings.Cut(operation, "fragment CustomerFields")
		if !found {
			t.Fatalf("no fragment in %s", operation)
		}
		want := head + "fragment CustomerFields on Customer {\n\tid\n\tupdatedAt\n}\n"
		if diff := cmp.Diff(want, Without(operation, all...)); diff != "" {
			t.Errorf("without all fields (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(operation, Without(operation)); diff != "" {
			t.Errorf("without none (-want +got):\n%s", diff)
		}
	}
	// A bulk query has no arguments: sorted by time of change it would miss who
	// changes while it runs.
	if !strings.Contains(BulkCustomers_Operation, "\n\tcustomers {\n") {
		t.Errorf("the bulk query filters or sorts:\n%s", BulkCustomers_Operation)
	}
	if got := Without(Shop_Operation, "id", "name"); got != Shop_Operation {
		t.Errorf("an operation without the fragment was changed:\n%s", got)
	}
}
