package shopifysync_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

func (w *world) mark(marks ...shopifysync.Mark) {
	w.t.Helper()
	for i := range marks {
		marks[i].Connection = connID
	}
	if _, err := w.store.PutMarks(w.t.Context(), shopifysync.PutMarksParams{Connection: connID, Marks: marks}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) openMarks() []shopifysync.Mark {
	w.t.Helper()
	got, err := w.store.Marks(w.t.Context(), shopifysync.MarksParams{Connection: connID, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return got.Marks
}

// A drain brings in what was marked, and clears the marks.
func TestDrain(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		time.Sleep(2 * time.Second)
		ids := w.ids()
		changed, gone := ids[0], ids[1]
		if err := w.shop.Update(changed, func(c *shopifytest.Customer) { c.Note = "moved" }); err != nil {
			t.Fatal(err)
		}
		if err := w.shop.Delete(gone); err != nil {
			t.Fatal(err)
		}
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(changed), Reason: "customers/update"},
			shopifysync.Mark{CustomerID: shopifysync.CustomerID(gone), Reason: "customers/delete"},
			shopifysync.Mark{CustomerID: shopifysync.CustomerID(ids[2])})
		r, err := s.Drain(t.Context(), connID)
		if err != nil {
			t.Fatal(err)
		}
		if r.Seen != 2 || r.Updated != 1 || r.Unchanged != 1 || r.Removed[shopifysync.RemovedDeleted] != 1 || !r.Complete {
			t.Errorf("%+v", r)
		}
		if left := w.openMarks(); len(left) != 0 {
			t.Errorf("marks are left: %+v", left)
		}
		w.mirrors()
		requests := len(w.server.Requests())
		if r, err := s.Drain(t.Context(), connID); err != nil || r.Seen != 0 || len(w.server.Requests()) != requests {
			t.Errorf("an idle drain: %+v, %v, %d requests", r, err, len(w.server.Requests())-requests)
		}
	})
}

// Catch-up marks what changed since, and nothing that was fetched since.
func TestCatchUp(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		time.Sleep(10 * time.Minute)
		id := w.ids()[7]
		if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.FirstName = "Ann" }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		for i, want := range []int{1, 0} {
			if n, err := s.CatchUp(t.Context(), connID); err != nil || n != want {
				t.Fatalf("catch-up %d: %d, %v; want %d", i, n, err, want)
			}
			if _, err := s.Drain(t.Context(), connID); err != nil {
				t.Fatal(err)
			}
		}
		w.mirrors()
	})
}

// While Shopify refuses the connection it is left alone for an hour, and marks
// stay; then it goes on by itself.
func TestDrainOfAFrozenStore(t *testing.T) {
	inWorld(t, 50, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen })
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(w.ids()[0])})
		asked := func() int {
			before := len(w.server.Requests())
			if _, err := s.Drain(t.Context(), connID); !errors.Is(err, shopifysync.ErrShopFrozen) {
				t.Fatalf("error %v", err)
			}
			return len(w.server.Requests()) - before
		}
		got := []int{asked(), asked()}
		time.Sleep(time.Hour)
		got = append(got, asked(), asked())
		if diff := cmp.Diff([]int{1, 0, 1, 0}, got); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Open })
		time.Sleep(time.Hour)
		if r, err := s.Drain(t.Context(), connID); err != nil || r.Seen != 1 || len(w.openMarks()) != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	})
}
