package storetest

import (
	"github.com/omnichat/shopifysync"
)

var ordinaryReasons = []shopifysync.RemovalReason{
	shopifysync.RemovedSkipped, shopifysync.RemovedDisconnected, shopifysync.RemovedDeleted,
	shopifysync.RemovedMerged, shopifysync.RemovedShopRedacted,
}

func removal(id shopifysync.CustomerID) shopifysync.Removal {
	return shopifysync.Removal{CustomerID: id}
}

func removalCases() []testCase {
	return []testCase{
		{
			name: "Removal/Tombstone",
			rule: "A removed contact becomes a tombstone with key, version and reason, and nothing personal.",
			run: func(c *check) {
				for i, reason := range append(ordinaryReasons, shopifysync.RemovedRedacted) {
					id := shopifysync.CustomerID(i + 1)
					c.upsert(created, with(sample(id, version(1, 1)), func(c *shopifysync.Contact) { c.Masked = shopifysync.FieldLocale }))
					c.remove(removed, tenant, reason, observedAt(2), removal(id))
					c.nothingPersonal(id, sample(id, version(1, 1)))
				}
				c.verifyAll()
			},
		},
		{
			name: "Removal/NeverSeen",
			rule: "A customer never seen gets a tombstone too, which older observations do not bring to life.",
			run: func(c *check) {
				for i, reason := range append(ordinaryReasons, shopifysync.RemovedRedacted) {
					if reason == shopifysync.RemovedSkipped {
						continue
					}
					id := shopifysync.CustomerID(i + 1)
					c.remove(removed, tenant, reason, observedAt(5), removal(id))
					c.upsert(stale, named(id, "Ann", version(9, 4)))
				}
			},
		},
		{
			name: "Removal/SkippedNeverSeen",
			rule: "A customer whom a mapper leaves out and who was never seen gets no tombstone; the outcome is unchanged.",
			run: func(c *check) {
				c.remove(unchanged, tenant, shopifysync.RemovedSkipped, observedAt(5), removal(1))
				c.upsert(created, named(1, "Ann", version(1, 1)))
			},
		},
		{
			name: "Removal/Outdated",
			rule: "A removal does nothing to a contact that was observed later.",
			run: func(c *check) {
				for i, reason := range ordinaryReasons {
					id := shopifysync.CustomerID(i + 1)
					c.upsert(created, named(id, "Ann", version(1, 5)))
					c.remove(stale, tenant, reason, observedAt(4), removal(id))
					c.remove(removed, tenant, reason, observedAt(5), removal(id))
				}
			},
		},
		{
			name: "Removal/Revival",
			rule: "A contact comes back by an observation later than the removal, whatever its UpdatedAt, and not by any other.",
			run: func(c *check) {
				for i, reason := range ordinaryReasons {
					id := shopifysync.CustomerID(i + 1)
					c.upsert(created, sample(id, version(5, 1)))
					c.remove(removed, tenant, reason, observedAt(10), removal(id))
					c.upsert(stale, sample(id, version(9, 9)))
					c.upsert(stale, sample(id, version(9, 10)))
					c.touch(stale, sample(id, version(9, 10)))
					c.upsert(created, named(id, "back", version(1, 11)))
				}
			},
		},
		{
			name: "Removal/Later",
			rule: "Of two removals the later one stays, in whatever order they come.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(5, 1)))
				c.remove(removed, tenant, shopifysync.RemovedDeleted, observedAt(10), removal(1))
				c.remove(unchanged, tenant, shopifysync.RemovedDisconnected, observedAt(20), removal(1))
				c.remove(unchanged, tenant, shopifysync.RemovedMerged, observedAt(15), shopifysync.Removal{CustomerID: 1, MergedInto: 2})
				c.upsert(stale, named(1, "Ann", version(9, 19)))
				c.upsert(created, named(1, "Ann", version(9, 21)))
			},
		},
		{
			name: "Removal/SameTime",
			rule: "Of two removals of one time the reason decides: skipped, disconnected, deleted, merged, shop redacted, redacted.",
			run: func(c *check) {
				for i, first := range ordinaryReasons {
					for j, second := range ordinaryReasons {
						id := shopifysync.CustomerID(10*i + j + 1)
						c.upsert(created, named(id, "Ann", version(1, 1)))
						c.remove(removed, tenant, first, observedAt(2), removal(id))
						c.remove(unchanged, tenant, second, observedAt(2), removal(id))
					}
				}
				for i, order := range [][2]shopifysync.CustomerID{{8, 9}, {9, 8}} {
					id := shopifysync.CustomerID(100 + i)
					c.remove(removed, tenant, shopifysync.RemovedMerged, observedAt(2), shopifysync.Removal{CustomerID: id, MergedInto: order[0]})
					c.remove(unchanged, tenant, shopifysync.RemovedMerged, observedAt(2), shopifysync.Removal{CustomerID: id, MergedInto: order[1]})
				}
			},
		},
		{
			name: "Removal/Merged",
			rule: "A merged contact's tombstone keeps the survivor's id, until the contact comes back.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(1, 1)))
				c.remove(removed, tenant, shopifysync.RemovedMerged, observedAt(2),
					shopifysync.Removal{CustomerID: 1, MergedInto: 9007199254740993})
				c.upsert(created, named(1, "Ann", version(1, 3)))
			},
		},
		{
			name: "Removal/Redacted",
			rule: "A redacted contact never comes back, neither by far later observations nor after other removals; redaction wins whenever it was observed.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(1, 50)))
				c.remove(removed, tenant, shopifysync.RemovedRedacted, observedAt(2), removal(1)) // observed before the contact
				c.nothingPersonal(1, sample(1, version(1, 1)))
				c.remove(removed, tenant, shopifysync.RemovedRedacted, observedAt(2), removal(2)) // never seen
				c.upsert(created, sample(3, version(1, 1)))
				c.remove(removed, tenant, shopifysync.RemovedMerged, observedAt(60), shopifysync.Removal{CustomerID: 3, MergedInto: 1})
				c.remove(unchanged, tenant, shopifysync.RemovedRedacted, observedAt(2), removal(3)) // long gone
				for id := shopifysync.CustomerID(1); id <= 3; id++ {
					for _, reason := range append(ordinaryReasons, shopifysync.RemovedRedacted) {
						c.remove(unchanged, tenant, reason, observedAt(1000), removal(id))
					}
					later := sample(id, version(100_000_000, 100_000_000))
					c.upsert(stale, later)
					c.touch(stale, later)
				}
				c.removeAll(tenant, shopifysync.RemovedDisconnected, observedAt(2000))
				c.upsert(stale, sample(1, version(200_000_000, 200_000_000)))
			},
		},
		{
			name: "Removal/Outcomes",
			rule: "There is one outcome per removal, in the order given, and a count of the live contacts removed; a contact may occur twice.",
			run: func(c *check) {
				c.batch(tenant, false, named(30, "c", version(1, 9)), named(10, "a", version(1, 1)), named(20, "b", version(1, 1)))
				c.removals(tenant, shopifysync.RemovedDeleted, observedAt(5),
					removal(20), removal(40), removal(30), removal(20), removal(10), removal(40))
				c.verifyAll()
			},
		},
		{
			name: "Removal/NoReason",
			rule: "A removal without a reason is an error, and removes nothing.",
			run: func(c *check) {
				c.upsert(created, named(1, "Ann", version(1, 1)))
				for call, p := range map[string]shopifysync.RemoveContactsParams{
					"RemoveContacts":          {Removals: []shopifysync.Removal{removal(1)}},
					"RemoveContacts with All": {All: true},
				} {
					p.Connection, p.ObservedAt = tenant, observedAt(2)
					if _, err := c.contacts.RemoveContacts(c.ctx, p); err == nil {
						c.fatalf("%s without a reason returned no error", call)
					}
					c.verifyAll()
				}
			},
		},
		{
			name: "Removal/All",
			rule: "All removes every contact of the connection that was not observed later. Tombstones are removed again, so that a later removal is not undone by what was observed before it.",
			run: func(c *check) {
				for _, reason := range []shopifysync.RemovalReason{shopifysync.RemovedShopRedacted, shopifysync.RemovedDisconnected} {
					id := shopifysync.ConnectionID("all " + reason)
					c.batch(id, false, under(id, sample(1, version(1, 1))), under(id, sample(2, version(1, 1))), under(id, sample(3, version(1, 99))))
					c.remove(removed, id, shopifysync.RemovedDeleted, observedAt(3), removal(2))
					c.remove(removed, id, shopifysync.RemovedRedacted, observedAt(3), removal(4))
					c.remove(removed, id, shopifysync.RemovedDeleted, observedAt(50), removal(5))
					c.removeAll(id, reason, observedAt(10))
					c.verifyAll()
					c.upsert(stale, under(id, sample(2, version(9, 9)))) // seen after its removal, before that of all
					c.upsert(stale, under(id, sample(4, version(9, 99))))
					c.upsert(stale, under(id, sample(5, version(9, 49))))
					c.removeAll("nobody's "+id, reason, observedAt(10))
				}
			},
		},
		{
			name: "Removal/AllMany",
			rule: "All removes every contact, however many there are.",
			run: func(c *check) {
				var batch []shopifysync.Contact
				for id := range shopifysync.CustomerID(2500) {
					batch = append(batch, named(id+1, "Ann", version(1, 1)))
					if len(batch) == 500 {
						c.batch(tenant, false, batch...)
						batch = nil
					}
				}
				c.removeAll(tenant, shopifysync.RemovedShopRedacted, observedAt(2))
				c.verifyAll()
			},
		},
		{
			name: "Removal/ShopRedactedStartsAfresh",
			rule: "After a whole shop was redacted a later connection may start afresh: contacts observed later are created.",
			run: func(c *check) {
				c.batch(tenant, false, sample(1, version(1, 1)), sample(2, version(1, 1)))
				c.removeAll(tenant, shopifysync.RemovedShopRedacted, observedAt(5))
				c.nothingPersonal(1, sample(1, version(1, 1)))
				c.upsert(stale, sample(1, version(1, 5)))
				c.upsert(created, sample(1, version(1, 6)))
			},
		},
	}
}

// nothingPersonal ends the case if what is stored holds a text of the contact
// that it was. Apply leaves none either; this does not rely on it.
func (c *check) nothingPersonal(id shopifysync.CustomerID, was shopifysync.Contact) {
	c.Helper()
	grave := c.stored(was.Connection, id)
	for _, t := range texts(grave) {
		if t.value != "" {
			c.fatalf("the tombstone of customer %d keeps its %s", id, t.name)
		}
	}
	if len(grave.Tags) > 0 || len(grave.Attributes) > 0 || grave.WhatsApp != nil {
		c.fatalf("the tombstone of customer %d keeps tags, attributes or a WhatsApp contact", id)
	}
}
