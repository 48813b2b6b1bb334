package integration

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/sample"
	"github.com/omnichat/shopifysync/sqlstore"
)

// A call that is cancelled, wherever it is, leaves no open transaction in the
// pool, and loses no database in memory with its only connection.
func TestSQLiteCancelledAnywhere(t *testing.T) {
	for name, dsn := range map[string]string{
		"file":   "file:" + filepath.Join(t.TempDir(), "test.db") + "?" + sqlstore.SQLitePragmas,
		"memory": ":memory:",
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sql.Open("sqlite", dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			store, err := sqlstore.New(db, sqlstore.SQLite)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			marks := shopifysync.PutMarksParams{
				Connection: sample.Connection,
				Marks:      []shopifysync.Mark{{Connection: sample.Connection, CustomerID: 7}},
			}
			took := time.Millisecond // by a call that nobody cancels
			for i := range 2000 {
				ctx, cancel := context.WithTimeout(t.Context(), rand.N(took))
				_, err := store.PutMarks(ctx, marks)
				cancel()
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("call %d, cancelled: %v", i, err)
				}
				start := time.Now()
				if _, err := store.PutMarks(t.Context(), marks); err != nil {
					t.Fatalf("call %d, after one that was cancelled: %v", i, err)
				}
				took = time.Since(start)
			}
		})
	}
}
