package shopifysync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

func (w *world) drain(s *shopifysync.Syncer) *shopifysync.Report {
	w.t.Helper()
	r, err := s.Drain(w.t.Context(), connID)
	if err != nil {
		w.t.Fatalf("Drain: %v", err)
	}
	if !r.Complete {
		w.t.Errorf("the drain is not complete: %+v", r)
	}
	w.addsUp(r)
	return r
}

// Records that fail do not keep others from being stored. Their marks stay with
// the reason, and are tried ever more rarely.
func TestDrainPoison(t *testing.T) {
	tests := map[string]struct {
		reason string
		spoil  func(w *world, id int64) []shopifysync.Option
	}{
		"the mapper fails": {"mapper: odd", func(w *world, id int64) []shopifysync.Option {
			return []shopifysync.Option{shopifysync.WithMapper(func(c shopifysync.ConnectionID, in shopifysync.Customer) (shopifysync.Contact, error) {
				if int64(in.ID) == id {
					return shopifysync.Contact{}, shopifysync.Reason("odd")
				}
				return shopifysync.NewMapper(shopifysync.MapperOptions{})(c, in)
			})}
		}},
		"the store refuses it": {"refused by the contact store: ", func(w *world, id int64) []shopifysync.Option {
			if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "a\x00b" }); err != nil {
				w.t.Fatal(err)
			}
			return nil
		}},
		"it cannot be decoded": {"", func(w *world, id int64) []shopifysync.Option {
			w.shop.Inject(shopifytest.Fault{Operation: "CustomersByID", Times: shopifytest.Always, Edit: func(answer map[string]any) {
				for _, n := range answer["data"].(map[string]any)["nodes"].([]any) {
					if node, _ := n.(map[string]any); node != nil && node["id"] == fmt.Sprint("gid://shopify/Customer/", id) {
						node["tags"] = "no list"
					}
				}
			}})
			return nil
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 12, func(t *testing.T, w *world) {
				ids := w.ids()
				bad := ids[0]
				s := w.syncer(test.spoil(w, bad)...)
				for _, id := range ids {
					w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
				}
				var waits []time.Duration
				for attempt := range 8 {
					r := w.drain(s)
					if r.Failed == 0 || r.Failures[0].CustomerID != shopifysync.CustomerID(bad) || !strings.HasPrefix(r.Failures[0].Reason, test.reason) {
						t.Fatalf("attempt %d: %+v", attempt, r)
					}
					left := w.openMarks()
					if len(left) != 1 || left[0].CustomerID != shopifysync.CustomerID(bad) || left[0].Reason != r.Failures[0].Reason || left[0].Attempts < attempt+1 {
						t.Fatalf("attempt %d: marks %+v", attempt, left)
					}
					wait := time.Until(left[0].NotBefore)
					waits = append(waits, wait.Round(time.Minute))
					time.Sleep(wait)
				}
				if n := len(w.contacts()); n != len(ids)-1 {
					t.Errorf("%d contacts, want %d", n, len(ids)-1)
				}
				// The first drain goes on until 10 s have passed without one due.
				want := []time.Duration{0, 0, time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 24 * time.Hour}
				if diff := cmp.Diff(want, waits); diff != "" {
					t.Errorf("waits (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A read that is older than the webhook keeps the mark, and is repeated soon.
func TestDrainFloor(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		time.Sleep(time.Minute)
		id := w.ids()[0]
		if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "new" }); err != nil {
			t.Fatal(err)
		}
		ev := w.event("customers/update", id)
		lagged := time.Now()
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ReadLag = 30 * time.Second })
		w.put(ev, time.Now())
		var looks []time.Duration
		for len(w.openMarks()) > 0 && len(looks) < 10 {
			time.Sleep(time.Until(w.openMarks()[0].NotBefore))
			if r := w.drain(s); r.Postponed > 0 == (len(w.openMarks()) == 0) {
				t.Errorf("%+v, marks %+v", r, w.openMarks())
			}
			looks = append(looks, time.Since(lagged).Round(time.Second))
		}
		if want := []time.Duration{time.Second, 3 * time.Second, 13 * time.Second, 73 * time.Second}; !cmp.Equal(want, looks) {
			t.Errorf("looked at %v, want %v", looks, want)
		}
		w.mirrors()
	})
}

// A customer whom Shopify does not know yet, just after the webhook of its
// creation, is not taken for gone.
func TestDrainJustCreated(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		c := w.shop.Create(shopifytest.Customer{FirstName: "Mei"})
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ReadLag = 8 * time.Second })
		w.put(w.event("customers/create", c.ID), time.Now())
		for range 4 {
			time.Sleep(10 * time.Second)
			w.drain(s)
		}
		if len(w.openMarks()) != 0 {
			t.Errorf("marks %+v", w.openMarks())
		}
		w.mirrors()
	})
}

// Who was really deleted goes, at once when Shopify says so itself, else after
// a second look; and who is still shown stays, whatever the webhook said.
func TestDrainGone(t *testing.T) {
	tests := map[string]struct {
		topic   string
		deleted bool
		looks   int // until the mark is cleared
		want    shopifysync.RemovalReason
	}{
		"deleted":                    {"customers/delete", true, 1, shopifysync.RemovedDeleted},
		"deleted, says an update":    {"customer.tags_added", true, 2, shopifysync.RemovedDeleted},
		"merged":                     {"customers/merge", true, 1, shopifysync.RemovedMerged},
		"a replay: still there":      {"customers/delete", false, 4, ""},
		"a replay: still not merged": {"customers/merge", false, 4, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 5, func(t *testing.T, w *world) {
				s := w.syncer()
				w.sync(s)
				time.Sleep(time.Hour)
				ids := w.ids()
				gone, kept := ids[0], ids[1]
				var ev shopifysync.Event
				if test.topic == "customers/merge" {
					ev = w.event(test.topic, kept, gone)
					ev.Customers = []shopifysync.CustomerID{shopifysync.CustomerID(gone)}
				} else {
					ev = w.event(test.topic, gone)
				}
				if test.deleted {
					if err := w.shop.Delete(gone); err != nil {
						t.Fatal(err)
					}
				}
				w.put(ev, time.Now())
				looks := 0
				for len(w.openMarks()) > 0 && looks < 10 {
					time.Sleep(time.Until(w.openMarks()[0].NotBefore))
					w.drain(s)
					looks++
				}
				if looks != test.looks {
					t.Errorf("%d looks, want %d", looks, test.looks)
				}
				got, _ := w.store.Contacts(t.Context(), shopifysync.ContactsParams{Connection: connID, IDs: []shopifysync.CustomerID{shopifysync.CustomerID(gone)}})
				if got.Contacts[0].Removed != test.want || test.want == shopifysync.RemovedMerged && got.Contacts[0].MergedInto != shopifysync.CustomerID(kept) {
					t.Errorf("%+v", got.Contacts[0])
				}
				w.mirrors()
			})
		})
	}
}

// A run that still sees a customer whom Shopify itself called gone leaves the
// mark to drains, which look again.
func TestSyncKeepsMarksOfTheGone(t *testing.T) {
	tests := map[string]struct {
		mark shopifysync.Mark
		want shopifysync.RemovalReason
	}{
		"deleted": {shopifysync.Mark{Reason: "customers/delete"}, shopifysync.RemovedDeleted},
		"merged":  {shopifysync.Mark{Reason: "customers/merge", MergedInto: 1}, shopifysync.RemovedMerged},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 5, func(t *testing.T, w *world) {
				s := w.syncer()
				w.sync(s)
				gone := w.ids()[0]
				test.mark.CustomerID = shopifysync.CustomerID(gone)
				w.mark(test.mark, shopifysync.Mark{CustomerID: shopifysync.CustomerID(w.ids()[1])})
				time.Sleep(time.Minute)
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 5 * time.Second }) // so that the page is new enough
				w.sync(s)
				if open := w.openMarks(); len(open) != 1 || open[0].CustomerID != test.mark.CustomerID {
					t.Fatalf("marks after the run: %+v", open)
				}
				if err := w.shop.Delete(gone); err != nil { // now the list shows it, too
					t.Fatal(err)
				}
				w.drain(s)
				got, err := w.store.Contacts(t.Context(), shopifysync.ContactsParams{Connection: connID, IDs: []shopifysync.CustomerID{test.mark.CustomerID}})
				if err != nil || got.Contacts[0].Removed != test.want {
					t.Errorf("%+v, %v", got.Contacts, err)
				}
				w.mirrors()
			})
		})
	}
}

// A customer whom Shopify refuses to show is not gone; if it shows none at all,
// the connection is.
func TestDrainRefused(t *testing.T) {
	refuse := func(only int64) shopifytest.Fault {
		return shopifytest.Fault{Operation: "CustomersByID", Times: shopifytest.Always, Edit: func(answer map[string]any) {
			nodes := answer["data"].(map[string]any)["nodes"].([]any)
			var errs []any
			for i, n := range nodes {
				if node, _ := n.(map[string]any); node != nil && node["id"] == fmt.Sprint("gid://shopify/Customer/", only) {
					nodes[i] = nil
					errs = append(errs, map[string]any{"message": "Access denied", "path": []any{"nodes", i}, "extensions": map[string]any{"code": "ACCESS_DENIED"}})
				}
			}
			answer["errors"] = errs
		}}
	}
	for _, alone := range []bool{false, true} {
		inWorld(t, 5, func(t *testing.T, w *world) {
			s := w.syncer()
			w.sync(s)
			ids := w.ids()
			w.shop.Inject(refuse(ids[0]))
			w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(ids[0]), Reason: "customers/update", Attempts: 3})
			if !alone {
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(ids[1])})
			}
			if r := w.drain(s); r.RemovedTotal() != 0 || r.Postponed != 1 {
				t.Errorf("%+v", r)
			}
			if left := w.openMarks(); len(left) != 1 || left[0].Reason != "Shopify did not show the customer" {
				t.Errorf("marks %+v", left)
			}
			w.mirrors()
		})
	}
	inWorld(t, 5, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(w.ids()[0])})
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoCustomerData })
		for range 2 {
			if _, err := s.Drain(t.Context(), connID); !errors.Is(err, shopifysync.ErrProtectedData) {
				t.Errorf("error %v", err)
			}
		}
		if left := w.openMarks(); len(left) != 1 || left[0].Attempts != 0 {
			t.Errorf("marks %+v", left)
		}
	})
}

// While Shopify refuses the connection marks stay as they are, and it is asked
// once an hour. What it says afterwards asks for a check and a catch-up.
func TestDrainPaused(t *testing.T) {
	tests := map[string]struct {
		refuse func(*shopifytest.Store)
		allow  func(*shopifytest.Store)
		want   error
		state  shopifysync.HealthState
	}{
		"frozen":      {state(shopifytest.Frozen), state(shopifytest.Open), shopifysync.ErrShopFrozen, shopifysync.HealthFrozen},
		"locked":      {state(shopifytest.Locked), state(shopifytest.Open), shopifysync.ErrShopLocked, shopifysync.HealthLocked},
		"reauthorise": {state(shopifytest.Uninstalled), state(shopifytest.Open), shopifysync.ErrUnauthorized, shopifysync.HealthReauthorise},
		"moved":       {func(s *shopifytest.Store) { s.Rename("other.myshopify.com") }, func(s *shopifytest.Store) { s.Rename("demo.myshopify.com") }, shopifysync.ErrShopMoved, shopifysync.HealthMoved},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 5, func(t *testing.T, w *world) {
				s := w.syncer()
				w.sync(s)
				before := w.connState()
				if before.CaughtUpTo.IsZero() {
					t.Errorf("%+v", before)
				}
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(w.ids()[0]), Reason: "customers/update"})
				marks := w.openMarks()
				test.refuse(w.shop)
				for _, wait := range []time.Duration{0, time.Minute, time.Hour} {
					time.Sleep(wait)
					requests := len(w.server.Requests())
					if _, err := s.Drain(t.Context(), connID); !errors.Is(err, test.want) {
						t.Errorf("error %v", err)
					}
					if n := len(w.server.Requests()) - requests; wait == time.Minute && n != 0 {
						t.Errorf("%d requests while paused", n)
					}
					if _, err := s.CatchUp(t.Context(), connID); !errors.Is(err, test.want) {
						t.Errorf("catch-up: error %v", err)
					}
				}
				if st := w.connState(); st.Pause == nil || st.Pause.State != test.state || st.Health.State != test.state || st.Health.Message == "" {
					t.Errorf("%+v", st)
				}
				if diff := cmp.Diff(marks, w.openMarks()); diff != "" {
					t.Errorf("marks:\n%s", diff)
				}
				test.allow(w.shop)
				time.Sleep(time.Hour)
				w.drain(s)
				if st := w.connState(); st.Pause != nil || !st.CheckDue || !st.CaughtUpAt.IsZero() || st.Health.State != shopifysync.HealthOK {
					t.Errorf("after recovery: %+v", st)
				}
				w.mirrors()
			})
		})
	}
}

func state(to shopifytest.State) func(*shopifytest.Store) {
	return func(s *shopifytest.Store) { s.Configure(func(c *shopifytest.StoreConfig) { c.State = to }) }
}

func (w *world) connState() shopifysync.ConnectionState {
	w.t.Helper()
	got, err := w.store.ConnectionState(context.Background(), shopifysync.ConnectionStateParams{Connection: connID})
	if err != nil {
		w.t.Fatal(err)
	}
	return got.State
}

// A query that Shopify finds too expensive is halved, and the size that works
// is kept for later drains.
func TestDrainLearnsItsSize(t *testing.T) {
	inWorld(t, 600, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		tooMany := shopifytest.Fault{Operation: "CustomersByID", Times: 2, Errors: []shopifytest.GraphQLError{{
			Message: "Query cost is 1250, which exceeds the single query max cost limit (1000).", Extensions: map[string]any{"code": "MAX_COST_EXCEEDED"},
		}}}
		w.shop.Inject(tooMany)
		for _, want := range []int{2 + 47, 47} { // 50 and 25 are refused; 13 at once from then on
			for _, id := range w.ids() {
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
			}
			requests := w.server.Count("CustomersByID")
			r := w.drain(s)
			if n := w.server.Count("CustomersByID") - requests; r.Seen != int64(len(w.ids())) || n < want-3 || n > want {
				t.Errorf("%d requests, want about %d, for %d customers", n, want, r.Seen)
			}
		}
	})
	inWorld(t, 600, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		for _, want := range []int{4, 3} { // 50, 100, 200, the rest; then 250 at once
			for _, id := range w.ids() {
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
			}
			requests := w.server.Count("CustomersByID")
			w.drain(s)
			if n := w.server.Count("CustomersByID") - requests; n > want+1 {
				t.Errorf("%d requests, want %d", n, want)
			}
		}
	})
}

// 10,000 webhooks for 100 customers cost a handful of requests, and a customer
// that changes all the time at most two a second.
func TestDrainCoalesces(t *testing.T) {
	inWorld(t, 100, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		ids := w.ids()
		requests := w.server.Count("CustomersByID")
		for i := range 10_000 {
			w.put(shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{shopifysync.CustomerID(ids[i%len(ids)])}}, time.Now())
		}
		time.Sleep(time.Second)
		w.drain(s)
		if n := w.server.Count("CustomersByID") - requests; n > 3 {
			t.Errorf("%d requests", n)
		}
		requests = w.server.Count("CustomersByID")
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		var webhooks sync.WaitGroup
		webhooks.Go(func() {
			for ctx.Err() == nil {
				w.put(shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{shopifysync.CustomerID(ids[0])}}, time.Now())
				time.Sleep(50 * time.Millisecond)
			}
		})
		for ctx.Err() == nil {
			_, _ = s.Drain(ctx, connID)
			time.Sleep(10 * time.Millisecond)
		}
		webhooks.Wait()
		if n := w.server.Count("CustomersByID") - requests; n < 10 || n > 41 {
			t.Errorf("%d requests in 20 s", n)
		}
	})
}

// More marks than a minute's points are enough for become a run, unless they
// are not due, or another run is under way already.
func TestDrainBacklog(t *testing.T) {
	const n = 3000
	backlog := func(t *testing.T, due time.Duration, f func(w *world, s *shopifysync.Syncer)) {
		inWorld(t, n, func(t *testing.T, w *world) {
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.RestoreRate, c.CostModel = 10, shopifytest.DocumentedCost })
			s := w.syncer()
			w.sync(s)
			w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(w.ids()[0])})
			time.Sleep(time.Hour)
			w.drain(s) // learns what it costs
			var marks []shopifysync.Mark
			for _, id := range w.ids() {
				marks = append(marks, shopifysync.Mark{CustomerID: shopifysync.CustomerID(id), NotBefore: time.Now().Add(due)})
			}
			w.mark(marks...)
			time.Sleep(time.Hour)
			f(w, s)
		})
	}
	backlog(t, 0, func(w *world, s *shopifysync.Syncer) {
		if r := w.drain(s); r.RunID == "" || len(w.openMarks()) != 0 {
			w.t.Errorf("%+v, %d marks", r, len(w.openMarks()))
		}
	})
	backlog(t, 24*time.Hour, func(w *world, s *shopifysync.Syncer) {
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(w.ids()[0])})
		if r := w.drain(s); r.RunID != "" || r.Seen != 1 {
			w.t.Errorf("%+v", r)
		}
	})
	backlog(t, 0, func(w *world, s *shopifysync.Syncer) {
		if _, err := w.store.AcquireLease(w.t.Context(), shopifysync.AcquireLeaseParams{Connection: connID, Kind: shopifysync.LeaseRun, TTL: 24 * time.Hour}); err != nil {
			w.t.Fatal(err)
		}
		if r := w.drain(s); r.RunID != "" || r.Seen != int64(len(w.ids())) || len(w.openMarks()) != 0 {
			w.t.Errorf("%+v", r)
		}
	})
	backlog(t, 0, func(w *world, s *shopifysync.Syncer) { // a run that may not end does not hold up the marks
		ids := w.ids()
		for _, id := range ids[:len(ids)/2] {
			if err := w.shop.Delete(id); err != nil {
				w.t.Fatal(err)
			}
		}
		_, err := s.Drain(w.t.Context(), connID)
		if !errors.Is(err, shopifysync.ErrMassRemoval) {
			w.t.Errorf("error %v", err)
		}
		time.Sleep(time.Minute)
		w.drain(s)
		if len(w.openMarks()) != 0 {
			w.t.Errorf("%d marks are left", len(w.openMarks()))
		}
		w.mirrors()
	})
}

// FailedOnly tries again what failed, due or not, and nothing else.
func TestSyncFailedOnly(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		s := w.syncer()
		ids := w.ids()
		later := time.Now().Add(time.Hour)
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(ids[0]), Attempts: 5, NotBefore: later},
			shopifysync.Mark{CustomerID: shopifysync.CustomerID(ids[1])},
			shopifysync.Mark{CustomerID: shopifysync.CustomerID(ids[2]), Attempts: 1})
		p := shopifysync.SyncParams{Connection: connID, FailedOnly: true}
		r, err := s.Sync(t.Context(), p)
		if err != nil || r.Seen != 2 || r.Created != 2 || !r.Complete || r.RunID != "" {
			t.Errorf("%+v, %v", r, err)
		}
		if left := w.openMarks(); len(left) != 1 || left[0].CustomerID != shopifysync.CustomerID(ids[1]) || w.server.Count("CustomersPage") != 0 {
			t.Errorf("marks %+v", left)
		}
		p.DryRun = true
		if _, err := s.Sync(t.Context(), p); err == nil {
			t.Error("a dry run was not refused")
		}
		p.DryRun = false
		got, err := w.store.AcquireLease(t.Context(), shopifysync.AcquireLeaseParams{Connection: connID, Kind: shopifysync.LeaseDrain, TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sync(t.Context(), p); !errors.Is(err, shopifysync.ErrSyncInProgress) {
			t.Errorf("error %v", err)
		}
		time.AfterFunc(5*time.Second, func() {
			_, _ = w.store.ReleaseLease(context.Background(), shopifysync.ReleaseLeaseParams(got))
		})
		p.Wait = 30 * time.Second
		if _, err := s.Sync(t.Context(), p); err != nil {
			t.Errorf("error %v", err)
		}
	})
}

// A drain that loses its lease, or whose context ends, stops at once, and marks
// stay.
func TestDrainCutOff(t *testing.T) {
	for name, want := range map[string]error{"lease": shopifysync.ErrLeaseLost, "context": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				s := w.syncer(shopifysync.WithLeaseTTL(3 * time.Second))
				w.sync(s)
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(w.ids()[0])})
				w.shop.Inject(shopifytest.Fault{Operation: "CustomersByID", Hang: true})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(500*time.Millisecond, func() {
					if name == "context" {
						cancel()
						return
					}
					for { // another process takes it over, as after a long pause
						_, err := w.store.AcquireLease(t.Context(), shopifysync.AcquireLeaseParams{Connection: connID, Kind: shopifysync.LeaseDrain, TTL: time.Minute})
						if err == nil {
							return
						}
						_, _ = w.store.ReleaseLease(t.Context(), shopifysync.ReleaseLeaseParams{Lease: shopifysync.Lease{Connection: connID, Kind: shopifysync.LeaseDrain, Epoch: 1}})
					}
				})
				start := time.Now()
				if _, err := s.Drain(ctx, connID); !errors.Is(err, want) {
					t.Errorf("error %v", err)
				}
				if took := time.Since(start); took > 4*time.Second || len(w.openMarks()) != 1 {
					t.Errorf("took %v; marks %+v", took, w.openMarks())
				}
			})
		})
	}
}

// A store that fails ends the drain, as does one that panics; nothing is lost
// and the lease is free.
func TestDrainStoreFails(t *testing.T) {
	for name, broken := range map[string]func() error{
		"error": func() error { return errors.New("down") },
		"panic": func() error { panic("down") },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 30, func(t *testing.T, w *world) {
				for _, id := range w.ids() {
					w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
				}
				marks := w.openMarks()
				_, err := w.syncerOn(brokenStore{w.store, broken}).Drain(t.Context(), connID)
				if err == nil || strings.Contains(err.Error(), "down") {
					t.Errorf("error %v", err)
				}
				if diff := cmp.Diff(marks, w.openMarks()); diff != "" {
					t.Errorf("marks:\n%s", diff)
				}
				w.drain(w.syncer())
				w.mirrors()
			})
		})
	}
}

type brokenStore struct {
	shopifysync.ContactStore
	broken func() error
}

func (b brokenStore) UpsertContacts(context.Context, shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	return shopifysync.UpsertContactsResult{}, b.broken()
}

// A host that saves another store's address and token under a connection's ID
// gets an error: of that store nothing is read, and nobody is removed.
func TestDrainOfAnotherStore(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		other := w.server.AddStore(shopifytest.StoreConfig{Domain: "other.myshopify.com", AccessToken: "canary-token-2", FirstCustomerID: 1000})
		other.Generate(5, 9)
		conns := shopifysync.StaticConnections(w.conn)
		s := w.syncerWith(conns, shopifysync.WithStateStore(durable{w.store}))
		w.sync(s)
		w.drain(s)
		want := w.contacts()
		save := func(c shopifysync.Connection) {
			if _, err := conns.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: c}); err != nil {
				t.Fatal(err)
			}
		}
		c := w.conn
		c.Shop, c.Credentials.AccessToken = "other.myshopify.com", shopifysync.NewSecret("canary-token-2")
		save(c)
		time.Sleep(time.Minute)
		for _, id := range w.ids() {
			w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id), Reason: "customers/delete"})
		}
		for range 3 {
			if _, err := s.Drain(t.Context(), connID); !errors.Is(err, shopifysync.ErrAnotherStore) {
				t.Errorf("drain: %v", err)
			}
			if _, err := w.member(s, other.Newest(1)[0].ID, 0); err == nil {
				t.Error("the other store's customer was looked up")
			}
			time.Sleep(2 * time.Hour)
		}
		if diff := cmp.Diff(want, w.contacts()); diff != "" {
			t.Errorf("contacts (-before +after):\n%s", diff)
		}

		// Taken back, it goes on at the cost of one question.
		save(w.conn)
		w.drain(s)
		w.mirrors()
		time.Sleep(time.Minute)
		asked := w.server.Count("Shop")
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(w.ids()[0])})
		w.drain(s)
		if n := w.server.Count("Shop") - asked; n != 0 {
			t.Errorf("the store was asked who it is %d times more", n)
		}
	})
}

// What a new webhook says has failed never: Shopify is asked again soon, and is
// not believed at once that the customer is gone, however often an older mark
// of the customer failed.
func TestDrainAfterOldFailures(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		id := w.ids()[0]
		w.mark(shopifysync.Mark{
			CustomerID: shopifysync.CustomerID(id), Attempts: 7, Reason: "mapper: odd", NotBefore: time.Now().Add(20 * time.Hour),
		})
		time.Sleep(time.Minute)
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ReadLag = 5 * time.Second })
		if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "new" }); err != nil {
			t.Fatal(err)
		}
		created := w.shop.Create(shopifytest.Customer{FirstName: "Ann"}).ID
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(created), Attempts: 7})
		w.put(w.event("customers/update", id), time.Now())
		w.put(w.event("customers/create", created), time.Now())
		time.Sleep(time.Second)
		w.drain(s)
		if left := w.openMarks(); len(left) != 2 || left[0].Attempts != 1 || left[1].Attempts != 1 {
			t.Errorf("%+v", left)
		}
		time.Sleep(10 * time.Second)
		w.drain(s)
		if left := w.openMarks(); len(left) != 0 {
			t.Errorf("marks are left: %+v", left)
		}
		w.mirrors()
	})
}

// That Shopify said that a customer is gone is not forgotten for an update that
// was delivered late: one null is enough, and even a stranger leaves a tombstone.
func TestDrainOfLateUpdates(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		time.Sleep(time.Minute)
		stranger := w.shop.Create(shopifytest.Customer{FirstName: "Ann"}).ID
		for _, id := range []int64{w.ids()[0], stranger} {
			late := w.event("customers/update", id)
			if err := w.shop.Delete(id); err != nil {
				t.Fatal(err)
			}
			w.put(w.event("customers/delete", id), time.Now())
			w.put(late, time.Now())
		}
		time.Sleep(time.Second)
		w.drain(s)
		if left := w.openMarks(); len(left) != 0 {
			t.Errorf("marks are left: %+v", left)
		}
		if got := w.tombstones(stranger)[stranger]; got != shopifysync.RemovedDeleted {
			t.Errorf("the stranger's tombstone: %q", got)
		}
		w.mirrors()
	})
}
