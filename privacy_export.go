package shopifysync

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
)

// PersonParams say whose contacts are meant, for [Syncer.Export] and
// [Syncer.Erase]: everybody in the connection who matches any of the fields
// given. At least one of CustomerID, Email and Phone is.
type PersonParams struct {
	Connection ConnectionID
	CustomerID CustomerID
	// Email and Phone need a contact store that is a [ContactFinder]. An e-mail
	// address is compared as that says. A phone number is looked for as it is
	// given, and as E.164 as far as the phone normalizer makes it so: a contact
	// whose number could not be made E.164 is found by its own text only.
	Email string
	Phone string
	// Country is the ISO 3166-1 alpha-2 code of where a Phone in national format
	// belongs. Empty means [WhatsAppSettings].Country of the connection.
	Country string
}

var errNobody = errors.New("whose contacts? A connection is wanted, and a customer id, an e-mail address or a phone number")

func (p PersonParams) check() error {
	if p.Connection == "" || p.CustomerID < 0 || p.CustomerID == 0 && p.email() == "" && p.phone() == "" {
		return errNobody
	}
	return nil
}

func (p PersonParams) email() string { return strings.TrimSpace(p.Email) }
func (p PersonParams) phone() string { return strings.TrimSpace(p.Phone) }

// Export returns the live contacts of a person, by ascending customer id: all
// that this library keeps of them. It reads the contact store alone, makes no
// request to Shopify, and works for connections that are paused, disconnected
// or unknown.
//
// Errors match [ErrNoFinder], the context's error, or what the store returns.
func (s *Syncer) Export(ctx context.Context, p PersonParams) ([]Contact, error) {
	if err := p.check(); err != nil {
		return nil, wrapped(err)
	}
	found, err := s.find(ctx, p)
	if err != nil {
		return nil, wrapped(err)
	}
	if p.CustomerID != 0 {
		got, err := s.contacts.Contacts(ctx, ContactsParams{Connection: p.Connection, IDs: []CustomerID{p.CustomerID}})
		if err != nil {
			return nil, wrapped(storeError("read contacts", err))
		}
		for _, c := range got.Contacts {
			if c.Removed == "" {
				found = append(found, c)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Contact) int { return cmp.Compare(a.CustomerID, b.CustomerID) })
	return slices.CompactFunc(found, func(a, b Contact) bool { return a.CustomerID == b.CustomerID }), nil
}

// findPeople returns the customers whose live contacts have the e-mail address
// or the phone number, by ascending id.
func (s *Syncer) findPeople(ctx context.Context, id ConnectionID, email, phone string) ([]CustomerID, error) {
	return s.idsOf(ctx, PersonParams{Connection: id, Email: email, Phone: phone})
}

// idsOf returns the ids that p names and finds, ascending, each once.
func (s *Syncer) idsOf(ctx context.Context, p PersonParams) ([]CustomerID, error) {
	found, err := s.find(ctx, p)
	if err != nil {
		return nil, err
	}
	var ids []CustomerID
	if p.CustomerID != 0 {
		ids = append(ids, p.CustomerID)
	}
	for _, c := range found {
		ids = append(ids, c.CustomerID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// find returns the live contacts that have the e-mail address or a form of the
// phone number, in no order and maybe twice.
func (s *Syncer) find(ctx context.Context, p PersonParams) ([]Contact, error) {
	email, phones := p.email(), s.phoneForms(ctx, p)
	if email == "" && len(phones) == 0 {
		return nil, nil
	}
	finder, ok := s.contacts.(ContactFinder)
	if !ok {
		return nil, ErrNoFinder
	}
	asks := []FindContactsParams{{Connection: p.Connection, Email: email}}
	for i, phone := range phones {
		if i > 0 {
			asks = append(asks, FindContactsParams{Connection: p.Connection})
		}
		asks[i].Phone = phone
	}
	var found []Contact
	for _, ask := range asks {
		got, err := finder.FindContacts(ctx, ask)
		if err != nil {
			return nil, storeError("find contacts", err)
		}
		found = append(found, got.Contacts...)
	}
	return found, nil
}

// phoneForms returns what the mapper may have made of a phone number: the
// number as it is, and as E.164, with and without the country to help.
func (s *Syncer) phoneForms(ctx context.Context, p PersonParams) []string {
	raw := p.phone()
	if raw == "" {
		return nil
	}
	country := p.Country
	if country == "" { // a connection that is not there anymore has none to tell
		if conn, err := s.conns.Connection(ctx, p.Connection); err == nil {
			country = conn.phoneCountry(nil)
		}
	}
	forms := []string{raw, s.mapping.phone(raw, ""), s.mapping.phone(raw, country)}
	slices.Sort(forms)
	return slices.Compact(forms)
}
