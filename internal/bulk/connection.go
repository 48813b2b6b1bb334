package bulk

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// stallAfter is how long a connection may stay silent before it is given up.
const stallAfter = time.Minute

var errStalled = errors.New("the server has been silent for a minute")

// errCompressedRange: a part of a compressed file cannot be decompressed.
var errCompressedRange = errors.New("bulk: part of a compressed file")

// connection is one answer of the server, read from some byte of the file on.
type connection struct {
	io.Reader       // the file, decompressed
	size      int64 // of the whole file, -1 if the server did not say
	answer    *watched
}

func (c *connection) Close() { c.answer.close() }

// connect returns the file from offset on, which must be the start of a line:
// the byte before is asked for, too, and an offset of another file is noticed.
func connect(ctx context.Context, client *http.Client, url string, offset int64) (*connection, error) {
	from := max(offset-1, 0)
	c, start, err := request(ctx, client, url, from)
	if errors.Is(err, errCompressedRange) {
		c, start, err = request(ctx, client, url, 0)
	}
	if err != nil || offset == 0 {
		return c, err
	}
	if err := c.skipToLine(from - start); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// skipToLine reads n bytes and the newline behind them.
func (c *connection) skipToLine(n int64) error {
	var last [1]byte
	_, err := io.CopyN(io.Discard, c, n)
	if err == nil {
		_, err = io.ReadFull(c, last[:])
	}
	switch {
	case err == io.EOF && c.size >= 0 && c.size > n:
		return broken(io.ErrUnexpectedEOF)
	case err == io.EOF:
		return ErrOffset
	case err != nil:
		return broken(err)
	case last[0] != '\n':
		return ErrOffset
	}
	return nil
}

// request asks for the file from a byte on. The answer begins at start, which
// is 0 if the server does not know ranges.
func request(ctx context.Context, client *http.Client, url string, from int64) (_ *connection, start int64, err error) {
	w := newWatched(ctx)
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("%w (the address cannot be parsed)", ErrUnexpectedAnswer)
	}
	// Offsets count the bytes of the plain file, so nothing may be compressed.
	req.Header.Set("Accept-Encoding", "identity")
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := w.do(client, req)
	if err != nil {
		return nil, 0, broken(err)
	}

	partial := resp.StatusCode == http.StatusPartialContent
	switch {
	case !partial && resp.StatusCode != http.StatusOK:
		return nil, 0, statusError(resp)
	case isPage(resp.Header.Get("Content-Type")):
		return nil, 0, fmt.Errorf("%w (it is a page)", ErrUnexpectedAnswer)
	}
	c := &connection{Reader: w, size: resp.ContentLength, answer: w}
	switch strings.ToLower(resp.Header.Get("Content-Encoding")) {
	case "", "identity":
	case "gzip", "x-gzip":
		if partial {
			return nil, 0, errCompressedRange
		}
		c.size = -1
		if c.Reader, err = gzip.NewReader(w); err != nil {
			return nil, 0, broken(err)
		}
	default:
		return nil, 0, fmt.Errorf("%w (its compression is unknown)", ErrUnexpectedAnswer)
	}
	if !partial {
		return c, 0, nil
	}
	c.size, err = contentRange(resp.Header.Get("Content-Range"), from)
	return c, from, err
}

// contentRange checks that the answer begins where it was asked to and returns
// the size of the whole file, -1 if it is not told (RFC 9110, section 14.4).
func contentRange(header string, from int64) (size int64, err error) {
	var first, last int64
	if n, _ := fmt.Sscanf(header, "bytes %d-%d/%d", &first, &last, &size); n < 3 {
		size = -1
		if n < 2 || !strings.HasSuffix(header, "/*") {
			first = -1
		}
	}
	if first != from || last < first || size >= 0 && last >= size {
		return 0, fmt.Errorf("%w (another part of the file)", ErrUnexpectedAnswer)
	}
	return size, nil
}

// isPage tells the pages of proxies, logins and storage errors by their type.
func isPage(contentType string) bool {
	t, _, _ := mime.ParseMediaType(contentType)
	return t == "text/html" || t == "application/xhtml+xml" || t == "text/xml" || t == "application/xml"
}

// watched is the body of an answer whose silence, while somebody waits for it,
// ends the request. A [http.Client.Timeout] would bound the whole download.
type watched struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	body   io.ReadCloser
	err    error // how the body ended: the same error comes at every later read
}

func newWatched(ctx context.Context) *watched {
	w := &watched{}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(stallAfter, func() { w.cancel(errStalled) })
	return w
}

func (w *watched) do(client *http.Client, req *http.Request) (*http.Response, error) {
	defer w.timer.Stop()
	resp, err := client.Do(req)
	if err != nil {
		return nil, w.cause(withoutURL(err))
	}
	w.body = resp.Body
	return resp, nil
}

func (w *watched) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.timer.Reset(stallAfter)
	defer w.timer.Stop()
	n, err := w.body.Read(p)
	w.err = w.cause(err)
	return n, w.err
}

// cause names the silence that is behind a cancelled request.
func (w *watched) cause(err error) error {
	if err != nil && err != io.EOF && errors.Is(context.Cause(w.ctx), errStalled) {
		return errStalled
	}
	return err
}

func (w *watched) close() {
	w.timer.Stop()
	w.cancel(ErrClosed)
	if w.body != nil {
		w.body.Close()
	}
}
