package bulk

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeURL has a signature, which no error may show.
const fakeURL = "https://storage.googleapis.com/bucket/file?Signature=geheim"

// fake answers requests in the test's place and watches that every body is
// closed.
type fake struct {
	answer func(attempt int, req *http.Request) (*http.Response, error)

	mu     sync.Mutex
	asked  []http.Header
	opened int
	closed int
}

func (f *fake) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.asked = append(f.asked, req.Header)
	attempt := len(f.asked)
	f.mu.Unlock()
	resp, err := f.answer(attempt, req)
	if err != nil {
		return nil, err
	}
	f.opened++
	resp.Body = &closing{resp.Body, req.Context(), func() { f.closed++ }}
	return resp, nil
}

// closing is a body that notes when it is closed, and ends with its request.
type closing struct {
	io.ReadCloser
	ctx   context.Context
	close func()
}

func (c *closing) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.ReadCloser.Read(p)
}

func (c *closing) Close() error {
	c.close()
	c.close = func() {}
	return c.ReadCloser.Close()
}

// file answers as a server of ranges does.
func file(req *http.Request, data string) *http.Response {
	rec := httptest.NewRecorder()
	http.ServeContent(rec, req, "file.jsonl", time.Time{}, strings.NewReader(data))
	resp := rec.Result()
	resp.ContentLength, _ = strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64)
	return resp
}

// whole answers as a server that does not know ranges, and no lengths.
func whole(data string) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(strings.NewReader(data))}
}

func gzipped(data string) *http.Response {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, data)
	w.Close()
	resp := whole(b.String())
	resp.Header.Set("Content-Encoding", "gzip")
	resp.ContentLength = int64(b.Len())
	return resp
}

// cut ends the body of an answer with an error after n bytes.
func cut(resp *http.Response, n int64, err error) *http.Response {
	resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, n), iotest.ErrReader(err)))
	return resp
}

func open(t *testing.T, f *fake, p OpenParams) (*Reader, error) {
	t.Helper()
	p.URL = fakeURL
	p.HTTPClient = &http.Client{Transport: f}
	r, err := Open(t.Context(), p)
	t.Cleanup(func() {
		if r != nil {
			r.Close()
		}
		if f.opened != f.closed {
			t.Errorf("%d bodies were opened, %d closed", f.opened, f.closed)
		}
	})
	return r, err
}

// read returns the lines of a file, and the error if it is not io.EOF.
func read(r *Reader) (lines []string, err error) {
	for {
		line, err := r.Next()
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		lines = append(lines, string(line))
	}
}

// readAll opens and reads.
func readAll(t *testing.T, f *fake, p OpenParams) ([]string, Proof, error) {
	t.Helper()
	r, err := open(t, f, p)
	if err != nil {
		return nil, Proof{}, err
	}
	lines, err := read(r)
	if _, again := r.Next(); !errors.Is(again, err) && again != io.EOF {
		t.Errorf("Next fails with %v, and then with %v", err, again)
	}
	return lines, r.Proof(), err
}

// always gives one answer to everything.
func always(resp func(req *http.Request) *http.Response) *fake {
	return &fake{answer: func(_ int, req *http.Request) (*http.Response, error) { return resp(req), nil }}
}

func serving(data string) *fake {
	return always(func(req *http.Request) *http.Response { return file(req, data) })
}

func TestLines(t *testing.T) {
	tests := []struct {
		name, file string
		want       []string
		proof      Proof
	}{
		{"empty", "", nil, Proof{0, 0, true}},
		{"lines", "{1}\n{2}\n", []string{"{1}", "{2}"}, Proof{8, 2, true}},
		{"no newline at the end", "{1}\n{2}", []string{"{1}", "{2}"}, Proof{7, 2, false}},
		{"a longer one without a newline", "{1}\n{2345678}", []string{"{1}", "{2345678}"}, Proof{13, 2, false}},
		{"one without a newline", "{1}", []string{"{1}"}, Proof{3, 1, false}},
		{"NUL is no blank", "\x00\n\x00", []string{"\x00", "\x00"}, Proof{3, 2, false}},
		{"blank lines", "\n{1}\n \t\n\r\n{2}\n\n", []string{"{1}", "{2}"}, Proof{15, 2, true}},
		{"only a newline", "\n", nil, Proof{1, 0, true}},
		{"blank at the end", "{1}\n  ", []string{"{1}"}, Proof{6, 1, false}},
		{"CRLF", "{1}\r\n{2}\r\n", []string{"{1}", "{2}"}, Proof{10, 2, true}},
		{"byte order mark", "\ufeff{1}\n", []string{"\ufeff{1}"}, Proof{7, 1, true}},
		{"longer than the buffer", strings.Repeat("a", 3*bufferSize) + "\n{2}\n", []string{strings.Repeat("a", 3*bufferSize), "{2}"}, Proof{3*bufferSize + 5, 2, true}},
		{"many", strings.Repeat("{12345}\n", bufferSize/4), slices.Repeat([]string{"{12345}"}, bufferSize/4), Proof{2 * bufferSize, bufferSize / 4, true}},
	}
	for _, tt := range tests {
		answers := map[string]func(req *http.Request) *http.Response{
			"ranges":      func(req *http.Request) *http.Response { return file(req, tt.file) },
			"no length":   func(req *http.Request) *http.Response { return whole(tt.file) },
			"gzip":        func(req *http.Request) *http.Response { return gzipped(tt.file) },
			"byte-wise":   func(req *http.Request) *http.Response { return chunked(whole(tt.file), iotest.OneByteReader) },
			"data + EOF":  func(req *http.Request) *http.Response { return chunked(whole(tt.file), iotest.DataErrReader) },
			"half chunks": func(req *http.Request) *http.Response { return chunked(whole(tt.file), iotest.HalfReader) },
		}
		for server, answer := range answers {
			t.Run(tt.name+", "+server, func(t *testing.T) {
				lines, proof, err := readAll(t, always(answer), OpenParams{})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, lines); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.proof, proof); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func chunked(resp *http.Response, by func(io.Reader) io.Reader) *http.Response {
	resp.Body = io.NopCloser(by(resp.Body))
	return resp
}

// TestResume reads a file to each of its lines, and on from there.
func TestResume(t *testing.T) {
	const data = "{1}\n\n{22}\r\n{333}\n \n{4}\n\n"
	partGzip := func(req *http.Request) *http.Response {
		if req.Header.Get("Range") == "" {
			return gzipped(data)
		}
		resp := file(req, data)
		resp.Header.Set("Content-Encoding", "gzip")
		return resp
	}
	for server, answer := range map[string]func(req *http.Request) *http.Response{
		"ranges":             func(req *http.Request) *http.Response { return file(req, data) },
		"whole":              func(req *http.Request) *http.Response { return whole(data) },
		"gzip":               func(req *http.Request) *http.Response { return gzipped(data) },
		"gzip in parts":      partGzip,
		"ranges, no total":   func(req *http.Request) *http.Response { return unknownTotal(file(req, data)) },
		"ranges, parts only": func(req *http.Request) *http.Response { return file(req, data) },
	} {
		t.Run(server, func(t *testing.T) {
			all, _, err := readAll(t, always(answer), OpenParams{})
			if err != nil {
				t.Fatal(err)
			}
			for n := range len(all) + 2 {
				first, err := open(t, always(answer), OpenParams{})
				if err != nil {
					t.Fatal(err)
				}
				for range n {
					first.Next()
				}
				rest, proof, err := readAll(t, always(answer), OpenParams{Offset: first.Offset()})
				if err != nil {
					t.Fatal(err)
				}
				n := min(n, len(all))
				if diff := cmp.Diff(all[n:], append([]string{}, rest...)); diff != "" {
					t.Errorf("behind line %d: %s", n, diff)
				}
				if diff := cmp.Diff(Proof{int64(len(data)), int64(len(all) - n), true}, proof); diff != "" {
					t.Errorf("behind line %d: %s", n, diff)
				}
			}
		})
	}
}

func unknownTotal(resp *http.Response) *http.Response {
	if r := resp.Header.Get("Content-Range"); r != "" {
		resp.Header.Set("Content-Range", r[:strings.IndexByte(r, '/')]+"/*")
	}
	return resp
}

// TestResumeUnterminated: a last line without its newline is read again.
func TestResumeUnterminated(t *testing.T) {
	r, err := open(t, serving("{1}\n{2}"), OpenParams{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(r); err != nil {
		t.Fatal(err)
	}
	if r.Offset() != 4 {
		t.Fatalf("offset %d, want 4", r.Offset())
	}
	lines, proof, err := readAll(t, serving("{1}\n{2}"), OpenParams{Offset: 4})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"{2}"}, lines); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Proof{7, 1, false}, proof); diff != "" {
		t.Error(diff)
	}
}

func TestOffsetOfAnotherFile(t *testing.T) {
	const data = "\n{1}\n{2}\n"
	for _, offset := range []int64{-1, 2, 4, 8, 10, 1000} {
		for server, f := range map[string]*fake{
			"ranges": serving(data),
			"whole":  always(func(*http.Request) *http.Response { return whole(data) }),
			"gzip":   always(func(*http.Request) *http.Response { return gzipped(data) }),
		} {
			if _, _, err := readAll(t, f, OpenParams{Offset: offset}); !errors.Is(err, ErrOffset) {
				t.Errorf("offset %d, %s: %v, want ErrOffset", offset, server, err)
			}
		}
	}
}

func TestWrongAnswers(t *testing.T) {
	const page = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code><Details>geheim</Details></Error>"
	with := func(status int, header, value, body string) *fake {
		return always(func(*http.Request) *http.Response {
			resp := whole(body)
			resp.StatusCode = status
			resp.Header.Set(header, value)
			return resp
		})
	}
	tests := []struct {
		name   string
		f      *fake
		offset int64
		want   error
	}{
		{"400", with(400, "Content-Type", "application/xml", page), 0, ErrExpired},
		{"401", with(401, "Content-Type", "application/xml", page), 0, ErrExpired},
		{"403", with(403, "Content-Type", "application/xml; charset=UTF-8", page), 0, ErrExpired},
		{"404", with(404, "Content-Type", "text/html", page), 0, ErrExpired},
		{"410", with(410, "Content-Type", "text/plain", "gone"), 8, ErrExpired},
		{"416", with(416, "Content-Range", "bytes */4", ""), 8, ErrOffset},
		{"301", with(301, "Location", "https://evil.example/", ""), 0, ErrUnexpectedAnswer},
		{"302", with(302, "Location", "http://169.254.169.254/", ""), 0, ErrUnexpectedAnswer},
		{"303", with(303, "Location", "/elsewhere", ""), 0, ErrUnexpectedAnswer},
		{"307", with(307, "Location", fakeURL, ""), 0, ErrUnexpectedAnswer},
		{"308", with(308, "Location", "https://storage.googleapis.com/other", ""), 0, ErrUnexpectedAnswer},
		{"204", with(204, "X", "y", ""), 0, ErrUnexpectedAnswer},
		{"304", with(304, "X", "y", ""), 0, ErrUnexpectedAnswer},
		{"XML with 200", with(200, "Content-Type", "application/xml; charset=UTF-8", page), 0, ErrUnexpectedAnswer},
		{"HTML with 200", with(200, "Content-Type", "TEXT/HTML;charset=utf-8", "log in"), 0, ErrUnexpectedAnswer},
		{"XML called text", with(200, "Content-Type", "text/plain", page), 0, ErrUnexpectedAnswer},
		{"XML called JSONL", with(200, "Content-Type", "application/jsonl", page), 0, ErrUnexpectedAnswer},
		{"HTML after blank lines", with(200, "X", "y", "\n\n\t <!DOCTYPE html>\n<p>"), 0, ErrUnexpectedAnswer},
		{"HTML in the middle", with(200, "X", "y", "{1}\n<html>\n"), 0, ErrUnexpectedAnswer},
		{"unknown compression", with(200, "Content-Encoding", "br", "{1}\n"), 0, ErrUnexpectedAnswer},
		{"another part", with(206, "Content-Range", "bytes 4-7/8", "{1}\n"), 8, ErrUnexpectedAnswer},
		{"the first part", with(206, "Content-Range", "bytes 0-7/8", "{1}\n{2}\n"), 5, ErrUnexpectedAnswer},
		{"part beyond the end", with(206, "Content-Range", "bytes 3-9/8", "\n{2}\n"), 4, ErrUnexpectedAnswer},
		{"part that ends before it begins", with(206, "Content-Range", "bytes 3-2/8", "\n{2}\n"), 4, ErrUnexpectedAnswer},
		{"part in other units", with(206, "Content-Range", "lines 3-4/8", "\n{2}\n"), 4, ErrUnexpectedAnswer},
		{"part without a total", with(206, "Content-Range", "bytes 3-4", "\n{2}\n"), 4, ErrUnexpectedAnswer},
		{"part that says nothing", with(206, "X", "y", "\n{2}\n"), 4, ErrUnexpectedAnswer},
		{"several parts", with(206, "Content-Type", "multipart/byteranges; boundary=a", "--a"), 4, ErrUnexpectedAnswer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := readAll(t, tt.f, OpenParams{Offset: tt.offset})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error shows too much: %v", err)
			}
			if n := len(tt.f.asked); n != 1 {
				t.Errorf("asked %d times, want once", n)
			}
		})
	}
}

// TestRequest: nothing of the caller's client but its transport is used.
func TestRequest(t *testing.T) {
	f := serving("{1}\n{2}\n")
	jar, _ := cookiejar.New(nil)
	u, _ := url.Parse(fakeURL)
	jar.SetCookies(u, []*http.Cookie{{Name: "session", Value: "geheim"}})
	r, err := Open(t.Context(), OpenParams{URL: fakeURL, Offset: 4, HTTPClient: &http.Client{Transport: f, Jar: jar, Timeout: time.Nanosecond}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if lines, err := read(r); err != nil || len(lines) != 1 {
		t.Errorf("got %q, %v", lines, err)
	}
	want := []http.Header{{"Accept-Encoding": {"identity"}, "Range": {"bytes=3-"}}}
	if diff := cmp.Diff(want, f.asked); diff != "" {
		t.Error(diff)
	}
}

// TestBroken: every connection breaks after some bytes, and the lines are
// complete all the same.
func TestBroken(t *testing.T) {
	var data strings.Builder
	for i := range 200 {
		fmt.Fprintf(&data, "{%d}\n", i)
	}
	want := strings.Fields(data.String())
	size := int64(data.Len())
	for name, answer := range map[string]func(req *http.Request) *http.Response{
		"reset":            func(req *http.Request) *http.Response { return cut(file(req, data.String()), 100, errors.New("reset")) },
		"short":            func(req *http.Request) *http.Response { return cut(file(req, data.String()), 100, io.EOF) },
		"unexpected EOF":   func(req *http.Request) *http.Response { return cut(file(req, data.String()), 100, io.ErrUnexpectedEOF) },
		"smaller ranges":   func(req *http.Request) *http.Response { return firstBytes(req, data.String(), 100) },
		"error with bytes": func(req *http.Request) *http.Response { return errorWithBytes(file(req, data.String()), 100) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := always(answer)
				start := time.Now()
				lines, proof, err := readAll(t, f, OpenParams{})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, lines); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(Proof{size, 200, true}, proof); diff != "" {
					t.Error(diff)
				}
				// Each connection got on by a line, so that each wait is a first one.
				if waited, want := time.Since(start), time.Duration(len(f.asked)-1)*firstWait; waited != want || len(f.asked) < 8 {
					t.Errorf("waited %v for %d connections, want %v", waited, len(f.asked), want)
				}
			})
		})
	}
}

// firstBytes answers with less than was asked for.
func firstBytes(req *http.Request, data string, n int64) *http.Response {
	var from int64
	fmt.Sscanf(req.Header.Get("Range"), "bytes=%d-", &from)
	req = req.Clone(req.Context())
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+n-1))
	return file(req, data)
}

// errorWithBytes ends after n bytes with an error that comes once, together
// with the last of them.
func errorWithBytes(resp *http.Response, n int) *http.Response {
	all, _ := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(&onceFailing{all, n})
	return resp
}

type onceFailing struct {
	data []byte
	left int
}

func (o *onceFailing) Read(p []byte) (n int, err error) {
	n = copy(p, o.data[:min(o.left, len(o.data))])
	o.data, o.left = o.data[n:], o.left-n
	switch {
	case len(o.data) == 0:
		return n, io.EOF
	case o.left == 0:
		o.data, o.left = o.data[1:], len(o.data) // a hole, if one reads on
		return n, errors.New("reset")
	}
	return n, nil
}

// TestBrokenGzip: a compressed file is taken up again from its start.
func TestBrokenGzip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := strings.Repeat("{1}\n", 50_000)
		f := &fake{answer: func(attempt int, _ *http.Request) (*http.Response, error) {
			resp := gzipped(data)
			if attempt < 4 {
				cut(resp, resp.ContentLength/4*int64(attempt), io.EOF)
			}
			return resp, nil
		}}
		lines, proof, err := readAll(t, f, OpenParams{})
		if err != nil || len(lines) != 50_000 || proof != (Proof{200_000, 50_000, true}) || len(f.asked) != 4 {
			t.Errorf("%d lines, %+v, %d requests, error %v", len(lines), proof, len(f.asked), err)
		}
	})
}

// TestNoProgress: a file that does not get on is given up, after waits that
// double.
func TestNoProgress(t *testing.T) {
	const data = "{1}\n{2}\n"
	fail := errors.New("no route to host")
	for name, answer := range map[string]func(attempt int, req *http.Request) (*http.Response, error){
		"transport": func(int, *http.Request) (*http.Response, error) { return nil, fail },
		"status":    func(int, *http.Request) (*http.Response, error) { return status(500, ""), nil },
		"cut within a line": func(_ int, req *http.Request) (*http.Response, error) {
			return cut(file(req, "{"+data), 4, io.EOF), nil
		},
		"cut within gzip":     func(int, *http.Request) (*http.Response, error) { return cut(gzipped(data), 12, io.EOF), nil },
		"empty gzip":          func(int, *http.Request) (*http.Response, error) { return cut(gzipped(data), 0, io.EOF), nil },
		"nothing of a length": func(_ int, req *http.Request) (*http.Response, error) { return cut(file(req, data), 0, io.EOF), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				f := &fake{answer: answer}
				lines, proof, err := readAll(t, f, OpenParams{})
				if !errors.Is(err, ErrInterrupted) || len(lines) > 0 || proof.Bytes > 0 {
					t.Errorf("got %q, %+v, %v; want ErrInterrupted", lines, proof, err)
				}
				if strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "googleapis") {
					t.Errorf("the error shows the address: %v", err)
				}
				if name == "transport" && !errors.Is(err, fail) {
					t.Errorf("the cause is lost: %v", err)
				}
				if waited := time.Since(start); waited != 15500*time.Millisecond || len(f.asked) != 6 {
					t.Errorf("gave up after %v and %d attempts", waited, len(f.asked))
				}
			})
		})
	}
}

// TestNoProgressAtOffset: a file taken up in the middle that does not come is
// interrupted, not shorter.
func TestNoProgressAtOffset(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) *http.Response{
		"nothing of a range": func(req *http.Request) *http.Response { return cut(file(req, "{1}\n{2}\n"), 0, io.EOF) },
		"whole file, cut":    func(*http.Request) *http.Response { return cut(file(&http.Request{}, "{1}\n{2}\n"), 2, io.EOF) },
		"reset":              func(*http.Request) *http.Response { return cut(whole("{1}\n{2}\n"), 2, errors.New("reset")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if _, _, err := readAll(t, always(answer), OpenParams{Offset: 4}); !errors.Is(err, ErrInterrupted) {
					t.Errorf("got %v, want ErrInterrupted", err)
				}
			})
		})
	}
}

func status(code int, retryAfter string) *http.Response {
	resp := whole("<html>geheim")
	resp.StatusCode = code
	resp.Header.Set("Content-Type", "text/html")
	if retryAfter != "" {
		resp.Header.Set("Retry-After", retryAfter)
	}
	return resp
}

func TestBusyServer(t *testing.T) {
	tests := []struct {
		status     int
		retryAfter string
		waited     time.Duration
	}{
		{408, "", firstWait},
		{429, "7", 7 * time.Second},
		{500, "", firstWait},
		{502, "0", firstWait},
		{503, "3", 3 * time.Second},
		{503, "86400", maxWait},
		{503, "99999999999999999999", maxWait},
		{503, "-5", firstWait},
		{503, "Wed, 21 Oct 2015 07:28:00 GMT", firstWait},
		{504, "", firstWait},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, " ", tt.retryAfter), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				f := &fake{answer: func(attempt int, req *http.Request) (*http.Response, error) {
					if attempt == 1 {
						return status(tt.status, tt.retryAfter), nil
					}
					return file(req, "{1}\n"), nil
				}}
				lines, _, err := readAll(t, f, OpenParams{})
				if err != nil || len(lines) != 1 || time.Since(start) != tt.waited {
					t.Errorf("%d lines after %v, error %v; want one after %v", len(lines), time.Since(start), err, tt.waited)
				}
			})
		})
	}
}

// hanging is a body that says nothing more until its request ends.
type hanging struct {
	io.Reader
	ctx context.Context
}

func (h *hanging) Close() error { return nil }

func (h *hanging) Read(p []byte) (int, error) {
	if n, err := h.Reader.Read(p); err == nil {
		return n, nil
	}
	<-h.ctx.Done()
	return 0, h.ctx.Err()
}

func TestSilentServer(t *testing.T) {
	const data = "{1}\n{2}\n"
	for name, silent := range map[string]func(req *http.Request) (*http.Response, error){
		"before the answer": func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		},
		"within the file": func(req *http.Request) (*http.Response, error) {
			resp := whole("")
			resp.Body = &hanging{strings.NewReader(data[:6]), req.Context()}
			return resp, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				f := &fake{answer: func(attempt int, req *http.Request) (*http.Response, error) {
					if attempt == 1 {
						return silent(req)
					}
					return file(req, data), nil
				}}
				lines, proof, err := readAll(t, f, OpenParams{})
				if err != nil || len(lines) != 2 || proof.Bytes != 8 {
					t.Errorf("got %q, %+v, %v", lines, proof, err)
				}
				if waited := time.Since(start); waited != stallAfter+firstWait {
					t.Errorf("waited %v", waited)
				}
			})
		})
	}
}

// TestSlowCaller: only silence while somebody waits counts.
func TestSlowCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := always(func(req *http.Request) *http.Response { return chunked(whole("{1}\n{2}\n"), iotest.OneByteReader) })
		r, err := open(t, f, OpenParams{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			time.Sleep(time.Hour)
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		}
		if len(f.asked) != 1 {
			t.Errorf("%d requests, want 1", len(f.asked))
		}
	})
}

func TestContext(t *testing.T) {
	cause := errors.New("the lease is lost")
	for name, answer := range map[string]func(attempt int, req *http.Request) (*http.Response, error){
		"before the answer": func(_ int, req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		},
		"while reading": func(_ int, req *http.Request) (*http.Response, error) {
			resp := whole("")
			resp.Body = &hanging{strings.NewReader("{1"), req.Context()}
			return resp, nil
		},
		"while waiting": func(int, *http.Request) (*http.Response, error) { return status(503, "30"), nil },
		"while skipping": func(_ int, req *http.Request) (*http.Response, error) {
			resp := whole("")
			resp.Body = &hanging{strings.NewReader("{1}"), req.Context()}
			return resp, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(10*time.Second, func() { cancel(cause) })
				start := time.Now()
				p := OpenParams{URL: fakeURL, HTTPClient: &http.Client{Transport: &fake{answer: answer}}}
				if name == "while skipping" {
					p.Offset = 100
				}
				r, err := Open(ctx, p)
				if err == nil {
					_, err = r.Next()
				}
				if !errors.Is(err, cause) || time.Since(start) != 10*time.Second {
					t.Errorf("%v after %v, want the cause after 10 s", err, time.Since(start))
				}
			})
		})
	}
	t.Run("at the last attempt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, cause)
			defer cancel()
			f := &fake{answer: func(attempt int, req *http.Request) (*http.Response, error) {
				if attempt < maxAttempts {
					return status(500, ""), nil
				}
				<-req.Context().Done()
				return nil, req.Context().Err()
			}}
			if _, err := Open(ctx, OpenParams{URL: fakeURL, HTTPClient: &http.Client{Transport: f}}); !errors.Is(err, cause) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			f := &fake{answer: func(int, *http.Request) (*http.Response, error) { return status(503, "30"), nil }}
			if _, err := Open(ctx, OpenParams{URL: fakeURL, HTTPClient: &http.Client{Transport: f}}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	})
}

func TestChangedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(attempt int, req *http.Request) (*http.Response, error) {
			if attempt == 1 {
				return cut(file(req, "{1}\n{2}\n"), 6, io.EOF), nil
			}
			return file(req, "{1}\n{2}\n{3}\n"), nil
		}}
		if lines, _, err := readAll(t, f, OpenParams{}); !errors.Is(err, ErrUnexpectedAnswer) || len(lines) != 1 {
			t.Errorf("got %q, %v", lines, err)
		}
	})
}

func TestCaps(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name string
		f    *fake
		p    OpenParams
		want error
	}{
		{"line as long as allowed", serving("{12}\n{12}"), OpenParams{MaxLine: 4}, nil},
		{"line too long", serving("{12}\n{123}\n"), OpenParams{MaxLine: 4}, ErrLineTooLong},
		{"line with CR too long", serving("{12}\r\n"), OpenParams{MaxLine: 4}, ErrLineTooLong},
		{"last line too long", serving("{12}\n{123}"), OpenParams{MaxLine: 4}, ErrLineTooLong},
		{"endless line", always(func(*http.Request) *http.Response { return endless("a") }), OpenParams{}, ErrLineTooLong},
		{"endless blank lines", always(func(*http.Request) *http.Response { return endless("\n") }), OpenParams{MaxBytes: mib}, ErrTooLarge},
		{"endless lines", always(func(*http.Request) *http.Response { return endless("{1}\n") }), OpenParams{MaxBytes: mib}, ErrTooLarge},
		{"file as large as allowed", serving("{1}\n{2}\n"), OpenParams{MaxBytes: 8}, nil},
		{"file too large", serving("{1}\n{2}\n"), OpenParams{MaxBytes: 7}, ErrTooLarge},
		{"rest too large", serving("{1}\n{2}\n"), OpenParams{MaxBytes: 7, Offset: 4}, ErrTooLarge},
		{"gzip bomb of lines", always(func(*http.Request) *http.Response { return gzipped(strings.Repeat("{}\n", 2*mib)) }), OpenParams{MaxBytes: mib}, ErrTooLarge},
		{"gzip bomb of one line", always(func(*http.Request) *http.Response { return gzipped(strings.Repeat("a", 2*DefaultMaxLine)) }), OpenParams{}, ErrLineTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := open(t, tt.f, tt.p)
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = r.Next()
			}
			if tt.want == nil {
				tt.want = io.EOF
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if len(r.buf) > 2*DefaultMaxLine {
				t.Errorf("the buffer has grown to %d bytes", len(r.buf))
			}
			if r.Offset() > max(tt.p.MaxBytes, DefaultMaxLine) {
				t.Errorf("read on to %d", r.Offset())
			}
		})
	}
}

// endless is a body that repeats s for ever.
func endless(s string) *http.Response {
	resp := whole("")
	resp.Body = io.NopCloser(&repeated{s: strings.Repeat(s, 4096)})
	return resp
}

type repeated struct {
	s  string
	at int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.s[r.at:])
	r.at = (r.at + n) % len(r.s)
	return n, nil
}

func TestClose(t *testing.T) {
	f := serving("{1}\n{2}\n")
	r, err := open(t, f, OpenParams{})
	if err != nil {
		t.Fatal(err)
	}
	r.Next()
	r.Close()
	if f.closed != 1 {
		t.Error("Close leaves the answer open")
	}
	if _, err := r.Next(); err != ErrClosed {
		t.Errorf("Next after Close: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if r.Offset() != 4 {
		t.Errorf("offset %d, want 4", r.Offset())
	}
}

// TestServer reads from a real server that breaks the connection now and then.
func TestServer(t *testing.T) {
	var data bytes.Buffer
	for line := range lines(2000) {
		data.Write(line)
		data.WriteByte('\n')
	}
	var mu sync.Mutex
	broken := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if !broken {
			broken = true
			w.Header().Set("Content-Length", strconv.Itoa(data.Len()))
			w.Write(data.Bytes()[:data.Len()/2])
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data.Bytes()))
	}))
	defer server.Close()
	r, err := Open(t.Context(), OpenParams{URL: server.URL, HTTPClient: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for line := range lines(2000) {
		got, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, line) {
			t.Fatalf("got %s, want %s", got, line)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("got %v at the end", err)
	}
	if diff := cmp.Diff(Proof{int64(data.Len()), 2000, true}, r.Proof()); diff != "" {
		t.Error(diff)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	r, err := open(t, always(func(*http.Request) *http.Response { return endless(full + "\n") }), OpenParams{})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20_000, func() {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("Next allocates %v times", n)
	}
}

// FuzzReader: whatever the bytes, the chunks they come in and the places where
// connections break, the lines are those of the file.
func FuzzReader(f *testing.F) {
	f.Add("{1}\n\n{2}\r\n{3}", uint8(3), uint8(5))
	f.Add("\n\r\n \n{}", uint8(1), uint8(0))
	f.Add("\n01", uint8(7), uint8(68))
	f.Add("{\"a\":\"\xff\"}\n{", uint8(200), uint8(1))
	f.Fuzz(func(t *testing.T, data string, chunk, part uint8) {
		var want []string
		for line := range strings.Lines(data) {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if trimmed := strings.Trim(line, " \t\r"); strings.HasPrefix(trimmed, "<") {
				t.Skip("a page")
			} else if trimmed != "" {
				want = append(want, line)
			}
		}
		if !strings.HasSuffix(data, "\n") && strings.HasSuffix(data, "\r") {
			t.Skip("half a line ending")
		}
		synctest.Test(t, func(t *testing.T) {
			server := &fake{answer: func(attempt int, req *http.Request) (*http.Response, error) {
				resp := chunked(file(req, data), func(r io.Reader) io.Reader { return &chunks{r, int(chunk) + 1} })
				if attempt%4 != 0 {
					cut(resp, int64(part), io.EOF)
				}
				return resp, nil
			}}
			lines, proof, err := readAll(t, server, OpenParams{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, lines); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(Proof{int64(len(data)), int64(len(want)), data == "" || strings.HasSuffix(data, "\n")}, proof); diff != "" {
				t.Error(diff)
			}
		})
	})
}

// chunks reads at most n bytes at once.
type chunks struct {
	io.Reader
	n int
}

func (c *chunks) Read(p []byte) (int, error) { return c.Reader.Read(p[:min(len(p), c.n)]) }
