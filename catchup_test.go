package shopifysync_test

import (
	"errors"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// What goes wrong with the list of changed customers either does not matter in
// the end, or ends the catch-up so that the next one begins where this one did.
func TestCatchUpTrouble(t *testing.T) {
	list := func(f func(list map[string]any)) func(map[string]any) {
		return func(answer map[string]any) { f(answer["data"].(map[string]any)["customers"].(map[string]any)) }
	}
	always := shopifytest.Always
	calls := 0
	tests := map[string]struct {
		fault shopifytest.Fault
		want  error
	}{
		"too expensive": {shopifytest.Fault{Times: 2, Errors: []shopifytest.GraphQLError{{
			Message: "Query cost is 1250, which exceeds the single query max cost limit (1000).", Extensions: map[string]any{"code": "MAX_COST_EXCEEDED"},
		}}}, nil},
		"a cursor is refused": {shopifytest.Fault{After: 1, Errors: []shopifytest.GraphQLError{{Message: "Invalid cursor for current pagination sort."}}}, nil},
		"cursors are always refused": {shopifytest.Fault{Times: always, Edit: func(answer map[string]any) {
			if calls++; calls > 1 && calls%2 == 0 {
				delete(answer, "data")
				answer["errors"] = []any{map[string]any{"message": "Invalid cursor for current pagination sort."}}
			}
		}}, shopifysync.ErrIncomplete},
		"pages repeat": {shopifytest.Fault{Times: always, Edit: shopifytest.RepeatCursor()}, shopifysync.ErrIncomplete},
		"pages are empty and do not end": {shopifytest.Fault{Times: always, Edit: list(func(l map[string]any) {
			l["nodes"] = []any{}
		})}, shopifysync.ErrIncomplete},
		"the filter is ignored": {shopifytest.Fault{Times: always, Edit: func(answer map[string]any) {
			extensions, _ := answer["extensions"].(map[string]any)
			extensions["search"] = []any{map[string]any{"warnings": []any{map[string]any{"field": "updated_at", "code": "invalid_field"}}}}
		}}, shopifysync.ErrIncomplete},
		"there is no list": {shopifytest.Fault{Times: always, Edit: list(func(l map[string]any) { l["nodes"] = nil })}, shopifysync.ErrIncomplete},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			calls = 0
			inWorld(t, 700, func(t *testing.T, w *world) {
				s := w.syncer()
				w.sync(s)
				time.Sleep(time.Hour)
				ids := w.ids()
				for _, id := range ids[:600] {
					if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "changed" }); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				from := w.connState().CaughtUpTo
				test.fault.Operation = "ChangedCustomers"
				w.shop.Inject(test.fault)
				n, err := s.CatchUp(t.Context(), connID)
				if !errors.Is(err, test.want) {
					t.Fatalf("error %v", err)
				}
				w.shop.ClearFaults()
				if st := w.connState(); test.want != nil {
					if !st.CaughtUpTo.Equal(from) {
						t.Errorf("caught up to %v, from %v", st.CaughtUpTo, from)
					}
					if _, err := s.CatchUp(t.Context(), connID); err != nil {
						t.Fatal(err)
					}
				} else if n < 600 || !st.CaughtUpTo.After(from) || st.CaughtUpAt.IsZero() {
					t.Errorf("%d marks, %+v", n, st)
				}
				w.drain(s)
				w.mirrors()
			})
		})
	}
}

// One catch-up at a time, and none that changes what a run has come to.
func TestCatchUpLease(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		if _, err := w.store.AcquireLease(t.Context(), shopifysync.AcquireLeaseParams{Connection: connID, Kind: shopifysync.LeaseCatchUp, TTL: time.Minute}); err != nil {
			t.Fatal(err)
		}
		requests := len(w.server.Requests())
		if _, err := s.CatchUp(t.Context(), connID); !errors.Is(err, shopifysync.ErrSyncInProgress) || len(w.server.Requests()) != requests {
			t.Errorf("error %v", err)
		}
	})
}

// What was fetched in the second of a change, or the two after it, may have been
// read before it: the catch-up marks it once more.
func TestCatchUpWithinTheSecond(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 0 })
		s := w.syncer()
		id := w.shop.Create(shopifytest.Customer{FirstName: "Ann"}).ID
		time.Sleep(10 * time.Second)
		at(300 * time.Millisecond)
		w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "first" })
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
		w.drain(s)
		w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "second" }) // in the same second, and its webhook is lost
		if c, _ := w.shop.Customer(id); !c.UpdatedAt.Equal(w.contacts()[shopifysync.CustomerID(id)].Version.UpdatedAt) {
			t.Fatalf("not within the second: %v", c.UpdatedAt)
		}
		time.Sleep(5 * time.Second)
		if n, err := s.CatchUp(t.Context(), connID); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		w.drain(s)
		w.mirrors()
	})
}

// A customer whom the index still has in the old place, but who is shown with a
// change made just now, does not end the list: those behind changed before.
func TestCatchUpStalePlace(t *testing.T) {
	for name, touched := range map[string]bool{"in order": false, "one out of place": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 700, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.NoRedacted = true })
				s := w.syncer()
				w.sync(s)
				time.Sleep(24 * time.Hour)
				for _, id := range w.ids()[:600] {
					if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "changed" }); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(3 * time.Hour)
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 25 * time.Second })
				if touched { // on the second of three pages
					w.shop.Inject(shopifytest.Fault{Operation: "ChangedCustomers", After: 1, Edit: editPage(func(page map[string]any) {
						page["nodes"].([]any)[7].(map[string]any)["updatedAt"] = time.Now().Add(20 * time.Second).UTC().Format(time.RFC3339)
					})})
				}
				if n, err := s.CatchUp(t.Context(), connID); err != nil || n < 600 {
					t.Errorf("%d marked, %v", n, err)
				}
				w.drain(s)
				w.mirrors()
			})
		})
	}
}

// A store in which customers change faster than their list is read cannot keep
// a catch-up busy for ever: what changed since it began is the next one's.
func TestCatchUpOfABusyStore(t *testing.T) {
	inWorld(t, 1300, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		for _, id := range w.ids() {
			if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "changed" }); err != nil {
				t.Fatal(err)
			}
		}
		w.shop.Inject(shopifytest.Fault{Operation: "ChangedCustomers", After: 2, Times: shopifytest.Always, Edit: editPage(func(page map[string]any) {
			for _, node := range page["nodes"].([]any) {
				node.(map[string]any)["updatedAt"] = time.Now().Add(2 * time.Minute).UTC().Format(time.RFC3339)
			}
		})})
		began := time.Now()
		if _, err := s.CatchUp(t.Context(), connID); err != nil {
			t.Error(err)
		}
		if pages := w.server.Count("ChangedCustomers"); pages != 3 {
			t.Errorf("%d pages were read", pages)
		}
		if got := w.connState().CaughtUpTo; got.Sub(began).Abs() > 5*time.Second {
			t.Errorf("caught up to %v, begun at %v", got, began)
		}
	})
}

// Times of change are Shopify's: a host whose clock is hours ahead catches up
// with what changed since the last catch-up all the same.
func TestCatchUpByShopifysClock(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		s := w.syncer(shopifysync.WithClock(func() time.Time { return time.Now().Add(3 * time.Hour) }))
		w.sync(s)
		if _, err := s.CatchUp(t.Context(), connID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if err := w.shop.Update(w.ids()[3], func(c *shopifytest.Customer) { c.Note = "x" }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if n, err := s.CatchUp(t.Context(), connID); n != 1 || err != nil {
			t.Errorf("%d marked, %v", n, err)
		}
	})
}
