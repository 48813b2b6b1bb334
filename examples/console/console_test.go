package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
)

// A testConsole is a console that serves on a port of its own.
type testConsole struct {
	*console
	t      *testing.T
	base   string
	hooks  string // with -public: where webhooks are answered
	client *http.Client
	logged *syncBuffer
	stop   context.CancelFunc // ends the program, as the test's end does
}

// syncBuffer is a buffer for many writers.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncBuffer) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}

// errors returns the lines that tell of errors.
func (s *syncBuffer) errors() string {
	var lines []string
	for line := range strings.Lines(s.String()) {
		if strings.Contains(line, "level=ERROR") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func startConsole(t *testing.T, demo demoConfig) *testConsole {
	t.Helper()
	return start(t, config{demo: demo})
}

func start(t *testing.T, cfg config) *testConsole {
	t.Helper()
	logged := new(syncBuffer)
	log := slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.db = filepath.Join(t.TempDir(), "console.db")
	c, err := newConsole(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var hooks net.Listener
	hooksBase := ""
	if cfg.public != nil {
		if hooks, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		hooksBase = "http://" + hooks.Addr().String()
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- c.serve(ctx, listener, hooks) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the console did not stop")
		}
		c.close()
	})
	jar, _ := cookiejar.New(nil)
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections) // the server waits a while for a connection that was never used
	return &testConsole{console: c, t: t, base: "http://" + listener.Addr().String(), hooks: hooksBase, logged: logged, stop: stop, client: &http.Client{Jar: jar, Transport: transport}}
}

// do sends a request as a browser on the same origin would, follows redirects,
// and returns the answer with its body.
func (c *testConsole) do(method, path string, form url.Values, change ...func(*http.Request)) (*http.Response, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Accept-Language", "en")
	for _, f := range change {
		f(req)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	return resp, body.String()
}

func (c *testConsole) get(path string, change ...func(*http.Request)) (*http.Response, string) {
	c.t.Helper()
	return c.do(http.MethodGet, path, nil, change...)
}

func (c *testConsole) post(path string, pairs ...string) (*http.Response, string) {
	c.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return c.do(http.MethodPost, path, form)
}

// connectDemo connects a demonstration store by its form's fields.
func (c *testConsole) connectDemo(key string, more ...string) shopifysync.ConnectionID {
	c.t.Helper()
	cfg := c.demo.store(key).Config()
	resp, body := c.post("/connect", append([]string{
		"shop", cfg.Domain, "api_key", cfg.ClientID, "api_secret", cfg.ClientSecret, "token", cfg.AccessToken,
	}, more...)...)
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Request.URL.Path, "/stores/") {
		c.t.Fatalf("connect: %s at %s\n%s\n%s", resp.Status, resp.Request.URL, body, c.logged.errors())
	}
	return shopifysync.ConnectionID(strings.TrimPrefix(resp.Request.URL.Path, "/stores/"))
}

// sync syncs a store and waits for the end.
func (c *testConsole) sync(id shopifysync.ConnectionID, pairs ...string) string {
	c.t.Helper()
	c.post(storePath(id, "/sync"), pairs...)
	if j := c.jobs.of(id); j != nil { // else Serve is at it
		j.wait(c.t.Context(), 30*time.Second)
	}
	_, body := c.get(storePath(id, "/sync"))
	return body
}

// attr chooses a word that is the library's, or a person's, by the language.
func (t *texts) attr(hant, english string) string {
	if t == &traditionalChinese {
		return hant
	}
	return english
}
