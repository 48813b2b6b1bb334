package sqlstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// errConflict says that a row is no longer what was read: read and decide again.
var errConflict = errors.New("a row was changed meanwhile")

const (
	maxAttempts = 20
	firstPause  = 2 * time.Millisecond
	maxPause    = 500 * time.Millisecond
	maxCommit   = 30 * time.Second
)

// retry runs f until it succeeds or fails for good. A conflict means that
// somebody else got on, a transient error that nobody did: after both, pauses
// double from 2 ms to 500 ms, each shortened at random by up to half, about
// five seconds in all. The context ends them at once.
func (s *Store) retry(ctx context.Context, op string, f func() error) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil {
			return nil
		}
		again := errors.Is(err, errConflict)
		if !again && !isOwn(err) {
			problem, _ := s.dialect.diagnose(err)
			again = problem == transient || problem == duplicate
		}
		if cause := ctx.Err(); cause != nil { // drivers call it an interrupt, or a cancelled query
			return s.wrap(op, errors.Join(cause, err))
		}
		if !again {
			return s.wrap(op, err)
		}
		if attempt == maxAttempts {
			return s.wrap(op, errors.Join(ErrBusy, err))
		}
		if err := sleep(ctx, pause-rand.N(pause/2)); err != nil {
			return s.wrap(op, err)
		}
		pause = min(2*pause, maxPause)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// inTransaction runs f in a transaction that may write, and commits it unless f
// fails.
func (s *Store) inTransaction(ctx context.Context, f func(querier) error) error {
	if s.sqliteWriter != nil {
		select {
		case s.sqliteWriter <- struct{}{}:
			defer func() { <-s.sqliteWriter }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// A driver that cuts a commit off does not know whether it took effect. So
	// ctx ends the transaction up to there, and comes too late afterwards.
	begun, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	release := context.AfterFunc(ctx, end)
	defer release()
	tx, err := s.dialect.begin(begun, s.db)
	if err != nil {
		return err
	}
	if err = f(tx); err == nil && !release() {
		err = ctx.Err()
	}
	if err != nil {
		_ = tx.Rollback() // it is rolled back one way or another; err is what matters
		return err
	}
	defer time.AfterFunc(maxCommit, end).Stop() // a server that is gone must not keep the caller for ever
	return tx.Commit()
}
