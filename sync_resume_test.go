package shopifysync_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

var errKilled = errors.New("killed")

// A mortalStore dies after so many calls that write: as if the process had
// been killed, every later call fails and nothing is written any more.
type mortalStore struct {
	*shopifysync.MemoryStore
	left atomic.Int64
}

func (m *mortalStore) dead() bool { return m.left.Add(-1) < 0 }

func (m *mortalStore) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	if m.dead() {
		return shopifysync.UpsertContactsResult{}, errKilled
	}
	return m.MemoryStore.UpsertContacts(ctx, p)
}

func (m *mortalStore) SaveRun(ctx context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
	if m.dead() {
		return shopifysync.SaveRunResult{}, errKilled
	}
	return m.MemoryStore.SaveRun(ctx, p)
}

func (m *mortalStore) ReleaseLease(ctx context.Context, p shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
	if m.left.Load() < 0 {
		return shopifysync.ReleaseLeaseResult{}, errKilled
	}
	return m.MemoryStore.ReleaseLease(ctx, p)
}

// A run killed at any write is resumed by another process, ends with exactly
// the store's customers, and its counts still add up.
func TestResumeAfterKill(t *testing.T) {
	resumed := 0
	for seed := range uint64(25) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inWorld(t, 1500, func(t *testing.T, w *world) {
				random := rand.New(rand.NewPCG(seed, 1))
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 4000, 600*time.Millisecond })
				// A slow store, so that checkpoints come between the batches.
				var last *shopifysync.Report
				for kills := 0; ; kills++ {
					mortal := &mortalStore{MemoryStore: w.store}
					mortal.left.Store(1 + random.Int64N(60))
					if kills == 5 {
						mortal.left.Store(1 << 40)
					}
					slow := &slowStore{ContactStore: mortal, delay: 400 * time.Millisecond}
					s := w.syncerOn(slow, shopifysync.WithStateStore(mortal),
						shopifysync.WithBulkThreshold(500), shopifysync.WithBatchSize(40), shopifysync.WithWriters(2))
					r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, Wait: time.Minute})
					w.addsUp(r)
					if r.Resumed && r.Seen > 0 {
						resumed++
					}
					if err == nil {
						last = r
						break
					}
					if !errors.Is(err, errKilled) {
						t.Fatal(err)
					}
					if random.IntN(2) == 0 { // the store goes on while nobody syncs
						w.shop.Create(shopifytest.Customer{FirstName: "Late", Email: fmt.Sprintf("late%d@example.com", kills)})
						time.Sleep(time.Duration(random.IntN(100)) * time.Second)
					}
				}
				if !last.Complete {
					t.Errorf("%+v", last)
				}
				w.mirrors()
				if n := int64(w.shop.Count()); last.Seen > n || last.Seen < n-10 {
					t.Errorf("seen %d of %d", last.Seen, n)
				}
			})
		})
	}
	if resumed < 10 {
		t.Errorf("only %d runs went on where another stopped: the test does not test it", resumed)
	}
}

// A slowStore takes its time to write.
type slowStore struct {
	shopifysync.ContactStore
	delay time.Duration
}

func (s *slowStore) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	select {
	case <-time.After(s.delay):
		return s.ContactStore.UpsertContacts(ctx, p)
	case <-ctx.Done():
		return shopifysync.UpsertContactsResult{}, ctx.Err()
	}
}

// Too old a checkpoint, or one of other settings, is not gone on with.
func TestResumeOnlyTheSameRun(t *testing.T) {
	tests := map[string]struct {
		wait time.Duration
		opts []shopifysync.Option
		edit func(*shopifysync.Connection)
		want bool
	}{
		"the same":            {want: true},
		"a day later":         {wait: 25 * time.Hour},
		"other fields":        {opts: []shopifysync.Option{shopifysync.WithoutFields(shopifysync.FieldNote)}},
		"another version":     {edit: func(c *shopifysync.Connection) { c.APIVersion = "2026-04" }},
		"the same WhatsApp":   {edit: func(c *shopifysync.Connection) { c.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa-1"} }, want: true},
		"other WhatsApp":      {edit: func(c *shopifysync.Connection) { c.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa-2"} }},
		"no WhatsApp":         {edit: func(c *shopifysync.Connection) { c.WhatsApp = nil }},
		"another name order":  {opts: []shopifysync.Option{shopifysync.WithNameOrder(shopifysync.NameFamilyFirst)}},
		"the address's phone": {opts: []shopifysync.Option{shopifysync.WithAddressPhone()}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 2000, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 100_000, time.Second })
				w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa-1"}
				opts := []shopifysync.Option{shopifysync.WithBulkThreshold(500), shopifysync.WithBatchSize(50), shopifysync.WithWriters(1)}
				slow := &slowStore{ContactStore: w.store, delay: time.Second}
				r, err := w.syncerOn(slow, opts...).Sync(t.Context(), shopifysync.SyncParams{Connection: connID, Budget: 15 * time.Second})
				if err != nil || r.Complete || r.Seen == 0 || r.Seen == 2000 {
					t.Fatalf("error %v, %+v", err, r)
				}
				time.Sleep(test.wait)
				if test.edit != nil {
					test.edit(&w.conn)
				}
				again := w.sync(w.syncer(append(opts, test.opts...)...))
				if again.Resumed != test.want {
					t.Errorf("resumed: %v, want %v", again.Resumed, test.want)
				}
				if test.want && (again.RunID != r.RunID || again.Created+again.SkippedTotal() != 2000) {
					t.Errorf("%+v", again)
				}
				if again.Seen != 2000 {
					t.Errorf("%+v", again)
				}
			})
		})
	}
}

// Cancelling stops a run at once wherever it is; the next one ends the job.
func TestCancelAnywhere(t *testing.T) {
	for step := range 24 {
		t.Run(fmt.Sprint("after ", 300*step, " ms"), func(t *testing.T) {
			inWorld(t, 1200, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) {
					c.BulkSpeed, c.Latency = 1000, 500*time.Millisecond
					c.BucketSize, c.RestoreRate = 50, 5
				})
				s := w.syncerOn(&slowStore{ContactStore: w.store, delay: 300 * time.Millisecond},
					shopifysync.WithBulkThreshold(500), shopifysync.WithBatchSize(100))
				ctx, cancel := context.WithCancelCause(t.Context())
				why := errors.New("the merchant closed the page")
				at := time.Duration(step)*300*time.Millisecond + 10*time.Millisecond
				stop := time.AfterFunc(at, func() { cancel(why) })
				defer stop.Stop()
				began := time.Now()
				r, err := s.Sync(ctx, shopifysync.SyncParams{Connection: connID})
				if err == nil && step < 22 {
					t.Errorf("it had ended before %v: the test does not test it", at)
				}
				if err != nil {
					if took := time.Since(began); took > at+20*time.Millisecond {
						t.Errorf("cancelled after %v, returned after %v", at, took)
					}
					if !errors.Is(err, why) || r.Complete {
						t.Errorf("error %v, %+v", err, r)
					}
				}
				w.addsUp(r)
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BucketSize, c.RestoreRate = 2000, 1000 })
				w.sync(s)
				w.mirrors()
			})
		})
	}
}

// One run per connection at a time; a lease whose holder is dead expires.
func TestSyncLease(t *testing.T) {
	inWorld(t, 2000, func(t *testing.T, w *world) {
		slow := &slowStore{ContactStore: w.store, delay: 2 * time.Second}
		first := make(chan error, 1)
		go func() {
			_, err := w.syncerOn(slow).Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
			first <- err
		}()
		time.Sleep(5 * time.Second)
		if _, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID}); !errors.Is(err, shopifysync.ErrSyncInProgress) {
			t.Errorf("beside a running sync: %v", err)
		}
		began := time.Now()
		if _, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID, Wait: time.Hour}); err != nil {
			t.Errorf("waiting for it: %v", err)
		}
		if time.Since(began) < time.Second {
			t.Error("it did not wait")
		}
		if err := <-first; err != nil {
			t.Errorf("the first: %v", err)
		}

		if _, err := w.store.AcquireLease(t.Context(), shopifysync.AcquireLeaseParams{Connection: connID, Kind: shopifysync.LeaseRun, Owner: "dead", TTL: 30 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID, Wait: 10 * time.Second}); !errors.Is(err, shopifysync.ErrSyncInProgress) {
			t.Errorf("before the dead holder's lease expired: %v", err)
		}
		time.Sleep(21 * time.Second)
		w.sync(w.syncer())
	})
}

// A paused process finds its lease taken over, and writes no more.
func TestSyncLeaseLost(t *testing.T) {
	inWorld(t, 2500, func(t *testing.T, w *world) {
		stuck := &stuckState{MemoryStore: w.store}
		s := w.syncerOn(&slowStore{ContactStore: w.store, delay: 30 * time.Second}, shopifysync.WithStateStore(stuck))
		first := make(chan error, 1)
		var report *shopifysync.Report
		go func() {
			var err error
			report, err = s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
			first <- err
		}()
		time.Sleep(time.Second)
		stuck.stuck.Store(true)
		time.Sleep(60 * time.Second)
		w.sync(w.syncer())
		err := <-first
		if !errors.Is(err, shopifysync.ErrLeaseLost) || report.Complete {
			t.Errorf("error %v, %+v", err, report)
		}
		runs, _ := w.store.Runs(t.Context(), shopifysync.RunsParams{Connection: connID, Limit: 1})
		if runs.Runs[0].State != shopifysync.RunCompleted {
			t.Errorf("the latest record is %s", runs.Runs[0].State)
		}
	})
}

// A stuckState stops answering renewals, as a database behind a cut network.
type stuckState struct {
	*shopifysync.MemoryStore
	stuck atomic.Bool
}

func (s *stuckState) RenewLease(ctx context.Context, p shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error) {
	if s.stuck.Load() {
		<-ctx.Done()
		return shopifysync.RenewLeaseResult{}, ctx.Err()
	}
	return s.MemoryStore.RenewLease(ctx, p)
}

func TestSyncBudget(t *testing.T) {
	inWorld(t, 3000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 100_000, 300*time.Millisecond })
		slow := &slowStore{ContactStore: w.store, delay: 500 * time.Millisecond}
		s := w.syncerOn(slow, shopifysync.WithBulkThreshold(500), shopifysync.WithBatchSize(20), shopifysync.WithWriters(1))
		calls := 0
		for {
			calls++
			began := time.Now()
			r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, Budget: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 14*time.Second {
				t.Errorf("a budget of 10 s took %v", took)
			}
			w.addsUp(r)
			if r.Complete {
				if r.Seen != 3000 || r.Created+r.SkippedTotal() != 3000 {
					t.Errorf("%+v", r)
				}
				break
			}
			if calls > 20 {
				t.Fatal("it does not end")
			}
		}
		if calls < 3 {
			t.Errorf("%d calls: the budget was not kept", calls)
		}
		w.mirrors()
	})
}

// A cancellingStore cancels something when the contact of that turn comes.
type cancellingStore struct {
	shopifysync.ContactStore
	left   atomic.Int64
	cancel func()
}

func (c *cancellingStore) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	got, err := c.ContactStore.UpsertContacts(ctx, p)
	if c.left.Add(-int64(len(p.Contacts))) < 0 {
		c.cancel()
	}
	return got, err
}

// A run that somebody cancelled says so, and the next Sync goes on with it.
func TestSyncCancelledOnPurpose(t *testing.T) {
	inWorld(t, 3000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed = shopifytest.Unlimited })
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		store := &cancellingStore{ContactStore: w.store, cancel: func() { cancel(shopifysync.ErrCancelled) }}
		store.left.Store(2000)
		s := w.syncerOn(store, shopifysync.WithBulkThreshold(500), shopifysync.WithBatchSize(100))
		_, err := s.Sync(ctx, shopifysync.SyncParams{Connection: connID})
		if !errors.Is(err, shopifysync.ErrCancelled) || !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
		runs, err := w.store.Runs(t.Context(), shopifysync.RunsParams{Connection: connID, Limit: 1})
		if err != nil || len(runs.Runs) != 1 || runs.Runs[0].State != shopifysync.RunCancelled || runs.Runs[0].Checkpoint == nil {
			t.Fatalf("%+v, %v", runs.Runs, err)
		}
		if r := w.sync(w.syncer()); !r.Resumed || r.Seen != 3000 {
			t.Errorf("%+v", r)
		}
	})
}

// What a bulk file was refused is remembered across a restart: the rest of the
// file clears nothing either.
func TestResumeMasked(t *testing.T) {
	inWorld(t, 2000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 100_000, time.Second })
		w.sync(w.syncer())
		before := w.contacts()
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.DeniedFields = []string{"email", "phone", "firstName"} })
		for c := range w.shop.All() { // so that each is written
			if err := w.shop.Update(c.ID, func(c *shopifytest.Customer) { c.Note = "x" }); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		opts := []shopifysync.Option{shopifysync.WithBulkThreshold(500), shopifysync.WithBatchSize(50), shopifysync.WithWriters(1)}
		slow := w.syncerOn(&slowStore{ContactStore: w.store, delay: time.Second}, opts...)
		r, err := slow.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, Budget: 15 * time.Second})
		if err != nil || r.Complete {
			t.Fatalf("error %v, report %+v", err, r)
		}
		if again := w.sync(w.syncer(opts...)); !again.Resumed {
			t.Fatalf("%+v", again)
		}
		cleared := 0
		for id, c := range w.contacts() {
			if old := before[id]; c.Email != old.Email || c.Phone != old.Phone || c.Name != old.Name {
				cleared++
			}
		}
		if cleared > 0 {
			t.Errorf("%d contacts lost a refused field", cleared)
		}
	})
}

// A store that is read by pages is read again after a cancelled run, as the error
// says, and what was read is kept.
func TestSyncCancelledBetweenPages(t *testing.T) {
	inWorld(t, 3000, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		store := &cancellingStore{ContactStore: w.store, cancel: func() { cancel(shopifysync.ErrCancelled) }}
		store.left.Store(2000)
		_, err := w.syncerOn(store).Sync(ctx, shopifysync.SyncParams{Connection: connID})
		if !errors.Is(err, shopifysync.ErrCancelled) || !strings.Contains(err.Error(), "what was read is kept") || !strings.Contains(err.Error(), "a small one is read again") {
			t.Fatalf("error %v", err)
		}
		kept := int64(len(w.contacts()))
		if kept < 1000 {
			t.Fatalf("%d contacts were kept", kept)
		}
		r := w.sync(w.syncer())
		if r.Resumed || r.Seen != 3000 || r.Unchanged < kept || r.Created > 3000-kept {
			t.Errorf("%d kept; %+v", kept, r)
		}
		w.mirrors()
	})
}

// A run that goes on with an operation which is still running is in step as of
// when that was begun, not as of its own beginning: the file shows no later
// change, and catch-ups must bring it.
func TestResumeOfARunningOperation(t *testing.T) {
	inWorld(t, 6000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 1, 5*time.Second })
		opts := []shopifysync.Option{shopifysync.WithBulkThreshold(500)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := w.syncer(opts...).Sync(ctx, shopifysync.SyncParams{Connection: connID}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		begun := time.Now()
		time.Sleep(10 * time.Minute)
		oldest := w.ids()[0] // the pages would come to it last
		if err := w.shop.Update(oldest, func(c *shopifytest.Customer) { c.Note = "edited meanwhile" }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(89 * time.Minute)
		s := w.syncer(opts...)
		if r := w.sync(s); !r.Resumed || r.Source != "pages+bulk" {
			t.Fatalf("the test does not test it: %+v", r)
		}
		if st := w.connState(); st.InStepAsOf.IsZero() || st.InStepAsOf.After(begun) || st.CaughtUpTo.After(begun) {
			t.Errorf("in step as of %v, caught up to %v; its rows are of %v or earlier", st.InStepAsOf, st.CaughtUpTo, begun)
		}
		if n, err := s.CatchUp(t.Context(), connID); n != 1 || err != nil {
			t.Errorf("%d marked, %v", n, err)
		}
		w.drain(s)
		w.mirrors()
	})
}
