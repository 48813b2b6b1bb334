package shopifysync

import (
	"slices"
	"time"
)

// A ConnectionState is what the library remembers of a connection between
// calls, apart from its runs and marks. It holds nothing personal and no secret.
// Times are in milliseconds and by the host's clock unless told otherwise.
type ConnectionState struct {
	Connection ConnectionID `json:"connection"`
	Revision   int64        `json:"-"` // set by the store: grows with each save

	// ShopID is the store's identity (shop.id, a global id), kept for ever.
	// Empty until Shopify was asked for the first time.
	ShopID string `json:"shop_id,omitempty"`
	// ConnectedAt is when Connect saved the connection first.
	ConnectedAt time.Time `json:"connected_at,omitzero"`
	// Disconnected is set from Disconnect until the next Connect.
	Disconnected *Disconnection `json:"disconnected,omitempty"`
	// Health is what Shopify last said of the connection.
	Health Health `json:"health,omitzero"`
	// Pause is set while Shopify refuses the connection.
	Pause *Pause `json:"pause,omitempty"`

	// RedactAsked is when Shopify asked to erase the store's data (shop/redact),
	// while it is open whether the store has left: it neither serves the
	// connection nor refuses its token, as one that was closed.
	RedactAsked time.Time `json:"redact_asked,omitzero"`

	// DataRequests are those that no [PrivacyHandler] took, the oldest first; at
	// most 100, of the last 30 days.
	DataRequests []OpenDataRequest `json:"data_requests,omitempty"`
	// ErasedAt is when everything that was kept of its customers was erased.
	ErasedAt time.Time `json:"erased_at,omitzero"`

	// CheckDue asks the next check not to wait for its time.
	CheckDue bool `json:"check_due,omitempty"`
	// CaughtUpTo is up to where the list of changed customers was read, by
	// Shopify's clock; CaughtUpAt is when.
	CaughtUpTo time.Time `json:"caught_up_to,omitzero"`
	CaughtUpAt time.Time `json:"caught_up_at,omitzero"`
	// RunAt is when the last complete run ended. InStepAsOf is when Shopify
	// was first asked in it, by Shopify's clock, or when the bulk operation that
	// it read was begun: since then only what webhooks and catch-ups brought is
	// known.
	RunAt      time.Time `json:"run_at,omitzero"`
	InStepAsOf time.Time `json:"in_step_as_of,omitzero"`
	// TriedAt is when the last run ended, complete or not.
	TriedAt time.Time `json:"tried_at,omitzero"`
	// Customers is how many customers the last complete run saw.
	Customers int64 `json:"customers,omitempty"`
	// CountedAt is when that number was last compared with Shopify's own.
	CountedAt time.Time `json:"counted_at,omitzero"`
}

// A Pause says that Shopify refuses a connection. Webhooks still make marks;
// drains and catch-ups ask Shopify once each time that ProbeAt has come.
type Pause struct {
	State HealthState `json:"state"`
	Since time.Time   `json:"since"`
	// ProbeAt is when to ask again. Zero: not before the next Connect.
	ProbeAt time.Time `json:"probe_at,omitzero"`
}

// An OpenDataRequest is a person's request for their data that was not handed
// to a [PrivacyHandler]: the merchant must answer it within 30 days.
type OpenDataRequest struct {
	ID int64     `json:"id"` // Shopify's number of the request
	At time.Time `json:"at"` // when it came
	// Customers are whom it is about; see [Syncer.Export]. None: Shopify named
	// an e-mail address or phone number only, which is not kept.
	Customers []CustomerID `json:"customers,omitempty"`
}

const (
	answerDataWithin = 30 * 24 * time.Hour
	maxDataRequests  = 100
)

// openDataRequests are those whose time has not passed.
func (st *ConnectionState) openDataRequests(now time.Time) []OpenDataRequest {
	return slices.DeleteFunc(slices.Clone(st.DataRequests), func(r OpenDataRequest) bool { return now.Sub(r.At) >= answerDataWithin })
}

// A Disconnection is what stays of a connection that was disconnected.
type Disconnection struct {
	At   time.Time `json:"at"`
	Kept bool      `json:"kept,omitempty"` // contacts were not removed at once
	// EraseBy is when contacts that were kept must be erased unless the store is
	// connected again; see [WithRetention]. At itself while contacts that are not
	// to be kept are being removed; zero if none are left, or never.
	EraseBy time.Time `json:"erase_by,omitzero"`
}

// removing reports whether a removal of the contacts has begun and not ended.
func (d *Disconnection) removing() bool {
	return d != nil && !d.EraseBy.IsZero() && !d.EraseBy.After(d.At)
}
