package main

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/omnichat/shopifysync"
)

//go:embed schema.sql
var schema string

// A Store is the team's table people behind [shopifysync.ContactStore]. Make
// one with [NewStore].
//
// Every change is one transaction that holds SQLite's write lock from its
// first read on, so that nothing comes between reading a row, deciding by
// [shopifysync.Apply] and writing it: neither another sync nor an agent.
type Store struct{ db *sql.DB }

var _ shopifysync.ContactStore = (*Store)(nil)

// dataSource is the data source name of a database file for modernc.org/sqlite.
// The store relies on two of its settings: a transaction takes the write lock
// at once (in PostgreSQL and MySQL: SELECT ... FOR UPDATE), and foreign keys
// are enforced.
func dataSource(file string) string {
	escaped := (&url.URL{Path: file}).EscapedPath()
	return "file:" + escaped + "?_txlock=immediate&_pragma=foreign_keys(1)" +
		"&_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)"
}

// NewStore creates the tables that are not there yet. The database must have
// been opened as [dataSource] says.
func NewStore(ctx context.Context, db *sql.DB) (*Store, error) {
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, fmt.Errorf("create the tables: %w", err)
	}
	return &Store{db}, nil
}

// UpsertContacts implements [shopifysync.ContactStore].
func (s *Store) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	results := make([]shopifysync.UpsertResult, len(p.Contacts))
	err := s.transact(ctx, p.Connection, func(tx *sql.Tx) error {
		for i, in := range p.Contacts {
			if reason := refusal(p.Connection, in); reason != "" {
				results[i] = shopifysync.UpsertResult{Outcome: shopifysync.Refused, Reason: reason}
				continue
			}
			done, err := apply(ctx, tx, in, p.Touch)
			if err != nil {
				return err // nothing of the call is stored, and it may be repeated
			}
			results[i].Outcome = done.outcome
		}
		return nil
	})
	if err != nil {
		return shopifysync.UpsertContactsResult{}, err
	}
	return shopifysync.UpsertContactsResult{Results: results}, nil
}

// RemoveContacts implements [shopifysync.ContactStore].
func (s *Store) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	var result shopifysync.RemoveContactsResult
	if p.Reason == "" {
		return result, errors.New("a removal needs a reason")
	}
	err := s.transact(ctx, p.Connection, func(tx *sql.Tx) error {
		remove := func(r shopifysync.Removal) (shopifysync.Outcome, error) {
			done, err := apply(ctx, tx, shopifysync.Contact{
				Connection: p.Connection, CustomerID: r.CustomerID,
				Version: shopifysync.Version{ObservedAt: p.ObservedAt},
				Removed: p.Reason, MergedInto: r.MergedInto,
			}, false)
			if done.wasLive && done.outcome == shopifysync.Removed {
				result.Removed++
			}
			return done.outcome, err
		}
		if p.All {
			return everyMember(ctx, tx, p.Connection, func(id shopifysync.CustomerID) error {
				_, err := remove(shopifysync.Removal{CustomerID: id})
				return err
			})
		}
		for _, r := range p.Removals {
			outcome, err := remove(r)
			if err != nil {
				return err
			}
			result.Outcomes = append(result.Outcomes, outcome)
		}
		return nil
	})
	if err != nil {
		return shopifysync.RemoveContactsResult{}, err
	}
	return result, nil
}

// Contacts implements [shopifysync.ContactStore]. It answers from the side
// table: what the library reads back is what it wrote, whatever agents made of
// the team's own row.
func (s *Store) Contacts(ctx context.Context, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
	var result shopifysync.ContactsResult
	for _, id := range p.IDs {
		m, err := readMember(ctx, s.db, p.Connection, id)
		if err != nil {
			return shopifysync.ContactsResult{}, err
		}
		if m.contact != nil {
			result.Contacts = append(result.Contacts, *m.contact)
		}
	}
	return result, nil
}

// ContactIDs implements [shopifysync.ContactStore].
func (s *Store) ContactIDs(ctx context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
	ids, err := memberIDs(ctx, s.db, p.Connection, p.After, p.Limit, onlyLive)
	return shopifysync.ContactIDsResult{IDs: ids}, err
}

// MergedCustomers implements [shopifysync.MergedFinder]: when somebody is
// erased, the people whom the team had under the numbers merged into theirs are
// erased, too.
func (s *Store) MergedCustomers(ctx context.Context, p shopifysync.MergedCustomersParams) (shopifysync.MergedCustomersResult, error) {
	ids, err := mergedIDs(ctx, s.db, p.Connection, p.Into)
	return shopifysync.MergedCustomersResult{Customers: ids}, err
}

// applied tells what apply did.
type applied struct {
	outcome shopifysync.Outcome
	wasLive bool // there was a live contact before
}

// apply is all there is to it: read what is stored, let [shopifysync.Apply]
// decide, write. In an observation and in a removal alike, and for each
// contact on its own, so that one may occur twice in a call.
//
// SQLite answers in microseconds. Across a network, read and write all rows of
// a call with one statement each, in ascending order of the key so that two
// calls cannot wait for each other.
func apply(ctx context.Context, tx *sql.Tx, in shopifysync.Contact, touch bool) (applied, error) {
	m, err := readMember(ctx, tx, in.Connection, in.CustomerID)
	if err != nil {
		return applied{}, err
	}
	if m.contact == nil && in.Removed == shopifysync.RemovedSkipped {
		return applied{outcome: shopifysync.Unchanged}, nil // never seen, and not wanted: no tombstone
	}
	next, outcome := shopifysync.Apply(m.contact, in)
	done := applied{outcome, m.contact != nil && m.contact.Removed == ""}
	switch {
	case outcome == shopifysync.Stale:
		return done, nil
	case outcome == shopifysync.Unchanged && in.Removed == "":
		if !touch && next.Version.UpdatedAt.Equal(m.contact.Version.UpdatedAt) {
			return done, nil // a sync of an unchanged store costs no write
		}
	default:
		if err := m.follow(ctx, tx, in, next); err != nil {
			return applied{}, err
		}
	}
	m.contact = &next
	return done, m.save(ctx, tx)
}

// transact runs f in a transaction, which is committed unless f fails.
func (s *Store) transact(ctx context.Context, connection shopifysync.ConnectionID, f func(*sql.Tx) error) error {
	if connection == "" || !storable(string(connection)) {
		return errors.New("customstore: a connection's ID must be UTF-8 without NUL, and not empty")
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit there is nothing to roll back
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// refusal tells why a contact can never be stored, or returns "". It names the
// kind of text, never the text: that is personal.
func refusal(connection shopifysync.ConnectionID, c shopifysync.Contact) string {
	if c.Connection != connection || c.CustomerID <= 0 || c.Removed != "" {
		return "it is no live contact of this connection"
	}
	var attributes, whatsApp []string
	for _, a := range c.Attributes {
		attributes = append(attributes, string(a.Key), string(a.Kind), a.Number, a.Currency, a.Text,
			string(a.Consent.State), string(a.Consent.Level), a.Consent.CollectedFrom, a.Consent.Address)
	}
	if w := c.WhatsApp; w != nil {
		whatsApp = []string{w.Account, w.UserID, w.Name}
	}
	for _, part := range []struct {
		name  string
		texts []string
	}{
		{"a name", []string{c.Name, c.FirstName, c.LastName}},
		{"the e-mail", []string{c.Email}},
		{"the phone", []string{c.Phone, string(c.PhoneSource)}},
		{"a tag", c.Tags},
		{"an attribute", attributes},
		{"the WhatsApp contact", whatsApp},
	} {
		if !storable(part.texts...) {
			return part.name + " holds a NUL character or is not valid UTF-8"
		}
	}
	return ""
}

func storable(texts ...string) bool {
	for _, t := range texts {
		if strings.ContainsRune(t, 0) || !utf8.ValidString(t) {
			return false
		}
	}
	return true
}
