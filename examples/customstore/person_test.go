package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
)

func TestMergeTags(t *testing.T) {
	type tags = []string
	for _, tt := range []struct {
		name                        string
		shown, given, before, after tags
		want, wantGiven             tags
	}{
		{name: "first sync",
			after: tags{"VIP"}, want: tags{"VIP"}, wantGiven: tags{"VIP"}},
		{name: "first sync of a person who has tags",
			shown: tags{"mine"}, after: tags{"VIP"}, want: tags{"mine", "VIP"}, wantGiven: tags{"VIP"}},
		{name: "nothing changed",
			shown: tags{"mine", "VIP"}, given: tags{"VIP"}, before: tags{"VIP"}, after: tags{"VIP"},
			want: tags{"mine", "VIP"}, wantGiven: tags{"VIP"}},
		{name: "the agent added one",
			shown: tags{"VIP", "mine"}, given: tags{"VIP"}, before: tags{"VIP"}, after: tags{"VIP", "b2b"},
			want: tags{"VIP", "mine", "b2b"}, wantGiven: tags{"VIP", "b2b"}},
		{name: "the agent took one of Shopify's off",
			given: tags{"VIP"}, before: tags{"VIP"}, after: tags{"VIP", "b2b"},
			want: tags{"b2b"}, wantGiven: tags{"b2b"}},
		{name: "the agent took one off, and so did Shopify",
			given: tags{"VIP"}, before: tags{"VIP"}},
		{name: "Shopify took one away",
			shown: tags{"VIP", "b2b"}, given: tags{"VIP", "b2b"}, before: tags{"VIP", "b2b"}, after: tags{"b2b"},
			want: tags{"b2b"}, wantGiven: tags{"b2b"}},
		{name: "Shopify took one away that the agent had taken off and set again",
			shown: tags{"mine", "VIP"}, given: nil, before: tags{"VIP"}, want: tags{"mine", "VIP"}},
		{name: "Shopify took one away and gave it again",
			shown: nil, given: nil, before: nil, after: tags{"VIP"}, want: tags{"VIP"}, wantGiven: tags{"VIP"}},
		{name: "both added the same: it is there once, and the agent's",
			shown: tags{"VIP"}, after: tags{"VIP"}, want: tags{"VIP"}},
		{name: "both added the same, then Shopify took it away: the agent's stays",
			shown: tags{"VIP"}, before: tags{"VIP"}, want: tags{"VIP"}},
		{name: "case counts",
			shown: tags{"vip"}, after: tags{"VIP"}, want: tags{"vip", "VIP"}, wantGiven: tags{"VIP"}},
		{name: "removal or redaction: Shopify's go, the agent's stay",
			shown: tags{"mine", "VIP", "b2b"}, given: tags{"VIP", "b2b"}, before: tags{"VIP", "b2b"}, want: tags{"mine"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, given := mergeTags(tt.shown, tt.given, tt.before, tt.after)
			if diff := cmp.Diff([]tags{tt.want, tt.wantGiven}, []tags{got, given}); diff != "" {
				t.Errorf("tags and given (-want +got):\n%s", diff)
			}
		})
	}
}

const tenant shopifysync.ConnectionID = "tenant-1"

// row is a row of the team's table.
type row struct{ Name, Email, Phone, Tags, Note, Ref string }

// A desk is a store with what these tests do to it.
type desk struct {
	*Store
	t *testing.T
}

func newDesk(t *testing.T) desk { return desk{newStore(t), t} }

// at is a time by Shopify's clock.
func at(second int) time.Time { return time.Date(2026, 5, 1, 10, 0, second, 0, time.UTC) }

func customer(id shopifysync.CustomerID, second int, tags ...string) shopifysync.Contact {
	return shopifysync.Contact{
		Connection: tenant, CustomerID: id, Version: shopifysync.Version{UpdatedAt: at(second), ObservedAt: at(second)},
		Name: "王小明", FirstName: "小明", LastName: "王", Email: "ming@example.com", Phone: "+886912345678", Tags: tags,
	}
}

func (d desk) sync(want shopifysync.Outcome, c shopifysync.Contact) {
	d.t.Helper()
	got, err := d.UpsertContacts(d.t.Context(), shopifysync.UpsertContactsParams{Connection: tenant, Contacts: []shopifysync.Contact{c}})
	if err != nil {
		d.t.Fatal(err)
	}
	if outcome := got.Results[0].Outcome; outcome != want {
		d.t.Fatalf("the outcome is %q, want %q", outcome, want)
	}
}

func (d desk) remove(reason shopifysync.RemovalReason, second int, id shopifysync.CustomerID) {
	d.t.Helper()
	_, err := d.RemoveContacts(d.t.Context(), shopifysync.RemoveContactsParams{
		Connection: tenant, Removals: []shopifysync.Removal{{CustomerID: id}}, Reason: reason, ObservedAt: at(second),
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// agent runs a statement of the team's own program.
func (d desk) agent(statement string, args ...any) {
	d.t.Helper()
	if _, err := d.db.ExecContext(d.t.Context(), statement, args...); err != nil {
		d.t.Fatal(err)
	}
}

// want compares the team's whole table, by id.
func (d desk) want(want map[int64]row) {
	d.t.Helper()
	rows, err := d.db.QueryContext(context.Background(),
		`SELECT id, display_name, email, phone, tags, agent_note, COALESCE(external_ref, '') FROM people`)
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	got := make(map[int64]row)
	for rows.Next() {
		var id int64
		var r row
		if err := rows.Scan(&id, &r.Name, &r.Email, &r.Phone, &r.Tags, &r.Note, &r.Ref); err != nil {
			d.t.Fatal(err)
		}
		got[id] = r
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("people (-want +got):\n%s", diff)
	}
}

// linked is what a sync of customer(7) makes of a person, with an agent's work.
var linked = row{"王小明", "ming@example.com", "00886912345678", `["VIP","mine"]`, "call after 18:00", "shopify:tenant-1:7"}

func (d desk) link() {
	d.t.Helper()
	d.sync(shopifysync.Created, customer(7, 1, "VIP"))
	d.agent(`UPDATE people SET tags = '["VIP","mine"]', agent_note = 'call after 18:00'`)
	d.want(map[int64]row{1: linked})
}

// with returns a copy of a row with changes.
func (r row) with(change func(*row)) row {
	change(&r)
	return r
}

func TestAgentsWorkStays(t *testing.T) {
	d := newDesk(t)
	d.link()
	d.agent(`UPDATE people SET display_name = '小王'`)

	c := customer(7, 2, "VIP", "b2b") // with the old name
	d.sync(shopifysync.Updated, c)
	d.want(map[int64]row{1: linked.with(func(r *row) { r.Name, r.Tags = "小王", `["VIP","mine","b2b"]` })})

	c = customer(7, 3, "b2b")
	c.Name, c.Email = "王大明", ""
	d.sync(shopifysync.Updated, c)
	d.want(map[int64]row{1: linked.with(func(r *row) { r.Name, r.Email, r.Tags = "王大明", "", `["mine","b2b"]` })})

	c = customer(7, 4)
	c.Name, c.Phone, c.Masked = "", "", shopifysync.FieldTags|shopifysync.FieldName
	d.sync(shopifysync.Updated, c) // no phone any more, while name and tags were not seen
	d.want(map[int64]row{1: linked.with(func(r *row) {
		r.Name, r.Email, r.Phone, r.Tags = "王大明", "ming@example.com", "", `["mine","b2b"]`
	})})
}

func TestUnlinkOrErase(t *testing.T) {
	unlinked := linked.with(func(r *row) { r.Tags, r.Ref = `["mine"]`, "" })
	erased := row{Tags: `["mine"]`, Note: "call after 18:00"}
	for _, tt := range []struct {
		reason shopifysync.RemovalReason
		want   row
	}{
		{shopifysync.RemovedDeleted, unlinked},
		{shopifysync.RemovedMerged, unlinked},
		{shopifysync.RemovedSkipped, unlinked},
		{shopifysync.RemovedDisconnected, unlinked},
		{shopifysync.RemovedShopRedacted, erased},
		{shopifysync.RemovedRedacted, erased},
	} {
		t.Run(string(tt.reason), func(t *testing.T) {
			d := newDesk(t)
			d.link()
			d.sync(shopifysync.Created, customer(8, 1)) // a bystander
			d.remove(tt.reason, 2, 7)
			bystander := row{"王小明", "ming@example.com", "00886912345678", "[]", "", "shopify:tenant-1:8"}
			d.want(map[int64]row{1: tt.want, 2: bystander})
		})
	}
}

// A redaction may come long after a deletion: the person is unlinked by then,
// and must be found all the same.
func TestRedactionFindsTheUnlinked(t *testing.T) {
	for _, reason := range []shopifysync.RemovalReason{shopifysync.RemovedRedacted, shopifysync.RemovedShopRedacted} {
		for _, second := range []int{3, 100} { // observed before the deletion, and after
			t.Run(fmt.Sprintf("%s at %d", reason, second), func(t *testing.T) {
				d := newDesk(t)
				d.link()
				d.remove(shopifysync.RemovedDeleted, 10, 7)
				d.remove(reason, second, 7)
				d.want(map[int64]row{1: {Tags: `["mine"]`, Note: "call after 18:00"}})
				d.agent(`UPDATE people SET display_name = 'a new name from the chat'`)
				d.remove(reason, second, 7) // repeated: it leads to nobody any more
				d.want(map[int64]row{1: {Name: "a new name from the chat", Tags: `["mine"]`, Note: "call after 18:00"}})
			})
		}
	}
}

// Whoever was merged into an erased member is that person, too: the row that the
// team had under the old number is found through the tombstone.
func TestErasureFindsTheMerged(t *testing.T) {
	d := newDesk(t)
	d.link()
	d.sync(shopifysync.Created, customer(8, 1))
	if _, err := d.RemoveContacts(t.Context(), shopifysync.RemoveContactsParams{
		Connection: tenant, Removals: []shopifysync.Removal{{CustomerID: 7, MergedInto: 8}}, Reason: shopifysync.RemovedMerged, ObservedAt: at(2),
	}); err != nil {
		t.Fatal(err)
	}
	syncer, err := shopifysync.New(d.Store, shopifysync.StaticConnections(), shopifysync.WithStateStore(shopifysync.NewMemoryStore()))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := syncer.Erase(t.Context(), shopifysync.PersonParams{Connection: tenant, CustomerID: 8})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]shopifysync.CustomerID{7, 8}, receipt.Customers); diff != "" {
		t.Errorf("erased (-want +got):\n%s", diff)
	}
	d.want(map[int64]row{1: {Tags: `["mine"]`, Note: "call after 18:00"}, 2: {Tags: "[]"}})
}

func TestShopRedactionOfAllFindsTheUnlinked(t *testing.T) {
	d := newDesk(t)
	d.link()
	d.remove(shopifysync.RemovedDeleted, 10, 7)
	_, err := d.RemoveContacts(t.Context(), shopifysync.RemoveContactsParams{
		Connection: tenant, All: true, Reason: shopifysync.RemovedShopRedacted, ObservedAt: at(20),
	})
	if err != nil {
		t.Fatal(err)
	}
	d.want(map[int64]row{1: {Tags: `["mine"]`, Note: "call after 18:00"}})
}

func TestComesBack(t *testing.T) {
	d := newDesk(t)
	d.link()
	d.remove(shopifysync.RemovedDeleted, 2, 7)
	d.sync(shopifysync.Created, customer(7, 3, "VIP"))
	d.want(map[int64]row{1: linked.with(func(r *row) { r.Tags = `["mine","VIP"]` })}) // the same person

	d.remove(shopifysync.RemovedShopRedacted, 4, 7)
	d.sync(shopifysync.Created, customer(7, 5, "VIP"))
	d.want(map[int64]row{ // another one: nothing leads back to who was erased
		1: {Tags: `["mine"]`, Note: "call after 18:00"},
		2: linked.with(func(r *row) { r.Tags, r.Note = `["VIP"]`, "" }),
	})
}

// A person imported by hand under the reference is taken over. What Shopify
// does not have stays.
func TestImportedPerson(t *testing.T) {
	d := newDesk(t)
	d.agent(`INSERT INTO people (id, display_name, phone, tags, external_ref) VALUES (40, '小明', '0085291234567', '["VIP"]', 'shopify:tenant-1:7')`)
	c := customer(7, 1, "VIP")
	c.Phone = ""
	d.sync(shopifysync.Created, c)
	want := row{"王小明", "ming@example.com", "0085291234567", `["VIP"]`, "", "shopify:tenant-1:7"}
	d.want(map[int64]row{40: want})

	c = customer(7, 2)
	c.Phone = ""
	d.sync(shopifysync.Updated, c) // VIP was the team's before it was Shopify's
	d.want(map[int64]row{40: want})
}

// The reference tells more than the link that was: the team imported the member
// anew while it was unlinked.
func TestImportedAnew(t *testing.T) {
	d := newDesk(t)
	d.link()
	d.remove(shopifysync.RemovedDeleted, 2, 7)
	d.agent(`INSERT INTO people (id, display_name, external_ref) VALUES (40, '小明', 'shopify:tenant-1:7')`)
	d.sync(shopifysync.Created, customer(7, 3, "VIP"))
	d.want(map[int64]row{
		1:  linked.with(func(r *row) { r.Tags, r.Ref = `["mine"]`, "" }),
		40: linked.with(func(r *row) { r.Tags, r.Note = `["VIP"]`, "" }),
	})
}

func TestRedactionOfImportedNeverSynced(t *testing.T) {
	d := newDesk(t)
	d.agent(`INSERT INTO people (id, display_name, external_ref) VALUES (40, '小明', 'shopify:tenant-1:7'), (41, '大文', NULL)`)
	d.remove(shopifysync.RemovedRedacted, 1, 7)
	d.want(map[int64]row{40: {Tags: "[]"}, 41: {Name: "大文", Tags: "[]"}})
}

// A person who was linked to a customer once and is linked to another one now
// is not touched by what becomes of the first.
func TestLinkedAnew(t *testing.T) {
	d := newDesk(t)
	d.link()
	d.remove(shopifysync.RemovedMerged, 2, 7)
	d.agent(`UPDATE people SET external_ref = 'shopify:tenant-1:8'`)
	d.sync(shopifysync.Created, customer(8, 3))
	d.remove(shopifysync.RemovedRedacted, 4, 7)
	d.want(map[int64]row{1: linked.with(func(r *row) { r.Tags, r.Ref = `["mine"]`, "shopify:tenant-1:8" })})
}

// The team deletes a person, and SQLite gives the id to the next one.
func TestPersonDeletedByTheTeam(t *testing.T) {
	d := newDesk(t)
	d.link()
	d.agent(`DELETE FROM people`)
	d.agent(`INSERT INTO people (id, display_name) VALUES (1, '林怡君')`)
	d.remove(shopifysync.RemovedRedacted, 2, 7)
	d.want(map[int64]row{1: {Name: "林怡君", Tags: "[]"}})
}

// The next change brings the member back, whole.
func TestPersonDeletedAndMemberChanged(t *testing.T) {
	d := newDesk(t)
	d.link()
	d.agent(`DELETE FROM people`)
	d.sync(shopifysync.Updated, customer(7, 2, "VIP", "b2b"))
	d.want(map[int64]row{1: linked.with(func(r *row) { r.Tags, r.Note = `["VIP","b2b"]`, "" })})
}

// Tags that came from Shopify onto one person are not taken off another who
// bears the reference by now.
func TestReferenceMoved(t *testing.T) {
	d := newDesk(t)
	d.link()
	d.agent(`UPDATE people SET external_ref = NULL`)
	d.agent(`INSERT INTO people (id, display_name, tags, external_ref) VALUES (40, '小明', '["VIP"]', 'shopify:tenant-1:7')`)
	d.sync(shopifysync.Updated, customer(7, 2))
	d.want(map[int64]row{
		1:  linked.with(func(r *row) { r.Ref = "" }),
		40: linked.with(func(r *row) { r.Tags, r.Note = `["VIP"]`, "" }),
	})
}

func TestConnectionsAreApart(t *testing.T) {
	d := newDesk(t)
	d.link()
	other := customer(7, 1)
	other.Connection = "tenant-2"
	if _, err := d.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{Connection: "tenant-2", Contacts: []shopifysync.Contact{other}}); err != nil {
		t.Fatal(err)
	}
	d.remove(shopifysync.RemovedRedacted, 2, 7)
	d.want(map[int64]row{
		1: {Tags: `["mine"]`, Note: "call after 18:00"},
		2: {"王小明", "ming@example.com", "00886912345678", "[]", "", "shopify:tenant-2:7"},
	})
}

// When the team's row cannot be read, nothing of the call is stored.
func TestAllOrNothing(t *testing.T) {
	d := newDesk(t)
	d.link()
	d.agent(`UPDATE people SET tags = 'VIP, mine'`)
	_, err := d.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{
		Connection: tenant, Contacts: []shopifysync.Contact{customer(6, 2), customer(7, 2, "b2b")},
	})
	if want := "customstore: the tags of person 1 are no JSON array of texts: correct them"; err == nil || err.Error() != want {
		t.Fatalf("error %v, want %s", err, want)
	}
	d.want(map[int64]row{1: linked.with(func(r *row) { r.Tags = "VIP, mine" })})
	got, err := d.Contacts(t.Context(), shopifysync.ContactsParams{Connection: tenant, IDs: []shopifysync.CustomerID{6, 7}})
	if err != nil || len(got.Contacts) != 1 || got.Contacts[0].Tags[0] != "VIP" {
		t.Errorf("contacts %v, error %v", got.Contacts, err)
	}
}

func TestUnchangedCostsNoWrite(t *testing.T) {
	d := newDesk(t)
	conn, err := d.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	version := func() (n int) { // grows with each commit of another connection that wrote
		if err := conn.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	d.sync(shopifysync.Created, customer(7, 1))
	before := version()
	c := customer(7, 1)
	c.Version.ObservedAt = at(2)
	d.sync(shopifysync.Unchanged, c)
	if version() != before {
		t.Error("an unchanged contact was written")
	}
	c.Tags = []string{"VIP"}
	d.sync(shopifysync.Updated, c)
	if version() == before {
		t.Error("an updated contact was not noticed: this test is blind")
	}
}

// Agents and the sync change tags of one person at once: none is lost.
func TestAgentsAndSyncAtOnce(t *testing.T) {
	const n = 20
	d := newDesk(t)
	d.sync(shopifysync.Created, customer(7, 1))
	var all sync.WaitGroup
	all.Go(func() {
		for i := range n {
			if _, err := d.db.ExecContext(t.Context(), `UPDATE people SET tags = json_insert(tags, '$[#]', ?)`, fmt.Sprint("agent ", i)); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		var tags []string
		for i := range n {
			tags = append(tags, fmt.Sprintf("shop %02d", i))
			_, err := d.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{
				Connection: tenant, Contacts: []shopifysync.Contact{customer(7, 2+i, tags...)},
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	var count int
	if err := d.db.QueryRow(`SELECT json_array_length(tags) FROM people`).Scan(&count); err != nil || count != 2*n {
		t.Errorf("%d tags, want %d; error %v", count, 2*n, err)
	}
}

func TestDialled(t *testing.T) {
	for phone, want := range map[string]string{"+886912345678": "00886912345678", "": "", "0912-345-678": "0912-345-678"} {
		if got := dialled(phone); got != want {
			t.Errorf("dialled(%q) = %q, want %q", phone, got, want)
		}
	}
}
