package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/storetest"
)

// A table stands for a host's own contacts table: an example of a ContactStore
// by somebody else. docs/own-store.md tells more.
type table struct {
	mu   sync.Mutex // in a database: a transaction that locks the rows
	rows map[key]row
}

type key struct {
	connection shopifysync.ConnectionID
	customer   shopifysync.CustomerID
}

// A row has what the library keeps, and what is the host's own.
type row struct {
	synced shopifysync.Contact // what Apply says; the library reads this back
	tags   []string            // what agents see and edit
}

func newTable() *table { return &table{rows: make(map[key]row)} }

func (t *table) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	var result shopifysync.UpsertContactsResult
	if err := check(ctx, p.Connection); err != nil {
		return result, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, in := range p.Contacts {
		if reason := unstorable(in); reason != "" {
			result.Results = append(result.Results, shopifysync.UpsertResult{Outcome: shopifysync.Refused, Reason: reason})
			continue
		}
		result.Results = append(result.Results, shopifysync.UpsertResult{Outcome: t.apply(in, p.Touch)})
	}
	return result, nil
}

func (t *table) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	var result shopifysync.RemoveContactsResult
	if err := check(ctx, p.Connection); err != nil {
		return result, err
	}
	if p.Reason == "" {
		return result, errors.New("a removal needs a reason")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	removals := p.Removals
	if p.All { // tombstones too: they are removed again, later
		for k := range t.rows {
			if k.connection == p.Connection {
				removals = append(removals, shopifysync.Removal{CustomerID: k.customer})
			}
		}
	}
	for _, r := range removals {
		stored, known := t.rows[key{p.Connection, r.CustomerID}]
		outcome := shopifysync.Unchanged
		if known || p.Reason != shopifysync.RemovedSkipped {
			outcome = t.apply(shopifysync.Contact{
				Connection: p.Connection, CustomerID: r.CustomerID,
				Version: shopifysync.Version{ObservedAt: p.ObservedAt},
				Removed: p.Reason, MergedInto: r.MergedInto,
			}, false)
		}
		if known && stored.synced.Removed == "" && outcome == shopifysync.Removed {
			result.Removed++
		}
		if !p.All {
			result.Outcomes = append(result.Outcomes, outcome)
		}
	}
	return result, nil
}

// apply is all there is to it: read, Apply, write.
func (t *table) apply(in shopifysync.Contact, touch bool) shopifysync.Outcome {
	k := key{in.Connection, in.CustomerID}
	before, known := t.rows[k]
	var stored *shopifysync.Contact
	if known {
		stored = &before.synced
	}
	next, outcome := shopifysync.Apply(stored, in)
	switch {
	case outcome == shopifysync.Stale:
		return outcome
	case outcome == shopifysync.Unchanged && in.Removed == "" && !touch &&
		next.Version.UpdatedAt.Equal(stored.Version.UpdatedAt):
		return outcome // costs no write
	}
	t.rows[k] = row{synced: next, tags: mergeTags(before.tags, before.synced.Tags, next.Tags)}
	return outcome
}

// mergeTags is the three-way merge: what Shopify added is added, what Shopify
// took away is taken away, and what an agent added or took away stays so.
func mergeTags(shown, before, after []string) []string {
	var merged []string
	for _, tag := range shown {
		if !slices.Contains(before, tag) || slices.Contains(after, tag) {
			merged = append(merged, tag)
		}
	}
	for _, tag := range after {
		if !slices.Contains(before, tag) && !slices.Contains(merged, tag) {
			merged = append(merged, tag)
		}
	}
	return merged
}

func (t *table) Contacts(ctx context.Context, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
	var result shopifysync.ContactsResult
	if err := check(ctx, p.Connection); err != nil {
		return result, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range p.IDs {
		if r, known := t.rows[key{p.Connection, id}]; known {
			result.Contacts = append(result.Contacts, copyOf(r.synced))
		}
	}
	return result, nil
}

func (t *table) ContactIDs(ctx context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
	var result shopifysync.ContactIDsResult
	if err := check(ctx, p.Connection); err != nil {
		return result, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, r := range t.rows {
		if k.connection == p.Connection && k.customer > p.After && r.synced.Removed == "" {
			result.IDs = append(result.IDs, k.customer)
		}
	}
	slices.Sort(result.IDs)
	result.IDs = result.IDs[:min(p.Limit, len(result.IDs))]
	return result, nil
}

// check refuses what a database could not hold as a key.
func check(ctx context.Context, id shopifysync.ConnectionID) error {
	if strings.Contains(string(id), "\x00") {
		return errors.New("the connection id holds a NUL character")
	}
	return ctx.Err()
}

// unstorable tells why a database could never hold the contact. It names the
// kind of text and not the text, which is personal.
func unstorable(c shopifysync.Contact) string {
	texts := append([]string{c.Name, c.FirstName, c.LastName, c.Email, c.Phone}, c.Tags...)
	for _, a := range c.Attributes {
		texts = append(texts, string(a.Key), a.Number, a.Currency, a.Text, a.Consent.Address,
			string(a.Consent.State), string(a.Consent.Level), a.Consent.CollectedFrom)
	}
	if w := c.WhatsApp; w != nil {
		texts = append(texts, w.Account, w.UserID, w.Name)
	}
	if slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "\x00") }) {
		return "a text holds a NUL character"
	}
	return ""
}

// copyOf keeps callers from changing what is stored; a database does so anyway.
func copyOf(c shopifysync.Contact) shopifysync.Contact {
	c.Tags, c.Attributes = slices.Clone(c.Tags), slices.Clone(c.Attributes)
	if c.WhatsApp != nil {
		linked := *c.WhatsApp
		c.WhatsApp = &linked
	}
	return c
}

// TestTable is what the package of the store has: the suite, on a store that
// is empty for every case.
func TestTable(t *testing.T) {
	storetest.Run(t, func(*testing.T) shopifysync.ContactStore { return newTable() }, storetest.Features{})
}

func TestMergeTags(t *testing.T) {
	for _, tt := range []struct {
		name                       string
		shown, before, after, want []string
	}{
		{"first sync", nil, nil, []string{"VIP"}, []string{"VIP"}},
		{"added in Shopify", []string{"VIP"}, []string{"VIP"}, []string{"VIP", "b2b"}, []string{"VIP", "b2b"}},
		{"removed in Shopify", []string{"VIP", "b2b"}, []string{"VIP", "b2b"}, []string{"VIP"}, []string{"VIP"}},
		{"the agent's own stays", []string{"mine", "VIP"}, []string{"VIP"}, nil, []string{"mine"}},
		{"the agent took one off", nil, []string{"VIP"}, []string{"VIP", "b2b"}, []string{"b2b"}},
		{"both added it", []string{"VIP"}, nil, []string{"VIP"}, []string{"VIP"}},
	} {
		if got := mergeTags(tt.shown, tt.before, tt.after); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// In a _test.go file of the store's own package.
func ExampleRun() {
	testStore := func(t *testing.T) { // TestStore
		storetest.Run(t, func(t *testing.T) shopifysync.ContactStore {
			return newTable() // for a database: a schema of its own, dropped by t.Cleanup
		}, storetest.Features{})
	}
	_ = testStore
}

// A store that keeps connections only, such as one in front of a vault.
func ExampleRunConnections() {
	testConnections := func(t *testing.T) { // TestConnections
		storetest.RunConnections(t, func(t *testing.T) shopifysync.ConnectionStore {
			return shopifysync.StaticConnections()
		})
	}
	_ = testConnections
}

// A host's table with tags of its own: an agent's tag outlives what the
// merchant does in Shopify.
func Example_ownTags() {
	ctx := context.Background()
	contacts := newTable()
	sync := func(second int, tags ...string) {
		at := time.Date(2024, time.May, 1, 10, 0, second, 0, time.UTC)
		result, err := contacts.UpsertContacts(ctx, shopifysync.UpsertContactsParams{
			Connection: "tenant-1",
			Contacts: []shopifysync.Contact{{
				Connection: "tenant-1", CustomerID: 7012345678901,
				Version: shopifysync.Version{UpdatedAt: at, ObservedAt: at},
				Name:    "王小明", Tags: tags,
			}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		k := key{"tenant-1", 7012345678901}
		fmt.Println(result.Results[0].Outcome, contacts.rows[k].tags)
		if second == 1 { // the agent's own
			r := contacts.rows[k]
			r.tags = append(r.tags, "call back")
			contacts.rows[k] = r
		}
	}
	sync(1, "VIP", "wholesale")
	sync(2, "VIP")
	sync(3, "VIP", "newsletter")
	sync(3, "VIP", "newsletter")
	// Output:
	// created [VIP wholesale]
	// updated [VIP call back]
	// updated [VIP call back newsletter]
	// unchanged [VIP call back newsletter]
}
