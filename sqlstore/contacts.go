package sqlstore

import (
	"context"
	"errors"

	"github.com/omnichat/shopifysync"
)

// UpsertContacts implements [shopifysync.ContactStore]. How is told in the
// package's documentation.
func (s *Store) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.UpsertContactsResult{}, err
	}
	results := make([]shopifysync.UpsertResult, len(p.Contacts))
	b := newBatch(p, results)
	if len(b.ids) == 0 {
		return shopifysync.UpsertContactsResult{Results: results}, nil
	}
	err := s.retry(ctx, "upsert contacts", func() error {
		changes, err := s.decide(ctx, b, results)
		if err != nil {
			return err
		}
		return s.write(ctx, p.Connection, changes)
	})
	if err != nil {
		return shopifysync.UpsertContactsResult{}, err
	}
	return shopifysync.UpsertContactsResult{Results: results}, nil
}

// RemoveContacts implements [shopifysync.ContactStore]. With All it goes in
// chunks, each a transaction: one that fails leaves the chunks before it
// removed, and is to be repeated.
func (s *Store) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	switch {
	case p.Reason == "":
		return shopifysync.RemoveContactsResult{}, errors.New("sqlstore: a removal needs a reason")
	case p.All && len(p.Removals) > 0:
		return shopifysync.RemoveContactsResult{}, errors.New("sqlstore: a removal of all contacts must not list some")
	}
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.RemoveContactsResult{}, err
	}
	if p.All {
		removed, err := s.removeAll(ctx, p)
		return shopifysync.RemoveContactsResult{Removed: removed}, err
	}
	var result shopifysync.RemoveContactsResult
	err := s.retry(ctx, "remove contacts", func() (err error) {
		result, err = s.remove(ctx, p)
		return err
	})
	if err != nil {
		return shopifysync.RemoveContactsResult{}, err
	}
	return result, nil
}

const removeChunk = 1000

func (s *Store) removeAll(ctx context.Context, p shopifysync.RemoveContactsParams) (removed int64, err error) {
	var after shopifysync.CustomerID
	for {
		var ids []shopifysync.CustomerID
		err := s.retry(ctx, "list contacts to remove", func() (err error) {
			ids, err = s.queryIDs(ctx,
				"SELECT customer_id FROM {contacts} WHERE connection_id = ? AND customer_id > ? ORDER BY customer_id LIMIT ?",
				string(p.Connection), int64(after), removeChunk)
			return err
		})
		if err != nil || len(ids) == 0 {
			return removed, err
		}
		chunk := p
		for _, id := range ids {
			chunk.Removals = append(chunk.Removals, shopifysync.Removal{CustomerID: id})
		}
		err = s.retry(ctx, "remove contacts", func() error {
			result, err := s.remove(ctx, chunk)
			if err == nil {
				removed += result.Removed
			}
			return err
		})
		if err != nil {
			return removed, err
		}
		after = ids[len(ids)-1]
	}
}

// remove applies the removals to the heads of their contacts, which hold all
// that the rules ask for.
func (s *Store) remove(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	ids := make([]shopifysync.CustomerID, len(p.Removals))
	for i, r := range p.Removals {
		ids[i] = r.CustomerID
	}
	ids = sortedUnique(ids)
	heads, err := s.heads(ctx, s.db, p.Connection, ids)
	if err != nil {
		return shopifysync.RemoveContactsResult{}, err
	}
	known := make(map[shopifysync.CustomerID]*working, len(ids))
	for i, id := range ids {
		known[id] = &working{was: heads[i], contact: heads[i].contact(p.Connection)}
	}
	result := shopifysync.RemoveContactsResult{Outcomes: make([]shopifysync.Outcome, len(p.Removals))}
	for i, r := range p.Removals {
		w := known[r.CustomerID]
		if w.contact == nil && p.Reason == shopifysync.RemovedSkipped {
			result.Outcomes[i] = shopifysync.Unchanged
			continue
		}
		grave, outcome := shopifysync.Apply(w.contact, shopifysync.Contact{
			Connection: p.Connection, CustomerID: r.CustomerID,
			Version: shopifysync.Version{ObservedAt: milliseconds(p.ObservedAt)},
			Removed: p.Reason, MergedInto: r.MergedInto,
		})
		result.Outcomes[i] = outcome
		if outcome == shopifysync.Removed && w.contact != nil {
			result.Removed++
		}
		if outcome != shopifysync.Stale {
			w.contact, w.changed = &grave, true
		}
	}
	var changes []change
	for _, id := range ids {
		w := known[id]
		if w.changed && headOf(w.contact, "") != w.was {
			changes = append(changes, change{was: w.was, contact: *w.contact})
		}
	}
	return result, s.write(ctx, p.Connection, changes)
}

// Contacts implements [shopifysync.ContactStore]; they come by ascending id.
func (s *Store) Contacts(ctx context.Context, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.ContactsResult{}, err
	}
	var found []stored
	err := s.retry(ctx, "read contacts", func() (err error) {
		found, err = s.load(ctx, s.db, p.Connection, p.IDs)
		return err
	})
	return shopifysync.ContactsResult{Contacts: contactsOf(found)}, err
}

// ContactIDs implements [shopifysync.ContactStore].
func (s *Store) ContactIDs(ctx context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
	if err := checkLimit(p.Limit); err != nil {
		return shopifysync.ContactIDsResult{}, err
	}
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.ContactIDsResult{}, err
	}
	var result shopifysync.ContactIDsResult
	err := s.retry(ctx, "list contact ids", func() (err error) {
		result.IDs, err = s.queryIDs(ctx,
			"SELECT customer_id FROM {contacts} WHERE connection_id = ? AND customer_id > ? AND removed = '' ORDER BY customer_id LIMIT ?",
			string(p.Connection), int64(p.After), p.Limit)
		return err
	})
	return result, err
}

func (s *Store) queryIDs(ctx context.Context, query string, args ...any) ([]shopifysync.CustomerID, error) {
	rows, err := s.db.QueryContext(ctx, s.text(query), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []shopifysync.CustomerID
	for rows.Next() {
		var id shopifysync.CustomerID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// FindContacts implements [shopifysync.ContactFinder].
func (s *Store) FindContacts(ctx context.Context, p shopifysync.FindContactsParams) (shopifysync.FindContactsResult, error) {
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.FindContactsResult{}, err
	}
	var result shopifysync.FindContactsResult
	err := s.retry(ctx, "find contacts", func() error {
		found, err := s.find(ctx, p)
		result.Contacts = found
		return err
	})
	return result, err
}
