// Command stores measures how fast package sqlstore writes contacts, against
// the fastest way that each database has (the floor): the same rows into the
// same indexed table, by plain prepared inserts (SQLite), COPY (PostgreSQL) or
// LOAD DATA (MariaDB). Seconds depend on the machine; the ratios, measured in
// one run, are what counts.
//
//	go run ./bench/stores -n 100000 -targets sqlite,postgres-pgx,mysql
//
// The servers are named as for the tests: SHOPIFYSYNC_POSTGRES_DSN and
// SHOPIFYSYNC_MYSQL_DSN. LOAD DATA needs local_infile=ON on the server.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/internal/integration/sample"
	"github.com/omnichat/shopifysync/sqlstore"
)

var (
	contacts = flag.Int("n", 100_000, "number of contacts")
	batch    = flag.Int("batch", 1000, "contacts a batch")
	writers  = flag.Int("writers", 2, "writers at once")
	targets  = flag.String("targets", "sqlite,postgres-pgx,mysql", "what to measure; postgres-pq and mysql-prepared are others")
	rounds   = flag.Int("rounds", 1, "how often to measure; the best counts")
	profile  = flag.String("cpuprofile", "", "write a processor profile of the first load to this file")
	noFloor  = flag.Bool("nofloor", false, "do not measure the floor: for memory figures of the store alone")
	dir      = flag.String("dir", os.TempDir(), "where SQLite databases and the floor's files go")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	fmt.Printf("%d contacts, %d a batch, %d writers\n", *contacts, *batch, *writers)
	for _, name := range strings.Split(*targets, ",") {
		if err := measure(context.Background(), name); err != nil {
			log.Fatalf("%s: %v", name, err)
		}
	}
}

// A cost is the time that something took, and the processor time of this
// process and of a server on the same machine. The latter is the steadier one
// on a machine that does other things beside; but two writers use two
// processors, and COPY and LOAD DATA one.
type cost struct{ wall, client, server time.Duration }

func (c cost) less(o cost) cost {
	return cost{min(c.wall, o.wall), min(c.client, o.client), min(c.server, o.server)}
}

func (c cost) add(o cost) cost {
	return cost{c.wall + o.wall, c.client + o.client, c.server + o.server}
}

// stopwatch starts measuring; the function returned ends it.
func stopwatch(db *dbtest.Database) func() cost {
	server, client, start := serverTime(db), clientTime(), time.Now()
	return func() cost { return cost{time.Since(start), clientTime() - client, serverTime(db) - server} }
}

func clientTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A result is what one round measured.
type result struct {
	first, unchanged, changed, floor cost
	firstWritten, unchangedWritten   int64 // bytes of log, where the database tells
	rss                              int64 // peak, bytes
}

func measure(ctx context.Context, name string) error {
	target, err := dbtest.Find(name)
	if err != nil {
		return err
	}
	var best result
	for i := range *rounds {
		r, err := round(ctx, target)
		if err != nil {
			return err
		}
		if i == 0 {
			best = r
		}
		best.first, best.unchanged = best.first.less(r.first), best.unchanged.less(r.unchanged)
		best.changed, best.floor = best.changed.less(r.changed), best.floor.less(r.floor)
	}
	fmt.Printf("\n%s\n", name)
	line := func(what string, c cost, rest string) {
		fmt.Printf("  %-12s %8.2f s %9.0f/s  processor: client %6.2f s, server %6.2f s  %s\n",
			what, c.wall.Seconds(), float64(*contacts)/c.wall.Seconds(), c.client.Seconds(), c.server.Seconds(), rest)
	}
	over := func(a, b cost) string {
		return fmt.Sprintf("%.2f x (processor %.2f x)", a.wall.Seconds()/b.wall.Seconds(), (a.client+a.server).Seconds()/(b.client+b.server).Seconds())
	}
	if !*noFloor {
		line("floor", best.floor, "")
		line("first load", best.first, over(best.first, best.floor)+" the floor, "+megabytes(best.firstWritten)+" of log")
	} else {
		line("first load", best.first, megabytes(best.firstWritten)+" of log")
	}
	line("unchanged", best.unchanged, "first / this: "+over(best.first, best.unchanged)+", "+megabytes(best.unchangedWritten)+" of log")
	line("1 % changed", best.changed, "first / this: "+over(best.first, best.changed))
	fmt.Printf("  peak memory of this process so far (the floor left out): %s\n", megabytes(best.rss))
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func round(ctx context.Context, target dbtest.Target) (r result, err error) {
	work, err := os.MkdirTemp(*dir, "stores")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(work)
	db, err := target.OpenAt(filepath.Join(work, "stores.db"))
	if err != nil {
		return r, err
	}
	defer db.DB.Close()
	defer db.DropAll()
	store, err := sqlstore.New(db.DB, db.Dialect, sqlstore.WithTablePrefix(db.Prefix))
	if err != nil {
		return r, err
	}
	if err := store.Migrate(ctx); err != nil {
		return r, err
	}
	resetPeak()
	at := logPosition(ctx, db)
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return r, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return r, err
		}
	}
	if r.first, err = load(ctx, db, store, func(int) int { return 0 }, shopifysync.Created, 100); err != nil {
		return r, err
	}
	pprof.StopCPUProfile()
	r.firstWritten = logPosition(ctx, db) - at
	if err := settle(ctx, db); err != nil {
		return r, err
	}
	at = logPosition(ctx, db)
	if r.unchanged, err = load(ctx, db, store, func(int) int { return 0 }, shopifysync.Unchanged, 100); err != nil {
		return r, err
	}
	r.unchangedWritten = logPosition(ctx, db) - at
	changed := func(i int) int {
		if i%100 == 0 {
			return 1
		}
		return 0
	}
	if r.changed, err = load(ctx, db, store, changed, shopifysync.Updated, 1); err != nil {
		return r, err
	}
	r.rss = peak()
	if !*noFloor {
		r.floor, err = floor(ctx, db, work)
	}
	return r, err
}

// load upserts every contact in the revision wanted, by several writers, and
// checks that the share wanted (percent) had the outcome.
func load(ctx context.Context, db *dbtest.Database, store *sqlstore.Store, revision func(i int) int, want shopifysync.Outcome, percent int) (cost, error) {
	stop := stopwatch(db)
	var next, matched atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, *writers)
	for w := range *writers {
		wg.Go(func() {
			for {
				first := int(next.Add(int64(*batch))) - *batch
				if first >= *contacts || errs[w] != nil {
					return
				}
				in := make([]shopifysync.Contact, 0, *batch)
				for i := first; i < min(first+*batch, *contacts); i++ {
					c := sample.Contact(i, revision(i))
					c.Version.ObservedAt = c.Version.ObservedAt.Add(time.Hour)
					in = append(in, c)
				}
				out, err := store.UpsertContacts(ctx, shopifysync.UpsertContactsParams{Connection: sample.Connection, Contacts: in})
				errs[w] = err
				for _, r := range out.Results {
					if r.Outcome == want {
						matched.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	took := stop()
	for _, err := range errs {
		if err != nil {
			return took, err
		}
	}
	if expect := int64(*contacts * percent / 100); matched.Load() != expect {
		return took, fmt.Errorf("%d contacts were %s, want %d", matched.Load(), want, expect)
	}
	return took, nil
}

// logPosition is how much log the database has written so far, in bytes; 0
// where it does not tell.
func logPosition(ctx context.Context, db *dbtest.Database) (at int64) {
	switch db.Dialect {
	case sqlstore.Postgres:
		_ = db.DB.QueryRowContext(ctx, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").Scan(&at)
	case sqlstore.MySQL:
		var name string
		_ = db.DB.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Innodb_os_log_written'").Scan(&name, &at)
	}
	return at
}

// settle lets the database finish what the first load left behind, as an hour
// between two runs would: otherwise it is counted as the second's.
func settle(ctx context.Context, db *dbtest.Database) error {
	switch db.Dialect {
	case sqlstore.Postgres:
		_, err := db.DB.ExecContext(ctx, "VACUUM ANALYZE "+db.Prefix+"contacts")
		return err
	case sqlstore.SQLite:
		var a, b, c int
		return db.DB.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&a, &b, &c)
	}
	return nil
}

// floor copies the store's rows into empty tables of the same form in the
// fastest way, and returns how long the writing took.
func floor(ctx context.Context, db *dbtest.Database, work string) (cost, error) {
	other := *db
	other.Prefix = "floor_" + db.Prefix
	if db.Dialect == sqlstore.SQLite {
		o, err := db.OpenAt(filepath.Join(work, "floor.db"))
		if err != nil {
			return cost{}, err
		}
		defer o.DB.Close()
		o.Prefix = other.Prefix
		other = *o
	}
	defer other.DropAll()
	empty, err := sqlstore.New(other.DB, db.Dialect, sqlstore.WithTablePrefix(other.Prefix))
	if err != nil {
		return cost{}, err
	}
	if err := empty.Migrate(ctx); err != nil {
		return cost{}, err
	}
	from, to := db.Prefix+"contacts", other.Prefix+"contacts"
	switch db.Dialect {
	case sqlstore.SQLite:
		return insertRows(ctx, db, from, &other, to)
	case sqlstore.Postgres:
		return copyRows(ctx, db, from, to, work)
	default:
		return loadRows(ctx, db, from, to, work)
	}
}

// insertRows is SQLite's floor: one prepared insert a row, in transactions of a
// batch. Reading the rows is not counted.
func insertRows(ctx context.Context, from *dbtest.Database, fromTable string, to *dbtest.Database, toTable string) (took cost, err error) {
	columns, err := dbtest.WrittenColumns(ctx, from.DB, fromTable)
	if err != nil {
		return cost{}, err
	}
	rows, err := from.DB.QueryContext(ctx, "SELECT "+columns+" FROM "+fromTable)
	if err != nil {
		return cost{}, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return cost{}, err
	}
	insert := "INSERT INTO " + toTable + " (" + columns + ") VALUES (?" + strings.Repeat(", ?", len(names)-1) + ")"
	for {
		var cells [][]any
		for len(cells) < *batch && rows.Next() {
			row := make([]any, len(names))
			into := make([]any, len(names))
			for i := range row {
				into[i] = &row[i]
			}
			if err := rows.Scan(into...); err != nil {
				return cost{}, err
			}
			cells = append(cells, row)
		}
		if len(cells) == 0 {
			return took, rows.Err()
		}
		stop := stopwatch(to)
		if err := insertBatch(ctx, to.DB, insert, cells); err != nil {
			return cost{}, err
		}
		took = took.add(stop())
	}
}

func insertBatch(ctx context.Context, db *sql.DB, insert string, cells [][]any) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	stmt, err := tx.PrepareContext(ctx, insert)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, row := range cells {
		if _, err := stmt.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// resetPeak and peak measure the process's greatest resident memory (Linux).
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

func peak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kilobytes * 1024
		}
	}
	return 0
}
