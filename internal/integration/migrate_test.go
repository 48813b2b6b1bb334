package integration

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/sqlstore"
)

func TestMigrateAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.NewStore(t)
		var wg sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			wg.Go(func() { errs[i] = store.Migrate(t.Context()) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Errorf("Migrate, ten at once: %v", err)
		}
		checkVersions(t, db)
	})
}

// Ten processes: what keeps them apart must be the database.
func TestMigrateInProcesses(t *testing.T) {
	const file, prefix = "MIGRATE_FILE", "MIGRATE_PREFIX"
	if os.Getenv(prefix) != "" {
		target, err := dbtest.Find(os.Getenv("MIGRATE_TARGET"))
		if err != nil {
			t.Fatal(err)
		}
		db, err := target.OpenAt(os.Getenv(file))
		if err != nil {
			t.Fatal(err)
		}
		defer db.DB.Close()
		db.Prefix = os.Getenv(prefix)
		if err := db.NewStore(t).Migrate(t.Context()); err != nil {
			t.Fatalf("Migrate: %v", err)
		}
		return
	}
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestMigrateInProcesses$")
				cmd.Env = append(os.Environ(), "MIGRATE_TARGET="+target.Name, file+"="+db.File, prefix+"="+db.Prefix)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("a process that migrates: %v\n%s", err, out)
				}
			})
		}
		wg.Wait()
		checkVersions(t, db)
	})
}

// checkVersions checks that each migration was recorded once and the tables work.
func checkVersions(t *testing.T, db *dbtest.Database) {
	t.Helper()
	steps, err := sqlstore.Migrations(db.Dialect)
	if err != nil {
		t.Fatal(err)
	}
	var n, latest int
	err = db.DB.QueryRow("SELECT COUNT(*), MAX(version) FROM "+db.Prefix+"migrations").Scan(&n, &latest)
	if err != nil || n != len(steps) || latest != len(steps) {
		t.Errorf("%d migrations recorded up to %d, %v; want %d", n, latest, err, len(steps))
	}
	_, err = db.NewStore(t).ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: "c1", Limit: 1})
	if err != nil {
		t.Errorf("the tables do not work: %v", err)
	}
}

func TestMigrateRefusesALaterVersion(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.Store(t)
		if _, err := db.DB.Exec("INSERT INTO " + db.Prefix + "migrations (version, applied_at) VALUES (999, 0)"); err != nil {
			t.Fatal(err)
		}
		if err := store.Migrate(t.Context()); !errors.Is(err, sqlstore.ErrNewerSchema) {
			t.Errorf("Migrate: %v, want ErrNewerSchema", err)
		}
	})
}

// A migration that was cut off half way must be repeatable.
func TestMigrateGoesOnAfterACrash(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		steps, err := sqlstore.Migrations(db.Dialect, sqlstore.WithTablePrefix(db.Prefix))
		if err != nil {
			t.Fatal(err)
		}
		if db.Dialect == sqlstore.MySQL { // elsewhere a transaction leaves nothing behind
			// As late as can be: every statement is repeated.
			for _, step := range steps {
				for statement := range strings.SplitSeq(strings.TrimSpace(step.SQL), ";\n") {
					if _, err := db.DB.Exec(statement); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		db.Store(t)
		checkVersions(t, db)
	})
}

func TestNotMigrated(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).NewStore(t)
		_, err := store.ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: "c1", Limit: 1})
		if !errors.Is(err, sqlstore.ErrNotMigrated) {
			t.Errorf("without Migrate: %v, want ErrNotMigrated", err)
		}
	})
}

// A program that begins to write before the tables were brought to its version
// is told so.
func TestTablesOfTheFirstVersion(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		steps, err := sqlstore.Migrations(db.Dialect, sqlstore.WithTablePrefix(db.Prefix))
		if err != nil {
			t.Fatal(err)
		}
		for statement := range strings.SplitSeq(strings.TrimSpace(steps[0].SQL), ";\n") {
			if _, err := db.DB.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		store := db.NewStore(t, sqlstore.WithPlaintextSecrets())
		if _, err := store.Connection(t.Context(), "c1"); !errors.Is(err, sqlstore.ErrNotMigrated) {
			t.Errorf("Connection: %v, want ErrNotMigrated", err)
		}
		_, err = store.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: connection("c1")})
		if !errors.Is(err, sqlstore.ErrNotMigrated) {
			t.Errorf("SaveConnection: %v, want ErrNotMigrated", err)
		}
	})
}

func TestMigrationsForAnotherTool(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		steps, err := sqlstore.Migrations(db.Dialect, sqlstore.WithTablePrefix(db.Prefix))
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			for statement := range strings.SplitSeq(step.SQL, ";\n") {
				if strings.TrimSpace(statement) == "" {
					continue
				}
				if _, err := db.DB.Exec(statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
		}
		_, err = db.NewStore(t).ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: "c1", Limit: 1})
		if err != nil {
			t.Errorf("the tables do not work: %v", err)
		}
	})
}

func TestSchema(t *testing.T) {
	for _, name := range []string{"postgres-pgx", "postgres-pq"} {
		t.Run(name, func(t *testing.T) {
			target, err := dbtest.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			db := target.Open(t)
			schema := db.Prefix + "schema"
			t.Cleanup(func() {
				if _, err := db.DB.Exec("DROP SCHEMA " + schema + " CASCADE"); err != nil {
					t.Error(err)
				}
			})
			store := db.Store(t, sqlstore.WithSchema(schema))
			if err := store.Migrate(t.Context()); err != nil {
				t.Fatalf("Migrate again: %v", err)
			}
			var n int
			err = db.DB.QueryRow("SELECT COUNT(*) FROM pg_tables WHERE schemaname = $1 AND tablename LIKE $2", schema, db.Prefix+"%").Scan(&n)
			if err != nil || n != 7 {
				t.Errorf("%d tables in the schema, %v; want 7", n, err)
			}
		})
	}
}

// In PostgreSQL two that create one table at once fail with a duplicate, which
// is retried; the lock keeps such errors out of the server's log.
func TestMigrateHoldsTheLock(t *testing.T) {
	target, err := dbtest.Find("postgres-pgx")
	if err != nil {
		t.Fatal(err)
	}
	db := target.Open(t)
	tx, err := db.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	table := db.Prefix + "migrations"
	if _, err := tx.Exec("CREATE TABLE " + table + " (version BIGINT)"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- db.NewStore(t).Migrate(t.Context()) }() // waits for the table's name
	const held = "SELECT COUNT(*) FROM pg_locks JOIN pg_stat_activity USING (pid)" +
		" WHERE locktype = 'advisory' AND granted AND query LIKE '%' || $1 || '%' AND wait_event_type = 'Lock'"
	start := time.Now()
	for locks := 0; locks == 0; {
		if err := db.DB.QueryRowContext(t.Context(), held, "CREATE TABLE IF NOT EXISTS "+table).Scan(&locks); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("Migrate did not wait: %v", err)
		default:
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal("Migrate waits without holding the lock")
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Migrate: %v", err)
	}
}

func TestMigrateWaitsForTheLock(t *testing.T) {
	target, err := dbtest.Find("mysql")
	if err != nil {
		t.Fatal(err)
	}
	db := target.Open(t)
	conn, err := db.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const name = "CONCAT('shopifysync ', SHA1(CONCAT(DATABASE(), '.', ?)))"
	var got int
	if err := conn.QueryRowContext(t.Context(), "SELECT GET_LOCK("+name+", 0)", db.Prefix).Scan(&got); err != nil || got != 1 {
		t.Fatalf("GET_LOCK: %d, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := db.NewStore(t).Migrate(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Migrate: %v, want it to wait", err)
	}
	if _, err := conn.ExecContext(t.Context(), "DO RELEASE_LOCK("+name+")", db.Prefix); err != nil {
		t.Fatal(err)
	}
	db.Store(t)
}

// What the first version of the tables holds is there after the second's
// migration, and works with what that added.
func TestMigrateFromTheFirstVersion(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		steps, err := sqlstore.Migrations(db.Dialect, sqlstore.WithTablePrefix(db.Prefix))
		if err != nil {
			t.Fatal(err)
		}
		old := strings.Split(strings.TrimSpace(steps[0].SQL), ";\n")
		old = append(old,
			"CREATE TABLE "+db.Prefix+"migrations (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)",
			"INSERT INTO "+db.Prefix+"migrations VALUES (1, 0)",
			"INSERT INTO "+db.Prefix+"connections VALUES ('c1', 'a.myshopify.com', '', 'id', 'plain.token', '', '', 'wa-1', 'TW', 'null')",
			"INSERT INTO "+db.Prefix+"contacts (connection_id, customer_id, updated_at, observed_at, content_hash, name, email, tags, attributes)"+
				" VALUES ('c1', 7, 0, 0, 'h', '王Ann', 'Ann@Example.com', '[]', '{}')",
			"INSERT INTO "+db.Prefix+"marks VALUES ('c1', 7, 1, 5, 0, '', 0, 0)")
		for _, statement := range old {
			if _, err := db.DB.Exec(statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		store := db.Store(t, sqlstore.WithPlaintextSecrets())
		checkVersions(t, db)
		c, err := store.Connection(t.Context(), "c1")
		if err != nil || c.WhatsApp == nil || *c.WhatsApp != (shopifysync.WhatsAppSettings{AccountID: "wa-1", Country: "TW"}) {
			t.Errorf("the connection: %+v, %v", c.WhatsApp, err)
		}
		list, err := store.List(t.Context(), sqlstore.ListParams{Connection: "c1", Search: "王ANN", Limit: 1})
		if err != nil || list.Total != 1 {
			t.Errorf("a search: total %d, %v; want 1", list.Total, err)
		}
		found, err := store.FindContacts(t.Context(), shopifysync.FindContactsParams{Connection: "c1", Email: "ann@example.com"})
		if err != nil || len(found.Contacts) != 1 {
			t.Errorf("FindContacts: %d contacts, %v; want 1", len(found.Contacts), err)
		}
		due, err := store.DueConnections(t.Context(), shopifysync.DueConnectionsParams{DueBy: time.UnixMilli(5), Limit: 10})
		if err != nil || len(due.Connections) != 1 || due.Connections[0] != "c1" {
			t.Errorf("DueConnections: %q, %v", due.Connections, err)
		}
	})
}
