package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"

	"github.com/omnichat/shopifysync"
)

type sqlite struct{ sqliteList }

func (sqlite) rebind(query string) string { return query }

func (sqlite) now() string {
	return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
}

func (sqlite) lockRows() string { return "" }

// begin takes the write lock at once: a transaction that reads first and
// writes later fails with SQLITE_BUSY when another wrote in between.
func (sqlite) begin(ctx context.Context, db *sql.DB) (transaction, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	tx := &sqliteTransaction{Conn: conn, ctx: ctx}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		// A driver may report the context's end although it began.
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

type sqliteTransaction struct {
	*sql.Conn
	ctx context.Context
}

func (t *sqliteTransaction) Commit() error {
	if _, err := t.ExecContext(t.ctx, "COMMIT"); err != nil {
		return errors.Join(err, t.Rollback())
	}
	return t.Close()
}

// Rollback works after the context ended, too, and after SQLite rolled back by
// itself, as it does when a statement is interrupted or the disk is full. A
// connection that cannot roll back must not return to the pool with an open
// transaction.
func (t *sqliteTransaction) Rollback() error {
	_, err := t.ExecContext(context.WithoutCancel(t.ctx), "ROLLBACK")
	if err != nil && strings.Contains(err.Error(), "no transaction is active") {
		err = nil
	}
	if err != nil {
		_ = t.Raw(func(any) error { return driver.ErrBadConn })
	}
	return errors.Join(err, t.Close())
}

func (sqlite) idsIn() string { return "customer_id IN (SELECT value FROM json_each(?))" }

func (sqlite) bindIDs(query string, args []any, ids []shopifysync.CustomerID) (string, []any) {
	return query, append(args, "["+joinIDs(ids)+"]")
}

// joinIDs returns the ids with commas between them.
func joinIDs(ids []shopifysync.CustomerID) string {
	b := make([]byte, 0, 16*len(ids))
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return string(b)
}

// insert runs one prepared statement a row, which in SQLite is faster than
// many rows a statement: there is no server to talk to.
func (sqlite) insert(ctx context.Context, q querier, s *Store, ins *insertion, connection shopifysync.ConnectionID, cells []any) error {
	stmt, err := q.PrepareContext(ctx, s.text(ins.sqliteTemplate()))
	if err != nil {
		return err
	}
	defer stmt.Close()
	args := make([]any, 1+len(ins.columns))
	args[0] = string(connection)
	for ; len(cells) > 0; cells = cells[len(ins.columns):] {
		copy(args[1:], cells)
		if _, err := stmt.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func (ins *insertion) sqliteTemplate() string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + ins.table + " AS old (connection_id")
	for _, c := range ins.columns {
		b.WriteString(", " + c.name)
	}
	b.WriteString(") VALUES (?" + strings.Repeat(", ?", len(ins.columns)) + ")")
	b.WriteString(ins.onConflict())
	return b.String()
}

// onConflict is the upsert clause of SQLite and PostgreSQL.
func (ins *insertion) onConflict() string {
	if len(ins.update) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(" ON CONFLICT (connection_id, customer_id) DO UPDATE SET ")
	for i, a := range ins.update {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.column + " = " + strings.ReplaceAll(a.expression, "new.", "excluded."))
	}
	return b.String()
}

func (sqlite) dueConnections() string { return dueBySkipping }

// diagnose knows the result codes of modernc.org/sqlite by its method Code, and
// those of other drivers by their texts, which are SQLite's own
// (https://www.sqlite.org/rescode.html).
func (sqlite) diagnose(err error) (problem, string) {
	var coded interface{ Code() int }
	code := 0
	if errors.As(err, &coded) {
		code = coded.Code()
	}
	said := func(text string) bool { return strings.Contains(err.Error(), text) }
	name := "SQLite error"
	if code != 0 {
		name += " " + strconv.Itoa(code)
	}
	switch primary := code & 0xff; {
	case primary == 5, primary == 6, said("database is locked"), said("database table is locked"):
		return transient, name
	case primary == 13, said("database or disk is full"):
		return diskFull, name
	case primary == 8, said("attempt to write a readonly database"):
		return readOnly, name
	case said("UNIQUE constraint failed"):
		return duplicate, name
	case said("no such table"), said("no such column"), said("has no column named"):
		return missingTable, name
	case code != 0:
		return otherProblem, name
	}
	return otherProblem, ""
}

// migrating waits for another process, however long that migrates, and whatever
// the busy timeout is.
func (s sqlite) migrating(ctx context.Context, db *sql.DB, _ config, migrate func(querier) error) error {
	tx, err := s.begin(ctx, db)
	for err != nil {
		if problem, _ := s.diagnose(err); problem != transient {
			return err
		}
		if err := sleep(ctx, maxPause); err != nil {
			return err
		}
		tx, err = s.begin(ctx, db)
	}
	if err := migrate(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
