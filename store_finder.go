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
