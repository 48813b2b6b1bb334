package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/omnichat/shopifysync"
)

// Sentinel errors, to be matched with [errors.Is]. Their texts, and those of
// every error of this package, are safe to show: [errors.As] finds a
// [shopifysync.Reason] in them, which the Syncer repeats.
var (
	// ErrNotMigrated: a table or a column is missing.
	ErrNotMigrated error = shopifysync.Reason("the tables are missing, or of an earlier version: call Store.Migrate, or check schema and prefix")
	// ErrNewerSchema: the tables were made by a later version of this package.
	ErrNewerSchema error = shopifysync.Reason("the tables belong to a later version of sqlstore: upgrade this program")
	// ErrBusy: deadlocks, serialization failures or a locked database went on
	// for longer than the retries.
	ErrBusy error = shopifysync.Reason("the database stayed busy: try again later")
	// ErrNoEncryptionKeys: a connection cannot be saved for want of a key.
	ErrNoEncryptionKeys error = shopifysync.Reason("a connection's secrets must be encrypted: give New a key by WithEncryptionKeys, or choose WithPlaintextSecrets")
	// ErrPlaintextSecret: a stored secret is not encrypted.
	ErrPlaintextSecret error = shopifysync.Reason("a stored secret is not encrypted: allow it by WithPlaintextSecrets, call Store.ReencryptSecrets, or save the connection anew")
	// ErrUnknownKey: the key that a secret was encrypted with was not given.
	ErrUnknownKey error = shopifysync.Reason("a stored secret was encrypted with a key that is not among WithEncryptionKeys: add that key")
	// ErrSecretDamaged: a stored secret was changed, moved from another row or
	// column, or encrypted with another key of the same id.
	ErrSecretDamaged error = shopifysync.Reason("a stored secret cannot be decrypted: it was altered or moved, or its key replaced; save the connection anew")
)

// An Error is a failure of the database. Its text holds no message of the
// server's, since those may quote what was to be stored; [errors.As] reaches
// the driver's own error.
type Error struct {
	Op   string // what was being done: "upsert contacts"
	Code string // what the database calls it: "SQLSTATE 40001", "MySQL error 1213"; may be empty
	Err  error  // the driver's error, or that joined with a sentinel of this package
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("sqlstore: " + e.Op + ": ")
	var network net.Error
	switch {
	case errors.Is(e.Err, ErrNotMigrated):
		b.WriteString(ErrNotMigrated.Error())
	case errors.Is(e.Err, ErrBusy):
		b.WriteString(ErrBusy.Error())
	case errors.Is(e.Err, errDiskFull):
		b.WriteString(errDiskFull.Error())
	case errors.Is(e.Err, errReadOnly):
		b.WriteString(errReadOnly.Error())
	case errors.Is(e.Err, errDenied):
		b.WriteString(errDenied.Error())
	case errors.Is(e.Err, context.Canceled):
		b.WriteString(context.Canceled.Error())
	case errors.Is(e.Err, context.DeadlineExceeded):
		b.WriteString(context.DeadlineExceeded.Error())
	case errors.As(e.Err, &network):
		b.WriteString("the database cannot be reached: " + network.Error())
	default:
		b.WriteString("the database failed: errors.As finds the driver's error, whose text may quote stored data")
	}
	if e.Code != "" {
		b.WriteString(" (" + e.Code + ")")
	}
	return b.String()
}

// Unwrap returns the driver's error.
func (e *Error) Unwrap() error { return e.Err }

// As lets [errors.As] find the text as a [shopifysync.Reason]: it is safe.
func (e *Error) As(target any) bool { return asReason(e, target) }

func asReason(err error, target any) bool {
	reason, ok := target.(*shopifysync.Reason)
	if ok {
		*reason = shopifysync.Reason(err.Error())
	}
	return ok
}

var (
	errDiskFull = errors.New("the database's disk is full: make room, then try again")
	errReadOnly = errors.New("the database is read-only: connect to the primary, or check the file's permissions")
	errDenied   = errors.New("the database user lacks a right on the tables: grant SELECT, INSERT, UPDATE and DELETE, and for Migrate also CREATE, which in PostgreSQL 15 is a right on the schema")
)

// wrap makes an [Error] of what a driver returned; errors of this package and
// of shopifysync pass through.
func (s *Store) wrap(op string, err error) error {
	if err == nil || isOwn(err) {
		return err
	}
	problem, code := s.dialect.diagnose(err)
	switch problem {
	case transient:
		err = errors.Join(ErrBusy, err)
	case missingTable:
		err = errors.Join(ErrNotMigrated, err)
	case diskFull:
		err = errors.Join(errDiskFull, err)
	case readOnly:
		err = errors.Join(errReadOnly, err)
	case denied:
		err = errors.Join(errDenied, err)
	}
	return &Error{Op: op, Code: code, Err: err}
}

// An ownError is made by this package, not by a driver: its text may be shown.
type ownError struct{ error }

func (e ownError) Unwrap() error { return e.error }

func (e ownError) As(target any) bool { return asReason(e, target) }

func ownf(format string, args ...any) error {
	return ownError{fmt.Errorf("sqlstore: "+format, args...)}
}

func isOwn(err error) bool {
	var own ownError
	var wrapped *Error
	return errors.As(err, &own) || errors.As(err, &wrapped)
}

// checkConnection is what every method begins with.
func checkConnection(ctx context.Context, id shopifysync.ConnectionID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if id == "" || len(id) > 255 || !storable(string(id)) {
		return fmt.Errorf("sqlstore: %w: its ID must be 1 to 255 bytes of UTF-8 without NUL", shopifysync.ErrInvalidConnection)
	}
	return nil
}

// checkLimit refuses a page that could never end a listing.
func checkLimit(limit int) error {
	if limit < 1 {
		return errors.New("sqlstore: a page's limit must be at least 1")
	}
	return nil
}

// storable reports whether every database can hold the text: PostgreSQL takes
// neither NUL nor invalid UTF-8.
func storable(s string) bool {
	return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s)
}
