package shopifytest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

func TestFilteredLists(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BucketSize: 1e9})
	store.Generate(2000, 3)
	for i, c := range store.Newest(40) {
		if i%2 == 0 {
			check(t, store.Update(c.ID, func(*shopifytest.Customer) {}))
		}
	}
	var all []shopifytest.Customer
	for c := range store.All() {
		all = append(all, c)
	}
	cut := all[1000]
	when := cut.UpdatedAt.Format(time.RFC3339)
	for _, tt := range []struct {
		query string
		match func(shopifytest.Customer) bool
	}{
		{"updated_at:>='" + when + "'", func(c shopifytest.Customer) bool { return !c.UpdatedAt.Before(cut.UpdatedAt) }},
		{"updated_at:<'" + when + "'", func(c shopifytest.Customer) bool { return c.UpdatedAt.Before(cut.UpdatedAt) }},
		{fmt.Sprintf("id:>%d id:<=%d", all[10].ID, all[500].ID), func(c shopifytest.Customer) bool { return c.ID > all[10].ID && c.ID <= all[500].ID }},
		{fmt.Sprintf("updated_at:>='%s' AND id:<%d", when, cut.ID), func(c shopifytest.Customer) bool { return !c.UpdatedAt.Before(cut.UpdatedAt) && c.ID < cut.ID }},
	} {
		want := map[string]bool{}
		for _, c := range all {
			if tt.match(c) {
				want[gid(c.ID)] = true
			}
		}
		if len(want) == 0 || len(want) == len(all) {
			t.Fatalf("%s chooses %d of %d", tt.query, len(want), len(all))
		}
		for _, key := range []string{"ID", "CREATED_AT", "UPDATED_AT"} {
			for _, reverse := range []bool{false, true} {
				got := map[string]bool{}
				for _, id := range app.pages(97, map[string]any{"query": tt.query, "sortKey": key, "reverse": reverse}) {
					got[id] = true
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s by %s reverse %v:\n%.500s", tt.query, key, reverse, diff)
				}
			}
		}
	}
}

func TestIgnoredTermsAreWarnedAbout(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	store.Generate(5, 1)
	got := app.do(`{ c: customers(first: 10, query: "colour:red") { nodes { id } } }`, nil)
	if n := len(list(at(got.Data, "c", "nodes"))); n != 5 || got.Errors != nil {
		t.Errorf("%d customers, errors %v", n, got.Errors)
	}
	want := []any{map[string]any{
		"path": pathOf("c"), "query": "colour:red",
		"parsed":   map[string]any{"field": "colour", "match_all": "red"},
		"warnings": []any{map[string]any{"field": "colour", "message": "Invalid search field for this query.", "code": "invalid_field"}},
	}}
	if diff := cmp.Diff(want, at(got.Extensions, "search")); diff != "" {
		t.Error(diff)
	}

	const fine = `{ customers(first: 10, query: "id:>0") { nodes { id } } }`
	if got := app.do(fine, nil); at(got.Extensions, "search") != nil {
		t.Errorf("no warning, yet %v", got.Extensions)
	}
	r := app.request(fine, nil)
	r.Header.Set("Shopify-Search-Query-Debug", "1")
	debug, err := app.try(r)
	check(t, err)
	if at(debug.Extensions, "search", 0, "parsed", "range_gt") != "0" {
		t.Errorf("debug: %v", debug.Extensions)
	}
}

// Lists with a query come from an index that is behind; nodes and lists
// without one from the database.
func TestSearchIndexLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, app := start(t, shopifytest.StoreConfig{IndexLag: time.Minute, BucketSize: 1e9})
		old := store.Create(shopifytest.Customer{FirstName: "before", Tags: []string{"a"}})
		time.Sleep(time.Hour)
		began := time.Now().UTC()
		check(t, store.Update(old.ID, func(c *shopifytest.Customer) { c.FirstName = "after" }))
		fresh := store.Create(shopifytest.Customer{FirstName: "fresh"})

		names := func(query any) []any {
			var names []any
			data := app.data("query($q: String) { customers(first: 10, query: $q) { nodes { firstName } } }", map[string]any{"q": query})
			for _, n := range list(at(data, "customers", "nodes")) {
				names = append(names, at(n, "firstName"))
			}
			return names
		}
		since := "updated_at:>='" + began.Format(time.RFC3339) + "'"
		for _, tt := range []struct {
			after           time.Duration
			all, any, since []any
		}{
			{0, pathOf("after", "fresh"), pathOf("before"), nil},
			{59 * time.Second, pathOf("after", "fresh"), pathOf("before"), nil},
			{time.Second, pathOf("after", "fresh"), pathOf("after", "fresh"), pathOf("after", "fresh")},
		} {
			time.Sleep(tt.after)
			for query, want := range map[any][]any{nil: tt.all, "id:>0": tt.any, since: tt.since} {
				if diff := cmp.Diff(want, names(query)); diff != "" {
					t.Errorf("%v after %v:\n%s", query, tt.after, diff)
				}
			}
		}

		// A deleted customer is in the index for a while, too.
		check(t, store.Delete(fresh.ID))
		if diff := cmp.Diff(pathOf("after", "fresh"), names("id:>0")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(pathOf("after"), names(nil)); diff != "" {
			t.Error(diff)
		}
		// Tags do not reach the index at all, until something else does.
		check(t, store.AddTags(old.ID, "b"))
		time.Sleep(time.Hour)
		tags := func(query any) any {
			data := app.data("query($q: String) { customers(first: 1, query: $q) { nodes { tags updatedAt } } }", map[string]any{"q": query})
			return at(data, "customers", "nodes", 0, "tags")
		}
		if diff := cmp.Diff(pathOf("a"), tags("id:>0")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(pathOf("a", "b"), tags(nil)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestUpdatedAtMovesAsAtShopify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, _ := start(t, shopifytest.StoreConfig{})
		c := store.Create(shopifytest.Customer{})
		other := store.Create(shopifytest.Customer{})
		for _, tt := range []struct {
			name  string
			act   func() error
			moves bool
		}{
			{"edit", func() error { return store.Update(c.ID, func(c *shopifytest.Customer) { c.Note = "x" }) }, true},
			{"tags added", func() error { return store.AddTags(c.ID, "x") }, false},
			{"tags removed", func() error { return store.RemoveTags(c.ID, "x") }, false},
			{"order", func() error { return store.PlaceOrder(c.ID, "10.5") }, false},
			{"merge", func() error { return store.Merge(c.ID, other.ID) }, true},
			{"redaction", func() error { return store.Redact(c.ID) }, true},
		} {
			before, _ := store.Customer(c.ID)
			time.Sleep(1500 * time.Millisecond)
			check(t, tt.act())
			after, _ := store.Customer(c.ID)
			if moved := after.UpdatedAt.After(before.UpdatedAt); moved != tt.moves {
				t.Errorf("%s: moved %v", tt.name, moved)
			}
			if after.UpdatedAt.Nanosecond() != 0 {
				t.Errorf("%s: not whole seconds", tt.name)
			}
		}
		if c, _ := store.Customer(c.ID); c.NumberOfOrders != 1 || c.AmountSpent.Amount != "10.5" {
			t.Errorf("%+v", c)
		}
	})
}
