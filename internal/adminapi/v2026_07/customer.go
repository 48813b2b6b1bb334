package v2026_07

import (
	"time"

	"github.com/omnichat/shopifysync/internal/adminapi"
)

// Customer is a customer of 2026-07 and later: what package adminapi reads in
// every version, so that one mapper takes both, and what came since. The Go
// type of GraphQL's Customer is this one (see genqlient.yaml), whose selection
// must therefore have exactly these fields.
type Customer struct {
	adminapi.CustomerFields
	// DefaultPhoneNumber is nil for a customer without a phone number.
	DefaultPhoneNumber *PhoneNumber `json:"defaultPhoneNumber"`
}

// PhoneNumber is a customer's default phone number. The number itself is
// Phone, as in every version.
type PhoneNumber struct {
	WhatsAppMarketingConsent WhatsAppConsent `json:"whatsAppMarketingConsent"`
}

// WhatsAppConsent is Shopify's CustomerWhatsAppMarketingConsent.
type WhatsAppConsent struct {
	State         string    `json:"state"`         // NEVER_SUBSCRIBED PENDING REDACTED SUBSCRIBED UNSUBSCRIBED
	OptInLevel    string    `json:"optInLevel"`    // CONFIRMED_OPT_IN SINGLE_OPT_IN UNKNOWN; empty for null
	UpdatedAt     time.Time `json:"updatedAt"`     // zero for null
	CollectedFrom string    `json:"collectedFrom"` // OTHER SHOPIFY; empty for null
}
