package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

// A check is one case at work. Its methods call the store, compare what came
// with what [shopifysync.Apply] says, and end the case when they differ.
type check struct {
	reporter
	stores
	ctx   context.Context
	rule  string
	model model
}

func (c *check) fatalf(format string, args ...any) {
	c.Helper()
	c.Fatalf("%s\nThe contract: %s", fmt.Sprintf(format, args...), c.rule)
}

func (c *check) errorf(format string, args ...any) {
	c.Helper()
	c.Errorf("%s\nThe contract: %s", fmt.Sprintf(format, args...), c.rule)
}

// noError ends the case if a call failed.
func (c *check) noError(call string, err error) {
	c.Helper()
	if err != nil {
		c.fatalf("%s failed: %v", call, err)
	}
}

// errorIs ends the case unless a call failed with the error wanted.
func (c *check) errorIs(call string, err, want error) {
	c.Helper()
	if !errors.Is(err, want) {
		c.fatalf("%s: got the error %v, want one that matches: %v", call, err, want)
	}
}

// kept ends the case if a call changed values that were passed in, or their order.
func kept[T comparable](c *check, call string, before, after []T) {
	c.Helper()
	if !slices.Equal(before, after) {
		c.fatalf("%s changed the values passed in, which no method may\nbefore: %+v\nafter: %+v", call, before, after)
	}
}

func customersOf(contacts []shopifysync.Contact) []shopifysync.CustomerID {
	ids := make([]shopifysync.CustomerID, len(contacts))
	for i := range contacts {
		ids[i] = contacts[i].CustomerID
	}
	return ids
}

// upsert stores one contact, which must have the outcome wanted.
func (c *check) upsert(want shopifysync.Outcome, in shopifysync.Contact) {
	c.Helper()
	c.one(want, in, false)
}

// touch is upsert with Touch.
func (c *check) touch(want shopifysync.Outcome, in shopifysync.Contact) {
	c.Helper()
	c.one(want, in, true)
}

func (c *check) one(want shopifysync.Outcome, in shopifysync.Contact, touch bool) {
	c.Helper()
	if got := c.batch(in.Connection, touch, in)[0]; got != want {
		c.fatalf("customer %d: the outcome is %q, want %q", in.CustomerID, got, want)
	}
}

// batch stores contacts and verifies outcomes and what is stored against
// Apply. It returns the outcomes.
func (c *check) batch(id shopifysync.ConnectionID, touch bool, contacts ...shopifysync.Contact) []shopifysync.Outcome {
	c.Helper()
	before := customersOf(contacts)
	result, err := c.contacts.UpsertContacts(c.ctx, shopifysync.UpsertContactsParams{
		Connection: id, Contacts: contacts, Touch: touch,
	})
	c.noError("UpsertContacts", err)
	kept(c, "UpsertContacts", before, customersOf(contacts))
	if len(result.Results) != len(contacts) {
		c.fatalf("UpsertContacts returned %d results for %d contacts", len(result.Results), len(contacts))
	}
	possible := c.model.worlds(id)
	outcomes := make([]shopifysync.Outcome, len(contacts))
	for i, in := range contacts {
		outcomes[i] = result.Results[i].Outcome
		if hasNUL(in) {
			c.refused(in, result.Results[i])
			possible.mention(in.CustomerID)
			continue
		}
		if wanted := possible.upsert(in, touch, outcomes[i]); len(wanted) > 0 {
			c.fatalf("customer %d, contact %d of the batch: the outcome is %q, want %q\nthe contact: %s",
				in.CustomerID, i+1, outcomes[i], wanted, show(in))
		}
	}
	c.verify(id, possible)
	return outcomes
}

func (c *check) refused(in shopifysync.Contact, got shopifysync.UpsertResult) {
	c.Helper()
	switch {
	case got.Outcome != shopifysync.Refused:
		c.fatalf("customer %d holds a NUL character: the outcome is %q, want %q", in.CustomerID, got.Outcome, shopifysync.Refused)
	case got.Reason == "":
		c.fatalf("customer %d was refused without a reason", in.CustomerID)
	}
	for _, text := range texts(in) {
		if text.personal && len(text.value) > 2 && strings.Contains(got.Reason, strings.Trim(text.value, "\x00")) {
			c.fatalf("the reason for refusing customer %d gives the contact's %s away", in.CustomerID, text.name)
		}
	}
}

// remove removes one contact, which must have the outcome wanted.
func (c *check) remove(want shopifysync.Outcome, id shopifysync.ConnectionID, reason shopifysync.RemovalReason, observed time.Time, r shopifysync.Removal) {
	c.Helper()
	if got := c.removals(id, reason, observed, r)[0]; got != want {
		c.fatalf("removing customer %d (%s): the outcome is %q, want %q", r.CustomerID, reason, got, want)
	}
}

// removals removes contacts and verifies outcomes, count and what is stored.
func (c *check) removals(id shopifysync.ConnectionID, reason shopifysync.RemovalReason, observed time.Time, removals ...shopifysync.Removal) []shopifysync.Outcome {
	c.Helper()
	before := slices.Clone(removals)
	result, err := c.contacts.RemoveContacts(c.ctx, shopifysync.RemoveContactsParams{
		Connection: id, Removals: removals, Reason: reason, ObservedAt: observed,
	})
	c.noError("RemoveContacts", err)
	kept(c, "RemoveContacts", before, removals)
	if len(result.Outcomes) != len(removals) {
		c.fatalf("RemoveContacts returned %d outcomes for %d removals", len(result.Outcomes), len(removals))
	}
	possible := c.model.worlds(id)
	var removed int64
	for i, r := range removals {
		want, live := possible.remove(id, reason, observed, r)
		if result.Outcomes[i] != want {
			c.fatalf("removing customer %d (%s), removal %d of the call: the outcome is %q, want %q",
				r.CustomerID, reason, i+1, result.Outcomes[i], want)
		}
		if live && want == shopifysync.Removed {
			removed++
		}
	}
	if result.Removed != removed {
		c.fatalf("RemoveContacts counted %d live contacts removed, want %d", result.Removed, removed)
	}
	c.verify(id, possible)
	return result.Outcomes
}

// removeAll removes every contact of a connection, and verifies.
func (c *check) removeAll(id shopifysync.ConnectionID, reason shopifysync.RemovalReason, observed time.Time) {
	c.Helper()
	result, err := c.contacts.RemoveContacts(c.ctx, shopifysync.RemoveContactsParams{
		Connection: id, All: true, Reason: reason, ObservedAt: observed,
	})
	c.noError("RemoveContacts with All", err)
	if len(result.Outcomes) != 0 {
		c.fatalf("RemoveContacts with All returned %d outcomes, want none", len(result.Outcomes))
	}
	possible := c.model.worlds(id)
	var removed int64
	for customer, stored := range c.model[id] {
		if stored == nil { // never seen
			continue
		}
		want, live := possible.remove(id, reason, observed, shopifysync.Removal{CustomerID: customer})
		if live && want == shopifysync.Removed {
			removed++
		}
	}
	if result.Removed != removed {
		c.fatalf("RemoveContacts with All counted %d live contacts removed, want %d", result.Removed, removed)
	}
	c.verify(id, possible)
}

// verify compares what the store has with what it may have, and takes over
// into the model which of the possibilities came true.
func (c *check) verify(id shopifysync.ConnectionID, possible worlds) {
	c.Helper()
	ids := possible.ids()
	got := c.read(id, ids...)
	for _, customer := range ids {
		alternatives := possible.touched[customer]
		stored, found := got[customer]
		i := slices.IndexFunc(alternatives, func(want *shopifysync.Contact) bool {
			if want == nil || !found {
				return want == nil && !found
			}
			return difference(*want, stored) == ""
		})
		switch {
		case i >= 0:
			c.model.set(id, customer, alternatives[i])
		case !found:
			c.fatalf("customer %d of connection %q is not stored, want: %s", customer, id, show(*alternatives[0]))
		case alternatives[0] == nil:
			c.fatalf("customer %d of connection %q is stored, though nothing should be: %s", customer, id, show(stored))
		default:
			c.fatalf("customer %d of connection %q is not stored as Apply says:\n%s",
				customer, id, difference(*alternatives[0], stored))
		}
	}
}

// verifyAll compares everything that the model knows of, and the listings.
func (c *check) verifyAll() {
	c.Helper()
	for id, contacts := range c.model {
		possible := c.model.worlds(id)
		var live []shopifysync.CustomerID
		for customer, stored := range contacts {
			possible.mention(customer)
			if stored != nil && stored.Removed == "" {
				live = append(live, customer)
			}
		}
		c.verify(id, possible)
		slices.Sort(live)
		if got := c.listIDs(id, 1000); !slices.Equal(got, live) {
			c.fatalf("ContactIDs of connection %q: got %d, want %d", id, got, live)
		}
	}
}

// read returns what is stored under the ids.
func (c *check) read(id shopifysync.ConnectionID, ids ...shopifysync.CustomerID) map[shopifysync.CustomerID]shopifysync.Contact {
	c.Helper()
	found := make(map[shopifysync.CustomerID]shopifysync.Contact)
	for chunk := range slices.Chunk(ids, 1000) {
		before := slices.Clone(chunk)
		result, err := c.contacts.Contacts(c.ctx, shopifysync.ContactsParams{Connection: id, IDs: chunk})
		c.noError("Contacts", err)
		kept(c, "Contacts", before, chunk)
		for _, contact := range result.Contacts {
			if _, twice := found[contact.CustomerID]; twice {
				c.fatalf("Contacts returned customer %d twice", contact.CustomerID)
			}
			if !slices.Contains(chunk, contact.CustomerID) || contact.Connection != id {
				c.fatalf("Contacts of connection %q returned customer %d of connection %q, which was not asked for",
					id, contact.CustomerID, contact.Connection)
			}
			found[contact.CustomerID] = contact
		}
	}
	return found
}

// stored returns what is stored of one customer, which must be there.
func (c *check) stored(id shopifysync.ConnectionID, customer shopifysync.CustomerID) shopifysync.Contact {
	c.Helper()
	contact, found := c.read(id, customer)[customer]
	if !found {
		c.fatalf("customer %d of connection %q is not stored", customer, id)
	}
	return contact
}

// listIDs returns the ids of live contacts, read by pages.
func (c *check) listIDs(id shopifysync.ConnectionID, limit int) []shopifysync.CustomerID {
	c.Helper()
	var ids []shopifysync.CustomerID
	var after shopifysync.CustomerID
	for {
		result, err := c.contacts.ContactIDs(c.ctx, shopifysync.ContactIDsParams{Connection: id, After: after, Limit: limit})
		c.noError("ContactIDs", err)
		if len(result.IDs) > limit {
			c.fatalf("ContactIDs returned %d ids, the limit is %d", len(result.IDs), limit)
		}
		for _, next := range result.IDs {
			if next <= after {
				c.fatalf("ContactIDs returned %d after %d, which is not ascending", next, after)
			}
			after = next
		}
		ids = append(ids, result.IDs...)
		if len(result.IDs) < limit {
			return ids
		}
	}
}
