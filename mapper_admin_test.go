package shopifysync

import (
	"encoding/json"
	"math/bits"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/omnichat/shopifysync/internal/adminapi"
	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
)

const adminCustomer = `{
	"id": "gid://shopify/Customer/9223372036854775807",
	"firstName": "小明", "lastName": "王", "email": "Ming@example.com", "phone": "+886912345678",
	"locale": "zh-TW", "note": "VIP", "tags": ["b", "a"], "state": "ENABLED", "verifiedEmail": true,
	"numberOfOrders": "13", "amountSpent": {"amount": "11884.9", "currencyCode": "TWD"},
	"createdAt": "2023-01-02T03:04:05Z", "updatedAt": "2024-05-06T07:08:09Z",
	"emailMarketingConsent": {"marketingState": "SUBSCRIBED", "marketingOptInLevel": "SINGLE_OPT_IN", "consentUpdatedAt": "2024-01-01T00:00:00Z"},
	"smsMarketingConsent": {"marketingState": "NEW_STATE", "marketingOptInLevel": "UNKNOWN", "consentUpdatedAt": null, "consentCollectedFrom": "SHOPIFY"},
	"defaultAddress": {"address1": "1", "address2": "2", "city": "3", "province": "4", "zip": "5", "countryCodeV2": "TW", "phone": "0212345678"},
	"defaultPhoneNumber": {"whatsAppMarketingConsent": {"state": "NEVER_SUBSCRIBED", "optInLevel": "UNKNOWN", "updatedAt": "2026-07-02T00:00:00Z", "collectedFrom": "OTHER"}}
}`

func decodeAdmin(t testing.TB, text string) *v2026_07.Customer {
	t.Helper()
	var c v2026_07.Customer
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func fullCustomer() Customer {
	return Customer{
		ID: 9223372036854775807, FirstName: "小明", LastName: "王", Email: "Ming@example.com", Phone: "+886912345678",
		Locale: "zh-TW", Note: "VIP", Tags: []string{"b", "a"}, State: "ENABLED", VerifiedEmail: true,
		NumberOfOrders: "13", AmountSpent: Money{"11884.9", "TWD"},
		EmailConsent: &Consent{State: ConsentSubscribed, Level: "SINGLE_OPT_IN", UpdatedAt: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), Address: "Ming@example.com"},
		SMSConsent:   &Consent{State: "NEW_STATE", Level: "UNKNOWN", CollectedFrom: "SHOPIFY", Address: "+886912345678"},
		WhatsAppConsent: &Consent{
			State: ConsentNeverSubscribed, Level: "UNKNOWN", UpdatedAt: time.Date(2026, 7, 2, 0, 0, 0, 0, time.UTC), CollectedFrom: "OTHER", Address: "+886912345678",
		},
		DefaultAddress: &Address{
			Address1: "1", Address2: "2", City: "3", Province: "4", Zip: "5", Country: "TW", Phone: "0212345678",
		},
		CreatedAt: time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC),
		UpdatedAt: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC),
	}
}

func TestCustomerFromAdmin(t *testing.T) {
	bare := `{"id": "gid://shopify/Customer/1", "updatedAt": "2024-05-06T07:08:09Z"}`
	nulls := `{
		"id": "gid://shopify/Customer/1", "firstName": null, "lastName": null, "email": null, "phone": null, "note": null, "tags": [],
		"emailMarketingConsent": null, "smsMarketingConsent": null, "defaultAddress": null, "updatedAt": "2024-05-06T07:08:09Z"}`
	updated := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	tests := []struct {
		name, admin string
		want        Customer
	}{
		{"full", adminCustomer, fullCustomer()},
		{"nothing selected", bare, Customer{ID: 1, UpdatedAt: updated}},
		{"nulls", nulls, Customer{ID: 1, UpdatedAt: updated}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := customerFromAdmin(decodeAdmin(t, tt.admin), 0)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("customer (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCustomerFromAdminMasked masks one field at a time: that field is zero
// and says so, and no other is touched.
func TestCustomerFromAdminMasked(t *testing.T) {
	clear := map[FieldSet]func(*Customer){
		FieldName:            func(c *Customer) { c.FirstName, c.LastName = "", "" },
		FieldEmail:           func(c *Customer) { c.Email, c.EmailConsent.Address = "", "" },
		FieldPhone:           func(c *Customer) { c.Phone, c.SMSConsent.Address, c.WhatsAppConsent.Address = "", "", "" },
		FieldTags:            func(c *Customer) { c.Tags = nil },
		FieldNote:            func(c *Customer) { c.Note = "" },
		FieldOrders:          func(c *Customer) { c.NumberOfOrders = "" },
		FieldSpent:           func(c *Customer) { c.AmountSpent = Money{} },
		FieldEmailConsent:    func(c *Customer) { c.EmailConsent = nil },
		FieldSMSConsent:      func(c *Customer) { c.SMSConsent = nil },
		FieldAddress:         func(c *Customer) { c.DefaultAddress = nil },
		FieldLocale:          func(c *Customer) { c.Locale = "" },
		FieldState:           func(c *Customer) { c.State = "" },
		FieldVerifiedEmail:   func(c *Customer) { c.VerifiedEmail = false },
		FieldCreatedAt:       func(c *Customer) { c.CreatedAt = time.Time{} },
		FieldWhatsAppConsent: func(c *Customer) { c.WhatsAppConsent = nil },
	}
	if len(clear) != bits.OnesCount32(uint32(allFields)) {
		t.Fatalf("%d fields are tested, there are %d", len(clear), bits.OnesCount32(uint32(allFields)))
	}
	for field, clear := range clear {
		t.Run(field.String(), func(t *testing.T) {
			want := fullCustomer()
			want.Masked = field
			clear(&want)
			got, err := customerFromAdmin(decodeAdmin(t, adminCustomer), field)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("customer (-want +got):\n%s", diff)
			}
		})
	}
	got, err := customerFromAdmin(decodeAdmin(t, adminCustomer), allFields)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Customer{ID: got.ID, UpdatedAt: got.UpdatedAt, Masked: allFields}, got); diff != "" {
		t.Errorf("everything masked (-want +got):\n%s", diff)
	}
}

func TestCustomerFromAdminErrors(t *testing.T) {
	for _, id := range []string{"", "secret@example.com", "gid://shopify/Customer/", "gid://shopify/Order/1", "gid://shopify/Customer/0",
		"gid://shopify/Customer/-1", "gid://shopify/Customer/9223372036854775808"} {
		c := decodeAdmin(t, adminCustomer)
		c.Id = id
		got, err := customerFromAdmin(c, 0)
		if err == nil {
			t.Fatalf("id %q was taken for %d", id, got.ID)
		}
		if id != "" && strings.Contains(err.Error(), id) && id != customerGID {
			t.Errorf("the error quotes the id: %v", err)
		}
	}
	c := decodeAdmin(t, adminCustomer)
	c.UpdatedAt = time.Time{}
	if _, err := customerFromAdmin(c, 0); err == nil {
		t.Error("a customer without updatedAt was accepted: it would count as older than everything")
	}
}

func TestFieldsOfPath(t *testing.T) {
	tests := []struct {
		path []any
		want FieldSet
	}{
		{[]any{"customers", "nodes", 3, "firstName"}, FieldName},
		{[]any{"customers", "nodes", float64(3), "lastName"}, FieldName},
		{[]any{"customers", "edges", 3, "node", "email"}, FieldEmail},
		{[]any{"nodes", 0, "phone"}, FieldPhone},
		{[]any{"customer", "tags"}, FieldTags},
		{[]any{"tags"}, FieldTags},
		{[]any{"nodes", 0, "note"}, FieldNote},
		{[]any{"nodes", 0, "numberOfOrders"}, FieldOrders},
		{[]any{"nodes", 0, "amountSpent"}, FieldSpent},
		{[]any{"nodes", 0, "amountSpent", "amount"}, FieldSpent},
		{[]any{"nodes", 0, "emailMarketingConsent", "marketingState"}, FieldEmailConsent},
		{[]any{"nodes", 0, "smsMarketingConsent"}, FieldSMSConsent},
		{[]any{"nodes", 0, "defaultAddress"}, FieldAddress},
		{[]any{"nodes", 0, "defaultAddress", "phone"}, FieldAddress},
		{[]any{"nodes", 0, "locale"}, FieldLocale},
		{[]any{"nodes", 0, "state"}, FieldState},
		{[]any{"nodes", 0, "verifiedEmail"}, FieldVerifiedEmail},
		{[]any{"nodes", 0, "createdAt"}, FieldCreatedAt},
		{[]any{"nodes", 0, "id"}, 0},
		{[]any{"nodes", 0, "updatedAt"}, 0},
		{[]any{"nodes", 0, "id", "email"}, 0},
		{[]any{"nodes", 0}, 0},
		{[]any{"customers", "pageInfo", "endCursor"}, 0},
		{[]any{"shop", "email"}, 0},
		{[]any{"customers"}, 0},
		{nil, 0},
	}
	for _, tt := range tests {
		got, ok := fieldsOfPath(tt.path)
		if got != tt.want || ok != (tt.want != 0) {
			t.Errorf("fieldsOfPath(%v) = %v, %v; want %v", tt.path, got, ok, tt.want)
		}
	}
}

// TestAdminFields: every set has its fields in the query, and without all of
// them only what makes a contact is left.
func TestAdminFields(t *testing.T) {
	for i := range fieldNames {
		field := FieldSet(1 << i)
		if len(field.adminFields()) == 0 {
			t.Errorf("%v has no field in the Admin API", field)
		}
		for _, name := range field.adminFields() {
			if got, _ := fieldsOfPath([]any{"nodes", 0, name}); got != field {
				t.Errorf("%s is of %v, its path means %v", name, field, got)
			}
		}
	}
	if diff := cmp.Diff([]string{"firstName", "lastName", "note"}, (FieldNote | FieldName).adminFields()); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if got := FieldSet(0).adminFields(); got != nil {
		t.Errorf("no field has the names %v", got)
	}
	_, fragment, _ := strings.Cut(adminapi.Without(adminapi.BulkCustomers_Operation, allFields.adminFields()...), "fragment")
	if want := " CustomerFields on Customer {\n\tid\n\tupdatedAt\n}\n"; fragment != want {
		t.Errorf("all fields left out: %q, want %q", fragment, want)
	}
}
