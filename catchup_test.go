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
