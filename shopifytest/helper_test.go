package shopifytest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/omnichat/shopifysync/shopifytest"
)

const domain = "demo.myshopify.com"

// app is a program that talks to Shopify as a stranger would: with net/http
// and encoding/json alone.
type app struct {
	t       *testing.T
	client  *http.Client
	host    string
	version string
	token   string
}

func newApp(t *testing.T, srv *shopifytest.Server) *app {
	return &app{t: t, client: srv.Client(), host: domain, version: "2024-04", token: "shpat_test"}
}

// start starts a server with one store, and an app for it.
func start(t *testing.T, cfg shopifytest.StoreConfig, opts ...shopifytest.Option) (*shopifytest.Server, *shopifytest.Store, *app) {
	t.Helper()
	srv := shopifytest.NewServer(opts...)
	t.Cleanup(srv.Close)
	if cfg.Domain == "" {
		cfg.Domain = domain
	}
	return srv, srv.AddStore(cfg), newApp(t, srv)
}

// answer is an answer of the Admin API.
type answer struct {
	Status int
	Header http.Header
	Body   string

	Data       map[string]any
	Errors     any
	Extensions map[string]any
}

func (a *app) request(query string, variables map[string]any) *http.Request {
	a.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		a.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "https://"+a.host+"/admin/api/"+a.version+"/graphql.json", bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Shopify-Access-Token", a.token)
	return r
}

// try sends a request that may fail.
func (a *app) try(r *http.Request) (answer, error) {
	response, err := a.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	got := answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if err := decoder.Decode(&got); err != nil {
			a.t.Errorf("not JSON: %v: %.200s", err, body)
		}
	}
	return got, nil
}

func (a *app) do(query string, variables map[string]any) answer {
	a.t.Helper()
	got, err := a.try(a.request(query, variables))
	if err != nil {
		a.t.Fatal(err)
	}
	return got
}

// data is for requests without trouble.
func (a *app) data(query string, variables map[string]any) map[string]any {
	a.t.Helper()
	got := a.do(query, variables)
	if got.Errors != nil || got.Status != http.StatusOK {
		a.t.Fatalf("status %d: %.2000s", got.Status, got.Body)
	}
	return got.Data
}

// at walks into decoded JSON: names, and list indexes as ints.
func at(value any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, ok := value.(map[string]any)
			if !ok {
				return nil
			}
			value = m[s]
		case int:
			l, ok := value.([]any)
			if !ok || s >= len(l) {
				return nil
			}
			value = l[s]
		}
	}
	return value
}

func (a answer) code() any    { return at(a.Errors, 0, "extensions", "code") }
func (a answer) message() any { return at(a.Errors, 0, "message") }

func text(value any) string {
	s, _ := value.(string)
	return s
}

func list(value any) []any {
	l, _ := value.([]any)
	return l
}

func pathOf(steps ...any) []any { return steps }
