package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

// agentData is what the host keeps of a person beside the contact that is
// synced: agents' own tags, conversations, and whether the person said in one
// that no marketing is wanted. A sync never touches it; an
// erasure does, through [shopifysync.PrivacyHandler].
type agentData struct{ db *sql.DB }

const agentSchema = `
CREATE TABLE IF NOT EXISTS console_tags (
	connection_id TEXT NOT NULL, customer_id INTEGER NOT NULL, tag TEXT NOT NULL,
	PRIMARY KEY (connection_id, customer_id, tag)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS console_messages (
	id INTEGER PRIMARY KEY, connection_id TEXT NOT NULL, customer_id INTEGER NOT NULL,
	author TEXT NOT NULL, body TEXT NOT NULL, sent_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS console_messages_of ON console_messages (connection_id, customer_id, id);
CREATE TABLE IF NOT EXISTS console_opt_outs (
	connection_id TEXT NOT NULL, customer_id INTEGER NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY (connection_id, customer_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS console_requests (
	connection_id TEXT NOT NULL, request_id INTEGER NOT NULL, customer_id INTEGER NOT NULL, received_at INTEGER NOT NULL,
	PRIMARY KEY (connection_id, request_id)
) WITHOUT ROWID;`

func newAgentData(ctx context.Context, db *sql.DB) (*agentData, error) {
	if _, err := db.ExecContext(ctx, agentSchema); err != nil {
		return nil, fmt.Errorf("the agents' tables: %w", err)
	}
	return &agentData{db}, nil
}

const (
	maxAgentTag = 40
	maxMessage  = 2000
)

// tags returns the agents' own tags of a customer, sorted.
func (a *agentData) tags(ctx context.Context, id shopifysync.ConnectionID, customer shopifysync.CustomerID) ([]string, error) {
	rows, err := a.db.QueryContext(ctx, `SELECT tag FROM console_tags WHERE connection_id = ? AND customer_id = ? ORDER BY tag`, string(id), int64(customer))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tags []string
	for rows.Next() {
		var tag string
		if err := rows.Scan(&tag); err != nil {
			return nil, err
		}
		tags = append(tags, tag)
	}
	return tags, rows.Err()
}

func (a *agentData) addTag(ctx context.Context, id shopifysync.ConnectionID, customer shopifysync.CustomerID, tag string) error {
	if tag = cut(tag, maxAgentTag); tag == "" {
		return nil
	}
	_, err := a.db.ExecContext(ctx, `INSERT INTO console_tags VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, string(id), int64(customer), tag)
	return err
}

func (a *agentData) removeTag(ctx context.Context, id shopifysync.ConnectionID, customer shopifysync.CustomerID, tag string) error {
	_, err := a.db.ExecContext(ctx, `DELETE FROM console_tags WHERE connection_id = ? AND customer_id = ? AND tag = ?`, string(id), int64(customer), tag)
	return err
}

// optedOut returns when a customer said in a conversation that no marketing is
// wanted; zero: never. It beats every consent that Shopify has.
func (a *agentData) optedOut(ctx context.Context, id shopifysync.ConnectionID, customer shopifysync.CustomerID) (time.Time, error) {
	var at int64
	err := a.db.QueryRowContext(ctx, `SELECT at FROM console_opt_outs WHERE connection_id = ? AND customer_id = ?`, string(id), int64(customer)).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return time.UnixMilli(at), err
}

func (a *agentData) optOut(ctx context.Context, id shopifysync.ConnectionID, customer shopifysync.CustomerID, out bool) error {
	if !out {
		_, err := a.db.ExecContext(ctx, `DELETE FROM console_opt_outs WHERE connection_id = ? AND customer_id = ?`, string(id), int64(customer))
		return err
	}
	_, err := a.db.ExecContext(ctx, `INSERT INTO console_opt_outs VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, string(id), int64(customer), time.Now().UnixMilli())
	return err
}

// A message is one line of a conversation.
type message struct {
	FromMember bool      `json:"from_member"` // else from an agent
	Body       string    `json:"body"`
	At         time.Time `json:"at"`
}

const (
	lastMessages = 100 // that a page shows
	allMessages  = -1
)

// messages returns the last messages with a customer, oldest first.
func (a *agentData) messages(ctx context.Context, id shopifysync.ConnectionID, customer shopifysync.CustomerID, limit int) ([]message, error) {
	rows, err := a.db.QueryContext(ctx, `
		SELECT author, body, sent_at FROM console_messages WHERE connection_id = ? AND customer_id = ? ORDER BY id DESC LIMIT ?`, string(id), int64(customer), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []message
	for rows.Next() {
		var author string
		var m message
		var at int64
		if err := rows.Scan(&author, &m.Body, &at); err != nil {
			return nil, err
		}
		m.FromMember, m.At = author == "member", time.UnixMilli(at)
		all = append(all, m)
	}
	slices.Reverse(all)
	return all, rows.Err()
}

func (a *agentData) say(ctx context.Context, id shopifysync.ConnectionID, customer shopifysync.CustomerID, m message) error {
	if m.Body = cut(m.Body, maxMessage); m.Body == "" {
		return nil
	}
	author := "agent"
	if m.FromMember {
		author = "member"
	}
	_, err := a.db.ExecContext(ctx, `INSERT INTO console_messages (connection_id, customer_id, author, body, sent_at) VALUES (?, ?, ?, ?, ?)`,
		string(id), int64(customer), author, m.Body, m.At.UnixMilli())
	return err
}

// A dataRequest is a person's request for their data, which the merchant must
// answer within 30 days. No name is kept: the number leads to the person.
type dataRequest struct {
	ID         int64
	Customer   shopifysync.CustomerID // 0: Shopify named none
	ReceivedAt time.Time
}

// Due is when it must be answered.
func (r dataRequest) Due() time.Time { return r.ReceivedAt.AddDate(0, 0, 30) }

func (a *agentData) requests(ctx context.Context, id shopifysync.ConnectionID) ([]dataRequest, error) {
	rows, err := a.db.QueryContext(ctx, `
		SELECT request_id, customer_id, received_at FROM console_requests WHERE connection_id = ? ORDER BY received_at DESC LIMIT 50`, string(id))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []dataRequest
	for rows.Next() {
		var r dataRequest
		var customer, at int64
		if err := rows.Scan(&r.ID, &customer, &at); err != nil {
			return nil, err
		}
		r.Customer, r.ReceivedAt = shopifysync.CustomerID(customer), time.UnixMilli(at)
		all = append(all, r)
	}
	return all, rows.Err()
}

// privacy is what the host does when the law gives a person a right. Both may
// be called again for the same request.
func (a *agentData) privacy() shopifysync.PrivacyHandler {
	return shopifysync.PrivacyHandler{
		DataRequest: func(ctx context.Context, r shopifysync.DataRequest) error {
			var customer shopifysync.CustomerID
			if len(r.Customers) > 0 {
				customer = r.Customers[0]
			}
			_, err := a.db.ExecContext(ctx, `INSERT INTO console_requests VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
				string(r.Connection), r.ID, int64(customer), time.Now().UnixMilli())
			return err
		},
		Erase: func(ctx context.Context, e shopifysync.Erasure) error {
			if len(e.Customers) == 0 { // a whole store's
				return a.forget(ctx, e.Connection)
			}
			for _, table := range personTables {
				for _, customer := range e.Customers {
					if _, err := a.db.ExecContext(ctx, `DELETE FROM `+table+` WHERE connection_id = ? AND customer_id = ?`, string(e.Connection), int64(customer)); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

// personTables hold what is kept of a person.
var personTables = []string{"console_tags", "console_messages", "console_opt_outs"}

// forget deletes all that is kept of a connection's customers.
func (a *agentData) forget(ctx context.Context, id shopifysync.ConnectionID) error {
	for _, table := range append([]string{"console_requests"}, personTables...) {
		if _, err := a.db.ExecContext(ctx, `DELETE FROM `+table+` WHERE connection_id = ?`, string(id)); err != nil {
			return err
		}
	}
	return nil
}

// cut returns the text without space around it, and no longer than n runes.
func cut(text string, n int) string {
	text = strings.TrimSpace(strings.ToValidUTF8(text, ""))
	if r := []rune(text); len(r) > n {
		return string(r[:n])
	}
	return text
}
