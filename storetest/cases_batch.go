package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/omnichat/shopifysync"
)

func batchCases() []testCase {
	return []testCase{
		{
			name: "Batch/Empty",
			rule: "A batch of no contacts, a removal of none and a look-up of none are no errors.",
			run: func(c *check) {
				c.batch(tenant, false)
				c.removals(tenant, shopifysync.RemovedDeleted, observedAt(1))
				result, err := c.contacts.Contacts(c.ctx, shopifysync.ContactsParams{Connection: tenant})
				c.noError("Contacts", err)
				if len(result.Contacts) != 0 {
					c.fatalf("Contacts of no ids returned %d", len(result.Contacts))
				}
			},
		},
		{
			name: "Batch/Outcomes",
			rule: "There is one outcome per contact, in the order given.",
			run: func(c *check) {
				c.batch(tenant, false, named(30, "c", version(5, 5)), named(10, "a", version(5, 5)), named(20, "b", version(5, 5)))
				got := c.batch(tenant, false,
					named(40, "d", version(5, 5)), named(20, "b", version(6, 6)),
					named(30, "other", version(4, 4)), named(10, "other", version(6, 6)))
				if want := []shopifysync.Outcome{created, unchanged, stale, updated}; !slices.Equal(got, want) {
					c.fatalf("the outcomes are %q, want %q", got, want)
				}
			},
		},
		{
			name: "Batch/Duplicates",
			rule: "A batch in which a contact occurs more than once ends as if its contacts came one by one, in the order given.",
			run: func(c *check) {
				base := []shopifysync.Contact{
					named(1, "one", version(1, 1)), named(1, "two", version(2, 2)),
					named(1, "two", version(2, 3)), named(1, "three", version(2, 4)),
				}
				var id shopifysync.CustomerID
				for order := range permutations(len(base)) {
					id++
					batch := []shopifysync.Contact{named(id+1000, "bystander", version(1, 1))}
					for _, i := range order {
						batch = append(batch, with(base[i], func(c *shopifysync.Contact) { c.CustomerID = id }))
					}
					c.batch(tenant, id%2 == 0, batch...)
				}
			},
		},
		{
			name: "Batch/DuplicateAttributes",
			rule: "The second of two observations in a batch adds to the first: attributes that it does not list stay.",
			run: func(c *check) {
				first, second := named(1, "Ann", version(1, 1)), named(1, "Ann", version(1, 2))
				first.Attributes = []shopifysync.Attribute{shopifysync.TextAttribute(shopifysync.AttrNote, "note")}
				second.Attributes = []shopifysync.Attribute{shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, "1")}
				c.batch(tenant, false, first, second)
			},
		},
		{
			name: "Batch/Large",
			rule: "A batch of 1,000 contacts, in any order, is stored; the same again is unchanged.",
			run: func(c *check) {
				batch := make([]shopifysync.Contact, 1000)
				for i, n := range rand.New(rand.NewPCG(1, 0)).Perm(len(batch)) {
					batch[i] = sample(shopifysync.CustomerID(n+1), version(1, 1))
				}
				c.batch(tenant, false, batch...)
				c.batch(tenant, false, batch...)
				for i := range batch {
					batch[i].Version = version(2, 2)
					if i%10 == 0 {
						batch[i].Email = fmt.Sprintf("new-%d@example.com", i)
					}
				}
				c.batch(tenant, false, batch...)
				c.verifyAll()
			},
		},
		{
			name: "Batch/Refused",
			rule: "A contact with a NUL in a text is refused, with a reason that holds nothing personal; what is stored of it stays, and the rest of the batch is stored.",
			run: func(c *check) {
				c.upsert(created, sample(50, version(1, 1)))
				for i, spoil := range spoilers {
					id := shopifysync.CustomerID(100 + i)
					c.batch(tenant, false,
						named(id, "before", version(1, 1)),
						with(sample(50, version(2, 2)), spoil),
						with(sample(id+1000, version(1, 1)), spoil),
						named(id+2000, "after", version(1, 1)))
				}
				c.batch(tenant, false, with(sample(7, version(1, 1)), spoilers[0]))
				c.verifyAll()
			},
		},
		{
			name: "Batch/RefusedDuplicate",
			rule: "A contact that is refused takes no other of its customer in the batch along.",
			run: func(c *check) {
				spoilt := func(n int) shopifysync.Contact { return with(sample(1, version(n, n)), spoilers[0]) }
				c.batch(tenant, false, spoilt(1), named(1, "Ann", version(2, 2)), spoilt(3), named(1, "Anne", version(4, 4)), spoilt(5))
			},
		},
		{
			name: "Context/Cancelled",
			rule: "A call whose context has ended returns an error and stores nothing.",
			run: func(c *check) {
				c.upsert(created, named(1, "Ann", version(1, 1)))
				ctx, cancel := context.WithCancel(c.ctx)
				cancel()
				_, err := c.contacts.UpsertContacts(ctx, shopifysync.UpsertContactsParams{
					Connection: tenant, Contacts: []shopifysync.Contact{named(1, "Bob", version(2, 2)), named(2, "Eve", version(2, 2))},
				})
				c.cancelled("UpsertContacts", err)
				_, err = c.contacts.RemoveContacts(ctx, shopifysync.RemoveContactsParams{
					Connection: tenant, Reason: shopifysync.RemovedDeleted, ObservedAt: observedAt(3),
					Removals: []shopifysync.Removal{{CustomerID: 1}, {CustomerID: 2}},
				})
				c.cancelled("RemoveContacts", err)
				_, err = c.contacts.RemoveContacts(ctx, shopifysync.RemoveContactsParams{
					Connection: tenant, Reason: shopifysync.RemovedDisconnected, ObservedAt: observedAt(3), All: true,
				})
				c.cancelled("RemoveContacts with All", err)
				_, err = c.contacts.Contacts(ctx, shopifysync.ContactsParams{Connection: tenant, IDs: []shopifysync.CustomerID{1}})
				c.cancelled("Contacts", err)
				_, err = c.contacts.ContactIDs(ctx, shopifysync.ContactIDsParams{Connection: tenant, Limit: 10})
				c.cancelled("ContactIDs", err)
				c.model.set(tenant, 2, nil)
				c.verifyAll()
			},
		},
		{
			name: "Context/CancelledMidway",
			rule: "A call whose context ends while it is at work stores all and returns no error, or stores nothing and returns one; the next call works.",
			run: func(c *check) {
				const rounds, customers = 50, 50
				batch := func(n int) []shopifysync.Contact {
					contacts := make([]shopifysync.Contact, customers)
					for i := range contacts {
						contacts[i] = sampleAt(shopifysync.CustomerID(i+1), n)
					}
					return contacts
				}
				all := make([]shopifysync.Removal, customers)
				for i := range all {
					all[i].CustomerID = shopifysync.CustomerID(i + 1)
				}
				remove := func(ctx context.Context, n int) error {
					_, err := c.contacts.RemoveContacts(ctx, shopifysync.RemoveContactsParams{
						Connection: tenant, Removals: all, Reason: shopifysync.RemovedDeleted, ObservedAt: observedAt(n),
					})
					return err
				}
				for n := 0; n < 4*rounds; n += 4 {
					start := time.Now()
					c.batch(tenant, false, batch(n)...)
					took := time.Since(start)
					possible := c.model.worlds(tenant)
					c.midway("UpsertContacts", took, possible, func(ctx context.Context) error {
						_, err := c.contacts.UpsertContacts(ctx, shopifysync.UpsertContactsParams{Connection: tenant, Contacts: batch(n + 1)})
						return err
					}, func() {
						for _, in := range batch(n + 1) {
							possible.upsert(in, false, updated)
						}
					})

					start = time.Now()
					c.noError("RemoveContacts", remove(c.ctx, n+2))
					took = time.Since(start)
					for _, r := range all {
						possible.remove(tenant, shopifysync.RemovedDeleted, observedAt(n+2), r)
					}
					c.verify(tenant, possible)
					possible = c.model.worlds(tenant)
					c.midway("RemoveContacts", took, possible, func(ctx context.Context) error {
						return remove(ctx, n+3)
					}, func() {
						for _, r := range all {
							possible.remove(tenant, shopifysync.RemovedDeleted, observedAt(n+3), r)
						}
					})
				}
			},
		},
	}
}

// midway makes a call that takes so long, ends its context at some moment, and
// verifies that what was to be stored is, unless the call failed.
func (c *check) midway(name string, takes time.Duration, possible worlds, call func(context.Context) error, succeeded func()) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, rand.N(max(takes, time.Microsecond)))
	defer cancel()
	switch err := call(ctx); {
	case err == nil:
		succeeded()
	case ctx.Err() == nil:
		c.fatalf("%s failed though its context had not ended: %v", name, err)
	}
	for customer := range c.model[tenant] {
		possible.mention(customer)
	}
	c.verify(tenant, possible)
}

func (c *check) cancelled(call string, err error) {
	c.Helper()
	if err == nil {
		c.fatalf("%s returned no error though its context was cancelled", call)
	}
}

// spoilers put a NUL into one text each.
var spoilers = []func(*shopifysync.Contact){
	func(c *shopifysync.Contact) { c.Name = "王\x00小明" },
	func(c *shopifysync.Contact) { c.FirstName = "小明\x00" },
	func(c *shopifysync.Contact) { c.LastName = "\x00王" },
	func(c *shopifysync.Contact) { c.Email = "ming\x00@example.com" },
	func(c *shopifysync.Contact) { c.Phone = "+886\x00912345678" },
	func(c *shopifysync.Contact) { c.Tags[1] = "會員\x00" },
	func(c *shopifysync.Contact) { c.Attributes[1].Text = "喜歡\x00咖啡" },
	func(c *shopifysync.Contact) { c.Attributes[0].Consent.Address = "ming\x00@example.com" },
	func(c *shopifysync.Contact) { c.Attributes[0].Consent.State = "SUBSCRIBED\x00" },
	func(c *shopifysync.Contact) { c.Attributes[3].Consent.CollectedFrom = "OTHER\x00" },
	func(c *shopifysync.Contact) { c.Attributes[2].Number = "7\x00" },
	func(c *shopifysync.Contact) { c.Attributes[4].Currency = "TWD\x00" },
	func(c *shopifysync.Contact) { c.Attributes[4].Key = "zzz\x00" },
	func(c *shopifysync.Contact) { c.WhatsApp.Account = "wa\x00" },
	func(c *shopifysync.Contact) { c.WhatsApp.UserID = "886912345678\x00" },
	func(c *shopifysync.Contact) { c.WhatsApp.Name = "王小明\x00" },
}
