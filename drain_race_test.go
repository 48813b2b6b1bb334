package shopifysync_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// A gatedStore holds back the first upsert that fits until it is let go, as a
// slow database does.
type gatedStore struct {
	shopifysync.ContactStore
	fits func(shopifysync.UpsertContactsParams) bool
	once sync.Once
	held chan struct{} // closed when it is held back
	open chan struct{}
}

func newGatedStore(s shopifysync.ContactStore, fits func(shopifysync.UpsertContactsParams) bool) *gatedStore {
	return &gatedStore{ContactStore: s, fits: fits, held: make(chan struct{}), open: make(chan struct{})}
}

func (g *gatedStore) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	if g.fits == nil || g.fits(p) {
		g.once.Do(func() { close(g.held); <-g.open })
	}
	return g.ContactStore.UpsertContacts(ctx, p)
}

// A lag makes requests take as long as asked for, half of it on
// the way to Shopify.
type lag struct {
	http.RoundTripper
	of func() time.Duration
}

func (l lag) RoundTrip(r *http.Request) (*http.Response, error) {
	d := l.of()
	time.Sleep(d / 2)
	res, err := l.RoundTripper.RoundTrip(r)
	time.Sleep(d / 2)
	return res, err
}

// at sleeps until that long after the start of a second of the bubble's clock.
func at(d time.Duration) {
	now := time.Now()
	next := now.Truncate(time.Second).Add(d)
	for next.Before(now) {
		next = next.Add(time.Second)
	}
	time.Sleep(next.Sub(now))
}

func (w *world) tags(id int64) []string {
	w.t.Helper()
	got, err := w.store.Contacts(context.Background(), shopifysync.ContactsParams{Connection: connID, IDs: []shopifysync.CustomerID{shopifysync.CustomerID(id)}})
	if err != nil || len(got.Contacts) != 1 {
		w.t.Fatalf("%+v, %v", got, err)
	}
	return got.Contacts[0].Tags
}

// A page that a run of another process read before a change, and stores after
// the drain of the change's mark, bears the earlier date, whatever the second
// in which all of it happens and however long the requests take. Tags do not
// move updatedAt, so the dates alone decide.
func TestRunReadBeforeDrain(t *testing.T) {
	for _, latency := range []time.Duration{0, 20 * time.Millisecond, 400 * time.Millisecond, 1500 * time.Millisecond} {
		for _, phase := range []time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond, 990 * time.Millisecond} {
			inWorld(t, 0, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 0 })
				id := w.shop.Create(shopifytest.Customer{FirstName: "Ann", Tags: []string{"old"}}).ID
				w.sync(w.syncer())
				gated := newGatedStore(w.store, nil)
				runs := w.syncerOn(gated)
				drains := w.syncer(shopifysync.WithHTTPClient(&http.Client{Transport: lag{w.server.Client().Transport, func() time.Duration { return latency }}}))
				time.Sleep(10 * time.Second)
				at(phase)
				var done sync.WaitGroup
				done.Go(func() {
					if _, err := runs.Sync(t.Context(), shopifysync.SyncParams{Connection: connID}); err != nil {
						t.Error(err)
					}
				})
				<-gated.held
				if err := w.shop.AddTags(id, "new"); err != nil {
					t.Fatal(err)
				}
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
				time.Sleep(time.Millisecond)
				if _, err := drains.Drain(t.Context(), connID); err != nil {
					t.Fatal(err)
				}
				close(gated.open)
				done.Wait()
				if got := w.tags(id); !slices.Contains(got, "new") && len(w.openMarks()) == 0 {
					t.Errorf("latency %v, phase %v: the change is lost: %v", latency, phase, got)
				}
			})
		}
	}
}

// A run does not clear the mark of a change that it read, while a drain of
// another process that read the customer before is still to store that.
func TestDrainReadBeforeRun(t *testing.T) {
	for _, latency := range []time.Duration{0, 20 * time.Millisecond, 400 * time.Millisecond} {
		for _, phase := range []time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond, 990 * time.Millisecond} {
			inWorld(t, 0, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 0 })
				id := w.shop.Create(shopifytest.Customer{FirstName: "Ann", Tags: []string{"old"}}).ID
				w.sync(w.syncer())
				gated := newGatedStore(w.store, nil)
				drains := w.syncerOn(gated, shopifysync.WithHTTPClient(&http.Client{Transport: lag{w.server.Client().Transport, func() time.Duration { return latency }}}))
				runs := w.syncer()
				time.Sleep(10 * time.Second)
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
				at(phase)
				ctx, stop := context.WithCancel(t.Context())
				var done sync.WaitGroup
				done.Go(func() { _, _ = drains.Drain(ctx, connID) })
				<-gated.held
				if err := w.shop.AddTags(id, "new"); err != nil {
					t.Fatal(err)
				}
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
				if _, err := runs.Sync(t.Context(), shopifysync.SyncParams{Connection: connID}); err != nil {
					t.Fatal(err)
				}
				close(gated.open)
				time.Sleep(100 * time.Millisecond)
				stop()
				done.Wait()
				if got := w.tags(id); !slices.Contains(got, "new") && len(w.openMarks()) == 0 {
					t.Errorf("latency %v, phase %v: the change is lost: %v", latency, phase, got)
				}
			})
		}
	}
}

// A drain that looks within the second of what is stored does not clear the
// mark unless its look is the later one for certain; the next look is.
func TestDrainWithinTheSecond(t *testing.T) {
	for _, phase := range []time.Duration{0, 300 * time.Millisecond, 700 * time.Millisecond} {
		inWorld(t, 0, func(t *testing.T, w *world) {
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 0 })
			id := w.shop.Create(shopifytest.Customer{FirstName: "Ann", Tags: []string{"old"}}).ID
			time.Sleep(10 * time.Second)
			at(phase)
			for i, tag := range []string{"a", "b", "c", "d"} {
				if err := w.shop.AddTags(id, tag); err != nil {
					t.Fatal(err)
				}
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
				s := w.syncer() // another process each time: it does not know of the others' dates
				if _, err := s.Drain(t.Context(), connID); err != nil {
					t.Fatal(err)
				}
				if got := w.tags(id); !slices.Contains(got, tag) && len(w.openMarks()) == 0 {
					t.Errorf("phase %v: change %d is lost: %v", phase, i, got)
				}
			}
			time.Sleep(10 * time.Second)
			if _, err := w.syncer().Drain(t.Context(), connID); err != nil {
				t.Fatal(err)
			}
			w.mirrors()
		})
	}
}

// In one process drains follow each other so closely that only their order can
// date them.
func TestDrainsOfOneProcess(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 0 })
		id := w.shop.Create(shopifytest.Customer{FirstName: "Ann"}).ID
		s := w.syncer()
		at(200 * time.Millisecond)
		for _, tag := range []string{"a", "b", "c", "d"} {
			if err := w.shop.AddTags(id, tag); err != nil {
				t.Fatal(err)
			}
			w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
			r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, FailedOnly: true}) // one pass, and nothing to do
			if err != nil || r.Seen != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			if r, err := s.Drain(t.Context(), connID); err != nil || r.Stale != 0 || !slices.Contains(w.tags(id), tag) {
				t.Errorf("%+v, %v: %v", r, err, w.tags(id))
			}
		}
	})
}

// Who is gone, but is stored with a later date, keeps the mark until that date
// is over: the removal would be lost.
func TestGoneButSeenLater(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		id := shopifysync.CustomerID(w.ids()[0])
		ahead := w.contacts()[id]
		ahead.Version.ObservedAt = time.Now().Add(5 * time.Second).UTC().Truncate(time.Millisecond)
		ahead.Version.UpdatedAt = ahead.Version.ObservedAt
		if _, err := w.store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{Connection: connID, Contacts: []shopifysync.Contact{ahead}}); err != nil {
			t.Fatal(err)
		}
		if err := w.shop.Delete(int64(id)); err != nil {
			t.Fatal(err)
		}
		w.mark(shopifysync.Mark{CustomerID: id, Reason: "customers/delete"})
		r, err := s.Drain(t.Context(), connID)
		if err != nil || r.RemovedTotal() != 0 || r.Postponed != 1 || len(w.openMarks()) != 1 {
			t.Errorf("%+v, %v, %+v", r, err, w.openMarks())
		}
		time.Sleep(time.Minute)
		r, err = s.Drain(t.Context(), connID)
		if err != nil || r.Removed[shopifysync.RemovedDeleted] != 1 || len(w.openMarks()) != 0 {
			t.Errorf("%+v, %v, %+v", r, err, w.openMarks())
		}
		w.mirrors()
	})
}
