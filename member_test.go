package shopifysync_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// asked counts the requests for customers by id.
func (w *world) asked() int { return w.server.Count("CustomersByID") }

func (w *world) member(s *shopifysync.Syncer, id int64, maxAge time.Duration) (shopifysync.Contact, error) {
	w.t.Helper()
	return s.Member(w.t.Context(), shopifysync.MemberParams{
		Connection: connID, Number: shopifysync.CustomerID(id).String(), MaxAge: maxAge,
	})
}

func TestMember(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		s := w.syncer()
		ids := w.ids()
		id := ids[0]
		// Not there yet: fetched, stored, returned.
		got, err := w.member(s, id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.contacts()[shopifysync.CustomerID(id)], got); diff != "" || got.CustomerID != shopifysync.CustomerID(id) {
			t.Errorf("-stored +returned: %s", diff)
		}
		// From then on it is read from the store, by its global id as well.
		if _, err := s.Member(t.Context(), shopifysync.MemberParams{Connection: connID, Number: shopifysync.CustomerID(id).GID()}); err != nil {
			t.Fatal(err)
		}
		if n := w.asked(); n != 1 {
			t.Errorf("%d requests", n)
		}
		// MaxAge: what is young enough stays, what is older is read anew, and
		// is then young even though it did not change.
		time.Sleep(10 * time.Minute)
		for i, want := range []int{1, 2, 2} {
			maxAge := []time.Duration{20 * time.Minute, 5 * time.Minute, 5 * time.Minute}[i]
			if _, err := w.member(s, id, maxAge); err != nil || w.asked() != want {
				t.Errorf("step %d: %d requests, want %d; %v", i, w.asked(), want, err)
			}
		}
		time.Sleep(10 * time.Minute)
		if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "asks for Ann" }); err != nil {
			t.Fatal(err)
		}
		if got, err = w.member(s, id, time.Minute); err != nil || attribute(got, shopifysync.AttrNote).Text != "asks for Ann" {
			t.Errorf("%+v, %v", got, err)
		}
		// The whole store is as it would be without lookups.
		w.sync(s)
		w.mirrors()
	})
}

func TestMemberArguments(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		s := w.syncer()
		for _, p := range []shopifysync.MemberParams{
			{Connection: connID}, {Connection: connID, Number: "0"}, {Connection: connID, Number: "-1"},
			{Connection: connID, Number: "ann@example.com"}, {Connection: connID, Number: "1", MaxAge: -1},
		} {
			_, err := s.Member(t.Context(), p)
			if err == nil || errors.Is(err, shopifysync.ErrNoMember) || strings.Contains(err.Error(), "ann@") {
				t.Errorf("%+v: %v", p, err)
			}
		}
		if _, err := s.Member(t.Context(), shopifysync.MemberParams{Connection: "other", Number: "1"}); !errors.Is(err, shopifysync.ErrNotConnected) {
			t.Errorf("error %v", err)
		}
		if n := len(w.server.Requests()); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// Who is not there is asked for once a minute.
func TestMemberUnknown(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		s := w.syncer()
		var got []int
		for range 3 {
			if _, err := w.member(s, 77, 0); !errors.Is(err, shopifysync.ErrNoMember) {
				t.Fatalf("error %v", err)
			}
			got = append(got, w.asked())
			time.Sleep(31 * time.Second)
		}
		if diff := cmp.Diff([]int{1, 1, 2}, got); diff != "" {
			t.Errorf("requests (-want +got): %s", diff)
		}
		if tombs := w.tombstones(77); len(tombs) != 0 {
			t.Errorf("a stranger left %+v", tombs)
		}
		// What a webhook brings meanwhile counts at once.
		id := w.shop.Create(shopifytest.Customer{FirstName: "Ann"}).ID
		if err := w.shop.Delete(id); err != nil {
			t.Fatal(err)
		}
		if _, err := w.member(s, id, 0); !errors.Is(err, shopifysync.ErrNoMember) {
			t.Fatalf("error %v", err)
		}
		_, err := w.store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{Connection: connID, Contacts: []shopifysync.Contact{
			{Connection: connID, CustomerID: shopifysync.CustomerID(id), Name: "Ann"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if c, err := w.member(s, id, 0); err != nil || c.Name != "Ann" {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// tombstones returns what is stored under the ids and is removed.
func (w *world) tombstones(ids ...int64) map[int64]shopifysync.RemovalReason {
	w.t.Helper()
	p := shopifysync.ContactsParams{Connection: connID}
	for _, id := range ids {
		p.IDs = append(p.IDs, shopifysync.CustomerID(id))
	}
	got, err := w.store.Contacts(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[int64]shopifysync.RemovalReason{}
	for _, c := range got.Contacts {
		if c.Removed != "" {
			out[int64(c.CustomerID)] = c.Removed
		}
	}
	return out
}

// Members who are gone, one way or the other.
func TestMemberGone(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		time.Sleep(time.Hour)
		ids := w.ids()
		deleted, merged, redacted, skipped := ids[0], ids[1], ids[2], ids[3]
		remove := func(reason shopifysync.RemovalReason, r shopifysync.Removal) {
			_, err := w.store.RemoveContacts(t.Context(), shopifysync.RemoveContactsParams{
				Connection: connID, Reason: reason, Removals: []shopifysync.Removal{r}, ObservedAt: time.Now(),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.shop.Delete(deleted); err != nil {
			t.Fatal(err)
		}
		remove(shopifysync.RemovedMerged, shopifysync.Removal{CustomerID: shopifysync.CustomerID(merged), MergedInto: 99})
		remove(shopifysync.RemovedRedacted, shopifysync.Removal{CustomerID: shopifysync.CustomerID(redacted)})
		remove(shopifysync.RemovedSkipped, shopifysync.Removal{CustomerID: shopifysync.CustomerID(skipped)})
		time.Sleep(2 * time.Second)

		before := w.asked()
		_, err := w.member(s, merged, 0)
		var into *shopifysync.MergedError
		if !errors.As(err, &into) || into.Into != 99 || !errors.Is(err, shopifysync.ErrNoMember) {
			t.Errorf("merged: %v", err)
		}
		if _, err := w.member(s, redacted, time.Second); !errors.Is(err, shopifysync.ErrNoMember) {
			t.Errorf("redacted: %v", err)
		}
		if w.asked() != before {
			t.Errorf("%d requests for people who never come back", w.asked()-before)
		}
		if _, err := w.member(s, skipped, 0); err != nil {
			t.Errorf("one whom the mapper takes by now: %v", err)
		}
		// Without MaxAge what is stored is good enough.
		if _, err := w.member(s, deleted, 0); err != nil {
			t.Errorf("deleted, stored: %v", err)
		}
		for range 2 {
			if _, err := w.member(s, deleted, time.Second); !errors.Is(err, shopifysync.ErrNoMember) {
				t.Errorf("deleted: %v", err)
			}
		}
		if w.asked() != before+2 {
			t.Errorf("%d requests", w.asked()-before)
		}
		want := map[int64]shopifysync.RemovalReason{
			deleted: shopifysync.RemovedDeleted, merged: shopifysync.RemovedMerged, redacted: shopifysync.RemovedRedacted,
		}
		if diff := cmp.Diff(want, w.tombstones(ids...)); diff != "" {
			t.Errorf("tombstones (-want +got): %s", diff)
		}
	})
}

// A customer who changed a moment ago may be missing from an answer: the
// lookup leaves that to a drain.
func TestMemberGoneTooSoon(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		s := w.syncer()
		id := w.shop.Create(shopifytest.Customer{FirstName: "Ann"}).ID
		if _, err := w.member(s, id, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersByID", Edit: func(answer map[string]any) {
			answer["data"].(map[string]any)["nodes"] = []any{nil}
		}})
		if c, err := w.member(s, id, time.Second); err != nil || c.Name != "Ann" {
			t.Errorf("%+v, %v", c, err)
		}
		if marks := w.openMarks(); len(marks) != 1 || marks[0].CustomerID != shopifysync.CustomerID(id) {
			t.Errorf("marks %+v", marks)
		}
	})
}

// A merge that a webhook told of and no drain has seen to is known at once.
func TestMemberMergedByMark(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		ids := w.ids()
		if err := w.shop.Merge(ids[0], ids[1]); err != nil {
			t.Fatal(err)
		}
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(ids[1]), Reason: "customers/merge", MergedInto: shopifysync.CustomerID(ids[0])})
		time.Sleep(2 * time.Second)
		_, err := w.member(s, ids[1], time.Second)
		var into *shopifysync.MergedError
		if !errors.As(err, &into) || into.Into != shopifysync.CustomerID(ids[0]) {
			t.Errorf("error %v", err)
		}
		// The mark stays for a drain, which finds nothing else to do.
		if _, err := s.Drain(t.Context(), connID); err != nil {
			t.Fatal(err)
		}
		if marks := w.openMarks(); len(marks) != 0 {
			t.Errorf("marks are left: %+v", marks)
		}
		if diff := cmp.Diff(map[int64]shopifysync.RemovalReason{ids[1]: shopifysync.RemovedMerged}, w.tombstones(ids...)); diff != "" {
			t.Errorf("tombstones (-want +got): %s", diff)
		}
	})
}

// Everybody who asks for one member at once shares a request, which lives as
// long as anybody waits for it.
func TestMemberSingleFlight(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		s := w.syncer()
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersByID", Delay: time.Second})
		id := w.ids()[0]
		first, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		ask := func(ctx context.Context, want error) {
			all.Go(func() {
				_, err := s.Member(ctx, shopifysync.MemberParams{Connection: connID, Number: shopifysync.CustomerID(id).String()})
				if !errors.Is(err, want) {
					t.Errorf("error %v, want %v", err, want)
				}
			})
			synctest.Wait()
		}
		ask(first, context.Canceled)
		for range 20 {
			ask(t.Context(), nil)
		}
		start := time.Now()
		cancel()
		synctest.Wait()
		if time.Since(start) != 0 {
			t.Error("the cancelled call waited")
		}
		all.Wait()
		if n := w.asked(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

// When nobody waits any more the request ends, and with it its goroutine: the
// bubble itself would not end otherwise. Who asks afterwards asks anew.
func TestMemberCancelled(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		s := w.syncer()
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersByID", Hang: true})
		id := w.ids()[0]
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Member(ctx, shopifysync.MemberParams{Connection: connID, Number: shopifysync.CustomerID(id).String()})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := w.member(s, id, 0); err != nil {
			t.Error(err)
		}
	})
}

// Lookups cannot drain the budget: what is too much is refused at once, with
// the time after which it would not be.
func TestMemberRateCap(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		s := w.syncer()
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 0 })
		var done, refused int
		var wait time.Duration
		start := time.Now()
		for n := int64(1); n <= 2000; n++ {
			_, err := w.member(s, 1000+n, 0)
			switch {
			case errors.Is(err, shopifysync.ErrNoMember):
				done++
			case errors.Is(err, shopifysync.ErrThrottled):
				refused++
				var ok bool
				if wait, ok = shopifysync.RetryAfter(err); !ok || wait <= 0 {
					t.Fatalf("no time to retry after: %v", err)
				}
			default:
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		elapsed := time.Since(start).Seconds()
		spent := 0
		for _, r := range w.server.Requests() {
			spent += r.Cost
		}
		budget := w.shop.Config().RestoreRate
		if share := float64(spent) / elapsed / float64(budget); share > 0.6 || share < 0.3 {
			t.Errorf("%d points in %.1f s are %.2f of what is restored; %d done, %d refused", spent, elapsed, share, done, refused)
		}
		if refused == 0 {
			t.Fatal("nothing was refused")
		}
		time.Sleep(wait)
		if _, err := w.member(s, 5000, 0); !errors.Is(err, shopifysync.ErrNoMember) {
			t.Errorf("after the time told: %v", err)
		}
	})
}

// Four lookups at once are enough for one connection.
func TestMemberAtOnce(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		s := w.syncer()
		if _, err := w.member(s, 999, 0); !errors.Is(err, shopifysync.ErrNoMember) { // the store's identity is known then
			t.Fatal(err)
		}
		before := w.asked()
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersByID", Delay: 5 * time.Second, Times: shopifytest.Always})
		var all sync.WaitGroup
		var mu sync.Mutex
		refused := 0
		for n := range int64(6) {
			all.Go(func() {
				start := time.Now()
				_, err := w.member(s, 2000+n, 0)
				if errors.Is(err, shopifysync.ErrThrottled) && time.Since(start) == 2*time.Second {
					mu.Lock()
					refused++
					mu.Unlock()
				} else if !errors.Is(err, shopifysync.ErrNoMember) {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		}
		time.Sleep(time.Second)
		if n := w.asked() - before; n != 4 {
			t.Errorf("%d requests at once", n)
		}
		all.Wait()
		if refused != 2 {
			t.Errorf("%d refused", refused)
		}
	})
}

// While Shopify refuses the connection or does not answer, what is stored is
// returned.
func TestMemberWhileRefused(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		s := w.syncer()
		known, unknown := w.ids()[0], w.ids()[1]
		if _, err := w.member(s, known, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen })
		for range 2 {
			if _, err := w.member(s, known, time.Minute); err != nil {
				t.Error(err)
			}
			if _, err := w.member(s, unknown, 0); !errors.Is(err, shopifysync.ErrShopFrozen) {
				t.Error(err)
			}
		}
		if n := w.asked(); n != 2 { // the first, and the one that found the store frozen
			t.Errorf("%d requests", n)
		}
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Open })
		time.Sleep(time.Hour)
		if _, err := w.member(s, unknown, 0); err != nil {
			t.Error(err)
		}
		// Uninstalled: nothing is sent, contacts stay.
		w.pause(shopifysync.HealthUninstalled)
		before := len(w.server.Requests())
		if _, err := w.member(s, known, time.Second); err != nil {
			t.Error(err)
		}
		if _, err := w.member(s, 4711, 0); !errors.Is(err, shopifysync.ErrUninstalled) {
			t.Error(err)
		}
		if n := len(w.server.Requests()) - before; n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// pause lets the connection's state say that Shopify refuses it for good.
func (w *world) pause(health shopifysync.HealthState) {
	w.t.Helper()
	w.changeState(func(st *shopifysync.ConnectionState) { st.Pause = &shopifysync.Pause{State: health, Since: time.Now()} })
}

func (w *world) connectionState() shopifysync.ConnectionState {
	w.t.Helper()
	got, err := w.store.ConnectionState(w.t.Context(), shopifysync.ConnectionStateParams{Connection: connID})
	if err != nil {
		w.t.Fatal(err)
	}
	return got.State
}

func (w *world) changeState(change func(*shopifysync.ConnectionState)) {
	w.t.Helper()
	st := w.connectionState()
	change(&st)
	if _, err := w.store.SaveConnectionState(w.t.Context(), shopifysync.SaveConnectionStateParams{State: st}); err != nil {
		w.t.Fatal(err)
	}
}

// A member whom the mapper fails on is a failed record, as in a run.
func TestMemberPoison(t *testing.T) {
	inWorld(t, 2, func(t *testing.T, w *world) {
		s := w.syncer(shopifysync.WithMapper(func(shopifysync.ConnectionID, shopifysync.Customer) (shopifysync.Contact, error) {
			panic("canary-person")
		}))
		_, err := w.member(s, w.ids()[0], 0)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("error %v", err)
		}
		if marks := w.openMarks(); len(marks) != 1 || marks[0].Attempts != 1 {
			t.Errorf("marks %+v", marks)
		}
	})
}
