package storetest

import (
	"slices"

	"github.com/omnichat/shopifysync"
)

// mergedCases check a store that is a [shopifysync.MergedFinder], and pass one
// that is not.
func mergedCases() []testCase {
	merged := func(id, into shopifysync.CustomerID) shopifysync.Removal {
		return shopifysync.Removal{CustomerID: id, MergedInto: into}
	}
	return []testCase{
		{
			name: "Merged/Into",
			rule: "MergedCustomers returns the customers of the connection whose tombstones have that survivor, by ascending id. One who came back, or was redacted, has none.",
			run: func(c *check) {
				c.batch(tenant, false, sample(9, version(1, 1)), sample(10, version(1, 1)), sample(100, version(1, 1)), sample(1, version(1, 1)))
				for _, r := range []shopifysync.Removal{merged(10, 1), merged(9, 1), merged(100, 10), merged(8, 1), merged(7, 1), merged(5, 0)} {
					c.remove(removed, tenant, shopifysync.RemovedMerged, observedAt(2), r)
				}
				c.remove(removed, "tenant-2", shopifysync.RemovedMerged, observedAt(2), merged(4, 1))
				c.remove(unchanged, tenant, shopifysync.RemovedRedacted, observedAt(3), removal(8))
				c.upsert(created, sample(7, version(1, 3)))
				c.expectMerged(tenant, 1, 9, 10)
				c.expectMerged(tenant, 10, 100)
				c.expectMerged(tenant, 9)
				c.expectMerged(tenant, 0)
				c.expectMerged("tenant-2", 1, 4)
			},
		},
	}
}

func (c *check) expectMerged(id shopifysync.ConnectionID, into shopifysync.CustomerID, want ...shopifysync.CustomerID) {
	c.Helper()
	finder, ok := c.contacts.(shopifysync.MergedFinder)
	if !ok {
		return
	}
	got, err := finder.MergedCustomers(c.ctx, shopifysync.MergedCustomersParams{Connection: id, Into: into})
	c.noError("MergedCustomers", err)
	if !slices.Equal(got.Customers, want) {
		c.fatalf("MergedCustomers into customer %d: got %d, want %d", into, got.Customers, want)
	}
}
