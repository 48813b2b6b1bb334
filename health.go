package shopifysync

import "time"

// A Health tells whether Shopify serves a connection, and what it serves.
type Health struct {
	State HealthState `json:"state"`
	// Message says what is wrong and what to do next; empty when all is well.
	Message string `json:"message,omitempty"`
	// CheckedAt is when Shopify was last asked for all of this; zero: never.
	CheckedAt time.Time `json:"checked_at,omitzero"`

	Shop ShopInfo `json:"shop,omitzero"`
	// Scopes are the access scopes that the app has; MissingScopes those that it
	// lacks and needs.
	Scopes        []string `json:"scopes,omitempty"`
	MissingScopes []string `json:"missing_scopes,omitempty"`
	// PersonalData tells whether customers' personal data is shown to the app.
	PersonalData DataAccess `json:"personal_data,omitempty"`

	// AskedVersion is the API version asked for, ServedVersion the one that
	// answered: Shopify answers for a version that it no longer supports with
	// the oldest one that it does.
	AskedVersion  string `json:"asked_version,omitempty"`
	ServedVersion string `json:"served_version,omitempty"`
	// Subscriptions are the webhook subscriptions, by topic; empty without
	// [WithWebhookURL].
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	// Warnings are what works in spite of something: a topic that could not be
	// subscribed to, a version that rolled over, a deprecation.
	Warnings []string `json:"warnings,omitempty"`
}

// A HealthState tells how a connection is.
type HealthState string

// The states of a connection.
const (
	HealthUnknown       HealthState = ""                      // Shopify was not asked yet
	HealthOK            HealthState = "ok"                    // all is well
	HealthReauthorise   HealthState = "reauthorise"           // [ErrUnauthorized]
	HealthUninstalled   HealthState = "uninstalled"           // [ErrUninstalled]: nothing is sent until Connect
	HealthFrozen        HealthState = "frozen"                // [ErrShopFrozen]
	HealthLocked        HealthState = "locked"                // [ErrShopLocked]
	HealthMoved         HealthState = "moved"                 // [ErrShopMoved]
	HealthNotFound      HealthState = "not found"             // [ErrShopNotFound]
	HealthScopeMissing  HealthState = "scope missing"         // [ErrScopeMissing]
	HealthProtectedData HealthState = "personal data refused" // [ErrProtectedData]
	HealthOtherOrg      HealthState = "other organisation"    // [ErrOtherOrganization]
)

// ShopInfo is what Shopify says of a store.
type ShopInfo struct {
	ID       string `json:"id"` // global id: the store's identity
	Name     string `json:"name"`
	Domain   Shop   `json:"domain"`
	Plan     string `json:"plan"` // display name, such as "Basic"
	Plus     bool   `json:"plus,omitempty"`
	Test     bool   `json:"test,omitempty"` // a partner's development store
	Currency string `json:"currency"`       // ISO 4217
	TimeZone string `json:"time_zone"`      // IANA
}

// DataAccess tells whether personal data of customers can be read.
type DataAccess string

// What is known about personal data.
const (
	DataUnknown  DataAccess = ""         // not yet known: there was no customer to read; the first page of a run decides
	DataReadable DataAccess = "readable" // a customer was read
	DataRefused  DataAccess = "refused"
)

// A Subscription is the state of one webhook subscription.
type Subscription struct {
	Topic string            `json:"topic"` // such as "customers/update"
	State SubscriptionState `json:"state"`
	// Reason says why it is skipped or failed.
	Reason string `json:"reason,omitempty"`
}

// A SubscriptionState tells how a webhook subscription is.
type SubscriptionState string

// The states of a webhook subscription.
const (
	SubscriptionOK       SubscriptionState = "ok"
	SubscriptionCreated  SubscriptionState = "created"  // it was missing
	SubscriptionRepaired SubscriptionState = "repaired" // it had another address or other fields
	SubscriptionSkipped  SubscriptionState = "skipped"  // the app or the version may not have it
	SubscriptionFailed   SubscriptionState = "failed"   // Shopify refused it; tried again at the next check
)
