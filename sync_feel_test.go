package shopifysync_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// A clockedStore remembers when contacts were there.
type clockedStore struct {
	shopifysync.ContactStore
	began time.Time

	mu     sync.Mutex
	stored int
	first  time.Duration
	list   time.Duration // 2,500 of them
}

func (c *clockedStore) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	got, err := c.ContactStore.UpsertContacts(ctx, p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stored == 0 {
		c.first = time.Since(c.began)
	}
	if c.stored += len(p.Contacts); c.stored >= 2500 && c.list == 0 {
		c.list = time.Since(c.began)
	}
	return got, err
}

// "Sync now" shows something at once, and ends when it may be expected to: the
// bounds are for answers of half a second, a standard plan's budget, and a bulk
// operation that writes 2,500 customers a second. The contact store takes no time.
func TestHowItFeels(t *testing.T) {
	tests := map[string]struct {
		customers int
		first     time.Duration // until the first contact
		list      time.Duration // until a list of 2,500; 0: there are not so many
		all       time.Duration
		source    string
	}{
		"a small store":  {100, time.Second, 0, 3 * time.Second, "pages"},
		"a store":        {10_000, time.Second, 10 * time.Second, 40 * time.Second, "pages"},
		"a larger store": {20_000, 2 * time.Second, 10 * time.Second, 20 * time.Second, "pages+bulk"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, test.customers, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) {
					c.Latency, c.BulkSpeed, c.BucketSize, c.RestoreRate = 500*time.Millisecond, 2500, 2000, 100
				})
				conns := shopifysync.StaticConnections()
				store := &clockedStore{ContactStore: w.store}
				s, err := shopifysync.New(store, conns, shopifysync.WithStateStore(w.store), shopifysync.WithHTTPClient(w.server.Client()))
				if err != nil {
					t.Fatal(err)
				}
				w.connect(s)
				store.began = time.Now()
				r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if err != nil || r.Seen != int64(test.customers) || r.Source != test.source {
					t.Fatalf("error %v, %+v", err, r)
				}
				if store.first > test.first || store.list > test.list && test.list != 0 || time.Since(store.began) > test.all {
					t.Errorf("the first contact after %v, a list after %v, all after %v", store.first, store.list, time.Since(store.began))
				}
			})
		})
	}
}
