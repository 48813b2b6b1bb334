package shopifytest

import (
	"cmp"
	"math/big"
	"slices"
	"strings"
)

// Create adds a customer and returns it as stored. A zero ID is replaced by
// one greater than all before, zero times by the present.
func (st *Store) Create(c Customer) Customer {
	st.mu.Lock()
	now := wholeSecond(st.server.now())
	made := c.clone()
	if made.ID == 0 {
		made.ID = max(st.people.last, st.cfg.FirstCustomerID) + idStride
	}
	if made.CreatedAt.IsZero() {
		made.CreatedAt = now
	}
	if made.UpdatedAt.IsZero() {
		made.UpdatedAt = made.CreatedAt
	}
	made.complete(st.cfg.Currency)
	st.put(made.ID, made, false)
	st.mu.Unlock()
	// Shopify always sends customers/update for a new customer as well.
	st.emit(customerEvent("customers/create", made), customerEvent("customers/update", made))
	return *made.clone()
}

// Update changes a customer as an edit in Shopify's admin does: updatedAt
// becomes the present second, the search index learns of it, and the webhooks
// that fit the change are sent.
func (st *Store) Update(id int64, change func(*Customer)) error {
	return st.edit(id, false, change)
}

// UpdateQuietly changes a customer without moving updatedAt and without
// telling the search index or any webhook, as Shopify has been seen to do for
// tags and for the totals of orders.
func (st *Store) UpdateQuietly(id int64, change func(*Customer)) error {
	return st.edit(id, true, change)
}

func (st *Store) edit(id int64, quiet bool, change func(*Customer)) error {
	st.mu.Lock()
	before := st.people.find(id)
	if before == nil {
		st.mu.Unlock()
		return noCustomer(id)
	}
	after := before.clone()
	change(after)
	after.ID = id
	if !quiet {
		after.UpdatedAt = st.server.now()
	}
	after.complete(st.cfg.Currency)
	st.put(id, after, quiet)
	st.mu.Unlock()
	if !quiet {
		st.emit(changeEvents(before, after)...)
	}
	return nil
}

// AddTags adds tags to a customer, in Shopify's way: only customer.tags_added
// is sent, updatedAt stays, and the search index does not notice.
func (st *Store) AddTags(id int64, tags ...string) error {
	return st.retag(id, func(c *Customer) {
		for _, tag := range tags {
			if !slices.Contains(c.Tags, tag) {
				c.Tags = append(c.Tags, tag)
			}
		}
		slices.Sort(c.Tags)
	})
}

// RemoveTags takes tags from a customer, as [Store.AddTags] adds them.
func (st *Store) RemoveTags(id int64, tags ...string) error {
	return st.retag(id, func(c *Customer) {
		c.Tags = slices.DeleteFunc(c.Tags, func(tag string) bool { return slices.Contains(tags, tag) })
	})
}

func (st *Store) retag(id int64, change func(*Customer)) error {
	var before, after []string
	err := st.UpdateQuietly(id, func(c *Customer) {
		before = slices.Clone(c.Tags)
		change(c)
		after = slices.Clone(c.Tags)
	})
	if err == nil {
		st.emit(tagEvents(id, before, after)...)
	}
	return err
}

// PlaceOrder counts an order of the customer and adds to the amount spent,
// which becomes total. Only customers/purchasing_summary is sent; updatedAt
// stays.
func (st *Store) PlaceOrder(id int64, total string) error {
	var after *Customer
	err := st.UpdateQuietly(id, func(c *Customer) {
		c.NumberOfOrders++
		c.AmountSpent.Amount = total
		after = c.clone()
	})
	if err == nil {
		st.emit(purchaseEvent(after))
	}
	return err
}

// Delete removes a customer and sends customers/delete.
func (st *Store) Delete(id int64) error {
	st.mu.Lock()
	gone := st.people.find(id)
	if gone == nil {
		st.mu.Unlock()
		return noCustomer(id)
	}
	st.put(id, nil, false)
	st.mu.Unlock()
	st.emit(deleteEvent(gone))
	return nil
}

// Merge merges one customer into another, which keeps its own fields and gains
// the orders, the tags and, in the same currency, the amount spent of the one
// that is gone.
func (st *Store) Merge(kept, gone int64) error {
	st.mu.Lock()
	a, b := st.people.find(kept), st.people.find(gone)
	if a == nil || b == nil || kept == gone {
		st.mu.Unlock()
		if a != nil {
			return noCustomer(gone)
		}
		return noCustomer(kept)
	}
	merged := a.clone()
	merged.NumberOfOrders += b.NumberOfOrders
	if merged.AmountSpent.Currency == b.AmountSpent.Currency {
		merged.AmountSpent.Amount = sum(merged.AmountSpent.Amount, b.AmountSpent.Amount)
	}
	for _, tag := range b.Tags {
		if !slices.Contains(merged.Tags, tag) {
			merged.Tags = append(merged.Tags, tag)
		}
	}
	if merged.Email == "" {
		merged.Email, merged.EmailConsent = b.Email, b.clone().EmailConsent
	}
	if merged.Phone == "" {
		other := b.clone()
		merged.Phone, merged.SMSConsent, merged.WhatsAppConsent = other.Phone, other.SMSConsent, other.WhatsAppConsent
	}
	merged.UpdatedAt = wholeSecond(st.server.now())
	st.put(kept, merged, false)
	st.put(gone, nil, false)
	st.mu.Unlock()
	st.emit(mergeEvent(kept, gone, "completed"), customerEvent("customers/update", merged))
	return nil
}

// sum adds amounts exactly, and writes one digit after the point at least, as
// Shopify does. What is no number adds nothing.
func sum(a, b string) string {
	x, ok := new(big.Rat).SetString(a)
	y, ok2 := new(big.Rat).SetString(b)
	if !ok || !ok2 {
		return a
	}
	_, decimalsA, _ := strings.Cut(a, ".")
	_, decimalsB, _ := strings.Cut(b, ".")
	text := x.Add(x, y).FloatString(max(1, len(decimalsA), len(decimalsB)))
	whole, decimals, _ := strings.Cut(text, ".")
	return whole + "." + cmp.Or(strings.TrimRight(decimals, "0"), "0")
}

// FailMerge sends the customers/merge of a merge that failed: Shopify sends it
// too, and nothing has changed.
func (st *Store) FailMerge(kept, gone int64) { st.NotifyMerge(kept, gone, "failed") }

// NotifyMerge sends a customers/merge with a status, without changing anything.
// Shopify's are completed, failed, in_progress and requested; a receiver may
// meet others.
func (st *Store) NotifyMerge(kept, gone int64, status string) {
	st.emitTo(st.subscribed(), false, mergeEvent(kept, gone, status))
}

// Redact removes what identifies a person, as a request for erasure does at
// Shopify: the customer stays, its consents are REDACTED. The topic
// customers/redact comes days later: send it with [Store.Notify].
func (st *Store) Redact(id int64) error {
	return st.Update(id, (*Customer).redact)
}

// Uninstall removes the app from the store: its tokens and subscriptions are
// gone, and app/uninstalled is sent.
func (st *Store) Uninstall() {
	st.mu.Lock()
	told := slices.Clone(st.subscriptions)
	st.cfg.State = Uninstalled
	st.subscriptions = nil
	clear(st.tokens)
	st.mu.Unlock()
	st.emitTo(told, false, shopEvent("app/uninstalled"))
}

// Reinstall installs the app again, with a new permanent token.
func (st *Store) Reinstall(token string) {
	st.Configure(func(c *StoreConfig) {
		c.State = Open
		c.AccessToken = token
	})
}
