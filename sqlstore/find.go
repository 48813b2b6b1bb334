package sqlstore

import (
	"context"
	"slices"
	"strings"

	"github.com/omnichat/shopifysync"
)

// find looks for ids through the indexes, which in some databases fold more
// than ASCII letters, and then compares the whole contacts itself.
func (s *Store) find(ctx context.Context, p shopifysync.FindContactsParams) ([]shopifysync.Contact, error) {
	email := lowerASCII(p.Email)
	var ids []shopifysync.CustomerID
	for _, by := range []struct{ condition, text string }{
		{s.dialect.emailIs(), email},
		{"phone = ? AND phone <> ''", p.Phone},
	} {
		if by.text == "" || !storable(by.text) {
			continue
		}
		found, err := s.queryIDs(ctx, "SELECT customer_id FROM {contacts} WHERE connection_id = ? AND removed = '' AND "+by.condition,
			string(p.Connection), by.text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	found, err := s.load(ctx, s.db, p.Connection, sortedUnique(ids))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(contactsOf(found), func(c shopifysync.Contact) bool {
		byEmail := c.Email != "" && lowerASCII(c.Email) == email
		byPhone := c.Phone != "" && c.Phone == p.Phone
		return c.Removed != "" || !byEmail && !byPhone
	}), nil
}

// lowerASCII lowers A to Z only: strings.ToLower would take the Kelvin sign for
// a k, and so one person for another.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
