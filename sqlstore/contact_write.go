package sqlstore

import (
	"context"

	"github.com/omnichat/shopifysync"
)

var (
	insertContacts  = insertion{table: "{contacts}", columns: contactColumns}
	replaceContacts = insertion{table: "{contacts}", columns: contactColumns, update: replaceAll(contactColumns)}
	// advanceVersions inserts nothing: the rows are locked, so they are there.
	advanceVersions = insertion{
		table:   "{contacts}",
		columns: contactColumns[:4], // key, version, hash
		update:  replaceAll(contactColumns[:4]),
	}
)

// write stores the changes, which ascend by id, in one transaction. When a row
// is no longer what was read, nothing is stored, and the error is errConflict or
// a duplicate: retry then decides again.
//
// New rows come before changed ones, both by ascending id: two batches then
// wait for each other in one direction only.
func (s *Store) write(ctx context.Context, connection shopifysync.ConnectionID, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	var inserts, replaces, advances []any
	var ids []shopifysync.CustomerID // of rows that exist
	var was []head
	for i := range changes {
		c := &changes[i]
		if c.was.found {
			ids = append(ids, c.contact.CustomerID)
			was = append(was, c.was)
		}
		switch {
		case !c.was.found:
			if inserts == nil {
				inserts = make([]any, 0, len(changes)*len(contactColumns))
			}
			inserts = appendCells(inserts, &c.contact, c.hash)
		case c.versionOnly:
			advances = append(advances, int64(c.contact.CustomerID),
				c.contact.Version.UpdatedAt.UnixMilli(), c.contact.Version.ObservedAt.UnixMilli(), c.hash)
		default:
			replaces = appendCells(replaces, &c.contact, c.hash)
		}
	}
	return s.inTransaction(ctx, func(q querier) error {
		if len(inserts) > 0 {
			if err := s.dialect.insert(ctx, q, s, &insertContacts, connection, inserts); err != nil {
				return err
			}
		}
		if len(ids) == 0 {
			return nil
		}
		now, err := s.lockHeads(ctx, q, connection, ids)
		if err != nil {
			return err
		}
		for i := range now {
			if now[i] != was[i] {
				return errConflict
			}
		}
		if len(replaces) > 0 {
			if err := s.dialect.insert(ctx, q, s, &replaceContacts, connection, replaces); err != nil {
				return err
			}
		}
		if len(advances) > 0 {
			if err := s.dialect.insert(ctx, q, s, &advanceVersions, connection, advances); err != nil {
				return err
			}
		}
		return nil
	})
}
