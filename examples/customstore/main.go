// Customstore puts a contacts table that a team already has, with columns of
// its own that agents edit, behind shopifysync.ContactStore, and shows what two
// syncs make of it:
//
//	go run ./examples/customstore
//
// To do the same for your table, read the files in this order:
//
//  1. schema.sql: the team's table as it was, and the side table beside it;
//  2. store.go: the four methods, and apply, in which they all end;
//  3. person.go: what the team's row makes of it: three-way tags, unlink, erase;
//  4. member.go: reading and writing the side table;
//  5. store_test.go: the conformance suite, which says when you are done.
//
// This file and shop.go are the demonstration. docs/own-store.md has the whole
// walk in words.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/examples/phone"
	"github.com/omnichat/shopifysync/sqlstore"
	_ "modernc.org/sqlite"
)

const connectionID = "customstore"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "customstore:", usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "customstore:", err)
		os.Exit(1)
	}
}

// A usageError is wrong input: one line, exit status 2.
type usageError string

func (e usageError) Error() string { return string(e) }

// parse returns the database file that the command line asks for.
func parse(args []string) (string, error) {
	flags := flag.NewFlagSet("customstore", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("db", "", "new SQLite `file`; default: one in a temporary directory of its own")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(os.Stderr)
		flags.Usage()
		return "", usageError("see above")
	case err != nil:
		return "", usageError(err.Error() + " (-h lists the flags)")
	case flags.NArg() > 0:
		return "", usageError(fmt.Sprintf("unexpected argument %q (-h lists the flags)", flags.Arg(0)))
	}
	if *file == "" {
		return newTemporaryFile()
	}
	if _, err := os.Stat(*file); !errors.Is(err, fs.ErrNotExist) {
		return "", usageError(fmt.Sprintf("-db: %s is there already, and the demonstration needs a new file", *file))
	}
	if info, err := os.Stat(filepath.Dir(*file)); err != nil || !info.IsDir() {
		return "", usageError(fmt.Sprintf("-db: there is no directory %s", filepath.Dir(*file)))
	}
	return *file, nil
}

func newTemporaryFile() (string, error) {
	dir, err := os.MkdirTemp("", "shopifysync-customstore-")
	return filepath.Join(dir, "people.db"), err
}

// openNew makes a database file that nobody else may read: it holds people.
func openNew(file string) (*sql.DB, error) {
	made, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := made.Close(); err != nil {
		return nil, err
	}
	return sql.Open("sqlite", dataSource(file))
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	file, err := parse(args)
	if err != nil {
		return err
	}
	db, err := openNew(file)
	if err != nil {
		return err
	}
	defer db.Close()
	store, err := NewStore(ctx, db)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	// Leases, checkpoints and marks are the library's own business: sqlstore
	// keeps them, in tables of its own, here in the same file. A MemoryStore
	// would do for a test, but forgets with the process where a run was cut
	// off and which changed customers were still to be fetched. (The table of
	// contacts that sqlstore brings along stays empty.)
	state, err := sqlstore.New(db, sqlstore.SQLite)
	if err == nil {
		err = state.Migrate(ctx)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}

	shop := openShop()
	defer shop.close()
	syncer, err := shopifysync.New(store, shopifysync.StaticConnections(shop.connection()),
		append(phone.Options(), shopifysync.WithStateStore(state), shopifysync.WithHTTPClient(shop.client()))...)
	if err != nil {
		return err
	}

	out := &output{w: stdout}
	steps := []func() error{
		func() error { return peopleBefore(ctx, db) },
		func() error { return out.people(ctx, db, "The team's table, before the first sync") },
		func() error { return out.sync(ctx, syncer, "First sync") },
		func() error { return out.people(ctx, db, "The team's table now") },
		func() error { return agentsWork(ctx, db) },
		func() error { return shop.dayPasses() },
		func() error { return out.story() },
		func() error { return out.sync(ctx, syncer, "Second sync, a day later") },
		func() error { return out.people(ctx, db, "The team's table now") },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "\nLook around: sqlite3 %s 'SELECT * FROM shopify_members'\n", file)
	return nil
}
