package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A writer maps customers of one connection and stores them: for runs, drains
// and lookups alike.
type writer struct {
	s      *Syncer
	conn   Connection
	dryRun bool // tell what would become of them
	touch  bool // advance the version of unchanged contacts
	// noLease: Disconnect in another process does not wait for this call.
	noLease bool
	// marks are open marks that the customers may have, as they were before
	// Shopify was asked. It is only read.
	marks map[CustomerID]Mark
	// An observation dated before since, by Shopify's clock, settles no mark. One
	// that has failed before needs only to be dated since Shopify was first
	// asked: its customer is not in a drain's hands but for a moment.
	since, asked time.Time
}

// writeBatch maps the customers of a run's batch and stores them. Failed
// records become marks.
func (w *writer) writeBatch(ctx context.Context, b batch) (tally, error) {
	t := tally{seen: int64(len(b.records)), offset: b.offset, high: b.high, low: b.low}
	if err := w.write(ctx, b.records, b.covered, &t); err != nil {
		return t, err
	}
	if !w.dryRun {
		if err := w.markFailures(ctx, t.failures); err != nil {
			return t, err
		}
	}
	if b.covered {
		t = tally{seen: t.created, created: t.created, removed: t.removed, settled: t.settled, masked: t.masked}
	}
	return t, nil
}

// write maps customers and stores them, or with dryRun says what would become
// of them. In a covered batch those that have failed before are counted already.
func (w *writer) write(ctx context.Context, records []observed, covered bool, t *tally) error {
	out := written{tally: t, w: w, covered: covered}
	contacts := make([]Contact, 0, len(records))
	for _, o := range records {
		t.masked |= o.customer.Masked &^ (w.s.without | o.lacking)
		m, err := w.s.toContact(w.conn, o)
		switch {
		case err != nil:
			out.fail(o.customer.ID, err.Error())
		case m.skip != "":
			out.skip(o, m.skip)
		default:
			contacts = append(contacts, m.contact)
			out.noteWhatsApp(o.customer.ID, m.whatsApp)
		}
	}
	if w.dryRun {
		return w.predict(ctx, contacts, &out)
	}
	return w.store(ctx, contacts, &out)
}

// written collects what is to be done for a batch beside its upsert.
type written struct {
	*tally
	w       *writer
	covered bool
	leave   []observed // skipped by the mapper
	redact  []observed // a consent state says REDACTED
	doubted []Contact  // marked, and not stored for something newer that is
}

func (w *written) fail(id CustomerID, reason string) {
	w.failures = append(w.failures, Failure{CustomerID: id, Reason: clip(reason)})
}

// settle notes that the customer's mark, if there is one, has been answered by
// an observation that is neither older than the mark nor than its floor, and
// that is what is stored now. Of a customer whom Shopify itself called gone and
// still shows it takes some more looks, which drains make.
func (w *written) settle(id CustomerID, v Version) {
	m, marked := w.w.marks[id]
	if m.saysGone() && m.Attempts < soonRetries {
		return
	}
	since := w.w.since
	if m.Attempts > 0 {
		since = w.w.asked
	}
	if marked && !v.UpdatedAt.Before(m.Floor) && !v.ObservedAt.Before(since) {
		w.settled = append(w.settled, m)
	}
}

const reasonRedacted = "redacted"

func (w *written) skip(o observed, reason string) {
	if reason == reasonRedacted {
		w.redact = append(w.redact, o)
		return
	}
	w.leave = append(w.leave, o)
	w.leftOut(o, reason)
}

// leftOut counts a customer who makes no contact.
func (w *written) leftOut(o observed, reason string) {
	if w.skipped == nil {
		w.skipped = make(map[string]int64)
	}
	w.skipped[reason]++
}

// outcome counts what became of a contact.
func (w *written) outcome(c Contact, o Outcome, reason string) {
	switch o {
	case Created:
		if !w.covered || w.w.marks[c.CustomerID].Attempts == 0 {
			w.created++
		}
	case Updated:
		w.updated++
	case Unchanged:
		w.unchanged++
	case Stale:
		w.stale++
		if _, marked := w.w.marks[c.CustomerID]; marked {
			w.doubted = append(w.doubted, c)
		}
		return
	default:
		w.fail(c.CustomerID, "refused by the contact store: "+reason)
		return
	}
	w.settle(c.CustomerID, c.Version)
}

// clip keeps a reason within what a mark may hold, and every database.
func clip(s string) string {
	const most = 255
	s = strings.ReplaceAll(s[:min(len(s), most)], "\x00", "")
	return strings.ToValidUTF8(s, "")
}

// noteWhatsApp counts what a customer's phone came to.
func (w *written) noteWhatsApp(id CustomerID, result WhatsAppResult) {
	if result == "" {
		return
	}
	if w.whatsApp == nil {
		w.whatsApp = make(map[WhatsAppResult]int64)
	}
	w.whatsApp[result]++
	if result.unusable() && len(w.unusable) < MaxFailures {
		w.unusable = append(w.unusable, Failure{CustomerID: id, Reason: string(result)})
	}
}

// A mapped is what a customer was made.
type mapped struct {
	contact  Contact
	whatsApp WhatsAppResult
	skip     string // why the customer is left out
}

// toContact maps one customer and sets what is the Syncer's to set.
func (s *Syncer) toContact(conn Connection, o observed) (m mapped, err error) {
	if o.err != nil {
		return m, o.err
	}
	if consentRedacted(o.customer.EmailConsent) || consentRedacted(o.customer.SMSConsent) || consentRedacted(o.customer.WhatsAppConsent) {
		m.skip = reasonRedacted
		return m, nil
	}
	m, err = s.callMapper(conn, o.customer)
	if m.skip != "" || err != nil {
		return m, err
	}
	c := &m.contact
	c.Connection, c.CustomerID = conn.ID, o.customer.ID
	c.Version = Version{
		UpdatedAt:  o.version.UpdatedAt.UTC().Truncate(time.Millisecond),
		ObservedAt: o.version.ObservedAt.UTC().Truncate(time.Millisecond),
	}
	c.Masked = (c.Masked | o.customer.Masked&^o.lacking) & allFields
	c.Removed, c.MergedInto = "", 0
	if !slices.IsSorted(c.Tags) || len(slices.Compact(slices.Clone(c.Tags))) != len(c.Tags) {
		c.Tags = sortedTags(c.Tags)
	}
	if c.Attributes, err = sortedAttributes(c.Attributes); err != nil {
		return m, fmt.Errorf("mapper: %w", err)
	}
	if o.lacking.Has(FieldWhatsAppConsent) {
		c.Attributes = withoutKey(c.Attributes, AttrWhatsAppConsent)
	}
	return m, nil
}

// withoutKey leaves an attribute out, which leaves the stored one untouched: of a
// field that the version served does not have, nothing is said, and no contact
// is marked as masked for it.
func withoutKey(attrs []Attribute, key AttributeKey) []Attribute {
	isKey := func(a Attribute) bool { return a.Key == key }
	if !slices.ContainsFunc(attrs, isKey) {
		return attrs
	}
	return slices.DeleteFunc(slices.Clone(attrs), isKey)
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
func (s *Syncer) callMapper(conn Connection, customer Customer) (m mapped, err error) {
	defer func() {
		if recover() != nil {
			m, err = mapped{}, &hostError{doing: "mapper", err: errPanicked}
		}
	}()
	customer.PhoneCountry = conn.phoneCountry(customer.DefaultAddress)
	m.contact, err = s.mapper(conn.ID, customer)
	switch {
	case errors.Is(err, ErrSkip):
		m.skip = skipReason(err)
		return m, nil
	case err != nil:
		return m, Reason((&hostError{doing: "mapper", err: err}).Error())
	}
	whatsApp := whatsAppMapper{normalize: s.mapping.Phone, mobile: s.mobile}
	m.contact.WhatsApp, m.whatsApp = whatsApp.contact(conn.WhatsApp, customer, m.contact.Name)
	return m, nil
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
func (w *writer) store(ctx context.Context, contacts []Contact, out *written) error {
	if w.noLease {
		if err := w.s.stillConnected(ctx, w.conn.ID); err != nil {
			return err
		}
	}
	if err := w.upsert(ctx, contacts, out); err != nil {
		return err
	}
	if err := w.remove(ctx, out.leave, RemovedSkipped, out); err != nil {
		return err
	}
	if err := w.erase(ctx, out); err != nil {
		return err
	}
	return w.resolve(ctx, out)
}

// resolve settles marks whose observation was not stored, if what is stored
// shows that this does not matter. With the same time of change it may: two
// looks within one second can bear the wrong order, and tags do not move the
// time of change. Those marks stay, and the next look is later for certain.
func (w *writer) resolve(ctx context.Context, out *written) error {
	if len(out.doubted) == 0 {
		return nil
	}
	ids := make([]CustomerID, len(out.doubted))
	for i, c := range out.doubted {
		ids[i] = c.CustomerID
	}
	stored, err := w.stored(ctx, ids)
	if err != nil {
		return err
	}
	for _, c := range out.doubted {
		old := stored[c.CustomerID]
		switch {
		case old == nil:
		case old.Removed == RemovedRedacted: // for ever
			out.settled = append(out.settled, w.marks[c.CustomerID])
		case old.Removed == "" && old.Version.UpdatedAt.After(c.Version.UpdatedAt):
			out.settle(c.CustomerID, Version{UpdatedAt: old.Version.UpdatedAt, ObservedAt: c.Version.ObservedAt})
		}
	}
	return nil
}

// maxPoison is how many records in a row may be refused by errors before the
// store itself counts as out of order.
const maxPoison = 10

// upsert stores contacts. A store that fails the whole batch gets its contacts
// one by one, so that a single bad one becomes a failed record and no more.
func (w *writer) upsert(ctx context.Context, contacts []Contact, out *written) error {
	if len(contacts) == 0 {
		return nil
	}
	err := w.upsertBatch(ctx, contacts, out)
	if err == nil || ctx.Err() != nil || len(contacts) == 1 {
		return err
	}
	w.s.logger.WarnContext(ctx, "a batch was not stored; trying its contacts one by one", "connection", string(w.conn.ID), "contacts", len(contacts), "error", err)
	var poisoned []CustomerID
	stored := false
	for i := range contacts {
		one := w.upsertBatch(ctx, contacts[i:i+1], out)
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
		out.fail(id, "the contact store failed on this record: see its log")
	}
	return nil
}

func (w *writer) upsertBatch(ctx context.Context, contacts []Contact, out *written) error {
	got, err := w.s.contacts.UpsertContacts(ctx, UpsertContactsParams{Connection: w.conn.ID, Contacts: contacts, Touch: w.touch})
	if err != nil {
		return storeError("store contacts", err)
	}
	if len(got.Results) != len(contacts) {
		return storeError("store contacts", Reason("it returned another number of results than contacts: see ContactStore.UpsertContacts"))
	}
	for i, result := range got.Results {
		out.outcome(contacts[i], result.Outcome, result.Reason)
	}
	return nil
}

// remove makes tombstones.
func (w *writer) remove(ctx context.Context, records []observed, reason RemovalReason, out *written) error {
	if len(records) == 0 {
		return nil
	}
	ids := make([]CustomerID, len(records))
	for i, o := range records {
		ids[i] = o.customer.ID
	}
	stored, err := w.stored(ctx, ids)
	if err != nil {
		return err
	}
	p := RemoveContactsParams{Connection: w.conn.ID, Reason: reason, ObservedAt: records[0].version.ObservedAt.UTC().Truncate(time.Millisecond)}
	for _, id := range ids {
		if removable(stored[id], reason) {
			p.Removals = append(p.Removals, Removal{CustomerID: id})
		}
	}
	removed, stale, err := w.removeContacts(ctx, p)
	if err != nil {
		return err
	}
	out.removed = addCounts(out.removed, removed)
	for _, o := range records {
		if !stale[o.customer.ID] {
			out.settle(o.customer.ID, o.version)
		}
	}
	return nil
}

// removeContacts makes tombstones. stale are those who stay, because they were
// observed later.
func (w *writer) removeContacts(ctx context.Context, p RemoveContactsParams) (removed map[RemovalReason]int64, stale map[CustomerID]bool, err error) {
	if len(p.Removals) == 0 {
		return nil, nil, nil
	}
	got, err := w.s.contacts.RemoveContacts(ctx, p)
	if err != nil {
		return nil, nil, storeError("remove contacts", err)
	}
	if len(got.Outcomes) != len(p.Removals) {
		return nil, nil, storeError("remove contacts", Reason("it returned another number of outcomes than removals: see ContactStore.RemoveContacts"))
	}
	for i, outcome := range got.Outcomes {
		if outcome == Stale {
			if stale == nil {
				stale = make(map[CustomerID]bool)
			}
			stale[p.Removals[i].CustomerID] = true
		}
	}
	return countRemoved(p.Reason, got.Removed), stale, nil
}

// erase erases people who were redacted in Shopify and were not here yet. While
// the host's own erasure fails they are failed records: their marks have it
// tried again.
func (w *writer) erase(ctx context.Context, out *written) error {
	if len(out.redact) == 0 {
		return nil
	}
	ids := make([]CustomerID, len(out.redact))
	for i, o := range out.redact {
		ids[i] = o.customer.ID
	}
	stored, err := w.stored(ctx, ids)
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id CustomerID) bool { return !removable(stored[id], RemovedRedacted) })
	all, err := w.s.withMerged(ctx, w.conn.ID, ids)
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		hostErr := w.s.hostErase(ctx, Erasure{Connection: w.conn.ID, Reason: RemovedRedacted, Customers: slices.Clone(all), At: w.s.millis()})
		if ctx.Err() != nil {
			return contextError(ctx)
		}
		if hostErr != nil {
			for _, id := range ids {
				out.fail(id, hostErr.Error())
			}
			out.redact = slices.DeleteFunc(out.redact, func(o observed) bool { return slices.Contains(ids, o.customer.ID) })
			ids = nil
		}
	}
	if len(ids) > 0 {
		removed, err := w.s.eraseContacts(ctx, w.conn.ID, all)
		if err != nil {
			return err
		}
		out.removed = addCounts(out.removed, countRemoved(RemovedRedacted, removed))
	}
	for _, o := range out.redact {
		out.leftOut(o, reasonRedacted)
		out.settle(o.customer.ID, o.version)
	}
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
func (w *writer) markFailures(ctx context.Context, failures []Failure) error {
	var marks []Mark
	for _, f := range failures {
		if f.CustomerID != 0 {
			marks = append(marks, Mark{
				Connection: w.conn.ID, CustomerID: f.CustomerID, Reason: f.Reason, Attempts: w.marks[f.CustomerID].Attempts + 1,
				NotBefore: w.s.now().UTC().Truncate(time.Millisecond),
			})
		}
	}
	if len(marks) == 0 {
		return nil
	}
	if _, err := w.s.state.PutMarks(ctx, PutMarksParams{Connection: w.conn.ID, Marks: marks}); err != nil {
		return storeError("mark failed records", err)
	}
	return nil
}

// predict tells what store would do.
func (w *writer) predict(ctx context.Context, contacts []Contact, out *written) error {
	ids := make([]CustomerID, 0, len(contacts)+len(out.leave)+len(out.redact))
	for _, c := range contacts {
		ids = append(ids, c.CustomerID)
	}
	for _, o := range out.leave {
		ids = append(ids, o.customer.ID)
	}
	for _, o := range out.redact {
		ids = append(ids, o.customer.ID)
	}
	stored, err := w.stored(ctx, ids)
	if err != nil {
		return err
	}
	for _, c := range contacts {
		_, outcome := Apply(stored[c.CustomerID], c)
		out.outcome(c, outcome, "")
	}
	foretell := func(records []observed, reason RemovalReason) {
		for _, o := range records {
			grave := Contact{Connection: w.conn.ID, CustomerID: o.customer.ID, Version: o.version, Removed: reason}
			if old := stored[o.customer.ID]; old != nil {
				if _, outcome := Apply(old, grave); outcome == Removed {
					out.removed = addCounts(out.removed, countRemoved(reason, 1))
				}
			}
		}
	}
	foretell(out.leave, RemovedSkipped)
	foretell(out.redact, RemovedRedacted)
	for _, o := range out.redact {
		out.leftOut(o, reasonRedacted)
	}
	return nil
}

// maxIDs is the most ids that ContactStore.Contacts takes.
const maxIDs = 1000

// stored reads what the contact store has under ids.
func (w *writer) stored(ctx context.Context, ids []CustomerID) (map[CustomerID]*Contact, error) {
	out := make(map[CustomerID]*Contact, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), maxIDs)
		got, err := w.s.contacts.Contacts(ctx, ContactsParams{Connection: w.conn.ID, IDs: ids[:n]})
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
