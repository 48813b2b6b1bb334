// Package dbtest opens the databases that the tests and benchmarks of this
// module run against.
package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql" // driver
	_ "github.com/jackc/pgx/v5/stdlib" // driver
	_ "github.com/lib/pq"              // driver
	_ "modernc.org/sqlite"             // driver

	"github.com/omnichat/shopifysync/sqlstore"
)

// The environment variables that name the servers. With CI=true they must be
// set; otherwise tests of a server that is not named are skipped.
const (
	PostgresDSN = "SHOPIFYSYNC_POSTGRES_DSN" // a URL: postgres://user@host:5432/database
	MySQLDSN    = "SHOPIFYSYNC_MYSQL_DSN"    // user:password@tcp(host:3306)/database
)

// A Target is a dialect with a driver.
type Target struct {
	Name    string
	Dialect sqlstore.Dialect
	Driver  string
	env     string
	query   string // added to the data source name
}

// Targets are all that are tested.
var Targets = []Target{
	{Name: "sqlite", Dialect: sqlstore.SQLite, Driver: "sqlite"},
	{Name: "postgres-pgx", Dialect: sqlstore.Postgres, Driver: "pgx", env: PostgresDSN},
	{Name: "postgres-pq", Dialect: sqlstore.Postgres, Driver: "postgres", env: PostgresDSN},
	{Name: "mysql", Dialect: sqlstore.MySQL, Driver: "mysql", env: MySQLDSN, query: "interpolateParams=true"},
	{Name: "mysql-prepared", Dialect: sqlstore.MySQL, Driver: "mysql", env: MySQLDSN},
}

// Find returns the target of that name.
func Find(name string) (Target, error) {
	for _, target := range Targets {
		if target.Name == name {
			return target, nil
		}
	}
	return Target{}, fmt.Errorf("no target is called %q", name)
}

// Each runs f as a subtest for every target.
func Each(t *testing.T, f func(t *testing.T, target Target)) {
	for _, target := range Targets {
		t.Run(target.Name, func(t *testing.T) {
			target.Need(t)
			f(t, target)
		})
	}
}

// Need skips the test if the target's server is not named, and fails it if it
// must be.
func (target Target) Need(t testing.TB) {
	t.Helper()
	switch {
	case target.env == "" || os.Getenv(target.env) != "":
	case os.Getenv("CI") == "true":
		t.Fatalf("%s must be set: in CI every database is tested", target.env)
	default:
		t.Skipf("%s is not set: no server to test against", target.env)
	}
}

// DSN is the target's data source name; file is that of an SQLite database.
func (target Target) DSN(file string) string {
	if target.env == "" {
		return "file:" + file + "?" + sqlstore.SQLitePragmas
	}
	dsn := os.Getenv(target.env)
	if target.query == "" {
		return dsn
	}
	for i := range len(dsn) {
		if dsn[i] == '?' {
			return dsn + "&" + target.query
		}
	}
	return dsn + "?" + target.query
}

// A Database is a database with names that nothing else in it uses.
type Database struct {
	Target
	DB     *sql.DB
	File   string // of SQLite
	Prefix string
}

// Open opens the target; the test's end drops the tables and closes it.
func (target Target) Open(t testing.TB) *Database {
	t.Helper()
	target.Need(t)
	d, err := target.OpenAt(filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatalf("open %s: %v", target.Name, err)
	}
	t.Cleanup(func() {
		if err := errors.Join(d.DropAll(), d.DB.Close()); err != nil {
			t.Errorf("close %s: %v", target.Name, err)
		}
	})
	return d
}

// OpenAt opens the target outside a test. The caller calls DropAll, and closes
// DB.
func (target Target) OpenAt(file string) (*Database, error) {
	db, err := sql.Open(target.Driver, target.DSN(file))
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(8)
	db.SetMaxOpenConns(16)
	prefix := fmt.Sprintf("t%012x_", rand.Uint64()>>16)
	return &Database{Target: target, DB: db, File: file, Prefix: prefix}, nil
}

// DropAll drops the tables of the prefix.
func (d *Database) DropAll() error {
	if d.Dialect == sqlstore.SQLite {
		return nil // the file goes with its directory
	}
	_, err := d.DB.Exec("DROP VIEW IF EXISTS " + d.Prefix + "whatsapp_contacts")
	for _, table := range append([]string{"migrations"}, dataTables...) {
		_, dropErr := d.DB.Exec("DROP TABLE IF EXISTS " + d.Prefix + table)
		err = errors.Join(err, dropErr)
	}
	return err
}

var dataTables = []string{"contacts", "marks", "leases", "runs", "connections", "connection_states"}

// Tables names the tables that hold data, without the prefix.
func Tables() []string { return slices.Clone(dataTables) }

// Empty deletes every row, which is much faster than new tables.
func (d *Database) Empty(t testing.TB) {
	t.Helper()
	for _, table := range dataTables {
		if _, err := d.DB.Exec("DELETE FROM " + d.Prefix + table); err != nil {
			t.Fatalf("empty %s: %v", table, err)
		}
	}
}

// Store returns a migrated store on the database.
func (d *Database) Store(t testing.TB, opts ...sqlstore.Option) *sqlstore.Store {
	t.Helper()
	s := d.NewStore(t, opts...)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatalf("migrate %s: %v", d.Name, err)
	}
	return s
}

// NewStore returns a store on the database without migrating it.
func (d *Database) NewStore(t testing.TB, opts ...sqlstore.Option) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.New(d.DB, d.Dialect, append([]sqlstore.Option{sqlstore.WithTablePrefix(d.Prefix)}, opts...)...)
	if err != nil {
		t.Fatalf("new store on %s: %v", d.Name, err)
	}
	return s
}

// Key returns an encryption key for tests, all of whose bytes are fill.
func Key(t testing.TB, id string, fill byte) sqlstore.EncryptionKey {
	t.Helper()
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = fill
	}
	k, err := sqlstore.NewEncryptionKey(id, raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// WrittenColumns names the columns of a table of contacts, with commas between
// them, but for the one that the database computes.
func WrittenColumns(ctx context.Context, db *sql.DB, table string) (string, error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+table+" WHERE 1 = 0")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	names, err := rows.Columns()
	names = slices.DeleteFunc(names, func(name string) bool { return name == "search" })
	return strings.Join(names, ", "), errors.Join(err, rows.Err())
}
