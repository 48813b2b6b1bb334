package main

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/stdlib"
)

// copyRows is PostgreSQL's floor: COPY from a file that the client reads. The
// driver is pgx whatever the store was measured with.
func copyRows(ctx context.Context, _ *sql.DB, from, to, work string) (cost, error) {
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
		stop := stopwatch()
		_, err = pg.CopyFrom(ctx, f, "COPY "+to+" FROM STDIN")
		took = stop()
		return err
	})
	return took, err
}

// loadRows is MariaDB's floor: LOAD DATA from a file that the client reads.
func loadRows(ctx context.Context, db *sql.DB, from, to, work string) (cost, error) {
	name := filepath.Join(work, "rows")
	err := writeFile(name, func(w io.Writer) error { return dumpRows(ctx, db, from, w) })
	if err != nil {
		return cost{}, err
	}
	mysqldriver.RegisterLocalFile(name)
	defer mysqldriver.DeregisterLocalFile(name)
	stop := stopwatch()
	_, err = db.ExecContext(ctx, "LOAD DATA LOCAL INFILE '"+name+"' INTO TABLE "+to+" CHARACTER SET utf8mb4")
	return stop(), err
}

// dumpRows writes rows in LOAD DATA's default format.
func dumpRows(ctx context.Context, db *sql.DB, from string, w io.Writer) error {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+from)
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
