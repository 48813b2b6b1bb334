package shopifysync_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// stopsWithin is how long Serve may take to end.
const stopsWithin = 6 * time.Second

// serve runs Serve until the function that it returns is called, or until the
// test ends.
func serve(t *testing.T, s *shopifysync.Syncer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		t.Helper()
		began := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if d := time.Since(began); d > stopsWithin {
			t.Errorf("Serve took %v to stop", d)
		}
	})
	return stop
}

// A fleet is several fake stores, each with its connection.
type fleet struct {
	t      *testing.T
	server *shopifytest.Server
	shops  map[shopifysync.ConnectionID]*shopifytest.Store
	conns  shopifysync.ConnectionStore
	store  *shopifysync.MemoryStore
	log    *logBuffer
	hooks  shopifysync.Hooks

	mu   sync.Mutex
	work map[string]int // how often each kind of work ended without an error, by connection
}

func inFleet(t *testing.T, f func(t *testing.T, fl *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fl := &fleet{
			t: t, server: shopifytest.NewServer(), shops: make(map[shopifysync.ConnectionID]*shopifytest.Store),
			conns: shopifysync.StaticConnections(), store: shopifysync.NewMemoryStore(), log: new(logBuffer), work: make(map[string]int),
		}
		defer fl.server.Close()
		f(t, fl)
		synctest.Wait()
		if left := goroutines(); left != "" {
			t.Errorf("goroutines are left:\n%s", left)
		}
	})
}

// goroutines returns the stacks of this bubble's goroutines that are in the
// package tested.
func goroutines() string {
	own := make([]byte, 1000)
	own = own[:runtime.Stack(own, false)]
	_, bubble, _ := strings.Cut(string(own), "synctest bubble ")
	bubble, _, _ = strings.Cut(bubble, "]")
	all := make([]byte, 1<<23)
	all = all[:runtime.Stack(all, true)]
	var left []string
	for stack := range strings.SplitSeq(string(all), "\n\n") {
		if strings.Contains(stack, "synctest bubble "+bubble+"]") &&
			(strings.Contains(stack, "shopifysync.(*server)") || strings.Contains(stack, "shopifysync.(*Syncer)")) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

func (fl *fleet) add(id shopifysync.ConnectionID, customers int, change func(*shopifytest.StoreConfig)) *shopifytest.Store {
	fl.t.Helper()
	cfg := shopifytest.StoreConfig{
		Domain: string(id) + ".myshopify.com", AccessToken: "token-of-" + string(id),
		Latency: 100 * time.Millisecond, NoRedacted: true, BulkSpeed: 50_000,
	}
	if change != nil {
		change(&cfg)
	}
	shop := fl.server.AddStore(cfg)
	shop.Generate(customers, 7)
	fl.shops[id] = shop
	fl.connect(id)
	return shop
}

func (fl *fleet) connect(id shopifysync.ConnectionID) {
	fl.t.Helper()
	cfg := fl.shops[id].Config()
	_, err := fl.conns.SaveConnection(fl.t.Context(), shopifysync.SaveConnectionParams{Connection: shopifysync.Connection{
		ID: id, Shop: shopifysync.Shop(cfg.Domain), Credentials: shopifysync.Credentials{
			AccessToken: shopifysync.NewSecret(cfg.AccessToken), ClientID: cfg.ClientID, ClientSecret: shopifysync.NewSecret(cfg.ClientSecret),
		},
	}})
	if err != nil {
		fl.t.Fatal(err)
	}
}

// syncer returns a Syncer as one process of a host has it.
func (fl *fleet) syncer(opts ...shopifysync.Option) *shopifysync.Syncer {
	fl.t.Helper()
	return fl.syncerOn(fl.store, opts...)
}

func (fl *fleet) syncerOn(contacts shopifysync.ContactStore, opts ...shopifysync.Option) *shopifysync.Syncer {
	fl.t.Helper()
	count := func(kind string, id shopifysync.ConnectionID, err error) {
		if err == nil {
			fl.mu.Lock()
			fl.work[kind+" "+string(id)]++
			fl.mu.Unlock()
		}
	}
	hooks := shopifysync.Hooks{
		SyncStart: fl.hooks.SyncStart,
		SyncEnd: func(_ context.Context, i shopifysync.SyncEndInfo) {
			count("run", i.Report.Connection, i.Err)
		},
		CatchUpEnd: func(_ context.Context, i shopifysync.CatchUpEndInfo) { count("catch-up", i.Connection, i.Err) },
		DrainEnd:   func(_ context.Context, i shopifysync.DrainEndInfo) { count("drain", i.Connection, i.Err) },
	}
	opts = append([]shopifysync.Option{
		shopifysync.WithHTTPClient(fl.server.Client()), shopifysync.WithStateStore(fl.store), shopifysync.WithHooks(hooks),
		shopifysync.WithLogger(slog.New(slog.NewTextHandler(fl.log, nil))),
	}, opts...)
	s, err := shopifysync.New(contacts, fl.conns, opts...)
	if err != nil {
		fl.t.Fatal(err)
	}
	return s
}

func (fl *fleet) done(kind string, id shopifysync.ConnectionID) int {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return fl.work[kind+" "+string(id)]
}

// between checks how often something was done.
func (fl *fleet) between(kind string, id shopifysync.ConnectionID, least, most int) {
	fl.t.Helper()
	if n := fl.done(kind, id); n < least || n > most {
		fl.t.Errorf("%s of %s: %d times, want %d to %d", kind, id, n, least, most)
	}
}

func (fl *fleet) state(id shopifysync.ConnectionID) shopifysync.ConnectionState {
	fl.t.Helper()
	got, err := fl.store.ConnectionState(fl.t.Context(), shopifysync.ConnectionStateParams{Connection: id})
	if err != nil {
		fl.t.Fatal(err)
	}
	return got.State
}

func (fl *fleet) setState(id shopifysync.ConnectionID, change func(*shopifysync.ConnectionState)) {
	fl.t.Helper()
	st := fl.state(id)
	change(&st)
	if _, err := fl.store.SaveConnectionState(fl.t.Context(), shopifysync.SaveConnectionStateParams{State: st}); err != nil {
		fl.t.Fatal(err)
	}
}

// settled is a connection for which everything was just done.
func settled(customers int64) func(*shopifysync.ConnectionState) {
	return func(st *shopifysync.ConnectionState) {
		now := time.Now()
		st.Health = shopifysync.Health{State: shopifysync.HealthOK, CheckedAt: now}
		st.CaughtUpAt, st.CaughtUpTo, st.RunAt, st.TriedAt, st.CountedAt = now, now, now, now, now
		st.Customers = customers
	}
}

func (fl *fleet) mark(id shopifysync.ConnectionID, customers ...int64) {
	fl.t.Helper()
	p := shopifysync.PutMarksParams{Connection: id}
	for _, c := range customers {
		p.Marks = append(p.Marks, shopifysync.Mark{Connection: id, CustomerID: shopifysync.CustomerID(c), NotBefore: time.Now()})
	}
	if _, err := fl.store.PutMarks(fl.t.Context(), p); err != nil {
		fl.t.Fatal(err)
	}
}

func (fl *fleet) note(id shopifysync.ConnectionID, customer int64) string {
	fl.t.Helper()
	got, err := fl.store.Contacts(context.Background(), shopifysync.ContactsParams{Connection: id, IDs: []shopifysync.CustomerID{shopifysync.CustomerID(customer)}})
	if err != nil {
		fl.t.Fatal(err)
	}
	if len(got.Contacts) == 0 {
		return ""
	}
	return attribute(got.Contacts[0], shopifysync.AttrNote).Text
}

// waitFor waits until ok, at most so long, and returns how long it took.
func waitFor(t *testing.T, most time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > most {
			t.Fatalf("after %v still not: %s", most, what)
		}
		time.Sleep(max(50*time.Millisecond, most/1000))
	}
	return time.Since(began)
}

// mirrors checks that a connection's contacts are its store's customers.
func (fl *fleet) mirrors(ids ...shopifysync.ConnectionID) {
	fl.t.Helper()
	for _, id := range ids {
		w := &world{t: fl.t, shop: fl.shops[id], store: fl.store}
		live, err := fl.store.ContactIDs(context.Background(), shopifysync.ContactIDsParams{Connection: id, Limit: 100_000})
		if err != nil {
			fl.t.Fatal(err)
		}
		if len(live.IDs) != w.shop.Count() {
			fl.t.Errorf("%s: %d contacts for %d customers", id, len(live.IDs), w.shop.Count())
		}
		for c := range w.shop.All() {
			if got := fl.note(id, c.ID); got != c.Note {
				fl.t.Errorf("%s: customer %d: note %q, want %q", id, c.ID, got, c.Note)
			}
		}
	}
}

func TestServeCannotBegin(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		readOnly := struct{ shopifysync.Connections }{fl.conns}
		s, err := shopifysync.New(fl.store, readOnly)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "ConnectionStore") {
			t.Errorf("with read-only connections: %v", err)
		}
		s = fl.syncer()
		stop := serve(t, s)
		synctest.Wait()
		if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "serves already") {
			t.Errorf("the second Serve: %v", err)
		}
		stop()
		serve(t, s)() // once more, after the first has ended
	})
}

var serveDays = flag.Int("serve.days", 3, "how many days TestServeForDays lasts, in virtual time")

// With no webhook at all, days pass: every kind of work is done as often as it
// should be, and changes arrive, those that the list of changes does not show
// included.
func TestServeForDays(t *testing.T) {
	days := *serveDays
	hours := days*24 + 27
	inFleet(t, func(t *testing.T, fl *fleet) {
		ids := []shopifysync.ConnectionID{"one", "two", "three"}
		for _, id := range ids {
			fl.add(id, 30, nil)
		}
		stop := serve(t, fl.syncer())
		for day := range days {
			time.Sleep(12 * time.Hour)
			note := fmt.Sprint("day ", day)
			for _, id := range ids {
				shop := fl.shops[id]
				newest := shop.Newest(3)
				for _, err := range []error{
					shop.Update(newest[0].ID, func(c *shopifytest.Customer) { c.Note = note }),
					shop.UpdateQuietly(newest[1].ID, func(c *shopifytest.Customer) { c.Note = note }),
					shop.Delete(newest[2].ID),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(16 * time.Minute)
			for _, id := range ids {
				if c := fl.shops[id].Newest(1)[0]; fl.note(id, c.ID) != note {
					t.Errorf("%s: the catch-up of day %d did not bring the change", id, day)
				}
			}
			time.Sleep(12*time.Hour - 16*time.Minute)
		}
		time.Sleep(27 * time.Hour)
		stop()
		fl.mirrors(ids...)
		for _, id := range ids {
			fl.between("run", id, 1+hours*10/11/24, 1+hours*10/9/24)
			fl.between("catch-up", id, hours*4*98/100, hours*4+1)
		}
		if n := fl.server.Count("AccessScopes"); n < 3*hours*98/100 || n > 3*hours {
			t.Errorf("%d checks", n)
		}
	})
}

// Several processes on one state store do what one does, and not more.
func TestServeReplicas(t *testing.T) {
	for replicas := 2; replicas <= 3; replicas++ {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			inFleet(t, func(t *testing.T, fl *fleet) {
				ids := []shopifysync.ConnectionID{"one", "two", "three", "four"}
				for _, id := range ids {
					fl.add(id, 300, nil)
				}
				stops := make([]func(), replicas)
				for i := range stops {
					stops[i] = serve(t, fl.syncer(shopifysync.WithStateStore(slow{durable{fl.store}})))
					time.Sleep(time.Duration(i) * 170 * time.Millisecond)
				}
				time.Sleep(time.Hour)
				for _, id := range ids {
					c := fl.shops[id].Newest(1)[0]
					if err := fl.shops[id].UpdateQuietly(c.ID, func(c *shopifytest.Customer) { c.Note = "hello" }); err != nil {
						t.Fatal(err)
					}
					fl.mark(id, c.ID)
					waitFor(t, 10*time.Second, "the marked change", func() bool { return fl.note(id, c.ID) == "hello" })
				}
				time.Sleep(time.Hour)
				for _, stop := range stops {
					stop()
				}
				for _, id := range ids {
					fl.between("run", id, 1, 1)
					fl.between("catch-up", id, 8, 9)
					fl.between("drain", id, 1, 3)
				}
				fl.mirrors(ids...)
			})
		})
	}
}

// slow is a state store that takes its time, as one across a network does.
type slow struct{ durable }

// ConnectionState implements StateStore.
func (s slow) ConnectionState(ctx context.Context, p shopifysync.ConnectionStateParams) (shopifysync.ConnectionStateResult, error) {
	time.Sleep(3 * time.Millisecond)
	return s.durable.ConnectionState(ctx, p)
}

// Runs implements StateStore.
func (s slow) Runs(ctx context.Context, p shopifysync.RunsParams) (shopifysync.RunsResult, error) {
	time.Sleep(3 * time.Millisecond)
	return s.durable.Runs(ctx, p)
}

// When to sync first is the merchant's choice, for a day.
func TestServeLeavesTheFirstRunToTheMerchant(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		fl.add("later", 20, nil)
		fl.setState("later", func(st *shopifysync.ConnectionState) { st.ConnectedAt = time.Now() })
		stop := serve(t, fl.syncer())
		time.Sleep(21 * time.Hour)
		fl.between("run", "later", 0, 0)
		time.Sleep(6 * time.Hour)
		fl.between("run", "later", 1, 1)
		stop()
		fl.mirrors("later")
	})
}

// A large store is synced weekly, and its number of customers asked for daily.
func TestServeLargeStore(t *testing.T) {
	const day = 24 * time.Hour
	more := func(n int) func(*shopifytest.Store) {
		return func(shop *shopifytest.Store) {
			for range n {
				shop.Create(shopifytest.Customer{})
			}
		}
	}
	tests := map[string]struct {
		change func(*shopifytest.Store)
		after  time.Duration // no run before
		before time.Duration // but one by then; 0: none is waited for
	}{
		"as many as were seen":         {more(0), 6 * day, 8 * day},
		"a few more, within the slack": {more(90), 3 * day, 0},
		"many more":                    {more(200), 20 * time.Hour, 27 * time.Hour},
		"a number that cannot be had": {func(shop *shopifytest.Store) {
			shop.Configure(func(c *shopifytest.StoreConfig) { c.APIVersions = []string{"2024-04", "2024-07"} })
		}, 20 * time.Hour, 27 * time.Hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, fl *fleet) {
				begun := make(chan struct{}, 100)
				fl.hooks.SyncStart = func(ctx context.Context, _ shopifysync.SyncStartInfo) context.Context {
					begun <- struct{}{}
					ctx, cancel := context.WithCancel(ctx)
					cancel() // it would take long, and that it began is enough
					return ctx
				}
				shop := fl.add("large", 100_050, nil)
				fl.setState("large", settled(100_050))
				stop := serve(t, fl.syncer(shopifysync.WithCatchUpEvery(24*time.Hour)))
				defer stop()
				time.Sleep(time.Hour)
				test.change(shop)
				select {
				case <-begun:
					t.Fatalf("a run began within %v", test.after)
				case <-time.After(test.after - time.Hour):
				}
				if n, days := fl.server.Count("CustomersCount"), int(test.after/day); n < days-1 || n > days+1 {
					t.Errorf("in %d days the customers were counted %d times", days, n)
				}
				if test.before == 0 {
					return
				}
				select {
				case <-begun:
				case <-time.After(test.before - test.after):
					t.Errorf("no run began within %v", test.before)
				}
			})
		})
	}
}

// While Shopify refuses a connection it is asked once an hour; when it serves
// again, everything that was missed comes.
func TestServeRecovery(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		shop := fl.add("frozen", 50, nil)
		stop := serve(t, fl.syncer(shopifysync.WithStateStore(durable{fl.store})))
		time.Sleep(time.Hour)
		shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen })
		time.Sleep(20 * time.Minute) // it is noticed
		before := len(fl.server.Requests())
		id := shop.Newest(1)[0].ID
		fl.mark("frozen", id)
		time.Sleep(24 * time.Hour)
		if n := len(fl.server.Requests()) - before; n < 22 || n > 25 {
			t.Errorf("a frozen store was asked %d times in a day", n)
		}
		shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Open })
		if err := shop.Update(id, func(c *shopifytest.Customer) { c.Note = "back" }); err != nil {
			t.Fatal(err)
		}
		waitFor(t, time.Hour+10*time.Second, "the change is there", func() bool { return fl.note("frozen", id) == "back" })
		time.Sleep(time.Minute)
		stop()
		if st := fl.state("frozen"); st.Pause != nil || st.CheckDue {
			t.Errorf("after the recovery: %+v", st)
		}
		fl.mirrors("frozen")
	})
}

// Connections come and go while Serve works.
func TestServeNoticesConnections(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		fl.add("first", 10, nil)
		stop := serve(t, fl.syncer())
		time.Sleep(time.Minute)
		fl.add("second", 10, nil)
		time.Sleep(32 * time.Second)
		fl.between("run", "second", 1, 1)
		if _, err := fl.conns.DeleteConnection(t.Context(), shopifysync.DeleteConnectionParams{Connection: "first"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(32 * time.Second)
		before := fl.done("catch-up", "first")
		time.Sleep(time.Hour)
		fl.between("catch-up", "first", before, before)
		if strings.Contains(fl.log.String(), "tried again") {
			t.Errorf("warnings:\n%s", fl.log)
		}
		stop()
	})
}

// Contacts that a disconnected connection kept are erased when their time has
// come, and not before.
func TestServeErases(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		fl.add("gone", 10, nil)
		s := fl.syncer(shopifysync.WithStateStore(durable{fl.store}))
		if _, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: "gone"}); err != nil {
			t.Fatal(err)
		}
		fl.setState("gone", func(st *shopifysync.ConnectionState) {
			st.Disconnected = &shopifysync.Disconnection{At: time.Now(), EraseBy: time.Now().Add(5 * 24 * time.Hour)}
		})
		requests := len(fl.server.Requests())
		stop := serve(t, s)
		time.Sleep(5*24*time.Hour - time.Minute)
		fl.mirrors("gone")
		time.Sleep(2 * time.Minute)
		stop()
		live, err := fl.store.ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: "gone", Limit: 1})
		if err != nil || len(live.IDs) > 0 {
			t.Errorf("contacts are left: %v, %v", live.IDs, err)
		}
		if _, err := fl.conns.Connection(t.Context(), "gone"); !errors.Is(err, shopifysync.ErrNotConnected) {
			t.Errorf("the connection: %v", err)
		}
		if n := len(fl.server.Requests()) - requests; n > 0 {
			t.Errorf("%d requests for a disconnected connection", n)
		}
	})
}

// What a connection whose app was uninstalled has kept is erased in time, once,
// or never if the host says so. It need not be disconnected for that.
func TestServeErasesTheUninstalled(t *testing.T) {
	for _, keep := range []time.Duration{48 * time.Hour, 0} {
		inFleet(t, func(t *testing.T, fl *fleet) {
			fl.add("left", 10, nil)
			erased := 0
			s := fl.syncer(shopifysync.WithStateStore(durable{fl.store}), shopifysync.WithRetention(keep), shopifysync.WithPrivacyHandler(shopifysync.PrivacyHandler{
				Erase: func(context.Context, shopifysync.Erasure) error { erased++; return nil },
			}))
			if _, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: "left"}); err != nil {
				t.Fatal(err)
			}
			since := time.Now()
			fl.setState("left", func(st *shopifysync.ConnectionState) {
				st.Pause = &shopifysync.Pause{State: shopifysync.HealthUninstalled, Since: since}
			})
			requests := len(fl.server.Requests())
			stop := serve(t, s)
			time.Sleep(48*time.Hour - time.Minute)
			fl.mirrors("left")
			time.Sleep(5 * time.Hour)
			stop()
			live, err := fl.store.ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: "left", Limit: 10})
			if want := map[bool]int{true: 0, false: 10}[keep > 0]; err != nil || len(live.IDs) != want || erased != (10-want)/10 {
				t.Errorf("%d contacts are left, erased %d times, %v", len(live.IDs), erased, err)
			}
			if st := fl.state("left"); st.Pause == nil || st.ErasedAt.IsZero() != (keep <= 0) {
				t.Errorf("%+v", st)
			}
			if n := len(fl.server.Requests()) - requests; n > 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// A run that was cut off by a killed process is resumed soon.
func TestServeResumesRuns(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		fl.add("cut", 10, nil)
		fl.setState("cut", settled(10))
		lease, err := fl.store.AcquireLease(t.Context(), shopifysync.AcquireLeaseParams{Connection: "cut", Kind: shopifysync.LeaseRun, TTL: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fl.store.SaveRun(t.Context(), shopifysync.SaveRunParams{Lease: lease.Lease, Run: shopifysync.Run{
			ID: "r1", Connection: "cut", State: shopifysync.RunRunning, StartedAt: time.Now(), UpdatedAt: time.Now(),
		}}); err != nil {
			t.Fatal(err)
		}
		stop := serve(t, fl.syncer())
		time.Sleep(29 * time.Second)
		fl.between("run", "cut", 0, 0)
		time.Sleep(32 * time.Second)
		fl.between("run", "cut", 1, 1)
		stop()
		fl.mirrors("cut")
	})
}

// An error of one connection's work concerns no other, and is not repeated all
// the time; nor does a panic of the host's code.
func TestServeContainsTrouble(t *testing.T) {
	for _, trouble := range []string{"error", "panic"} {
		t.Run(trouble, func(t *testing.T) {
			inFleet(t, func(t *testing.T, fl *fleet) {
				fl.add("bad", 20, nil)
				fl.add("good", 20, nil)
				store := &troubled{MemoryStore: fl.store, bad: "bad", panics: trouble == "panic"}
				stop := serve(t, fl.syncerOn(store, shopifysync.WithStateStore(durable{fl.store})))
				time.Sleep(2 * time.Hour)
				store.mu.Lock()
				calls := store.calls
				store.bad = ""
				store.mu.Unlock()
				// Two hours of a run, a catch-up and a drain each, 5 minutes apart at last.
				if calls < 20 || calls > 100 {
					t.Errorf("the store that fails was bothered %d times", calls)
				}
				fl.mirrors("good")
				fl.between("catch-up", "good", 8, 9)
				time.Sleep(70 * time.Minute)
				fl.mirrors("bad")
				stop()
				if strings.Contains(fl.log.String(), "canary") {
					t.Errorf("the log quotes the host's error:\n%s", fl.log)
				}
			})
		})
	}
}

// A troubled store fails for one connection.
type troubled struct {
	*shopifysync.MemoryStore
	mu     sync.Mutex
	bad    shopifysync.ConnectionID
	panics bool
	calls  int // those within a second count once: a batch that fails is tried one by one
	last   time.Time
}

// UpsertContacts implements ContactStore.
func (s *troubled) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	s.mu.Lock()
	bad := p.Connection == s.bad
	if bad && time.Since(s.last) > time.Second {
		s.calls++
		s.last = time.Now()
	}
	s.mu.Unlock()
	switch {
	case bad && s.panics:
		panic("canary")
	case bad:
		return shopifysync.UpsertContactsResult{}, errors.New("canary")
	}
	return s.MemoryStore.UpsertContacts(ctx, p)
}

// Stores that are out of order for a while stop nothing.
func TestServeOutlivesAnOutage(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		fl.add("one", 20, nil)
		state := &outage{StateStore: fl.store}
		state.down(true)
		stop := serve(t, fl.syncer(shopifysync.WithStateStore(state)))
		time.Sleep(10 * time.Minute)
		state.down(false)
		waitFor(t, time.Minute, "the first run", func() bool { return fl.done("run", "one") == 1 })
		state.down(true)
		time.Sleep(time.Hour)
		state.down(false)
		id := fl.shops["one"].Newest(1)[0].ID
		if err := fl.shops["one"].Update(id, func(c *shopifytest.Customer) { c.Note = "after" }); err != nil {
			t.Fatal(err)
		}
		waitFor(t, 20*time.Minute, "the change is there", func() bool { return fl.note("one", id) == "after" })
		stop()
	})
}

// An outage is a state store that fails while it is down.
type outage struct {
	shopifysync.StateStore
	mu  sync.Mutex
	off bool
}

func (o *outage) down(off bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.off = off
}

func (o *outage) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.off {
		return errors.New("the database is down")
	}
	return nil
}

// ConnectionState implements StateStore.
func (o *outage) ConnectionState(ctx context.Context, p shopifysync.ConnectionStateParams) (shopifysync.ConnectionStateResult, error) {
	if err := o.err(); err != nil {
		return shopifysync.ConnectionStateResult{}, err
	}
	return o.StateStore.ConnectionState(ctx, p)
}

// DueConnections implements StateStore.
func (o *outage) DueConnections(ctx context.Context, p shopifysync.DueConnectionsParams) (shopifysync.DueConnectionsResult, error) {
	if err := o.err(); err != nil {
		return shopifysync.DueConnectionsResult{}, err
	}
	return o.StateStore.DueConnections(ctx, p)
}

// AcquireLease implements StateStore.
func (o *outage) AcquireLease(ctx context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
	if err := o.err(); err != nil {
		return shopifysync.AcquireLeaseResult{}, err
	}
	return o.StateStore.AcquireLease(ctx, p)
}

// Serve stops within seconds whatever it is doing, and the next one goes on.
func TestServeStopsAtAnyMoment(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	inFleet(t, func(t *testing.T, fl *fleet) {
		ids := []shopifysync.ConnectionID{"large", "small", "frozen"}
		fl.add("large", 3000, nil)
		fl.add("small", 100, nil)
		fl.add("frozen", 10, func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen })
		opts := []shopifysync.Option{shopifysync.WithStateStore(durable{fl.store}), shopifysync.WithBulkThreshold(500), shopifysync.WithBatchSize(100)}
		for range 40 {
			stop := serve(t, fl.syncer(opts...))
			time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
			for range 3 {
				id := ids[random.IntN(2)]
				c := fl.shops[id].Newest(50)[random.IntN(50)]
				if err := fl.shops[id].Update(c.ID, func(c *shopifytest.Customer) { c.Note += "." }); err != nil {
					t.Fatal(err)
				}
				fl.mark(id, c.ID)
			}
			time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
			stop()
		}
		fl.shops["frozen"].Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Open })
		stop := serve(t, fl.syncer(opts...))
		time.Sleep(90 * time.Minute)
		stop()
		fl.mirrors(ids...)
	})
}

// One huge store and 999 small ones: the small ones' changes come within ten
// seconds while the huge one has a backlog that takes it minutes.
func TestServeIsFair(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		const small = 999
		fl.add("huge", 15_000, func(c *shopifytest.StoreConfig) { c.Latency = time.Second })
		fl.setState("huge", settled(15_000))
		ids := make([]shopifysync.ConnectionID, small)
		changed := make([]int64, small)
		for i := range ids {
			ids[i] = shopifysync.ConnectionID(fmt.Sprintf("small-%03d", i))
			shop := fl.add(ids[i], 3, nil)
			fl.setState(ids[i], settled(3))
			changed[i] = shop.Newest(1)[0].ID
		}
		var backlog []int64
		for c := range fl.shops["huge"].All() {
			backlog = append(backlog, c.ID)
		}
		stop := serve(t, fl.syncer(shopifysync.WithStateStore(durable{fl.store})))
		time.Sleep(5 * time.Second)
		fl.mark("huge", backlog...)
		time.Sleep(5 * time.Second)
		var took []time.Duration
		for from := 0; from < small; from += 111 {
			to := min(from+111, small)
			for i := from; i < to; i++ {
				if err := fl.shops[ids[i]].UpdateQuietly(changed[i], func(c *shopifytest.Customer) { c.Note = "quick" }); err != nil {
					t.Fatal(err)
				}
				fl.mark(ids[i], changed[i])
			}
			took = append(took, waitFor(t, 10*time.Second, "the small stores' changes are there", func() bool {
				for i := from; i < to; i++ {
					if fl.note(ids[i], changed[i]) != "quick" {
						return false
					}
				}
				return true
			}))
		}
		open, err := fl.store.Marks(t.Context(), shopifysync.MarksParams{Connection: "huge", Limit: 1})
		if err != nil || open.Open == 0 {
			t.Errorf("the huge store's backlog was done too soon to tell anything: %v", err)
		}
		waitFor(t, time.Hour, "the huge store's backlog is done", func() bool {
			open, err := fl.store.Marks(t.Context(), shopifysync.MarksParams{Connection: "huge", Limit: 1})
			return err == nil && open.Open == 0
		})
		stop()
		t.Logf("111 small stores at a time: %v to %v", took[0], took[len(took)-1])
	})
}

// A merchant's changes arrive by webhooks that Serve itself has subscribed to:
// half of them within 2 seconds, all but one in a hundred within 10. A
// subscription that is deleted is back within one check.
func TestServeWithWebhooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		fl := &fleet{
			t: t, server: shopifytest.NewServer(shopifytest.WithWebhookHandler(mux)), shops: make(map[shopifysync.ConnectionID]*shopifytest.Store),
			conns: shopifysync.StaticConnections(), store: shopifysync.NewMemoryStore(), log: new(logBuffer), work: make(map[string]int),
		}
		defer fl.server.Close()
		const stores = 20
		var ids []shopifysync.ConnectionID
		for i := range stores {
			id := shopifysync.ConnectionID(fmt.Sprint("store-", i))
			ids = append(ids, id)
			fl.add(id, 60, func(c *shopifytest.StoreConfig) { c.Latency = 300 * time.Millisecond })
		}
		// Two processes: one of them gets the webhooks, and either drains.
		opts := []shopifysync.Option{
			shopifysync.WithStateStore(durable{fl.store}),
			shopifysync.WithWebhookURL("https://hooks.example.com/webhooks/shopify/{connection}"),
		}
		receiver, other := fl.syncer(opts...), fl.syncer(opts...)
		mux.Handle("/webhooks/shopify/{connection}", receiver.WebhookHandler())
		stops := []func(){serve(t, receiver), serve(t, other)}
		time.Sleep(10 * time.Minute)
		for _, id := range ids {
			fl.between("run", id, 1, 1)
			if n := len(fl.shops[id].Subscriptions()); n < 10 {
				t.Fatalf("%s has %d subscriptions", id, n)
			}
		}

		// Every 200 ms a customer of some store changes.
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		type change struct {
			id       shopifysync.ConnectionID
			customer int64
			note     string
			at       time.Time
		}
		var waiting []change
		var took []time.Duration
		arrived := func() {
			waiting = slices.DeleteFunc(waiting, func(c change) bool {
				if fl.note(c.id, c.customer) != c.note {
					return false
				}
				took = append(took, time.Since(c.at))
				return true
			})
		}
		const changes = 1000
		for i := range changes {
			id := ids[random.IntN(stores)]
			c := change{id, fl.shops[id].Newest(60)[i%60].ID, fmt.Sprint("note ", i), time.Now()}
			if err := fl.shops[id].Update(c.customer, func(x *shopifytest.Customer) { x.Note = c.note }); err != nil {
				t.Fatal(err)
			}
			waiting = slices.DeleteFunc(waiting, func(old change) bool { return old.id == id && old.customer == c.customer })
			waiting = append(waiting, c)
			for range 4 {
				time.Sleep(50 * time.Millisecond)
				arrived()
			}
		}
		waitFor(t, 30*time.Second, "the last changes are there", func() bool { arrived(); return len(waiting) == 0 })
		slices.Sort(took)
		p50, p99 := took[len(took)/2], took[len(took)*99/100]
		t.Logf("%d changes: p50 %v, p99 %v, most %v", len(took), p50, p99, took[len(took)-1])
		if len(took) < changes*9/10 || p50 > 2*time.Second || p99 > 10*time.Second {
			t.Errorf("of %d changes %d arrived: p50 %v, p99 %v", changes, len(took), p50, p99)
		}

		// Every webhook of one store is lost, for its subscriptions are.
		victim := fl.shops[ids[0]]
		subscribed := len(victim.Subscriptions())
		victim.DropSubscriptions()
		took = nil
		lost := victim.Newest(1)[0].ID
		if err := victim.Update(lost, func(x *shopifytest.Customer) { x.Note = "lost" }); err != nil {
			t.Fatal(err)
		}
		waitFor(t, time.Hour+time.Minute, "the subscriptions are back", func() bool { return len(victim.Subscriptions()) == subscribed })
		waitFor(t, 16*time.Minute, "what was lost meanwhile is caught up with", func() bool { return fl.note(ids[0], lost) == "lost" })
		for _, stop := range stops {
			stop()
		}
		fl.mirrors(ids...)
		if text := fl.log.String(); strings.Contains(text, "tried again") {
			t.Errorf("trouble:\n%.2000s", text)
		}
	})
}

// A connection that is connected while Serve runs in the same process is served
// at once, one that is disconnected no more.
func TestServeNoticesConnect(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		fl.add("new", 10, nil)
		conn, err := fl.conns.Connection(t.Context(), "new")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fl.conns.DeleteConnection(t.Context(), shopifysync.DeleteConnectionParams{Connection: "new"}); err != nil {
			t.Fatal(err)
		}
		s := fl.syncer(shopifysync.WithStateStore(durable{fl.store}))
		stop := serve(t, s)
		time.Sleep(40 * time.Second) // just after it has listed the connections
		if _, err := s.Connect(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		id := shopifysync.CustomerID(fl.shops["new"].Newest(1)[0].ID)
		if err := s.Deliver(t.Context(), "new", shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{id}}); err != nil {
			t.Fatal(err)
		}
		waitFor(t, 5*time.Second, "the first webhook is drained", func() bool { return fl.done("drain", "new") == 1 })
		time.Sleep(time.Hour)
		fl.between("run", "new", 0, 0)
		if _, err := s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: "new", RemoveContacts: true}); err != nil {
			t.Fatal(err)
		}
		requests := len(fl.server.Requests())
		time.Sleep(48 * time.Hour)
		if n := len(fl.server.Requests()) - requests; n > 0 {
			t.Errorf("%d requests after the connection was disconnected", n)
		}
		stop()
	})
}

// Catch-ups and checks of many connections that fall due together do not hold
// up a webhook, and nor do the runs of large stores those of small ones.
func TestServeKeepsPlaces(t *testing.T) {
	slowly := func(c *shopifytest.StoreConfig) { c.Latency = 2 * time.Second }
	drains := func(t *testing.T, places int, latency, within time.Duration) {
		inFleet(t, func(t *testing.T, fl *fleet) {
			slowly := func(c *shopifytest.StoreConfig) { c.Latency = latency }
			for i := range 100 {
				id := shopifysync.ConnectionID(fmt.Sprint("idle-", i))
				fl.add(id, 1, slowly)
				fl.setState(id, settled(1))
				fl.setState(id, func(st *shopifysync.ConnectionState) {
					st.CaughtUpAt, st.Health.CheckedAt = time.Time{}, time.Time{}
				})
			}
			shop := fl.add("busy", 3, nil)
			fl.setState("busy", settled(3))
			stop := serve(t, fl.syncer(shopifysync.WithStateStore(durable{fl.store}), shopifysync.WithServeLimits(places, 1)))
			time.Sleep(10 * time.Second)
			for i := range 10 {
				c := shop.Newest(1)[0]
				note := fmt.Sprint("note ", i)
				if err := shop.UpdateQuietly(c.ID, func(c *shopifytest.Customer) { c.Note = note }); err != nil {
					t.Fatal(err)
				}
				fl.mark("busy", c.ID)
				waitFor(t, within, note, func() bool { return fl.note("busy", c.ID) == note })
				time.Sleep(2 * time.Second)
			}
			stop()
			done := 0
			for i := range 100 {
				done += fl.done("catch-up", shopifysync.ConnectionID(fmt.Sprint("idle-", i)))
			}
			if done == 100 {
				t.Error("the chores were done too soon to be in the way")
			}
		})
	}
	t.Run("for drains", func(t *testing.T) { drains(t, 2, 7*time.Second, 3*time.Second) })
	t.Run("for drains, in turns", func(t *testing.T) { drains(t, 1, time.Second, 6*time.Second) })
	t.Run("for stores that answer", func(t *testing.T) {
		for _, places := range []int{2, 8} {
			inFleet(t, func(t *testing.T, fl *fleet) {
				id := func(i int) shopifysync.ConnectionID { return shopifysync.ConnectionID(fmt.Sprint("dead-", i)) }
				for i := range 10 {
					dead := fl.add(id(i), 3, nil)
					fl.setState(id(i), settled(3))
					dead.Inject(shopifytest.Fault{Times: shopifytest.Always, Hang: true})
				}
				shop := fl.add("good", 3, nil)
				fl.setState("good", settled(3))
				stop := serve(t, fl.syncer(shopifysync.WithStateStore(durable{fl.store}), shopifysync.WithServeLimits(places, 1)))
				time.Sleep(5 * time.Second)
				for i := range 10 {
					fl.mark(id(i), fl.shops[id(i)].Newest(1)[0].ID)
				}
				time.Sleep(time.Second)
				c := shop.Newest(1)[0]
				within := 3 * time.Minute // until each was cut off once
				for i := range 100 {      // beyond the first catch-ups and checks
					note := fmt.Sprint("note ", i)
					if err := shop.UpdateQuietly(c.ID, func(c *shopifytest.Customer) { c.Note = note }); err != nil {
						t.Fatal(err)
					}
					fl.mark("good", c.ID)
					waitFor(t, within, note, func() bool { return fl.note("good", c.ID) == note })
					time.Sleep(time.Minute)
					within = 3 * time.Second
				}
				for i := range 10 { // and nothing is lost
					fl.shops[id(i)].ClearFaults()
				}
				time.Sleep(10 * time.Minute)
				for i := range 10 {
					fl.between("drain", id(i), 1, 2)
				}
				stop()
			})
		}
	})
	t.Run("for small stores", func(t *testing.T) {
		inFleet(t, func(t *testing.T, fl *fleet) {
			for i := range 3 {
				id := shopifysync.ConnectionID(fmt.Sprint("large-", i))
				fl.add(id, 20_000, slowly)
				fl.setState(id, settled(200_000))
				fl.setState(id, func(st *shopifysync.ConnectionState) { st.RunAt = time.Time{} })
			}
			fl.add("small", 3, nil)
			stop := serve(t, fl.syncer(shopifysync.WithServeLimits(8, 2)))
			waitFor(t, 10*time.Second, "the small store's run", func() bool { return fl.done("run", "small") == 1 })
			stop()
			if fl.done("run", "large-0")+fl.done("run", "large-1")+fl.done("run", "large-2") > 0 {
				t.Error("the large runs ended too soon to be in the way")
			}
		})
	})
}

// A store that takes longer for each request than a drain may last is drained
// all the same.
func TestServeDrainsSlowStores(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		shop := fl.add("slow", 600, nil)
		fl.setState("slow", settled(600))
		shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 25 * time.Second })
		stop := serve(t, fl.syncer(shopifysync.WithStateStore(durable{fl.store})))
		time.Sleep(5 * time.Second)
		var all []int64
		for c := range shop.All() {
			all = append(all, c.ID)
		}
		fl.mark("slow", all...)
		waitFor(t, 10*time.Minute, "all marks are drained", func() bool {
			open, err := fl.store.Marks(t.Context(), shopifysync.MarksParams{Connection: "slow", Limit: 1})
			return err == nil && open.Open == 0
		})
		stop()
		fl.mirrors("slow")
	})
}

// A backlog gives the only place away every few seconds.
func TestServeSlicesDrains(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		huge := fl.add("huge", 5000, func(c *shopifytest.StoreConfig) { c.Latency = 3 * time.Second })
		shop := fl.add("small", 3, nil)
		fl.setState("huge", settled(5000))
		fl.setState("small", settled(3))
		var backlog []int64
		for c := range huge.All() {
			backlog = append(backlog, c.ID)
		}
		stop := serve(t, fl.syncer(shopifysync.WithStateStore(durable{fl.store}), shopifysync.WithServeLimits(1, 1)))
		time.Sleep(2 * time.Second)
		fl.mark("huge", backlog...)
		time.Sleep(5 * time.Second)
		c := shop.Newest(1)[0]
		if err := shop.UpdateQuietly(c.ID, func(c *shopifytest.Customer) { c.Note = "quick" }); err != nil {
			t.Fatal(err)
		}
		fl.mark("small", c.ID)
		waitFor(t, 10*time.Second, "the small store's change is there", func() bool { return fl.note("small", c.ID) == "quick" })
		stop()
		open, err := fl.store.Marks(t.Context(), shopifysync.MarksParams{Connection: "huge", Limit: 1})
		if err != nil || open.Open == 0 {
			t.Errorf("the backlog was done too soon to be in the way: %v", err)
		}
	})
}

// silent is a state store that never tells which connections have marks.
type silent struct{ durable }

// DueConnections implements StateStore.
func (silent) DueConnections(context.Context, shopifysync.DueConnectionsParams) (shopifysync.DueConnectionsResult, error) {
	return shopifysync.DueConnectionsResult{}, nil
}

// A webhook that this process receives is acted on without asking the state
// store for marks, and so is what a catch-up marks.
func TestServeWakes(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		shop := fl.add("one", 10, nil)
		s := fl.syncer(shopifysync.WithStateStore(silent{durable{fl.store}}))
		stop := serve(t, s)
		time.Sleep(time.Minute)
		id := shop.Newest(1)[0].ID
		if err := shop.Update(id, func(c *shopifytest.Customer) { c.Note = "webhook" }); err != nil {
			t.Fatal(err)
		}
		if err := s.Deliver(t.Context(), "one", shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{shopifysync.CustomerID(id)}}); err != nil {
			t.Fatal(err)
		}
		waitFor(t, 2*time.Second, "the webhook's change is there", func() bool { return fl.note("one", id) == "webhook" })
		time.Sleep(2 * time.Second)
		if err := shop.Update(id, func(c *shopifytest.Customer) { c.Note = "catch-up" }); err != nil {
			t.Fatal(err)
		}
		waitFor(t, 16*time.Minute, "what the catch-up marked is there", func() bool { return fl.note("one", id) == "catch-up" })
		stop()
	})
}

// A backlog of more than a minute's budget asks for a full run, and only one;
// meanwhile it is drained on.
func TestServeBacklog(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		shop := fl.add("backlog", 3000, func(c *shopifytest.StoreConfig) { c.CostModel, c.RestoreRate = shopifytest.DocumentedCost, 20 })
		fl.setState("backlog", settled(3000))
		var backlog []int64
		for c := range shop.All() {
			backlog = append(backlog, c.ID)
		}
		stop := serve(t, fl.syncer(shopifysync.WithStateStore(durable{fl.store})))
		time.Sleep(2 * time.Second)
		fl.mark("backlog", backlog...)
		waitFor(t, 2*time.Hour, "the run", func() bool { return fl.done("run", "backlog") > 0 })
		time.Sleep(2 * time.Hour)
		stop()
		fl.between("run", "backlog", 1, 1)
		fl.mirrors("backlog")
	})
}
