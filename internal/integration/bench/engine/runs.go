package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/sqlstore"
	_ "modernc.org/sqlite" // driver
)

const (
	readFloor   = "read the file's lines"
	decodeFloor = "read and decode"
	jsonPeer    = "read and decode, encoding/json"
	insertFloor = "plain inserts of the same rows"

	intoMemory, unchangedMemory, changedMemory = "first run, memory", "nothing changed, memory", "1 % changed, memory"
	intoSQLite, unchangedSQLite, changedSQLite = "first run, SQLite", "nothing changed, SQLite", "1 % changed, SQLite"
)

// measureRuns compares full runs with reading, decoding and inserting alone.
func measureRuns(ctx context.Context) error {
	taken := make(map[string][]lap)
	var written []int64
	for i := range *rounds {
		r := round{taken: make(map[string]lap)}
		if err := errors.Join(r.floors(ctx), r.memory(ctx), r.sqlite(ctx)); err != nil {
			return err
		}
		for what, l := range r.taken {
			taken[what] = append(taken[what], l)
		}
		written = append(written, r.written)
		fmt.Fprintf(os.Stderr, "round %d of %d done\n", i+1, *rounds)
	}
	fmt.Printf("Full runs of %d customers, from the moment the bulk file is ready (medians of %d rounds)\n", *customers, *rounds)
	fmt.Printf("  %-32s %9s %11s %12s\n", "", "seconds", "processor s", "customers/s")
	for _, what := range []string{
		readFloor, decodeFloor, jsonPeer, insertFloor,
		intoMemory, unchangedMemory, changedMemory, intoSQLite, unchangedSQLite, changedSQLite,
	} {
		seconds := medianOf(taken[what], wall)
		fmt.Printf("  %-32s %9.3f %11.3f %12.0f\n", what, seconds, medianOf(taken[what], processor), float64(*customers)/seconds)
	}
	fmt.Printf("\n  %-32s   %-32s %7s %11s\n", "ratio of", "to", "seconds", "processor s")
	for _, pair := range [][2]string{
		{readFloor, decodeFloor}, {jsonPeer, decodeFloor},
		{intoMemory, decodeFloor}, {unchangedMemory, decodeFloor}, {unchangedMemory, intoMemory}, {changedMemory, intoMemory},
		{intoSQLite, insertFloor}, {unchangedSQLite, decodeFloor}, {unchangedSQLite, intoSQLite}, {changedSQLite, intoSQLite},
	} {
		a, b := taken[pair[0]], taken[pair[1]]
		fmt.Printf("  %-32s / %-32s %7.2f %11.2f\n", pair[0], pair[1], medianRatio(a, b, wall), medianRatio(a, b, processor))
	}
	fmt.Printf("\n  The run with nothing changed wrote %d bytes into SQLite's log, its own record included.\n", median(written))
	return nil
}

// A round takes every time once.
type round struct {
	taken   map[string]lap
	written int64 // into SQLite's log by the run with nothing changed
}

// floors reads and decodes the bulk file.
func (r *round) floors(ctx context.Context) error {
	return inWorld(ctx, func(w *world) (err error) {
		for what, take := range map[string]func([]byte) error{readFloor: pass, decodeFloor: decode, jsonPeer: decodeByJSON} {
			runtime.GC()
			if r.taken[what], err = w.readLines(ctx, take); err != nil {
				return err
			}
		}
		return nil
	})
}

// memory runs into a [shopifysync.MemoryStore].
func (r *round) memory(ctx context.Context) error {
	return inWorld(ctx, func(w *world) error {
		s := shopifysync.NewMemoryStore()
		if err := r.run(ctx, w, intoMemory, s, outcome{created: int64(*customers)}); err != nil {
			return err
		}
		if err := r.run(ctx, w, unchangedMemory, s, outcome{}); err != nil {
			return err
		}
		return r.runChanged(ctx, w, changedMemory, s)
	})
}

// sqlite runs into a new SQLite database and copies its rows into another one.
func (r *round) sqlite(ctx context.Context) error {
	return inWorld(ctx, func(w *world) error {
		file := filepath.Join(w.dir, "contacts.db")
		db, s, err := openSQLite(ctx, file)
		if err != nil {
			return err
		}
		defer db.Close()
		if err := r.run(ctx, w, intoSQLite, s, outcome{created: int64(*customers)}); err != nil {
			return err
		}
		if err := emptyLog(ctx, db); err != nil {
			return err
		}
		if err := r.run(ctx, w, unchangedSQLite, s, outcome{}); err != nil {
			return err
		}
		log, err := os.Stat(file + "-wal")
		if err != nil {
			return err
		}
		r.written = log.Size()
		if err := r.runChanged(ctx, w, changedSQLite, s); err != nil {
			return err
		}
		bare, _, err := openSQLite(ctx, filepath.Join(w.dir, "floor.db"))
		if err != nil {
			return err
		}
		defer bare.Close()
		runtime.GC()
		r.taken[insertFloor], err = insertRows(ctx, db, bare)
		return err
	})
}

// runChanged measures a run after a change of one customer in a hundred.
func (r *round) runChanged(ctx context.Context, w *world, what string, s store) error {
	changed, err := w.changeOneInAHundred()
	if err == nil {
		err = w.writeFile(ctx)
	}
	if err != nil {
		return err
	}
	return r.run(ctx, w, what, s, outcome{updated: changed})
}

// outcome is how many contacts a run must create and update; those that the
// generator made as redacted are left out.
type outcome struct{ created, updated int64 }

// A store is all that a run needs.
type store interface {
	shopifysync.ContactStore
	shopifysync.StateStore
}

// run measures a full run, from the moment at which the bulk file is ready
// until the run has ended.
func (r *round) run(ctx context.Context, w *world, what string, s store, want outcome) error {
	slowPages(w.store)
	syncer, err := shopifysync.New(s, shopifysync.StaticConnections(connection()),
		shopifysync.WithHTTPClient(w.client()), shopifysync.WithBulkThreshold(1))
	if err != nil {
		return err
	}
	runtime.GC()
	var watch stopwatch
	stop := func() error { return nil }
	report, err := syncer.Sync(ctx, shopifysync.SyncParams{Connection: connectionID, OnProgress: func(p shopifysync.Progress) {
		if watch.wall.IsZero() && p.Phase == shopifysync.PhaseBulk {
			stop = startProfile(what)
			watch = startWatch()
		}
	}})
	r.taken[what] = watch.lap()
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	redacted := report.Skipped["redacted"]
	switch {
	case watch.wall.IsZero() || !report.Complete || report.Seen != int64(*customers):
		return fmt.Errorf("%s: the run was not a complete one by bulk: %+v", what, *report)
	case report.Created > want.created || report.Created < want.created-redacted,
		report.Updated > want.updated || report.Updated < want.updated-redacted:
		return fmt.Errorf("%s: created %d, updated %d, want %+v", what, report.Created, report.Updated, want)
	}
	return nil
}

// openSQLite opens a new database with the tables in it.
func openSQLite(ctx context.Context, file string) (*sql.DB, *sqlstore.Store, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?"+sqlstore.SQLitePragmas)
	if err != nil {
		return nil, nil, err
	}
	s, err := sqlstore.New(db, sqlstore.SQLite)
	if err == nil {
		err = s.Migrate(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, s, nil
}

// emptyLog moves what SQLite's log holds into the database.
func emptyLog(ctx context.Context, db *sql.DB) error {
	var busy, pages, moved int
	err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	if err == nil && busy != 0 {
		err = errors.New("SQLite's log could not be emptied")
	}
	return err
}
