package shopifysync_test

import (
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// A merchant who chose "sync later": who changes is stored as webhooks tell, a
// member who chats is there, nobody else comes before the first run, and that
// comes by itself in a day, with everybody.
func TestServeSyncLater(t *testing.T) {
	inWorld(t, 50, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable(), shopifysync.WithStateStore(durable{w.store}))
		w.connect(s)
		stop := serve(t, s)
		defer stop()
		ids := w.ids()
		edit := func(id int64) {
			if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "changed" }); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Minute)
		edit(ids[0])
		if err := s.Deliver(t.Context(), connID, shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{shopifysync.CustomerID(ids[0])}}); err != nil {
			t.Fatal(err)
		}
		edit(ids[1]) // whose webhook is lost
		if _, err := w.member(s, ids[2], 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Hour)
		got := w.contacts()
		if len(got) != 2 || attribute(got[shopifysync.CustomerID(ids[0])], shopifysync.AttrNote).Text != "changed" || got[shopifysync.CustomerID(ids[2])].CustomerID == 0 {
			t.Errorf("before the first run: %d contacts", len(got))
		}
		time.Sleep(8 * time.Hour)
		w.mirrors()
		st := w.status(s)
		if len(st.Runs) == 0 || st.Runs[len(st.Runs)-1].Report.Created == 0 {
			t.Errorf("runs: %+v", st.Runs)
		}
	})
}
