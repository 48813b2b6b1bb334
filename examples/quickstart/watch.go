package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/sqlstore"
)

// A watchedStore prints each contact that changes, once it is switched on. It
// is the SQL store in every other way: a host that wants to tell its users of
// changes wraps its own store like this.
type watchedStore struct {
	*sqlstore.Store
	out *output
	on  atomic.Bool
}

// A jsonChange is one contact that changed, in the -json output.
type jsonChange struct {
	CustomerID shopifysync.CustomerID    `json:"customer_id"`
	Outcome    shopifysync.Outcome       `json:"outcome"`
	Name       string                    `json:"name,omitempty"`
	Changed    []string                  `json:"changed,omitempty"` // fields and attributes
	Reason     shopifysync.RemovalReason `json:"reason,omitempty"`  // why it was removed
}

// UpsertContacts implements [shopifysync.ContactStore].
func (s *watchedStore) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	if !s.on.Load() {
		return s.Store.UpsertContacts(ctx, p)
	}
	var ids []shopifysync.CustomerID
	for _, c := range p.Contacts {
		ids = append(ids, c.CustomerID)
	}
	before, err := s.byID(ctx, p.Connection, ids)
	if err != nil {
		return shopifysync.UpsertContactsResult{}, err
	}
	result, err := s.Store.UpsertContacts(ctx, p)
	if err != nil {
		return result, err
	}
	for i, r := range result.Results {
		if r.Outcome != shopifysync.Created && r.Outcome != shopifysync.Updated {
			continue
		}
		now, _ := shopifysync.Apply(before[ids[i]], p.Contacts[i])
		change := jsonChange{CustomerID: ids[i], Outcome: r.Outcome, Name: now.Name}
		if old := before[ids[i]]; old != nil && r.Outcome == shopifysync.Updated {
			change.Changed = differences(*old, now)
		}
		before[ids[i]] = &now // the same one may come twice
		s.out.change(change)
	}
	return result, nil
}

// RemoveContacts implements [shopifysync.ContactStore].
func (s *watchedStore) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	result, err := s.Store.RemoveContacts(ctx, p)
	if err != nil || !s.on.Load() {
		return result, err
	}
	for i, outcome := range result.Outcomes {
		if outcome == shopifysync.Removed {
			s.out.change(jsonChange{CustomerID: p.Removals[i].CustomerID, Outcome: outcome, Reason: p.Reason})
		}
	}
	return result, nil
}

func (s *watchedStore) byID(ctx context.Context, connection shopifysync.ConnectionID, ids []shopifysync.CustomerID) (map[shopifysync.CustomerID]*shopifysync.Contact, error) {
	found := make(map[shopifysync.CustomerID]*shopifysync.Contact, len(ids))
	for chunk := range slices.Chunk(ids, 1000) {
		got, err := s.Contacts(ctx, shopifysync.ContactsParams{Connection: connection, IDs: chunk})
		if err != nil {
			return nil, err
		}
		for _, c := range got.Contacts {
			found[c.CustomerID] = &c
		}
	}
	return found, nil
}

// differences names the fields and attributes in which two contacts differ.
func differences(old, now shopifysync.Contact) []string {
	var names []string
	differ := func(name string, yes bool) {
		if yes {
			names = append(names, name)
		}
	}
	differ("name", old.Name != now.Name || old.FirstName != now.FirstName || old.LastName != now.LastName)
	differ("email", old.Email != now.Email)
	differ("phone", old.Phone != now.Phone)
	differ("tags", !slices.Equal(old.Tags, now.Tags))
	values := make(map[shopifysync.AttributeKey]string)
	for _, a := range old.Attributes {
		values[a.Key] = value(a)
	}
	for _, a := range now.Attributes {
		differ(string(a.Key), values[a.Key] != value(a))
		delete(values, a.Key)
	}
	for _, a := range old.Attributes {
		_, gone := values[a.Key]
		differ(string(a.Key), gone)
	}
	return names
}

// change prints one.
func (o *output) change(c jsonChange) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.json {
		_ = json.NewEncoder(o.stdout).Encode(c) // nobody reads any more: nothing to do about it
		return
	}
	var what strings.Builder
	fmt.Fprintf(&what, "%s  %-8s #%d", time.Now().Format(time.TimeOnly), c.Outcome, c.CustomerID)
	if c.Name != "" {
		fmt.Fprintf(&what, " %s", c.Name)
	}
	if c.Reason != "" {
		fmt.Fprintf(&what, " (%s)", c.Reason)
	}
	if len(c.Changed) > 0 {
		fmt.Fprintf(&what, ": %s", strings.Join(c.Changed, ", "))
	}
	fmt.Fprintln(o.stdout, what.String())
}
