package shopifysync

import (
	"context"
	"errors"
	"sync"
	"time"
)

// An access is the right of one call to work for a connection. It ends with
// the call, or earlier when the connection is disconnected.
type access struct {
	conn  Connection
	state ConnectionState
	leave func()
}

// open looks a connection up for a call, which must call leave when it has
// made its last request and its last write. The context that it returns ends
// when the connection is disconnected by this Syncer.
func (s *Syncer) open(ctx context.Context, id ConnectionID) (context.Context, *access, error) {
	inner, leave, err := s.sharedOf(id).gate.enter(ctx)
	if err != nil {
		return ctx, nil, wrapped(err)
	}
	a := &access{leave: leave}
	opened := false
	defer func() {
		if !opened { // also when the host's lookup panics: Disconnect waits for who is inside
			leave()
		}
	}()
	a.conn, err = s.connection(inner, id)
	if err == nil || errors.Is(err, ErrInvalidConnection) { // a disconnected one has no credentials
		var telling error
		if a.state, telling = s.readState(inner, id); telling == nil {
			telling = a.state.usable()
		}
		if telling != nil {
			err = telling
		}
	}
	if err != nil {
		return ctx, nil, wrapped(ended(inner, err))
	}
	opened = true
	return inner, a, nil
}

// usable reports why nothing may be sent or written for a connection before
// the next Connect.
func (st *ConnectionState) usable() error {
	switch {
	case st.Disconnected != nil:
		return ErrNotConnected
	case st.Pause != nil && st.Pause.ProbeAt.IsZero():
		return st.Pause.State.err()
	}
	return nil
}

// paused reports why work that nobody waits for should not ask Shopify now.
func (a *access) paused(now time.Time) error {
	if p := a.state.Pause; p != nil && now.Before(p.ProbeAt) {
		return p.State.err()
	}
	return nil
}

// A gate lets calls of one connection in, and shuts them out while it is being
// disconnected.
type gate struct {
	mu     sync.Mutex
	shut   bool
	inside map[*gateCall]struct{}
	empty  chan struct{} // closed by the last to leave a shut gate
}

type gateCall struct{ cancel context.CancelCauseFunc }

// enter lets a call in. The context ends with [ErrNotConnected] as its cause
// when the gate is shut.
func (g *gate) enter(ctx context.Context) (context.Context, func(), error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return nil, nil, ErrNotConnected
	}
	inner, cancel := context.WithCancelCause(ctx)
	call := &gateCall{cancel}
	if g.inside == nil {
		g.inside = make(map[*gateCall]struct{})
	}
	g.inside[call] = struct{}{}
	return inner, func() {
		cancel(nil)
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.inside, call)
		if len(g.inside) == 0 && g.empty != nil {
			close(g.empty)
			g.empty = nil
		}
	}, nil
}

// close shuts the gate, ends every call inside and waits until they have left.
// reopen lets calls in again. Two must not close it at once.
func (g *gate) close(ctx context.Context) (reopen func(), err error) {
	g.mu.Lock()
	if g.shut {
		g.mu.Unlock()
		return nil, errors.New("the connection is being disconnected already: wait for that")
	}
	g.shut = true
	reopen = func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.shut = false
	}
	if len(g.inside) == 0 {
		g.mu.Unlock()
		return reopen, nil
	}
	g.empty = make(chan struct{})
	empty := g.empty
	for call := range g.inside {
		call.cancel(ErrNotConnected)
	}
	g.mu.Unlock()
	select {
	case <-empty:
		return reopen, nil
	case <-ctx.Done():
		reopen()
		return nil, contextError(ctx)
	}
}

// stillConnected is asked right before contacts are written by calls that hold
// no lease: Disconnect in another process does not wait for them.
func (s *Syncer) stillConnected(ctx context.Context, id ConnectionID) error {
	st, err := s.readState(ctx, id)
	if err == nil && st.Disconnected != nil {
		err = ErrNotConnected
	}
	return err
}

// undoLate is asked right after such a write. If another process has
// disconnected the connection and removed its contacts meanwhile, it removes the
// contact, and returns [ErrNotConnected].
func (s *Syncer) undoLate(ctx context.Context, id ConnectionID, customer CustomerID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	st, err := s.readState(ctx, id)
	if err != nil || st.Disconnected == nil {
		return err
	}
	if st.Disconnected.Kept {
		return ErrNotConnected
	}
	stored, err := s.storedContact(ctx, id, customer)
	if err == nil && stored != nil && stored.Removed == "" {
		_, err = s.contacts.RemoveContacts(ctx, RemoveContactsParams{
			Connection: id, Removals: []Removal{{CustomerID: customer}}, Reason: RemovedDisconnected, ObservedAt: stored.Version.ObservedAt,
		})
	}
	if err != nil {
		return storeError("remove a contact of a connection that was disconnected", err)
	}
	return ErrNotConnected
}

// readState reads what is remembered of a connection.
func (s *Syncer) readState(ctx context.Context, id ConnectionID) (ConnectionState, error) {
	got, err := s.state.ConnectionState(ctx, ConnectionStateParams{Connection: id})
	if err != nil {
		return ConnectionState{}, storeError("read the connection's state", err)
	}
	return got.State, nil
}

// maxConflicts bounds how often a change of state is tried that others overtake.
const maxConflicts = 20

// changeState changes what is remembered of a connection. change may be called
// several times; it returns false if there is nothing to change.
func (s *Syncer) changeState(ctx context.Context, id ConnectionID, change func(*ConnectionState) bool) (ConnectionState, error) {
	for range maxConflicts {
		st, err := s.readState(ctx, id)
		if err != nil || !change(&st) {
			return st, err
		}
		saved, err := s.state.SaveConnectionState(ctx, SaveConnectionStateParams{State: st})
		switch {
		case err == nil:
			st.Revision = saved.Revision
			return st, nil
		case !errors.Is(err, ErrStateConflict):
			return st, storeError("save the connection's state", err)
		}
	}
	return ConnectionState{}, storeError("save the connection's state", ErrStateConflict)
}

// probeEvery is how long a connection that Shopify refuses is left alone.
const probeEvery = time.Hour

// refusals are the errors that say how a connection is, the more telling first.
var refusals = []struct {
	err   error
	state HealthState
}{
	{ErrUninstalled, HealthUninstalled},
	{ErrAppNotInstalled, HealthUninstalled},
	{ErrOtherOrganization, HealthOtherOrg},
	{ErrUnauthorized, HealthReauthorise},
	{ErrShopFrozen, HealthFrozen},
	{ErrShopLocked, HealthLocked},
	{ErrShopMoved, HealthMoved},
	{ErrAnotherStore, HealthMoved},
	{ErrShopNotFound, HealthNotFound},
	{ErrProtectedData, HealthProtectedData},
	{ErrScopeMissing, HealthScopeMissing},
}

// healthOf tells what an error says of the connection; false if nothing, as an
// outage does.
func healthOf(err error) (HealthState, bool) {
	if err == nil {
		return HealthOK, true
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.state, true
		}
	}
	return HealthUnknown, false
}

// err returns the error that stands for the state; nil for a good one.
func (h HealthState) err() error {
	for _, r := range refusals {
		if r.state == h {
			return r.err
		}
	}
	return nil
}

// noteHealth remembers what a call's outcome says of its connection: a refusal
// pauses it, and the first success afterwards ends the pause and asks for a
// check and a catch-up. It writes only what changes.
func (s *Syncer) noteHealth(ctx context.Context, id ConnectionID, outcome error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	_, err := s.changeState(ctx, id, func(st *ConnectionState) bool { return st.note(outcome, s.millis()) })
	if err != nil {
		s.logger.WarnContext(ctx, "the connection's health was not saved", "connection", string(id), "error", err)
	}
}

// note is noteHealth on a state; false if nothing changes.
func (st *ConnectionState) note(outcome error, now time.Time) bool {
	health, telling := healthOf(outcome)
	switch {
	case !telling || st.Disconnected != nil:
		return false
	case health == HealthOK:
		asked := !st.RedactAsked.IsZero()
		st.RedactAsked = time.Time{} // it was an old one
		if st.Pause == nil {
			return asked
		}
		st.Pause, st.CheckDue, st.CaughtUpAt = nil, true, time.Time{}
		st.Health.State, st.Health.Message = HealthOK, ""
		return true
	}
	if st.Pause != nil && st.Pause.State == health && now.Before(st.Pause.ProbeAt) {
		return false
	}
	pause := &Pause{State: health, Since: now, ProbeAt: now.Add(probeEvery)}
	if st.Pause != nil && st.Pause.State == health {
		pause.Since = st.Pause.Since
	}
	if health == HealthUninstalled {
		pause.ProbeAt = time.Time{}
	}
	st.Pause = pause
	if health == HealthProtectedData {
		st.Health.PersonalData = DataRefused
	}
	st.Health.State, st.Health.Message = health, health.err().Error()
	return true
}

// millis is the host's clock, as states and marks keep it.
func (s *Syncer) millis() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// shopNow is the time by Shopify's clock, as well as this process can tell from
// the last answer: never before an answer that this process has seen, and at
// most two seconds ahead. Without any answer it is the host's clock.
func (s *Syncer) shopNow(id ConnectionID) time.Time {
	now := s.millis()
	if ahead := s.sharedOf(id).ahead.Load(); ahead != nil {
		now = now.Add(*ahead + time.Second) // Date has whole seconds
	}
	return now.Truncate(time.Millisecond)
}
