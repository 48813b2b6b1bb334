package shopifysync_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

func graphQLError(code string, path ...any) map[string]any {
	return map[string]any{"message": "Access denied", "path": path, "extensions": map[string]any{"code": code}}
}

// A page that lacks its list, or what tells whether the list goes on, is not
// taken for an empty store, nor for the end of it. There is no count here that
// would notice.
func TestSyncPageWithoutList(t *testing.T) {
	page := func(edit func(page map[string]any)) func(map[string]any) { return editPage(edit) }
	tests := map[string]func(map[string]any){
		"no data":      func(m map[string]any) { m["data"] = map[string]any{} },
		"no customers": func(m map[string]any) { m["data"].(map[string]any)["customers"] = nil },
		"no nodes":     page(func(page map[string]any) { page["nodes"] = nil }),
		"nodes refused": func(m map[string]any) {
			m["data"].(map[string]any)["customers"].(map[string]any)["nodes"] = []any{}
			m["errors"] = []any{graphQLError("ACCESS_DENIED", "customers", "nodes")}
		},
		"ids refused": func(m map[string]any) {
			m["errors"] = []any{graphQLError("ACCESS_DENIED", "customers", "nodes", "id")}
		},
		"page info refused": func(m map[string]any) {
			m["data"].(map[string]any)["customers"].(map[string]any)["pageInfo"] = nil
			m["errors"] = []any{graphQLError("ACCESS_DENIED", "customers", "pageInfo")}
		},
		"no nodes beside a number where a text should be": page(func(page map[string]any) {
			page["nodes"], page["pageInfo"].(map[string]any)["endCursor"] = nil, 7
		}),
	}
	for name, edit := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 600, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.APIVersions = []string{"2024-04"} })
				w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 1, Times: shopifytest.Always, Edit: edit})
				r, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if err == nil || r.Complete {
					t.Errorf("error %v, %+v", err, r)
				}
				w.shop.ClearFaults()
				w.sync(w.syncer())
				w.mirrors()
			})
		})
	}
}

// A refusal that names a field and no record is about every record: nothing that
// is stored is cleared, by a page or by a lookup.
func TestRefusalOfNoRecord(t *testing.T) {
	emails := func(w *world) map[shopifysync.CustomerID]string {
		out := make(map[shopifysync.CustomerID]string)
		for id, c := range w.contacts() {
			out[id] = c.Email
		}
		return out
	}
	refuse := func(nodes []any, m map[string]any, path ...any) {
		for _, node := range nodes {
			node.(map[string]any)["email"] = nil
		}
		m["errors"] = []any{graphQLError("ACCESS_DENIED", path...)}
	}
	tests := map[string]struct {
		operation string
		edit      func(m map[string]any)
		ask       func(w *world, s *shopifysync.Syncer) *shopifysync.Report
	}{
		"a page": {"CustomersPage", func(m map[string]any) {
			refuse(m["data"].(map[string]any)["customers"].(map[string]any)["nodes"].([]any), m, "customers", "nodes", "email")
		}, func(w *world, s *shopifysync.Syncer) *shopifysync.Report { return w.sync(s) }},
		"a page with a record that cannot be read": {"CustomersPage", func(m map[string]any) {
			nodes := m["data"].(map[string]any)["customers"].(map[string]any)["nodes"].([]any)
			refuse(nodes, m, "customers", "nodes", "email")
			nodes[0].(map[string]any)["tags"] = 7
		}, func(w *world, s *shopifysync.Syncer) *shopifysync.Report { return w.sync(s) }},
		"a lookup": {"CustomersByID", func(m map[string]any) {
			refuse(m["data"].(map[string]any)["nodes"].([]any), m, "nodes", "email")
		}, func(w *world, s *shopifysync.Syncer) *shopifysync.Report {
			for _, id := range w.ids() {
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
			}
			return w.drain(s)
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 20, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.NoRedacted = true })
				s := w.syncer()
				w.sync(s)
				before := emails(w)
				time.Sleep(time.Minute)
				w.shop.Inject(shopifytest.Fault{Operation: test.operation, Times: shopifytest.Always, Edit: test.edit})
				if r := test.ask(w, s); r.Masked != shopifysync.FieldEmail || r.Updated != 0 {
					t.Errorf("%+v", r)
				}
				if diff := cmp.Diff(before, emails(w)); diff != "" {
					t.Errorf("(-before +after):\n%s", diff)
				}
			})
		})
	}
}

// Odd records on a page do not end the run, and none is lost without a word.
func TestSyncOddRecords(t *testing.T) {
	tests := map[string]struct {
		edit   func(node map[string]any) any
		failed int64
	}{
		"null instead of a record":    {func(map[string]any) any { return nil }, 1},
		"a text instead of a record":  {func(map[string]any) any { return "odd" }, 1},
		"no id":                       {func(n map[string]any) any { delete(n, "id"); return n }, 1},
		"an id of something else":     {func(n map[string]any) any { n["id"] = "gid://shopify/Order/1"; return n }, 1},
		"an id beyond int64":          {func(n map[string]any) any { n["id"] = "gid://shopify/Customer/9223372036854775808"; return n }, 1},
		"no updatedAt":                {func(n map[string]any) any { n["updatedAt"] = nil; return n }, 1},
		"a number of orders in words": {func(n map[string]any) any { n["numberOfOrders"] = "many"; return n }, 1},
		"a huge number of orders":     {func(n map[string]any) any { n["numberOfOrders"] = strings.Repeat("9", 40); return n }, 0},
		"a number for the orders":     {func(n map[string]any) any { n["numberOfOrders"] = json.Number("3"); return n }, 0},
		"NUL in the note":             {func(n map[string]any) any { n["note"] = "a\x00b"; return n }, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 30, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.NoRedacted = true })
				w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", Edit: editPage(func(page map[string]any) {
					nodes := page["nodes"].([]any)
					nodes[3] = test.edit(nodes[3].(map[string]any))
				})})
				r := w.sync(w.syncer())
				if r.Failed != test.failed || r.Seen != 30 {
					t.Errorf("%+v", r)
				}
				w.noSecrets(strings.Join(reasons(r), " "))
			})
		})
	}
}

func reasons(r *shopifysync.Report) []string {
	var list []string
	for _, f := range r.Failures {
		list = append(list, f.Reason)
	}
	return list
}

// A customer who comes twice on one page counts once.
func TestSyncRepeatedRecord(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", Edit: editPage(func(page map[string]any) {
			nodes := page["nodes"].([]any)
			page["nodes"] = append(nodes, nodes[29], nodes[0])
		})})
		if r := w.sync(w.syncer()); r.Seen != 30 {
			t.Errorf("%+v", r)
		}
		w.mirrors()
	})
}

// Whatever is odd in the answer to a lookup, nobody is removed who may still
// be there.
func TestSweepOddLookups(t *testing.T) {
	nodes := func(m map[string]any) []any { return m["data"].(map[string]any)["nodes"].([]any) }
	tests := map[string]struct {
		edit func(map[string]any)
		err  bool
	}{
		// A field that may not be null takes its parent along; the error's path
		// is the field's.
		"null because of a field below": {func(m map[string]any) {
			nodes(m)[0] = nil
			m["errors"] = []any{graphQLError("ACCESS_DENIED", "nodes", 0, "numberOfOrders")}
		}, false},
		"null because of the node": {func(m map[string]any) {
			nodes(m)[0] = nil
			m["errors"] = []any{graphQLError("ACCESS_DENIED", "nodes", 0)}
		}, false},
		"null because of a field of all": {func(m map[string]any) {
			nodes(m)[0] = nil
			m["errors"] = []any{graphQLError("ACCESS_DENIED", "nodes", "numberOfOrders")}
		}, false},
		"null because of all nodes": {func(m map[string]any) {
			nodes(m)[0] = nil
			m["errors"] = []any{graphQLError("ACCESS_DENIED", "nodes")}
		}, true},
		"fewer than asked for": {func(m map[string]any) { m["data"].(map[string]any)["nodes"] = nodes(m)[1:] }, true},
		"no nodes":             {func(m map[string]any) { m["data"].(map[string]any)["nodes"] = nil }, true},
		"another order":        {func(m map[string]any) { n := nodes(m); n[0], n[1] = n[1], n[0] }, true},
		"another order of records that cannot be read": {func(m map[string]any) {
			n := nodes(m)
			n[0].(map[string]any)["tags"] = 7
			n[0], n[1] = n[1], n[0]
		}, true},
		"a record that cannot be read": {func(m map[string]any) { nodes(m)[0].(map[string]any)["tags"] = 7 }, false},
		"null beside one of those": {func(m map[string]any) {
			n := nodes(m)
			n[0] = nil
			n[1] = map[string]any{"__typename": "Customer", "tags": 7}
			m["errors"] = []any{graphQLError("ACCESS_DENIED", "nodes", 0, "id")}
		}, false},
		"something else than a customer": {func(m map[string]any) { nodes(m)[0] = map[string]any{"__typename": "Shop"} }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 30, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.APIVersions, c.NoRedacted = []string{"2024-04"}, true })
				// Young ones: that an old one was not listed would end the run before.
				a := w.shop.Create(shopifytest.Customer{FirstName: "A"}).ID
				gone := w.shop.Create(shopifytest.Customer{FirstName: "B"}).ID
				s := w.syncer()
				w.sync(s)
				if err := w.shop.Delete(gone); err != nil {
					t.Fatal(err)
				}
				// Two are not listed: the one that is gone, and one that is not.
				w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", Edit: editPage(func(page map[string]any) {
					list := page["nodes"].([]any)
					for i, n := range list {
						if n.(map[string]any)["id"] == shopifysync.CustomerID(a).GID() {
							page["nodes"] = append(list[:i:i], list[i+1:]...)
						}
					}
				})})
				w.shop.Inject(shopifytest.Fault{Operation: "CustomersByID", Edit: test.edit})
				r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if test.err && err == nil {
					t.Errorf("no error; %+v", r)
				}
				if name == "a record that cannot be read" && (err != nil || !r.Complete || r.Failed != 1) {
					t.Errorf("error %v, %+v: a failed record does not spoil the run", err, r)
				}
				if _, there := w.contacts()[shopifysync.CustomerID(a)]; !there {
					t.Errorf("a customer who exists was removed: %v, %+v", err, r)
				}
				w.addsUp(r)
				w.sync(s)
				w.mirrors()
			})
		})
	}
}

// A bulk operation whose figures are odd is not believed; there is no count of
// customers here that would notice.
func TestSyncOddBulk(t *testing.T) {
	all := func(fields map[string]any) func(map[string]any) {
		return func(m map[string]any) {
			for field, value := range fields {
				editBulk(field, value)(m)
			}
		}
	}
	tests := map[string]map[string]any{
		"an empty result":            {"url": nil, "objectCount": "0", "rootObjectCount": "0", "fileSize": nil},
		"no counts":                  {"objectCount": nil, "rootObjectCount": nil},
		"no count and no address":    {"objectCount": nil, "rootObjectCount": nil, "url": nil},
		"no size":                    {"fileSize": nil},
		"a negative size":            {"fileSize": "-1"},
		"a huge size":                {"fileSize": "9223372036854775807"},
		"a size beyond int64":        {"fileSize": "99999999999999999999"},
		"negative counts":            {"objectCount": "-5", "rootObjectCount": "-5"},
		"more objects than lines":    {"objectCount": "5000"},
		"more customers than lines":  {"rootObjectCount": "5000"},
		"a count in words":           {"objectCount": "many"},
		"begun at no time":           {"createdAt": nil},
		"an address that is none":    {"url": "https://"},
		"a status never heard of":    {"status": "PONDERING"},
		"expired":                    {"status": "EXPIRED"},
		"another kind of operation":  {"__typename": "Customer"},
		"a file of another customer": {"url": "https://storage.googleapis.com/other"},
	}
	for name, fields := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 1500, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) {
					c.BulkSpeed, c.Latency, c.APIVersions = shopifytest.Unlimited, 300*time.Millisecond, []string{"2024-04"}
				})
				w.shop.Inject(shopifytest.Fault{Operation: "PollBulkOperation", Times: shopifytest.Always, Edit: all(fields)})
				r := w.sync(w.syncer(shopifysync.WithBulkThreshold(200), shopifysync.WithBatchSize(100)))
				if r.Seen != 1500 || r.Source == "bulk" || name == "begun at no time" && r.Source != "pages" {
					t.Errorf("%+v", r)
				}
				if given := strings.Contains(w.log.String(), "is given up"); given == (name == "a status never heard of") {
					t.Errorf("given up: %v", given)
				}
				w.mirrors()
			})
		})
	}
}

// A count that nobody can have is not agreed with; one that is no exact count
// says nothing.
func TestSyncOddCount(t *testing.T) {
	tests := map[string]struct {
		count    any
		complete bool
	}{
		"negative":     {map[string]any{"count": -700, "precision": "EXACT"}, false},
		"zero":         {map[string]any{"count": 0, "precision": "EXACT"}, false},
		"huge":         {map[string]any{"count": math.MaxInt64, "precision": "EXACT"}, false},
		"too many":     {map[string]any{"count": 607, "precision": "EXACT"}, false},
		"about right":  {map[string]any{"count": 603, "precision": "EXACT"}, true},
		"a minimum":    {map[string]any{"count": 10000, "precision": "AT_LEAST"}, true},
		"no precision": {map[string]any{"count": 10000}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 600, func(t *testing.T, w *world) {
				w.shop.Inject(shopifytest.Fault{Operation: "CustomersCount", Times: shopifytest.Always, Edit: func(m map[string]any) {
					m["data"].(map[string]any)["customersCount"] = test.count
				}})
				r, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if r.Complete != test.complete || !test.complete && !errors.Is(err, shopifysync.ErrIncomplete) {
					t.Errorf("error %v, %+v", err, r)
				}
			})
		})
	}
}

// An app that may not count is not kept from anything else.
func TestSyncWithoutCount(t *testing.T) {
	for name, errs := range map[string][]shopifytest.GraphQLError{
		"unknown field": {{Message: "Field 'customersCount' doesn't exist on type 'QueryRoot'", Extensions: map[string]any{"code": "undefinedField"}}},
		"refused":       {{Message: "Access denied for customersCount field.", Path: []any{"customersCount"}, Extensions: map[string]any{"code": "ACCESS_DENIED"}}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 600, func(t *testing.T, w *world) {
				w.shop.Inject(shopifytest.Fault{Operation: "CustomersCount", Times: shopifytest.Always, Errors: errs})
				w.sync(w.syncer())
				w.mirrors()
			})
		})
	}
}

// Lookups in the sweep are made smaller when they are too expensive, and
// refused fields stay masked there too.
func TestSweepLookups(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		s := w.syncer()
		w.sync(s)
		for _, id := range w.ids()[:45] {
			if err := w.shop.Delete(id); err != nil {
				t.Fatal(err)
			}
		}
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersByID", Times: 2, Errors: []shopifytest.GraphQLError{{
			Message: "Query cost is too high.", Extensions: map[string]any{"code": "MAX_COST_EXCEEDED"},
		}}})
		r := w.sync(s)
		if r.RemovedTotal() != 45 || w.server.Count("CustomersByID") < 4 {
			t.Errorf("%d lookups, %+v", w.server.Count("CustomersByID"), r)
		}
		w.mirrors()
	})
}

// Customers who came while the list was read, and whom a webhook stored, are
// looked up, with the fields that are refused masked.
func TestSweepFindsTheNewest(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.DeniedFields = []string{"email"} })
		var late atomic.Int64
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 1, Edit: func(m map[string]any) {
			c := w.shop.Create(shopifytest.Customer{FirstName: "Late", Email: "late@example.com"})
			late.Store(c.ID)
			_, err := w.store.UpsertContacts(context.Background(), shopifysync.UpsertContactsParams{Connection: connID, Contacts: []shopifysync.Contact{{
				Connection: connID, CustomerID: shopifysync.CustomerID(c.ID), FirstName: "Early", Email: "kept@example.com",
				Version: shopifysync.Version{UpdatedAt: c.UpdatedAt.Add(-time.Hour), ObservedAt: c.UpdatedAt.Add(-time.Hour)},
			}}})
			if err != nil {
				t.Error(err)
			}
		}})
		r := w.sync(w.syncer())
		c := w.contacts()[shopifysync.CustomerID(late.Load())]
		if r.Seen != 301 || c.FirstName != "Late" || c.Email != "kept@example.com" || r.RemovedTotal() != 0 {
			t.Errorf("%+v; %+v", c, r)
		}
	})
}

// While Shopify does not show when customers were created, one that it did not
// list still shows by its last change.
func TestSyncIncompleteWithoutCreation(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.APIVersions = []string{"2024-04"} })
		s := w.syncer(shopifysync.WithoutFields(shopifysync.FieldCreatedAt))
		w.sync(s)
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 1, Edit: editPage(func(page map[string]any) {
			page["nodes"] = page["nodes"].([]any)[5:]
		})})
		r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
		if !errors.Is(err, shopifysync.ErrIncomplete) || r.Complete {
			t.Errorf("error %v, %+v", err, r)
		}
	})
}

// An operation of somebody else's is left alone; one of our own that a lost
// answer hid is taken up, unless it is an old one.
func TestSyncTakesUpItsOwnOperationOnly(t *testing.T) {
	tests := map[string]struct {
		edit func(op map[string]any)
		used bool
	}{
		"ours":              {func(map[string]any) {}, true},
		"another query":     {func(op map[string]any) { op["query"] = "{ customers { edges { node { id } } } }" }, false},
		"an old one":        {func(op map[string]any) { op["createdAt"] = "1999-12-31T20:00:00Z" }, false},
		"one that failed":   {func(op map[string]any) { op["status"] = "FAILED" }, false},
		"one being stopped": {func(op map[string]any) { op["status"] = "CANCELING" }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 2000, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = shopifytest.Unlimited, time.Second })
				w.shop.Inject(shopifytest.Fault{Operation: "RunBulkQuery", Times: shopifytest.Always, Drop: shopifytest.DropAnswer})
				w.shop.Inject(shopifytest.Fault{Operation: "CurrentBulkOperation", Times: shopifytest.Always, Edit: func(m map[string]any) {
					test.edit(m["data"].(map[string]any)["currentBulkOperation"].(map[string]any))
				}})
				r := w.sync(w.syncer(shopifysync.WithBulkThreshold(300)))
				if used := r.Source == "pages+bulk"; used != test.used || r.Seen != 2000 {
					t.Errorf("%+v", r)
				}
				w.mirrors()
			})
		})
	}
}

// An operation that is not needed any more is stopped: it holds a slot.
func TestSyncStopsTheOperation(t *testing.T) {
	inWorld(t, 1000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed = 1 })
		r := w.sync(w.syncer(shopifysync.WithBulkThreshold(300)))
		if r.Source != "pages" || w.server.Count("CancelBulkOperation") != 1 {
			t.Errorf("%v, %+v", w.server.Counts(), r)
		}
		// The second run finds a free slot, and no checkpoint of the first.
		if r := w.sync(w.syncer(shopifysync.WithBulkThreshold(300))); r.Resumed {
			t.Errorf("%+v", r)
		}
	})
}

// Customers who go while the list is read do not make it incomplete.
func TestSyncShrinkingStore(t *testing.T) {
	inWorld(t, 600, func(t *testing.T, w *world) {
		ids := w.ids()
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 2, Edit: func(map[string]any) {
			for _, id := range ids[len(ids)-30:] { // of the first page
				if err := w.shop.Delete(id); err != nil {
					t.Error(err)
				}
			}
		}})
		if r := w.sync(w.syncer()); r.Seen != 600 {
			t.Errorf("%+v", r)
		}
		w.sync(w.syncer())
		w.mirrors()
	})
}

// An operation that Shopify refuses is not taken for a stale cursor on the
// first page, where there is none.
func TestSyncRefusedQuery(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		w.shop.Inject(shopifytest.Fault{Operation: "CustomersPage", Times: shopifytest.Always, Errors: []shopifytest.GraphQLError{{
			Message: "Field 'note' doesn't exist on type 'Customer'", Extensions: map[string]any{"code": "undefinedField"},
		}}})
		_, err := w.syncer().Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
		if n := w.server.Count("CustomersPage"); err == nil || errors.Is(err, shopifysync.ErrIncomplete) || n != 1 {
			t.Errorf("%d pages were asked for, error %v", n, err)
		}
	})
}
