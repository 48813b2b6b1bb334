package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/sqlstore"
	_ "modernc.org/sqlite" // driver
)

// times are what one round measured.
type times map[string]time.Duration

const (
	readFloor   = "read the file's lines"
	decodeFloor = "read and decode them"
	jsonPeer    = "read and decode by encoding/json"
	insertFloor = "plain inserts of the same rows"
)

// measureRuns compares full runs with reading, decoding and inserting alone.
func measureRuns(ctx context.Context) error {
	taken := make(map[string][]time.Duration)
	var written []int64
	for i := range *rounds {
		round, wal, err := measureRound(ctx)
		if err != nil {
			return err
		}
		for what, d := range round {
			taken[what] = append(taken[what], d)
		}
		written = append(written, wal)
		if *rounds > 1 {
			fmt.Fprintf(os.Stderr, "round %d of %d done\n", i+1, *rounds)
		}
	}
	fmt.Printf("Full runs of %d customers, from the moment the bulk file is ready, %d rounds\n", *customers, *rounds)
	fmt.Printf("  %-40s %9s  %12s  %s\n", "", "seconds", "customers/s", "ratio")
	line := func(what, against string) {
		d, ratio := median(taken[what]), ""
		if against != "" {
			ratio = fmt.Sprintf("%5.2f x %q", medianRatio(taken[what], taken[against]), against)
		}
		fmt.Printf("  %-40s %9.3f  %12.0f  %s\n", what, d.Seconds(), float64(*customers)/d.Seconds(), ratio)
	}
	line(readFloor, decodeFloor)
	line(decodeFloor, "")
	line(jsonPeer, decodeFloor)
	for _, kind := range []string{"memory", "sqlite"} {
		first := "first run into " + kind
		line(first, decodeFloor)
		if kind == "sqlite" {
			line(insertFloor, "")
			line(first, insertFloor)
		}
		line("nothing changed, "+kind, first)
		line("nothing changed, "+kind, decodeFloor)
		line("1 % changed, "+kind, first)
	}
	fmt.Printf("  written to SQLite's log by the run with nothing changed: %d bytes\n", median(written))
	return nil
}

// measureRound takes every time once. wal is how much a run without changes
// wrote.
func measureRound(ctx context.Context) (taken times, wal int64, err error) {
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w := newWorld(dir, *customers)
	defer w.close()
	if err := w.writeFile(ctx); err != nil {
		return nil, 0, err
	}
	db, contacts, err := openSQLite(ctx, filepath.Join(dir, "contacts.db"))
	if err != nil {
		return nil, 0, err
	}
	defer db.Close()
	taken = make(times)
	stores := []struct {
		kind string
		store
	}{{"memory", shopifysync.NewMemoryStore()}, {"sqlite", contacts}}

	for _, s := range stores {
		if err := w.measureRun(ctx, taken, "first run into "+s.kind, s.store, outcome{created: int64(*customers)}); err != nil {
			return nil, 0, err
		}
	}
	if err := w.measureFloors(ctx, taken, dir, db); err != nil {
		return nil, 0, err
	}
	for _, s := range stores {
		if s.kind == "sqlite" {
			if err := emptyLog(ctx, db); err != nil {
				return nil, 0, err
			}
		}
		if err := w.measureRun(ctx, taken, "nothing changed, "+s.kind, s.store, outcome{}); err != nil {
			return nil, 0, err
		}
	}
	info, err := os.Stat(filepath.Join(dir, "contacts.db-wal"))
	if err != nil {
		return nil, 0, err
	}
	changed, err := w.changeOneInAHundred()
	if err == nil {
		err = w.writeFile(ctx)
	}
	if err != nil {
		return nil, 0, err
	}
	for _, s := range stores {
		if err := w.measureRun(ctx, taken, "1 % changed, "+s.kind, s.store, outcome{updated: changed}); err != nil {
			return nil, 0, err
		}
	}
	return taken, info.Size(), nil
}

func (w *world) measureFloors(ctx context.Context, taken times, dir string, from *sql.DB) (err error) {
	for what, take := range map[string]func([]byte) error{readFloor: pass, decodeFloor: decode, jsonPeer: decodeByJSON} {
		runtime.GC()
		if taken[what], err = w.readLines(ctx, take); err != nil {
			return err
		}
	}
	to, _, err := openSQLite(ctx, filepath.Join(dir, "floor.db"))
	if err != nil {
		return err
	}
	defer to.Close()
	runtime.GC()
	taken[insertFloor], err = insertRows(ctx, from, to)
	return err
}

// A store is all that a run needs.
type store interface {
	shopifysync.ContactStore
	shopifysync.StateStore
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

// outcome is how many contacts a run must create and update; those that the
// generator made as redacted are left out.
type outcome struct{ created, updated int64 }

// measureRun runs a sync and takes the time from the moment at which the bulk
// file is ready until the run has ended.
func (w *world) measureRun(ctx context.Context, taken times, what string, s store, want outcome) error {
	slowPages(w.store)
	syncer, err := shopifysync.New(s, shopifysync.StaticConnections(connection()),
		shopifysync.WithHTTPClient(w.client()), shopifysync.WithBulkThreshold(1))
	if err != nil {
		return err
	}
	runtime.GC()
	stop, err := startProfile(what)
	if err != nil {
		return err
	}
	var ready time.Time
	report, err := syncer.Sync(ctx, shopifysync.SyncParams{Connection: connectionID, OnProgress: func(p shopifysync.Progress) {
		if ready.IsZero() && p.Phase == shopifysync.PhaseBulk {
			ready = time.Now()
		}
	}})
	taken[what] = time.Since(ready)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	redacted := report.Skipped["redacted"]
	switch {
	case ready.IsZero() || !report.Complete || report.Seen != int64(*customers):
		return fmt.Errorf("%s: the run was not a complete one by bulk: %+v", what, *report)
	case report.Created > want.created || report.Created < want.created-redacted,
		report.Updated > want.updated || report.Updated < want.updated-redacted:
		return fmt.Errorf("%s: created %d, updated %d, want %+v", what, report.Created, report.Updated, want)
	}
	return nil
}
