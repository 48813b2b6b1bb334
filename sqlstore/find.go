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

// SharedWhatsApp implements [shopifysync.WhatsAppSharer]. It reads the index of
// WhatsApp contacts.
func (s *Store) SharedWhatsApp(ctx context.Context, p shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error) {
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.SharedWhatsAppResult{}, err
	}
	if err := checkLimit(p.Limit); err != nil {
		return shopifysync.SharedWhatsAppResult{}, err
	}
	if !storable(p.Account) || !storable(p.After) {
		return shopifysync.SharedWhatsAppResult{}, nil
	}
	var result shopifysync.SharedWhatsAppResult
	err := s.retry(ctx, "find shared WhatsApp contacts", func() (err error) {
		result.Shared, err = s.sharedWhatsApp(ctx, p)
		return err
	})
	return result, err
}

func (s *Store) sharedWhatsApp(ctx context.Context, p shopifysync.SharedWhatsAppParams) ([]shopifysync.SharedWhatsApp, error) {
	const ofAccount = " FROM {contacts} WHERE connection_id = ? AND whatsapp_account = ? AND whatsapp_user_id <> '' AND whatsapp_user_id "
	rows, err := s.db.QueryContext(ctx, s.text("SELECT whatsapp_user_id"+ofAccount+
		"> ? GROUP BY whatsapp_user_id HAVING COUNT(*) > 1 ORDER BY whatsapp_user_id LIMIT ?"),
		string(p.Connection), p.Account, p.After, int64(p.Limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var shared []shopifysync.SharedWhatsApp
	for rows.Next() {
		var one shopifysync.SharedWhatsApp
		if err := rows.Scan(&one.UserID); err != nil {
			return nil, err
		}
		shared = append(shared, one)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i := range shared {
		shared[i].Customers, err = s.queryIDs(ctx, "SELECT customer_id"+ofAccount+"= ? ORDER BY customer_id LIMIT ?",
			string(p.Connection), p.Account, shared[i].UserID, int64(shopifysync.MaxSharers))
		if err != nil {
			return nil, err
		}
	}
	// Whoever was unlinked between the two reads shares no more.
	return slices.DeleteFunc(shared, func(one shopifysync.SharedWhatsApp) bool { return len(one.Customers) < 2 }), nil
}

// MergedCustomers implements [shopifysync.MergedFinder]. It reads an index of
// tombstones.
func (s *Store) MergedCustomers(ctx context.Context, p shopifysync.MergedCustomersParams) (shopifysync.MergedCustomersResult, error) {
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.MergedCustomersResult{}, err
	}
	var result shopifysync.MergedCustomersResult
	err := s.retry(ctx, "find merged customers", func() (err error) {
		result.Customers, err = s.queryIDs(ctx,
			"SELECT customer_id FROM {contacts} WHERE connection_id = ? AND removed = 'merged' AND merged_into <> 0 AND merged_into = ? ORDER BY customer_id",
			string(p.Connection), int64(p.Into))
		return err
	})
	return result, err
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
