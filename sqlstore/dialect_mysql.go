package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/omnichat/shopifysync"
)

type mysql struct{ mysqlList }

func (mysql) rebind(query string) string { return query }

// now avoids UNIX_TIMESTAMP(NOW(3)), which is an hour off when a time zone with
// summer time repeats an hour.
func (mysql) now() string {
	return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000)"
}

func (mysql) lockRows() string { return " FOR UPDATE" }

func (mysql) begin(ctx context.Context, db *sql.DB) (transaction, error) {
	return db.BeginTx(ctx, nil)
}

func (mysql) idsIn() string { return "customer_id IN ({ids})" }

func (mysql) bindIDs(query string, args []any, ids []shopifysync.CustomerID) (string, []any) {
	return strings.Replace(query, "{ids}", joinIDs(ids), 1), args
}

// Bounds of one statement. Placeholders are counted in 16 bits by the protocol;
// the packet stays well below the smallest max_allowed_packet met by default
// (16 MiB in MariaDB), but for one contact near its limit of 4 MiB.
const (
	mysqlPlaceholders = 60_000
	mysqlBytes        = 2 << 20
)

// insert sends as many rows a statement as the bounds allow.
func (mysql) insert(ctx context.Context, q querier, s *Store, ins *insertion, connection shopifysync.ConnectionID, cells []any) error {
	width := len(ins.columns)
	maxRows := mysqlPlaceholders / (1 + width)
	head, row, tail := ins.mysqlTemplate()
	head, tail = s.text(head), s.text(tail)
	for len(cells) > 0 {
		rows, bytes := 0, 0
		args := make([]any, 0, min(maxRows, len(cells)/width)*(1+width))
		for len(cells) > 0 && rows < maxRows && (rows == 0 || bytes < mysqlBytes) {
			args = append(args, string(connection))
			args = append(args, cells[:width]...)
			for _, v := range cells[:width] {
				if t, ok := v.(string); ok {
					bytes += len(t)
				}
			}
			cells = cells[width:]
			rows++
		}
		query := head + row + strings.Repeat(", "+row, rows-1) + tail
		if _, err := q.ExecContext(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

var rowAliases = regexp.MustCompile(`\b(old|new)\.(\w+)`)

// mysqlTemplate returns what comes before the rows, a row, and what comes after.
func (ins *insertion) mysqlTemplate() (head, row, tail string) {
	head = "INSERT INTO " + ins.table + " (connection_id"
	for _, c := range ins.columns {
		head += ", " + c.name
	}
	head += ") VALUES "
	row = "(?" + strings.Repeat(", ?", len(ins.columns)) + ")"
	for i, a := range ins.update {
		if i == 0 {
			tail = " ON DUPLICATE KEY UPDATE "
		} else {
			tail += ", "
		}
		tail += a.column + " = " + rowAliases.ReplaceAllStringFunc(a.expression, func(name string) string {
			if column, isNew := strings.CutPrefix(name, "new."); isNew {
				return "VALUES(" + column + ")"
			}
			return strings.TrimPrefix(name, "old.")
		})
	}
	return head, row, tail
}

// dueConnections is answered by a loose scan of the index, which goes from one
// connection to the next ("Using index for group-by").
func (mysql) dueConnections() string {
	return "SELECT connection_id FROM {marks} WHERE connection_id > ? GROUP BY connection_id HAVING MIN(not_before) <= ? ORDER BY connection_id LIMIT ?"
}

var mysqlNumber = regexp.MustCompile(`Error (\d{4})\b`)

// diagnose goes by the server's error numbers, which go-sql-driver writes into
// the text: "Error 1213 (40001): ..."
// (https://mariadb.com/kb/en/mariadb-error-code-reference/).
func (mysql) diagnose(err error) (problem, string) {
	match := mysqlNumber.FindStringSubmatch(err.Error())
	if match == nil {
		return otherProblem, ""
	}
	name := "MySQL error " + match[1]
	switch number, _ := strconv.Atoi(match[1]); number {
	case 1213, 1205, 1020: // deadlock, lock wait timeout, row changed since the last read
		return transient, name
	case 1062:
		return duplicate, name
	case 1060, 1061: // column, index that exists
		return alreadyDone, name
	case 1146, 1049, 1054: // table, database, column
		return missingTable, name
	case 1021, 1114:
		return diskFull, name
	case 1290, 1836:
		return readOnly, name
	case 1044, 1142:
		return denied, name
	}
	return otherProblem, name
}

// migrating uses a named lock of the server, since DDL ends transactions. Names
// have at most 64 characters and are the server's, hence the database in it.
func (mysql) migrating(ctx context.Context, db *sql.DB, c config, migrate func(querier) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	const name = "CONCAT('shopifysync ', SHA1(CONCAT(DATABASE(), '.', ?)))"
	for got := int64(0); got != 1; { // however long another process migrates
		var answer sql.NullInt64
		if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+name+", 10)", c.prefix).Scan(&answer); err != nil {
			return err
		}
		if got = answer.Int64; !answer.Valid {
			return ownf("the server cannot give its named lock, GET_LOCK, to migrate with")
		}
	}
	defer func() {
		_, unlockErr := conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK("+name+")", c.prefix)
		err = errors.Join(err, unlockErr)
	}()
	return migrate(conn)
}
