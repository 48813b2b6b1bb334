package shopify

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Khan/genqlient/graphql"

	"github.com/omnichat/shopifysync/internal/throttle"
)

const (
	testShop  = "demo.myshopify.com"
	testToken = "shpat_0123456789abcdef"
)

// secrets must never be in an error or a log.
var secrets = []string{testToken, "shpat_", "jane@example.com", "cursor-of-a-customer", "client-secret"}

// transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// script answers the first request with the first reply and so on, and every
// further one with the last. It counts.
type script struct {
	replies []reply
	sent    int
	times   []time.Time
}

type reply struct {
	status int
	body   string
	header map[string]string
	err    error
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	next := s.replies[min(s.sent, len(s.replies)-1)]
	s.sent++
	s.times = append(s.times, time.Now())
	return next.response()
}

func (r reply) response() (*http.Response, error) {
	if r.err != nil {
		return nil, r.err
	}
	res := &http.Response{
		StatusCode: r.status,
		Header:     http.Header{"X-Request-Id": {"req-1"}},
		Body:       io.NopCloser(strings.NewReader(r.body)),
	}
	if res.StatusCode == 0 {
		res.StatusCode = http.StatusOK
	}
	for name, value := range r.header {
		res.Header.Set(name, value)
	}
	return res, nil
}

// testConfig is a complete configuration in which rt is the network.
func testConfig(rt http.RoundTripper) Config {
	return Config{
		Shop:       testShop,
		Version:    "2024-04",
		HTTPClient: &http.Client{Transport: rt},
		Token:      func(context.Context, string) (string, error) { return testToken, nil },
		Bucket:     throttle.New(),
	}
}

func newTestClient(t *testing.T, c Config) *Client {
	t.Helper()
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// page is what the operations of these tests decode into.
type page struct {
	Customers *struct {
		Nodes []struct {
			ID    string
			Email string
			Tags  []string
		}
	}
}

// query is a list of customers, with a variable that nobody else may see.
func query() *graphql.Request {
	return &graphql.Request{
		OpName:    "CustomersPage",
		Query:     "\nquery CustomersPage { customers { nodes { id email tags } } }",
		Variables: map[string]any{"first": 250, "after": "cursor-of-a-customer"},
	}
}

func mutation() *graphql.Request {
	return &graphql.Request{OpName: "RunBulkQuery", Query: "\nmutation RunBulkQuery { bulkOperationRunQuery { x } }"}
}

// send makes one request of the client.
func send(ctx context.Context, c *Client, req *graphql.Request) (page, Meta, error) {
	var (
		data page
		meta Meta
	)
	err := c.Call(&meta, throttle.Run).MakeRequest(ctx, req, &graphql.Response{Data: &data})
	return data, meta, err
}

// checkNoSecrets fails if text holds anything that must stay inside.
func checkNoSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in: %s", secret, text)
		}
	}
}

const goodBody = `{"data":{"customers":{"nodes":[{"id":"1","email":"jane@example.com","tags":["a"]}]}},` +
	`"extensions":{"cost":{"requestedQueryCost":13,"actualQueryCost":13,` +
	`"throttleStatus":{"maximumAvailable":2000.0,"currentlyAvailable":1987,"restoreRate":100.0}}}}`
