package shopifysync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

const connID = shopifysync.ConnectionID("tenant-1")

// A world is a fake store, a contact store and a Syncer between them.
type world struct {
	t      *testing.T
	server *shopifytest.Server
	shop   *shopifytest.Store
	conn   shopifysync.Connection
	store  *shopifysync.MemoryStore
	log    *logBuffer
	client *http.Client // nil: the server's own
}

// A logBuffer is what all Syncers of a world log to.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// inWorld runs f in a bubble of virtual time with a store of n customers.
func inWorld(t *testing.T, n int, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, n)
		defer w.server.Close()
		f(t, w)
	})
}

func newWorld(t *testing.T, n int) *world {
	server := shopifytest.NewServer()
	shop := server.AddStore(shopifytest.StoreConfig{
		Domain: "demo.myshopify.com", AccessToken: "canary-token-1", Latency: 20 * time.Millisecond,
	})
	shop.Generate(n, 7)
	w := &world{t: t, server: server, shop: shop, store: shopifysync.NewMemoryStore(), log: new(logBuffer)}
	w.conn = shopifysync.Connection{
		ID: connID, Shop: "demo.myshopify.com",
		Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret("canary-token-1")},
	}
	return w
}

func (w *world) syncer(opts ...shopifysync.Option) *shopifysync.Syncer {
	w.t.Helper()
	return w.syncerOn(w.store, opts...)
}

func (w *world) syncerOn(contacts shopifysync.ContactStore, opts ...shopifysync.Option) *shopifysync.Syncer {
	w.t.Helper()
	client := w.client
	if client == nil {
		client = w.server.Client()
	}
	opts = append([]shopifysync.Option{
		shopifysync.WithHTTPClient(client),
		shopifysync.WithStateStore(w.store),
		shopifysync.WithLogger(slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}, opts...)
	s, err := shopifysync.New(contacts, shopifysync.StaticConnections(w.conn), opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// sync runs a sync that must succeed and be complete.
func (w *world) sync(s *shopifysync.Syncer) *shopifysync.Report {
	w.t.Helper()
	time.Sleep(2 * time.Second) // Shopify's clock tells whole seconds: let observations differ
	report, err := s.Sync(w.t.Context(), shopifysync.SyncParams{Connection: connID})
	if err != nil {
		w.t.Fatalf("Sync: %v", err)
	}
	if !report.Complete {
		w.t.Fatalf("the run is not complete: %+v", report)
	}
	w.addsUp(report)
	return report
}

// addsUp checks that a report's parts do.
func (w *world) addsUp(r *shopifysync.Report) {
	w.t.Helper()
	if parts := r.Created + r.Updated + r.Unchanged + r.Stale + r.SkippedTotal() + r.Failed; parts != r.Seen {
		w.t.Errorf("seen %d, but the parts add up to %d: %+v", r.Seen, parts, r)
	}
}

// contacts returns what the contact store has, live ones only, by id.
func (w *world) contacts() map[shopifysync.CustomerID]shopifysync.Contact {
	w.t.Helper()
	out := make(map[shopifysync.CustomerID]shopifysync.Contact)
	var after shopifysync.CustomerID
	for {
		page, err := w.store.ContactIDs(context.Background(), shopifysync.ContactIDsParams{Connection: connID, After: after, Limit: 1000})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page.IDs) == 0 {
			return out
		}
		got, err := w.store.Contacts(context.Background(), shopifysync.ContactsParams{Connection: connID, IDs: page.IDs})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range got.Contacts {
			out[c.CustomerID] = c
		}
		after = page.IDs[len(page.IDs)-1]
	}
}

// redacted reports whether Shopify has redacted the customer.
func redacted(c shopifytest.Customer) bool {
	return c.EmailConsent != nil && c.EmailConsent.State == "REDACTED" || c.SMSConsent != nil && c.SMSConsent.State == "REDACTED"
}

// mirrors checks that the contacts are exactly the store's customers, but for
// those whose consent says that they were redacted.
func (w *world) mirrors() {
	w.t.Helper()
	got := w.contacts()
	customers := 0
	for c := range w.shop.All() {
		contact, ok := got[shopifysync.CustomerID(c.ID)]
		if redacted(c) {
			if ok {
				w.t.Errorf("customer %d is redacted, and still a contact", c.ID)
			}
			continue
		}
		customers++
		if !ok {
			w.t.Errorf("customer %d is no contact", c.ID)
			continue
		}
		tags := slices.Clone(c.Tags)
		slices.Sort(tags)
		want := shopifysync.Contact{
			FirstName: c.FirstName, LastName: c.LastName, Email: c.Email, Tags: slices.Compact(tags),
			Version: shopifysync.Version{UpdatedAt: c.UpdatedAt},
		}
		have := shopifysync.Contact{
			FirstName: contact.FirstName, LastName: contact.LastName, Email: contact.Email, Tags: contact.Tags,
			Version: shopifysync.Version{UpdatedAt: contact.Version.UpdatedAt},
		}
		if diff := cmp.Diff(want, have, cmpopts.EquateEmpty()); diff != "" {
			w.t.Errorf("customer %d (-store +contact):\n%s", c.ID, diff)
		}
		if note := attribute(contact, shopifysync.AttrNote); note.Text != c.Note {
			w.t.Errorf("customer %d: the note differs", c.ID)
		}
		if orders := attribute(contact, shopifysync.AttrOrdersCount); orders.Number != fmt.Sprint(c.NumberOfOrders) {
			w.t.Errorf("customer %d: %s orders, want %d", c.ID, orders.Number, c.NumberOfOrders)
		}
	}
	if len(got) != customers {
		w.t.Errorf("%d contacts for %d customers", len(got), customers)
	}
}

func attribute(c shopifysync.Contact, key shopifysync.AttributeKey) shopifysync.Attribute {
	for _, a := range c.Attributes {
		if a.Key == key {
			return a
		}
	}
	return shopifysync.Attribute{}
}

func (w *world) ids() []int64 {
	var ids []int64
	for c := range w.shop.All() {
		if !redacted(c) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func TestSyncByPages(t *testing.T) {
	inWorld(t, 1200, func(t *testing.T, w *world) {
		s := w.syncer()
		first := w.sync(s)
		if first.Seen != 1200 || first.Created+first.SkippedTotal() != 1200 || first.Source != "pages" {
			t.Errorf("first run: %+v", first)
		}
		if first.ServedVersion != "2026-01" {
			t.Errorf("served version %q: 2024-04 is answered by the oldest supported one", first.ServedVersion)
		}
		w.mirrors()

		again := w.sync(s)
		if again.Unchanged+again.SkippedTotal() != 1200 {
			t.Errorf("second run: %+v", again)
		}

		ids := w.ids()
		if err := w.shop.Update(ids[3], func(c *shopifytest.Customer) { c.FirstName, c.LastName = "小明", "王" }); err != nil {
			t.Fatal(err)
		}
		if err := w.shop.UpdateQuietly(ids[4], func(c *shopifytest.Customer) { c.Tags = []string{"VIP"} }); err != nil {
			t.Fatal(err)
		}
		if err := w.shop.Delete(ids[5]); err != nil {
			t.Fatal(err)
		}
		w.shop.Create(shopifytest.Customer{FirstName: "Mei", Email: "Mei@Example.com"})
		third := w.sync(s)
		if third.Created != 1 || third.Updated != 2 || third.RemovedTotal() != 1 || third.Removed[shopifysync.RemovedDeleted] != 1 {
			t.Errorf("third run: %+v", third)
		}
		w.mirrors()
		if name := w.contacts()[shopifysync.CustomerID(ids[3])].Name; name != "王小明" {
			t.Errorf("name %q", name)
		}
	})
}

func TestSyncEmptyStore(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		if r := w.sync(w.syncer()); r.Seen != 0 {
			t.Errorf("%+v", r)
		}
	})
}

func TestSyncByBulk(t *testing.T) {
	inWorld(t, 6000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 10_000, 300*time.Millisecond })
		s := w.syncer(shopifysync.WithBulkThreshold(1000), shopifysync.WithBatchSize(100), shopifysync.WithWriters(3))
		first := w.sync(s)
		if first.Seen != 6000 || first.Source != "pages+bulk" {
			t.Errorf("%+v", first)
		}
		w.mirrors()
		again := w.sync(s)
		if again.Unchanged+again.SkippedTotal() != 6000 {
			t.Errorf("second run: %+v", again)
		}
	})
}

// An API version without customersCount starts the bulk operation once that
// many customers were read.
func TestSyncByBulkWithoutCount(t *testing.T) {
	inWorld(t, 3000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) {
			c.BulkSpeed, c.APIVersions, c.Latency = 100_000, []string{"2024-04"}, time.Second
		})
		r := w.sync(w.syncer(shopifysync.WithBulkThreshold(1000)))
		if r.Source != "pages+bulk" || r.Seen != 3000 || w.server.Count("CustomersCount") != 0 {
			t.Errorf("%+v, counts %v", r, w.server.Counts())
		}
		w.mirrors()
	})
}

// What spoils a bulk file makes paging go on; the run still ends complete.
func TestSyncBulkTrouble(t *testing.T) {
	always := func(f shopifytest.Fault) shopifytest.Fault { f.Times = shopifytest.Always; return f }
	tests := map[string]shopifytest.Fault{
		"a file cut at a line":          always(shopifytest.Fault{Operation: shopifytest.OpBulkDownload, TruncateAt: 200_000}),
		"a last line without newline":   always(shopifytest.Fault{Operation: shopifytest.OpBulkDownload, OmitFinalNewline: true}),
		"403 with XML for the file":     always(shopifytest.Fault{Operation: shopifytest.OpBulkDownload, Status: 403}),
		"a page instead of the file":    always(shopifytest.Fault{Operation: shopifytest.OpBulkDownload, Status: 200, Body: "<html>"}),
		"FAILED":                        always(shopifytest.Fault{Operation: shopifytest.OpBulkRun, Bulk: &shopifytest.BulkFailure{Status: "FAILED", ErrorCode: "INTERNAL_SERVER_ERROR"}}),
		"CANCELED":                      always(shopifytest.Fault{Operation: shopifytest.OpBulkRun, Bulk: &shopifytest.BulkFailure{Status: "CANCELED"}}),
		"ACCESS_DENIED without detail":  always(shopifytest.Fault{Operation: shopifytest.OpBulkRun, Bulk: &shopifytest.BulkFailure{Status: "FAILED", ErrorCode: "ACCESS_DENIED"}}),
		"the operation slot is taken":   always(shopifytest.Fault{Operation: "RunBulkQuery", Edit: bulkSlotTaken}),
		"the start is refused":          always(shopifytest.Fault{Operation: "RunBulkQuery", Errors: []shopifytest.GraphQLError{{Message: "no"}}}),
		"the operation is forgotten":    always(shopifytest.Fault{Operation: "PollBulkOperation", Edit: func(m map[string]any) { m["data"].(map[string]any)["node"] = nil }}),
		"a count that is too high":      always(shopifytest.Fault{Operation: "PollBulkOperation", Edit: editBulk("rootObjectCount", "2001")}),
		"a size that is too high":       always(shopifytest.Fault{Operation: "PollBulkOperation", Edit: editBulk("fileSize", "99999999")}),
		"an address inside the network": always(shopifytest.Fault{Operation: "PollBulkOperation", Edit: editBulk("url", "https://169.254.169.254/latest")}),
		"an address without encryption": always(shopifytest.Fault{Operation: "PollBulkOperation", Edit: editBulk("url", "http://storage.googleapis.com/x")}),
		"no address though it has rows": always(shopifytest.Fault{Operation: "PollBulkOperation", Edit: editBulk("url", nil)}),
		"polls that fail":               always(shopifytest.Fault{Operation: "PollBulkOperation", Errors: []shopifytest.GraphQLError{{Message: "no"}}}),
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 2000, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 5000, 300*time.Millisecond })
				w.shop.Inject(fault)
				r := w.sync(w.syncer(shopifysync.WithBulkThreshold(500), shopifysync.WithBatchSize(50)))
				if r.Seen != 2000 || r.Failed != 0 || r.Source == "bulk" {
					t.Errorf("%+v", r)
				}
				w.mirrors()
				for _, req := range w.server.Requests() {
					if req.Host != "demo.myshopify.com" && req.Host != "storage.googleapis.com" {
						t.Errorf("a request went to %s", req.Host)
					}
					if req.Host != "demo.myshopify.com" && req.Header.Get("X-Shopify-Access-Token") != "" {
						t.Errorf("the token went to %s", req.Host)
					}
				}
			})
		})
	}
}

func editBulk(field string, value any) func(map[string]any) {
	return func(m map[string]any) {
		if data, ok := m["data"].(map[string]any); ok {
			if node, ok := data["node"].(map[string]any); ok && node["status"] == "COMPLETED" {
				node[field] = value
			}
		}
	}
}

func bulkSlotTaken(m map[string]any) {
	m["data"] = map[string]any{"bulkOperationRunQuery": map[string]any{
		"bulkOperation": nil,
		"userErrors":    []any{map[string]any{"field": nil, "message": "A bulk query operation for this app and shop is already in progress: gid://shopify/BulkOperation/1."}},
	}}
}

// A download that breaks is gone on with; one failed operation is started anew.
func TestSyncBulkRecovers(t *testing.T) {
	tests := map[string]shopifytest.Fault{
		"a download that breaks":     {Operation: shopifytest.OpBulkDownload, Drop: shopifytest.DropMidBody, Times: 3},
		"the file answers 503":       {Operation: shopifytest.OpBulkDownload, Status: 503, Times: 2},
		"one operation fails":        {Operation: shopifytest.OpBulkRun, Bulk: &shopifytest.BulkFailure{Status: "FAILED", ErrorCode: "INTERNAL_SERVER_ERROR"}},
		"the start's answer is lost": {Operation: "RunBulkQuery", Drop: shopifytest.DropAnswer},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 4000, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 50_000, 20*time.Second })
				w.shop.Inject(fault)
				r := w.sync(w.syncer(shopifysync.WithBulkThreshold(500)))
				if r.Source != "pages+bulk" || r.Seen != 4000 {
					t.Errorf("%+v", r)
				}
				w.mirrors()
			})
		})
	}
}

// A run that did not see every row never counts as complete and removes nobody.
func TestSyncIncomplete(t *testing.T) {
	omit := func(n int) func(map[string]any) {
		return editPage(func(page map[string]any) { page["nodes"] = page["nodes"].([]any)[n:] })
	}
	tests := map[string]shopifytest.Fault{
		"a cursor that is refused": {Operation: "CustomersPage", Times: shopifytest.Always, Edit: editPage(func(page map[string]any) {
			page["pageInfo"] = map[string]any{"hasNextPage": true, "endCursor": "again"}
		})},
		"the same cursor again":         {Operation: "CustomersPage", Times: shopifytest.Always, Edit: repeatCursor()},
		"new cursors for the same page": {Operation: "CustomersPage", Times: shopifytest.Always, Edit: samePage()},
		"a next page without cursor": {Operation: "CustomersPage", Times: shopifytest.Always, Edit: editPage(func(page map[string]any) {
			page["pageInfo"].(map[string]any)["endCursor"] = nil
		})},
		"rows left out, against the count": {Operation: "CustomersPage", After: 1, Edit: omit(100)},
		"pages cut short":                  {Operation: "CustomersPage", After: 2, Edit: editPage(func(page map[string]any) { page["pageInfo"].(map[string]any)["hasNextPage"] = false })},
		"a search warning": {Operation: "CustomersPage", After: 1, Edit: func(m map[string]any) {
			m["extensions"].(map[string]any)["search"] = []any{map[string]any{"path": []any{"customers"}, "warnings": []any{map[string]any{"field": "x", "message": "Invalid search field for this query.", "code": "invalid_field"}}}}
		}},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 2000, func(t *testing.T, w *world) {
				s := w.syncer()
				w.sync(s)
				before := w.contacts()
				for _, id := range w.ids()[:10] {
					if err := w.shop.Delete(id); err != nil {
						t.Fatal(err)
					}
				}
				w.shop.Inject(fault)
				r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if !errors.Is(err, shopifysync.ErrIncomplete) || r.Complete || r.RemovedTotal() != 0 {
					t.Errorf("error %v, report %+v", err, r)
				}
				w.addsUp(r)
				if diff := cmp.Diff(len(before), len(w.contacts())); diff != "" {
					t.Errorf("contacts (-before +after):\n%s", diff)
				}
				w.shop.ClearFaults()
				if r := w.sync(s); r.RemovedTotal() != 10 {
					t.Errorf("the next run: %+v", r)
				}
				w.mirrors()
			})
		})
	}
}

// Without a count, a customer that exists and was listed nowhere still shows.
func TestSyncIncompleteByLookup(t *testing.T) {
	inWorld(t, 600, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.APIVersions = []string{"2024-04"} })
		s := w.syncer()
		w.sync(s)
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 1, Edit: editPage(func(page map[string]any) {
			page["nodes"] = page["nodes"].([]any)[1:]
		})})
		r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
		if !errors.Is(err, shopifysync.ErrIncomplete) || r.Complete {
			t.Errorf("error %v, report %+v", err, r)
		}
		w.mirrors()
	})
}

// repeatCursor gives the first page's cursor for ever.
func repeatCursor() func(map[string]any) {
	var first any
	return editPage(func(page map[string]any) {
		info := page["pageInfo"].(map[string]any)
		if first == nil {
			first = info["endCursor"]
		}
		info["hasNextPage"], info["endCursor"] = true, first
	})
}

// samePage gives the first page's customers for ever, with new cursors.
func samePage() func(map[string]any) {
	var nodes any
	return editPage(func(page map[string]any) {
		if nodes == nil {
			nodes = page["nodes"]
		}
		page["nodes"] = nodes
		page["pageInfo"].(map[string]any)["hasNextPage"] = true
	})
}

func editPage(edit func(page map[string]any)) func(map[string]any) {
	return func(m map[string]any) {
		if data, ok := m["data"].(map[string]any); ok {
			edit(data["customers"].(map[string]any))
		}
	}
}

// Null together with an error does not mean gone.
func TestSyncNullWithErrorIsNotGone(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		id := w.ids()[7]
		if err := w.shop.Delete(id); err != nil {
			t.Fatal(err)
		}
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersByID", Edit: func(m map[string]any) {
			m["errors"] = []any{map[string]any{"message": "Access denied for Customer object.", "path": []any{"nodes", 0}, "extensions": map[string]any{"code": "ACCESS_DENIED"}}}
		}})
		if r := w.sync(s); r.RemovedTotal() != 0 {
			t.Errorf("%+v", r)
		}
		if r := w.sync(s); r.RemovedTotal() != 1 {
			t.Errorf("%+v", r)
		}
		w.mirrors()
	})
}

func TestSyncMassRemoval(t *testing.T) {
	inWorld(t, 400, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		ids := w.ids()
		for _, id := range ids[:len(ids)*3/10] {
			if err := w.shop.Delete(id); err != nil {
				t.Fatal(err)
			}
		}
		before := len(w.contacts())
		r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
		if !errors.Is(err, shopifysync.ErrMassRemoval) || r.Complete || len(w.contacts()) != before {
			t.Errorf("error %v, report %+v, %d contacts of %d", err, r, len(w.contacts()), before)
		}
		var detail *shopifysync.MassRemovalError
		if !errors.As(err, &detail) || detail.Confirmed <= int64(before/5) || detail.Confirmed > detail.Unseen ||
			detail.Unseen != int64(len(ids)*3/10) || detail.Contacts != int64(before) {
			t.Errorf("the error %v has the numbers %+v", err, detail)
		}
		runs, runsErr := w.store.Runs(t.Context(), shopifysync.RunsParams{Connection: connID, Limit: 1})
		if runsErr != nil || len(runs.Runs) != 1 || runs.Runs[0].Report.MassRemoval == nil || *runs.Runs[0].Report.MassRemoval != *detail {
			t.Errorf("the run's record: %+v, %v", runs.Runs, runsErr)
		}
		dry, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, MaxRemovedShare: 0.5, DryRun: true})
		if err != nil || dry.RemovedTotal() != int64(len(ids)*3/10) || len(w.contacts()) != before {
			t.Errorf("dry run: error %v, %+v", err, dry)
		}
		r, err = s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, MaxRemovedShare: 0.5})
		if err != nil || !r.Complete || r.RemovedTotal() != int64(len(ids)*3/10) {
			t.Errorf("error %v, report %+v", err, r)
		}
		w.mirrors()
	})
}

// Without a limit of the caller's own, fifty may always go, for a small store is
// no suspicion, and a fifth where that is more.
func TestSyncRemovalLimits(t *testing.T) {
	for _, test := range []struct {
		customers, deleted int
		refused            bool
	}{{60, 50, false}, {60, 51, true}, {400, 80, false}, {400, 81, true}} {
		t.Run(fmt.Sprintf("%d of %d", test.deleted, test.customers), func(t *testing.T) {
			inWorld(t, 0, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.NoRedacted = true })
				w.shop.Generate(test.customers, 7)
				s := w.syncer()
				w.sync(s)
				for _, id := range w.ids()[:test.deleted] {
					if err := w.shop.Delete(id); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(2 * time.Second)
				r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if test.refused {
					if !errors.Is(err, shopifysync.ErrMassRemoval) || len(w.contacts()) != test.customers {
						t.Errorf("error %v, %d contacts", err, len(w.contacts()))
					}
					return
				}
				if err != nil || r.RemovedTotal() != int64(test.deleted) {
					t.Errorf("error %v, report %+v", err, r)
				}
				w.mirrors()
			})
		})
	}
}

// A bulk operation that always fails is tried three times; then the pages bring
// the rest.
func TestSyncBulkAttempts(t *testing.T) {
	inWorld(t, 6000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = shopifytest.Unlimited, 20*time.Second })
		w.shop.Inject(shopifytest.Fault{Operation: shopifytest.OpBulkRun, Times: shopifytest.Always, Bulk: &shopifytest.BulkFailure{Status: "FAILED"}})
		r := w.sync(w.syncer(shopifysync.WithBulkThreshold(500)))
		if n := w.server.Count("RunBulkQuery"); n != 3 || r.Seen != 6000 {
			t.Errorf("%d operations, report %+v", n, r)
		}
	})
}

func TestSyncDryRun(t *testing.T) {
	inWorld(t, 500, func(t *testing.T, w *world) {
		s := w.syncer()
		dry, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, DryRun: true})
		if err != nil || !dry.DryRun || len(w.contacts()) != 0 {
			t.Fatalf("error %v, %d contacts, %+v", err, len(w.contacts()), dry)
		}
		w.addsUp(dry)
		runs, _ := w.store.Runs(t.Context(), shopifysync.RunsParams{Connection: connID, Limit: 10})
		if len(runs.Runs) != 0 {
			t.Errorf("a dry run left %d records", len(runs.Runs))
		}
		real := w.sync(s)
		if dry.Created != real.Created || dry.SkippedTotal() != real.SkippedTotal() {
			t.Errorf("foretold %+v, done %+v", dry, real)
		}
		ids := w.ids()
		_ = w.shop.Delete(ids[0])
		_ = w.shop.Update(ids[1], func(c *shopifytest.Customer) { c.Note = "new" })
		before := w.contacts()
		dry, err = s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, DryRun: true})
		if err != nil || dry.Updated != 1 || dry.RemovedTotal() != 1 {
			t.Errorf("error %v, %+v", err, dry)
		}
		if diff := cmp.Diff(before, w.contacts()); diff != "" {
			t.Errorf("a dry run wrote (-before +after):\n%s", diff)
		}
	})
}

func TestSyncErrors(t *testing.T) {
	status := func(code int) func(*world) {
		return func(w *world) {
			w.shop.Inject(shopifytest.Fault{Status: code, Times: shopifytest.Always})
		}
	}
	tests := map[string]struct {
		break_ func(*world)
		want   error
		state  shopifysync.RunState
	}{
		"wrong token":   {func(w *world) { w.shop.Configure(func(c *shopifytest.StoreConfig) { c.AccessToken = "another" }) }, shopifysync.ErrUnauthorized, shopifysync.RunFailed},
		"frozen":        {func(w *world) { w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen }) }, shopifysync.ErrShopFrozen, shopifysync.RunFailed},
		"locked":        {func(w *world) { w.shop.Configure(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Locked }) }, shopifysync.ErrShopLocked, shopifysync.RunFailed},
		"uninstalled":   {func(w *world) { w.shop.Uninstall() }, shopifysync.ErrUnauthorized, shopifysync.RunFailed},
		"renamed":       {func(w *world) { w.shop.Rename("renamed.myshopify.com") }, shopifysync.ErrShopMoved, shopifysync.RunFailed},
		"no such store": {func(w *world) { w.conn.Shop = "nobody.myshopify.com" }, shopifysync.ErrShopNotFound, shopifysync.RunFailed},
		"no scope": {func(w *world) {
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Scopes = []string{"read_products"} })
		}, shopifysync.ErrScopeMissing, shopifysync.RunFailed},
		"no customer data": {func(w *world) {
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoCustomerData })
		}, shopifysync.ErrProtectedData, shopifysync.RunFailed},
		"always 500": {status(500), shopifysync.ErrUnavailable, shopifysync.RunPaused},
		"always 429": {status(429), shopifysync.ErrThrottled, shopifysync.RunPaused},
		"another store answers": {func(w *world) {
			w.shop.Inject(shopifytest.Fault{Operation: "Shop", Edit: func(m map[string]any) {
				m["data"].(map[string]any)["shop"].(map[string]any)["myshopifyDomain"] = "other.myshopify.com"
			}})
		}, shopifysync.ErrShopMoved, shopifysync.RunFailed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 400, func(t *testing.T, w *world) {
				w.sync(w.syncer())
				before := len(w.contacts())
				test.break_(w)
				r, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if !errors.Is(err, test.want) {
					t.Fatalf("error %v, want %v", err, test.want)
				}
				t.Log(err)
				if r == nil || r.Complete || len(w.contacts()) != before {
					t.Errorf("report %+v, %d contacts of %d", r, len(w.contacts()), before)
				}
				runs, _ := w.store.Runs(t.Context(), shopifysync.RunsParams{Connection: connID, Limit: 1})
				if got := runs.Runs[0]; got.State != test.state || got.Error == "" {
					t.Errorf("the run's record: %s %q, want %s", got.State, got.Error, test.state)
				}
				w.noSecrets(err.Error())
			})
		})
	}
}

// noSecrets checks a text and the log for tokens and personal data.
func (w *world) noSecrets(text string) {
	w.t.Helper()
	all := text + w.log.String()
	if strings.Contains(all, "canary-token") {
		w.t.Errorf("the token is in an error or the log")
	}
	for c := range w.shop.All() {
		if c.Email != "" && strings.Contains(all, c.Email) || c.Phone != "" && strings.Contains(all, c.Phone) {
			w.t.Errorf("personal data of customer %d is in an error or the log", c.ID)
		}
	}
}

func TestMissingScopesAreListed(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Scopes = []string{"read_products"} })
		_, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
		var missing *shopifysync.MissingScopesError
		if !errors.As(err, &missing) || !slices.Equal(missing.Missing, []string{"read_customers"}) {
			t.Errorf("error %v", err)
		}
	})
}

// Fields that Shopify refuses to show never clear what is stored, by pages
// (where errors tell) and by bulk (where nothing does).
func TestSyncMaskedFields(t *testing.T) {
	for name, threshold := range map[string]int64{"pages": 10_000, "bulk": 300} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 900, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed = shopifytest.Unlimited; c.Latency = time.Second })
				s := w.syncer(shopifysync.WithBulkThreshold(threshold))
				w.sync(s)
				before := w.contacts()
				id := w.ids()[0]
				_ = w.shop.Update(id, func(c *shopifytest.Customer) { c.Note, c.Email = "changed", "new@example.com" })
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.DeniedFields = []string{"email", "phone", "firstName"} })
				r := w.sync(s)
				want := shopifysync.FieldName | shopifysync.FieldEmail | shopifysync.FieldPhone
				if r.Masked != want || r.Updated != 1 {
					t.Errorf("masked %v, want %v; %+v", r.Masked, want, r)
				}
				if name == "bulk" && r.Source != "pages+bulk" {
					t.Errorf("source %s", r.Source)
				}
				after := w.contacts()
				for cid, c := range after {
					if old := before[cid]; c.Email != old.Email || c.Phone != old.Phone || c.Name != old.Name {
						t.Fatalf("customer %d: a masked field changed", cid)
					}
				}
				if got := attribute(after[shopifysync.CustomerID(id)], shopifysync.AttrNote).Text; got != "changed" {
					t.Errorf("note %q", got)
				}
			})
		})
	}
}

// Fields left out are not asked for, and stay as they are stored.
func TestWithoutFields(t *testing.T) {
	inWorld(t, 700, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed = shopifytest.Unlimited; c.Latency = time.Second })
		w.sync(w.syncer())
		before := w.contacts()
		out := shopifysync.FieldNote | shopifysync.FieldPhone | shopifysync.FieldAddress | shopifysync.FieldSMSConsent
		w.sync(w.syncer(shopifysync.WithoutFields(out), shopifysync.WithBulkThreshold(300)))
		if diff := cmp.Diff(before, w.contacts()); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		for _, req := range w.server.Requests()[len(w.server.Requests())-4:] {
			if strings.Contains(req.Query, "note") || strings.Contains(req.Query, "smsMarketingConsent") {
				t.Errorf("%s asked for a field left out", req.Operation)
			}
		}
		fresh := shopifysync.NewMemoryStore()
		w.sync(w.syncerOn(fresh, shopifysync.WithStateStore(fresh), shopifysync.WithoutFields(out)))
		ids, _ := fresh.ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: connID, Limit: 1000})
		got, _ := fresh.Contacts(t.Context(), shopifysync.ContactsParams{Connection: connID, IDs: ids.IDs})
		for _, c := range got.Contacts {
			if c.Phone != "" || attribute(c, shopifysync.AttrNote).Text != "" || c.Masked != out {
				t.Fatalf("customer %d: %+v", c.CustomerID, c.Masked)
			}
		}
	})
}

func TestSyncMapper(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		ids := w.ids()
		base := shopifysync.NewMapper(shopifysync.MapperOptions{})
		var mu sync.Mutex
		broken := map[int64]bool{ids[0]: true, ids[1]: true}
		skip := map[int64]bool{}
		mapper := func(id shopifysync.ConnectionID, c shopifysync.Customer) (shopifysync.Contact, error) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case int64(c.ID) == ids[0] && broken[ids[0]]:
				panic(c.Email)
			case broken[int64(c.ID)]:
				return shopifysync.Contact{}, fmt.Errorf("%s: %w", c.Email, shopifysync.Reason("no such segment"))
			case skip[int64(c.ID)]:
				return shopifysync.Contact{}, fmt.Errorf("wholesale: %w", shopifysync.ErrSkip)
			}
			contact, err := base(id, c)
			contact.Connection, contact.CustomerID = "forged", 1
			contact.Tags = []string{"b", "a", "b"}
			return contact, err
		}
		s := w.syncer(shopifysync.WithMapper(mapper))
		r := w.sync(s)
		if r.Failed != 2 || len(r.Failures) != 2 {
			t.Errorf("%+v", r)
		}
		reasons := map[shopifysync.CustomerID]string{}
		for _, f := range r.Failures {
			reasons[f.CustomerID] = f.Reason
		}
		want := map[shopifysync.CustomerID]string{
			shopifysync.CustomerID(ids[0]): "mapper: it panicked",
			shopifysync.CustomerID(ids[1]): "mapper: no such segment",
		}
		if diff := cmp.Diff(want, reasons); diff != "" {
			t.Error(diff)
		}
		marks, _ := w.store.Marks(t.Context(), shopifysync.MarksParams{Connection: connID, Limit: 10})
		if marks.Open != 2 || marks.Marks[0].Attempts != 1 {
			t.Errorf("marks %+v", marks)
		}
		for _, c := range w.contacts() {
			if diff := cmp.Diff([]string{"a", "b"}, c.Tags); diff != "" {
				t.Fatal(diff)
			}
		}

		mu.Lock()
		delete(broken, ids[0])
		skip[ids[2]], skip[ids[3]] = true, true
		mu.Unlock()
		r = w.sync(s)
		if r.Failed != 1 || r.Created != 1 || r.Skipped["wholesale"] != 2 || r.Removed[shopifysync.RemovedSkipped] != 2 {
			t.Errorf("%+v", r)
		}
		marks, _ = w.store.Marks(t.Context(), shopifysync.MarksParams{Connection: connID, Limit: 10})
		if marks.Open != 1 || marks.Marks[0].Attempts != 2 {
			t.Errorf("marks %+v", marks)
		}
		contacts := w.contacts()
		if _, there := contacts[shopifysync.CustomerID(ids[2])]; there {
			t.Error("a customer left out is still a contact")
		}
		mu.Lock()
		clear(skip)
		mu.Unlock()
		if r = w.sync(s); r.Created != 2 {
			t.Errorf("taken in again: %+v", r)
		}
		w.noSecrets(fmt.Sprintf("%+v", r))
	})
}

func TestSyncRedactedConsent(t *testing.T) {
	inWorld(t, 50, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		id := w.ids()[3]
		if err := w.shop.Redact(id); err != nil {
			t.Fatal(err)
		}
		r := w.sync(s)
		if r.Removed[shopifysync.RemovedRedacted] != 1 {
			t.Errorf("%+v", r)
		}
		got, _ := w.store.Contacts(t.Context(), shopifysync.ContactsParams{Connection: connID, IDs: []shopifysync.CustomerID{shopifysync.CustomerID(id)}})
		if len(got.Contacts) != 1 || got.Contacts[0].Removed != shopifysync.RemovedRedacted || got.Contacts[0].Email != "" {
			t.Errorf("%+v", got.Contacts)
		}
		w.mirrors()
	})
}

// Two tenants may connect one store, and one may have a token that fails.
func TestSyncTwoConnections(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		other := w.conn
		other.ID = "Tenant-1" // differs in case alone
		other.Credentials.AccessToken = shopifysync.NewSecret("canary-token-wrong")
		s, err := shopifysync.New(w.store, shopifysync.StaticConnections(w.conn, other), shopifysync.WithHTTPClient(w.server.Client()))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var good *shopifysync.Report
		var goodErr, badErr error
		wg.Go(func() { good, goodErr = s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID}) })
		wg.Go(func() { _, badErr = s.Sync(t.Context(), shopifysync.SyncParams{Connection: other.ID}) })
		wg.Wait()
		if goodErr != nil || good.Seen != 300 || !errors.Is(badErr, shopifysync.ErrUnauthorized) {
			t.Errorf("good: %v %+v; bad: %v", goodErr, good, badErr)
		}
		ids, _ := w.store.ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: other.ID, Limit: 10})
		if len(ids.IDs) != 0 {
			t.Error("the other tenant has contacts")
		}
		if _, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: "nobody"}); !errors.Is(err, shopifysync.ErrNotConnected) {
			t.Errorf("unknown connection: %v", err)
		}
	})
}

// Client-credentials tokens live 24 hours; one that is rejected is refreshed
// once, and credentials edited meanwhile are picked up.
func TestSyncClientCredentials(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		w.conn.Credentials = shopifysync.Credentials{ClientID: "client-id", ClientSecret: shopifysync.NewSecret("client-secret")}
		s := w.syncer()
		w.sync(s)
		w.sync(s)
		if n := w.server.Count(shopifytest.OpToken); n != 1 {
			t.Errorf("%d tokens were asked for, want 1", n)
		}
		time.Sleep(25 * time.Hour)
		w.sync(s)
		if n := w.server.Count(shopifytest.OpToken); n != 2 {
			t.Errorf("after a day: %d tokens were asked for, want 2", n)
		}
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", Status: http.StatusUnauthorized})
		w.sync(s)
		if n := w.server.Count(shopifytest.OpToken); n != 3 {
			t.Errorf("after a rejection: %d tokens were asked for, want 3", n)
		}
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.NotPermitted = true })
		time.Sleep(25 * time.Hour)
		if _, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID}); !errors.Is(err, shopifysync.ErrOtherOrganization) {
			t.Errorf("error %v", err)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	store, conns := shopifysync.NewMemoryStore(), shopifysync.StaticConnections()
	if _, err := shopifysync.New(nil, conns); err == nil {
		t.Error("a nil store is taken")
	}
	if _, err := shopifysync.New(store, nil); err == nil {
		t.Error("nil connections are taken")
	}
	for name, opt := range map[string]shopifysync.Option{
		"state":     shopifysync.WithStateStore(nil),
		"tokens":    shopifysync.WithTokenSource(nil),
		"mapper":    shopifysync.WithMapper(nil),
		"order":     shopifysync.WithNameOrder(99),
		"phone":     shopifysync.WithPhoneNormalizer(nil),
		"fields":    shopifysync.WithoutFields(1 << 31),
		"logger":    shopifysync.WithLogger(nil),
		"client":    shopifysync.WithHTTPClient(nil),
		"clock":     shopifysync.WithClock(nil),
		"writers":   shopifysync.WithWriters(0),
		"batch":     shopifysync.WithBatchSize(0),
		"threshold": shopifysync.WithBulkThreshold(0),
		"lease":     shopifysync.WithLeaseTTL(0),
	} {
		if _, err := shopifysync.New(store, conns, opt); err == nil || !strings.HasPrefix(err.Error(), "shopifysync: With") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
