package sqlstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/omnichat/shopifysync"
)

// The errors of the drivers, as far as this package looks at them.
type stateError string

func (e stateError) Error() string    { return "ERROR: jane@example.com" }
func (e stateError) SQLState() string { return string(e) }

type codeError int

func (e codeError) Error() string { return "jane@example.com" }
func (e codeError) Code() int     { return int(e) }

func TestDiagnose(t *testing.T) {
	tests := []struct {
		dialect dialect
		err     error
		want    problem
		code    string
	}{
		{postgres{}, stateError("40001"), transient, "SQLSTATE 40001"},
		{postgres{}, stateError("40P01"), transient, "SQLSTATE 40P01"},
		{postgres{}, stateError("23505"), duplicate, "SQLSTATE 23505"},
		{postgres{}, stateError("42P01"), missingTable, "SQLSTATE 42P01"},
		{postgres{}, stateError("53100"), diskFull, "SQLSTATE 53100"},
		{postgres{}, stateError("25006"), readOnly, "SQLSTATE 25006"},
		{postgres{}, stateError("42501"), denied, "SQLSTATE 42501"},
		{postgres{}, stateError("22021"), otherProblem, "SQLSTATE 22021"},
		{postgres{}, errors.New("40001"), otherProblem, ""},
		{mysql{}, errors.New("Error 1213 (40001): Deadlock found when trying to get lock"), transient, "MySQL error 1213"},
		{mysql{}, errors.New("Error 1205 (HY000): Lock wait timeout exceeded"), transient, "MySQL error 1205"},
		{mysql{}, errors.New("Error 1062 (23000): Duplicate entry"), duplicate, "MySQL error 1062"},
		{mysql{}, errors.New("Error 1146 (42S02): Table 'x' doesn't exist"), missingTable, "MySQL error 1146"},
		{mysql{}, errors.New("Error 1366 (22007): Incorrect string value"), otherProblem, "MySQL error 1366"},
		{mysql{}, errors.New("invalid connection"), otherProblem, ""},
		{sqlite{}, codeError(5), transient, "SQLite error 5"},
		{sqlite{}, codeError(5 | 2<<8), transient, "SQLite error 517"}, // SQLITE_BUSY_SNAPSHOT
		{sqlite{}, codeError(6), transient, "SQLite error 6"},
		{sqlite{}, errors.New("database is locked"), transient, "SQLite error"},
		{sqlite{}, codeError(13), diskFull, "SQLite error 13"},
		{sqlite{}, codeError(8), readOnly, "SQLite error 8"},
		{sqlite{}, errors.New("UNIQUE constraint failed: contacts.customer_id"), duplicate, "SQLite error"},
		{sqlite{}, errors.New("SQL logic error: no such table: contacts (1)"), missingTable, "SQLite error"},
		{sqlite{}, codeError(11), otherProblem, "SQLite error 11"},
	}
	for _, tt := range tests {
		got, code := tt.dialect.diagnose(tt.err)
		if got != tt.want || code != tt.code {
			t.Errorf("%T: diagnose(%v %#v) = %d, %q; want %d, %q", tt.dialect, tt.err, tt.err, got, code, tt.want, tt.code)
		}
	}
}

func TestRetryUntilItSucceeds(t *testing.T) {
	for name, passing := range map[string]error{
		"conflict": errConflict, "deadlock": stateError("40P01"), "duplicate": stateError("23505"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Store{dialect: postgres{}}
				calls := 0
				err := s.retry(t.Context(), "test", func() error {
					if calls++; calls < 5 {
						return passing
					}
					return nil
				})
				if err != nil || calls != 5 {
					t.Errorf("retry: %v after %d calls, want success after 5", err, calls)
				}
			})
		})
	}
}

func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{dialect: postgres{}}
		calls, start := 0, time.Now()
		err := s.retry(t.Context(), "test", func() error { calls++; return stateError("40001") })
		if !errors.Is(err, ErrBusy) || calls != maxAttempts {
			t.Errorf("retry: %v after %d calls, want ErrBusy after %d", err, calls, maxAttempts)
		}
		if took := time.Since(start); took < 2*time.Second || took > 8*time.Second {
			t.Errorf("retry took %v, want some seconds", took)
		}
	})
}

func TestRetryDoesNotRepeatFailures(t *testing.T) {
	s := &Store{dialect: postgres{}}
	for name, failure := range map[string]error{
		"data":  stateError("22021"),
		"lease": ownf("lease: %w", shopifysync.ErrLeaseLost),
		"other": errors.New("boom"),
	} {
		calls := 0
		err := s.retry(t.Context(), "test", func() error { calls++; return failure })
		if !errors.Is(err, failure) || calls != 1 {
			t.Errorf("%s: retry: %v after %d calls, want the failure after 1", name, err, calls)
		}
	}
}

func TestRetryStopsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		s := &Store{dialect: postgres{}}
		start := time.Now()
		err := s.retry(ctx, "test", func() error { return stateError("40001") })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Millisecond {
			t.Errorf("retry: %v after %v, want the deadline's error at the deadline", err, time.Since(start))
		}
	})
}

func TestInterruptIsTheContextsError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &Store{dialect: sqlite{}}
	err := s.retry(ctx, "test", func() error { cancel(); return codeError(9) }) // SQLITE_INTERRUPT
	if !errors.Is(err, context.Canceled) {
		t.Errorf("retry: %v, want context.Canceled", err)
	}
}

func TestErrorsQuoteNothing(t *testing.T) {
	tests := []struct {
		dialect dialect
		err     error
		want    string
	}{
		{postgres{}, stateError("22021"), "sqlstore: test: the database failed: errors.As finds the driver's error, whose text may quote stored data (SQLSTATE 22021)"},
		{postgres{}, stateError("42P01"), "sqlstore: test: the tables are missing, or of an earlier version: call Store.Migrate, or check schema and prefix (SQLSTATE 42P01)"},
		{postgres{}, stateError("42501"), "sqlstore: test: the database user lacks a right on the tables: grant SELECT, INSERT, UPDATE and DELETE, and for Migrate also CREATE, which in PostgreSQL 15 is a right on the schema (SQLSTATE 42501)"},
		{mysql{}, errors.New("Error 1366 (22007): Incorrect string value: 'jane@example.com'"), "sqlstore: test: the database failed: errors.As finds the driver's error, whose text may quote stored data (MySQL error 1366)"},
		{sqlite{}, codeError(13), "sqlstore: test: the database's disk is full: make room, then try again (SQLite error 13)"},
		{sqlite{}, context.Canceled, "sqlstore: test: context canceled"},
	}
	for _, tt := range tests {
		s := &Store{dialect: tt.dialect}
		err := s.retry(t.Context(), "test", func() error { return tt.err })
		if err.Error() != tt.want {
			t.Errorf("got  %s\nwant %s", err, tt.want)
		}
		if !errors.Is(err, tt.err) {
			t.Errorf("%v does not lead to the driver's error", err)
		}
	}
}
