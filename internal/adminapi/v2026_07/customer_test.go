package v2026_07_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/internal/adminapi"
	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
)

// The operations are those of package adminapi and one field more, so that
// whoever takes the one can take the other.
func TestTheBaseSelectionAndWhatsApp(t *testing.T) {
	for _, tt := range []struct{ name, later, base string }{
		{"page", v2026_07.CustomersPage_Operation, adminapi.CustomersPage_Operation},
		{"by id", v2026_07.CustomersByID_Operation, adminapi.CustomersByID_Operation},
		{"bulk", v2026_07.BulkCustomers_Operation, adminapi.BulkCustomers_Operation},
	} {
		if diff := cmp.Diff(tt.base, adminapi.Without(tt.later, "defaultPhoneNumber")); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if tt.later == tt.base {
			t.Errorf("%s: no defaultPhoneNumber", tt.name)
		}
	}
}

func TestDecode(t *testing.T) {
	const text = `{"id":"gid://shopify/Customer/7","phone":"+886912345678","numberOfOrders":"13","smsMarketingConsent":{"marketingState":"PENDING"},
		"defaultPhoneNumber":{"whatsAppMarketingConsent":{"state":"SUBSCRIBED","optInLevel":null,"updatedAt":"2026-08-01T12:00:00Z","collectedFrom":"OTHER"}}}`
	var got v2026_07.Customer
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := v2026_07.Customer{
		CustomerFields: adminapi.CustomerFields{
			Id: "gid://shopify/Customer/7", Phone: "+886912345678", NumberOfOrders: "13",
			SmsMarketingConsent: &adminapi.SMSConsent{MarketingState: "PENDING"},
		},
		DefaultPhoneNumber: &v2026_07.PhoneNumber{WhatsAppMarketingConsent: v2026_07.WhatsAppConsent{
			State: "SUBSCRIBED", UpdatedAt: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC), CollectedFrom: "OTHER",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
