package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A batch is some customers as they were read, each not counted before.
type batch struct {
	records   []observed
	offset    int64 // of a bulk file: every line below it is in this batch or an earlier one
	high, low CustomerID
	// covered: the pages of the process before this one went over these ids, so
	// they are counted already; only one that proves to be new is not.
	covered bool
	seq     int
}

// A tally is what became of a batch.
type tally struct {
	seen, created, updated, unchanged, stale int64
	skipped                                  map[string]int64
	removed                                  map[RemovalReason]int64
	failures                                 []Failure
	mended                                   []CustomerID
	masked                                   FieldSet
	offset                                   int64
	high, low                                CustomerID
}

// A pipeline maps and writes batches on several goroutines, and folds their
// tallies into the run in the order in which the batches were read, so that a
// checkpoint never covers a batch that is not committed.
type pipeline struct {
	r      *run
	ctx    context.Context
	cancel context.CancelCauseFunc
	work   chan batch
	done   sync.WaitGroup // writers
	open   sync.WaitGroup // batches
	next   int            // seq of the next batch to submit

	mu      sync.Mutex
	waiting map[int]tally
	folded  int // seq of the next batch to fold
	total   tally
	mended  []CustomerID
}

func (r *run) newPipeline(ctx context.Context, cancel context.CancelCauseFunc) *pipeline {
	p := &pipeline{r: r, ctx: ctx, cancel: cancel, work: make(chan batch), waiting: make(map[int]tally)}
	for range r.s.writers {
		p.done.Go(p.write)
	}
	return p
}

// submit hands a batch to the writers; it waits while all are busy.
func (p *pipeline) submit(b batch) error {
	b.seq = p.next
	p.next++
	p.open.Add(1)
	select {
	case p.work <- b:
		return nil
	case <-p.ctx.Done():
		p.open.Done()
		return context.Cause(p.ctx)
	}
}

// flush waits until every batch is written.
func (p *pipeline) flush() error {
	p.open.Wait()
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	return nil
}

// close ends the writers.
func (p *pipeline) close() {
	p.cancel(nil)
	close(p.work)
	p.done.Wait()
}

func (p *pipeline) write() {
	for b := range p.work {
		if p.ctx.Err() == nil {
			err := p.r.s.protect(p.ctx, "write contacts", func() error {
				t, err := p.r.writeBatch(p.ctx, b)
				if err == nil {
					p.fold(b.seq, t)
				}
				return err
			})
			if err != nil {
				p.cancel(err)
			}
		}
		p.open.Done()
	}
}

// fold adds a tally once those of all earlier batches are in.
func (p *pipeline) fold(seq int, t tally) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[seq] = t
	for {
		t, ok := p.waiting[p.folded]
		if !ok {
			break
		}
		delete(p.waiting, p.folded)
		p.folded++
		p.total.add(t)
	}
	p.r.meter.done(p.r.record.Report.Seen + p.total.seen)
}

func (t *tally) add(o tally) {
	t.seen += o.seen
	t.created += o.created
	t.updated += o.updated
	t.unchanged += o.unchanged
	t.stale += o.stale
	t.skipped = addReasons(t.skipped, o.skipped)
	t.removed = addCounts(t.removed, o.removed)
	t.failures = append(t.failures, o.failures...)
	t.mended = append(t.mended, o.mended...)
	t.masked |= o.masked
	t.offset = max(t.offset, o.offset)
	t.high = max(t.high, o.high)
	if o.low != 0 && (t.low == 0 || o.low < t.low) {
		t.low = o.low
	}
}

// snapshot moves what is folded so far into the run's record and checkpoint.
func (p *pipeline) snapshot() {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.total
	report, at := &p.r.record.Report, &p.r.at
	report.Seen += t.seen
	report.Created += t.created
	report.Updated += t.updated
	report.Unchanged += t.unchanged
	report.Stale += t.stale
	report.Failed += int64(len(t.failures))
	for _, f := range t.failures {
		if len(report.Failures) < MaxFailures {
			report.Failures = append(report.Failures, f)
		}
	}
	report.Skipped = addReasons(report.Skipped, t.skipped)
	report.Removed = addCounts(report.Removed, t.removed)
	report.Masked |= t.masked
	p.mended = append(p.mended, t.mended...)
	at.Offset = max(at.Offset, t.offset)
	at.High = max(at.High, t.high)
	if t.low != 0 && (at.Low == 0 || t.low < at.Low) {
		at.Low = t.low
	}
	p.total = tally{}
}

// addCounts returns a new map: reports that were handed out must not change.
func addCounts[K comparable](to, from map[K]int64) map[K]int64 {
	if len(from) == 0 {
		return to
	}
	out := make(map[K]int64, len(to)+len(from))
	for k, n := range to {
		out[k] = n
	}
	for k, n := range from {
		out[k] += n
	}
	return out
}

// maxSkipReasons keeps a mapper that writes data into its reasons from filling
// the report; those beyond it are counted as "other".
const maxSkipReasons = 50

func addReasons(to, from map[string]int64) map[string]int64 {
	out := addCounts(nil, to)
	for reason, n := range from {
		if _, known := out[reason]; !known && len(out) >= maxSkipReasons {
			reason = "other"
		}
		if out == nil {
			out = make(map[string]int64)
		}
		out[reason] += n
	}
	return out
}

// writeBatch maps the customers of a batch and stores them.
func (r *run) writeBatch(ctx context.Context, b batch) (tally, error) {
	t := tally{seen: int64(len(b.records)), offset: b.offset, high: b.high, low: b.low}
	w := written{tally: &t}
	if b.covered {
		w.counted = r.failed
	}
	contacts := make([]Contact, 0, len(b.records))
	for _, o := range b.records {
		t.masked |= o.customer.Masked &^ r.s.without
		contact, reason, err := r.s.toContact(r.conn, o)
		switch {
		case err != nil:
			w.fail(o.customer.ID, err.Error())
		case reason != "":
			w.skip(o, reason)
		default:
			contacts = append(contacts, contact)
		}
	}
	var err error
	if r.params.DryRun {
		err = r.predict(ctx, contacts, &w)
	} else {
		err = r.store(ctx, contacts, &w)
	}
	if b.covered {
		t = tally{seen: t.created, created: t.created, removed: t.removed, mended: t.mended, masked: t.masked}
	}
	return t, err
}

// written collects what is to be done for a batch beside its upsert.
type written struct {
	*tally
	leave  []observed // skipped by the mapper
	redact []observed // a consent state says REDACTED
	// counted are records that failed before; in a covered batch the process
	// before this one has counted them as such.
	counted map[CustomerID]Mark
}

func (w *written) fail(id CustomerID, reason string) {
	w.failures = append(w.failures, Failure{CustomerID: id, Reason: clip(reason)})
}

const reasonRedacted = "redacted"

func (w *written) skip(o observed, reason string) {
	if w.skipped == nil {
		w.skipped = make(map[string]int64)
	}
	w.skipped[reason]++
	if reason == reasonRedacted {
		w.redact = append(w.redact, o)
	} else {
		w.leave = append(w.leave, o)
	}
}

// outcome counts what became of a contact, and reports whether it is stored.
func (w *written) outcome(id CustomerID, o Outcome, reason string) bool {
	switch o {
	case Created:
		if _, counted := w.counted[id]; !counted {
			w.created++
		}
	case Updated:
		w.updated++
	case Unchanged:
		w.unchanged++
	case Stale:
		w.stale++
	default:
		w.fail(id, "refused by the contact store: "+reason)
		return false
	}
	return true
}

// clip keeps a reason within what a mark may hold, and every database.
func clip(s string) string {
	const most = 255
	s = strings.ReplaceAll(s[:min(len(s), most)], "\x00", "")
	return strings.ToValidUTF8(s, "")
}

// toContact maps one customer and sets what is the Syncer's to set. A reason
// says why the customer is left out.
func (s *Syncer) toContact(conn Connection, o observed) (c Contact, reason string, err error) {
	if o.err != nil {
		return c, "", o.err
	}
	if consentRedacted(o.customer.EmailConsent) || consentRedacted(o.customer.SMSConsent) {
		return c, reasonRedacted, nil
	}
	c, reason, err = s.callMapper(conn, o.customer)
	if reason != "" || err != nil {
		return c, reason, err
	}
	c.Connection, c.CustomerID = conn.ID, o.customer.ID
	c.Version = Version{
		UpdatedAt:  o.version.UpdatedAt.UTC().Truncate(time.Millisecond),
		ObservedAt: o.version.ObservedAt.UTC().Truncate(time.Millisecond),
	}
	c.Masked = (c.Masked | o.customer.Masked) & allFields
	c.Removed, c.MergedInto = "", 0
	if !slices.IsSorted(c.Tags) || len(slices.Compact(slices.Clone(c.Tags))) != len(c.Tags) {
		c.Tags = sortedTags(c.Tags)
	}
	if c.Attributes, err = sortedAttributes(c.Attributes); err != nil {
		return c, "", fmt.Errorf("mapper: %w", err)
	}
	return c, "", nil
}

// sortedAttributes sorts attributes by key and refuses what no store could
// keep. Keys come from the mapper's code and are not personal; values are. The
// mapper's own slice stays as it is: it may belong to many customers.
func sortedAttributes(attrs []Attribute) ([]Attribute, error) {
	byKey := func(a, b Attribute) int { return strings.Compare(string(a.Key), string(b.Key)) }
	if !slices.IsSortedFunc(attrs, byKey) {
		attrs = slices.SortedFunc(slices.Values(attrs), byKey)
	}
	for i, a := range attrs {
		switch {
		case a.Key == "":
			return nil, errors.New("an attribute has no key")
		case i > 0 && a.Key == attrs[i-1].Key:
			return nil, fmt.Errorf("attribute %q is listed twice", a.Key)
		}
		switch a.Kind {
		case KindNull, KindText, KindConsent:
		case KindNumber, KindMoney:
			if a.Number == "" || !decimalOrEmpty(a.Number) {
				return nil, fmt.Errorf("attribute %q is not a decimal number", a.Key)
			}
		default:
			return nil, fmt.Errorf("attribute %q has no such kind as %q", a.Key, a.Kind)
		}
	}
	return attrs, nil
}

// callMapper calls the host's mapper and phone normalizer. A panic becomes a
// failed record: one customer must not end the host's process. Neither its
// value nor the text of an error is repeated, for both may be personal.
func (s *Syncer) callMapper(conn Connection, customer Customer) (c Contact, skip string, err error) {
	defer func() {
		if recover() != nil {
			skip, err = "", &hostError{doing: "mapper", err: errPanicked}
		}
	}()
	c, err = s.mapper(conn.ID, customer)
	switch {
	case errors.Is(err, ErrSkip):
		return c, skipReason(err), nil
	case err != nil:
		return c, "", Reason((&hostError{doing: "mapper", err: err}).Error())
	}
	c.WhatsApp = whatsAppContact(conn.WhatsApp, customer, c.Name, s.mapping.Phone)
	return c, "", nil
}

// skipReason is what a mapper wrapped [ErrSkip] in.
func skipReason(err error) string {
	reason := clip(strings.TrimSuffix(strings.TrimSuffix(err.Error(), ErrSkip.Error()), ": "))
	if reason == "" || reason == reasonRedacted {
		return "left out"
	}
	return reason
}

func consentRedacted(c *Consent) bool { return c != nil && c.State == ConsentRedacted }

// store writes a batch.
func (r *run) store(ctx context.Context, contacts []Contact, w *written) error {
	if err := r.upsert(ctx, contacts, w); err != nil {
		return err
	}
	if err := r.remove(ctx, w.leave, RemovedSkipped, w); err != nil {
		return err
	}
	if err := r.remove(ctx, w.redact, RemovedRedacted, w); err != nil {
		return err
	}
	return r.markFailures(ctx, w.failures)
}

// maxPoison is how many records in a row may be refused by errors before the
// store itself counts as out of order.
const maxPoison = 10

// upsert stores contacts. A store that fails the whole batch gets its contacts
// one by one, so that a single bad one becomes a failed record and no more.
func (r *run) upsert(ctx context.Context, contacts []Contact, w *written) error {
	if len(contacts) == 0 {
		return nil
	}
	err := r.upsertBatch(ctx, contacts, w)
	if err == nil || ctx.Err() != nil || len(contacts) == 1 {
		return err
	}
	r.s.logger.WarnContext(ctx, "a batch was not stored; trying its contacts one by one", "connection", string(r.conn.ID), "contacts", len(contacts), "error", err)
	var poisoned []CustomerID
	stored := false
	for i := range contacts {
		one := r.upsertBatch(ctx, contacts[i:i+1], w)
		switch {
		case one == nil:
			stored = true
		case ctx.Err() != nil:
			return one
		default:
			if poisoned = append(poisoned, contacts[i].CustomerID); len(poisoned) >= maxPoison && !stored {
				return err
			}
		}
	}
	if !stored {
		return err
	}
	for _, id := range poisoned {
		w.fail(id, "the contact store failed on this record: see its log")
	}
	return nil
}

func (r *run) upsertBatch(ctx context.Context, contacts []Contact, w *written) error {
	got, err := r.s.contacts.UpsertContacts(ctx, UpsertContactsParams{Connection: r.conn.ID, Contacts: contacts})
	if err != nil {
		return storeError("store contacts", err)
	}
	if len(got.Results) != len(contacts) {
		return storeError("store contacts", Reason("it returned another number of results than contacts: see ContactStore.UpsertContacts"))
	}
	for i, result := range got.Results {
		id := contacts[i].CustomerID
		stored := w.outcome(id, result.Outcome, result.Reason)
		if _, ok := r.failed[id]; ok && stored {
			w.mended = append(w.mended, id)
		}
	}
	return nil
}

// remove makes tombstones.
func (r *run) remove(ctx context.Context, records []observed, reason RemovalReason, w *written) error {
	if len(records) == 0 {
		return nil
	}
	ids := make([]CustomerID, len(records))
	for i, o := range records {
		ids[i] = o.customer.ID
	}
	stored, err := r.stored(ctx, ids)
	if err != nil {
		return err
	}
	p := RemoveContactsParams{Connection: r.conn.ID, Reason: reason, ObservedAt: records[0].version.ObservedAt.UTC().Truncate(time.Millisecond)}
	for _, id := range ids {
		if removable(stored[id], reason) {
			p.Removals = append(p.Removals, Removal{CustomerID: id})
		}
	}
	if len(p.Removals) == 0 {
		return nil
	}
	got, err := r.s.contacts.RemoveContacts(ctx, p)
	if err != nil {
		return storeError("remove contacts", err)
	}
	w.removed = addCounts(w.removed, countRemoved(reason, got.Removed))
	return nil
}

// removable reports whether a removal would change anything: to remove once
// more who is gone already would cost a write in every run.
func removable(stored *Contact, reason RemovalReason) bool {
	if reason == RemovedSkipped {
		return stored != nil && stored.Removed == ""
	}
	return stored == nil || stored.Removed != reason
}

func countRemoved(reason RemovalReason, n int64) map[RemovalReason]int64 {
	if n == 0 {
		return nil
	}
	return map[RemovalReason]int64{reason: n}
}

// markFailures makes each failed record a mark, to be fetched anew.
func (r *run) markFailures(ctx context.Context, failures []Failure) error {
	var marks []Mark
	for _, f := range failures {
		if f.CustomerID != 0 {
			marks = append(marks, Mark{
				Connection: r.conn.ID, CustomerID: f.CustomerID, Reason: f.Reason, Attempts: r.failed[f.CustomerID].Attempts + 1,
				NotBefore: r.s.now().UTC().Truncate(time.Millisecond),
			})
		}
	}
	if len(marks) == 0 {
		return nil
	}
	if _, err := r.s.state.PutMarks(ctx, PutMarksParams{Connection: r.conn.ID, Marks: marks}); err != nil {
		return storeError("mark failed records", err)
	}
	return nil
}

// predict tells what store would do.
func (r *run) predict(ctx context.Context, contacts []Contact, w *written) error {
	ids := make([]CustomerID, 0, len(contacts)+len(w.leave)+len(w.redact))
	for _, c := range contacts {
		ids = append(ids, c.CustomerID)
	}
	for _, o := range w.leave {
		ids = append(ids, o.customer.ID)
	}
	for _, o := range w.redact {
		ids = append(ids, o.customer.ID)
	}
	stored, err := r.stored(ctx, ids)
	if err != nil {
		return err
	}
	for _, c := range contacts {
		_, outcome := Apply(stored[c.CustomerID], c)
		w.outcome(c.CustomerID, outcome, "")
	}
	foretell := func(records []observed, reason RemovalReason) {
		for _, o := range records {
			grave := Contact{Connection: r.conn.ID, CustomerID: o.customer.ID, Version: o.version, Removed: reason}
			if old := stored[o.customer.ID]; old != nil {
				if _, outcome := Apply(old, grave); outcome == Removed {
					w.removed = addCounts(w.removed, countRemoved(reason, 1))
				}
			}
		}
	}
	foretell(w.leave, RemovedSkipped)
	foretell(w.redact, RemovedRedacted)
	return nil
}

// maxIDs is the most ids that ContactStore.Contacts takes.
const maxIDs = 1000

// stored reads what the contact store has under ids.
func (r *run) stored(ctx context.Context, ids []CustomerID) (map[CustomerID]*Contact, error) {
	out := make(map[CustomerID]*Contact, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), maxIDs)
		got, err := r.s.contacts.Contacts(ctx, ContactsParams{Connection: r.conn.ID, IDs: ids[:n]})
		if err != nil {
			return nil, storeError("read contacts", err)
		}
		for i := range got.Contacts {
			out[got.Contacts[i].CustomerID] = &got.Contacts[i]
		}
		ids = ids[n:]
	}
	return out, nil
}
