package sqlstore

import (
	"context"
	"slices"

	"github.com/omnichat/shopifysync"
)

// A head is what the rules need of a stored contact unless its content changed.
type head struct {
	found      bool
	id         shopifysync.CustomerID
	updatedAt  int64 // milliseconds since 1970, as observedAt
	observedAt int64
	hash       string
	removed    shopifysync.RemovalReason
	mergedInto shopifysync.CustomerID
}

func (h *head) live() bool { return h.found && h.removed == "" }

func (h *head) version() shopifysync.Version {
	return shopifysync.Version{UpdatedAt: fromMillis(h.updatedAt), ObservedAt: fromMillis(h.observedAt)}
}

// contact is the stored contact as far as the head knows it: all of a
// tombstone, and what a removal asks of a live one.
func (h *head) contact(connection shopifysync.ConnectionID) *shopifysync.Contact {
	if !h.found {
		return nil
	}
	return &shopifysync.Contact{
		Connection: connection, CustomerID: h.id, Version: h.version(),
		Removed: h.removed, MergedInto: h.mergedInto,
	}
}

const selectHeads = "SELECT customer_id, updated_at, observed_at, content_hash, removed, merged_into FROM {contacts} WHERE connection_id = ? AND "

// heads reads the heads of ids, which ascend; those not found are zero.
//
// What a run reads are mostly neighbours, and a range is read twice as fast as
// single keys. Whether they are is not known before, so a range is tried with a
// limit; what lies beyond it is read by keys, and then the next 16 batches are.
func (s *Store) heads(ctx context.Context, q querier, connection shopifysync.ConnectionID, ids []shopifysync.CustomerID) ([]head, error) {
	found := make([]head, len(ids))
	rest := found
	restIDs := ids
	if len(ids) > 1 && s.sparse.Add(-1) < 0 {
		s.sparse.Store(0)
		limit := 2*len(ids) + 16
		n, last, err := s.scanHeads(ctx, q, restIDs, rest,
			s.text(selectHeads+"customer_id BETWEEN ? AND ? ORDER BY customer_id LIMIT ?"),
			[]any{string(connection), int64(ids[0]), int64(ids[len(ids)-1]), int64(limit)})
		if err != nil || n < limit {
			return found, err
		}
		s.sparse.Store(16)
		done, here := slices.BinarySearch(ids, last)
		if here {
			done++
		}
		rest, restIDs = found[done:], ids[done:]
	}
	if len(restIDs) == 0 {
		return found, nil
	}
	query, args := s.dialect.bindIDs(s.text(selectHeads+"{idsin} ORDER BY customer_id"), []any{string(connection)}, restIDs)
	_, _, err := s.scanHeads(ctx, q, restIDs, rest, query, args)
	return found, err
}

// lockHeads reads heads by key, and keeps their rows from being changed until
// the transaction ends. The order of the ids is the order of the locks.
func (s *Store) lockHeads(ctx context.Context, q querier, connection shopifysync.ConnectionID, ids []shopifysync.CustomerID) ([]head, error) {
	found := make([]head, len(ids))
	query, args := s.dialect.bindIDs(
		s.text(selectHeads+"{idsin} ORDER BY customer_id"+s.dialect.lockRows()), []any{string(connection)}, ids)
	_, _, err := s.scanHeads(ctx, q, ids, found, query, args)
	return found, err
}

// scanHeads puts the heads that a query returns by ascending id beside their
// ids, and tells how many there were, and the last one's id.
func (s *Store) scanHeads(ctx context.Context, q querier, ids []shopifysync.CustomerID, into []head, query string, args []any) (n int, last shopifysync.CustomerID, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	at := 0
	var h head
	for rows.Next() {
		if err := rows.Scan(&h.id, &h.updatedAt, &h.observedAt, &h.hash, &h.removed, &h.mergedInto); err != nil {
			return 0, 0, err
		}
		n, last = n+1, h.id
		for at < len(ids) && ids[at] < h.id {
			at++
		}
		if at < len(ids) && ids[at] == h.id {
			into[at] = h
			into[at].found = true
		}
	}
	return n, last, rows.Err()
}

// headOf is the head that a contact's row will have.
func headOf(c *shopifysync.Contact, hash string) head {
	return head{
		found: true, id: c.CustomerID,
		updatedAt: c.Version.UpdatedAt.UnixMilli(), observedAt: c.Version.ObservedAt.UnixMilli(),
		hash: hash, removed: c.Removed, mergedInto: c.MergedInto,
	}
}
