package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/omnichat/shopifysync/internal/throttle"
)

// MemberParams are the arguments of [Syncer.Member].
type MemberParams struct {
	Connection ConnectionID
	// Number is the member number: digits, or a global id. The host must have
	// verified that it is the person's own, by the app proxy's signed
	// logged_in_customer_id (see the example) or by a login of its own: whoever
	// may name any number here is shown anybody's data.
	Number string
	// MaxAge is how long ago Shopify may have been read, at the most; 0: however
	// long. What is older is read anew.
	MaxAge time.Duration
}

// Member returns the contact of a member: the stored one, which costs no
// request, or if there is none, or it is older than MaxAge, the one that
// Shopify has now, as the contact store keeps it from then on. If Shopify
// cannot be asked, the stored one is returned however old it is: its
// Version.ObservedAt tells.
//
// An unknown member is remembered for a minute, those who ask for one member
// at the same time share a request, and all members together get half of
// Shopify's budget at the most.
//
// Errors match [ErrNoMember] (a [MergedError] if the member was merged into
// another one), [ErrThrottled] with a time for [RetryAfter], those of
// [Syncer.Sync] that concern the connection, the context's error, or what the
// stores return.
func (s *Syncer) Member(ctx context.Context, p MemberParams) (Contact, error) {
	id, err := ParseCustomerID(p.Number)
	if err != nil {
		return Contact{}, err
	}
	if p.MaxAge < 0 {
		return Contact{}, errors.New("shopifysync: MaxAge must not be negative")
	}
	inner, a, err := s.open(ctx, p.Connection)
	switch {
	case err == nil:
		defer a.leave()
	case errors.Is(err, ErrUninstalled): // contacts stay
		inner = ctx
	default:
		return Contact{}, err
	}
	stored, storeErr := s.storedContact(inner, p.Connection, id)
	if storeErr != nil {
		return Contact{}, wrapped(ended(inner, storeErr))
	}
	live := stored != nil && stored.Removed == ""
	switch {
	case live && (p.MaxAge == 0 || s.shopNow(p.Connection).Sub(stored.Version.ObservedAt) <= p.MaxAge):
		return *stored, nil
	case !live && stored != nil && (stored.Removed == RemovedRedacted || stored.Removed == RemovedMerged):
		return Contact{}, wrapped(noMember(stored))
	case !live && s.sharedOf(p.Connection).members.missed(id):
		return Contact{}, wrapped(ErrNoMember)
	}
	if err == nil {
		var fetched Contact
		if fetched, err = s.lookUp(inner, a, id); err == nil {
			return fetched, nil
		}
		err = wrapped(err)
	}
	if live && !errors.Is(err, ErrNoMember) && !errors.Is(err, ErrNotConnected) {
		return *stored, nil
	}
	return Contact{}, err
}

// A MergedError says that a member was merged into another one, who is to be
// asked for instead. It matches [ErrNoMember].
type MergedError struct{ Into CustomerID }

// Error implements error.
func (e *MergedError) Error() string {
	return "the member was merged into another one in Shopify: ask for member " + e.Into.String()
}

// Is reports whether target is [ErrNoMember].
func (e *MergedError) Is(target error) bool { return target == ErrNoMember }

// noMember is the error for what is stored of somebody who is not there.
func noMember(stored *Contact) error {
	if stored != nil && stored.Removed == RemovedMerged && stored.MergedInto != 0 {
		return &MergedError{Into: stored.MergedInto}
	}
	return ErrNoMember
}

// markOf reads a customer's mark; nil if there is none.
func (s *Syncer) markOf(ctx context.Context, connection ConnectionID, id CustomerID) (*Mark, error) {
	got, err := s.state.Marks(ctx, MarksParams{Connection: connection, After: id - 1, Limit: 1})
	if err != nil {
		return nil, storeError("read the marks", err)
	}
	if len(got.Marks) == 0 || got.Marks[0].CustomerID != id {
		return nil, nil
	}
	return &got.Marks[0], nil
}

// storedContact reads one contact; nil if nothing is stored.
func (s *Syncer) storedContact(ctx context.Context, connection ConnectionID, id CustomerID) (*Contact, error) {
	got, err := s.contacts.Contacts(ctx, ContactsParams{Connection: connection, IDs: []CustomerID{id}})
	if err != nil {
		return nil, storeError("read contacts", err)
	}
	for i := range got.Contacts {
		if got.Contacts[i].CustomerID == id {
			return &got.Contacts[i], nil
		}
	}
	return nil, nil
}

const (
	lookupsAtOnce  = 4
	lookupPatience = 2 * time.Second // how long a lookup waits for its turn among these
	lookupShare    = 0.5             // of what Shopify restores
	lookupBurst    = 20              // lookups that may come at once after a pause
	lookupCost     = 10              // points, until an answer has told
	missedFor      = time.Minute
	maxMissed      = 10_000
)

// members are the lookups of one connection.
type members struct {
	mu      sync.Mutex
	flights map[CustomerID]*flight
	misses  map[CustomerID]time.Time // until when Shopify is not asked again
	turns   chan struct{}            // one element per lookup under way
	cost    float64                  // of a lookup, in points
	spent   time.Time                // when the budget spent so far will be back
}

// missed reports whether Shopify did not know the customer a moment ago.
func (m *members) missed(id CustomerID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Before(m.misses[id])
}

// miss remembers that Shopify does not know the customer. There is room for
// more than the budget of a minute lets anybody ask for.
func (m *members) miss(id CustomerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if len(m.misses) >= maxMissed {
		for old, until := range m.misses {
			if !now.Before(until) {
				delete(m.misses, old)
			}
		}
	}
	if len(m.misses) >= maxMissed {
		return
	}
	if m.misses == nil {
		m.misses = make(map[CustomerID]time.Time)
	}
	m.misses[id] = now.Add(missedFor)
}

// take takes a lookup's points out of the members' share of the budget, or
// returns how long it takes until they are there.
func (m *members) take(restoreRate float64) (wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cost := m.cost
	if cost <= 0 {
		cost = lookupCost
	}
	each := time.Duration(cost / (restoreRate * lookupShare) * float64(time.Second))
	now := time.Now()
	spent := m.spent
	if spent.Before(now) {
		spent = now
	}
	if wait := spent.Add(each).Sub(now) - lookupBurst*each; wait > 0 {
		return wait
	}
	m.spent = spent.Add(each)
	return 0
}

// turn waits until fewer than lookupsAtOnce lookups are under way, but not for
// long. The caller gives the turn back.
func (m *members) turn(ctx context.Context) (done func(), err error) {
	m.mu.Lock()
	if m.turns == nil {
		m.turns = make(chan struct{}, lookupsAtOnce)
	}
	turns := m.turns
	m.mu.Unlock()
	timer := time.NewTimer(lookupPatience)
	defer timer.Stop()
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-timer.C:
		return nil, tooManyLookups(lookupPatience)
	case <-ctx.Done():
		return nil, contextError(ctx)
	}
}

func tooManyLookups(wait time.Duration) error {
	return &APIError{Op: "Member", Err: ErrThrottled, RetryAfter: wait}
}

// A flight is one lookup that any number of calls wait for.
type flight struct {
	calls  int // that wait
	cancel context.CancelFunc
	done   chan struct{} // closed when the rest is set
	found  Contact
	err    error
}

// lookUp fetches a member for all who ask at the same time. The fetch goes on
// while any of them waits, and ends with the last.
func (s *Syncer) lookUp(ctx context.Context, a *access, id CustomerID) (Contact, error) {
	m := &s.sharedOf(a.conn.ID).members
	m.mu.Lock()
	f := m.flights[id]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		if m.flights == nil {
			m.flights = make(map[CustomerID]*flight)
		}
		m.flights[id] = f
		var own context.Context
		own, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		go func() {
			defer close(f.done)
			defer f.cancel()
			f.err = s.protect(own, "look a member up", func() (err error) {
				f.found, err = s.fetchMember(own, a, id)
				return err
			})
			m.land(id, f)
		}()
	}
	f.calls++
	m.mu.Unlock()

	select {
	case <-f.done:
		return cloneContact(f.found), f.err
	case <-ctx.Done():
	}
	m.mu.Lock()
	f.calls--
	last := f.calls == 0
	if last && m.flights[id] == f {
		delete(m.flights, id) // whoever comes now must not join it
	}
	m.mu.Unlock()
	if last {
		f.cancel()
		<-f.done
	}
	return Contact{}, contextError(ctx)
}

// land takes a flight that is over off the list.
func (m *members) land(id CustomerID, f *flight) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.flights[id] == f {
		delete(m.flights, id)
	}
}

// fetchMember asks Shopify for a customer, stores or removes the contact, and
// returns it as the store then has it.
func (s *Syncer) fetchMember(ctx context.Context, a *access, id CustomerID) (Contact, error) {
	if err := a.paused(s.now()); err != nil {
		return Contact{}, err
	}
	sh := s.sharedOf(a.conn.ID)
	if wait := sh.members.take(sh.bucket.RestoreRate()); wait > 0 {
		return Contact{}, tooManyLookups(wait)
	}
	done, err := sh.members.turn(ctx)
	if err != nil {
		return Contact{}, err
	}
	defer done()
	adm, err := s.admin(a.conn, throttle.Lookup)
	if err != nil {
		return Contact{}, err
	}
	adm.shopID = a.state.ShopID
	w := &writer{s: s, conn: a.conn, touch: true, noLease: true}
	found, err := w.readThrough(ctx, adm, id)
	if late := s.undoLate(ctx, a.conn.ID, id); late != nil {
		return Contact{}, late
	}
	if ctx.Err() == nil && !errors.Is(err, ErrNoMember) {
		s.settleHealth(ctx, a, err)
	}
	if adm.cost > 0 {
		sh.members.mu.Lock()
		sh.members.cost = adm.cost
		sh.members.mu.Unlock()
	}
	if errors.Is(err, ErrNoMember) {
		sh.members.miss(id)
	}
	return found, err
}

// readThrough is fetchMember once it is the lookup's turn.
func (w *writer) readThrough(ctx context.Context, adm *admin, id CustomerID) (Contact, error) {
	if err := adm.confirmShop(ctx); err != nil {
		return Contact{}, err
	}
	mark, err := w.s.markOf(ctx, w.conn.ID, id)
	if err != nil {
		return Contact{}, err
	}
	if mark != nil {
		w.marks = map[CustomerID]Mark{id: *mark}
	}
	found, gone, at, err := adm.byID(ctx, []CustomerID{id})
	switch {
	case err != nil:
		return Contact{}, err
	case len(found) > 0:
		err = w.take(ctx, found)
	case len(gone) > 0:
		err = w.lose(ctx, id, at)
	default:
		err = &APIError{Op: "CustomersByID", Err: errMemberNotShown}
	}
	if err != nil {
		return Contact{}, err
	}
	stored, err := w.s.storedContact(ctx, w.conn.ID, id)
	switch {
	case err != nil:
		return Contact{}, err
	case stored == nil || stored.Removed != "":
		return Contact{}, noMember(stored)
	}
	return *stored, nil
}

const errMemberNotShown = Reason("Shopify refused to show the customer, and did not say that there is none: try again later")

// take stores a customer who was looked up. The mark, if there is one, stays for
// a drain: only looks that follow each other may answer marks.
func (w *writer) take(ctx context.Context, found []observed) error {
	var t tally
	if err := w.write(ctx, found, false, &t); err != nil {
		return err
	}
	if len(t.failures) > 0 {
		if err := w.markFailures(ctx, t.failures); err != nil {
			return err
		}
		return fmt.Errorf("the member could not be stored: %w", Reason(t.failures[0].Reason))
	}
	return nil
}

// lose removes a customer whom Shopify does not know. One who changed a moment
// ago may be too new for Shopify to show everywhere: a drain asks again.
func (w *writer) lose(ctx context.Context, id CustomerID, at time.Time) error {
	stored, err := w.s.storedContact(ctx, w.conn.ID, id)
	if err != nil {
		return err
	}
	mark := w.marks[id]
	if stored != nil && stored.Removed == "" && !mark.saysGone() && at.Sub(stored.Version.UpdatedAt) < creation {
		again := Mark{Connection: w.conn.ID, CustomerID: id, NotBefore: w.s.millis().Add(retries[0]), Reason: "a lookup did not find the customer"}
		if _, err := w.s.state.PutMarks(ctx, PutMarksParams{Connection: w.conn.ID, Marks: []Mark{again}}); err != nil {
			return storeError("mark a customer", err)
		}
		return nil
	}
	_, _, err = w.removeGone(ctx, []CustomerID{id}, at)
	return err
}
