package shopifysync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/omnichat/shopifysync/internal/throttle"
)

const (
	// farewellTimeout bounds what Disconnect asks of Shopify, which may be gone.
	farewellTimeout = 10 * time.Second
	// maxRounds bounds how often contacts that are newer than their removal are
	// removed again. While nobody writes, two are enough.
	maxRounds = 10
)

// DisconnectParams are the arguments of [Syncer.Disconnect].
type DisconnectParams struct {
	Connection ConnectionID
	// RemoveContacts removes the contacts, runs and marks at once. Otherwise
	// they stay, to be adopted should the store be connected again, and must be
	// erased 30 days later ([WithRetention]): see [DisconnectResult].EraseBy.
	RemoveContacts bool
}

// A DisconnectResult tells what Disconnect did.
type DisconnectResult struct {
	Removed int64 // contacts
	// EraseBy is when contacts that were kept must be erased: [Syncer.Serve] does
	// it then, without it another Disconnect with RemoveContacts. Zero if they
	// were removed, or may be kept for ever.
	EraseBy time.Time
	// Unsubscribed is how many webhook subscriptions were removed.
	Unsubscribed int
	// Warnings are what Shopify did not let be done. Nothing depends on it: the
	// webhooks of a subscription that stays are refused, and Shopify deletes it.
	Warnings []string
}

// Disconnect ends a connection. Runs, drains and all other calls for it end
// with [ErrNotConnected], in every process, and it waits for them. Once it has
// returned without an error, nothing is called or written for the connection
// any more.
//
// Webhook subscriptions are removed as far as Shopify lets it within ten
// seconds; a store that is gone is no error. A [ConnectionStore] forgets the
// connection, or if contacts are kept its token and client ID: the client secret
// stays, so that Shopify's privacy webhooks can still be verified, and all that
// is the host's. With read-only [Connections] the host does as much.
// [Syncer.Connect] under the same ID connects the store again: its contacts are
// adopted, or come back.
//
// Another process notices within a third of [WithLeaseTTL]; one that hangs is
// waited for until its lease has expired, twice that long at most. After an
// error the connection counts as disconnected, and to call again finishes what
// is missing, as [Syncer.Serve] does with a removal. It may be called at any
// time later to remove contacts that were kept. Errors match [ErrNotConnected] (there
// never was such a connection), [ErrSyncInProgress] (another process does not
// let go), the context's error, or what the stores return.
func (s *Syncer) Disconnect(ctx context.Context, p DisconnectParams) (*DisconnectResult, error) {
	d := &disconnect{s: s, params: p}
	if err := d.run(ctx); err != nil {
		return nil, wrapped(ended(ctx, err))
	}
	s.logger.InfoContext(ctx, "disconnected", "connection", string(p.Connection), "removed", d.result.Removed,
		"erase by", d.result.EraseBy, "unsubscribed", d.result.Unsubscribed, "warnings", d.result.Warnings)
	return &d.result, nil
}

// errOver tells a disconnect that only finishes a removal that there is none
// left, or that the store is connected again.
var errOver = errors.New("there is no removal to finish")

// A disconnect is one call of Disconnect.
type disconnect struct {
	s      *Syncer
	params DisconnectParams
	finish bool       // only what an earlier removal left undone
	known  bool       // the connection can still be looked up
	conn   Connection // with known
	runs   Lease      // of kind LeaseRun
	result DisconnectResult
}

// run does the steps. Each may have been done before by a call that failed.
func (d *disconnect) run(ctx context.Context) error {
	if err := d.find(ctx); err != nil {
		return err
	}
	// From here on no process begins anything.
	if err := d.mark(ctx); err != nil {
		return err
	}
	reopen, err := d.s.sharedOf(d.params.Connection).gate.close(ctx) // this process has ended
	if err != nil {
		return err
	}
	defer reopen()
	ctx, release, err := d.takeLeases(ctx) // every process has ended
	if err != nil {
		return err
	}
	defer release()
	return ended(ctx, d.end(ctx)) // or a lease was lost
}

// end does what is to be done once nobody else works for the connection.
func (d *disconnect) end(ctx context.Context) error {
	// A Connect that was under way may have taken the mark away, and saved
	// another connection.
	if err := d.mark(ctx); err != nil {
		return err
	}
	if err := d.find(ctx); err != nil {
		return err
	}
	operation, err := d.closeRuns(ctx)
	if err != nil {
		return err
	}
	d.farewell(ctx, operation)
	d.s.sharedOf(d.params.Connection).tokens.adopt(new(tokens))
	if d.params.RemoveContacts {
		if err := d.remove(ctx); err != nil {
			return err
		}
	}
	if err := d.forget(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// find makes sure that there is or was such a connection.
func (d *disconnect) find(ctx context.Context) error {
	conn, err := d.s.lookUpConnection(ctx, d.params.Connection)
	d.known = false
	switch {
	case err == nil:
		d.known, d.conn = true, conn
		return nil
	case errors.Is(err, ErrInvalidConnection): // to be disconnected all the same
		return nil
	case !errors.Is(err, ErrNotConnected):
		return err
	}
	st, stateErr := d.s.readState(ctx, d.params.Connection)
	if stateErr != nil {
		return stateErr
	}
	if st.Revision == 0 {
		return err
	}
	return nil
}

// mark says in the state that the connection is disconnected.
func (d *disconnect) mark(ctx context.Context) error {
	over := false
	st, err := d.s.changeState(ctx, d.params.Connection, func(st *ConnectionState) bool {
		if over = d.finish && !st.Disconnected.removing(); over {
			return false
		}
		now := d.s.millis()
		end := Disconnection{At: now}
		if st.Disconnected != nil {
			end = *st.Disconnected
		}
		switch {
		case d.params.RemoveContacts:
			end.Kept, end.EraseBy = false, end.At // until they are
		case st.Disconnected == nil:
			end.Kept = true
			if d.s.retention > 0 {
				end.EraseBy = now.Add(d.s.retention)
			}
		}
		if st.Disconnected != nil && end == *st.Disconnected {
			return false
		}
		st.Disconnected = &end
		st.Pause, st.CheckDue = nil, false
		return true
	})
	if over {
		return errOver
	}
	if err == nil && st.Disconnected != nil && !d.params.RemoveContacts {
		d.result.EraseBy = st.Disconnected.EraseBy
	}
	return err
}

// takeLeases waits until nobody works for the connection, and keeps it so
// until release is called. The context ends with any of the leases.
func (d *disconnect) takeLeases(ctx context.Context) (held context.Context, release func(), err error) {
	var undo []func()
	release = func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	// Who is at work finds at its next renewal that it must end; who hangs
	// loses its lease.
	patience := 2 * d.s.leaseTTL
	held = ctx
	for _, kind := range []LeaseKind{LeaseRun, LeaseCatchUp, LeaseDrain, LeaseCheck} {
		lease, until, err := d.s.takeLease(held, d.params.Connection, kind, patience)
		if err != nil {
			release()
			return ctx, nil, err
		}
		inner, stop := d.s.holdLease(held, lease, until, nil)
		if kind == LeaseRun {
			d.runs = lease
		}
		undo = append(undo, func() {
			stop()
			d.s.release(ctx, lease)
		})
		held = inner
	}
	return held, release, nil
}

// closeRuns ends a run that was cut off, so that none is resumed, and returns
// the bulk operation that it had at Shopify.
func (d *disconnect) closeRuns(ctx context.Context) (operation string, err error) {
	runs, err := d.s.state.Runs(ctx, RunsParams{Connection: d.params.Connection, Limit: 1})
	if err != nil {
		return "", storeError("read the runs", err)
	}
	for _, old := range runs.Runs {
		if !old.cutOff() {
			continue
		}
		var at checkpoint
		if json.Unmarshal(old.Checkpoint, &at) == nil {
			operation = at.Bulk
		}
		old.State, old.Error, old.Checkpoint = RunFailed, "the connection was disconnected", nil
		old.Report.EndedAt = d.s.millis()
		if _, err := d.s.state.SaveRun(ctx, SaveRunParams{Lease: d.runs, Run: old}); err != nil {
			return "", storeError("save the run", err)
		}
	}
	return operation, nil
}

// farewell removes the subscriptions and cancels the bulk operation, as far as
// Shopify lets it.
func (d *disconnect) farewell(ctx context.Context, operation string) {
	if !d.known || d.conn.validate(d.s.tokens) != nil {
		return // no credentials, or none any more
	}
	asked, cancel := context.WithTimeout(ctx, farewellTimeout)
	defer cancel()
	if operation != "" { // it holds one of few places
		adm, err := d.s.admin(d.conn, throttle.Lookup)
		if err == nil {
			err = adm.cancelBulk(asked, operation)
		}
		if err != nil {
			d.warn(ctx, "the bulk operation was not cancelled", err)
		}
	}
	var err error
	if d.result.Unsubscribed, err = d.s.unsubscribe(asked, d.conn); err != nil {
		d.warn(ctx, "webhook subscriptions stay", err)
	}
}

func (d *disconnect) warn(ctx context.Context, what string, err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		err = ErrUnavailable
	}
	d.result.Warnings = append(d.result.Warnings, fmt.Sprintf("%s: %v", what, err))
	d.s.logger.WarnContext(ctx, what, "connection", string(d.params.Connection), "error", err)
}

// remove removes the contacts, runs and marks.
func (d *disconnect) remove(ctx context.Context) error {
	removed, err := d.s.removeAll(ctx, d.params.Connection, RemovedDisconnected)
	d.result.Removed += removed
	return err
}

// removeAll turns every contact of a connection into a tombstone, and forgets its
// runs and marks.
//
// The tombstones' time is as early as does that, for only what is observed later
// brings a contact back, and a sync may follow at once: at first what is
// certainly not ahead of Shopify's clock. A contact that was observed later, by a
// clock that was wrong then or is now, must go all the same: the time becomes as
// late as that.
func (s *Syncer) removeAll(ctx context.Context, id ConnectionID, reason RemovalReason) (removed int64, err error) {
	at := s.shopNow(id).Add(-2 * time.Second)
	for range maxRounds {
		got, err := s.contacts.RemoveContacts(ctx, RemoveContactsParams{Connection: id, All: true, Reason: reason, ObservedAt: at})
		if err != nil {
			return removed, storeError("remove all contacts", err)
		}
		removed += got.Removed
		latest, live, err := s.lastObserved(ctx, id)
		if err != nil {
			return removed, err
		}
		if !live {
			if _, err := s.state.ForgetConnection(ctx, ForgetConnectionParams{Connection: id}); err != nil {
				return removed, storeError("forget runs and marks", err)
			}
			return removed, nil
		}
		if latest.After(at) {
			at = latest
		}
	}
	return removed, storeError("remove all contacts", Reason("contacts are left however often they are removed: stop what writes them, and see ContactStore.RemoveContacts"))
}

// lastObserved returns when the last of a connection's live contacts was
// observed, and whether there are any.
func (s *Syncer) lastObserved(ctx context.Context, id ConnectionID) (latest time.Time, live bool, err error) {
	p := ContactIDsParams{Connection: id, Limit: maxIDs}
	for {
		page, err := s.contacts.ContactIDs(ctx, p)
		if err != nil {
			return latest, live, storeError("list contacts", err)
		}
		if len(page.IDs) == 0 {
			return latest, live, nil
		}
		live = true
		got, err := s.contacts.Contacts(ctx, ContactsParams{Connection: id, IDs: page.IDs})
		if err != nil {
			return latest, live, storeError("read contacts", err)
		}
		for _, c := range got.Contacts {
			if c.Version.ObservedAt.After(latest) {
				latest = c.Version.ObservedAt
			}
		}
		last := page.IDs[len(page.IDs)-1]
		if last <= p.After {
			return latest, live, storeError("list contacts", Reason("the ids do not ascend: see ContactStore.ContactIDs"))
		}
		p.After = last
	}
}

// forget drops what may not stay of the connection itself. That a removal is
// under way goes last.
func (d *disconnect) forget(ctx context.Context) error {
	store, _ := d.s.conns.(ConnectionStore)
	if d.params.RemoveContacts {
		if store != nil {
			if _, err := store.DeleteConnection(ctx, DeleteConnectionParams{Connection: d.params.Connection}); err != nil {
				return storeError("delete the connection", err)
			}
		}
		_, err := d.s.changeState(ctx, d.params.Connection, func(st *ConnectionState) bool {
			st.RunAt, st.TriedAt, st.InStepAsOf, st.CountedAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			st.CaughtUpTo, st.CaughtUpAt, st.Customers = time.Time{}, time.Time{}, 0
			st.Health, st.DataRequests = Health{}, nil
			if st.Disconnected != nil {
				st.Disconnected = &Disconnection{At: st.Disconnected.At}
			}
			return true
		})
		return err
	}
	if store == nil || !d.known {
		return nil
	}
	kept := d.conn
	kept.Credentials = Credentials{
		ClientSecret: d.conn.Credentials.ClientSecret, PreviousClientSecret: d.conn.Credentials.PreviousClientSecret,
	}
	if _, err := store.SaveConnection(ctx, SaveConnectionParams{Connection: kept}); err != nil {
		return storeError("forget the connection's tokens", err)
	}
	return nil
}

// eraseLeft is Serve's part: it finishes a removal that was cut off, or erases
// contacts that were kept for as long as may be.
func (s *Syncer) eraseLeft(ctx context.Context, id ConnectionID) error {
	st, err := s.readState(ctx, id)
	if err != nil {
		return err
	}
	if !st.Disconnected.removing() {
		return s.eraseDue(ctx, id)
	}
	d := &disconnect{s: s, params: DisconnectParams{Connection: id, RemoveContacts: true}, finish: true}
	if err := d.run(ctx); !errors.Is(err, errOver) {
		return wrapped(ended(ctx, err))
	}
	return nil
}
