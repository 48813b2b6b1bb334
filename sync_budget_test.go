package shopifysync_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// A paged run uses Shopify's budget to at least 97 % and is never throttled.
func TestPagedRunUsesTheBudget(t *testing.T) {
	inWorld(t, 20_000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) {
			c.BucketSize, c.RestoreRate, c.Latency = 100, 10, 5*time.Millisecond
			c.APIVersions, c.BulkSpeed = []string{"2024-04"}, 1
		})
		s := w.syncer(shopifysync.WithBulkThreshold(1 << 40))
		began := time.Now()
		w.sync(s)
		took := (time.Since(began) - 2*time.Second).Seconds()
		spent := 0.0
		for _, r := range w.server.Requests() {
			spent += float64(r.Cost)
		}
		// Runs leave a tenth of the bucket to others.
		offered := 0.9*100 + took*10
		if share := spent / offered; share < 0.97 {
			t.Errorf("%.1f %% of the points were used: %.0f of %.0f in %.1f s", share*100, spent, offered, took)
		}
		if strings.Contains(w.log.String(), "THROTTLED") {
			t.Error("Shopify throttled the run")
		}
		w.mirrors()
	})
}

// Somebody else draws on the same bucket: THROTTLED is waited out.
func TestThrottledByOthers(t *testing.T) {
	for name, as429 := range map[string]bool{"as 200": false, "as 429": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 5000, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) {
					c.BucketSize, c.RestoreRate, c.Throttle429 = 200, 20, as429
				})
				go func() {
					for range 20 {
						time.Sleep(700 * time.Millisecond)
						w.shop.Drain(200)
					}
				}()
				w.sync(w.syncer())
				w.mirrors()
				time.Sleep(time.Minute)
			})
		})
	}
}

// MAX_COST_EXCEEDED halves the page.
func TestMaxCost(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", Times: 2, Errors: []shopifytest.GraphQLError{{
			Message:    "Query cost is 1250, which exceeds the single query max cost limit (1000).",
			Extensions: map[string]any{"code": "MAX_COST_EXCEEDED", "cost": 1250, "maxCost": 1000},
		}}})
		w.sync(w.syncer())
		w.mirrors()
		last := w.server.Requests()
		for _, r := range last {
			if r.Operation == "CustomersPage" && strings.Contains(string(r.Variables), `"first":62`) || strings.Contains(string(r.Variables), `"first":63`) {
				return
			}
		}
		t.Error("no smaller page was asked for")
	})
}

// A cursor that Shopify no longer takes begins the list anew; nobody is
// counted twice.
func TestCursorRefused(t *testing.T) {
	inWorld(t, 1500, func(t *testing.T, w *world) {
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 3, Errors: []shopifytest.GraphQLError{{
			Message: "Invalid cursor for current pagination sort.", Extensions: map[string]any{"code": "BAD_REQUEST"},
		}}})
		if r := w.sync(w.syncer()); r.Seen != 1500 {
			t.Errorf("%+v", r)
		}
		w.mirrors()
	})
}

// One record of an unforeseen shape is one failed record.
func TestUnreadableRecord(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		id := w.ids()[299-5]
		spoil := func(m map[string]any) {
			for _, n := range m["data"].(map[string]any)["customers"].(map[string]any)["nodes"].([]any) {
				node := n.(map[string]any)
				if strings.HasSuffix(node["id"].(string), shopifysync.CustomerID(id).String()) {
					node["tags"] = "not a list"
				}
			}
		}
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", Times: 2, Edit: spoil})
		r := w.sync(w.syncer())
		if r.Failed != 1 || r.Failures[0].CustomerID != shopifysync.CustomerID(id) || r.Seen != 300 {
			t.Errorf("%+v", r)
		}
		if r := w.sync(w.syncer()); r.Failed != 0 || r.Created != 1 {
			t.Errorf("%+v", r)
		}
		w.mirrors()
	})
}

// Errors with data are errors, unless each names a field that was refused.
func TestErrorsBesideData(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", Times: shopifytest.Always, Edit: func(m map[string]any) {
			m["errors"] = []any{map[string]any{"message": "Timeout", "path": []any{"customers", "nodes", 0, "amountSpent"}}}
		}})
		r, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
		if err == nil || r.Complete {
			t.Errorf("error %v, %+v", err, r)
		}
	})
}

// A faultyStore fails for some contacts, or altogether.
type faultyStore struct {
	*shopifysync.MemoryStore
	poison map[shopifysync.CustomerID]bool
	refuse map[shopifysync.CustomerID]bool
	down   bool
}

func (f *faultyStore) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	for _, c := range p.Contacts {
		if f.down || f.poison[c.CustomerID] {
			return shopifysync.UpsertContactsResult{}, errors.New("duplicate key")
		}
	}
	got, err := f.MemoryStore.UpsertContacts(ctx, p)
	for i, c := range p.Contacts {
		if f.refuse[c.CustomerID] {
			got.Results[i] = shopifysync.UpsertResult{Outcome: shopifysync.Refused, Reason: "too long"}
		}
	}
	return got, err
}

func TestContactsThatCannotBeStored(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		ids := w.ids()
		a, b := shopifysync.CustomerID(ids[10]), shopifysync.CustomerID(ids[200])
		store := &faultyStore{
			MemoryStore: w.store,
			poison:      map[shopifysync.CustomerID]bool{a: true},
			refuse:      map[shopifysync.CustomerID]bool{b: true},
		}
		r := w.sync(w.syncerOn(store))
		reasons := map[shopifysync.CustomerID]string{}
		for _, f := range r.Failures {
			reasons[f.CustomerID] = f.Reason
		}
		if r.Failed != 2 || !strings.Contains(reasons[a], "failed on this record") || !strings.Contains(reasons[b], "too long") {
			t.Errorf("%+v", r)
		}
		store.down = true
		before := len(w.contacts())
		r, err := w.syncerOn(store).Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
		if err == nil || r.Complete || len(w.contacts()) != before {
			t.Errorf("with a store that is down: error %v, %+v", err, r)
		}
		runs, _ := w.store.Runs(t.Context(), shopifysync.RunsParams{Connection: connID, Limit: 1})
		if runs.Runs[0].State != shopifysync.RunPaused {
			t.Errorf("state %s", runs.Runs[0].State)
		}
	})
}

// Progress goes through the phases, never backwards, and ends with everybody.
func TestProgress(t *testing.T) {
	inWorld(t, 6000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 1000, 600*time.Millisecond })
		order := map[shopifysync.Phase]int{
			shopifysync.PhaseConnecting: 0, shopifysync.PhasePages: 1, shopifysync.PhaseBulk: 2,
			shopifysync.PhaseProving: 3, shopifysync.PhaseSweeping: 4, shopifysync.PhaseDone: 5,
		}
		var seen []shopifysync.Progress
		slow := &slowStore{ContactStore: w.store, delay: 200 * time.Millisecond}
		s := w.syncerOn(slow, shopifysync.WithBulkThreshold(2000), shopifysync.WithBatchSize(50))
		_, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, OnProgress: func(p shopifysync.Progress) { seen = append(seen, p) }})
		if err != nil {
			t.Fatal(err)
		}
		estimates := 0
		for i, p := range seen {
			if i > 0 && (p.Done < seen[i-1].Done || order[p.Phase] < order[seen[i-1].Phase]) {
				t.Errorf("it went back from %+v to %+v", seen[i-1], p)
			}
			if p.Total > 0 && p.Done > p.Total {
				t.Errorf("%+v", p)
			}
			if p.EstimateHigh > 0 {
				estimates++
				if p.EstimateLow > p.EstimateHigh || p.EstimateHigh > 5*time.Minute {
					t.Errorf("estimate %+v", p)
				}
			}
		}
		if last := seen[len(seen)-1]; last.Phase != shopifysync.PhaseDone || last.Done != 6000 || estimates == 0 {
			t.Errorf("last %+v, %d estimates", last, estimates)
		}
	})
}

func TestHooks(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		type key struct{}
		var started, ended int
		var ops []string
		s := w.syncer(shopifysync.WithHooks(shopifysync.Hooks{
			SyncStart: func(ctx context.Context, info shopifysync.SyncStartInfo) context.Context {
				started++
				return context.WithValue(ctx, key{}, info.RunID)
			},
			SyncEnd: func(ctx context.Context, info shopifysync.SyncEndInfo) {
				ended++
				if ctx.Value(key{}) != info.Report.RunID || !info.Report.Complete || info.Err != nil {
					t.Errorf("%v %+v", ctx.Value(key{}), info)
				}
			},
			APICall: func(_ context.Context, info shopifysync.APICallInfo) {
				ops = append(ops, info.Op)
				if info.Err != nil || info.Attempts != 1 || info.Cost == 0 || info.ServedVersion != "2026-01" {
					t.Errorf("%+v", info)
				}
			},
		}))
		w.sync(s)
		if got := strings.Join(ops, " "); started != 1 || ended != 1 || got != "Shop CustomersPage CustomersCount CustomersPage CustomersCount" {
			t.Errorf("%d starts, %d ends, operations %q", started, ended, got)
		}
	})
}

// A store in which nothing changed costs no write, tombstones included.
func TestUnchangedStoreCostsNoRemoval(t *testing.T) {
	inWorld(t, 200, func(t *testing.T, w *world) {
		ids := w.ids()
		if err := w.shop.Redact(ids[0]); err != nil {
			t.Fatal(err)
		}
		base := shopifysync.NewMapper(shopifysync.MapperOptions{})
		skipping := false
		mapper := func(id shopifysync.ConnectionID, c shopifysync.Customer) (shopifysync.Contact, error) {
			if skipping && int64(c.ID) == ids[1] || int64(c.ID) == ids[2] {
				return shopifysync.Contact{}, shopifysync.ErrSkip
			}
			return base(id, c)
		}
		store := &removalCounter{MemoryStore: w.store}
		s := w.syncerOn(store, shopifysync.WithMapper(mapper))
		w.sync(s)
		skipping = true
		w.sync(s)
		if r := store.removals; len(r) != 2 || r[0] != shopifysync.CustomerID(ids[0]) || r[1] != shopifysync.CustomerID(ids[1]) {
			t.Errorf("removed %v, want the redacted one, then the one left out", r)
		}
		for range 2 {
			w.sync(s)
		}
		if n := len(store.removals); n != 2 {
			t.Errorf("%d removals after runs that changed nothing, want 2", n)
		}
	})
}

type removalCounter struct {
	*shopifysync.MemoryStore
	removals []shopifysync.CustomerID
}

func (c *removalCounter) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	for _, r := range p.Removals {
		c.removals = append(c.removals, r.CustomerID)
	}
	return c.MemoryStore.RemoveContacts(ctx, p)
}
