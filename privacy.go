package shopifysync

import (
	"context"
	"time"
)

// A PrivacyHandler is what a host does beyond the contact store when the law
// gives a person a right; nil fields are skipped. An error makes Shopify send
// the webhook again, or [Syncer.Erase] fail, so that nothing is forgotten: what
// was done already is then done once more and must not mind.
type PrivacyHandler struct {
	// DataRequest is called for customers/data_request: the merchant must be
	// given the person's data within 30 days. See [Syncer.Export]. Without it the
	// requests are listed by [Syncer.Status].
	DataRequest func(ctx context.Context, r DataRequest) error
	// Erase is called before contacts are erased, to erase what else the host
	// keeps of those people: conversations, files, backups. Their contacts can
	// still be looked up. It is called at least once for each erasure; while it
	// fails the contacts stay, so that the erasure is tried again. Of the
	// Syncer it may call Export.
	Erase func(ctx context.Context, e Erasure) error
}

// A DataRequest says whose data a person asked the merchant for.
type DataRequest struct {
	Connection ConnectionID
	ID         int64 // Shopify's number of the request
	Customers  []CustomerID
	Email      Secret // Reveal it to look the person up
	Phone      Secret
}

// An Erasure says whose contacts are being erased.
type Erasure struct {
	Connection ConnectionID
	Reason     RemovalReason // RemovedRedacted or RemovedShopRedacted
	// Customers are the people, and those merged into them as far as the contact
	// store can tell ([MergedFinder]); empty with RemovedShopRedacted, which means
	// all of the connection.
	Customers []CustomerID
	At        time.Time
}
