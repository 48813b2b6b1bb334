package shopifysync

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/omnichat/shopifysync/internal/shopify"
	"github.com/omnichat/shopifysync/internal/throttle"
)

const (
	// debounce is how long a new mark waits for more of its kind: Shopify sends
	// several webhooks for one action.
	debounce = 500 * time.Millisecond
	// soonRetries is how many of the retries are for Shopify to show what its
	// webhook said, rather than for a record that fails.
	soonRetries = 3
	// creation is how long after a customer's update Shopify may still answer
	// that it does not know the customer.
	creation = 2 * time.Minute
	// minBacklog is how many marks never make a drain a run.
	minBacklog = 1000
)

// retries are the waits before a mark's next attempts; the last one stays.
var retries = []time.Duration{
	2 * time.Second, 10 * time.Second, time.Minute,
	10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour,
}

const (
	topicDelete   = "customers/delete"
	reasonRefused = "Shopify did not show the customer"
)

// saysGone reports whether Shopify itself said that the customer is gone.
func (m Mark) saysGone() bool { return m.MergedInto != 0 || m.Reason == topicDelete }

// Drain fetches the customers whose marks are due, stores them, removes those
// that Shopify confirms to be gone, and clears the marks. It goes on until no
// mark is due. If more are due than a minute of Shopify's budget is enough for,
// a full run comes first, whose report it returns.
//
// The report's Seen counts customers as often as they were fetched. Failed
// ones, and those whom Shopify does not show as new as their webhook said, keep
// their marks and are tried again after 2, 10 and 60 seconds and then ever more
// rarely, at last once a day; see [Syncer.Status].
//
// Errors are those of [Syncer.Sync], and [ErrUninstalled]; while Shopify refuses
// the connection it is asked once an hour, and every other call returns the
// same error at once. Another drain of the connection gives
// [ErrSyncInProgress].
func (s *Syncer) Drain(ctx context.Context, id ConnectionID) (*Report, error) {
	ctx, a, err := s.open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer a.leave()
	report, err := s.drain(ctx, a, drainParams{})
	if !errors.Is(err, errBacklog) {
		return report, err
	}
	full, err := s.sync(ctx, a, SyncParams{Connection: id})
	switch {
	case err == nil, errors.Is(err, ErrIncomplete), errors.Is(err, ErrMassRemoval):
		// What the run could not answer must not wait for its cause to go away.
		if _, restErr := s.drain(ctx, a, drainParams{anyBacklog: true}); err == nil {
			err = restErr
		}
		return full, err
	case errors.Is(err, ErrSyncInProgress): // it may have begun before these marks
		return s.drain(ctx, a, drainParams{anyBacklog: true, before: report})
	}
	return full, err
}

// drainParams are what the callers of a drain differ in.
type drainParams struct {
	anyBacklog bool // drain it, however long that takes
	failedOnly bool // only marks that failed before, due or not
	// slice is for who comes again: go through the marks once, and stop after
	// so long. 0: go on until none is due.
	slice  time.Duration
	wait   time.Duration // for another drain to end
	before *Report       // of the drain that this one goes on with
}

// errBacklog: there is more to fetch than a full run would cost.
var errBacklog = errors.New("there are so many marks that a full run is cheaper")

// drain is Drain for a call that is let in. It returns [errBacklog] instead of
// draining a long backlog.
func (s *Syncer) drain(ctx context.Context, a *access, p drainParams) (*Report, error) {
	if err := a.paused(s.now()); err != nil && !p.failedOnly { // for those somebody waits
		return nil, wrapped(err)
	}
	d := &drain{writer: writer{s: s, conn: a.conn, touch: true}, params: p, began: time.Now()}
	d.lookups = &s.sharedOf(a.conn.ID).lookups
	d.report = Report{Connection: a.conn.ID, StartedAt: s.millis()}
	if p.before != nil {
		d.report = *p.before
	}
	if due, err := d.due(ctx, 0, 1); err != nil || len(due.Marks) == 0 {
		d.report.Complete = err == nil
		return d.end(), wrapped(ended(ctx, err))
	}
	var err error
	if d.admin, err = s.admin(a.conn, throttle.Lookup); err != nil {
		return nil, err
	}
	d.admin.shopID = a.state.ShopID
	lease, until, err := s.acquire(ctx, a.conn.ID, LeaseDrain, p.wait)
	if err != nil {
		return nil, wrapped(err)
	}
	inner, stop := s.keepLease(ctx, lease, until)
	err = s.protect(inner, "drain", func() error { return d.run(inner) })
	if err != nil && inner.Err() != nil {
		err = contextError(inner)
	}
	stop()
	s.release(ctx, lease)
	if d.asked {
		s.settleHealth(ctx, a, err)
	}
	report := d.end()
	if hook := s.hooks.DrainEnd; hook != nil && !errors.Is(err, errBacklog) {
		hook(ctx, DrainEndInfo{Connection: a.conn.ID, Report: *report, Err: wrapped(err)})
	}
	return report, wrapped(err)
}

// A drain is one call of Drain.
type drain struct {
	writer
	admin   *admin
	params  drainParams
	report  Report
	began   time.Time
	lookups *lookupSize
	asked   bool // Shopify answered, or refused to
}

func (d *drain) end() *Report {
	d.report.EndedAt = d.s.millis()
	if d.admin != nil {
		d.report.ServedVersion = d.admin.served
	}
	return &d.report
}

// due returns marks that are due, after the customer given.
func (d *drain) due(ctx context.Context, after CustomerID, limit int) (MarksResult, error) {
	p := MarksParams{Connection: d.conn.ID, DueBy: d.s.millis(), After: after, Limit: limit}
	if d.params.failedOnly {
		p.DueBy = time.Time{}
	}
	page, err := d.s.state.Marks(ctx, p)
	if err != nil {
		return page, storeError("read the marks", err)
	}
	return page, nil
}

// run goes through the due marks until none is left, each pass in the order
// of the customers' ids.
func (d *drain) run(ctx context.Context) error {
	if err := d.confirmShop(ctx); err != nil {
		return err
	}
	for {
		handled, err := d.pass(ctx)
		if err != nil || handled == 0 || d.params.failedOnly || d.params.slice > 0 {
			d.report.Complete = err == nil && !d.over()
			return err
		}
		// A customer that changes all the time must not be fetched all the time.
		if err := sleep(ctx, debounce); err != nil {
			return err
		}
	}
}

func (d *drain) confirmShop(ctx context.Context) error {
	d.asked = d.asked || !d.admin.confirmed()
	return d.admin.confirmShop(ctx)
}

func (d *drain) over() bool {
	return d.params.slice > 0 && time.Since(d.began) >= d.params.slice
}

// pass goes through the due marks once.
func (d *drain) pass(ctx context.Context) (handled int, err error) {
	var after CustomerID
	for !d.over() {
		size, cost := d.lookups.get()
		page, err := d.due(ctx, after, size)
		if err != nil {
			return handled, err
		}
		if len(page.Marks) == 0 {
			break
		}
		if budget := d.minuteOfBudget(size, cost); len(page.Marks) == size && page.Open > budget {
			if long, err := d.moreDueThan(ctx, budget); long || err != nil {
				return handled, cmp.Or(err, errBacklog)
			}
		}
		marks := page.Marks
		if d.params.failedOnly {
			marks = onlyFailed(marks)
		}
		if len(marks) > 0 {
			err := d.answer(ctx, marks)
			if isKind(err, shopify.MaxCost) && d.lookups.tooMany(len(marks)) {
				continue
			}
			if err != nil {
				return handled, err
			}
			d.lookups.answered(len(marks), d.admin.cost)
		}
		handled += len(marks)
		after = page.Marks[len(page.Marks)-1].CustomerID
	}
	return handled, nil
}

// minuteOfBudget is how many marks a minute's points are enough for.
func (d *drain) minuteOfBudget(size int, cost float64) int64 {
	if d.params.anyBacklog || d.params.failedOnly || cost <= 0 { // not known before the first answer
		return math.MaxInt64
	}
	requests := d.s.sharedOf(d.conn.ID).bucket.RestoreRate() * 60 / cost
	return max(minBacklog, int64(requests)*int64(size))
}

// moreDueThan reports whether more marks than that are due. Those put off after
// a failure are open, too, but cost nothing now.
func (d *drain) moreDueThan(ctx context.Context, most int64) (bool, error) {
	var after CustomerID
	for n := int64(0); n <= most; {
		page, err := d.due(ctx, after, maxIDs)
		if err != nil || len(page.Marks) == 0 {
			return false, err
		}
		n += int64(len(page.Marks))
		after = page.Marks[len(page.Marks)-1].CustomerID
	}
	return true, nil
}

func onlyFailed(marks []Mark) []Mark {
	var failed []Mark
	for _, m := range marks {
		if m.Attempts > 0 {
			failed = append(failed, m)
		}
	}
	return failed
}

// answer fetches the customers of some marks, stores or removes them, and
// clears the marks or puts them off.
func (d *drain) answer(ctx context.Context, marks []Mark) error {
	d.asked = true
	fates, t, err := d.fetchMarked(ctx, d.admin, marks)
	if err != nil {
		return err
	}
	r := &d.report
	r.Seen += t.seen
	r.Created += t.created
	r.Updated += t.updated
	r.Unchanged += t.unchanged
	r.Stale += t.stale
	r.Skipped = addReasons(r.Skipped, t.skipped)
	r.Removed = addCounts(r.Removed, t.removed)
	r.WhatsApp = addCounts(r.WhatsApp, t.whatsApp)
	r.WhatsAppUnusable = addUnusable(r.WhatsAppUnusable, t.unusable)
	r.Masked |= t.masked
	r.Failed += int64(len(t.failures))
	for _, f := range t.failures {
		if len(r.Failures) < MaxFailures {
			r.Failures = append(r.Failures, f)
		}
	}
	r.Postponed += int64(fates.early)
	return nil
}

// fates tell what became of marks.
type fates struct {
	cleared map[CustomerID]bool
	early   int // Shopify did not show yet what the webhook said
	failed  int
}

// fetchMarked fetches the customers of marks, at most maxPage, stores or
// removes them, and clears the marks or puts them off. The marks must have been
// read before. Within a process one call at a time does so for a connection,
// among processes the one that holds the lease: of two looks at a customer the
// later one must bear the later date.
func (w *writer) fetchMarked(ctx context.Context, adm *admin, marks []Mark) (fates, tally, error) {
	f := fates{cleared: make(map[CustomerID]bool, len(marks))}
	var t tally
	ids := make([]CustomerID, len(marks))
	w.marks = make(map[CustomerID]Mark, len(marks))
	for i, m := range marks {
		ids[i], w.marks[m.CustomerID] = m.CustomerID, m
	}
	answering := &w.s.sharedOf(w.conn.ID).answering
	if err := answering.begin(ctx); err != nil {
		return f, t, err
	}
	defer answering.end()
	found, gone, at, err := adm.byID(ctx, ids)
	if err != nil {
		return f, t, err
	}
	if len(found)+len(gone) == 0 { // is that about these customers, or about all?
		if _, err := adm.page(ctx, 1, ""); err != nil {
			return f, t, adm.explainDenied(ctx, err)
		}
	}
	at = answering.date(at, adm.elapsed)
	for i := range found {
		found[i].version.ObservedAt = at
	}
	t.seen = int64(len(found))
	if err := w.write(ctx, found, false, &t); err != nil {
		return f, t, err
	}
	late := make(map[CustomerID]string, len(marks)) // why each mark stays
	for _, m := range marks {
		late[m.CustomerID] = reasonRefused
		if m.saysGone() {
			late[m.CustomerID] = m.Reason
		}
	}
	for _, o := range found {
		late[o.customer.ID] = w.marks[o.customer.ID].Reason
	}
	for _, id := range gone {
		late[id] = w.marks[id].Reason
	}
	var settled []Mark
	settle := func(m Mark) {
		settled = append(settled, m)
		delete(late, m.CustomerID)
	}
	for _, m := range t.settled {
		settle(m)
	}
	confirmed := slices.DeleteFunc(gone, func(id CustomerID) bool {
		m := w.marks[id]
		return m.mayAppear(at)
	})
	if len(confirmed) > 0 {
		removed, stale, err := w.removeGone(ctx, confirmed, at)
		if err != nil {
			return f, t, err
		}
		t.removed = addCounts(t.removed, removed)
		for _, id := range confirmed {
			if !stale[id] {
				settle(w.marks[id])
			}
		}
	}
	for _, failure := range t.failures {
		late[failure.CustomerID] = failure.Reason
		f.failed++
	}
	if err := w.clearMarks(ctx, settled); err != nil {
		return f, t, err
	}
	for _, m := range settled {
		f.cleared[m.CustomerID] = true
	}
	f.early = len(late) - f.failed
	return f, t, w.postpone(ctx, marks, late)
}

// mayAppear reports whether a customer whom Shopify, at that time, does not
// know may be one that it does not know yet: just created, or not said to be
// gone and looked for only once.
func (m Mark) mayAppear(at time.Time) bool {
	switch {
	case m.saysGone():
		return false
	case m.Attempts == 0:
		return true
	}
	return m.Attempts < soonRetries && at.Sub(m.Floor) < creation
}

// postpone puts off the marks that stay, each for its own reason.
func (w *writer) postpone(ctx context.Context, marks []Mark, late map[CustomerID]string) error {
	var put []Mark
	now := w.s.millis()
	for _, m := range marks {
		reason, stays := late[m.CustomerID]
		if !stays {
			continue
		}
		m.NotBefore = now.Add(retries[min(m.Attempts, len(retries)-1)])
		m.Attempts++
		m.Reason = reason
		put = append(put, m)
	}
	if len(put) == 0 {
		return nil
	}
	if _, err := w.s.state.PostponeMarks(ctx, PostponeMarksParams{Connection: w.conn.ID, Marks: put}); err != nil {
		return storeError("put marks off", err)
	}
	return nil
}

// settleHealth remembers what a call's outcome says of the connection, if that
// is news.
func (s *Syncer) settleHealth(ctx context.Context, a *access, outcome error) {
	if outcome != nil || a.state.Pause != nil || !a.state.RedactAsked.IsZero() {
		s.noteHealth(ctx, a.conn.ID, outcome)
	}
}
