package shopifysync_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// Memory does not grow with the store but by a few bytes a customer: what a run
// holds of 100,000 is hardly more than what it holds of 20,000.
func TestSyncMemory(t *testing.T) {
	small, large := mostHeld(t, 20_000), mostHeld(t, 100_000)
	t.Logf("20,000 customers: %d KiB, 100,000: %d KiB", small>>10, large>>10)
	const bytesACustomer, slack = 8, 4 << 20
	if large-small > 80_000*bytesACustomer+slack {
		t.Errorf("%d bytes more for 80,000 customers more", large-small)
	}
}

// mostHeld is the most that is live on the heap while a store is synced.
func mostHeld(t *testing.T, customers int) (most int64) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.NoRedacted = shopifytest.Unlimited, true })
		w.shop.Generate(customers, 7)
		batches := 0
		forgetful := &hostStore{ContactStore: w.store, upsert: func(p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			if batches++; batches%10 == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, int64(m.HeapAlloc))
			}
			r := shopifysync.UpsertContactsResult{Results: make([]shopifysync.UpsertResult, len(p.Contacts))}
			for i := range r.Results {
				r.Results[i].Outcome = shopifysync.Created
			}
			return r, nil
		}}
		s := w.syncerOn(forgetful, shopifysync.WithBulkThreshold(1), shopifysync.WithWriters(1))
		report, err := s.Sync(context.Background(), shopifysync.SyncParams{Connection: connID})
		if err != nil || !report.Complete || report.Seen != int64(customers) {
			t.Fatalf("error %v, report %+v", err, report)
		}
	})
	return most
}
