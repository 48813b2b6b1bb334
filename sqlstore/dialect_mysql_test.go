package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"testing"
)

// A lockingConn answers GET_LOCK with the answers that it has, then with 1.
type lockingConn struct {
	driver.Conn // for the methods that are not used
	answers     []driver.Value
	asked       int
	ask         func() // is called by each GET_LOCK
	released    bool
}

func (c *lockingConn) QueryContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Rows, error) {
	c.ask()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answer := driver.Value(int64(1))
	if c.asked < len(c.answers) {
		answer = c.answers[c.asked]
	}
	c.asked++
	return &oneRow{answer: answer}, nil
}

func (c *lockingConn) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	c.released = strings.Contains(query, "RELEASE_LOCK")
	return driver.ResultNoRows, nil
}

func (c *lockingConn) Close() error                                 { return nil }
func (c *lockingConn) Connect(context.Context) (driver.Conn, error) { return c, nil }
func (c *lockingConn) Driver() driver.Driver                        { return nil }

type oneRow struct {
	answer driver.Value
	read   bool
}

func (*oneRow) Columns() []string { return []string{"answer"} }
func (*oneRow) Close() error      { return nil }

func (r *oneRow) Next(to []driver.Value) error {
	if r.read {
		return io.EOF
	}
	to[0], r.read = r.answer, true
	return nil
}

// Migrate waits for another process as long as that takes, or its context allows.
func TestMySQLMigrateWaits(t *testing.T) {
	no := int64(0) // "not within the time"
	ended, end := context.WithCancel(t.Context())
	defer end()
	tests := map[string]struct {
		ctx     context.Context
		answers []driver.Value
		ask     func()
		want    int // how often it got an answer
		ok      bool
		err     error
	}{
		"at once":           {ctx: t.Context(), want: 1, ok: true},
		"for 80 seconds":    {ctx: t.Context(), answers: []driver.Value{no, no, no, no, no, no, no, no}, want: 9, ok: true},
		"the context ends":  {ctx: ended, answers: []driver.Value{no}, ask: end, want: 0, err: context.Canceled},
		"an error of locks": {ctx: t.Context(), answers: []driver.Value{no, nil}, want: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			conn := &lockingConn{answers: tt.answers, ask: tt.ask}
			if conn.ask == nil {
				conn.ask = func() {}
			}
			db := sql.OpenDB(conn)
			defer db.Close()
			migrated := false
			err := mysql{}.migrating(tt.ctx, db, config{}, func(querier) error {
				migrated = true
				return nil
			})
			if (err == nil) != tt.ok || migrated != tt.ok || conn.released != tt.ok || tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("migrated %t, released %t: %v", migrated, conn.released, err)
			}
			if conn.asked != tt.want {
				t.Errorf("asked %d times, want %d", conn.asked, tt.want)
			}
		})
	}
}
