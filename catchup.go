package shopifysync

import (
	"context"
	"fmt"
	"time"

	"github.com/omnichat/shopifysync/internal/shopify"
	"github.com/omnichat/shopifysync/internal/throttle"
)

const (
	// overlap is how much of the past every catch-up lists once more: Shopify's
	// search index, which filtered lists come from, is behind by minutes.
	overlap = time.Hour

	reasonCatchUp = "catch-up"
)

// CatchUp lists the customers that changed since the last catch-up or run,
// with an overlap of one hour, and marks those that have not been fetched
// since. It returns how many. Nothing of the list itself is stored: its rows
// may come from a stale search index.
//
// It finds profiles and consents that webhooks missed. Tags, orders and
// amounts do not move a customer's updatedAt: a full run finds those.
//
// Errors are those of [Syncer.Drain].
func (s *Syncer) CatchUp(ctx context.Context, id ConnectionID) (marked int, err error) {
	ctx, a, err := s.open(ctx, id)
	if err != nil {
		return 0, err
	}
	defer a.leave()
	return s.catchUp(ctx, a)
}

// catchUp is CatchUp for a call that is let in.
func (s *Syncer) catchUp(ctx context.Context, a *access) (marked int, err error) {
	if err := a.paused(s.now()); err != nil {
		return 0, wrapped(err)
	}
	c := &catchUp{writer: writer{s: s, conn: a.conn}}
	if c.admin, err = s.admin(a.conn, throttle.Run); err != nil {
		return 0, err
	}
	c.admin.shopID = a.state.ShopID
	lease, until, err := s.acquire(ctx, a.conn.ID, LeaseCatchUp, 0)
	if err != nil {
		return 0, wrapped(err)
	}
	inner, stop := s.keepLease(ctx, lease, until)
	err = s.protect(inner, "catch up", func() error { return c.run(inner, a.state.CaughtUpTo) })
	if err != nil && inner.Err() != nil {
		err = contextError(inner)
	}
	stop()
	if err == nil {
		err = ended(ctx, c.noteEnd(ctx))
	}
	s.release(ctx, lease)
	s.settleHealth(ctx, a, err)
	err = wrapped(err)
	if hook := s.hooks.CatchUpEnd; hook != nil {
		hook(ctx, CatchUpEndInfo{Connection: a.conn.ID, Marked: c.marked, Err: err})
	}
	if c.marked > 0 && s.marked != nil {
		s.marked(ctx, a.conn.ID)
	}
	return c.marked, err
}

// A catchUp is one call of CatchUp.
type catchUp struct {
	writer
	admin  *admin
	upTo   time.Time // when the list was begun, by Shopify's clock
	marked int
}

func (c *catchUp) run(ctx context.Context, from time.Time) error {
	if _, err := c.admin.checkShop(ctx); err != nil {
		return err
	}
	c.upTo = c.admin.began
	if from.IsZero() || from.After(c.upTo) {
		from = c.upTo
	}
	from = from.Add(-overlap)
	cursor, visited := "", map[string]bool{"": true}
	listings, first, stalled := 1, maxPage, false
	for {
		page, err := c.admin.changed(ctx, from, first, cursor)
		switch {
		case isKind(err, shopify.MaxCost) && first > 1:
			first = (first + 1) / 2
			continue
		case isKind(err, shopify.InvalidQuery) && cursor != "":
			// A cursor that Shopify no longer takes: the list is begun anew.
			if listings++; listings > maxListings {
				return fmt.Errorf("%w: %w", ErrIncomplete, err)
			}
			cursor, visited, stalled = "", map[string]bool{"": true}, false
			continue
		case err != nil:
			return c.admin.explainDenied(ctx, err)
		}
		ended, err := c.mark(ctx, page.rows)
		if err != nil {
			return err
		}
		if !page.more || ended {
			return nil
		}
		empty := len(page.rows) == 0
		if page.next == "" || visited[page.next] || empty && stalled {
			return fmt.Errorf("%w: Shopify's pages come again and do not end", ErrIncomplete)
		}
		visited[page.next] = true
		cursor, stalled = page.next, empty
	}
}

// mark marks the customers of a page who were not fetched since they changed.
// ended says that the list has come to changes that the next catch-up lists.
func (c *catchUp) mark(ctx context.Context, rows []changedCustomer) (ended bool, err error) {
	ids := make([]CustomerID, len(rows))
	for i, row := range rows {
		ids[i] = row.id
	}
	stored, err := c.stored(ctx, ids)
	if err != nil {
		return false, err
	}
	p := PutMarksParams{Connection: c.conn.ID}
	// The list comes by ascending time of change. Who changes while it is read
	// moves to its end, which a busy store would never let come. One such row
	// proves nothing: the index may still have it in its old place.
	ended = len(rows) > 0
	for _, row := range rows {
		if !row.updatedAt.After(c.upTo.Add(time.Minute)) {
			ended = false
		}
		if old := stored[row.id]; old != nil && old.knows(row.updatedAt) {
			continue
		}
		p.Marks = append(p.Marks, Mark{
			Connection: c.conn.ID, CustomerID: row.id, Reason: reasonCatchUp,
			Floor: row.updatedAt.UTC().Truncate(time.Millisecond), NotBefore: c.s.millis(),
		})
	}
	if len(p.Marks) == 0 {
		return ended, nil
	}
	if _, err := c.s.state.PutMarks(ctx, p); err != nil {
		return ended, storeError("mark changed customers", err)
	}
	c.marked += len(p.Marks)
	return ended, nil
}

// knows reports whether what is stored was certainly observed after every
// change that bears that time, which Shopify tells in whole seconds.
func (c *Contact) knows(changed time.Time) bool {
	return c.Removed == RemovedRedacted || !c.Version.ObservedAt.Before(changed.Truncate(time.Second).Add(time.Second+blur))
}

func (c *catchUp) noteEnd(ctx context.Context) error {
	_, err := c.s.changeState(ctx, c.conn.ID, func(st *ConnectionState) bool {
		if st.Disconnected != nil {
			return false
		}
		if st.ShopID == "" {
			st.ShopID = c.admin.shopID
		}
		if st.CaughtUpTo.Before(c.upTo) {
			st.CaughtUpTo = c.upTo
		}
		st.CaughtUpAt = c.s.millis()
		return true
	})
	return err
}
