package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/omnichat/shopifysync"
)

// A member is a row of the side table.
type member struct {
	connection shopifysync.ConnectionID
	customer   shopifysync.CustomerID
	contact    *shopifysync.Contact // live or a tombstone; nil: never seen
	given      []string             // the person's tags that came from Shopify
	person     int64                // people.id; 0: none
}

// A querier is a *sql.DB or a *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// readMember returns what is stored of a customer; its contact is nil if
// nothing is.
func readMember(ctx context.Context, q querier, connection shopifysync.ConnectionID, customer shopifysync.CustomerID) (*member, error) {
	m := &member{connection: connection, customer: customer}
	var contact, given []byte
	err := q.QueryRowContext(ctx,
		`SELECT contact, given_tags, COALESCE(person_id, 0) FROM shopify_members WHERE connection = ? AND customer_id = ?`,
		string(connection), int64(customer)).Scan(&contact, &given, &m.person)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return m, nil
	case err != nil:
		return nil, err
	}
	if err := errors.Join(json.Unmarshal(contact, &m.contact), json.Unmarshal(given, &m.given)); err != nil {
		return nil, fmt.Errorf("customstore: the row of customer %d in shopify_members is damaged: delete it and sync again", customer)
	}
	return m, nil
}

// save writes the row. The whole contact is one JSON text: it comes back
// exactly as it was, and a field that a later version of the library adds needs
// no new column.
func (m *member) save(ctx context.Context, tx *sql.Tx) error {
	contact, err := json.Marshal(m.contact)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO shopify_members (connection, customer_id, live, contact, given_tags, person_id)
		VALUES (?, ?, ?, ?, ?, NULLIF(?, 0))
		ON CONFLICT (connection, customer_id) DO UPDATE SET
			live = excluded.live, contact = excluded.contact, given_tags = excluded.given_tags, person_id = excluded.person_id`,
		string(m.connection), int64(m.customer), m.contact.Removed == "", string(contact), tagsText(m.given), m.person)
	return err
}

// Which members memberIDs lists.
const (
	onlyLive     = " AND live"
	andGraves    = ""
	removalBatch = 1000
)

// memberIDs returns ids greater than after in ascending order, at most limit.
func memberIDs(ctx context.Context, q querier, connection shopifysync.ConnectionID, after shopifysync.CustomerID, limit int, which string) ([]shopifysync.CustomerID, error) {
	return queryIDs(ctx, q,
		`SELECT customer_id FROM shopify_members WHERE connection = ? AND customer_id > ?`+which+` ORDER BY customer_id LIMIT ?`,
		string(connection), int64(after), limit)
}

// mergedIDs returns the customers whose tombstones say that they were merged
// into that one; 0 is nobody. In JSON an id is a text: numbers there lose digits in some
// languages.
func mergedIDs(ctx context.Context, q querier, connection shopifysync.ConnectionID, into shopifysync.CustomerID) ([]shopifysync.CustomerID, error) {
	return queryIDs(ctx, q,
		`SELECT customer_id FROM shopify_members WHERE connection = ? AND NOT live AND contact ->> '$.MergedInto' = NULLIF(?, '0') ORDER BY customer_id`,
		string(connection), into.String())
}

func queryIDs(ctx context.Context, q querier, query string, args ...any) ([]shopifysync.CustomerID, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []shopifysync.CustomerID
	for rows.Next() {
		var id shopifysync.CustomerID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// everyMember calls f for each customer of a connection, tombstones included:
// they are removed again, so that what was observed before the later removal
// does not bring them back.
func everyMember(ctx context.Context, tx *sql.Tx, connection shopifysync.ConnectionID, f func(shopifysync.CustomerID) error) error {
	var after shopifysync.CustomerID
	for {
		ids, err := memberIDs(ctx, tx, connection, after, removalBatch, andGraves)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := f(id); err != nil {
				return err
			}
			after = id
		}
	}
}
