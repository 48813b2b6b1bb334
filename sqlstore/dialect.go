package sqlstore

import (
	"context"
	"database/sql"

	"github.com/omnichat/shopifysync"
)

// A dialect is what differs between the databases.
type dialect interface {
	// rebind turns ? into the driver's placeholders.
	rebind(query string) string
	// now is the database's clock: milliseconds since 1970.
	now() string
	// lockRows ends a SELECT whose rows are to stay as they are until the
	// transaction ends.
	lockRows() string
	// begin starts a transaction that may write at once.
	begin(ctx context.Context, db *sql.DB) (transaction, error)
	// idsIn is the condition that customer_id is one of some ids, which bindIDs
	// then adds: to the arguments, of which they are the last, or to the query.
	idsIn() string
	bindIDs(query string, args []any, ids []shopifysync.CustomerID) (string, []any)
	// insert writes rows. Cells are their values, row by row, without the
	// connection.
	insert(ctx context.Context, q querier, s *Store, ins *insertion, connection shopifysync.ConnectionID, cells []any) error
	// dueConnections lists connections by their first mark: those after an ID,
	// whose not_before is at most a time, at most so many.
	dueConnections() string
	// diagnose tells what kind of error a driver returned, and its code.
	diagnose(err error) (problem, string)
	// migrating runs migrate while no other process does, in one transaction
	// where the database has transactions for DDL.
	migrating(ctx context.Context, db *sql.DB, c config, migrate func(querier) error) error

	listSyntax
}

// A querier is a *sql.DB, *sql.Conn or *sql.Tx.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

type transaction interface {
	querier
	Commit() error
	Rollback() error
}

// An insertion is an INSERT of many rows: what depends on the dialect is made
// of it by [dialect.insert]. The column connection_id comes first and is not
// listed.
type insertion struct {
	table   string // a token such as {contacts}
	columns []column
	// update tells what becomes of a row that exists; nil makes it an error, a
	// duplicate.
	update []assignment
}

type column struct {
	name string
	kind columnKind
}

// A columnKind is how PostgreSQL has to read a value out of text.
type columnKind string

const (
	bigint  columnKind = "bigint"
	text    columnKind = "text"
	numeric columnKind = "numeric"
	jsonb   columnKind = "jsonb"
)

// An assignment sets a column. The expression sees the stored row as old.name
// and the new one as new.name.
type assignment struct{ column, expression string }

// replaceAll overwrites every column but the key.
func replaceAll(columns []column) []assignment {
	var out []assignment
	for _, c := range columns {
		if c.name != "customer_id" {
			out = append(out, assignment{c.name, "new." + c.name})
		}
	}
	return out
}

// dueBySkipping walks an index from one connection to the next, each a step of
// the recursion, and ends with the LIMIT: an ORDER BY would walk to the end
// first, and steps ascend anyway.
const dueBySkipping = `WITH RECURSIVE marked(id) AS (
	SELECT MIN(connection_id) FROM {marks} WHERE connection_id > ?
	UNION ALL
	SELECT (SELECT MIN(connection_id) FROM {marks} WHERE connection_id > marked.id) FROM marked WHERE marked.id IS NOT NULL
)
SELECT id FROM marked
WHERE id IS NOT NULL AND (SELECT MIN(not_before) FROM {marks} WHERE connection_id = marked.id) <= ?
LIMIT ?`

// A problem is a kind of error that a database returns.
type problem int

const (
	otherProblem problem = iota
	transient            // deadlock, serialization failure, busy: the transaction may be repeated
	duplicate            // a key that exists
	alreadyDone          // by a migration that was cut off
	missingTable         // not migrated
	diskFull
	readOnly
	denied
)
