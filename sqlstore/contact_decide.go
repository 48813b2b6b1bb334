package sqlstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/omnichat/shopifysync"
)

// A batch is what comes in to be upserted: what can be stored of it, by
// ascending id, those of one id in the order given.
type batch struct {
	connection shopifysync.ConnectionID
	touch      bool
	incoming   []incoming
	ids        []shopifysync.CustomerID // ascending, each once
}

type incoming struct {
	at      int // in the batch as given
	contact shopifysync.Contact
	hash    string
}

// newBatch sets aside what can never be stored, with its result.
func newBatch(p shopifysync.UpsertContactsParams, results []shopifysync.UpsertResult) *batch {
	b := &batch{connection: p.Connection, touch: p.Touch, incoming: make([]incoming, 0, len(p.Contacts))}
	var scratch []byte
	for i := range p.Contacts {
		if reason := refusal(p.Connection, &p.Contacts[i]); reason != "" {
			results[i] = shopifysync.UpsertResult{Outcome: shopifysync.Refused, Reason: reason}
			continue
		}
		in := incoming{at: i, contact: p.Contacts[i]}
		normalize(&in.contact)
		in.hash = contentHash(&in.contact, &scratch)
		b.incoming = append(b.incoming, in)
	}
	byID := func(a, o incoming) int { return cmp.Compare(a.contact.CustomerID, o.contact.CustomerID) }
	if !slices.IsSortedFunc(b.incoming, byID) {
		slices.SortStableFunc(b.incoming, byID)
	}
	b.ids = make([]shopifysync.CustomerID, len(b.incoming))
	for i := range b.incoming {
		b.ids[i] = b.incoming[i].contact.CustomerID
	}
	b.ids = slices.Compact(b.ids)
	return b
}

func sortedUnique(ids []shopifysync.CustomerID) []shopifysync.CustomerID {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// working is a contact while the observations of a batch are applied to it.
type working struct {
	was     head                 // as read
	contact *shopifysync.Contact // as it is now; nil if there is none
	changed bool                 // it is to be written
	content bool                 // not the version alone
}

// A change is a row to be written.
type change struct {
	was         head // what the row must still be; not found: there must be none
	contact     shopifysync.Contact
	hash        string
	versionOnly bool
}

// decide applies the batch to what is stored, by the rules of
// [shopifysync.Apply], and returns what is to be written, by ascending id.
// Heads decide most cases; the whole contact is read only for the others.
func (s *Store) decide(ctx context.Context, b *batch, results []shopifysync.UpsertResult) ([]change, error) {
	heads, err := s.heads(ctx, s.db, b.connection, b.ids)
	if err != nil {
		return nil, err
	}
	var changes []change
	var open [][]incoming // those that the heads do not decide
	var openHeads []head
	var wanted []shopifysync.CustomerID
	rest := b.incoming
	for i := range heads {
		n := 1
		for n < len(rest) && rest[n].contact.CustomerID == rest[0].contact.CustomerID {
			n++
		}
		group := rest[:n]
		rest = rest[n:]
		if n == 1 {
			in := &group[0]
			if outcome, advance, ok := quick(&heads[i], in, b.touch); ok {
				results[in.at] = shopifysync.UpsertResult{Outcome: outcome}
				if advance {
					changes = append(changes, change{was: heads[i], contact: in.contact, hash: in.hash, versionOnly: true})
				}
				continue
			}
		}
		open = append(open, group)
		openHeads = append(openHeads, heads[i])
		if heads[i].live() {
			wanted = append(wanted, b.ids[i])
		}
	}
	whole, err := s.load(ctx, s.db, b.connection, wanted)
	if err != nil {
		return nil, err
	}
	var scratch []byte
	for i, group := range open {
		w := working{was: openHeads[i], contact: openHeads[i].contact(b.connection)}
		if len(whole) > 0 && whole[0].head.id == group[0].contact.CustomerID {
			w.was, w.contact = whole[0].head, &whole[0].contact
			whole = whole[1:]
		}
		for _, in := range group {
			results[in.at] = shopifysync.UpsertResult{Outcome: w.apply(in.contact, b.touch)}
		}
		if w.changed {
			changes = append(changes, change{
				was: w.was, contact: *w.contact, hash: contentHash(w.contact, &scratch), versionOnly: !w.content,
			})
		}
	}
	slices.SortFunc(changes, func(a, o change) int { return cmp.Compare(a.contact.CustomerID, o.contact.CustomerID) })
	return changes, nil
}

// quick decides by the head alone, if that can be; advance tells that the
// stored version is to become the one that comes in.
func quick(h *head, in *incoming, touch bool) (outcome shopifysync.Outcome, advance, ok bool) {
	if !h.live() {
		return "", false, false
	}
	updated := cmp.Compare(in.contact.Version.UpdatedAt.UnixMilli(), h.updatedAt)
	order := cmp.Or(updated, cmp.Compare(in.contact.Version.ObservedAt.UnixMilli(), h.observedAt))
	switch {
	case order < 0:
		return shopifysync.Stale, false, true
	case in.hash == h.hash:
		return shopifysync.Unchanged, updated > 0 || touch && order > 0, true
	}
	return "", false, false
}

func (w *working) apply(in shopifysync.Contact, touch bool) shopifysync.Outcome {
	next, outcome := shopifysync.Apply(w.contact, in)
	switch outcome {
	case shopifysync.Created, shopifysync.Updated:
		w.contact, w.changed, w.content = &next, true, true
	case shopifysync.Unchanged:
		before := w.contact.Version
		advanced := next.Version.Compare(before) > 0
		if advanced && (touch || next.Version.UpdatedAt.After(before.UpdatedAt)) {
			w.contact, w.changed = &next, true
		}
	}
	return outcome
}
