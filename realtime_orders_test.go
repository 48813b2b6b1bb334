package shopifysync_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

var (
	raceEvents = flag.Int("race.events", 20_000, "how many events TestLostUpdates sends")
	raceSeed   = flag.Uint64("race.seed", 0, "the seed of TestLostUpdates; 0: another one each time")
)

// permutations returns every order of n things.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for i := 0; i <= len(p); i++ {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}

// orderEvents are seven things that happen to one customer.
var orderEvents = []struct {
	topic string
	do    func(w *world, id int64) error
}{
	{"customers/update", func(w *world, id int64) error {
		return w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "noted"; c.LastName = "" })
	}},
	{"customers/update", func(w *world, id int64) error {
		return w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "" })
	}},
	{"customer.tags_added", func(w *world, id int64) error { return w.shop.AddTags(id, "vip") }},
	{"customer.tags_removed", func(w *world, id int64) error { return w.shop.RemoveTags(id, "old") }},
	{"customers/purchasing_summary", func(w *world, id int64) error { return w.shop.PlaceOrder(id, "12.5") }},
	{"customers_email_marketing_consent/update", func(w *world, id int64) error {
		return w.shop.Update(id, func(c *shopifytest.Customer) { c.EmailConsent = &shopifytest.EmailConsent{State: "SUBSCRIBED"} })
	}},
	{"customers/delete", func(w *world, id int64) error { return w.shop.Delete(id) }},
}

// TestEveryOrder has seven things happen to a customer in each of their 5,040
// orders, within two seconds, and each webhook is delivered; then all of it once
// more with each delivery doubled, the second time in the opposite order at the
// end. Each order has a customer of its own; they share the drains.
func TestEveryOrder(t *testing.T) {
	orders := permutations(len(orderEvents))
	if len(orders) != 5040 {
		t.Fatalf("%d orders", len(orders))
	}
	for _, doubled := range []bool{false, true} {
		t.Run(fmt.Sprint("doubled ", doubled), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newDirectWorld(t)
				defer w.server.Close()
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BucketSize, c.RestoreRate = 20_000, 2000 })
				s := w.syncer()
				ids := make([]int64, len(orders))
				for i := range orders {
					ids[i] = w.shop.Create(shopifytest.Customer{FirstName: "Ann", LastName: "Lee", Email: fmt.Sprintf("ann%d@example.com", i), Tags: []string{"old"}}).ID
				}
				w.sync(s)
				delivered := make([][]shopifysync.Event, len(orders))
				for step := range orderEvents {
					for i, order := range orders {
						e := orderEvents[order[step]]
						if _, there := w.shop.Customer(ids[i]); there { // a later event is an old delivery
							if err := e.do(w, ids[i]); err != nil {
								t.Fatal(err)
							}
						}
						ev := w.event(e.topic, ids[i])
						w.put(ev, time.Now())
						delivered[i] = append(delivered[i], ev)
					}
					time.Sleep(300 * time.Millisecond)
					if step%2 == 1 {
						if _, err := s.Drain(t.Context(), connID); err != nil {
							t.Fatal(err)
						}
					}
				}
				if doubled {
					for i := range delivered {
						for _, ev := range slices.Backward(delivered[i]) {
							w.put(ev, time.Now())
						}
					}
				}
				for range 3 {
					time.Sleep(2 * time.Minute)
					if _, err := s.Drain(t.Context(), connID); err != nil {
						t.Fatal(err)
					}
				}
				if left := w.openMarks(); len(left) != 0 {
					t.Errorf("%d marks are left, the first: %+v", len(left), left[0])
				}
				w.mustMirror("at the end")
			})
		})
	}
}

// TestLostUpdates changes 64 customers from 16 goroutines as fast as it can,
// while drains and runs of two processes go on: at the end no contact is stale.
// -race.events sets how many changes. The goroutines make every try another one;
// -race.seed repeats what each of them does.
func TestLostUpdates(t *testing.T) {
	const customers, workers = 64, 16
	seed := *raceSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-race.seed=%d", seed)
	synctest.Test(t, func(t *testing.T) {
		w := newDirectWorld(t)
		defer w.server.Close()
		w.shop.Configure(func(c *shopifytest.StoreConfig) {
			c.Latency, c.BucketSize, c.RestoreRate = 50*time.Millisecond, 20_000, 2000
		})
		var ids []int64
		for i := range customers {
			ids = append(ids, w.shop.Create(shopifytest.Customer{FirstName: "New", Email: fmt.Sprintf("%d@example.com", i)}).ID)
		}
		w.sync(w.syncer())
		ctx, stop := context.WithCancel(t.Context())
		var working, changing sync.WaitGroup
		var drains atomic.Int64
		for range 2 {
			s := w.syncer()
			working.Go(func() {
				for sleepFor(ctx, 100*time.Millisecond) {
					if _, err := s.Drain(ctx, connID); err == nil {
						drains.Add(1)
					}
				}
			})
			working.Go(func() {
				for sleepFor(ctx, 10*time.Second) {
					_, _ = s.Sync(ctx, shopifysync.SyncParams{Connection: connID})
				}
			})
		}
		for worker := range workers {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			changing.Go(func() {
				for n := range *raceEvents / workers {
					id := ids[random.IntN(customers)]
					var floor time.Time
					var err error
					if random.IntN(2) == 0 {
						err = w.shop.UpdateQuietly(id, func(c *shopifytest.Customer) { c.Tags = []string{fmt.Sprint(worker, n)} })
					} else {
						err = w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = fmt.Sprint(worker, n) })
						floor = time.Now().UTC().Truncate(time.Second)
					}
					if err != nil {
						t.Error(err)
						return
					}
					w.put(shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{shopifysync.CustomerID(id)}, UpdatedAt: floor}, time.Now())
					time.Sleep(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
				}
			})
		}
		changing.Wait()
		stop()
		working.Wait()
		s := w.syncer()
		for range 3 {
			time.Sleep(time.Minute)
			if _, err := s.Drain(t.Context(), connID); err != nil {
				t.Fatal(err)
			}
		}
		if left := w.openMarks(); len(left) != 0 || drains.Load() == 0 {
			t.Errorf("%d marks are left after %d drains", len(left), drains.Load())
		}
		w.mustMirror("at the end")
	})
}

// sleepFor sleeps; false if the context has ended.
func sleepFor(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// With every webhook lost, catch-ups and drains bring in what moves a
// customer's time of change, whatever the search index is behind; a full run
// brings the rest: tags, orders, deletions.
func TestWebhooksLost(t *testing.T) {
	for _, behind := range []time.Duration{0, 40 * time.Minute} {
		inWorld(t, 60, func(t *testing.T, w *world) {
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.IndexLag = behind })
			s := w.syncer()
			w.sync(s)
			ids := w.ids()
			for i := range 20 {
				if err := w.shop.Update(ids[i], func(c *shopifytest.Customer) { c.Note = fmt.Sprint("changed ", i) }); err != nil {
					t.Fatal(err)
				}
				time.Sleep(7 * time.Minute)
				if i%2 == 1 {
					if _, err := s.CatchUp(t.Context(), connID); err != nil {
						t.Fatal(err)
					}
					if _, err := s.Drain(t.Context(), connID); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(behind + 10*time.Second)
			if _, err := s.CatchUp(t.Context(), connID); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Drain(t.Context(), connID); err != nil {
				t.Fatal(err)
			}
			w.mustMirror("after catch-ups")
			if err := w.shop.AddTags(ids[0], "vip"); err != nil {
				t.Fatal(err)
			}
			if err := w.shop.PlaceOrder(ids[1], "5.0"); err != nil {
				t.Fatal(err)
			}
			if err := w.shop.Delete(ids[2]); err != nil {
				t.Fatal(err)
			}
			w.sync(s)
			w.mustMirror("after a run")
		})
	}
}
