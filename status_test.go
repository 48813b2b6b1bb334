package shopifysync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

func (w *world) status(s *shopifysync.Syncer) *shopifysync.Status {
	w.t.Helper()
	requests := len(w.server.Requests())
	got, err := s.Status(w.t.Context(), connID)
	if err != nil {
		w.t.Fatalf("Status: %v", err)
	}
	if n := len(w.server.Requests()); n != requests {
		w.t.Errorf("Status made %d requests", n-requests)
	}
	return got
}

func TestStatus(t *testing.T) {
	inWorld(t, 600, func(t *testing.T, w *world) {
		conns := w.connectable()
		s := w.syncerWith(conns)
		if _, err := s.Status(t.Context(), connID); !errors.Is(err, shopifysync.ErrNotConnected) {
			t.Errorf("error %v", err)
		}
		h := w.connect(s)
		before := w.status(s)
		if !before.InStepAsOf.IsZero() || before.Running != nil || len(before.Runs) != 0 || cmp.Diff(*h, before.Health) != "" {
			t.Errorf("%+v", before)
		}

		// Another process sees how far a run is.
		other := w.syncerWith(conns)
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 3 * time.Second })
		done := make(chan error)
		go func() {
			_, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
			done <- err
		}()
		time.Sleep(11 * time.Second)
		during := w.status(other)
		if during.Running == nil || during.Running.Progress.Phase != shopifysync.PhasePages || during.Running.Progress.Done == 0 ||
			during.Running.Checkpoint != nil || during.Running.State != shopifysync.RunRunning {
			t.Errorf("%+v", during.Running)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 0 })
		for range 12 {
			w.sync(s)
		}
		after := w.status(other)
		if after.Running != nil || len(after.Runs) != 10 || after.InStepAsOf.IsZero() || !after.CaughtUpTo.Equal(after.InStepAsOf) || after.Customers != 600 {
			t.Errorf("%+v", after)
		}
		for i, run := range after.Runs {
			if run.State != shopifysync.RunCompleted || run.Report.Seen != 600 || i > 0 && run.StartedAt.After(after.Runs[i-1].StartedAt) {
				t.Errorf("run %d: %+v", i, run)
			}
		}
		if data, err := json.Marshal(after); err != nil || !strings.Contains(string(data), `"in_step_as_of"`) {
			t.Errorf("%v %s", err, data)
		}
	})
}

// A run whose process was killed is not shown for ever as running.
func TestStatusOfAKilledRun(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		w.connect(s)
		lease, err := w.store.AcquireLease(t.Context(), shopifysync.AcquireLeaseParams{Connection: connID, Kind: shopifysync.LeaseRun, TTL: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC()
		_, err = w.store.SaveRun(t.Context(), shopifysync.SaveRunParams{Lease: lease.Lease, Run: shopifysync.Run{
			ID: "r", Connection: connID, State: shopifysync.RunRunning, StartedAt: now, UpdatedAt: now,
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.status(s); got.Running == nil || got.Running.ID != "r" {
			t.Errorf("%+v", got.Running)
		}
		time.Sleep(time.Hour)
		if got := w.status(s); got.Running != nil || len(got.Runs) != 1 {
			t.Errorf("%+v", got.Running)
		}
	})
}

// Failed records are listed with their reasons, among any number of marks.
func TestStatusListsFailures(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		w.connect(s)
		next := time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC)
		for i := range 12_000 {
			m := shopifysync.Mark{CustomerID: shopifysync.CustomerID(i + 1), Reason: "customers/update", NotBefore: next}
			if i%100 == 99 {
				m.Attempts, m.Reason = 3, "mapper: odd"
			}
			w.mark(m)
		}
		got := w.status(s)
		if got.OpenMarks != 12_000 || len(got.Failures) != shopifysync.MaxFailures {
			t.Fatalf("%d marks, %d failures", got.OpenMarks, len(got.Failures))
		}
		want := shopifysync.FailedMark{CustomerID: 10_000, Reason: "mapper: odd", Attempts: 3, NextTry: next}
		if diff := cmp.Diff(want, got.Failures[99]); diff != "" {
			t.Error(diff)
		}
	})
}

// Status answers for a connection that is paused or disconnected.
func TestStatusOfARefusedConnection(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		w.connect(s)
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen })
		if _, err := s.Check(t.Context(), connID); !errors.Is(err, shopifysync.ErrShopFrozen) {
			t.Fatal(err)
		}
		if got := w.status(s); got.Pause == nil || got.Pause.State != shopifysync.HealthFrozen || got.Health.State != shopifysync.HealthFrozen {
			t.Errorf("%+v", got)
		}
		if _, err := s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: connID, RemoveContacts: true}); err != nil {
			t.Fatal(err)
		}
		if got := w.status(s); got.Disconnected == nil || got.Pause != nil {
			t.Errorf("%+v", got)
		}
	})
}

func TestStatusWithFailingStores(t *testing.T) {
	broken := errors.New("broken")
	for name, state := range map[string]*hostState{
		"runs":  {runs: func() error { return broken }},
		"marks": {marks: func() error { return broken }},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 1, func(t *testing.T, w *world) {
				state.MemoryStore = w.store
				if _, err := w.syncer(shopifysync.WithStateStore(state)).Status(t.Context(), connID); !errors.Is(err, broken) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

// Check asks the same as Connect, and remembers it.
func TestCheck(t *testing.T) {
	config := func(change func(*shopifytest.StoreConfig)) func(*world) {
		return func(w *world) { w.shop.Configure(change) }
	}
	tests := map[string]struct {
		world func(*world)
		want  error
		state shopifysync.HealthState
	}{
		"ok":               {func(*world) {}, nil, shopifysync.HealthOK},
		"wrong token":      {config(func(c *shopifytest.StoreConfig) { c.AccessToken = "another" }), shopifysync.ErrUnauthorized, shopifysync.HealthReauthorise},
		"frozen":           {config(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen }), shopifysync.ErrShopFrozen, shopifysync.HealthFrozen},
		"locked":           {config(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Locked }), shopifysync.ErrShopLocked, shopifysync.HealthLocked},
		"renamed":          {func(w *world) { w.shop.Rename("renamed.myshopify.com") }, shopifysync.ErrShopMoved, shopifysync.HealthMoved},
		"another store":    {config(func(c *shopifytest.StoreConfig) { c.ShopID = 4711 }), shopifysync.ErrAnotherStore, shopifysync.HealthMoved},
		"no scope":         {config(func(c *shopifytest.StoreConfig) { c.Scopes = []string{"read_products"} }), shopifysync.ErrScopeMissing, shopifysync.HealthScopeMissing},
		"no personal data": {config(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoPersonalData }), shopifysync.ErrProtectedData, shopifysync.HealthProtectedData},
		"outage": {func(w *world) {
			w.shop.Inject(shopifytest.Fault{Status: 501, Times: shopifytest.Always})
		}, shopifysync.ErrUnavailable, shopifysync.HealthOK},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(t *testing.T, w *world) {
				s := w.syncerWith(w.connectable())
				first := w.connect(s)
				time.Sleep(time.Minute)
				test.world(w)
				h, err := s.Check(t.Context(), connID)
				if !errors.Is(err, test.want) || test.want == nil && err != nil {
					t.Fatalf("error %v, want %v", err, test.want)
				}
				st := w.state()
				if h == nil || h.State != test.state || cmp.Diff(*h, st.Health) != "" {
					t.Errorf("returned %+v\nsaved %+v", h, st.Health)
				}
				paused := test.want != nil && test.state != shopifysync.HealthOK
				if (st.Pause != nil) != paused || paused && (st.Pause.State != test.state || h.Message == "" || !strings.Contains(err.Error(), h.Message)) {
					t.Errorf("pause %+v, message %q", st.Pause, h.Message)
				}
				if test.want != nil && (h.Shop.Name != first.Shop.Name || len(h.Scopes) == 0 || h.ServedVersion != "2026-01" || len(h.Subscriptions) != len(first.Subscriptions)) {
					t.Errorf("what was known before is forgotten: %+v", h)
				}
			})
		})
	}
}

// Once Shopify serves the connection again, a check ends the pause, and asks
// for a catch-up.
func TestCheckEndsThePause(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		w.connect(s)
		if _, err := s.CatchUp(t.Context(), connID); err != nil {
			t.Fatal(err)
		}
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Locked })
		if _, err := s.Check(t.Context(), connID); !errors.Is(err, shopifysync.ErrShopLocked) {
			t.Fatal(err)
		}
		w.shop.DropSubscriptions()
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Open })
		h, err := s.Check(t.Context(), connID)
		if err != nil || h.State != shopifysync.HealthOK || h.Message != "" {
			t.Errorf("%v %+v", err, h)
		}
		if st := w.state(); st.Pause != nil || !st.CaughtUpAt.IsZero() || st.CaughtUpTo.IsZero() || st.CheckDue {
			t.Errorf("%+v", st)
		}
		if diff := cmp.Diff(topicsOf("2026-01"), w.subscribed(ourURL)); diff != "" {
			t.Error(diff)
		}
	})
}

// Two checks at once do not make two subscriptions; the second tells what is known.
func TestCheckAtOnce(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		conns := w.connectable()
		s, other := w.syncerWith(conns), w.syncerWith(conns)
		w.connect(s)
		w.shop.DropSubscriptions()
		done := make(chan error)
		go func() {
			_, err := s.Check(t.Context(), connID)
			done <- err
		}()
		time.Sleep(time.Millisecond)
		h, err := other.Check(t.Context(), connID)
		if !errors.Is(err, shopifysync.ErrSyncInProgress) || h == nil || h.State != shopifysync.HealthOK {
			t.Errorf("%v %+v", err, h)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(topicsOf("2026-01"), w.subscribed(ourURL)); diff != "" {
			t.Error(diff)
		}
	})
}

// What is shown of customers decides, never the plan's name.
func TestPersonalData(t *testing.T) {
	tests := map[string]struct {
		n      int
		change func(*shopifytest.StoreConfig)
		want   shopifysync.DataAccess
		warned string
	}{
		"all":               {3, func(c *shopifytest.StoreConfig) { c.Plan = "Basic" }, shopifysync.DataReadable, ""},
		"empty store":       {0, func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoPersonalData }, shopifysync.DataUnknown, ""},
		"a field is hidden": {3, func(c *shopifytest.StoreConfig) { c.DeniedFields = []string{"phone"} }, shopifysync.DataReadable, "phone"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, test.n, func(t *testing.T, w *world) {
				conns := w.connectable()
				w.conn.APIVersion = "2026-10"
				w.shop.Configure(test.change)
				h := w.connect(w.syncerWith(conns))
				if h.PersonalData != test.want || (len(h.Warnings) > 0) != (test.warned != "") || len(h.Warnings) > 0 && !strings.Contains(h.Warnings[0], test.warned) {
					t.Errorf("%q %q", h.PersonalData, h.Warnings)
				}
			})
		})
	}
	t.Run("fields that are not asked for", func(t *testing.T) {
		inWorld(t, 3, func(t *testing.T, w *world) {
			conns := w.connectable()
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoPersonalData })
			s := w.syncerWith(conns, shopifysync.WithoutFields(shopifysync.FieldName|shopifysync.FieldEmail|shopifysync.FieldPhone|shopifysync.FieldAddress))
			if h := w.connect(s); h.PersonalData != shopifysync.DataReadable {
				t.Errorf("%+v", h)
			}
		})
	})
}

func ExampleSyncer_Status() {
	server := shopifytest.NewServer()
	defer server.Close()
	server.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com", NoRedacted: true}).Generate(120, 1)
	conn := shopifysync.Connection{ID: "tenant-1", Shop: "demo.myshopify.com", Credentials: shopifysync.Credentials{
		AccessToken: shopifysync.NewSecret("shpat_test"),
	}}
	syncer, err := shopifysync.New(shopifysync.NewMemoryStore(), shopifysync.StaticConnections(conn), shopifysync.WithHTTPClient(server.Client()))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := syncer.Check(ctx, "tenant-1"); err != nil {
		fmt.Println(err)
	}
	if _, err := syncer.Sync(ctx, shopifysync.SyncParams{Connection: "tenant-1"}); err != nil {
		fmt.Println(err)
	}
	status, err := syncer.Status(ctx, "tenant-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	last := status.Runs[0]
	fmt.Println(status.Health.State, last.State, last.Report.Created, "new,", status.OpenMarks, "to fetch")
	// Output: ok completed 120 new, 0 to fetch
}
