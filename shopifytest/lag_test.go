package shopifytest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

const readNotes = `query Notes($ids: [ID!]!) { nodes(ids: $ids) { ... on Customer { note } } }`

// notes reads the notes of customers by their ids; of one that is not there,
// "gone".
func (a *app) notes(ids ...int64) []string {
	a.t.Helper()
	gids := make([]string, len(ids))
	for i, id := range ids {
		gids[i] = gid(id)
	}
	var notes []string
	for _, n := range list(at(a.data(readNotes, map[string]any{"ids": gids}), "nodes")) {
		if n == nil {
			notes = append(notes, "gone")
		} else {
			notes = append(notes, text(at(n, "note")))
		}
	}
	return notes
}

// Reads by id are as old as the replica that answers them.
func TestReadLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := shopifytest.NewServer()
		defer srv.Close()
		store := srv.AddStore(shopifytest.StoreConfig{Domain: domain})
		app := newApp(t, srv)
		store.Generate(1, 1)
		old := store.Newest(1)[0].ID
		check(t, store.UpdateQuietly(old, func(c *shopifytest.Customer) { c.Note = "one" }))
		time.Sleep(time.Hour)

		store.Configure(func(c *shopifytest.StoreConfig) { c.ReadLag = 3 * time.Second })
		note := func(text string) {
			t.Helper()
			check(t, store.Update(old, func(c *shopifytest.Customer) { c.Note = text }))
		}
		expect := func(ids []int64, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, app.notes(ids...)); diff != "" {
				t.Error(diff)
			}
		}
		note("two")
		made := store.Create(shopifytest.Customer{Note: "new"}).ID
		both := []int64{old, made}
		expect(both, "one", "gone")
		time.Sleep(time.Second)
		note("three") // while "two" is still to be seen
		note("four")
		time.Sleep(2 * time.Second)
		expect(both, "two", "new")
		check(t, store.Delete(made))
		expect(both, "two", "new")
		time.Sleep(time.Second)
		expect(both, "four", "new")
		time.Sleep(2 * time.Second)
		expect(both, "four", "gone")

		// Lists are not behind, and a fault can be for one read alone.
		store.Configure(func(c *shopifytest.StoreConfig) { c.ReadLag = 0 })
		store.Inject(shopifytest.Fault{Operation: "Notes", ReadLag: time.Second})
		note("five")
		expect([]int64{old}, "four")
		expect([]int64{old}, "five")

		// Longer ago than was kept: the oldest version that is, not nothing.
		note("six")
		store.Inject(shopifytest.Fault{Operation: "Notes", ReadLag: time.Hour})
		expect([]int64{old}, "four")
	})
}
