package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/omnichat/shopifysync"
)

const (
	writers = 8
	// A store may give up on a conflict with an error, after which the call may
	// be repeated; it must get through in the end.
	attempts = 20
)

// together runs f in several goroutines at once, and waits for them. In them
// errorf may be called and fatalf may not.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}

// insist repeats a call that failed.
func (c *check) insist(call string, f func() error) {
	var err error
	for range attempts {
		if err = f(); err == nil {
			return
		}
	}
	c.errorf("%s failed %d times: %v", call, attempts, err)
}

func concurrencyCases() []testCase {
	return []testCase{
		{
			name: "Concurrency/SameContacts",
			rule: "However many write the same contacts at once, in whatever order: the newest stays, and each contact is created once.",
			run: func(c *check) {
				const customers, versions = 20, 15
				var mu sync.Mutex
				createdCount := make(map[shopifysync.CustomerID]int)
				together(writers, func(writer int) {
					r := rand.New(rand.NewPCG(uint64(writer), 0))
					for _, n := range r.Perm(versions) {
						var batch []shopifysync.Contact
						for _, i := range r.Perm(customers) {
							batch = append(batch, sampleAt(shopifysync.CustomerID(i+1), n))
						}
						c.insist("UpsertContacts", func() error {
							result, err := c.contacts.UpsertContacts(c.ctx, shopifysync.UpsertContactsParams{Connection: tenant, Contacts: batch, Touch: n%2 == 0})
							mu.Lock()
							defer mu.Unlock()
							for i, upserted := range result.Results {
								if err == nil && upserted.Outcome == created {
									createdCount[batch[i].CustomerID]++
								}
							}
							return err
						})
					}
				})
				for id := shopifysync.CustomerID(1); id <= customers; id++ {
					c.expect(sampleAt(id, versions-1))
					if createdCount[id] != 1 {
						c.errorf("customer %d was created %d times", id, createdCount[id])
					}
				}
			},
		},
		{
			name: "Concurrency/OtherContacts",
			rule: "Writers of different contacts and connections do not disturb each other, nor do readers.",
			run: func(c *check) {
				const batches, size = 10, 20
				contact := func(writer, batch, i int) shopifysync.Contact {
					id := shopifysync.CustomerID(1 + i*batches*writers + batch*writers + writer)
					return under(shopifysync.ConnectionID(fmt.Sprintf("tenant-%d", writer%3)), sampleAt(id, 1))
				}
				together(writers, func(writer int) {
					for n := range batches {
						var batch []shopifysync.Contact
						for i := range size {
							batch = append(batch, contact(writer, n, i))
						}
						id := batch[0].Connection
						c.insist("UpsertContacts", func() error {
							_, err := c.contacts.UpsertContacts(c.ctx, shopifysync.UpsertContactsParams{Connection: id, Contacts: batch})
							return err
						})
						c.insist("Contacts", func() error {
							result, err := c.contacts.Contacts(c.ctx, shopifysync.ContactsParams{Connection: id, IDs: []shopifysync.CustomerID{batch[0].CustomerID}})
							if err == nil && len(result.Contacts) != 1 {
								c.errorf("Contacts does not return what the same caller has just stored")
							}
							return err
						})
						c.insist("ContactIDs", func() error {
							_, err := c.contacts.ContactIDs(c.ctx, shopifysync.ContactIDsParams{Connection: id, Limit: 50})
							return err
						})
					}
				})
				for writer := range writers {
					for n := range batches {
						for i := range size {
							want := contact(writer, n, i)
							c.model.set(want.Connection, want.CustomerID, &want)
						}
					}
				}
				c.verifyAll()
			},
		},
		{
			name: "Concurrency/Removals",
			rule: "Removals and upserts at once end as if one came after the other: what was observed last stays.",
			run: func(c *check) {
				const customers, rounds = 20, 10
				together(writers, func(writer int) {
					remove := func(removals []shopifysync.Removal, observed int) {
						c.insist("RemoveContacts", func() error {
							_, err := c.contacts.RemoveContacts(c.ctx, shopifysync.RemoveContactsParams{
								Connection: tenant, Removals: removals, Reason: shopifysync.RemovedDeleted, ObservedAt: observedAt(observed),
							})
							return err
						})
					}
					r := rand.New(rand.NewPCG(uint64(writer), 1))
					for round, n := range r.Perm(rounds) {
						var batch []shopifysync.Contact
						var all, odd []shopifysync.Removal
						for id := shopifysync.CustomerID(1); id <= customers; id++ {
							batch = append(batch, sampleAt(id, n))
							all = append(all, removal(id))
							if id%2 == 1 {
								odd = append(odd, removal(id))
							}
						}
						c.insist("UpsertContacts", func() error {
							_, err := c.contacts.UpsertContacts(c.ctx, shopifysync.UpsertContactsParams{Connection: tenant, Contacts: batch, Touch: true})
							return err
						})
						remove(all, rounds/2)
						if round == writer {
							remove(odd, 100)
						}
					}
				})
				for id := shopifysync.CustomerID(1); id <= customers; id++ {
					if id%2 == 0 {
						c.expect(sampleAt(id, rounds-1))
						continue
					}
					if got := c.stored(tenant, id); got.Removed != shopifysync.RemovedDeleted || !got.Version.ObservedAt.Equal(observedAt(100)) {
						c.errorf("customer %d was removed after every observation, yet is stored as: %s", id, show(got))
					}
				}
			},
		},
	}
}

// sampleAt returns a contact whose content goes with its version.
func sampleAt(id shopifysync.CustomerID, n int) shopifysync.Contact {
	c := sample(id, version(n, n))
	c.Name = fmt.Sprintf("version %d", n)
	c.Tags = []string{c.Name}
	c.Attributes = []shopifysync.Attribute{
		shopifysync.TextAttribute(shopifysync.AttrNote, c.Name),
		shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, fmt.Sprint(n)),
	}
	return c
}

// expect compares what is stored with one contact.
func (c *check) expect(want shopifysync.Contact) {
	c.Helper()
	if d := difference(want, c.stored(want.Connection, want.CustomerID)); d != "" {
		c.errorf("customer %d is not stored as wanted:\n%s", want.CustomerID, d)
	}
}
