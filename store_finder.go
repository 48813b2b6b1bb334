package shopifysync

import "context"

// A ContactFinder finds the contacts of a person. It is optional: a
// [ContactStore] that also has this method lets Export and Erase be asked for
// an e-mail address or a phone number; without it they take customer ids only.
// Implementations MUST be safe for concurrent use.
type ContactFinder interface {
	// FindContacts returns the live contacts of the connection whose e-mail is
	// p.Email or whose phone is p.Phone, by ascending customer id. An empty
	// p.Email or p.Phone finds nothing.
	//
	// E-mails are compared without regard to the case of ASCII letters, all
	// else byte for byte: Ann@Example.com finds ann@example.com, but É does not
	// find é. Phones are compared byte for byte.
	FindContacts(ctx context.Context, p FindContactsParams) (FindContactsResult, error)
}

// FindContactsParams are the arguments of [ContactFinder.FindContacts].
type FindContactsParams struct {
	Connection ConnectionID
	Email      string
	Phone      string // as the contact has it: E.164 if it could be made so
}

// FindContactsResult is what [ContactFinder.FindContacts] returns.
type FindContactsResult struct{ Contacts []Contact }

// A WhatsAppSharer tells which customers have one WhatsApp contact between
// them: a family's phone, or an address typed twice. It is optional: with a
// [ContactStore] that also has this method each complete run reports them.
// Implementations MUST be safe for concurrent use.
type WhatsAppSharer interface {
	// SharedWhatsApp returns the WhatsApp contacts of an account that more than
	// one live contact of the connection is linked to, by ascending user id
	// (byte order), those after p.After, at most p.Limit.
	SharedWhatsApp(ctx context.Context, p SharedWhatsAppParams) (SharedWhatsAppResult, error)
}

// SharedWhatsAppParams are the arguments of [WhatsAppSharer.SharedWhatsApp].
type SharedWhatsAppParams struct {
	Connection ConnectionID
	Account    string // [WhatsAppSettings.AccountID]
	After      string // a user id, exclusive; empty: from the start
	Limit      int    // at least 1
}

// SharedWhatsAppResult is what [WhatsAppSharer.SharedWhatsApp] returns.
type SharedWhatsAppResult struct{ Shared []SharedWhatsApp }

// SharedWhatsApp is a WhatsApp contact that several customers are linked to.
type SharedWhatsApp struct {
	UserID    string
	Customers []CustomerID // by ascending id: two at least, the first [MaxSharers]
}

// MaxSharers is how many customers a [SharedWhatsApp] lists.
const MaxSharers = 10

// A MergedFinder tells who was merged into a customer. It is optional: with a
// [ContactStore] that also has this method an erasure covers those who were
// merged into the person, of whom the host may keep conversations still.
// Implementations MUST be safe for concurrent use.
type MergedFinder interface {
	// MergedCustomers returns the customers of the connection whose tombstones
	// have p.Into as their MergedInto, by ascending id.
	MergedCustomers(ctx context.Context, p MergedCustomersParams) (MergedCustomersResult, error)
}

// MergedCustomersParams are the arguments of [MergedFinder.MergedCustomers].
type MergedCustomersParams struct {
	Connection ConnectionID
	Into       CustomerID // the survivor; nobody was merged into 0
}

// MergedCustomersResult is what [MergedFinder.MergedCustomers] returns.
type MergedCustomersResult struct{ Customers []CustomerID }
