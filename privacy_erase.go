package shopifysync

import (
	"context"
	"slices"
	"time"
)

// An ErasureReceipt says what an erasure did. It holds nothing personal, so it
// may be kept as evidence: customer ids are those of tombstones.
type ErasureReceipt struct {
	ID         string       `json:"id"` // unique; opaque
	Connection ConnectionID `json:"connection"`
	// Customers are those who are erased now, by ascending id, also those who
	// were merged into them, were erased before or never seen. None: nobody was
	// found.
	Customers []CustomerID `json:"customers"`
	// Removed is how many of them had a live contact until now.
	Removed int64 `json:"removed"`
	// HostErased tells whether [PrivacyHandler].Erase was there to be called.
	HostErased bool      `json:"host_erased"`
	At         time.Time `json:"at"` // by the host's clock; milliseconds
}

// Erase erases a person for good: every contact that matches becomes a
// tombstone that no sync, webhook or old export ever brings back, marks are
// cleared, and [PrivacyHandler].Erase is called before, so that it can still
// look the contacts up. No request is made to Shopify, and the connection may
// be paused, disconnected or unknown.
//
// By customer id a person who was never seen is erased, too, and stays out. With
// them go the customers who were merged into them, if the contact store is a
// [MergedFinder]. An e-mail address or phone number erases everybody who has it:
// call [Syncer.Export] first to see who that is. Nobody found is no error.
//
// Erase may be repeated, and after an error must be: nothing is then lost, for
// contacts are removed last. Errors match [ErrNoFinder], the context's error,
// or what the stores and the handler return.
func (s *Syncer) Erase(ctx context.Context, p PersonParams) (*ErasureReceipt, error) {
	if err := p.check(); err != nil {
		return nil, wrapped(err)
	}
	ids, err := s.idsOf(ctx, p)
	if err != nil {
		return nil, wrapped(err)
	}
	ids, removed, err := s.eraseCustomers(ctx, p.Connection, ids)
	if err != nil {
		return nil, wrapped(err)
	}
	s.logger.InfoContext(ctx, "erased", "connection", string(p.Connection), "customers", len(ids), "removed", removed)
	return &ErasureReceipt{
		ID: newID(), Connection: p.Connection, Customers: ids, Removed: removed,
		HostErased: len(ids) > 0 && s.privacy.Erase != nil, At: s.millis(),
	}, nil
}

// eraseCustomers erases people for good, whatever is stored of them, and
// returns whom, with those merged into them, and how many had a live contact.
// The host goes first: an erasure that fails there is then found again by
// whatever asked for it, and repeated.
func (s *Syncer) eraseCustomers(ctx context.Context, id ConnectionID, ids []CustomerID) (erased []CustomerID, removed int64, err error) {
	if len(ids) == 0 {
		return nil, 0, nil
	}
	if ids, err = s.withMerged(ctx, id, ids); err != nil {
		return nil, 0, err
	}
	if err := s.hostErase(ctx, Erasure{Connection: id, Reason: RemovedRedacted, Customers: slices.Clone(ids), At: s.millis()}); err != nil {
		return nil, 0, err
	}
	removed, err = s.eraseContacts(ctx, id, ids)
	return ids, removed, err
}

// withMerged adds to customers those who were merged into them, and into those,
// as far as the store can tell; ascending, each once. It must be asked before
// the erasure: of redacted ones no survivor is known any more.
func (s *Syncer) withMerged(ctx context.Context, id ConnectionID, ids []CustomerID) ([]CustomerID, error) {
	finder, ok := s.contacts.(MergedFinder)
	if !ok {
		return ids, nil
	}
	all := slices.Clone(ids)
	seen := make(map[CustomerID]bool, len(ids))
	for _, c := range ids {
		seen[c] = true
	}
	for i := 0; i < len(all); i++ {
		got, err := finder.MergedCustomers(ctx, MergedCustomersParams{Connection: id, Into: all[i]})
		if err != nil {
			return nil, storeError("find merged customers", err)
		}
		for _, c := range got.Customers {
			if !seen[c] {
				seen[c] = true
				all = append(all, c)
			}
		}
	}
	slices.Sort(all)
	return all, nil
}

// eraseContacts is eraseCustomers after the host's part.
func (s *Syncer) eraseContacts(ctx context.Context, id ConnectionID, ids []CustomerID) (removed int64, err error) {
	at := s.shopNow(id)
	for chunk := range slices.Chunk(ids, maxIDs) {
		p := RemoveContactsParams{Connection: id, Reason: RemovedRedacted, ObservedAt: at}
		for _, c := range chunk {
			p.Removals = append(p.Removals, Removal{CustomerID: c})
		}
		got, err := s.contacts.RemoveContacts(ctx, p)
		if err != nil {
			return removed, storeError("erase contacts", err)
		}
		removed += got.Removed
		if err := s.confirmErased(ctx, id, chunk); err != nil {
			return removed, err
		}
		for _, c := range chunk {
			if err := s.forgetMark(ctx, id, c); err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// hostErase has the host erase what it keeps beyond contacts.
func (s *Syncer) hostErase(ctx context.Context, e Erasure) error {
	if s.privacy.Erase == nil {
		return nil
	}
	const doing = "the host's erasure"
	return s.protect(ctx, doing, func() error {
		if err := s.privacy.Erase(ctx, e); err != nil {
			return &hostError{doing: doing, err: err}
		}
		return nil
	})
}

// confirmErased reads the tombstones back: a store that keeps none would let
// the person return with the next sync.
func (s *Syncer) confirmErased(ctx context.Context, id ConnectionID, ids []CustomerID) error {
	got, err := s.contacts.Contacts(ctx, ContactsParams{Connection: id, IDs: ids})
	if err != nil {
		return storeError("read contacts", err)
	}
	graves := make(map[CustomerID]bool, len(ids))
	for _, c := range got.Contacts {
		graves[c.CustomerID] = c.Removed == RemovedRedacted
	}
	for _, c := range ids {
		if !graves[c] {
			return storeError("erase contacts", Reason("it kept no tombstone of an erased person: see ContactStore.RemoveContacts"))
		}
	}
	return nil
}

// forgetMark clears a customer's mark. One that is put again meanwhile may
// stay: it holds no more than the id, and what it fetches stays out.
func (s *Syncer) forgetMark(ctx context.Context, id ConnectionID, customer CustomerID) error {
	mark, err := s.markOf(ctx, id, customer)
	if err != nil || mark == nil {
		return err
	}
	if _, err := s.state.ClearMarks(ctx, ClearMarksParams{Connection: id, Marks: []Mark{*mark}}); err != nil {
		return storeError("clear marks", err)
	}
	return nil
}

// eraseShop erases all that is kept of a connection's customers, as long as
// still says that its state asks for it. What a later Connect needs stays: the
// store's identity, and that the connection is paused or disconnected. If it is
// disconnected its secrets go, too.
//
// It holds the lease that Connect holds, so that the contacts of a store that
// is connected again meanwhile are not erased.
func (s *Syncer) eraseShop(ctx context.Context, id ConnectionID, still func(*ConnectionState) bool) error {
	lease, until, err := s.takeLease(ctx, id, LeaseCheck, 0)
	if err != nil {
		return err
	}
	defer s.release(ctx, lease)
	st, err := s.readState(ctx, id)
	if err != nil || !still(&st) {
		return err
	}
	ctx, stop := s.holdLease(ctx, lease, until, func(now *ConnectionState) bool { return !still(now) })
	defer stop()
	return ended(ctx, s.eraseHeld(ctx, st, still))
}

// eraseHeld is eraseShop with the lease.
func (s *Syncer) eraseHeld(ctx context.Context, st ConnectionState, still func(*ConnectionState) bool) error {
	id := st.Connection
	if err := s.hostErase(ctx, Erasure{Connection: id, Reason: RemovedShopRedacted, At: s.millis()}); err != nil {
		return err
	}
	if _, err := s.removeAll(ctx, id, RemovedShopRedacted); err != nil {
		return err
	}
	if conns, keeps := s.conns.(ConnectionStore); keeps && st.Disconnected != nil {
		if _, err := conns.DeleteConnection(ctx, DeleteConnectionParams{Connection: id}); err != nil {
			return &hostError{doing: "delete the connection", err: err}
		}
	}
	// Last, for this is what says that it is done.
	_, err := s.changeState(ctx, id, func(st *ConnectionState) bool {
		if !still(st) {
			return false
		}
		kept := ConnectionState{
			Connection: st.Connection, Revision: st.Revision, ShopID: st.ShopID, ConnectedAt: st.ConnectedAt,
			Pause: st.Pause, ErasedAt: s.millis(), Health: Health{State: st.Health.State, Message: st.Health.Message},
		}
		if st.Disconnected != nil {
			kept.Disconnected = &Disconnection{At: st.Disconnected.At}
		}
		*st = kept
		return true
	})
	return err
}

// gone reports whether the store has left: it was disconnected, or the app was
// uninstalled.
func (st *ConnectionState) gone() bool {
	return st.Disconnected != nil || st.Pause != nil && st.Pause.State == HealthUninstalled
}

// redactWithin is how long after shop/redact a store is erased that does not
// answer, neither its app nor that the app is gone: a merchant who has closed
// the store, as a rule. The law gives 30 days.
const redactWithin = 28 * 24 * time.Hour

// redactShop does what shop/redact asks for, if Shopify refuses the
// connection's token. While the store serves it the webhook is an old one; what
// the store says otherwise is returned as an error, for a while.
func (s *Syncer) redactShop(ctx context.Context, a *access) error {
	refused, err := s.refused(ctx, a)
	if err == nil && !refused {
		s.logger.WarnContext(ctx, "a webhook asks to erase the store's data, but Shopify still serves the connection: it is an old one, and nothing is erased", "connection", string(a.conn.ID))
		return nil
	}
	if err == nil {
		return s.eraseShop(ctx, a.conn.ID, (*ConnectionState).gone)
	}
	late := s.millis().Sub(a.state.RedactAsked) >= redactWithin
	if _, closed := healthOf(err); !closed || !late {
		return err
	}
	return s.eraseShop(ctx, a.conn.ID, func(st *ConnectionState) bool { return !st.RedactAsked.IsZero() && st.Pause != nil })
}

// eraseDue is what Serve does when an erasure may be due.
func (s *Syncer) eraseDue(ctx context.Context, id ConnectionID) error {
	st, err := s.readState(ctx, id)
	if err != nil {
		return err
	}
	if st.Disconnected != nil || st.RedactAsked.IsZero() {
		return s.eraseShop(ctx, id, func(st *ConnectionState) bool {
			by := st.eraseBy(s.retention)
			return !by.IsZero() && !by.After(s.millis())
		})
	}
	ctx, leave, err := s.sharedOf(id).gate.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	a := &access{state: st}
	if a.conn, err = s.connection(ctx, id); err != nil {
		return err
	}
	return ended(ctx, s.redactShop(ctx, a))
}

// eraseBy is when all that is kept must be erased, if after an uninstallation
// it may be kept for so long; zero: not by itself.
func (st *ConnectionState) eraseBy(retention time.Duration) time.Time {
	switch {
	case st.Disconnected != nil:
		return st.Disconnected.EraseBy
	case st.gone() && retention > 0 && st.Pause.Since.After(st.ErasedAt):
		return st.Pause.Since.Add(retention)
	}
	return time.Time{}
}
