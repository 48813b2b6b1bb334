package storetest

import (
	"iter"
	"math"
	"slices"

	"github.com/omnichat/shopifysync"
)

func listingCases() []testCase {
	return []testCase{
		{
			name: "Contacts/UnknownIDs",
			rule: "Contacts leaves out ids never seen.",
			run: func(c *check) {
				c.batch(tenant, false, named(1, "a", version(1, 1)), named(3, "c", version(1, 1)))
				c.remove(removed, tenant, shopifysync.RemovedDeleted, observedAt(2), removal(3))
				got := c.read(tenant, 1, 2, 3, 4)
				if len(got) != 2 || got[1].Name != "a" || got[3].Removed != shopifysync.RemovedDeleted {
					c.fatalf("Contacts of customers 1 (live), 2 (never seen), 3 (removed), 4 (never seen) returned %d contacts, want 1 and 3", len(got))
				}
				if got := c.read("nobody", 1, 3); len(got) != 0 {
					c.fatalf("Contacts of an unknown connection returned %d contacts", len(got))
				}
			},
		},
		{
			name: "Contacts/1000",
			rule: "Contacts takes 1,000 ids at once.",
			run: func(c *check) {
				var batch []shopifysync.Contact
				var ids []shopifysync.CustomerID
				for id := range shopifysync.CustomerID(1000) {
					ids = append(ids, 7_000_000_000_000+id*11)
					if id%2 == 0 {
						batch = append(batch, named(ids[id], "Ann", version(1, 1)))
					}
				}
				c.batch(tenant, false, batch...)
				if got := c.read(tenant, ids...); len(got) != len(batch) {
					c.fatalf("Contacts of 1,000 ids returned %d contacts, want %d", len(got), len(batch))
				}
			},
		},
		{
			name: "ContactIDs/Order",
			rule: "ContactIDs come in ascending order of number, those greater than After, at most Limit.",
			run: func(c *check) {
				ids := []shopifysync.CustomerID{
					1000, 9, 10, 2, 99, 1, 100, 9007199254740993, 9007199254740992, 9007199254740994,
					math.MaxInt64, math.MaxInt64 - 1, math.MaxInt32, math.MaxInt32 + 1,
				}
				for _, id := range ids {
					c.upsert(created, named(id, "Ann", version(1, 1)))
				}
				slices.Sort(ids)
				for limit := 1; limit <= len(ids)+1; limit++ {
					if got := c.listIDs(tenant, limit); !slices.Equal(got, ids) {
						c.fatalf("pages of %d: got %d, want %d", limit, got, ids)
					}
				}
				for i, id := range ids {
					result, err := c.contacts.ContactIDs(c.ctx, shopifysync.ContactIDsParams{Connection: tenant, After: id, Limit: 100})
					c.noError("ContactIDs", err)
					if !slices.Equal(result.IDs, ids[i+1:]) {
						c.fatalf("ContactIDs after %d: got %d, want %d", id, result.IDs, ids[i+1:])
					}
				}
			},
		},
		{
			name: "ContactIDs/LiveOnly",
			rule: "ContactIDs leaves tombstones out, and a page is short only if it is the last one.",
			run: func(c *check) {
				var want []shopifysync.CustomerID
				var batch []shopifysync.Contact
				var removals []shopifysync.Removal
				for id := shopifysync.CustomerID(1); id <= 40; id++ {
					batch = append(batch, named(id, "Ann", version(1, 1)))
					if id%10 == 0 {
						want = append(want, id)
					} else {
						removals = append(removals, removal(id))
					}
				}
				c.batch(tenant, false, batch...)
				c.removals(tenant, shopifysync.RemovedDeleted, observedAt(2), removals...)
				c.remove(removed, tenant, shopifysync.RemovedRedacted, observedAt(2), removal(99))
				for _, limit := range []int{1, 2, 3, 4, 5, 100} {
					if got := c.listIDs(tenant, limit); !slices.Equal(got, want) {
						c.fatalf("pages of %d: got %d, want %d", limit, got, want)
					}
				}
				c.upsert(created, named(15, "back", version(1, 3)))
				if got := c.listIDs(tenant, 2); !slices.Equal(got, []shopifysync.CustomerID{10, 15, 20, 30, 40}) {
					c.fatalf("after customer 15 came back: got %d", got)
				}
			},
		},
		{
			name: "ContactIDs/Empty",
			rule: "A connection without contacts has no ids, and that is no error.",
			run: func(c *check) {
				if got := c.listIDs("nobody", 10); len(got) != 0 {
					c.fatalf("got %d", got)
				}
			},
		},
	}
}

// permutations yields every order of 0 to n-1.
func permutations(n int) iter.Seq[[]int] {
	order := make([]int, 0, n)
	var extend func(yield func([]int) bool) bool
	extend = func(yield func([]int) bool) bool {
		if len(order) == n {
			return yield(order)
		}
		for i := range n {
			if slices.Contains(order, i) {
				continue
			}
			order = append(order, i)
			ok := extend(yield)
			order = order[:len(order)-1]
			if !ok {
				return false
			}
		}
		return true
	}
	return func(yield func([]int) bool) { extend(yield) }
}
