package shopifysync

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/omnichat/shopifysync/internal/shopify"
)

const (
	// alwaysRemovable and defaultRemovedShare are the mass-removal breaker's limits.
	alwaysRemovable     = 50
	defaultRemovedShare = 0.2
	// countSlack is how far, in customers, Shopify's count may be off without
	// saying anything; beyond it, a thousandth.
	countSlack = 5
	// youth is how old a customer must be to have been listed for certain: new
	// ones reach Shopify's lists with a delay.
	youth = time.Hour
	// firstLookup is how many ids are looked up at once to begin with.
	firstLookup = 50
)

// A lookup is a batch of ids that Shopify confirmed to be gone.
type lookup struct {
	gone []CustomerID
	at   time.Time
}

// prove checks that the run saw every customer, as far as Shopify lets it be
// checked, and returns the contacts that Shopify confirms to be gone.
func (r *run) prove(ctx context.Context) ([]lookup, error) {
	r.pipe.snapshot()
	if !r.resumed && r.record.Report.Seen < int64(r.seen.Len()) {
		return nil, fmt.Errorf("%w: %d customers were read and %d handed on", ErrIncomplete, r.seen.Len(), r.record.Report.Seen)
	}
	if err := r.proveCount(ctx); err != nil {
		return nil, err
	}
	unseen, contacts, err := r.unseen(ctx)
	if err != nil {
		return nil, err
	}
	share := r.params.MaxRemovedShare
	if share == 0 {
		share = defaultRemovedShare
	}
	limit := max(alwaysRemovable, int(share*float64(contacts)))
	var confirmed []lookup
	var gone, missed int
	candidates := len(unseen)
	lookups := &r.s.sharedOf(r.conn.ID).lookups
	for len(unseen) > 0 {
		size, _ := lookups.get()
		ids := unseen[:min(size, len(unseen))]
		found, lost, at, err := r.admin.byID(ctx, ids)
		if isKind(err, shopify.MaxCost) && lookups.tooMany(len(ids)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lookups.answered(len(ids), r.admin.cost)
		unseen = unseen[len(ids):]
		if gone += len(lost); gone > limit {
			e := &MassRemovalError{Confirmed: int64(gone), Unseen: int64(candidates), Contacts: int64(contacts)}
			r.record.Report.MassRemoval = e
			return nil, e
		}
		if len(lost) > 0 {
			confirmed = append(confirmed, lookup{gone: lost, at: at})
		}
		missed += r.missed(found)
		if err := r.takeFound(found); err != nil {
			return nil, err
		}
	}
	if err := r.pipe.flush(); err != nil {
		return nil, err
	}
	if missed > 0 {
		return nil, fmt.Errorf("%w: %d customers that exist were not in what Shopify listed", ErrIncomplete, missed)
	}
	return confirmed, nil
}

// proveCount compares what was seen with Shopify's own count, where that is
// served, allowing for what changed meanwhile.
func (r *run) proveCount(ctx context.Context) error {
	now, ok, err := r.customersCount(ctx)
	if err != nil || !ok {
		return err
	}
	before := now
	if r.at.Total > 0 {
		before = r.at.Total
	}
	slack := max(countSlack, now/1000)
	seen := int64(r.seen.Len())
	if seen < min(now, before)-slack || seen > max(now, before)+slack {
		return fmt.Errorf("%w: it saw %d, Shopify counts %d", ErrIncomplete, seen, now)
	}
	return nil
}

// unseen returns the live contacts that the run did not see, and how many live
// contacts there are.
func (r *run) unseen(ctx context.Context) (ids []CustomerID, contacts int, err error) {
	const limit = 5000
	var after CustomerID
	for {
		page, err := r.s.contacts.ContactIDs(ctx, ContactIDsParams{Connection: r.conn.ID, After: after, Limit: limit})
		if err != nil {
			return nil, 0, storeError("list contacts", err)
		}
		for _, id := range page.IDs {
			if id <= after {
				return nil, 0, storeError("list contacts", Reason("the ids do not ascend: see ContactStore.ContactIDs"))
			}
			after = id
			if !r.seen.Has(int64(id)) {
				ids = append(ids, id)
			}
		}
		contacts += len(page.IDs)
		if len(page.IDs) < limit {
			return ids, contacts, nil
		}
	}
}

// missed counts the customers that are too old not to have been listed. Where
// the creation is not shown the last change tells: it came later.
func (r *run) missed(found []observed) int {
	n := 0
	for _, o := range found {
		at := o.customer.CreatedAt
		if at.IsZero() {
			at = o.version.UpdatedAt
		}
		if !at.IsZero() && at.Before(r.record.StartedAt.Add(-youth)) {
			n++
		}
	}
	return n
}

// takeFound stores customers that turned up in the sweep's lookups: created
// since the list was read, as a rule.
func (r *run) takeFound(found []observed) error {
	if err := r.decide(found); err != nil {
		return err
	}
	var b batch
	for _, o := range found {
		if r.count(o.customer.ID) {
			b.records = append(b.records, o)
		}
	}
	return r.pipe.submit(b)
}

// sweep removes what is gone.
func (r *run) sweep(ctx context.Context, confirmed []lookup) error {
	for _, l := range confirmed {
		if r.dryRun {
			r.addRemoved(countRemoved(RemovedDeleted, int64(len(l.gone))))
			continue
		}
		removed, stale, err := r.removeGone(ctx, l.gone, l.at)
		if err != nil {
			return err
		}
		r.addRemoved(removed)
		var settled []Mark
		for _, id := range l.gone {
			if m, marked := r.marks[id]; marked && !stale[id] {
				settled = append(settled, m)
			}
		}
		if err := r.clearMarks(ctx, settled); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) addRemoved(n map[RemovalReason]int64) {
	r.record.Report.Removed = addCounts(r.record.Report.Removed, n)
}

// removeGone removes the contacts of customers whom Shopify, at that time,
// confirmed to be gone: merged ones if their marks say so, else deleted. Who is
// gone already costs no write, nor does who was never here, unless Shopify said
// of itself that the customer was deleted: an export begun before may still
// hold that one.
//
// stale are those who stay, because they were observed later.
func (w *writer) removeGone(ctx context.Context, gone []CustomerID, at time.Time) (removed map[RemovalReason]int64, stale map[CustomerID]bool, err error) {
	at = at.UTC().Truncate(time.Millisecond)
	stored, err := w.stored(ctx, gone)
	if err != nil {
		return nil, nil, err
	}
	deleted := RemoveContactsParams{Connection: w.conn.ID, Reason: RemovedDeleted, ObservedAt: at}
	merged := RemoveContactsParams{Connection: w.conn.ID, Reason: RemovedMerged, ObservedAt: at}
	for _, id := range gone {
		m := w.marks[id]
		if old := stored[id]; old == nil && !m.saysGone() {
			continue
		}
		if m.MergedInto == 0 && removable(stored[id], RemovedDeleted) {
			deleted.Removals = append(deleted.Removals, Removal{CustomerID: id})
		} else if m.MergedInto != 0 && removable(stored[id], RemovedMerged) {
			merged.Removals = append(merged.Removals, Removal{CustomerID: id, MergedInto: m.MergedInto})
		}
	}
	stale = make(map[CustomerID]bool)
	for _, p := range []RemoveContactsParams{deleted, merged} {
		n, stay, err := w.removeContacts(ctx, p)
		if err != nil {
			return removed, stale, err
		}
		removed = addCounts(removed, n)
		maps.Copy(stale, stay)
	}
	return removed, stale, nil
}
