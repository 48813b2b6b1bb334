package main

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/sqlstore"
)

// copyRows is PostgreSQL's floor: COPY from a file that the client reads. The
// driver is pgx whatever the store was measured with.
func copyRows(ctx context.Context, store *dbtest.Database, from, to, work string) (cost, error) {
	db, err := sql.Open("pgx", os.Getenv("SHOPIFYSYNC_POSTGRES_DSN"))
	if err != nil {
		return cost{}, err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return cost{}, err
	}
	defer conn.Close()
	var took cost
	err = conn.Raw(func(c any) error {
		pg := c.(*stdlib.Conn).Conn().PgConn()
		name := filepath.Join(work, "rows")
		if err := writeFile(name, func(w io.Writer) error {
			_, err := pg.CopyTo(ctx, w, "COPY "+from+" TO STDOUT")
			return err
		}); err != nil {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		stop := stopwatch(store)
		_, err = pg.CopyFrom(ctx, f, "COPY "+to+" FROM STDIN")
		took = stop()
		return err
	})
	return took, err
}

// loadRows is MariaDB's floor: LOAD DATA from a file that the client reads.
func loadRows(ctx context.Context, db *dbtest.Database, from, to, work string) (cost, error) {
	name := filepath.Join(work, "rows")
	columns, err := dbtest.WrittenColumns(ctx, db.DB, from)
	if err != nil {
		return cost{}, err
	}
	if err := writeFile(name, func(w io.Writer) error { return dumpRows(ctx, db.DB, columns, from, w) }); err != nil {
		return cost{}, err
	}
	mysqldriver.RegisterLocalFile(name)
	defer mysqldriver.DeregisterLocalFile(name)
	stop := stopwatch(db)
	_, err = db.DB.ExecContext(ctx, "LOAD DATA LOCAL INFILE '"+name+"' INTO TABLE "+to+" CHARACTER SET utf8mb4 ("+columns+")")
	return stop(), err
}

// dumpRows writes rows in LOAD DATA's default format.
func dumpRows(ctx context.Context, db *sql.DB, columns, from string, w io.Writer) error {
	rows, err := db.QueryContext(ctx, "SELECT "+columns+" FROM "+from)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	cells := make([]sql.RawBytes, len(names))
	into := make([]any, len(names))
	for i := range cells {
		into[i] = &cells[i]
	}
	escape := strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n")
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			if c == nil {
				fmt.Fprint(w, "\\N")
				continue
			}
			if _, err := escape.WriteString(w, string(c)); err != nil {
				return err
			}
		}
		fmt.Fprint(w, "\n")
	}
	return rows.Err()
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := write(w); err != nil {
		f.Close()
		return err
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// serverTime is the processor time that a server on this machine has used so
// far for this database; 0 if it cannot be told.
func serverTime(db *dbtest.Database) (total time.Duration) {
	switch db.Dialect {
	case sqlstore.Postgres:
		rows, err := db.DB.Query("SELECT pid FROM pg_stat_activity WHERE datname = current_database() ORDER BY pid")
		if err != nil {
			return 0
		}
		defer rows.Close()
		for rows.Next() {
			var pid int
			if rows.Scan(&pid) == nil {
				total += processTime(pid)
			}
		}
		if rows.Err() != nil {
			return 0
		}
	case sqlstore.MySQL:
		var file string
		if db.DB.QueryRow("SELECT @@pid_file").Scan(&file) != nil {
			return 0
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return 0
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		total = processTime(pid)
	}
	return total
}

// processTime is a process's user and system time, fields 14 and 15 of
// proc(5)'s stat, in ticks of 10 ms.
func processTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
