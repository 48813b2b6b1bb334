package storetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
)

type (
	contact  = shopifysync.Contact
	outcome  = shopifysync.Outcome
	connID   = shopifysync.ConnectionID
	customer = shopifysync.CustomerID
)

// A rule decides what is stored under a key: nil for nothing.
type rule func(stored *contact, in contact, touch bool) (*contact, outcome)

// soundRule is the contract's.
func soundRule(stored *contact, in contact, touch bool) (*contact, outcome) {
	next, outcome := shopifysync.Apply(stored, in)
	switch {
	case outcome == stale:
		return stored, outcome
	case outcome == unchanged && in.Removed == "" && !touch && next.Version.UpdatedAt.Equal(stored.Version.UpdatedAt):
		return stored, outcome
	}
	return &next, outcome
}

// plain keeps contacts by a rule that may be broken. All but contacts is a
// MemoryStore's.
type plain struct {
	*shopifysync.MemoryStore
	rule rule
	// between is called between reading what is stored and writing what the
	// rule makes of it, without a lock, if it is set.
	between func()

	mu       sync.Mutex
	contacts map[connID]map[customer]*contact
}

func newPlain(r rule) *plain {
	if r == nil {
		r = soundRule
	}
	return &plain{MemoryStore: shopifysync.NewMemoryStore(), rule: r, contacts: make(map[connID]map[customer]*contact)}
}

// broken returns a factory of stores with that rule.
func broken(r rule) func() shopifysync.ContactStore {
	return func() shopifysync.ContactStore { return newPlain(r) }
}

func (s *plain) apply(in contact, touch bool) (outcome, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := s.contacts[in.Connection][in.CustomerID]
	if s.between != nil {
		s.mu.Unlock()
		s.between()
		s.mu.Lock()
	}
	live := stored != nil && stored.Removed == ""
	next, outcome := s.rule(stored, in, touch)
	if s.contacts[in.Connection] == nil {
		s.contacts[in.Connection] = make(map[customer]*contact)
	}
	if next == nil {
		delete(s.contacts[in.Connection], in.CustomerID)
	} else {
		s.contacts[in.Connection][in.CustomerID] = next
	}
	return outcome, live && outcome == removed
}

func (s *plain) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	var result shopifysync.UpsertContactsResult
	// The MemoryStore tells what is to be refused.
	judge, err := shopifysync.NewMemoryStore().UpsertContacts(ctx, p)
	if err != nil {
		return result, err
	}
	for i, in := range p.Contacts {
		upserted := judge.Results[i]
		if upserted.Outcome != shopifysync.Refused {
			upserted.Outcome, _ = s.apply(in, p.Touch)
		}
		result.Results = append(result.Results, upserted)
	}
	return result, nil
}

func (s *plain) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	var result shopifysync.RemoveContactsResult
	if _, err := s.MemoryStore.RemoveContacts(ctx, p); err != nil {
		return result, err
	}
	removals := p.Removals
	if p.All {
		s.mu.Lock()
		for id := range s.contacts[p.Connection] {
			removals = append(removals, removal(id))
		}
		s.mu.Unlock()
	}
	for _, r := range removals {
		outcome, live := unchanged, false
		if p.Reason != shopifysync.RemovedSkipped || s.has(p.Connection, r.CustomerID) {
			outcome, live = s.apply(contact{
				Connection: p.Connection, CustomerID: r.CustomerID, Removed: p.Reason, MergedInto: r.MergedInto,
				Version: shopifysync.Version{ObservedAt: p.ObservedAt},
			}, false)
		}
		if live {
			result.Removed++
		}
		if !p.All {
			result.Outcomes = append(result.Outcomes, outcome)
		}
	}
	return result, nil
}

func (s *plain) has(id connID, customer customer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.contacts[id][customer] != nil
}

func (s *plain) Contacts(ctx context.Context, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
	var result shopifysync.ContactsResult
	if _, err := s.MemoryStore.Contacts(ctx, p); err != nil {
		return result, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range p.IDs {
		if c := s.contacts[p.Connection][id]; c != nil {
			result.Contacts = append(result.Contacts, copyOf(*c))
		}
	}
	return result, nil
}

func copyOf(c contact) contact {
	c.Tags, c.Attributes = slices.Clone(c.Tags), slices.Clone(c.Attributes)
	if c.WhatsApp != nil {
		w := *c.WhatsApp
		c.WhatsApp = &w
	}
	return c
}

func (s *plain) ContactIDs(ctx context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
	var result shopifysync.ContactIDsResult
	if _, err := s.MemoryStore.ContactIDs(ctx, p); err != nil {
		return result, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.contacts[p.Connection] {
		if c.Removed == "" && id > p.After {
			result.IDs = append(result.IDs, id)
		}
	}
	slices.Sort(result.IDs)
	result.IDs = result.IDs[:min(len(result.IDs), p.Limit)]
	return result, nil
}

func (s *plain) FindContacts(ctx context.Context, p shopifysync.FindContactsParams) (shopifysync.FindContactsResult, error) {
	return s.live().FindContacts(ctx, p)
}

func (s *plain) SharedWhatsApp(ctx context.Context, p shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error) {
	return s.live().SharedWhatsApp(ctx, p)
}

// live returns a MemoryStore with the live contacts.
func (s *plain) live() *shopifysync.MemoryStore {
	live := shopifysync.NewMemoryStore()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, contacts := range s.contacts {
		for _, c := range contacts {
			if c.Removed == "" {
				_, _ = live.UpsertContacts(context.Background(), shopifysync.UpsertContactsParams{Connection: id, Contacts: []contact{*c}})
			}
		}
	}
	return live
}

// overridden is a MemoryStore some methods of which may be replaced.
type overridden struct {
	*shopifysync.MemoryStore
	upsert       func(context.Context, shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error)
	remove       func(context.Context, shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error)
	look         func(context.Context, shopifysync.ContactsParams) (shopifysync.ContactsResult, error)
	ids          func(context.Context, shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error)
	find         func(context.Context, shopifysync.FindContactsParams) (shopifysync.FindContactsResult, error)
	shared       func(context.Context, shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error)
	acquireLease func(context.Context, shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error)
	renewLease   func(context.Context, shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error)
	releaseLease func(context.Context, shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error)
	saveRun      func(context.Context, shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error)
	listRuns     func(context.Context, shopifysync.RunsParams) (shopifysync.RunsResult, error)
	putMarks     func(context.Context, shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error)
	listMarks    func(context.Context, shopifysync.MarksParams) (shopifysync.MarksResult, error)
	clearMarks   func(context.Context, shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error)
	postpone     func(context.Context, shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error)
	due          func(context.Context, shopifysync.DueConnectionsParams) (shopifysync.DueConnectionsResult, error)
	state        func(context.Context, shopifysync.ConnectionStateParams) (shopifysync.ConnectionStateResult, error)
	saveState    func(context.Context, shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error)
	forget       func(context.Context, shopifysync.ForgetConnectionParams) (shopifysync.ForgetConnectionResult, error)
	connection   func(context.Context, connID) (shopifysync.Connection, error)
	byShop       func(context.Context, shopifysync.Shop) ([]shopifysync.Connection, error)
	save         func(context.Context, shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error)
	remoteDelete func(context.Context, shopifysync.DeleteConnectionParams) (shopifysync.DeleteConnectionResult, error)
	list         func(context.Context, shopifysync.ListConnectionsParams) (shopifysync.ListConnectionsResult, error)
}

// override returns a MemoryStore with the methods that change replaces.
func override(change func(*overridden)) *overridden {
	m := shopifysync.NewMemoryStore()
	s := &overridden{
		MemoryStore: m,
		upsert:      m.UpsertContacts, remove: m.RemoveContacts, look: m.Contacts, ids: m.ContactIDs, find: m.FindContacts,
		shared:       m.SharedWhatsApp,
		acquireLease: m.AcquireLease, renewLease: m.RenewLease, releaseLease: m.ReleaseLease,
		saveRun: m.SaveRun, listRuns: m.Runs, putMarks: m.PutMarks, listMarks: m.Marks, clearMarks: m.ClearMarks,
		postpone: m.PostponeMarks, due: m.DueConnections,
		state: m.ConnectionState, saveState: m.SaveConnectionState, forget: m.ForgetConnection,
		connection: m.Connection, byShop: m.ConnectionsByShop, save: m.SaveConnection,
		remoteDelete: m.DeleteConnection, list: m.ListConnections,
	}
	change(s)
	return s
}

// overriding returns a factory of stores with the methods that change replaces.
func overriding(change func(*overridden)) func() shopifysync.ContactStore {
	return func() shopifysync.ContactStore { return override(change) }
}

func (s *overridden) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	return s.upsert(ctx, p)
}

func (s *overridden) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	return s.remove(ctx, p)
}

func (s *overridden) Contacts(ctx context.Context, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
	return s.look(ctx, p)
}

func (s *overridden) ContactIDs(ctx context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
	return s.ids(ctx, p)
}

func (s *overridden) FindContacts(ctx context.Context, p shopifysync.FindContactsParams) (shopifysync.FindContactsResult, error) {
	return s.find(ctx, p)
}

func (s *overridden) SharedWhatsApp(ctx context.Context, p shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error) {
	return s.shared(ctx, p)
}

func (s *overridden) AcquireLease(ctx context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
	return s.acquireLease(ctx, p)
}

func (s *overridden) RenewLease(ctx context.Context, p shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error) {
	return s.renewLease(ctx, p)
}

func (s *overridden) ReleaseLease(ctx context.Context, p shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
	return s.releaseLease(ctx, p)
}

func (s *overridden) SaveRun(ctx context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
	return s.saveRun(ctx, p)
}

func (s *overridden) Runs(ctx context.Context, p shopifysync.RunsParams) (shopifysync.RunsResult, error) {
	return s.listRuns(ctx, p)
}

func (s *overridden) PutMarks(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
	return s.putMarks(ctx, p)
}

func (s *overridden) Marks(ctx context.Context, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
	return s.listMarks(ctx, p)
}

func (s *overridden) ClearMarks(ctx context.Context, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
	return s.clearMarks(ctx, p)
}

func (s *overridden) PostponeMarks(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
	return s.postpone(ctx, p)
}

func (s *overridden) DueConnections(ctx context.Context, p shopifysync.DueConnectionsParams) (shopifysync.DueConnectionsResult, error) {
	return s.due(ctx, p)
}

func (s *overridden) ConnectionState(ctx context.Context, p shopifysync.ConnectionStateParams) (shopifysync.ConnectionStateResult, error) {
	return s.state(ctx, p)
}

func (s *overridden) SaveConnectionState(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
	return s.saveState(ctx, p)
}

func (s *overridden) ForgetConnection(ctx context.Context, p shopifysync.ForgetConnectionParams) (shopifysync.ForgetConnectionResult, error) {
	return s.forget(ctx, p)
}

func (s *overridden) Connection(ctx context.Context, id connID) (shopifysync.Connection, error) {
	return s.connection(ctx, id)
}

func (s *overridden) ConnectionsByShop(ctx context.Context, shop shopifysync.Shop) ([]shopifysync.Connection, error) {
	return s.byShop(ctx, shop)
}

func (s *overridden) SaveConnection(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
	return s.save(ctx, p)
}

func (s *overridden) DeleteConnection(ctx context.Context, p shopifysync.DeleteConnectionParams) (shopifysync.DeleteConnectionResult, error) {
	return s.remoteDelete(ctx, p)
}

func (s *overridden) ListConnections(ctx context.Context, p shopifysync.ListConnectionsParams) (shopifysync.ListConnectionsResult, error) {
	return s.list(ctx, p)
}

// byID returns a store that keeps everything under another connection id, and
// shows it under the one asked for.
func byID(key func(connID) connID) shopifysync.ContactStore {
	return override(func(s *overridden) {
		m := s.MemoryStore
		s.upsert = func(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			p.Connection = key(p.Connection)
			p.Contacts = slices.Clone(p.Contacts)
			for i := range p.Contacts {
				p.Contacts[i].Connection = p.Connection
			}
			return m.UpsertContacts(ctx, p)
		}
		s.remove = func(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			p.Connection = key(p.Connection)
			return m.RemoveContacts(ctx, p)
		}
		s.look = func(ctx context.Context, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
			asked := p.Connection
			p.Connection = key(asked)
			result, err := m.Contacts(ctx, p)
			for i := range result.Contacts {
				result.Contacts[i].Connection = asked
			}
			return result, err
		}
		s.ids = func(ctx context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			p.Connection = key(p.Connection)
			return m.ContactIDs(ctx, p)
		}
	})
}

// patient waits a moment, in synctest's time: whatever else is running gets
// there first.
func patient() { time.Sleep(time.Millisecond) }
