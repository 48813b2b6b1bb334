package shopifytest

import (
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// bulkContent is what a bulk operation found: the customers as they were when
// it was created. The lines are written anew for each reader, so that a
// million of them need no memory.
type bulkContent struct {
	store  *Store
	doc    *document
	op     *ast.OperationDefinition
	access dataAccess
	people *population
	now    time.Time
}

// part is one connection of a bulk query, ready to be read.
type part struct {
	scan scan
	node plan
}

// parts prepares the query. Each reader needs its own: plans are not safe for
// concurrent use.
func (b *bulkContent) parts() (*execution, []part) {
	x := &execution{store: b.store, doc: b.doc, access: b.access, escapeSlash: true}
	var parts []part
	for _, f := range x.collect(b.doc.schema.Query, b.op.SelectionSet) {
		if f.name() != "customers" {
			continue
		}
		s, _ := x.customerScan(f) // cursors are ignored in bulk
		s.after, s.before = nil, nil
		if s.asOf != nil {
			asOf := b.now.Add(-b.store.Config().IndexLag)
			s.asOf = &asOf
		}
		parts = append(parts, part{s, x.planOf(x.bulkNode(f), "Customer")})
	}
	return x, parts
}

func (b *bulkContent) count() int {
	n := 0
	_, parts := b.parts()
	for _, p := range parts {
		if p.scan.filter == noFilter && p.scan.asOf == nil {
			n += b.people.count()
			continue
		}
		b.people.rows(p.scan, func(row) bool { n++; return true })
	}
	return n
}

// place is a line of the file and where it starts.
type linePlace struct {
	offset int64
	row    int
	part   int
	after  *entry // the row before it in its part
}

// lines yields the lines from a place on, at most limit rows in all. The slice
// is valid until the next line.
func (b *bulkContent) lines(from linePlace, limit int, yield func(at linePlace, line []byte) bool) {
	x, parts := b.parts()
	at := from
	var line []byte
	for more := true; more && at.part < len(parts); at.part++ {
		p := parts[at.part]
		p.scan.after = at.after
		b.people.rows(p.scan, func(r row) bool {
			if at.row >= limit {
				more = false
				return false
			}
			line = append(x.fields(line[:0], p.node, r.load()), '\n')
			if !yield(at, line) {
				more = false
				return false
			}
			at.offset += int64(len(line))
			at.row++
			at.after = &r.place
			return true
		})
		at.after = nil
	}
}

// bulkFile is the JSONL file of a bulk operation, or of its partial data.
type bulkFile struct {
	server  *Server
	name    string
	content *bulkContent

	mu       sync.Mutex // guards what follows
	rows     int        // 0 until published: all
	measured bool
	size     int64
	chunks   []linePlace // every chunkRows rows
}

const chunkRows = 1024

func newBulkFile(s *Server, id int64, suffix string, content *bulkContent) *bulkFile {
	return &bulkFile{server: s, content: content, name: bulkPath + "fake-" + strconv.FormatInt(id, 10) + suffix + "-final"}
}

const bulkPath = "/shopify-tiers-assets-prod-us-east1/bulk-operation-outputs/"

// publish makes the first rows readable at the URL that it returns.
func (f *bulkFile) publish(rows int, now time.Time) string {
	f.mu.Lock()
	f.rows = rows
	f.mu.Unlock()
	f.server.mu.Lock()
	f.server.files[f.name] = f
	f.server.mu.Unlock()
	expires := strconv.FormatInt(now.Add(bulkURLLife).Unix(), 10)
	query := url.Values{
		"GoogleAccessId":               {"assets-us-prod@shopify-tiers.iam.gserviceaccount.com"},
		"Expires":                      {expires},
		"Signature":                    {f.server.signURL(f.name, expires)},
		"response-content-disposition": {`attachment; filename="bulk.jsonl"; filename*=UTF-8''bulk.jsonl`},
		"response-content-type":        {"application/jsonl"},
	}
	return "https://" + bulkHost + f.name + "?" + query.Encode()
}

// signURL imitates the signature of a link: it only has to be unguessable
// enough that a mangled link fails.
func (s *Server) signURL(path, expires string) string {
	mac := hmac.New(sha1.New, []byte("shopifytest"))
	_, _ = fmt.Fprintf(mac, "GET\n%s\n%s", expires, path)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// measure returns the size of the file in bytes. The first call writes it
// once, to nowhere.
func (f *bulkFile) measure() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.measured {
		return f.size
	}
	limit := f.rows
	if limit == 0 {
		limit = int(^uint(0) >> 1)
	}
	f.content.lines(linePlace{}, limit, func(at linePlace, line []byte) bool {
		if at.row%chunkRows == 0 {
			select {
			case <-f.server.closing:
				return false
			default:
			}
			f.chunks = append(f.chunks, at)
		}
		f.size = at.offset + int64(len(line))
		return true
	})
	f.measured = true
	return f.size
}

// serveFile answers for Google Cloud Storage, where the files are.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, entry *logEntry) {
	s.mu.Lock()
	f := s.files[r.URL.Path]
	s.mu.Unlock()
	query := r.URL.Query()
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		sendXML(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
		return
	case f == nil || query.Get("Signature") != s.signURL(r.URL.Path, query.Get("Expires")):
		sendXML(w, http.StatusForbidden, "SignatureDoesNotMatch", "Access denied.")
		return
	}
	entry.is(OpBulkDownload)
	fault := f.content.store.fault([]string{OpBulkDownload}, false)
	if fault != nil && fault.Status == http.StatusForbidden && fault.Body == "" {
		denied := *fault
		denied.Header = http.Header{"Content-Type": {"application/xml; charset=UTF-8"}}
		denied.Body = xmlError("AccessDenied", "Access denied.")
		fault = &denied
	}
	if s.intervene(w, r, fault) {
		return
	}
	if expires, err := strconv.ParseInt(query.Get("Expires"), 10, 64); err != nil || s.now().Unix() > expires {
		sendXML(w, http.StatusForbidden, "ExpiredToken", "The provided token has expired.")
		return
	}
	f.send(w, r, fault)
}

func (f *bulkFile) send(w http.ResponseWriter, r *http.Request, fault *Fault) {
	size := fault.fileSize(f.measure())
	h := w.Header()
	h.Set("Content-Type", "application/jsonl")
	h.Set("Cache-Control", "private, max-age=0")
	if f.content.store.Config().BulkGzip && acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		h.Set("Vary", "Accept-Encoding")
		if r.Method == http.MethodHead {
			return
		}
		zip := gzip.NewWriter(w)
		f.copy(zip, 0, size, fault)
		_ = zip.Close()
		return
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("ETag", `"`+strconv.FormatInt(size, 16)+`"`)
	start, end, ok := parseRange(r.Header.Get("Range"), size)
	status := http.StatusOK
	switch {
	case !ok:
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		sendXML(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range cannot be satisfied.")
		return
	case r.Header.Get("Range") != "" && (start > 0 || end < size):
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, end-1, size))
		status = http.StatusPartialContent
	}
	h.Set("Content-Length", strconv.FormatInt(end-start, 10))
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		f.copy(w, start, end, fault)
	}
}

// copy writes the bytes from start to end of the file.
func (f *bulkFile) copy(w writer, start, end int64, fault *Fault) {
	dropAt := int64(-1)
	if fault != nil && fault.Drop == DropMidBody {
		dropAt = start + (end-start)/2
	}
	f.mu.Lock()
	i := sort.Search(len(f.chunks), func(i int) bool { return f.chunks[i].offset > start }) - 1
	from := linePlace{}
	if i >= 0 {
		from = f.chunks[i]
	}
	rows := f.rows
	f.mu.Unlock()
	buffer := make([]byte, 0, 64<<10)
	flush := func() bool {
		_, err := w.Write(buffer)
		buffer = buffer[:0]
		return err == nil
	}
	f.content.lines(from, rows, func(at linePlace, line []byte) bool {
		if at.offset >= end {
			return false
		}
		if over := at.offset + int64(len(line)) - end; over > 0 {
			line = line[:int64(len(line))-over]
		}
		if skip := start - at.offset; skip >= int64(len(line)) {
			return true
		} else if skip > 0 {
			line = line[skip:]
		}
		buffer = append(buffer, line...)
		if dropAt >= 0 && at.offset >= dropAt {
			flush()
			flushResponse(w)
			panic(http.ErrAbortHandler)
		}
		return len(buffer) < 48<<10 || flush()
	})
	flush()
}

type writer interface{ Write([]byte) (int, error) }

func flushResponse(w writer) {
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
}

func acceptsGzip(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
}

// parseRange reads a Range header with one range. What it does not understand
// it ignores, as RFC 9110 asks; ok is false when nothing of the file is in it.
func parseRange(header string, size int64) (start, end int64, ok bool) {
	spec, found := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !found || !dash || strings.Contains(spec, ",") {
		return 0, size, true
	}
	if first == "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			return 0, size, true
		}
		return max(0, size-n), size, n > 0
	}
	start, err := strconv.ParseInt(first, 10, 64)
	if err != nil || start < 0 {
		return 0, size, true
	}
	end = size
	if last != "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < start {
			return 0, size, true
		}
		end = min(size, n+1)
	}
	return start, end, start < size
}

func sendXML(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(xmlError(code, message)))
}

func xmlError(code, message string) string {
	return "<?xml version='1.0' encoding='UTF-8'?><Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>"
}
