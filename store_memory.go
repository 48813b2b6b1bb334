package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// A MemoryStore keeps contacts, state and connections in memory: a
// [ContactStore], a [StateStore], a [ConnectionStore], a [ContactFinder] and a
// [WhatsAppSharer], for tests and for trying the library out.
//
// Everything in it dies with the process: tombstones too, so that a person who
// was redacted comes back with the next run of a new process. Its clock is
// [time.Now]. It is safe for concurrent use, and shares no memory with its
// callers.
type MemoryStore struct {
	connectionMap

	mu       sync.Mutex
	contacts map[ConnectionID]*memoryContacts
	state    map[ConnectionID]*memoryState
}

var _ interface {
	ContactStore
	StateStore
	ConnectionStore
	ContactFinder
	WhatsAppSharer
} = (*MemoryStore)(nil)

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{
		contacts: make(map[ConnectionID]*memoryContacts),
		state:    make(map[ConnectionID]*memoryState),
	}
}

// memoryContacts are the contacts of one connection, tombstones included.
type memoryContacts struct {
	byID map[CustomerID]*Contact
	ids  idList // every key of byID: keys are never deleted
}

// lockContacts locks s and returns the connection's contacts; the caller
// unlocks.
func (s *MemoryStore) lockContacts(ctx context.Context, id ConnectionID) (*memoryContacts, error) {
	if err := checkCall(ctx, id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	c := s.contacts[id]
	if c == nil {
		c = &memoryContacts{byID: make(map[CustomerID]*Contact)}
		s.contacts[id] = c
	}
	return c, nil
}

// UpsertContacts implements [ContactStore].
func (s *MemoryStore) UpsertContacts(ctx context.Context, p UpsertContactsParams) (UpsertContactsResult, error) {
	contacts, err := s.lockContacts(ctx, p.Connection)
	if err != nil {
		return UpsertContactsResult{}, err
	}
	defer s.mu.Unlock()
	results := make([]UpsertResult, len(p.Contacts))
	for i, in := range p.Contacts {
		results[i] = contacts.upsert(p, in)
	}
	return UpsertContactsResult{Results: results}, nil
}

func (m *memoryContacts) upsert(p UpsertContactsParams, in Contact) UpsertResult {
	if reason := refusal(p.Connection, in); reason != "" {
		return UpsertResult{Outcome: Refused, Reason: reason}
	}
	stored := m.byID[in.CustomerID]
	next, outcome := Apply(stored, in)
	switch {
	case outcome == Stale:
	case outcome == Unchanged && !p.Touch && next.Version.UpdatedAt.Equal(stored.Version.UpdatedAt):
	default:
		m.put(next)
	}
	return UpsertResult{Outcome: outcome}
}

func (m *memoryContacts) put(c Contact) {
	if m.byID[c.CustomerID] == nil {
		m.ids.add(c.CustomerID)
	}
	m.byID[c.CustomerID] = &c
}

// RemoveContacts implements [ContactStore]. A call without a reason, or with
// both All and Removals, is an error.
func (s *MemoryStore) RemoveContacts(ctx context.Context, p RemoveContactsParams) (RemoveContactsResult, error) {
	switch {
	case p.Reason == "":
		return RemoveContactsResult{}, errors.New("shopifysync: a removal needs a reason")
	case p.All && len(p.Removals) > 0:
		return RemoveContactsResult{}, errors.New("shopifysync: a removal of all contacts must not list some")
	}
	contacts, err := s.lockContacts(ctx, p.Connection)
	if err != nil {
		return RemoveContactsResult{}, err
	}
	defer s.mu.Unlock()
	var result RemoveContactsResult
	if p.All {
		for id, stored := range contacts.byID {
			live := stored.Removed == ""
			if contacts.remove(p, Removal{CustomerID: id}) == Removed && live {
				result.Removed++
			}
		}
		return result, nil
	}
	result.Outcomes = make([]Outcome, len(p.Removals))
	for i, r := range p.Removals {
		stored := contacts.byID[r.CustomerID]
		live := stored != nil && stored.Removed == ""
		result.Outcomes[i] = contacts.remove(p, r)
		if result.Outcomes[i] == Removed && live {
			result.Removed++
		}
	}
	return result, nil
}

func (m *memoryContacts) remove(p RemoveContactsParams, r Removal) Outcome {
	stored := m.byID[r.CustomerID]
	if stored == nil && p.Reason == RemovedSkipped {
		return Unchanged
	}
	next, outcome := Apply(stored, Contact{
		Connection: p.Connection, CustomerID: r.CustomerID,
		Version: Version{ObservedAt: p.ObservedAt},
		Removed: p.Reason, MergedInto: r.MergedInto,
	})
	if outcome != Stale {
		m.put(next)
	}
	return outcome
}

// Contacts implements [ContactStore]; they come by ascending id.
func (s *MemoryStore) Contacts(ctx context.Context, p ContactsParams) (ContactsResult, error) {
	contacts, err := s.lockContacts(ctx, p.Connection)
	if err != nil {
		return ContactsResult{}, err
	}
	defer s.mu.Unlock()
	var found []Contact
	for _, id := range slices.Compact(slices.Sorted(slices.Values(p.IDs))) {
		if c := contacts.byID[id]; c != nil {
			found = append(found, cloneContact(*c))
		}
	}
	return ContactsResult{Contacts: found}, nil
}

// ContactIDs implements [ContactStore].
func (s *MemoryStore) ContactIDs(ctx context.Context, p ContactIDsParams) (ContactIDsResult, error) {
	if err := checkLimit(p.Limit); err != nil {
		return ContactIDsResult{}, err
	}
	contacts, err := s.lockContacts(ctx, p.Connection)
	if err != nil {
		return ContactIDsResult{}, err
	}
	defer s.mu.Unlock()
	var ids []CustomerID
	for _, id := range contacts.ids.after(p.After) {
		if len(ids) == p.Limit {
			break
		}
		if contacts.byID[id].Removed == "" {
			ids = append(ids, id)
		}
	}
	return ContactIDsResult{IDs: ids}, nil
}

// FindContacts implements [ContactFinder]. It looks at every contact of the
// connection.
func (s *MemoryStore) FindContacts(ctx context.Context, p FindContactsParams) (FindContactsResult, error) {
	contacts, err := s.lockContacts(ctx, p.Connection)
	if err != nil {
		return FindContactsResult{}, err
	}
	defer s.mu.Unlock()
	email := lowerASCII(p.Email)
	var found []Contact
	for _, id := range contacts.ids.after(0) {
		c := contacts.byID[id]
		if c.Email != "" && lowerASCII(c.Email) == email || c.Phone != "" && c.Phone == p.Phone {
			found = append(found, cloneContact(*c))
		}
	}
	return FindContactsResult{Contacts: found}, nil
}

// MergedCustomers implements [MergedFinder]. It looks at every contact of the
// connection.
func (s *MemoryStore) MergedCustomers(ctx context.Context, p MergedCustomersParams) (MergedCustomersResult, error) {
	contacts, err := s.lockContacts(ctx, p.Connection)
	if err != nil {
		return MergedCustomersResult{}, err
	}
	defer s.mu.Unlock()
	var merged []CustomerID
	for _, id := range contacts.ids.after(0) {
		if into := contacts.byID[id].MergedInto; into != 0 && into == p.Into {
			merged = append(merged, id)
		}
	}
	return MergedCustomersResult{Customers: merged}, nil
}

// SharedWhatsApp implements [WhatsAppSharer]. It looks at every contact of the
// connection.
func (s *MemoryStore) SharedWhatsApp(ctx context.Context, p SharedWhatsAppParams) (SharedWhatsAppResult, error) {
	if err := checkLimit(p.Limit); err != nil {
		return SharedWhatsAppResult{}, err
	}
	contacts, err := s.lockContacts(ctx, p.Connection)
	if err != nil {
		return SharedWhatsAppResult{}, err
	}
	defer s.mu.Unlock()
	linked := make(map[string][]CustomerID)
	for _, id := range contacts.ids.after(0) {
		if w := contacts.byID[id].WhatsApp; w != nil && w.Account == p.Account && w.UserID > p.After {
			linked[w.UserID] = append(linked[w.UserID], id)
		}
	}
	var result SharedWhatsAppResult
	for _, user := range slices.Sorted(maps.Keys(linked)) {
		if customers := linked[user]; len(customers) > 1 && len(result.Shared) < p.Limit {
			result.Shared = append(result.Shared, SharedWhatsApp{UserID: user, Customers: customers[:min(len(customers), MaxSharers)]})
		}
	}
	return result, nil
}

// lowerASCII lowers A to Z only: strings.ToLower and strings.EqualFold would
// take the Kelvin sign for a k, and so one person for another.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// refusal tells why a contact can never be stored, or returns "". The memory
// could hold any text; refusing what databases refuse lets a test find it.
func refusal(connection ConnectionID, c Contact) string {
	switch {
	case c.Connection != connection:
		return "the contact belongs to another connection"
	case c.CustomerID <= 0:
		return "the contact has no customer id"
	case c.Removed != "":
		return "a contact is removed by RemoveContacts"
	}
	fields := []struct{ name, text string }{
		{"the name", c.Name}, {"the first name", c.FirstName}, {"the last name", c.LastName},
		{"the e-mail", c.Email}, {"the phone", c.Phone}, {"the phone's source", string(c.PhoneSource)},
	}
	for _, f := range fields {
		if !storable(f.text) {
			return f.name + unstorable
		}
	}
	for _, t := range c.Tags {
		if !storable(t) {
			return "a tag" + unstorable
		}
	}
	for _, a := range c.Attributes {
		if !storable(string(a.Key)) {
			return "an attribute's key" + unstorable
		}
		if !storable(string(a.Kind), a.Number, a.Currency, a.Text, string(a.Consent.State),
			string(a.Consent.Level), a.Consent.CollectedFrom, a.Consent.Address) {
			return "the attribute " + string(a.Key) + unstorable
		}
	}
	if w := c.WhatsApp; w != nil && !storable(w.Account, w.UserID, w.Name) {
		return "the WhatsApp contact" + unstorable
	}
	return ""
}

const unstorable = " holds a NUL character or is not valid UTF-8"

// storable reports whether a database can hold the texts: PostgreSQL takes
// neither NUL nor invalid UTF-8.
func storable(texts ...string) bool {
	for _, t := range texts {
		if strings.IndexByte(t, 0) >= 0 || !utf8.ValidString(t) {
			return false
		}
	}
	return true
}

// checkCall is what every method of the store begins with.
func checkCall(ctx context.Context, id ConnectionID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if id == "" || len(id) > 255 || !storable(string(id)) {
		return fmt.Errorf("%w: its ID must be 1 to 255 bytes of UTF-8 without NUL", ErrInvalidConnection)
	}
	return nil
}

// checkLimit refuses a page that could never end a listing.
func checkLimit(limit int) error {
	if limit < 1 {
		return errors.New("shopifysync: a page's limit must be at least 1")
	}
	return nil
}

// cloneContact returns a copy that shares no memory with c.
func cloneContact(c Contact) Contact {
	c.Tags = slices.Clone(c.Tags)
	c.Attributes = slices.Clone(c.Attributes)
	if c.WhatsApp != nil {
		linked := *c.WhatsApp
		c.WhatsApp = &linked
	}
	return c
}

// An idList lists ids in ascending order. It is sorted when it is read, not
// when it grows: a run adds 100,000 ids, newest first, before anybody asks.
type idList struct {
	ids      []CustomerID
	unsorted bool
}

func (l *idList) add(id CustomerID) {
	if n := len(l.ids); n > 0 && id <= l.ids[n-1] {
		l.unsorted = true
	}
	l.ids = append(l.ids, id)
}

// after returns the ids greater than id, each once. The slice is l's own.
func (l *idList) after(id CustomerID) []CustomerID {
	if l.unsorted {
		slices.Sort(l.ids)
		l.ids = slices.Compact(l.ids)
		l.unsorted = false
	}
	i, found := slices.BinarySearch(l.ids, id)
	if found {
		i++
	}
	return l.ids[i:]
}
