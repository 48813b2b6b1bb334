package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// A Reason is an error whose text holds nothing personal, so that it may be
// logged, kept with a run, and shown to the merchant. The host's code returns
// one, alone or wrapped, where it wants its words repeated: a [Mapper] to say
// why a record failed, a store or a [TokenSource] to say what is wrong. Of
// every other error of the host's code only the type is named.
type Reason string

// Error implements error.
func (r Reason) Error() string { return string(r) }

// A hostError is an error of the host's own code: of a store, of a token
// source, or the cause of its context's end. Only [errors.Is] and [errors.As]
// reach that error: its text may quote a token or a person, as a driver's
// "duplicate key (email)=(...)" does.
type hostError struct {
	doing string // what failed: "store contacts"
	err   error
}

// Error names what failed and what kind of error it was.
func (e *hostError) Error() string { return e.doing + ": " + describe(e.err) }

// Unwrap returns the host's own error.
func (e *hostError) Unwrap() error { return e.err }

// GoString implements [fmt.GoStringer]: %#v shows no more than %v.
func (e *hostError) GoString() string { return fmt.Sprintf("shopifysync.hostError(%q)", e.Error()) }

// speakable are the errors whose own text says best what happened.
var speakable = []error{
	ErrNotConnected, ErrInvalidConnection, ErrUnauthorized, ErrUnavailable, ErrThrottled,
	ErrLeaseLost, ErrLeaseHeld, ErrStateConflict, ErrCancelled, context.Canceled, context.DeadlineExceeded,
}

// describe says what may be said of an error of the host's code.
func describe(err error) string {
	var reason Reason
	if errors.As(err, &reason) {
		return string(reason)
	}
	for _, known := range speakable {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return fmt.Sprintf("a %T, whose text may hold personal data and is not repeated: let the host log it", err)
}

// storeError is an error of one of the host's stores. The run may be resumed.
func storeError(doing string, err error) error {
	return &hostError{doing: "store: " + doing, err: err}
}

// contextError is why ctx, which has ended, did.
func contextError(ctx context.Context) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, ErrLeaseLost):
		return ErrLeaseLost
	case cause == ErrNotConnected: // of our own gate
		return ErrNotConnected
	}
	return &hostError{doing: "cancelled", err: errors.Join(ctx.Err(), cause)}
}

// ended returns err, or why ctx has ended, which says more than what it broke.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return contextError(ctx)
	}
	return err
}

// protect turns a panic of the host's code into an error: on a goroutine of
// the library nobody else could recover it, and one connection's trouble would
// end the process. The panic's value may be personal; the stack is not.
func (s *Syncer) protect(ctx context.Context, doing string, f func() error) (err error) {
	defer func() {
		if recover() != nil {
			s.logger.ErrorContext(ctx, "the host's code panicked", "doing", doing, "stack", string(debug.Stack()))
			err = &hostError{doing: doing, err: errPanicked}
		}
	}()
	return f()
}

const errPanicked = Reason("it panicked")
