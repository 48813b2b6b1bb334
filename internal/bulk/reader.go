// Package bulk reads the result file of a Shopify bulk operation: JSON Lines,
// one customer a line
// (https://shopify.dev/docs/api/usage/bulk-operations/queries).
//
// [Open] streams the file, however large, and survives broken connections;
// [Decode] turns a line into the same type that pages have.
package bulk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

const (
	// DefaultMaxBytes bounds the size of a file: 64 GiB, some ninety million
	// customers.
	DefaultMaxBytes = 64 << 30
	// DefaultMaxLine bounds the length of a line: 4 MiB. The longest thing in
	// a customer is the note; a usual line has less than 1 KiB.
	DefaultMaxLine = 4 << 20

	bufferSize = 64 << 10

	// A file is asked for maxAttempts times without getting on by a line, the
	// wait between two attempts doubling from firstWait to at most maxWait.
	maxAttempts = 6
	firstWait   = 500 * time.Millisecond
	maxWait     = 30 * time.Second
)

// OpenParams says which file to read.
type OpenParams struct {
	// URL is the url (or partialDataUrl) of the operation. The caller has
	// asked [AllowedURL] about it.
	URL string
	// Offset is where to start: 0, or an earlier [Reader.Offset].
	Offset int64
	// HTTPClient gives its Transport only: no redirect is followed, no cookie
	// sent, and its Timeout would end long downloads. Default
	// [http.DefaultTransport].
	HTTPClient *http.Client
	// MaxBytes is the most the whole file may have after decompression.
	// Default [DefaultMaxBytes]; callers that know the operation's fileSize
	// pass that.
	MaxBytes int64
	// MaxLine is the most a line may have. Default [DefaultMaxLine].
	MaxLine int
	// Logger hears of interruptions. Default: none.
	Logger *slog.Logger
}

// Open begins to read a file. The context bounds the reading, too. Errors are
// those of the context and of this package; all but [ErrInterrupted] will come
// again if the same is tried again.
func Open(ctx context.Context, p OpenParams) (*Reader, error) {
	if p.Offset < 0 {
		return nil, ErrOffset
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if p.HTTPClient != nil {
		client.Transport = p.HTTPClient.Transport
	}
	p.HTTPClient = &client
	p.MaxBytes = cmp.Or(p.MaxBytes, DefaultMaxBytes)
	p.MaxLine = cmp.Or(p.MaxLine, DefaultMaxLine)
	p.Logger = cmp.Or(p.Logger, slog.New(slog.DiscardHandler))

	r := &Reader{ctx: ctx, p: p, offset: p.Offset, size: -1, buf: make([]byte, bufferSize)}
	if err := r.connect(); err != nil {
		return nil, err
	}
	return r, nil
}

// Reader reads the lines of one file. It is for one goroutine at a time.
type Reader struct {
	ctx  context.Context
	p    OpenParams
	conn *connection
	err  error // what Next returns from now on

	// buf[start:end] has been received and not been handed out. Its first byte
	// is byte number offset of the file and begins a line.
	buf        []byte
	start, end int
	offset     int64

	size     int64 // of the file, -1 until the server tells
	lines    int64
	rest     int64 // length of a last line without a newline
	attempts int   // since the last complete line
}

// Next returns the next line that is not blank, without its line ending. The
// line is valid until the next call. After the last line the error is [io.EOF];
// a last line without a newline is returned like the others. After an error the
// same error comes again, and the file can be opened anew at [Reader.Offset].
func (r *Reader) Next() ([]byte, error) {
	for r.err == nil {
		line, err := r.line()
		if err != nil {
			r.fail(err)
			break
		}
		text := bytes.TrimLeft(line, " \t\r")
		switch {
		case len(text) == 0:
			continue
		case text[0] == '<':
			r.fail(fmt.Errorf("%w (it is a page)", ErrUnexpectedAnswer))
		default:
			r.lines++
			return line, nil
		}
	}
	return nil, r.err
}

// Offset is the number of bytes of the file, decompressed, up to the end of the
// last line that Next returned, newline included: where to go on after a crash
// that came after the line was stored. A last line without a newline is not
// complete and does not count.
func (r *Reader) Offset() int64 { return r.offset }

// Proof is what was read, to compare with what Shopify says of the operation.
type Proof struct {
	// Bytes is the number of bytes of the file from its very start, those
	// before [OpenParams].Offset included. At the end it equals fileSize.
	Bytes int64
	// Lines is the number of lines returned since Open.
	Lines int64
	// EndsInNewline is false if the last line read lacks its newline, which
	// says that the file was cut. It is true of an empty file.
	EndsInNewline bool
}

// Proof tells what was read so far.
func (r *Reader) Proof() Proof {
	return Proof{Bytes: r.offset + r.rest, Lines: r.lines, EndsInNewline: r.rest == 0}
}

// Close ends the download. It may be called more than once; the error is nil.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = ErrClosed
	}
	r.disconnect()
	return nil
}

func (r *Reader) fail(err error) {
	r.err = err
	r.disconnect()
}

func (r *Reader) disconnect() {
	if r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
}

// line returns the next line, blank ones too.
func (r *Reader) line() ([]byte, error) {
	if r.rest > 0 {
		return nil, io.EOF
	}
	for searched := 0; ; {
		unread := r.buf[r.start:r.end]
		if i := bytes.IndexByte(unread[searched:], '\n'); i >= 0 {
			return r.complete(unread[:searched+i])
		}
		searched = len(unread)
		if searched > r.p.MaxLine {
			return nil, ErrLineTooLong
		}
		switch err := r.fill(); {
		case err == io.EOF && searched > 0:
			line := r.buf[r.start:r.end] // fill has moved it
			r.start, r.rest = r.end, int64(searched)
			return line, nil
		case err != nil:
			return nil, err
		}
		searched = min(searched, r.end-r.start) // fill may have dropped it
	}
}

// complete steps over a line and its newline.
func (r *Reader) complete(line []byte) ([]byte, error) {
	if len(line) > r.p.MaxLine {
		return nil, ErrLineTooLong
	}
	r.start += len(line) + 1
	r.offset += int64(len(line)) + 1
	r.attempts = 0
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// fill receives more of the line that begins at offset. If the connection
// breaks, the part of the line that is there is dropped and read again.
func (r *Reader) fill() error {
	r.makeRoom()
	received := r.offset + int64(r.end-r.start)
	if r.size >= 0 && received >= r.size {
		return io.EOF
	}
	n, err := r.conn.Read(r.buf[r.end:])
	r.end += n
	received += int64(n)
	if received > r.p.MaxBytes {
		return ErrTooLarge
	}
	switch {
	case n > 0 || err == nil:
		return nil
	case err == io.EOF && r.size < 0:
		return io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	r.disconnect()
	r.end = r.start
	if err := r.backOff(broken(err)); err != nil {
		return err
	}
	return r.connect()
}

// makeRoom leaves space behind buf[start:end].
func (r *Reader) makeRoom() {
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
}

// connect asks for the file from offset on until it comes.
func (r *Reader) connect() error {
	for {
		conn, err := connect(r.ctx, r.p.HTTPClient, r.p.URL, r.offset)
		if err == nil {
			if r.size >= 0 && conn.size >= 0 && conn.size != r.size {
				conn.Close()
				return fmt.Errorf("%w (the file has changed)", ErrUnexpectedAnswer)
			}
			r.conn, r.size = conn, max(r.size, conn.size)
			return nil
		}
		if err := r.backOff(err); err != nil {
			return err
		}
	}
}

// backOff waits before the next attempt, or returns why there is none.
func (r *Reader) backOff(err error) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	retry, ok := errors.AsType[*transient](err)
	if !ok {
		return err
	}
	r.attempts++
	if r.attempts == maxAttempts {
		return fmt.Errorf("%w (last failure: %w)", ErrInterrupted, retry.err)
	}
	wait := max(min(firstWait<<(r.attempts-1), maxWait), retry.after)
	r.p.Logger.WarnContext(r.ctx, "bulk: reading the result file was interrupted, trying again",
		"offset", r.offset, "attempt", r.attempts, "wait", wait, "error", retry.err)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}
