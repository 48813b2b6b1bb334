package storetest

import (
	"slices"
	"strings"

	"github.com/omnichat/shopifysync"
)

// lookalikeConnections are ids that a database might take for one another.
func lookalikeConnections() []shopifysync.ConnectionID {
	ids := []shopifysync.ConnectionID{
		shopifysync.ConnectionID(strings.Repeat("x", 254) + "y"), // the longest
		shopifysync.ConnectionID(strings.Repeat("x", 254) + "z"),
		shopifysync.ConnectionID(strings.Repeat("😀", 63) + "abc"),
		shopifysync.ConnectionID(strings.Repeat("😀", 63) + "abd"),
		"%", "_", "tenant:1", "tenant/1", "../tenant",
	}
	for _, text := range lookalikes {
		ids = append(ids, shopifysync.ConnectionID(text))
	}
	return ids
}

func tenancyCases() []testCase {
	const other shopifysync.ConnectionID = "tenant-2"
	return []testCase{
		{
			name: "Tenancy/SameCustomer",
			rule: "Connections are apart: the same customer id under another one is another contact with a version of its own.",
			run: func(c *check) {
				c.upsert(created, under(other, named(1, "theirs", version(9, 9))))
				c.upsert(created, named(1, "ours", version(1, 1)))
				c.upsert(updated, named(1, "ours again", version(2, 2)))
				c.upsert(updated, under(other, named(1, "theirs again", version(10, 10))))
				c.upsert(stale, under(other, named(1, "old", version(9, 9))))
				c.verifyAll()
			},
		},
		{
			name: "Tenancy/Lookup",
			rule: "Contacts and ContactIDs answer for the connection named only.",
			run: func(c *check) {
				c.upsert(created, under(other, named(1, "theirs", version(9, 9))))
				c.upsert(created, named(2, "ours", version(1, 1)))
				if got := c.read(tenant, 1, 2); len(got) != 1 {
					c.fatalf("Contacts 1 and 2 of connection %q: got %d contacts, want customer 2 alone", tenant, len(got))
				}
				if got := c.listIDs(other, 10); !slices.Equal(got, []shopifysync.CustomerID{1}) {
					c.fatalf("ContactIDs of connection %q: got %d, want [1]", other, got)
				}
			},
		},
		{
			name: "Tenancy/Removal",
			rule: "A removal under one connection leaves the same customer of another one alone.",
			run: func(c *check) {
				for _, id := range []shopifysync.ConnectionID{tenant, other} {
					c.batch(id, false, under(id, sample(1, version(1, 1))), under(id, sample(2, version(1, 1))))
				}
				c.remove(removed, tenant, shopifysync.RemovedRedacted, observedAt(2), removal(1))
				c.verifyAll()
				c.removeAll(tenant, shopifysync.RemovedDisconnected, observedAt(2))
				c.verifyAll()
				c.upsert(updated, under(other, named(1, "still here", version(1, 2))))
				c.upsert(stale, sample(2, version(1, 2)))
			},
		},
		{
			name: "Tenancy/ByteExactIDs",
			rule: "Connection ids are compared byte for byte: case, space, width, normal form and length up to 255 bytes count.",
			run: func(c *check) {
				ids := lookalikeConnections()
				for i, id := range ids {
					c.upsert(created, under(id, named(1, string(rune('A'+i)), version(100-i, 100-i))))
					c.upsert(created, under(id, named(shopifysync.CustomerID(i+2), "", version(1, 1))))
				}
				c.verifyAll()
				for i, id := range ids {
					if i%2 == 0 {
						c.removeAll(id, shopifysync.RemovedDisconnected, observedAt(1000))
					}
				}
				c.verifyAll()
			},
		},
		{
			name: "Tenancy/NULRefused",
			rule: "A connection id with a NUL in it is an error; it is never cut short.",
			run: func(c *check) {
				const id = tenant + "\x00"
				c.upsert(created, named(1, "Ann", version(1, 1)))
				_, err := c.contacts.UpsertContacts(c.ctx, shopifysync.UpsertContactsParams{
					Connection: id, Contacts: []shopifysync.Contact{under(id, named(1, "other", version(2, 2)))},
				})
				c.wantError("UpsertContacts", err)
				_, err = c.contacts.RemoveContacts(c.ctx, shopifysync.RemoveContactsParams{
					Connection: id, Removals: []shopifysync.Removal{removal(1)}, Reason: shopifysync.RemovedDeleted, ObservedAt: observedAt(2),
				})
				c.wantError("RemoveContacts", err)
				contacts, err := c.contacts.Contacts(c.ctx, shopifysync.ContactsParams{Connection: id, IDs: []shopifysync.CustomerID{1}})
				if err == nil && len(contacts.Contacts) > 0 {
					c.fatalf("Contacts found a contact under it")
				}
				ids, err := c.contacts.ContactIDs(c.ctx, shopifysync.ContactIDsParams{Connection: id, Limit: 10})
				if err == nil && len(ids.IDs) > 0 {
					c.fatalf("ContactIDs found a contact under it")
				}
				c.verifyAll()
			},
		},
	}
}

func (c *check) wantError(call string, err error) {
	c.Helper()
	if err == nil {
		c.fatalf("%s returned no error", call)
	}
}
