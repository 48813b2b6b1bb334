package shopifysync

import (
	"context"
	"errors"
	"time"

	"github.com/omnichat/shopifysync/internal/shopify"
	"github.com/omnichat/shopifysync/internal/throttle"
)

// A request is what the goroutine that does a job needs to know.
type request struct {
	id      ConnectionID
	kind    workKind
	forced  time.Time
	backlog bool
	fails   int // errors in a row before
}

// A result is what came of a job.
type result struct {
	err     error
	plan    *plan // as of the end; nil: it was not looked at
	skipped bool  // it was not due after all: another process did it
	more    bool  // marks are due; of a count: it differs
}

// do does one job. No panic of the host's code leaves it.
func (sv *server) do(ctx context.Context, q request) (r result) {
	if q.kind == workDrain {
		r.err = sv.s.protect(ctx, "drain", func() (err error) {
			r.more, err = sv.drain(ctx, q)
			return err
		})
		if r.err == nil || errors.Is(r.err, errBacklog) || errors.Is(r.err, ErrSyncInProgress) {
			return r
		}
	} else {
		// Another process may have done it since this one planned it.
		p, err := sv.readPlan(ctx, q.id)
		if err != nil {
			return result{err: err}
		}
		wanted := q.kind == workRun && p.drains && !q.forced.IsZero() && !p.runAt.After(q.forced)
		if !p.due(q.kind, sv.s.millis()) && !wanted {
			return result{plan: &p, skipped: true}
		}
		r.err = sv.s.protect(ctx, workNames[q.kind], func() (err error) {
			r.more, err = sv.chore(ctx, q)
			return err
		})
	}
	if p, err := sv.readPlan(ctx, q.id); err == nil {
		r.plan = &p
	} else if r.err == nil {
		r.err = err
	}
	return r
}

func (sv *server) chore(ctx context.Context, q request) (more bool, err error) {
	s := sv.s
	switch q.kind {
	case workCatchUp:
		marked, err := s.CatchUp(ctx, q.id)
		return marked > 0, err
	case workCheck:
		_, err = s.Check(ctx, q.id)
	case workCount:
		return s.countDiffers(ctx, q.id)
	case workErase:
		err = s.eraseLeft(ctx, q.id)
	case workRun:
		_, err = s.Sync(ctx, SyncParams{Connection: q.id})
	}
	return false, err
}

const errDrainEnd = Reason("the store did not answer in time: its marks are kept, and drained later")

// drain drains a connection's marks for a while. more says that it did not
// come to the end of those that are due.
func (sv *server) drain(ctx context.Context, q request) (more bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drainEnd<<min(q.fails, 2), errDrainEnd)
	defer cancel()
	ctx, a, err := sv.s.open(ctx, q.id)
	if err != nil {
		return false, err
	}
	defer a.leave()
	began := time.Now()
	report, err := sv.s.drain(ctx, a, drainParams{anyBacklog: q.backlog, slice: drainSlice})
	return err == nil && !report.Complete && time.Since(began) >= drainSlice, err
}

// countDiffers compares the number of customers that Shopify counts with those
// that the last complete run saw, and with the live contacts. A number that
// cannot be had counts as different.
func (s *Syncer) countDiffers(ctx context.Context, id ConnectionID) (bool, error) {
	ctx, a, err := s.open(ctx, id)
	if err != nil {
		return false, err
	}
	defer a.leave()
	if err := a.paused(s.now()); err != nil {
		return false, wrapped(err)
	}
	adm, err := s.admin(a.conn, throttle.Run)
	if err != nil {
		return false, err
	}
	adm.shopID = a.state.ShopID
	counted, known, err := adm.recount(ctx)
	s.settleHealth(ctx, a, err)
	if err != nil || !known {
		return err == nil, wrapped(err)
	}
	slack := max(countSlack, counted/1000)
	agrees := func(n int64) bool { return counted-slack <= n && n <= counted+slack }
	if !agrees(a.state.Customers) {
		// Webhooks may have brought what came and went since.
		contacts, err := s.countContacts(ctx, id)
		if err != nil || !agrees(contacts) {
			return err == nil, wrapped(err)
		}
	}
	_, err = s.changeState(ctx, id, func(st *ConnectionState) bool {
		st.CountedAt = s.millis()
		return st.Disconnected == nil
	})
	return false, wrapped(err)
}

// recount asks how many customers the store has; false if the app or the
// version may not ask.
func (a *admin) recount(ctx context.Context) (int64, bool, error) {
	if _, err := a.checkShop(ctx); err != nil {
		return 0, false, err
	}
	n, known, err := a.count(ctx)
	if isKind(err, shopify.InvalidQuery) || errors.Is(err, ErrScopeMissing) || errors.Is(err, ErrProtectedData) {
		return 0, false, nil
	}
	return n, known, err
}

// countContacts counts the live contacts.
func (s *Syncer) countContacts(ctx context.Context, id ConnectionID) (n int64, err error) {
	p := ContactIDsParams{Connection: id, Limit: 5000}
	for {
		page, err := s.contacts.ContactIDs(ctx, p)
		if err != nil {
			return 0, storeError("count contacts", err)
		}
		n += int64(len(page.IDs))
		if len(page.IDs) < p.Limit {
			return n, nil
		}
		last := page.IDs[len(page.IDs)-1]
		if last <= p.After {
			return 0, storeError("count contacts", Reason("the ids do not ascend: see ContactStore.ContactIDs"))
		}
		p.After = last
	}
}
