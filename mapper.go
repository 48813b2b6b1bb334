package shopifysync

import (
	"strings"
	"time"
)

// A FieldSet is a set of customer fields: those left out of the query
// ([WithoutFields]), or those that Shopify refused to show ([Contact.Masked]).
type FieldSet uint32

// The fields of a customer that can be left out or refused on their own.
const (
	FieldName            FieldSet = 1 << iota // first and last name, and the name made of them
	FieldEmail                                // e-mail address
	FieldPhone                                // phone number
	FieldTags                                 // tags
	FieldNote                                 // the merchant's note
	FieldOrders                               // number of orders
	FieldSpent                                // amount spent
	FieldEmailConsent                         // e-mail marketing consent
	FieldSMSConsent                           // SMS marketing consent
	FieldAddress                              // default address
	FieldLocale                               // locale
	FieldState                                // state of the customer's account
	FieldVerifiedEmail                        // whether the e-mail is verified
	FieldCreatedAt                            // creation time
	FieldWhatsAppConsent                      // WhatsApp marketing consent; not to be had before API 2026-07

	allFields = FieldWhatsAppConsent<<1 - 1
)

var fieldNames = []string{
	"name", "email", "phone", "tags", "note", "orders", "spent", "email consent", "sms consent",
	"address", "locale", "state", "verified email", "created at",
	"whatsapp consent",
}

// Has reports whether s holds every field of f.
func (s FieldSet) Has(f FieldSet) bool { return s&f == f }

// String lists the fields: "email,phone".
func (s FieldSet) String() string {
	var names []string
	for i, name := range fieldNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// A Customer is what Shopify reports of a customer. A [Mapper] makes a
// [Contact] of it. Null text is empty, a null time is zero.
type Customer struct {
	ID        CustomerID
	FirstName string
	LastName  string
	Email     string
	Phone     string // as Shopify keeps it, mostly E.164
	// PhoneCountry is where phone numbers in national format belong: the
	// country of the default address, else [WhatsAppSettings].Country of the
	// connection; ISO 3166-1 alpha-2, empty if neither tells.
	PhoneCountry   string
	Locale         string // such as "zh-TW"
	Note           string
	Tags           []string
	State          string // DECLINED, DISABLED, ENABLED, INVITED; of the classic customer account
	VerifiedEmail  bool
	NumberOfOrders string // decimal digits
	AmountSpent    Money  // as reported, in one currency
	EmailConsent   *Consent
	SMSConsent     *Consent
	// WhatsAppConsent is nil for a customer without a phone number; before API
	// 2026-07 it is masked.
	WhatsAppConsent *Consent
	DefaultAddress  *Address
	CreatedAt       time.Time
	UpdatedAt       time.Time
	// Masked holds the fields that were refused or not asked for: their zero
	// values above mean "not seen", not "empty".
	Masked FieldSet
}

// Money is an amount in one currency.
type Money struct {
	Amount   string // decimal text as Shopify sent it, such as "11884.9"; never a float
	Currency string // ISO 4217, such as "TWD"
}

// An Address is a customer's default address. It may be a recipient's.
type Address struct {
	Address1, Address2  string
	City, Province, Zip string
	Country             string // ISO 3166-1 alpha-2, such as "TW"
	Phone               string
}

// A Consent is a marketing consent, kept raw.
type Consent struct {
	State         ConsentState
	Level         ConsentLevel // empty if not reported
	UpdatedAt     time.Time    // when the consent changed; zero if not reported
	CollectedFrom string       // SHOPIFY or OTHER; not of e-mail
	// Address is the e-mail address or phone number that the consent belongs
	// to; empty if it was not seen.
	Address string
}

// Equal reports whether c and o are the same consent.
func (c Consent) Equal(o Consent) bool {
	same := c.UpdatedAt.Equal(o.UpdatedAt)
	c.UpdatedAt, o.UpdatedAt = time.Time{}, time.Time{}
	return same && c == o
}

// A ConsentState is Shopify's marketing state. Members unknown to this
// library pass through as they are.
type ConsentState string

// The marketing states of Shopify's CustomerEmailMarketingState,
// CustomerSmsMarketingState and CustomerWhatsAppMarketingState.
const (
	ConsentSubscribed      ConsentState = "SUBSCRIBED"
	ConsentNeverSubscribed ConsentState = "NEVER_SUBSCRIBED" // WhatsApp only
	ConsentNotSubscribed   ConsentState = "NOT_SUBSCRIBED"
	ConsentPending         ConsentState = "PENDING"
	ConsentUnsubscribed    ConsentState = "UNSUBSCRIBED"
	ConsentInvalid         ConsentState = "INVALID"
	ConsentRedacted        ConsentState = "REDACTED"
)

// A ConsentLevel is Shopify's CustomerMarketingOptInLevel: SINGLE_OPT_IN,
// CONFIRMED_OPT_IN or UNKNOWN.
type ConsentLevel string

// A Contact is what the host keeps of a customer: one per connection and
// customer. In a store it may instead be a tombstone (Removed is set), which
// keeps the key, the version and the reason, and nothing personal.
type Contact struct {
	Connection ConnectionID
	CustomerID CustomerID
	Version    Version

	Name        string // how the person is shown
	FirstName   string
	LastName    string
	Email       string
	Phone       string // E.164 if it could be made so, else as Shopify has it
	PhoneSource PhoneSource
	Tags        []string // sorted, without duplicates
	// Attributes are sorted by key, each key at most once. As input, an
	// attribute that is not listed is untouched and a null one is cleared.
	Attributes []Attribute
	// WhatsApp is the WhatsApp contact that this contact is linked to. As
	// input, nil is untouched and one without a user id unlinks.
	WhatsApp *WhatsAppContact
	// Masked holds the fields not really seen. As input they never clear or
	// change what is stored; in a store they are the fields never seen so far.
	Masked FieldSet

	// Removed is why the contact is gone; empty for a live contact.
	Removed RemovalReason
	// MergedInto is the surviving customer when Removed is [RemovedMerged].
	MergedInto CustomerID
}

// A Version orders observations of one customer, by Shopify's clock.
type Version struct {
	UpdatedAt  time.Time // the customer's updatedAt: whole seconds
	ObservedAt time.Time // when Shopify was read, at the latest; milliseconds
}

// Compare returns -1, 0 or 1: by UpdatedAt, then by ObservedAt.
func (v Version) Compare(o Version) int {
	if c := v.UpdatedAt.Compare(o.UpdatedAt); c != 0 {
		return c
	}
	return v.ObservedAt.Compare(o.ObservedAt)
}

// A PhoneSource tells where a contact's phone number came from.
type PhoneSource string

// The sources of a phone number.
const (
	PhoneNone     PhoneSource = ""         // there is no number
	PhoneCustomer PhoneSource = "customer" // the customer's own
	PhoneAddress  PhoneSource = "address"  // the default address's; maybe a recipient's
)

// A WhatsAppContact is a person in a WhatsApp account. Its key is Account and
// UserID; several customers may be linked to one.
type WhatsAppContact struct {
	Account string // [WhatsAppSettings.AccountID]
	UserID  string // the phone number's digits without "+"
	Name    string
}

// An AttributeKey names an attribute; it is stable.
type AttributeKey string

// The attributes that the default mapper makes.
const (
	AttrOrdersCount     AttributeKey = "shopify.orders_count"               // number
	AttrTotalSpent      AttributeKey = "shopify.total_spent"                // money
	AttrNote            AttributeKey = "shopify.note"                       // text
	AttrEmailConsent    AttributeKey = "shopify.email_marketing_consent"    // consent
	AttrSMSConsent      AttributeKey = "shopify.sms_marketing_consent"      // consent
	AttrWhatsAppConsent AttributeKey = "shopify.whatsapp_marketing_consent" // consent; API 2026-07 and later
)

// attributeFields tells which masked field keeps which attribute untouched.
var attributeFields = map[AttributeKey]FieldSet{
	AttrOrdersCount:     FieldOrders,
	AttrTotalSpent:      FieldSpent,
	AttrNote:            FieldNote,
	AttrEmailConsent:    FieldEmailConsent,
	AttrSMSConsent:      FieldSMSConsent,
	AttrWhatsAppConsent: FieldWhatsAppConsent,
}

// An AttributeKind is the type of an attribute's value.
type AttributeKind string

// The kinds of attribute. Which fields of [Attribute] hold the value is told
// beside each.
const (
	KindNull    AttributeKind = ""        // none: the attribute is cleared
	KindNumber  AttributeKind = "number"  // Number
	KindMoney   AttributeKind = "money"   // Number and Currency
	KindText    AttributeKind = "text"    // Text
	KindConsent AttributeKind = "consent" // Consent
)

// An Attribute is a typed value under a key. Make one with [NumberAttribute],
// [MoneyAttribute], [TextAttribute], [ConsentAttribute] or [NullAttribute].
type Attribute struct {
	Key      AttributeKey
	Kind     AttributeKind
	Number   string // decimal text: an optional "-", digits, optionally "." and digits
	Currency string
	Text     string
	Consent  Consent
}

// NumberAttribute returns a number from its decimal text.
func NumberAttribute(key AttributeKey, number string) Attribute {
	return Attribute{Key: key, Kind: KindNumber, Number: number}
}

// MoneyAttribute returns an amount with its currency.
func MoneyAttribute(key AttributeKey, m Money) Attribute {
	return Attribute{Key: key, Kind: KindMoney, Number: m.Amount, Currency: m.Currency}
}

// TextAttribute returns a text.
func TextAttribute(key AttributeKey, text string) Attribute {
	return Attribute{Key: key, Kind: KindText, Text: text}
}

// ConsentAttribute returns a marketing consent.
func ConsentAttribute(key AttributeKey, c Consent) Attribute {
	return Attribute{Key: key, Kind: KindConsent, Consent: c}
}

// NullAttribute clears the attribute of that key.
func NullAttribute(key AttributeKey) Attribute { return Attribute{Key: key} }

// Equal reports whether a and o have the same key and value.
func (a Attribute) Equal(o Attribute) bool {
	same := a.Consent.Equal(o.Consent)
	a.Consent, o.Consent = Consent{}, Consent{}
	return same && a == o
}

// A Mapper makes a contact of a customer. It must be pure and safe for
// concurrent use. Returning an error that matches [ErrSkip] leaves the
// customer out, and removes it if it is there; any other error makes the
// record a failed one. The Syncer sets Connection, CustomerID, Version, Masked
// and WhatsApp afterwards, sorts Tags and Attributes, and drops duplicate tags;
// an attribute listed twice makes the record a failed one.
type Mapper func(id ConnectionID, c Customer) (Contact, error)
