package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/omnichat/shopifysync"
)

type postgres struct{ postgresList }

func (postgres) rebind(query string) string {
	var b strings.Builder
	n := 0
	for i := range len(query) {
		if query[i] != '?' {
			b.WriteByte(query[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

func (postgres) now() string {
	return "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)"
}

func (postgres) lockRows() string { return " FOR UPDATE" }

func (postgres) begin(ctx context.Context, db *sql.DB) (transaction, error) {
	return db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
}

func (postgres) idsIn() string { return "customer_id = ANY(?::bigint[])" }

func (postgres) bindIDs(query string, args []any, ids []shopifysync.CustomerID) (string, []any) {
	return query, append(args, "{"+joinIDs(ids)+"}")
}

// insert sends each column as one array in its text form, which every driver
// passes through, and lets the server unnest them: one statement a batch,
// always the same one.
//
// A new row is a plain INSERT, for ON CONFLICT DO NOTHING writes a second log
// record for each.
func (postgres) insert(ctx context.Context, q querier, s *Store, ins *insertion, connection shopifysync.ConnectionID, cells []any) error {
	width := len(ins.columns)
	args := make([]any, 1, 1+width)
	args[0] = string(connection)
	for i := range ins.columns {
		args = append(args, arrayLiteral(cells, i, width))
	}
	_, err := q.ExecContext(ctx, s.text(ins.postgresTemplate()), args...)
	return err
}

// arrayLiteral makes an array of every width-th cell, beginning with the
// first-th (PostgreSQL documentation, section 8.15.6).
func arrayLiteral(cells []any, first, width int) string {
	size := 2
	for at := first; at < len(cells); at += width {
		size += 24
		if t, ok := cells[at].(string); ok {
			size += len(t) + len(t)/4 // for quotes in JSON
		}
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteByte('{')
	for at := first; at < len(cells); at += width {
		if at > first {
			b.WriteByte(',')
		}
		writeElement(&b, cells[at])
	}
	b.WriteByte('}')
	return b.String()
}

func writeElement(b *strings.Builder, v any) {
	switch v := v.(type) {
	case int64:
		var digits [20]byte
		b.Write(strconv.AppendInt(digits[:0], v, 10))
	case string:
		b.WriteByte('"')
		from := 0
		for i := range len(v) {
			if v[i] == '"' || v[i] == '\\' {
				b.WriteString(v[from:i])
				b.WriteByte('\\')
				from = i
			}
		}
		b.WriteString(v[from:])
		b.WriteByte('"')
	default:
		b.WriteString("NULL")
	}
}

func (ins *insertion) postgresTemplate() string {
	var names, values, arrays []string
	for _, c := range ins.columns {
		names = append(names, c.name)
		switch c.kind {
		case jsonb:
			arrays = append(arrays, "?::text[]")
			values = append(values, "u."+c.name+"::jsonb")
		default:
			arrays = append(arrays, "?::"+string(c.kind)+"[]")
			values = append(values, "u."+c.name)
		}
	}
	list := strings.Join(names, ", ")
	return "INSERT INTO " + ins.table + " AS old (connection_id, " + list + ") " +
		"SELECT ?::text, " + strings.Join(values, ", ") +
		" FROM unnest(" + strings.Join(arrays, ", ") + ") AS u (" + list + ")" + ins.onConflict()
}

func (postgres) dueConnections() string { return dueBySkipping }

// diagnose goes by SQLSTATE, which both drivers' errors have a method for
// (PostgreSQL documentation, appendix A).
func (postgres) diagnose(err error) (problem, string) {
	var coded interface{ SQLState() string }
	if !errors.As(err, &coded) {
		return otherProblem, ""
	}
	state := coded.SQLState()
	name := "SQLSTATE " + state
	switch state {
	case "40001", "40P01", "55P03":
		return transient, name
	case "23505":
		return duplicate, name
	case "42P01", "3F000", "42703": // table, schema, column
		return missingTable, name
	case "53100":
		return diskFull, name
	case "25006":
		return readOnly, name
	case "42501":
		return denied, name
	}
	return otherProblem, name
}

func (p postgres) migrating(ctx context.Context, db *sql.DB, c config, migrate func(querier) error) error {
	tx, err := p.begin(ctx, db)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", c.lockKey()); err != nil {
		return err
	}
	if c.schema != "" {
		// CREATE SCHEMA IF NOT EXISTS would ask for the right to create one
		// even when it exists.
		var found int
		err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM pg_namespace WHERE nspname = $1", c.schema).Scan(&found)
		if err != nil {
			return err
		}
		if found == 0 {
			if _, err := tx.ExecContext(ctx, `CREATE SCHEMA "`+c.schema+`"`); err != nil {
				return err
			}
		}
	}
	if err := migrate(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// lockKey is the advisory lock of these tables.
func (c config) lockKey() int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("shopifysync migrations " + c.schema + "." + c.prefix))
	return int64(h.Sum64())
}
