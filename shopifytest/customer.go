package shopifytest

import (
	"slices"
	"time"
)

// Customer is a customer of a fake store, with the fields of Shopify's
// Customer object that the schema of this module knows. An empty FirstName,
// LastName, Email, Phone or Note is null at Shopify.
type Customer struct {
	ID        int64 // the number in gid://shopify/Customer/...
	FirstName string
	LastName  string
	Email     string // its case is kept
	Phone     string
	Locale    string // "en" when empty
	Note      string
	Tags      []string
	// State is ENABLED, DISABLED, INVITED or DECLINED; DISABLED when empty, as
	// for a customer without an account.
	State          string
	VerifiedEmail  bool
	NumberOfOrders uint64
	AmountSpent    Money
	CreatedAt      time.Time // whole seconds
	UpdatedAt      time.Time // whole seconds
	// EmailConsent and SMSConsent are null at Shopify for a customer without
	// an e-mail address or a phone number. So is WhatsAppConsent, which is read
	// at defaultPhoneNumber, by versions from 2026-07 on.
	EmailConsent    *EmailConsent
	SMSConsent      *SMSConsent
	WhatsAppConsent *WhatsAppConsent
	DefaultAddress  *Address
}

// Money is an amount as Shopify writes it: a decimal without padding, such as
// "11884.9".
type Money struct {
	Amount   string // "0.0" when empty
	Currency string // ISO 4217; the store's when empty
}

// EmailConsent is the e-mail marketing consent of a customer.
type EmailConsent struct {
	State     string    // INVALID NOT_SUBSCRIBED PENDING REDACTED SUBSCRIBED UNSUBSCRIBED
	Level     string    // CONFIRMED_OPT_IN SINGLE_OPT_IN UNKNOWN; null when empty
	UpdatedAt time.Time // null when zero
}

// SMSConsent is the SMS marketing consent of a customer.
type SMSConsent struct {
	State         string    // NOT_SUBSCRIBED PENDING REDACTED SUBSCRIBED UNSUBSCRIBED
	Level         string    // CONFIRMED_OPT_IN SINGLE_OPT_IN UNKNOWN; UNKNOWN when empty
	UpdatedAt     time.Time // null when zero
	CollectedFrom string    // SHOPIFY OTHER; null when empty
}

// WhatsAppConsent is the WhatsApp marketing consent of a customer.
type WhatsAppConsent struct {
	State         string    // NEVER_SUBSCRIBED PENDING REDACTED SUBSCRIBED UNSUBSCRIBED
	Level         string    // CONFIRMED_OPT_IN SINGLE_OPT_IN UNKNOWN; null when empty
	UpdatedAt     time.Time // null when zero
	CollectedFrom string    // SHOPIFY OTHER; null when empty
}

// Address is the default address of a customer. Empty fields are null.
type Address struct {
	Address1, Address2, City, Province, Zip string
	CountryCode                             string // ISO 3166-1 alpha-2
	Phone                                   string
}

// clone copies c deeply: customers in a store never change, they are replaced.
func (c *Customer) clone() *Customer {
	d := *c
	d.Tags = slices.Clone(c.Tags)
	if c.EmailConsent != nil {
		consent := *c.EmailConsent
		d.EmailConsent = &consent
	}
	if c.SMSConsent != nil {
		consent := *c.SMSConsent
		d.SMSConsent = &consent
	}
	if c.WhatsAppConsent != nil {
		consent := *c.WhatsAppConsent
		d.WhatsAppConsent = &consent
	}
	if c.DefaultAddress != nil {
		address := *c.DefaultAddress
		d.DefaultAddress = &address
	}
	return &d
}

// complete fills what Shopify never leaves empty.
func (c *Customer) complete(currency string) {
	if c.Locale == "" {
		c.Locale = "en"
	}
	if c.State == "" {
		c.State = "DISABLED"
	}
	if c.AmountSpent.Amount == "" {
		c.AmountSpent.Amount = "0.0"
	}
	if c.AmountSpent.Currency == "" {
		c.AmountSpent.Currency = currency
	}
	if c.Email != "" && c.EmailConsent == nil {
		c.EmailConsent = &EmailConsent{State: "NOT_SUBSCRIBED", Level: "SINGLE_OPT_IN"}
	}
	if c.Phone != "" && c.SMSConsent == nil {
		c.SMSConsent = &SMSConsent{State: "NOT_SUBSCRIBED"}
	}
	if c.Phone != "" && c.WhatsAppConsent == nil {
		c.WhatsAppConsent = &WhatsAppConsent{State: "NEVER_SUBSCRIBED"}
	}
	if c.SMSConsent != nil && c.SMSConsent.Level == "" {
		c.SMSConsent.Level = "UNKNOWN"
	}
	c.CreatedAt = wholeSecond(c.CreatedAt)
	c.UpdatedAt = wholeSecond(c.UpdatedAt)
}

// redact removes what identifies a person.
func (c *Customer) redact() {
	c.FirstName, c.LastName, c.Email, c.Phone, c.Note = "", "", "", "", ""
	c.Tags = nil
	c.DefaultAddress = nil
	c.EmailConsent = &EmailConsent{State: "REDACTED"}
	c.SMSConsent = &SMSConsent{State: "REDACTED", Level: "UNKNOWN"}
	c.WhatsAppConsent = &WhatsAppConsent{State: "REDACTED"}
}

func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
