package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"

	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// childEnv makes the test binary the program itself.
const childEnv = "QUICKSTART_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience is how long a busy machine may take; nothing waits that long
// otherwise.
const patience = time.Minute

// A program is a run of it with -serve.
type program struct {
	t       *testing.T
	address string
	lines   chan string // of standard output
	stop    func() error
}

// start runs the program until it says where it serves.
func start(t *testing.T, getenv func(string) string, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	outReader, out := io.Pipe()
	errReader, errs := io.Pipe()
	p := &program{t: t, lines: make(chan string, 10_000)}
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append(args, "-serve", "127.0.0.1:0"), getenv, out, errs)
		out.Close()
		errs.Close()
		ended <- err
	}()
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(outReader); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	p.stop = func() error {
		cancel()
		return <-ended
	}
	t.Cleanup(func() { cancel() })
	lines := bufio.NewScanner(errReader)
	if !lines.Scan() {
		t.Fatalf("it said nothing: %v", <-ended)
	}
	var ok bool
	if p.address, ok = strings.CutPrefix(lines.Text(), "serving at "); !ok {
		t.Fatalf("standard error: %s", lines.Text())
	}
	go io.Copy(io.Discard, errReader)
	return p
}

// line returns the next line of standard output.
func (p *program) line() string {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			p.t.Fatal("it has ended")
		}
		return line
	case <-time.After(patience):
		p.t.Fatal("it prints nothing")
	}
	return ""
}

func (p *program) changed() jsonChange {
	p.t.Helper()
	line := p.line()
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.DisallowUnknownFields()
	var c jsonChange
	if err := decoder.Decode(&c); err != nil {
		p.t.Fatalf("%v in %s", err, line)
	}
	return c
}

func (p *program) get(path string) int {
	p.t.Helper()
	answer, err := http.Get(p.address + path)
	if err != nil {
		p.t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// The demonstration store changes by itself, its webhooks arrive, and each
// contact that changes is printed.
func TestServeDemo(t *testing.T) {
	t.Parallel()
	p := start(t, none, "-json", "-customers", "50", "-every", "20ms", "-db", filepath.Join(t.TempDir(), "demo.db"))
	var first struct {
		Runs []jsonRun `json:"runs"`
	}
	if err := json.Unmarshal([]byte(p.line()), &first); err != nil || len(first.Runs) != 2 {
		t.Errorf("the first line: %+v, %v", first, err)
	}
	if got := p.get("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz: %d", got)
	}
	for _, path := range []string{"/webhooks/shopify/quickstart", "/webhooks/shopify"} {
		if got := p.get(path); got != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", path, got)
		}
		answer, err := http.Post(p.address+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("an unsigned POST %s: %d", path, answer.StatusCode)
		}
	}
	// All ways to change are seen sooner or later.
	wanted := []string{"created", "removed", "tags", "shopify.note", "shopify.orders_count", "name"}
	for len(wanted) > 0 {
		c := p.changed()
		if c.CustomerID == 0 || (c.Outcome == shopifysync.Removed) != (c.Reason != "") {
			t.Fatalf("a change: %+v", c)
		}
		wanted = slices.DeleteFunc(wanted, func(w string) bool {
			return w == string(c.Outcome) || slices.Contains(c.Changed, w)
		})
	}
	if err := p.stop(); err != nil {
		t.Errorf("stopped: %v", err)
	}
	if _, err := http.Get(p.address + "/healthz"); err == nil {
		t.Error("it still answers")
	}
}

// A fake Shopify in another process delivers over HTTP.
func TestServeEndpoint(t *testing.T) {
	t.Parallel()
	service := make(chan string, 1)
	address := sync.OnceValue(func() string { return <-service })
	deliver := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(address(), "http://")
		return http.DefaultTransport.RoundTrip(r)
	})}
	fake := shopifytest.NewServer(shopifytest.WithWebhookClient(deliver))
	defer fake.Close()
	store := fake.AddStore(shopifytest.StoreConfig{Domain: "real.myshopify.com", AccessToken: "t0ken", NoRedacted: true})
	store.Generate(20, 3)
	server := httptest.NewServer(fake.Handler())
	defer server.Close()
	p := start(t, env("SHOPIFY_ACCESS_TOKEN", "t0ken"), "-json", "-shop", "real.myshopify.com", "-endpoint", server.URL, "-db", filepath.Join(t.TempDir(), "real.db"))
	service <- p.address
	p.line()
	for deadline := time.Now().Add(patience); len(store.Subscriptions()) < 10; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("subscriptions: %v", store.Subscriptions())
		}
	}
	time.Sleep(time.Second) // Shopify's clock tells whole seconds
	id := store.Newest(1)[0].ID
	if err := store.Update(id, func(c *shopifytest.Customer) { c.FirstName, c.LastName, c.Note = "Ann", "Lee", "moved" }); err != nil {
		t.Fatal(err)
	}
	want := jsonChange{CustomerID: shopifysync.CustomerID(id), Outcome: shopifysync.Updated, Name: "Ann Lee", Changed: []string{"name", "shopify.note"}}
	if diff := cmp.Diff(want, p.changed()); diff != "" {
		t.Errorf("the change (-want +got):\n%s", diff)
	}
	if err := p.stop(); err != nil {
		t.Errorf("stopped: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Told to stop while it still syncs, it stops cleanly.
func TestServeStopsInTheFirstSync(t *testing.T) {
	t.Parallel()
	p := start(t, none, "-customers", "200000", "-db", filepath.Join(t.TempDir(), "demo.db"))
	if got := p.get("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz: %d", got)
	}
	if err := p.stop(); err != nil {
		t.Errorf("stopped: %v", err)
	}
}

// The process ends with status 0 when it is told to stop.
func TestServeSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-json", "-customers", "10", "-serve", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "demo.db"))
			cmd.Env = append(os.Environ(), childEnv+"=1")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
			defer kill.Stop()
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"runs":[`) {
				t.Errorf("the first line: %q, %v", line, err)
			}
			began := time.Now()
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("it ended with %v after %v: %s", err, time.Since(began), stderr.String())
			}
		})
	}
}

// A port that is taken shows before anything is synced.
func TestServePortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var stdout, stderr bytes.Buffer
	err = run(t.Context(), []string{"-json", "-customers", "10", "-serve", taken.Addr().String(), "-db", filepath.Join(t.TempDir(), "x.db")}, none, &stdout, &stderr)
	if err == nil || !strings.Contains(err.Error(), "-serve") || stdout.Len() > 0 {
		t.Errorf("error %v, output %q", err, stdout.String())
	}
}

// What is printed of a change, as text.
func TestChangeText(t *testing.T) {
	var stdout bytes.Buffer
	out := &output{stdout: &stdout}
	out.change(jsonChange{CustomerID: 7, Outcome: shopifysync.Updated, Name: "王小明", Changed: []string{"name", "tags"}})
	out.change(jsonChange{CustomerID: 8, Outcome: shopifysync.Removed, Reason: shopifysync.RemovedMerged})
	for _, want := range []string{"updated  #7 王小明: name, tags\n", "removed  #8 (merged)\n"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, stdout.String())
		}
	}
}

// The decorated store still passes for all that the SQL store is.
var _ interface {
	shopifysync.ContactStore
	shopifysync.StateStore
	shopifysync.ContactFinder
	shopifysync.ConnectionStore
} = (*watchedStore)(nil)

func TestDifferences(t *testing.T) {
	contact := func(change func(*shopifysync.Contact)) shopifysync.Contact {
		c := shopifysync.Contact{Name: "Ann", Email: "ann@example.com", Tags: []string{"a"}, Attributes: []shopifysync.Attribute{{Key: shopifysync.AttrNote, Text: "x"}}}
		if change != nil {
			change(&c)
		}
		return c
	}
	tests := map[string]struct {
		now  shopifysync.Contact
		want []string
	}{
		"the same":        {contact(nil), nil},
		"name":            {contact(func(c *shopifysync.Contact) { c.Name = "Bob" }), []string{"name"}},
		"email and phone": {contact(func(c *shopifysync.Contact) { c.Email, c.Phone = "", "+85291234567" }), []string{"email", "phone"}},
		"tags":            {contact(func(c *shopifysync.Contact) { c.Tags = nil }), []string{"tags"}},
		"an attribute": {contact(func(c *shopifysync.Contact) {
			c.Attributes = []shopifysync.Attribute{{Key: shopifysync.AttrNote, Text: "y"}}
		}), []string{"shopify.note"}},
		"an attribute less": {contact(func(c *shopifysync.Contact) { c.Attributes = nil }), []string{"shopify.note"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, differences(contact(nil), test.now)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
