package shopifysync_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

func (w *world) disconnect(s *shopifysync.Syncer, remove bool) *shopifysync.DisconnectResult {
	w.t.Helper()
	got, err := s.Disconnect(w.t.Context(), shopifysync.DisconnectParams{Connection: connID, RemoveContacts: remove})
	if err != nil {
		w.t.Fatalf("Disconnect: %v", err)
	}
	return got
}

// refusesAll checks that every call for the connection is refused, without a
// request to Shopify.
func (w *world) refusesAll(s *shopifysync.Syncer) {
	w.t.Helper()
	requests := len(w.server.Requests())
	ctx := w.t.Context()
	_, sync := s.Sync(ctx, shopifysync.SyncParams{Connection: connID})
	_, drain := s.Drain(ctx, connID)
	_, catchUp := s.CatchUp(ctx, connID)
	_, check := s.Check(ctx, connID)
	for name, err := range map[string]error{"Sync": sync, "Drain": drain, "CatchUp": catchUp, "Check": check} {
		if !errors.Is(err, shopifysync.ErrNotConnected) {
			w.t.Errorf("%s after Disconnect: %v", name, err)
		}
	}
	if n := len(w.server.Requests()); n != requests {
		w.t.Errorf("%d requests after Disconnect", n-requests)
	}
}

func TestDisconnectKeeping(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		conns := w.connectable()
		w.conn.Credentials.ClientID = "client-id"
		w.conn.Credentials.PreviousClientSecret = shopifysync.NewSecret("older")
		w.conn.Labels = map[string]string{"a": "b"}
		w.conn.APIVersion = "2026-01"
		w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa", Country: "TW"}
		s := w.syncerWith(conns)
		w.connect(s)
		w.sync(s)
		w.mark(shopifysync.Mark{CustomerID: 7})
		w.addSubscription(shopifytest.Subscription{Topic: "CUSTOMERS_UPDATE", URL: "https://example.com/theirs"})
		before := w.contacts()

		got := w.disconnect(s, false)
		want := &shopifysync.DisconnectResult{EraseBy: w.state().Disconnected.At.Add(30 * 24 * time.Hour), Unsubscribed: len(topicsOf("2026-01"))}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if subs := w.shop.Subscriptions(); len(subs) != 1 || subs[0].URL != "https://example.com/theirs" {
			t.Errorf("subscriptions: %v", subs)
		}
		kept, err := conns.Connection(t.Context(), connID)
		bare := w.conn // all that a reconnection may want, and nothing to ask Shopify with
		bare.Credentials = shopifysync.Credentials{
			ClientSecret: w.conn.Credentials.ClientSecret, PreviousClientSecret: w.conn.Credentials.PreviousClientSecret,
		}
		if diff := cmp.Diff(bare, kept); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		if diff := cmp.Diff(before, w.contacts()); diff != "" {
			t.Error(diff)
		}
		w.refusesAll(s)
		time.Sleep(24 * time.Hour)
		if again := w.disconnect(s, false); !again.EraseBy.Equal(got.EraseBy) {
			t.Errorf("once more: %+v", again)
		}

		w.connect(s)
		if r := w.sync(s); r.Created != 0 || r.Unchanged+r.SkippedTotal() != 300 {
			t.Errorf("%+v", r)
		}
		w.mirrors()
	})
}

// A host may keep contacts for longer, or for ever.
func TestDisconnectRetention(t *testing.T) {
	for _, keep := range []time.Duration{365 * 24 * time.Hour, 0, -time.Hour} {
		inWorld(t, 10, func(t *testing.T, w *world) {
			s := w.syncerWith(w.connectable(), shopifysync.WithRetention(keep))
			w.connect(s)
			w.sync(s)
			got := w.disconnect(s, false)
			end := w.state().Disconnected
			if want := end.At.Add(keep); keep > 0 && !got.EraseBy.Equal(want) || keep <= 0 && !got.EraseBy.IsZero() {
				t.Errorf("to be erased by %v", got.EraseBy)
			}
			if st := w.status(s); !st.EraseBy.Equal(got.EraseBy) || !end.Kept {
				t.Errorf("%+v, %+v", st, end)
			}
			if removed := w.disconnect(s, true); removed.Removed != 10 || w.state().Disconnected.Kept {
				t.Errorf("%+v, %+v", removed, w.state().Disconnected)
			}
		})
	}
}

func TestDisconnectRemoving(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		conns := w.connectable()
		s := w.syncerWith(conns)
		w.connect(s)
		w.sync(s)
		w.mark(shopifysync.Mark{CustomerID: 7})
		before := len(w.contacts())
		got := w.disconnect(s, true)
		if got.Removed != int64(before) || !got.EraseBy.IsZero() || len(w.contacts()) != 0 || len(w.openMarks()) != 0 {
			t.Errorf("%+v, %d contacts, %d marks", got, len(w.contacts()), len(w.openMarks()))
		}
		if _, err := conns.Connection(t.Context(), connID); !errors.Is(err, shopifysync.ErrNotConnected) {
			t.Errorf("error %v", err)
		}
		if st := w.status(s); len(st.Runs) > 0 || !st.InStepAsOf.IsZero() || st.Disconnected == nil {
			t.Errorf("%+v", st)
		}
		w.refusesAll(s)
		if again := w.disconnect(s, true); again.Removed != 0 {
			t.Errorf("once more: %+v", again)
		}
		w.connect(s)
		if r := w.sync(s); r.Created != int64(before) {
			t.Errorf("%+v", r)
		}
		w.mirrors()
	})
}

// A removal that was cut off is finished by Serve, as the removal that it is:
// it is no erasure.
func TestDisconnectCutOff(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		host := &erasures{}
		store := &stuck{ContactStore: w.store}
		conns := w.connectable()
		if _, err := conns.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: w.conn}); err != nil {
			t.Fatal(err)
		}
		s, err := shopifysync.New(store, conns, shopifysync.WithHTTPClient(w.server.Client()), shopifysync.WithStateStore(durable{w.store}), host.option())
		if err != nil {
			t.Fatal(err)
		}
		w.sync(s)
		id := int64(slices.Sorted(maps.Keys(w.contacts()))[0])
		host.got = nil // of customers who were redacted before
		store.broken = true
		if _, err := s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: connID, RemoveContacts: true}); err == nil || len(w.contacts()) == 0 {
			t.Fatalf("error %v, %d contacts", err, len(w.contacts()))
		}
		w.refusesAll(s)
		store.broken = false
		stop := serve(t, s)
		time.Sleep(time.Hour)
		stop()
		if n := len(w.contacts()); n > 0 {
			t.Errorf("%d contacts are left", n)
		}
		if diff := cmp.Diff(map[int64]shopifysync.RemovalReason{id: shopifysync.RemovedDisconnected}, w.tombstones(id)); diff != "" {
			t.Errorf("-want +got: %s", diff)
		}
		if len(host.got) > 0 {
			t.Errorf("the host was told to erase: %+v", host.got)
		}
		if _, err := conns.Connection(t.Context(), connID); !errors.Is(err, shopifysync.ErrNotConnected) {
			t.Errorf("the connection is still there: %v", err)
		}
		if d := w.state().Disconnected; d == nil || !d.EraseBy.IsZero() {
			t.Errorf("%+v", d)
		}
	})
}

// Serve leaves a connection alone whose store was connected again while the
// removal waited to be finished.
func TestDisconnectCutOffThenConnected(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		store := &stuck{ContactStore: w.store}
		conns := w.connectable()
		states := &interrupted{durable: durable{w.store}}
		s, err := shopifysync.New(store, conns, shopifysync.WithHTTPClient(w.server.Client()), shopifysync.WithStateStore(states))
		if err != nil {
			t.Fatal(err)
		}
		w.connect(s)
		w.sync(s)
		before := len(w.contacts())
		store.broken = true
		if _, err := s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: connID, RemoveContacts: true}); err == nil {
			t.Fatal("no error")
		}
		store.broken = false
		// The merchant is as fast as can be: another process connects the store
		// right before Serve takes the lease of checks.
		elsewhere := w.syncerWith(conns)
		states.before = func() { w.connect(elsewhere) }
		stop := serve(t, s)
		time.Sleep(time.Minute)
		stop()
		if n := len(w.contacts()); n != before || w.state().Disconnected != nil || states.before != nil {
			t.Errorf("%d of %d contacts are left, %+v", n, before, w.state().Disconnected)
		}
	})
}

// An interrupted store does something else before it gives the lease of runs.
type interrupted struct {
	durable
	before func()
}

func (s *interrupted) AcquireLease(ctx context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
	if f := s.before; f != nil && p.Kind == shopifysync.LeaseRun {
		s.before = nil
		f()
	}
	return s.durable.AcquireLease(ctx, p)
}

// A stuck store refuses removals while it is broken.
type stuck struct {
	shopifysync.ContactStore
	broken bool
}

func (s *stuck) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	if s.broken {
		return shopifysync.RemoveContactsResult{}, errors.New("the disk is full")
	}
	return s.ContactStore.RemoveContacts(ctx, p)
}

// Contacts that were kept may be removed later.
func TestDisconnectThenRemove(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		conns := w.connectable()
		s := w.syncerWith(conns)
		w.connect(s)
		w.sync(s)
		before := len(w.contacts())
		w.disconnect(s, false)
		time.Sleep(30 * 24 * time.Hour)
		if got := w.disconnect(s, true); got.Removed != int64(before) || !got.EraseBy.IsZero() || w.state().Disconnected.EraseBy != (time.Time{}) {
			t.Errorf("%+v", got)
		}
		if _, err := conns.Connection(t.Context(), connID); !errors.Is(err, shopifysync.ErrNotConnected) || len(w.contacts()) > 0 {
			t.Errorf("%v, %d contacts", err, len(w.contacts()))
		}
	})
}

func TestDisconnectUnknown(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		_, err := s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: connID})
		if !errors.Is(err, shopifysync.ErrNotConnected) || w.state().Revision != 0 {
			t.Errorf("error %v", err)
		}
	})
}

// Nobody live is left, whatever the clocks say, and all come back.
func TestDisconnectWhateverTheClocks(t *testing.T) {
	for _, skew := range []time.Duration{-48 * time.Hour, -time.Minute, 0, time.Minute, 48 * time.Hour} {
		for _, gone := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v gone=%v", skew, gone), func(t *testing.T) {
				inWorld(t, 1100, func(t *testing.T, w *world) {
					conns := w.connectable()
					s := w.syncerWith(conns)
					w.connect(s)
					w.sync(s)
					before := len(w.contacts())
					// A process that has never heard of Shopify, by its own clock.
					late := w.syncerWith(conns, shopifysync.WithClock(func() time.Time { return time.Now().Add(skew) }))
					if gone {
						w.shop.Inject(shopifytest.Fault{Drop: shopifytest.DropRequest, Times: shopifytest.Always})
					}
					if got := w.disconnect(late, true); got.Removed != int64(before) || len(w.contacts()) > 0 {
						t.Errorf("%+v, %d of %d contacts are left", got, len(w.contacts()), before)
					}
					if gone && skew > 0 {
						return // then only what is observed later than that brings them back
					}
					w.shop.ClearFaults()
					w.connect(s)
					if r := w.sync(s); r.Created != int64(before) {
						t.Errorf("%+v", r)
					}
				})
			})
		}
	}
}

// A store that is gone, frozen, or does not answer is disconnected all the same,
// within seconds.
func TestDisconnectWhenTheStoreIsGone(t *testing.T) {
	for name, trouble := range map[string]func(*world){
		"uninstalled": func(w *world) { w.shop.Uninstall() },
		"frozen":      func(w *world) { w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen }) },
		"renamed":     func(w *world) { w.shop.Rename("renamed.myshopify.com") },
		"silent":      func(w *world) { w.shop.Inject(shopifytest.Fault{Hang: true, Times: shopifytest.Always}) },
		"failing":     func(w *world) { w.shop.Inject(shopifytest.Fault{Status: 503, Times: shopifytest.Always}) },
		"throttling": func(w *world) {
			w.shop.Inject(shopifytest.Fault{Status: 429, Times: shopifytest.Always})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 30, func(t *testing.T, w *world) {
				s := w.syncerWith(w.connectable())
				w.connect(s)
				w.sync(s)
				trouble(w)
				start := time.Now()
				got := w.disconnect(s, true)
				if took := time.Since(start); took > 15*time.Second {
					t.Errorf("it took %v", took)
				}
				if len(got.Warnings) == 0 || len(w.contacts()) > 0 {
					t.Errorf("%+v, %d contacts", got, len(w.contacts()))
				}
				w.refusesAll(s)
			})
		})
	}
}

// works are what may be under way when a connection is disconnected, each from
// a state in which it has something to do.
var works = map[string]func(ctx context.Context, w *world, s *shopifysync.Syncer) error{
	"sync": func(ctx context.Context, w *world, s *shopifysync.Syncer) error {
		_, err := s.Sync(ctx, shopifysync.SyncParams{Connection: connID})
		return err
	},
	"drain": func(ctx context.Context, w *world, s *shopifysync.Syncer) error {
		_, err := s.Drain(ctx, connID)
		return err
	},
	"catch-up": func(ctx context.Context, w *world, s *shopifysync.Syncer) error {
		_, err := s.CatchUp(ctx, connID)
		return err
	},
	"check": func(ctx context.Context, w *world, s *shopifysync.Syncer) error {
		_, err := s.Check(ctx, connID)
		return err
	},
	"member": func(ctx context.Context, w *world, s *shopifysync.Syncer) error {
		_, err := s.Member(ctx, shopifysync.MemberParams{Connection: connID, Number: fmt.Sprint(w.newest())})
		return err
	},
	"delivery": func(ctx context.Context, w *world, s *shopifysync.Syncer) error {
		return s.Deliver(ctx, connID, shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{w.newest()}})
	},
	"connect": func(ctx context.Context, w *world, s *shopifysync.Syncer) error {
		_, err := s.Connect(ctx, w.conn)
		return err
	},
}

// newest is a customer who is no contact yet.
func (w *world) newest() shopifysync.CustomerID {
	return shopifysync.CustomerID(w.shop.Newest(1)[0].ID)
}

// busy gives every kind of work something to do, and the connection a run that
// was synced once.
func (w *world) busy(s *shopifysync.Syncer) {
	w.t.Helper()
	w.connect(s)
	w.sync(s)
	ids := w.ids()
	for _, id := range ids[:20] {
		if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note += "!" }); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.shop.Delete(ids[20]); err != nil {
		w.t.Fatal(err)
	}
	w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(ids[0]), Reason: "customers/update"},
		shopifysync.Mark{CustomerID: shopifysync.CustomerID(ids[20]), Reason: "customers/delete"})
	w.shop.DropSubscriptions()
	w.shop.Create(shopifytest.Customer{FirstName: "New"})
	time.Sleep(2 * time.Second)
}

// Disconnect at every step of whatever is under way, in this process or in
// another one: once it has returned, nothing is called and nothing is written.
// The steps are those that the code was seen to do.
func TestDisconnectAtEveryStep(t *testing.T) {
	for name, work := range works {
		for _, elsewhere := range []bool{false, true} {
			if elsewhere && name == "delivery" {
				continue // it fetches at once because its state is in this process alone
			}
			t.Run(fmt.Sprintf("%s elsewhere=%v", name, elsewhere), func(t *testing.T) {
				t.Parallel()
				steps := 0
				inWorld(t, 110, func(t *testing.T, w *world) {
					s, b := w.boundary(shopifysync.WithBulkThreshold(100))
					w.busy(s)
					b.hook(nil)
					if err := work(t.Context(), w, s); err != nil {
						t.Fatal(err)
					}
					steps = len(b.trace())
				})
				if steps < 5 {
					t.Fatalf("it has only %d steps", steps)
				}
				for n := range steps {
					inWorld(t, 110, func(t *testing.T, w *world) {
						w.disconnectAt(n, work, elsewhere)
					})
				}
			})
		}
	}
}

// disconnectAt disconnects when the work comes to its step n.
func (w *world) disconnectAt(n int, work func(context.Context, *world, *shopifysync.Syncer) error, elsewhere bool) {
	t := w.t
	s, b := w.boundary(shopifysync.WithBulkThreshold(100))
	w.busy(s)
	by := s
	if elsewhere {
		by = w.syncerWith(b.conns)
	}
	done := make(chan error, 1)
	begun := false
	b.hook(func(i int, step string) error {
		b.mu.Lock()
		first := i == n && !begun
		begun = begun || first
		b.mu.Unlock()
		if first {
			go func() {
				_, err := by.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: connID, RemoveContacts: n%2 == 0})
				if err == nil {
					b.step("disconnected")
				}
				done <- err
			}()
			time.Sleep(time.Millisecond) // it gets as far as it can
		}
		return nil
	})
	result := make(chan error, 1)
	go func() { result <- work(t.Context(), w, s) }()
	err := <-result
	b.mu.Lock()
	wasBegun := begun
	b.mu.Unlock()
	if !wasBegun {
		return // this time it had fewer steps
	}
	if err := <-done; err != nil {
		t.Fatalf("step %d: Disconnect: %v", n, err)
	}
	synctest.Wait()
	time.Sleep(time.Hour)
	trace := b.trace()
	if err != nil && !errors.Is(err, shopifysync.ErrNotConnected) {
		t.Errorf("step %d (%s): the work ended with %v", n, trace[n], err)
	}
	if n == 0 && trace[0] == "AcquireLease" && err == nil {
		return // a Connect that waited for its turn came after the Disconnect
	}
	later := trace[slices.Index(trace, "disconnected")+1:]
	if elsewhere { // who holds no lease is not waited for, and finds out by itself
		later = slices.DeleteFunc(slices.Clone(later), func(step string) bool {
			return slices.Contains([]string{"Connection", "ConnectionState", "Contacts", "Marks"}, step)
		})
	}
	if len(later) > 0 {
		t.Errorf("step %d (%s): after Disconnect had returned: %q", n, trace[n], later)
	}
	if st := w.state(); st.Disconnected == nil {
		t.Errorf("step %d (%s): the state does not say disconnected", n, trace[n])
	}
	if n%2 == 0 && len(w.contacts()) > 0 {
		t.Errorf("step %d (%s): %d contacts are left", n, trace[n], len(w.contacts()))
	}
	if subs := w.subscribed(ourURL); len(subs) > 0 {
		t.Errorf("step %d (%s): still subscribed: %v", n, trace[n], subs)
	}
	runs, runsErr := w.store.Runs(context.Background(), shopifysync.RunsParams{Connection: connID, Limit: 10})
	for _, run := range runs.Runs {
		if runsErr != nil || run.State == shopifysync.RunRunning || run.State == shopifysync.RunPaused || len(run.Checkpoint) > 0 {
			t.Errorf("step %d (%s): a run can be resumed: %+v", n, trace[n], run)
		}
	}
}

var hangStride = flag.Int("disconnect.hang", 5, "TestDisconnectWhileAProcessHangs hangs in each n-th step; 1: in every one")

// Another process hangs in any step of its work for minutes, with its context's
// end unheard, while the connection is disconnected: when it wakes up it can
// change nothing any more, and asks nothing.
func TestDisconnectWhileAProcessHangs(t *testing.T) {
	for name, work := range works {
		if name == "delivery" {
			continue // its state is in one process alone
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n, again := 0, true; again; n += *hangStride {
				inWorld(t, 110, func(t *testing.T, w *world) {
					s, b := w.boundary(shopifysync.WithBulkThreshold(100))
					w.busy(s)
					by := w.syncerWith(b.conns)
					hung := make(chan string, 1)
					b.hook(func(i int, step string) error {
						if i == n && again {
							hung <- step
							time.Sleep(5 * time.Minute)
						}
						return nil
					})
					result := make(chan error, 1)
					go func() { result <- work(t.Context(), w, s) }()
					var step string
					select {
					case step = <-hung:
					case <-result:
						again = false
						return
					}
					w.disconnect(by, true)
					type world struct {
						State    shopifysync.ConnectionState
						Contacts int
						Marks    []shopifysync.Mark
						Requests int
						Saved    bool
					}
					look := func() world {
						_, err := b.conns.Connection(context.Background(), connID)
						seen := world{w.state(), len(w.contacts()), w.openMarks(), len(w.server.Requests()), err == nil}
						if name == "member" {
							seen.Requests = 0 // without a lease one may still be sent; nothing stays of it
						}
						return seen
					}
					after := look()
					known := func(err error) bool { // the deadline is that of the last writes
						return err == nil || errors.Is(err, shopifysync.ErrNotConnected) || errors.Is(err, shopifysync.ErrLeaseLost) || errors.Is(err, context.DeadlineExceeded)
					}
					err := <-result
					time.Sleep(time.Hour)
					if name == "connect" && n == 0 && err == nil {
						return // it came after the Disconnect
					}
					if diff := cmp.Diff(after, look()); diff != "" {
						t.Errorf("hung in step %d (%s): after Disconnect had returned:\n%s", n, step, diff)
					}
					if after.Contacts > 0 || after.Saved || after.State.Disconnected == nil || !known(err) {
						t.Errorf("hung in step %d (%s): %+v, %v", n, step, after, err)
					}
				})
			}
		})
	}
}

// Whatever step of Disconnect itself fails, it says so, the connection counts as
// disconnected from the first write on, and to call it again finishes.
func TestDisconnectFailsHalfWay(t *testing.T) {
	broken := errors.New("broken")
	for _, remove := range []bool{false, true} {
		steps := 0
		inWorld(t, 50, func(t *testing.T, w *world) {
			s, b := w.boundary()
			w.busy(s)
			b.hook(nil)
			w.disconnect(s, remove)
			steps = len(b.trace())
		})
		for n := 0; n < steps; n++ {
			inWorld(t, 50, func(t *testing.T, w *world) {
				s, b := w.boundary()
				w.busy(s)
				before := len(w.contacts())
				b.hook(func(i int, step string) error {
					if i == n {
						return broken
					}
					return nil
				})
				p := shopifysync.DisconnectParams{Connection: connID, RemoveContacts: remove}
				_, err := s.Disconnect(t.Context(), p)
				trace := b.trace()
				if err != nil && !errors.Is(err, broken) {
					t.Errorf("step %d (%s): %v", n, trace[n], err)
				}
				b.hook(nil)
				if _, err := s.Disconnect(t.Context(), p); err != nil {
					t.Errorf("step %d (%s), again: %v", n, trace[n], err)
				}
				w.refusesAll(s)
				if left := len(w.contacts()); remove && left > 0 || !remove && left != before {
					t.Errorf("step %d (%s): %d contacts", n, trace[n], left)
				}
				kept, err := b.conns.Connection(t.Context(), connID)
				if remove && !errors.Is(err, shopifysync.ErrNotConnected) || !remove && (err != nil || !kept.Credentials.AccessToken.IsZero()) {
					t.Errorf("step %d (%s): the connection is kept: %v", n, trace[n], err)
				}
				// Whatever happened, it can be connected again.
				w.connect(s)
				w.sync(s)
				w.mirrors()
			})
		}
		if steps < 12 {
			t.Errorf("only %d steps were seen", steps)
		}
	}
}

// A process that was killed in a run is waited for no longer than its lease
// lasts, and its run is not resumed.
func TestDisconnectAfterAKill(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		w.connect(s)
		for _, kind := range []shopifysync.LeaseKind{shopifysync.LeaseRun, shopifysync.LeaseDrain, shopifysync.LeaseCatchUp, shopifysync.LeaseCheck} {
			got, err := w.store.AcquireLease(t.Context(), shopifysync.AcquireLeaseParams{Connection: connID, Kind: kind, TTL: 30 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if kind == shopifysync.LeaseRun {
				run := shopifysync.Run{ID: "r", Connection: connID, State: shopifysync.RunRunning, StartedAt: time.Now(), Checkpoint: []byte("{}")}
				if _, err := w.store.SaveRun(t.Context(), shopifysync.SaveRunParams{Lease: got.Lease, Run: run}); err != nil {
					t.Fatal(err)
				}
			}
		}
		start := time.Now()
		w.disconnect(s, false)
		if took := time.Since(start); took < 29*time.Second || took > 40*time.Second {
			t.Errorf("it took %v", took)
		}
		if got := w.status(s).Runs; len(got) != 1 || got[0].State != shopifysync.RunFailed || got[0].Error != "the connection was disconnected" {
			t.Errorf("%+v", got)
		}
	})
}

// The bulk operation of a run that is cut off is cancelled.
func TestDisconnectCancelsTheBulkOperation(t *testing.T) {
	inWorld(t, 3000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed = 1 })
		s := w.syncerWith(w.connectable(), shopifysync.WithBulkThreshold(100))
		w.connect(s)
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 2 * time.Second })
		done := make(chan error, 1)
		go func() {
			_, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
			done <- err
		}()
		time.Sleep(15 * time.Second)
		if w.server.Count("RunBulkQuery") != 1 {
			t.Fatal("no bulk operation was begun")
		}
		got := w.disconnect(s, false)
		if err := <-done; !errors.Is(err, shopifysync.ErrNotConnected) {
			t.Errorf("the run ended with %v", err)
		}
		if w.server.Count("CancelBulkOperation") != 1 {
			t.Errorf("it was not cancelled: %+v", got)
		}
	})
}

// Connects and Disconnects at once, in two processes: whatever comes last, state
// and connection agree, and nothing hangs.
func TestConnectAndDisconnectAtOnce(t *testing.T) {
	for seed := range 20 {
		inWorld(t, 5, func(t *testing.T, w *world) {
			conns := w.connectable()
			syncers := []*shopifysync.Syncer{w.syncerWith(conns), w.syncerWith(conns)}
			w.connect(syncers[0])
			var wait sync.WaitGroup
			for i := range 12 {
				wait.Go(func() {
					time.Sleep(time.Duration(i*(seed*7+3)%113) * time.Millisecond)
					s := syncers[i/2%2]
					if i%2 == 0 {
						_, err := s.Connect(t.Context(), w.conn)
						if err != nil && !errors.Is(err, shopifysync.ErrNotConnected) {
							t.Errorf("seed %d: Connect: %v", seed, err)
						}
					} else {
						_, _ = s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: connID, RemoveContacts: i%3 == 0})
					}
				})
			}
			wait.Wait()
			_, err := conns.Connection(t.Context(), connID)
			switch st := w.state(); {
			case st.Disconnected == nil && err != nil:
				t.Errorf("seed %d: connected, but not saved: %v", seed, err)
			case st.Disconnected != nil && len(w.subscribed(ourURL)) > 0:
				t.Errorf("seed %d: disconnected, but subscribed", seed)
			}
			w.connect(syncers[0])
			w.sync(syncers[1])
			w.mirrors()
		})
	}
}

// Privacy webhooks are still verified and obeyed while contacts are kept; all
// others are refused.
func TestPrivacyAfterDisconnect(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		conns := w.connectable()
		s := w.syncerWith(conns)
		w.connect(s)
		w.sync(s)
		w.disconnect(s, false)
		requests := len(w.server.Requests())
		deliver := func(topic string, ids ...int64) int {
			r, err := w.shop.Delivery(topic, ids...)
			if err != nil {
				t.Fatal(err)
			}
			mux := http.NewServeMux()
			mux.Handle("POST /shopify/{connection}", s.WebhookHandler())
			r.URL.Path = "/shopify/" + string(connID)
			answer := httptest.NewRecorder()
			mux.ServeHTTP(answer, r)
			return answer.Code
		}
		ids := w.ids()
		if code := deliver("customers/update", ids[0]); code == http.StatusOK {
			t.Error("customers/update was acknowledged")
		}
		before := w.contacts()
		if code := deliver("customers/redact", ids[0]); code != http.StatusOK || len(w.contacts()) != len(before)-1 {
			t.Errorf("customers/redact: %d, %d contacts", code, len(w.contacts()))
		}
		if code := deliver("shop/redact"); code != http.StatusOK || len(w.contacts()) != 0 {
			t.Errorf("shop/redact: %d, %d contacts", code, len(w.contacts()))
		}
		if n := len(w.server.Requests()); n != requests {
			t.Errorf("%d requests", n-requests)
		}
		// A later connection starts afresh.
		time.Sleep(2 * time.Second)
		w.connect(s)
		if r := w.sync(s); r.Created != int64(len(before)-1) {
			t.Errorf("%+v", r)
		}
	})
}

// What is kept is the secret that a Connect in another process saved last.
func TestDisconnectKeepsTheLatestSecret(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		s, b := w.boundary()
		w.connect(s)
		rotated := w.conn
		rotated.Credentials.ClientSecret = shopifysync.NewSecret("rotated")
		saved := false
		b.hook(func(_ int, step string) error {
			if step != "AcquireLease" || saved {
				return nil
			}
			saved = true
			_, err := b.conns.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: rotated})
			return err
		})
		w.disconnect(s, false)
		kept, err := b.conns.Connection(t.Context(), connID)
		if err != nil || !kept.Credentials.ClientSecret.Equal(rotated.Credentials.ClientSecret) || !kept.Credentials.AccessToken.IsZero() {
			t.Errorf("%v: not the latest secret is kept", err)
		}
	})
}

// A panicky lookup of connections panics while it is told to.
type panicky struct {
	shopifysync.ConnectionStore
	panics bool
}

// Connection implements Connections.
func (p *panicky) Connection(ctx context.Context, id shopifysync.ConnectionID) (shopifysync.Connection, error) {
	if p.panics {
		panic("canary")
	}
	return p.ConnectionStore.Connection(ctx, id)
}

// A call that ended by a panic of the host's code is not waited for.
func TestDisconnectAfterAPanic(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		conns := &panicky{ConnectionStore: w.connectable()}
		s := w.syncerWith(conns)
		w.connect(s)
		conns.panics = true
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_, err := s.Drain(t.Context(), connID)
			t.Errorf("Drain: %v", err)
		}()
		conns.panics = false
		w.disconnect(s, false)
	})
}
