package bulk

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Errors of [Open] and [Reader.Next], matched with [errors.Is]. None of them
// carries the address of the file, which is signed and opens it to anybody.
var (
	// ErrExpired: the server does not know the address, or not any more.
	// Shopify's links live for seven days.
	ErrExpired = errors.New("bulk: the address of the result file is no longer valid: ask Shopify for the operation's url again, or start a new operation")
	// ErrUnexpectedAnswer: a redirect, a page, or an answer to another question.
	ErrUnexpectedAnswer = errors.New("bulk: the answer is not the result file: check for a proxy in between, or read the customers by pages")
	// ErrOffset: no line of the file begins at [OpenParams].Offset.
	ErrOffset = errors.New("bulk: the offset does not fit the result file: read the file from its start")
	// ErrInterrupted: the connection kept breaking, at the same line.
	ErrInterrupted = errors.New("bulk: the result file cannot be read on: open it again later at the last offset")
	// ErrLineTooLong: a line is longer than [OpenParams].MaxLine.
	ErrLineTooLong = errors.New("bulk: a line of the result file is longer than allowed: read the customers by pages")
	// ErrTooLarge: the file, decompressed, is larger than [OpenParams].MaxBytes.
	ErrTooLarge = errors.New("bulk: the result file is larger than allowed: read the customers by pages")
	// ErrClosed: the Reader is used after Close.
	ErrClosed = errors.New("bulk: the reader is closed: open the file again at the last offset")
)

// transient marks an error that another attempt may cure.
type transient struct {
	err   error
	after time.Duration // the server's wish, 0 if it has none
}

func (e *transient) Error() string { return e.err.Error() }
func (e *transient) Unwrap() error { return e.err }

// broken is a connection that failed.
func broken(err error) error { return &transient{err: err} }

// statusError turns an answer other than 200 and 206 into an error. Signed
// links that expired are refused with 400 or 403, removed objects are 404
// (https://cloud.google.com/storage/docs/xml-api/reference-status).
func statusError(resp *http.Response) error {
	code := resp.StatusCode
	switch {
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return &transient{
			err:   fmt.Errorf("the server answered with HTTP status %d", code),
			after: time.Duration(min(max(seconds, 0), int(maxWait/time.Second))) * time.Second,
		}
	case code == http.StatusRequestedRangeNotSatisfiable:
		return ErrOffset
	case code >= 400:
		return fmt.Errorf("%w (HTTP status %d)", ErrExpired, code)
	}
	return fmt.Errorf("%w (HTTP status %d)", ErrUnexpectedAnswer, code)
}

// withoutURL takes the address out of an error of net/http.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
