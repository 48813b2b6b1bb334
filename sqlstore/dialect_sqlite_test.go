package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A scriptedConn records statements and fails those it is told to.
type scriptedConn struct {
	driver.Conn // for the methods that are not used
	fail        map[string]error
	busy        int // how often BEGIN IMMEDIATE fails before it does not
	done        []string
}

func (c *scriptedConn) ExecContext(ctx context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.done = append(c.done, query)
	if query == "BEGIN IMMEDIATE" && c.busy > 0 {
		c.busy--
		return nil, errors.New("database is locked (5) (SQLITE_BUSY)")
	}
	return driver.ResultNoRows, c.fail[query]
}

func (c *scriptedConn) Close() error {
	c.done = append(c.done, "close")
	return nil
}

func (c *scriptedConn) Connect(context.Context) (driver.Conn, error) { return c, nil }
func (c *scriptedConn) Driver() driver.Driver                        { return nil }

// Without a busy timeout Migrate waits all the same, until its context ends.
func TestSQLiteMigrateWaits(t *testing.T) {
	tests := map[string]struct {
		busy     int
		err      error
		migrated bool
	}{
		"for two minutes": {busy: 240, migrated: true},
		"for too long":    {busy: 1000, err: context.DeadlineExceeded},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				db := sql.OpenDB(&scriptedConn{busy: tt.busy})
				defer db.Close()
				migrated := false
				err := sqlite{}.migrating(ctx, db, config{}, func(querier) error {
					migrated = true
					return nil
				})
				if !errors.Is(err, tt.err) || migrated != tt.migrated {
					t.Errorf("migrated: %t, %v; want %t, %v", migrated, err, tt.migrated, tt.err)
				}
			})
		})
	}
}

func TestSQLiteTransaction(t *testing.T) {
	boom := errors.New("boom")
	tests := map[string]struct {
		fail   map[string]error
		cancel bool  // the context, inside the transaction
		inside error // what happens inside it
		err    error
		want   []string
	}{
		"commit":           {want: []string{"BEGIN IMMEDIATE", "COMMIT"}},
		"failure":          {inside: boom, err: boom, want: []string{"BEGIN IMMEDIATE", "ROLLBACK"}},
		"cancelled":        {cancel: true, inside: boom, err: boom, want: []string{"BEGIN IMMEDIATE", "ROLLBACK"}},
		"cancelled at end": {cancel: true, err: context.Canceled, want: []string{"BEGIN IMMEDIATE", "ROLLBACK"}},
		"no begin": { // it may have begun all the same
			fail: map[string]error{"BEGIN IMMEDIATE": boom}, err: boom, want: []string{"BEGIN IMMEDIATE", "ROLLBACK"},
		},
		"no commit": {fail: map[string]error{"COMMIT": boom}, err: boom, want: []string{"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"}},
		"no rollback": { // the connection must not be used again
			fail: map[string]error{"ROLLBACK": boom}, inside: boom, err: boom, want: []string{"BEGIN IMMEDIATE", "ROLLBACK", "close"},
		},
		"rolled back by itself": { // the connection is fine: in memory, it is the database
			fail:   map[string]error{"ROLLBACK": errors.New("SQL logic error: cannot rollback - no transaction is active (1)")},
			inside: boom, err: boom, want: []string{"BEGIN IMMEDIATE", "ROLLBACK"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			conn := &scriptedConn{fail: tt.fail}
			s := &Store{db: sql.OpenDB(conn), dialect: sqlite{}, sqliteWriter: make(chan struct{}, 1)}
			err := s.inTransaction(ctx, func(querier) error {
				if tt.cancel {
					cancel()
				}
				return tt.inside
			})
			if !errors.Is(err, tt.err) {
				t.Errorf("inTransaction: %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, conn.done); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
			if len(s.sqliteWriter) != 0 {
				t.Error("the writer's place is still taken")
			}
		})
	}
}
