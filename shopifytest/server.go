package shopifytest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Server is a fake Shopify with any number of stores. It is safe for use by
// many goroutines.
type Server struct {
	clock         func() time.Time
	webhookClient *http.Client
	network       *network
	https, http   *http.Server
	transport     *http.Transport

	closing chan struct{} // closed by Close
	work    sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	stores   map[string]*Store // by every host name that leads to them
	files    map[string]*bulkFile
	requests []Request
	dropped  int // requests no longer in the log
	counts   map[string]int
	serial   int64 // of ids that are given out
}

// Option changes a Server.
type Option func(*Server)

// WithClock makes the server tell the time by now: dates of customers, the
// Date header, the cost bucket, tokens, bulk operations. The default is
// time.Now. Waits (latency, retries of webhooks) always take real time, which
// inside a testing/synctest bubble is the bubble's.
func WithClock(now func() time.Time) Option {
	return func(s *Server) { s.clock = now }
}

// WithWebhookHandler delivers webhooks to h, whatever the address of their
// subscription. Without it or [WithWebhookClient] none is delivered.
func WithWebhookHandler(h http.Handler) Option {
	return WithWebhookClient(&http.Client{Transport: handlerTransport{h}})
}

// WithWebhookClient delivers webhooks with c, to the address of their
// subscription.
func WithWebhookClient(c *http.Client) Option {
	return func(s *Server) {
		own := *c
		// Shopify counts a redirect as a failure.
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		s.webhookClient = &own
	}
}

// NewServer starts a fake Shopify without stores. Close it after use. To use
// it in a testing/synctest bubble, start it there.
func NewServer(opts ...Option) *Server {
	s := &Server{
		clock:   time.Now,
		network: newNetwork(),
		closing: make(chan struct{}),
		stores:  map[string]*Store{},
		files:   map[string]*bulkFile{},
		counts:  map[string]int{},
		serial:  1_000_000_000_000,
	}
	for _, opt := range opts {
		opt(s)
	}
	s.transport = s.network.transport()
	silent := log.New(io.Discard, "", 0)
	s.https = &http.Server{Handler: http.HandlerFunc(s.serve), TLSConfig: s.network.authority.tlsConfig(), ErrorLog: silent}
	s.http = &http.Server{Handler: http.HandlerFunc(s.serveInsecure), ErrorLog: silent}
	s.work.Go(func() { _ = s.https.ServeTLS(s.network.secure, "", "") })
	s.work.Go(func() { _ = s.http.Serve(s.network.plain) })
	return s
}

// Close ends the server, its connections and its deliveries, and waits for
// them.
func (s *Server) Close() {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return
	}
	close(s.closing)
	s.network.close()
	_ = s.https.Close()
	_ = s.http.Close()
	s.transport.CloseIdleConnections()
	s.work.Wait()
}

// Client returns a client whose every connection leads to this server over
// TLS, with a certificate for the name that was dialled. Nothing leaves the
// process. The client follows redirects and keeps connections, as
// http.DefaultClient does.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.transport} }

// Handler answers as the server does, for the store that the Host header
// names. It is for serving other processes on a loopback port, in plain HTTP.
// The URLs of bulk files still start with https://storage.googleapis.com:
// requests for them are expected here too, with that Host.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// bulkHost serves the files of bulk operations.
const bulkHost = "storage.googleapis.com"

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	host := hostname(r)
	id := s.record(r, host)
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	if host == bulkHost {
		s.serveFile(w, r, id)
		return
	}
	st, cfg := s.lookup(host)
	if st == nil {
		sendHTML(w, http.StatusNotFound, "Not Found")
		return
	}
	w.Header().Set("X-Request-Id", s.requestID())
	if host != cfg.Domain {
		location := url.URL{Scheme: "https", Host: cfg.Domain, Path: r.URL.Path, RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, location.String(), http.StatusMovedPermanently)
		return
	}
	version, isGraphQL := graphQLVersion(r.URL.Path)
	switch {
	case r.Method == http.MethodPost && isGraphQL:
		s.serveGraphQL(w, r, st, version, id)
	case r.Method == http.MethodPost && r.URL.Path == "/admin/oauth/access_token":
		s.serveToken(w, r, st, id)
	default:
		sendErrors(w, http.StatusNotFound, "Not Found")
	}
}

// serveInsecure answers requests that came in plain text over the in-memory
// network.
func (s *Server) serveInsecure(w http.ResponseWriter, r *http.Request) {
	s.record(r, hostname(r))
	http.Redirect(w, r, "https://"+hostname(r)+r.URL.RequestURI(), http.StatusMovedPermanently)
}

func hostname(r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(host)
}

// graphQLVersion returns the version of a path /admin/api/{version}/graphql.json.
func graphQLVersion(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "/admin/api/")
	if !ok {
		return "", false
	}
	version, ok := strings.CutSuffix(rest, "/graphql.json")
	return version, ok && version != "" && !strings.Contains(version, "/")
}

func (s *Server) now() time.Time { return s.clock() }

// nextID returns an id that was not given before.
func (s *Server) nextID() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial += 17
	return s.serial
}

func (s *Server) requestID() string {
	return "fa4e0000-0000-4000-8000-" + leftPad(s.nextID(), 12) + "-" + leftPad(s.now().Unix(), 10)
}

// wait sleeps for d, unless the context or the server ends first.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.closing:
	}
	return false
}

// hold delays the answer to a request. It ends the connection without an
// answer when the client gives up or the server closes.
func (s *Server) hold(r *http.Request, d time.Duration) {
	if !s.wait(r.Context(), d) {
		panic(http.ErrAbortHandler)
	}
}

// background runs f until it returns or Close; f must watch s.closing.
func (s *Server) background(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.work.Go(f)
	}
}
