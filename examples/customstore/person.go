package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/omnichat/shopifysync"
)

// A person is what the sync reads and writes of a row of the team's table. The
// agents' note is not among it: what is not read cannot be overwritten.
type person struct {
	id    int64 // 0: not in the table yet
	name  string
	email string
	phone string // as the telephone system dials it
	tags  []string
	ref   string // external_ref; "" for NULL
}

// follow brings the team's table up to date with what becomes of a member: in
// is what came, next is what will be stored of it.
func (m *member) follow(ctx context.Context, tx *sql.Tx, in, next shopifysync.Contact) error {
	p, err := m.findPerson(ctx, tx)
	if err != nil {
		return err
	}
	var before shopifysync.Contact // to somebody not linked so far, everything is new
	if p.id != 0 && p.id == m.person {
		before = *m.contact
	} else {
		m.given = nil
	}
	switch {
	case in.Removed == "":
		m.given = p.carryOver(before, next, m.given)
		p.ref = m.ref()
	case p.id == 0:
		return nil // the team's table knows nothing of this customer
	default:
		p.unlink(m.given)
		m.given = nil
	}
	// Asked of what came, not of what is stored: a redaction that finds a
	// tombstone still has the unlinked person to erase.
	if erases(in.Removed) {
		p.erase()
	}
	if err := p.save(ctx, tx); err != nil {
		return err
	}
	m.person = p.id
	if erases(in.Removed) {
		m.person = 0 // nothing leads from the tombstone to the person any more
	}
	return nil
}

// carryOver writes into the person what changed in Shopify since the member
// was last stored, and nothing else: a name that an agent corrected stays until
// Shopify has a new one. It returns which tags now come from Shopify.
func (p *person) carryOver(before, after shopifysync.Contact, given []string) []string {
	if after.Name != before.Name {
		p.name = after.Name
	}
	if after.Email != before.Email {
		p.email = after.Email
	}
	if after.Phone != before.Phone {
		p.phone = dialled(after.Phone)
	}
	p.tags, given = mergeTags(p.tags, given, before.Tags, after.Tags)
	return given
}

// unlink makes the person one of the team's own again: reference and tags of
// the shop go; the row with its id, name, e-mail, phone and note stays, and so
// does every conversation that points to it.
func (p *person) unlink(given []string) {
	p.ref = ""
	p.tags, _ = mergeTags(p.tags, given, nil, nil)
}

// erase empties what identifies a person, whoever wrote it last: after an
// unlink nobody can tell, and a name that an agent corrected is that person's
// name still. The id stays, for conversations. Agents' notes and tags are the
// team's to judge.
func (p *person) erase() { p.name, p.email, p.phone = "", "", "" }

// erases reports whether a removal asks for erasure, and not only for the end
// of the link.
func erases(reason shopifysync.RemovalReason) bool {
	return reason == shopifysync.RemovedRedacted || reason == shopifysync.RemovedShopRedacted
}

// mergeTags merges three ways: the tags that agents see and edit (shown), those
// that Shopify had when they were last merged (before), and those that it has
// now (after). What Shopify added is added; what it took away is taken away if
// it came from there (given); all else is as the agents left it. It returns the
// new shown and the new given.
//
// Given tells a tag that came from Shopify from one that an agent had set
// before Shopify did: the agent's stays when Shopify drops it.
func mergeTags(shown, given, before, after []string) (merged, stillGiven []string) {
	for _, tag := range shown {
		came := slices.Contains(given, tag)
		if came && !slices.Contains(after, tag) {
			continue
		}
		merged = append(merged, tag)
		if came {
			stillGiven = append(stillGiven, tag)
		}
	}
	for _, tag := range after {
		if !slices.Contains(before, tag) && !slices.Contains(merged, tag) {
			merged = append(merged, tag)
			stillGiven = append(stillGiven, tag)
		}
	}
	return merged, stillGiven
}

// dialled turns E.164 into what the team's telephone system dials. A number
// that could not be made E.164 stays as the merchant typed it.
func dialled(phone string) string {
	if digits, ok := strings.CutPrefix(phone, "+"); ok {
		return "00" + digits
	}
	return phone
}

func (m *member) ref() string { return fmt.Sprintf("shopify:%s:%d", m.connection, m.customer) }

// findPerson returns the person who bears the member's reference (an import
// may have set it long ago), else the one whom the member was linked to before
// it was removed, unless that one has another link by now. One with the id 0 is
// nobody yet.
func (m *member) findPerson(ctx context.Context, tx *sql.Tx) (*person, error) {
	var p person
	var tags []byte
	err := tx.QueryRowContext(ctx, `
		SELECT id, display_name, email, phone, tags, COALESCE(external_ref, '') FROM people
		WHERE external_ref = ? OR id = ? AND external_ref IS NULL
		ORDER BY external_ref IS NULL LIMIT 1`,
		m.ref(), m.person,
	).Scan(&p.id, &p.name, &p.email, &p.phone, &tags, &p.ref)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &p, nil
	case err != nil:
		return nil, err
	}
	if err := json.Unmarshal(tags, &p.tags); err != nil {
		return nil, fmt.Errorf("customstore: the tags of person %d are no JSON array of texts: correct them", p.id)
	}
	return &p, nil
}

// save writes the row; a new one gets its id.
func (p *person) save(ctx context.Context, tx *sql.Tx) error {
	columns := []any{p.name, p.email, p.phone, tagsText(p.tags), p.ref}
	if p.id == 0 {
		return tx.QueryRowContext(ctx, `
			INSERT INTO people (display_name, email, phone, tags, external_ref)
			VALUES (?, ?, ?, ?, NULLIF(?, '')) RETURNING id`, columns...).Scan(&p.id)
	}
	_, err := tx.ExecContext(ctx, `
		UPDATE people SET display_name = ?, email = ?, phone = ?, tags = ?, external_ref = NULLIF(?, '')
		WHERE id = ?`, append(columns, p.id)...)
	return err
}

// tagsText is the JSON array that both tables keep tags in.
func tagsText(tags []string) string {
	if tags == nil {
		return "[]"
	}
	text, _ := json.Marshal(tags) // texts always can be
	return string(text)
}
