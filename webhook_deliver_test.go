package shopifysync_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// Without a state store that outlives the process a customer is stored before
// the webhook is acknowledged.
func TestWebhookFetchesAtOnce(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		s := w.signs().syncer()
		h := mount(s)
		w.sync(s)
		time.Sleep(2 * time.Second)
		ids := w.ids()
		if err := w.shop.Update(ids[0], func(c *shopifytest.Customer) { c.FirstName, c.Tags = "Ann", nil }); err != nil {
			t.Fatal(err)
		}
		if err := w.shop.Delete(ids[1]); err != nil {
			t.Fatal(err)
		}
		for i, r := range []*http.Request{w.delivery("customers/update", ids[0]), w.delivery("customers/delete", ids[1])} {
			if got := status(h, r); got != http.StatusOK {
				t.Errorf("delivery %d: %d", i, got)
			}
		}
		w.mirrors()
		if left := w.openMarks(); len(left) != 0 {
			t.Errorf("marks are left: %+v", left)
		}
	})
}

// What arrives together is fetched together.
func TestWebhooksFetchTogether(t *testing.T) {
	inWorld(t, 200, func(t *testing.T, w *world) {
		s := w.signs().syncer()
		h := mount(s)
		w.sync(s)
		time.Sleep(2 * time.Second)
		var wg sync.WaitGroup
		before := len(w.server.Requests())
		for _, id := range w.ids() {
			if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "moved"; c.FirstName = "Bob" }); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if got := status(h, w.delivery("customers/update", id)); got != http.StatusOK {
					t.Errorf("status %d", got)
				}
			})
		}
		wg.Wait()
		if n := len(w.server.Requests()) - before; n > 6 {
			t.Errorf("%d requests for 200 webhooks at once", n)
		}
		w.mirrors()
	})
}

// With a state store that outlives the process a webhook leaves a mark.
func TestWebhookMarks(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		var told []shopifysync.ConnectionID
		s := w.signs().syncer(shopifysync.WithStateStore(durable{w.store}), shopifysync.WithMarked(func(_ context.Context, id shopifysync.ConnectionID) { told = append(told, id) }))
		h := mount(s)
		ids := w.ids()
		before, now := len(w.server.Requests()), time.Now()
		for _, r := range []*http.Request{
			w.delivery("customers/update", ids[0]), w.delivery("customers/delete", ids[1]), w.delivery("customers/merge", ids[3], ids[2]),
			w.delivery("customer.tags_added", ids[4]),
		} {
			if got := status(h, r); got != http.StatusOK {
				t.Fatalf("status %d", got)
			}
		}
		if n := len(w.server.Requests()) - before; n != 0 {
			t.Errorf("%d requests to Shopify", n)
		}
		first, _ := w.shop.Customer(ids[0])
		mark := func(i int, reason string) shopifysync.Mark {
			return shopifysync.Mark{
				Connection: connID, CustomerID: shopifysync.CustomerID(ids[i]), Reason: reason,
				NotBefore: now.Add(500 * time.Millisecond).UTC().Truncate(time.Millisecond),
			}
		}
		want := []shopifysync.Mark{mark(0, "customers/update"), mark(1, "customers/delete"), mark(2, "customers/merge"), mark(3, "customers/merge"), mark(4, "customer.tags_added")}
		want[0].Floor = first.UpdatedAt.UTC()
		want[2].MergedInto = shopifysync.CustomerID(ids[3])
		got := w.openMarks()
		for i := range got {
			got[i].Generation = 0
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("marks (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]shopifysync.ConnectionID{connID, connID, connID, connID}, told); diff != "" {
			t.Errorf("WithMarked (-want +got):\n%s", diff)
		}
	})
}
