package shopifysync_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

var (
	modelSeeds = flag.Uint64("model.seeds", 300, "how many random histories TestSyncModel tries")
	modelFirst = flag.Uint64("model.first", 0, "the seed of the first one")
)

// TestSyncModel tries random histories: faults, cancellations, kills and
// budgets while the store changes. Whatever happens, a run that claims to be
// complete has everybody who did not change meanwhile, and once the faults are
// over one more run ends with exactly the store's customers.
//
// A failing history is repeated by -model.first=<seed> -model.seeds=1.
func TestSyncModel(t *testing.T) {
	var mu sync.Mutex
	tried := map[string]int{}
	t.Cleanup(func() { // when all of the histories are over
		t.Log(tried)
		for _, what := range []string{"complete", "incomplete", "cancelled", "killed", "budget", "resumed", "pages", "pages+bulk"} {
			if tried[what] == 0 && *modelSeeds >= 100 {
				t.Errorf("no history had this: %s", what)
			}
		}
	})
	for seed := *modelFirst; seed < *modelFirst+*modelSeeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, seed)
				defer m.server.Close()
				for range 1 + m.random.IntN(4) {
					m.trouble()
				}
				m.last()
				mu.Lock()
				defer mu.Unlock()
				for what, n := range m.tried {
					tried[what] += n
				}
			})
		})
	}
}

// settle is how long before a run a change must have been to count as before
// it: an observation is dated by whole seconds, less the answer's latency.
const settle = 15 * time.Second

// A model is a world whose history is kept.
type model struct {
	*world
	random *rand.Rand
	tried  map[string]int

	mu    sync.Mutex
	lives map[int64]*life
}

// A life is what happened to a customer, by the bubble's clock.
type life struct {
	born, changed, died time.Time // zero: before the history, or never
	gone                bool      // redacted, by Shopify or by the host
}

func newModel(t *testing.T, seed uint64) *model {
	random := rand.New(rand.NewPCG(seed, 77))
	most := 3000.0
	for range 4 { // most stores are small
		most *= random.Float64() + 0.05
	}
	n := min(int(most), 3000)
	m := &model{world: newWorld(t, 0), random: random, tried: map[string]int{}, lives: map[int64]*life{}}
	m.shop.Generate(n, seed)
	for c := range m.shop.All() {
		m.lives[c.ID] = &life{gone: redacted(c)}
	}
	return m
}

func (m *model) between(low, high time.Duration) time.Duration {
	return low + time.Duration(m.random.Int64N(int64(high-low+1)))
}

// trouble is a run during which everything may happen.
func (m *model) trouble() {
	m.t.Helper()
	m.shop.ClearFaults()
	for range m.random.IntN(3) {
		m.shop.Inject(m.fault())
	}
	m.shop.Configure(func(c *shopifytest.StoreConfig) {
		c.Latency = m.between(10*time.Millisecond, 2*time.Second)
		c.BulkSpeed = []int{shopifytest.Unlimited, 20, 200, 2000}[m.random.IntN(4)]
		c.BucketSize, c.RestoreRate = float64(100+m.random.IntN(2000)), float64(5+m.random.IntN(100))
		c.APIVersions = [][]string{{"2024-04"}, {"2026-01"}, {"2026-10"}}[m.random.IntN(3)]
	})
	if m.random.IntN(8) > 0 {
		time.Sleep(settle)
	}
	mortal := &mortalStore{MemoryStore: m.store}
	mortal.left.Store(1 << 40)
	ctx, cancel := context.WithCancel(m.t.Context())
	defer cancel()
	p := shopifysync.SyncParams{Connection: connID, Wait: 2 * time.Minute, DryRun: m.random.IntN(12) == 0}
	kind := "left alone"
	switch m.random.IntN(5) {
	case 0:
		kind = "cancelled"
		stop := time.AfterFunc(m.between(0, 30*time.Second), cancel)
		defer stop.Stop()
	case 1:
		kind = "killed"
		mortal.left.Store(1 + m.random.Int64N(30))
	case 2:
		kind = "budget"
		p.Budget = m.between(time.Second, 20*time.Second)
	}
	slow := &slowStore{ContactStore: mortal, delay: m.between(0, time.Second)}
	s := m.syncerOn(slow, shopifysync.WithStateStore(mortal),
		shopifysync.WithBulkThreshold(1+m.random.Int64N(400)),
		shopifysync.WithBatchSize(5+m.random.IntN(150)), shopifysync.WithWriters(1+m.random.IntN(4)))

	stopChurn := m.churn()
	report, err := s.Sync(ctx, p)
	stopChurn()
	switch {
	case err == nil:
	case errors.Is(err, errKilled) && kind == "killed",
		errors.Is(err, context.Canceled) && kind == "cancelled",
		errors.Is(err, shopifysync.ErrIncomplete), errors.Is(err, shopifysync.ErrMassRemoval),
		errors.Is(err, shopifysync.ErrUnavailable), errors.Is(err, shopifysync.ErrThrottled):
		m.tried["incomplete"]++
		m.tried[kind]++
	default:
		m.t.Errorf("%s: %v", kind, err)
	}
	if report == nil {
		return
	}
	if err == nil && !report.Complete {
		m.tried["budget"]++
	}
	m.judge(report)
}

// judge checks what a report claims.
func (m *model) judge(r *shopifysync.Report) {
	m.t.Helper()
	m.addsUp(r)
	if r.Resumed {
		m.tried["resumed"]++
	}
	existed := 0
	for _, l := range m.lives {
		if !l.born.After(r.EndedAt) && (l.died.IsZero() || l.died.After(r.StartedAt.Add(-settle))) {
			existed++
		}
	}
	if r.Seen > int64(existed) {
		m.t.Errorf("seen %d, only %d existed: %+v", r.Seen, existed, r)
	}
	if !r.Complete || r.DryRun {
		return
	}
	m.tried["complete"]++
	m.tried[r.Source]++
	m.compare(func(id int64, l *life) bool {
		failed := slices.ContainsFunc(r.Failures, func(f shopifysync.Failure) bool { return int64(f.CustomerID) == id })
		return l.changed.Before(r.StartedAt.Add(-settle)) && !failed
	})
}

// compare checks the contacts of those customers of whom that may be asked.
func (m *model) compare(asked func(id int64, l *life) bool) {
	m.t.Helper()
	contacts := m.contacts()
	for id, l := range m.lives {
		contact, there := contacts[shopifysync.CustomerID(id)]
		if l.gone && there && asked(id, l) {
			m.t.Errorf("customer %d was redacted, and is a contact", id)
		}
		if !asked(id, l) || l.gone {
			continue
		}
		c, exists := m.shop.Customer(id)
		if exists != there {
			m.t.Errorf("customer %d: at Shopify %v, a contact %v; %+v", id, exists, there, *l)
			continue
		}
		if exists && (contact.FirstName != c.FirstName || contact.LastName != c.LastName || contact.Email != c.Email ||
			attribute(contact, shopifysync.AttrNote).Text != c.Note || !slices.Equal(contact.Tags, sorted(c.Tags))) {
			m.t.Errorf("customer %d: %+v is not %+v; %+v", id, contact, c, *l)
		}
	}
}

func sorted(tags []string) []string {
	tags = slices.Clone(tags)
	slices.Sort(tags)
	return slices.Compact(tags)
}

// last is the run after all the trouble.
func (m *model) last() {
	m.t.Helper()
	m.shop.ClearFaults()
	m.shop.Configure(func(c *shopifytest.StoreConfig) {
		c.Latency, c.BulkSpeed, c.BucketSize, c.RestoreRate = 100*time.Millisecond, 2000, 2000, 100
	})
	time.Sleep(settle)
	s := m.syncer(shopifysync.WithBulkThreshold(1 + m.random.Int64N(1000)))
	report, err := s.Sync(m.t.Context(), shopifysync.SyncParams{Connection: connID, MaxRemovedShare: 1, Wait: 2 * time.Minute})
	if report != nil && report.Resumed { // it showed the store as it was when the bulk operation began
		m.judge(report)
		if err != nil && !errors.Is(err, shopifysync.ErrIncomplete) { // too much changed since
			m.t.Errorf("resumed after the faults: %v, %+v", err, report)
		}
		m.last()
		return
	}
	if err != nil || !report.Complete {
		m.t.Fatalf("after the faults: %v, %+v", err, report)
	}
	m.judge(report)
	m.compare(func(int64, *life) bool { return true })
	marks, err := m.store.Marks(m.t.Context(), shopifysync.MarksParams{Connection: connID, Limit: 1000})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, mark := range marks.Marks {
		if _, exists := m.shop.Customer(int64(mark.CustomerID)); exists && !m.lives[int64(mark.CustomerID)].gone {
			m.t.Errorf("a mark is left: %+v", mark)
		}
	}
	for id, l := range m.lives {
		if !l.gone {
			continue
		}
		got, _ := m.store.Contacts(m.t.Context(), shopifysync.ContactsParams{Connection: connID, IDs: []shopifysync.CustomerID{shopifysync.CustomerID(id)}})
		for _, c := range got.Contacts {
			if c.Removed != shopifysync.RemovedRedacted && c.Removed != shopifysync.RemovedDeleted || c.Email != "" || c.Name != "" || c.Attributes != nil {
				m.t.Errorf("what is left of redacted %d: %+v", id, c)
			}
		}
	}
}

// churn changes the store until it is stopped.
func (m *model) churn() (stop func()) {
	random := rand.New(rand.NewPCG(m.random.Uint64(), 3))
	ended := make(chan struct{})
	var done sync.WaitGroup
	pace := time.Duration(1+random.IntN(8)) * time.Second
	done.Go(func() {
		for n := 0; n < 40; n++ {
			select {
			case <-ended:
				return
			case <-time.After(time.Duration(random.Int64N(int64(pace)))):
				m.change(random)
			}
		}
	})
	return func() {
		close(ended)
		done.Wait()
	}
}

// change does one thing to the store.
func (m *model) change(random *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if random.IntN(4) == 0 || len(m.lives) == 0 {
		c := m.shop.Create(shopifytest.Customer{FirstName: "New", Email: fmt.Sprintf("new%d@example.com", random.Uint32())})
		m.lives[c.ID] = &life{born: now, changed: now}
		return
	}
	ids := make([]int64, 0, len(m.lives))
	for id, l := range m.lives {
		if l.died.IsZero() && !l.gone {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	slices.Sort(ids)
	id := ids[random.IntN(len(ids))]
	l := m.lives[id]
	l.changed = now
	var err error
	switch random.IntN(6) {
	case 0:
		l.died = now
		err = m.shop.Delete(id)
	case 1:
		l.gone = true
		err = m.shop.Redact(id)
	case 2: // as Erase does
		l.gone = true
		_, err = m.store.RemoveContacts(context.Background(), shopifysync.RemoveContactsParams{
			Connection: connID, Reason: shopifysync.RemovedRedacted, ObservedAt: now.UTC().Truncate(time.Millisecond),
			Removals: []shopifysync.Removal{{CustomerID: shopifysync.CustomerID(id)}},
		})
	case 3:
		err = m.shop.UpdateQuietly(id, func(c *shopifytest.Customer) { c.Tags = []string{fmt.Sprint("tag", random.IntN(5))} })
	default:
		err = m.shop.Update(id, func(c *shopifytest.Customer) { c.Note = fmt.Sprint("note ", random.Uint32()) })
	}
	if err != nil {
		m.t.Error(err)
	}
}

// fault is some trouble that a run may survive.
func (m *model) fault() shopifytest.Fault {
	operations := []string{"", "CustomersPage", "PollBulkOperation", "RunBulkQuery", "CustomersByID", "CustomersCount", shopifytest.OpBulkDownload}
	f := shopifytest.Fault{
		Operation: operations[m.random.IntN(len(operations))], After: m.random.IntN(6), Times: 1 + m.random.IntN(8),
	}
	switch m.random.IntN(12) {
	case 0, 1:
		f.Drop = []shopifytest.Drop{shopifytest.DropRequest, shopifytest.DropAnswer, shopifytest.DropMidBody}[m.random.IntN(3)]
	case 2, 3:
		f.Status = []int{500, 502, 503, 429}[m.random.IntN(4)]
	case 4:
		f.Errors = shopifytest.ThrottledErrors()
		if f.Operation == shopifytest.OpBulkDownload {
			f.Operation = ""
		}
	case 5:
		f.Delay = m.between(time.Second, 5*time.Second)
	case 6:
		f.Operation, f.Edit = "CustomersPage", shopifytest.RepeatCursor()
	case 7:
		// More than a count may be off.
		f.Operation, f.Times, f.Edit = "CustomersPage", 1, editPage(func(page map[string]any) {
			if nodes := page["nodes"].([]any); len(nodes) > 150 && m.shop.Config().APIVersions[0] != "2024-04" {
				page["nodes"] = nodes[100:]
			}
		})
	case 8:
		f.Operation, f.Edit = "CustomersPage", editPage(func(page map[string]any) {
			if nodes := page["nodes"].([]any); len(nodes) > 0 {
				nodes[0].(map[string]any)["tags"] = "not a list"
			}
		})
	case 9:
		f.Operation, f.TruncateAt = shopifytest.OpBulkDownload, 1+m.random.Int64N(200_000)
	case 10:
		f.Operation, f.OmitFinalNewline = shopifytest.OpBulkDownload, true
	case 11:
		status := []string{"FAILED", "CANCELED"}[m.random.IntN(2)]
		f.Operation, f.After, f.Bulk = shopifytest.OpBulkRun, 0, &shopifytest.BulkFailure{Status: status}
	}
	return f
}

// hostStore is a contact store that the host got wrong.
type hostStore struct {
	shopifysync.ContactStore
	upsert func(shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error)
	remove func(shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error)
	ids    func(shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error)
}

func (h *hostStore) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	if h.upsert != nil {
		return h.upsert(p)
	}
	return h.ContactStore.UpsertContacts(ctx, p)
}

func (h *hostStore) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	if h.remove != nil {
		return h.remove(p)
	}
	return h.ContactStore.RemoveContacts(ctx, p)
}

func (h *hostStore) ContactIDs(ctx context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
	if h.ids != nil {
		return h.ids(p)
	}
	return h.ContactStore.ContactIDs(ctx, p)
}

// A contact store that breaks its contract ends the run with an error that
// says so: it is never complete, does not hang, and does not end the process.
func TestSyncWrongStore(t *testing.T) {
	tests := map[string]struct {
		store hostStore
		text  string
	}{
		"no results": {hostStore{upsert: func(shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			return shopifysync.UpsertContactsResult{}, nil
		}}, "another number of results"},
		"panic in a writer": {hostStore{upsert: func(p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			panic(p.Contacts[0].Email)
		}}, "write contacts: it panicked"},
		"a deadline of its own": {hostStore{upsert: func(shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			return shopifysync.UpsertContactsResult{}, fmt.Errorf("statement: %w", context.DeadlineExceeded)
		}}, "store contacts: context deadline exceeded"},
		"ids in descending order": {hostStore{ids: func(p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			return shopifysync.ContactIDsResult{IDs: []shopifysync.CustomerID{9, 8}}, nil
		}}, "the ids do not ascend"},
		"the same ids for ever": {hostStore{ids: func(p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			ids := make([]shopifysync.CustomerID, p.Limit)
			for i := range ids {
				ids[i] = shopifysync.CustomerID(i + 1)
			}
			return shopifysync.ContactIDsResult{IDs: ids}, nil
		}}, "the ids do not ascend"},
		"ids fail": {hostStore{ids: func(shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			return shopifysync.ContactIDsResult{}, errors.New("down")
		}}, "store: list contacts"},
		"removals fail": {hostStore{remove: func(shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			return shopifysync.RemoveContactsResult{}, errors.New("down")
		}}, "store: remove contacts"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 300, func(t *testing.T, w *world) {
				w.sync(w.syncer())
				if err := w.shop.Delete(w.ids()[0]); err != nil {
					t.Fatal(err)
				}
				test.store.ContactStore = w.store
				r, err := w.syncerOn(&test.store).Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if err == nil || !strings.Contains(err.Error(), test.text) || r.Complete {
					t.Errorf("error %v, %+v", err, r)
				}
				w.addsUp(r)
				w.noSecrets(fmt.Sprint(err))
				if strings.Contains(name, "panic") && !strings.Contains(w.log.String(), "sync_guard_test.go") {
					t.Error("the log does not tell where it panicked")
				}
				runs, _ := w.store.Runs(t.Context(), shopifysync.RunsParams{Connection: connID, Limit: 1})
				if runs.Runs[0].State != shopifysync.RunPaused {
					t.Errorf("state %s", runs.Runs[0].State)
				}
				w.sync(w.syncer()) // the lease is free
				w.mirrors()
			})
		})
	}
}

// An outcome that is none makes a failed record, whose mark stays.
func TestSyncUnknownOutcome(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.NoRedacted = true })
		odd := &hostStore{ContactStore: w.store, upsert: func(p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			return shopifysync.UpsertContactsResult{Results: make([]shopifysync.UpsertResult, len(p.Contacts))}, nil
		}}
		for attempt := 1; attempt <= 2; attempt++ {
			r := w.sync(w.syncerOn(odd))
			marks, _ := w.store.Marks(t.Context(), shopifysync.MarksParams{Connection: connID, Limit: 100})
			if r.Failed != r.Seen || marks.Open != r.Failed || marks.Marks[0].Attempts != attempt {
				t.Errorf("%d marks, %+v", marks.Open, r)
			}
		}
	})
}

// Nothing that the host's mapper or phone normalizer does ends the process or
// the run, or disturbs another customer.
func TestSyncWrongMapper(t *testing.T) {
	base := shopifysync.NewMapper(shopifysync.MapperOptions{})
	shared := []shopifysync.Attribute{shopifysync.NumberAttribute("b", "1"), shopifysync.NumberAttribute("a", "2")}
	with := func(change func(*shopifysync.Contact)) shopifysync.Mapper {
		return func(id shopifysync.ConnectionID, c shopifysync.Customer) (shopifysync.Contact, error) {
			contact, err := base(id, c)
			change(&contact)
			return contact, err
		}
	}
	fails := func(err error) shopifysync.Mapper {
		return func(shopifysync.ConnectionID, shopifysync.Customer) (shopifysync.Contact, error) {
			return shopifysync.Contact{}, err
		}
	}
	tests := map[string]struct {
		mapper shopifysync.Mapper
		phone  shopifysync.PhoneNormalizer
		failed string // why each fails; empty: none does
	}{
		"attributes shared by all": {mapper: with(func(c *shopifysync.Contact) { c.Attributes = shared })},
		"masks that are none":      {mapper: with(func(c *shopifysync.Contact) { c.Masked |= 1 << 31 })},
		"a tombstone":              {mapper: with(func(c *shopifysync.Contact) { c.Removed, c.MergedInto = shopifysync.RemovedMerged, 7 })},
		"no key":                   {mapper: with(func(c *shopifysync.Contact) { c.Attributes = []shopifysync.Attribute{{}} }), failed: "mapper: an attribute has no key"},
		"a key twice": {mapper: with(func(c *shopifysync.Contact) {
			c.Attributes = []shopifysync.Attribute{shopifysync.TextAttribute("k", "1"), shopifysync.TextAttribute("k", "2")}
		}), failed: `mapper: attribute "k" is listed twice`},
		"no number": {mapper: with(func(c *shopifysync.Contact) {
			c.Attributes = []shopifysync.Attribute{shopifysync.NumberAttribute("k", "")}
		}), failed: `mapper: attribute "k" is not a decimal number`},
		"an unknown kind": {mapper: with(func(c *shopifysync.Contact) {
			c.Attributes = []shopifysync.Attribute{{Key: "k", Kind: "x"}}
		}), failed: `mapper: attribute "k" has no such kind as "x"`},
		"an error that panics": {mapper: fails(panickyError{}), failed: "mapper: it panicked"},
		"a skip that panics":   {mapper: fails(panickySkip{}), failed: "mapper: it panicked"},
		"a normalizer that panics": {mapper: with(func(*shopifysync.Contact) {}),
			phone: func(string, string) (string, bool) { panic("+886912345678") }, failed: "mapper: it panicked"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 600, func(t *testing.T, w *world) {
				w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "line"}
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.NoRedacted = true })
				opts := []shopifysync.Option{shopifysync.WithMapper(test.mapper), shopifysync.WithWriters(4)}
				if test.phone != nil {
					opts = append(opts, shopifysync.WithPhoneNormalizer(test.phone))
				}
				r := w.sync(w.syncer(opts...))
				if r.Seen != 600 || (r.Failed > 0) != (test.failed != "") {
					t.Errorf("%+v", r)
				}
				for _, f := range r.Failures {
					if f.Reason != test.failed {
						t.Fatalf("%q, want %q", f.Reason, test.failed)
					}
				}
				for _, c := range w.contacts() {
					if c.Masked >= 1<<31 || c.Removed != "" || c.MergedInto != 0 {
						t.Fatalf("%+v", c)
					}
				}
			})
		})
	}
	if shared[0].Key != "b" {
		t.Error("the mapper's own attributes were sorted")
	}
}

type panickyError struct{}

func (panickyError) Error() string        { panic("no text") }
func (panickyError) As(any) bool          { panic("no kind") }
func (panickyError) Is(target error) bool { return false }

type panickySkip struct{}

func (panickySkip) Error() string        { panic("no text") }
func (panickySkip) Is(target error) bool { return target == shopifysync.ErrSkip }

// A mapper that writes data into its reasons for leaving customers out does
// not fill the report, however often that is saved.
func TestSyncSkipReasons(t *testing.T) {
	inWorld(t, 1500, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 3 * time.Second })
		mapper := func(_ shopifysync.ConnectionID, c shopifysync.Customer) (shopifysync.Contact, error) {
			switch c.ID % 5 {
			case 0:
				return shopifysync.Contact{}, shopifysync.ErrSkip
			case 1: // it is not for a mapper to redact
				return shopifysync.Contact{}, fmt.Errorf("redacted: %w", shopifysync.ErrSkip)
			case 2:
				return shopifysync.Contact{}, fmt.Errorf("%s\x00\xff: %w", strings.Repeat("世", 90), shopifysync.ErrSkip)
			}
			return shopifysync.Contact{}, fmt.Errorf("segment %d: %w", c.ID, shopifysync.ErrSkip)
		}
		r := w.sync(w.syncer(shopifysync.WithMapper(mapper)))
		if r.SkippedTotal() != 1500 || len(r.Skipped) > 51 || r.Skipped["other"] == 0 || r.Skipped["redacted"] != 0 || r.RemovedTotal() != 0 {
			t.Errorf("%d reasons: %+v", len(r.Skipped), r)
		}
		for reason := range r.Skipped {
			if len(reason) > 255 || !utf8.ValidString(reason) || strings.Contains(reason, "\x00") {
				t.Errorf("reason %q", reason)
			}
		}
	})
}

// hostState is a state store whose calls are watched or fail.
type hostState struct {
	*shopifysync.MemoryStore
	acquire  func()
	renew    func(ctx context.Context) error
	runs     func() error
	marks    func() error
	putMarks func() error
	clear    func() error
	saved    []shopifysync.Run
	held     time.Time // when the lease was given
	save     func(shopifysync.Run) error
}

func (h *hostState) AcquireLease(ctx context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
	got, err := h.MemoryStore.AcquireLease(ctx, p)
	h.held = time.Now()
	if h.acquire != nil {
		h.acquire()
	}
	return got, err
}

func (h *hostState) RenewLease(ctx context.Context, p shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error) {
	if h.renew != nil {
		if err := h.renew(ctx); err != nil {
			return shopifysync.RenewLeaseResult{}, err
		}
	}
	return h.MemoryStore.RenewLease(ctx, p)
}

func (h *hostState) Runs(ctx context.Context, p shopifysync.RunsParams) (shopifysync.RunsResult, error) {
	if h.runs != nil {
		if err := h.runs(); err != nil {
			return shopifysync.RunsResult{}, err
		}
	}
	return h.MemoryStore.Runs(ctx, p)
}

func (h *hostState) SaveRun(ctx context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
	h.saved = append(h.saved, p.Run)
	if h.save != nil {
		if err := h.save(p.Run); err != nil {
			return shopifysync.SaveRunResult{}, err
		}
	}
	return h.MemoryStore.SaveRun(ctx, p)
}

func (h *hostState) Marks(ctx context.Context, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
	if h.marks != nil {
		if err := h.marks(); err != nil {
			return shopifysync.MarksResult{}, err
		}
	}
	return h.MemoryStore.Marks(ctx, p)
}

func (h *hostState) PutMarks(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
	if h.putMarks != nil {
		if err := h.putMarks(); err != nil {
			return shopifysync.PutMarksResult{}, err
		}
	}
	return h.MemoryStore.PutMarks(ctx, p)
}

func (h *hostState) ClearMarks(ctx context.Context, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
	if h.clear != nil {
		if err := h.clear(); err != nil {
			return shopifysync.ClearMarksResult{}, err
		}
	}
	return h.MemoryStore.ClearMarks(ctx, p)
}

// No store call outlives the lease, however its renewal fails.
func TestSyncStopsWithItsLease(t *testing.T) {
	down := errors.New("down")
	tests := map[string]*hostState{
		"renewals fail at once": {renew: func(context.Context) error { return down }},
		"renewals fail slowly":  {renew: func(context.Context) error { time.Sleep(4 * time.Second); return down }},
		"renewals hang":         {renew: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		"renewals panic":        {renew: func(context.Context) error { panic("down") }},
		"it was given slowly, and renewals fail": {
			acquire: func() { time.Sleep(8 * time.Second) },
			renew:   func(context.Context) error { return down },
		},
	}
	for name, state := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 20, func(t *testing.T, w *world) {
				state.MemoryStore = w.store
				slow := &hangingStore{ContactStore: w.store}
				began := time.Now()
				r, err := w.syncerOn(slow, shopifysync.WithStateStore(state)).Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if !errors.Is(err, shopifysync.ErrLeaseLost) || errors.Is(err, context.Canceled) || r.Complete {
					t.Errorf("error %v, %+v", err, r)
				}
				if held := slow.ended.Sub(began); held > 30*time.Second {
					t.Errorf("it wrote for %v with a lease of 30 s", held)
				}
				runs, _ := w.store.Runs(t.Context(), shopifysync.RunsParams{Connection: connID, Limit: 1})
				if runs.Runs[0].State != shopifysync.RunPaused {
					t.Errorf("state %s", runs.Runs[0].State)
				}
			})
		})
	}
}

// A hangingStore writes for ever, and notes when it was told to stop.
type hangingStore struct {
	shopifysync.ContactStore
	ended time.Time
}

func (h *hangingStore) UpsertContacts(ctx context.Context, _ shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	<-ctx.Done()
	h.ended = time.Now()
	return shopifysync.UpsertContactsResult{}, ctx.Err()
}

// Each call of the state store may fail: the run ends with that error, is not
// complete, and gives its lease back.
func TestSyncStateFails(t *testing.T) {
	down := errors.New("down")
	fail := func() error { return down }
	saves := func(from int) func(shopifysync.Run) error {
		return func(shopifysync.Run) error {
			if from--; from < 0 {
				return down
			}
			return nil
		}
	}
	tests := map[string]struct {
		state *hostState
		doing string
	}{
		"runs":         {&hostState{runs: fail}, "read the runs"},
		"marks":        {&hostState{marks: fail}, "read the marks"},
		"put marks":    {&hostState{putMarks: fail}, "mark failed records"},
		"clear marks":  {&hostState{clear: fail}, "clear marks"},
		"first save":   {&hostState{save: saves(0)}, "save the run"},
		"second save":  {&hostState{save: saves(1)}, "save the run"},
		"save at bulk": {&hostState{save: saves(1)}, "save the run"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 400, func(t *testing.T, w *world) {
				odd := shopifysync.CustomerID(w.ids()[0])
				mapper := func(id shopifysync.ConnectionID, c shopifysync.Customer) (shopifysync.Contact, error) {
					if c.ID == odd && name == "put marks" {
						return shopifysync.Contact{}, errors.New("odd")
					}
					return shopifysync.NewMapper(shopifysync.MapperOptions{})(id, c)
				}
				_, err := w.store.PutMarks(t.Context(), shopifysync.PutMarksParams{Connection: connID, Marks: []shopifysync.Mark{
					{Connection: connID, CustomerID: odd, Attempts: 1},
					{Connection: connID, CustomerID: odd + 1},
				}})
				if err != nil {
					t.Fatal(err)
				}
				test.state.MemoryStore = w.store
				opts := []shopifysync.Option{shopifysync.WithStateStore(test.state), shopifysync.WithMapper(mapper)}
				if name == "save at bulk" {
					opts = append(opts, shopifysync.WithBulkThreshold(1))
				}
				r, err := w.syncer(opts...).Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if !errors.Is(err, down) || !strings.Contains(err.Error(), "store: "+test.doing+": ") {
					t.Errorf("error %v", err)
				}
				if complete := r != nil && r.Complete; complete && name != "second save" {
					t.Errorf("%+v", r)
				}
				w.sync(w.syncer(shopifysync.WithMapper(mapper)))
				marks, _ := w.store.Marks(t.Context(), shopifysync.MarksParams{Connection: connID, Limit: 10})
				var left []shopifysync.CustomerID
				for _, m := range marks.Marks {
					left = append(left, m.CustomerID)
				}
				want := []shopifysync.CustomerID{odd + 1} // not a failed record: a webhook's mark
				if name == "put marks" {
					want = []shopifysync.CustomerID{odd, odd + 1}
				}
				if !slices.Equal(left, want) {
					t.Errorf("marks of %v are left, want %v", left, want)
				}
			})
		})
	}
}

// The lease is given back although the context ended just after it was taken.
func TestSyncCancelledAtItsLease(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		state := &hostState{MemoryStore: w.store, runs: func() error { cancel(); return ctx.Err() }}
		if _, err := w.syncer(shopifysync.WithStateStore(state)).Sync(ctx, shopifysync.SyncParams{Connection: connID}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		w.sync(w.syncer())

		// Nor is anybody kept waiting for a lease.
		if _, err := w.store.AcquireLease(t.Context(), shopifysync.AcquireLeaseParams{Connection: connID, Kind: shopifysync.LeaseRun, TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
		why := errors.New("the merchant closed the page")
		waiting, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { stop(why) })
		began := time.Now()
		_, err := w.syncer().Sync(waiting, shopifysync.SyncParams{Connection: connID, Wait: time.Hour})
		if !errors.Is(err, why) || !errors.Is(err, context.Canceled) || time.Since(began) > 2*time.Second {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
	})
}

// The record of a run says that it runs, then that it was cut off: not for
// ever that it is running.
func TestSyncRecords(t *testing.T) {
	inWorld(t, 3000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency, c.BulkSpeed = time.Second, 100_000 })
		mortal := &mortalStore{MemoryStore: w.store}
		mortal.left.Store(5)
		cutOff, err := w.syncerOn(mortal, shopifysync.WithStateStore(mortal)).Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		// By pages alone it cannot be resumed. The next one is: it is stopped
		// within its bulk file.
		opts := []shopifysync.Option{shopifysync.WithBulkThreshold(500), shopifysync.WithBatchSize(20), shopifysync.WithWriters(1)}
		slow := &slowStore{ContactStore: w.store, delay: 500 * time.Millisecond}
		paused, err := w.syncerOn(slow, opts...).Sync(t.Context(), shopifysync.SyncParams{Connection: connID, Budget: 15 * time.Second, Wait: time.Hour})
		if err != nil || paused.Complete {
			t.Fatalf("%v, %+v", err, paused)
		}
		state := &hostState{MemoryStore: w.store}
		r := w.sync(w.syncerOn(slow, append(opts, shopifysync.WithStateStore(state))...))
		if !r.Resumed || r.RunID != paused.RunID {
			t.Errorf("%+v", r)
		}
		for i, run := range state.saved {
			running := i < len(state.saved)-1
			if running != (run.State == shopifysync.RunRunning) || running != run.Report.EndedAt.IsZero() || running != (len(run.Checkpoint) > 0) {
				t.Errorf("save %d of %d: %s, ended %v, checkpoint %s", i, len(state.saved), run.State, run.Report.EndedAt, run.Checkpoint)
			}
		}
		runs, _ := w.store.Runs(t.Context(), shopifysync.RunsParams{Connection: connID, Limit: 10})
		if len(runs.Runs) != 2 {
			t.Fatalf("%d runs", len(runs.Runs))
		}
		for _, run := range runs.Runs {
			want := shopifysync.RunCompleted
			if run.ID == cutOff.RunID {
				want = shopifysync.RunFailed
			}
			if run.State != want || run.Report.EndedAt.IsZero() || (run.Error != "") != (want == shopifysync.RunFailed) {
				t.Errorf("%+v", run)
			}
		}
	})
}

// A resumed run counts each customer once, though its file turns out not to be
// usable, or another file was given up before.
func TestResumeCountsOnce(t *testing.T) {
	always := shopifytest.Always
	tests := map[string]struct {
		before, after *shopifytest.Fault
	}{
		"the file is gone": {nil, &shopifytest.Fault{Operation: shopifytest.OpBulkDownload, Status: 404, Times: always}},
		"the file is cut":  {nil, &shopifytest.Fault{Operation: shopifytest.OpBulkDownload, TruncateAt: 900_000, Times: always}},
		"an operation ago": {&shopifytest.Fault{Operation: shopifytest.OpBulkDownload, TruncateAt: 300_000, Times: 1}, nil},
		"it is forgotten":  {nil, &shopifytest.Fault{Operation: "PollBulkOperation", Times: always, Edit: func(m map[string]any) { m["data"].(map[string]any)["node"] = nil }}},
		"nothing is wrong": {nil, nil},
		"a record had failed": {&shopifytest.Fault{Operation: "CustomersPage", Edit: editPage(func(page map[string]any) {
			page["nodes"].([]any)[7].(map[string]any)["tags"] = 7
		})}, nil},
		"it cannot be asked after": {nil, &shopifytest.Fault{Operation: "PollBulkOperation", Errors: []shopifytest.GraphQLError{{Message: "no"}}}},
		"a cursor is stale":        {&shopifytest.Fault{Operation: "CustomersPage", After: 2, Errors: []shopifytest.GraphQLError{{Message: "Invalid cursor", Extensions: map[string]any{"code": "BAD_REQUEST"}}}}, nil},
		"the version served":       {nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3000, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 3000, 500*time.Millisecond })
				opts := []shopifysync.Option{shopifysync.WithBulkThreshold(300), shopifysync.WithBatchSize(20), shopifysync.WithWriters(1)}
				slow := &slowStore{ContactStore: w.store, delay: 600 * time.Millisecond}
				if test.before != nil {
					w.shop.Inject(*test.before)
				}
				budget := 20 * time.Second
				if name == "an operation ago" { // cut off before the second file is ready
					budget = 27 * time.Second
					w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 500, 1500*time.Millisecond })
				}
				r, err := w.syncerOn(slow, opts...).Sync(t.Context(), shopifysync.SyncParams{Connection: connID, Budget: budget})
				if err != nil || r.Complete || r.Seen < 500 {
					t.Fatalf("%v, %+v", err, r)
				}
				if n := w.server.Count("RunBulkQuery"); n != 2 && name == "an operation ago" {
					t.Fatalf("%d operations were begun, want 2", n)
				}
				time.Sleep(time.Minute)
				w.shop.ClearFaults()
				if test.after != nil {
					w.shop.Inject(*test.after)
				}
				if name == "the version served" {
					w.shop.Configure(func(c *shopifytest.StoreConfig) { c.APIVersions = []string{"2026-04", "2026-07"} })
				}
				if name == "it cannot be asked after" { // that is no reason to count anybody again
					if r, err := w.syncer(opts...).Sync(t.Context(), shopifysync.SyncParams{Connection: connID}); err == nil || r.Complete {
						t.Errorf("error %v, %+v", err, r)
					}
				}
				pages := w.server.Count("CustomersPage")
				if r = w.sync(w.syncer(opts...)); r.Seen != 3000 {
					t.Errorf("%+v", r)
				}
				if n := w.server.Count("CustomersPage") - pages; n != 1 && name == "nothing is wrong" {
					t.Errorf("%d pages were read after the file, want 1: the newest", n)
				}
				var left int64
				if name == "a record had failed" { // the file was begun before the mark was put, so it does not answer it
					left = 1
				}
				if marks, _ := w.store.Marks(t.Context(), shopifysync.MarksParams{Connection: connID, Limit: 10}); marks.Open != left {
					t.Errorf("%d marks are left, want %d: %+v", marks.Open, left, marks.Marks)
				}
				w.mirrors()
			})
		})
	}
}

// Those who came after the operation began are counted once, though the run is
// cut off between reading them and its end.
func TestResumeAfterTheFile(t *testing.T) {
	inWorld(t, 1500, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 400, 200*time.Millisecond })
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 2, Delay: 5 * time.Second, Edit: func(map[string]any) {
			for range 300 {
				w.shop.Create(shopifytest.Customer{FirstName: "Late"})
			}
		}})
		opts := []shopifysync.Option{shopifysync.WithBulkThreshold(300), shopifysync.WithBatchSize(100)}
		cut := true
		odd := &hostStore{ContactStore: w.store, ids: func(p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			if cut {
				return shopifysync.ContactIDsResult{}, errors.New("down")
			}
			return w.store.ContactIDs(context.Background(), p)
		}}
		s := w.syncerOn(odd, opts...)
		r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
		if err == nil || r.Seen != 1800 || r.Source != "pages+bulk" {
			t.Fatalf("%v, %+v", err, r)
		}
		cut = false
		if r = w.sync(s); !r.Resumed || r.Seen != 1800 || r.Created+r.SkippedTotal() != 1800 {
			t.Errorf("%+v", r)
		}
		w.mirrors()
	})
}

// Shares that are none are refused.
func TestSyncParamsAreChecked(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		for _, share := range []float64{-0.1, 1.1, math.NaN(), math.Inf(1)} {
			if _, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID, MaxRemovedShare: share}); err == nil {
				t.Errorf("%v is taken", share)
			}
		}
		w.conn.Shop = "demo.example.com"
		if _, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID}); !errors.Is(err, shopifysync.ErrInvalidConnection) {
			t.Errorf("error %v", err)
		}
	})
}

// editedConnections changes the connection after so many look-ups.
type editedConnections struct {
	shopifysync.ConnectionStore
	left   int
	latest shopifysync.Connection
	err    error
}

func (e *editedConnections) Connection(ctx context.Context, id shopifysync.ConnectionID) (shopifysync.Connection, error) {
	if e.left--; e.left < 0 {
		return e.latest, e.err
	}
	return e.ConnectionStore.Connection(ctx, id)
}

// Credentials edited during a run are picked up, but not those of another
// store, and not those of another connection.
func TestSyncEditedCredentials(t *testing.T) {
	edit := func(change func(*shopifysync.Connection)) func(shopifysync.Connection) shopifysync.Connection {
		return func(c shopifysync.Connection) shopifysync.Connection {
			c.Credentials.AccessToken = shopifysync.NewSecret("canary-token-2")
			change(&c)
			return c
		}
	}
	tests := map[string]struct {
		edit func(shopifysync.Connection) shopifysync.Connection
		err  error // of the look-up
		want error
	}{
		"a new token":        {edit(func(*shopifysync.Connection) {}), nil, nil},
		"another store":      {edit(func(c *shopifysync.Connection) { c.Shop = "other.myshopify.com" }), nil, shopifysync.ErrUnauthorized},
		"another connection": {edit(func(c *shopifysync.Connection) { c.ID = "tenant-2" }), nil, shopifysync.ErrInvalidConnection},
		"an invalid one":     {edit(func(c *shopifysync.Connection) { c.APIVersion = "yesterday" }), nil, shopifysync.ErrInvalidConnection},
		"none any more":      {edit(func(*shopifysync.Connection) {}), shopifysync.ErrNotConnected, shopifysync.ErrNotConnected},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 600, func(t *testing.T, w *world) {
				conns := &editedConnections{ConnectionStore: shopifysync.StaticConnections(w.conn), left: 1, latest: test.edit(w.conn), err: test.err}
				s, err := shopifysync.New(w.store, conns, shopifysync.WithHTTPClient(w.server.Client()))
				if err != nil {
					t.Fatal(err)
				}
				w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 1, Edit: func(map[string]any) {
					w.shop.Configure(func(c *shopifytest.StoreConfig) { c.AccessToken = "canary-token-2" })
				}})
				r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if !errors.Is(err, test.want) || (err == nil) != r.Complete {
					t.Errorf("error %v, %+v", err, r)
				}
				for _, req := range w.server.Requests() {
					if test.want != nil && req.Header.Get("X-Shopify-Access-Token") == "canary-token-2" {
						t.Errorf("%s was sent the token of the edited connection", req.Host)
					}
				}
				runs, _ := w.store.Runs(t.Context(), shopifysync.RunsParams{Connection: connID, Limit: 1})
				if name == "none any more" && runs.Runs[0].State != shopifysync.RunFailed {
					t.Errorf("state %s: there is nothing to go on with", runs.Runs[0].State)
				}
			})
		})
	}
}

// Even a single record may be too expensive, for ever.
func TestSyncTooExpensive(t *testing.T) {
	for _, operation := range []string{"CustomersPage", "CustomersByID"} {
		t.Run(operation, func(t *testing.T) {
			inWorld(t, 300, func(t *testing.T, w *world) {
				w.sync(w.syncer())
				if err := w.shop.Delete(w.ids()[0]); err != nil {
					t.Fatal(err)
				}
				w.shop.Inject(shopifytest.Fault{Operation: operation, Times: shopifytest.Always, Errors: []shopifytest.GraphQLError{{
					Message: "Query cost is too high.", Extensions: map[string]any{"code": "MAX_COST_EXCEEDED"},
				}}})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				r, err := w.syncer().Sync(ctx, shopifysync.SyncParams{Connection: connID})
				if err == nil || ctx.Err() != nil || r.Complete || r.RemovedTotal() != 0 {
					t.Errorf("error %v, %+v", err, r)
				}
			})
		})
	}
}

// A token obtained with a secret, or for a name of the store, that is no
// longer the connection's is not used any more.
func TestTokensFollowTheConnection(t *testing.T) {
	tests := map[string]func(*world, *shopifysync.Connection){
		"the secret is rotated": func(w *world, c *shopifysync.Connection) {
			c.Credentials.ClientSecret = shopifysync.NewSecret("another-secret")
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ClientSecret = "another-secret" })
		},
		"the store is renamed": func(w *world, c *shopifysync.Connection) {
			c.Shop = "renamed.myshopify.com"
			w.shop.Rename("renamed.myshopify.com")
		},
	}
	for name, edit := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 20, func(t *testing.T, w *world) {
				w.conn.Credentials = shopifysync.Credentials{ClientID: "client-id", ClientSecret: shopifysync.NewSecret("client-secret")}
				conns := &editedConnections{ConnectionStore: shopifysync.StaticConnections(w.conn), left: 2, latest: w.conn}
				s, err := shopifysync.New(w.store, conns, shopifysync.WithHTTPClient(w.server.Client()))
				if err != nil {
					t.Fatal(err)
				}
				w.sync(s)
				w.sync(s)
				if n := w.server.Count(shopifytest.OpToken); n != 1 {
					t.Errorf("%d tokens were asked for before, want 1", n)
				}
				edit(w, &conns.latest)
				w.sync(s)
				if n := w.server.Count(shopifytest.OpToken); n != 2 {
					t.Errorf("%d tokens were asked for, want 2", n)
				}
			})
		})
	}
}

// A second bulk file is read from its start, however far the first one was.
func TestSyncSecondFile(t *testing.T) {
	inWorld(t, 3000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = shopifytest.Unlimited, 2*time.Second })
		w.shop.Inject(shopifytest.Fault{Operation: shopifytest.OpBulkDownload, TruncateAt: 200_000})
		ids := w.ids()
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 2, Edit: func(map[string]any) {
			for _, id := range ids[:20] { // who came first in the first file
				if err := w.shop.Delete(id); err != nil {
					t.Error(err)
				}
			}
		}})
		r := w.sync(w.syncer(shopifysync.WithBulkThreshold(300), shopifysync.WithBatchSize(20)))
		if n := w.server.Count("RunBulkQuery"); n != 2 || r.Source != "pages+bulk" || r.Seen != 3000 {
			t.Errorf("%d operations, %+v", n, r)
		}
		w.sync(w.syncer())
		w.mirrors()
	})
}

// A lease that is renewed lasts as long as the run does.
func TestSyncLongerThanALease(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		slow := &slowStore{ContactStore: w.store, delay: 5 * time.Minute}
		w.sync(w.syncerOn(slow))
	})
}

func TestSyncSkipReason(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"none":             {shopifysync.ErrSkip, "left out"},
		"one":              {fmt.Errorf("wholesale: %w", shopifysync.ErrSkip), "wholesale"},
		"Shopify's own":    {fmt.Errorf("redacted: %w", shopifysync.ErrSkip), "left out"},
		"NUL":              {fmt.Errorf("a\x00b: %w", shopifysync.ErrSkip), "ab"},
		"invalid UTF-8":    {fmt.Errorf("a\xffb: %w", shopifysync.ErrSkip), "ab"},
		"a long one":       {fmt.Errorf("%s: %w", strings.Repeat("世", 90), shopifysync.ErrSkip), strings.Repeat("世", 85)},
		"cut in character": {fmt.Errorf("a%s: %w", strings.Repeat("世", 90), shopifysync.ErrSkip), "a" + strings.Repeat("世", 84)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.NoRedacted = true })
				r := w.sync(w.syncer(shopifysync.WithMapper(func(shopifysync.ConnectionID, shopifysync.Customer) (shopifysync.Contact, error) {
					return shopifysync.Contact{}, test.err
				})))
				if len(r.Skipped) != 1 || r.Skipped[test.want] != 10 {
					t.Errorf("%+v", r.Skipped)
				}
			})
		})
	}
}
