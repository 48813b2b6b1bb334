package shopify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Khan/genqlient/graphql"

	"github.com/omnichat/shopifysync/internal/throttle"
)

const (
	throttledBody = `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{
		"requestedQueryCost":250,"actualQueryCost":null,"throttleStatus":{"maximumAvailable":2000,"currentlyAvailable":50,"restoreRate":100}}}}`
	throttledWithPointsLeft = `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{
		"requestedQueryCost":13,"actualQueryCost":null,"throttleStatus":{"maximumAvailable":2000,"currentlyAvailable":2000,"restoreRate":100}}}}`
	internalErrorBody = `{"data":null,"errors":[{"message":"Internal error","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`
)

var (
	errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	errDial  = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
)

// How often each failure is tried again, and for how long.
func TestRetries(t *testing.T) {
	seconds := func(v string) map[string]string { return map[string]string{"Retry-After": v} }
	const backOffs = 5 * 500 * time.Millisecond // the shortest possible waits between six attempts
	tests := []struct {
		name     string
		request  *graphql.Request
		replies  []reply
		kind     Kind // 0: it works in the end
		attempts int
		min, max time.Duration
	}{
		{"503 storm", query(), []reply{{status: 503}}, Server, 6, backOffs, 31 * time.Second},
		{"500 once", query(), []reply{{status: 500}, {body: goodBody}}, 0, 2, 500 * time.Millisecond, time.Second},
		{"502 once", query(), []reply{{status: 502, body: "<html>"}, {body: goodBody}}, 0, 2, 500 * time.Millisecond, time.Second},
		{"504 once", query(), []reply{{status: 504}, {body: goodBody}}, 0, 2, 500 * time.Millisecond, time.Second},
		{"530 once", query(), []reply{{status: 530}, {body: goodBody}}, 0, 2, 500 * time.Millisecond, time.Second},
		{"540 once", query(), []reply{{status: 540}, {body: goodBody}}, 0, 2, 500 * time.Millisecond, time.Second},
		{"INTERNAL_SERVER_ERROR in a 200", query(), []reply{{body: internalErrorBody}, {body: goodBody}}, 0, 2, 500 * time.Millisecond, time.Second},
		{"network", query(), []reply{{err: errReset}, {err: errReset}, {body: goodBody}}, 0, 3, time.Second, 3 * time.Second},
		{"network for good", query(), []reply{{err: errReset}}, Network, 6, backOffs, 31 * time.Second},
		{"cut JSON", query(), []reply{{body: goodBody[:100]}, {body: goodBody}}, 0, 2, 500 * time.Millisecond, time.Second},
		{"empty", query(), []reply{{body: ""}, {body: goodBody}}, 0, 2, 500 * time.Millisecond, time.Second},

		{"Retry-After is in seconds", query(), []reply{{status: 503, header: seconds("7")}, {body: goodBody}}, 0, 2, 7 * time.Second, 7 * time.Second},
		{"Retry-After with a fraction", query(), []reply{{status: 503, header: seconds("2.0")}, {body: goodBody}}, 0, 2, 2 * time.Second, 2 * time.Second},
		{"429 with Retry-After", query(), []reply{{status: 429, header: seconds("5")}, {body: goodBody}}, 0, 2, 5 * time.Second, 5 * time.Second},
		{"Retry-After beyond two minutes", query(), []reply{{status: 503, header: seconds("121")}}, Server, 1, 0, 0},
		{"429, Retry-After beyond two minutes", query(), []reply{{status: 429, header: seconds("3600")}}, Throttled, 1, 0, 0},
		{"Retry-After again and again", query(), []reply{{status: 503, header: seconds("110")}}, Server, 3, 220 * time.Second, 220 * time.Second},
		{"Retry-After of nonsense", query(), []reply{{status: 503, header: seconds("soon")}, {body: goodBody}}, 0, 2, 500 * time.Millisecond, time.Second},

		{"429 without anything", query(), []reply{{status: 429}, {body: goodBody}}, 0, 2, 2400 * time.Millisecond, 2400 * time.Millisecond}, // 40 points and the reserved 200
		{"THROTTLED in a 200", query(), []reply{{body: throttledBody}, {body: goodBody}}, 0, 2, 4 * time.Second, 4 * time.Second},           // 250 points and 200, 50 are there
		{"THROTTLED in a 429", query(), []reply{{status: 429, body: throttledBody}, {body: goodBody}}, 0, 2, 4 * time.Second, 4 * time.Second},
		{"THROTTLED with points left", query(), []reply{{body: throttledWithPointsLeft}, {body: goodBody}}, 0, 2, time.Second, time.Second},
		{"THROTTLED for good", query(), []reply{{body: throttledWithPointsLeft}}, Throttled, 20, 19 * time.Second, 19 * time.Second},
		{"many THROTTLED do not use up the attempts", query(), append(repeat(reply{body: throttledWithPointsLeft}, 10), reply{status: 503}, reply{body: goodBody}), 0, 12, 10500 * time.Millisecond, 11 * time.Second},

		{"mutation, 502", mutation(), []reply{{status: 502}, {body: goodBody}}, Server, 1, 0, 0},
		{"mutation, 503", mutation(), []reply{{status: 503}, {body: goodBody}}, Server, 1, 0, 0},
		{"mutation, reset", mutation(), []reply{{err: errReset}, {body: goodBody}}, Network, 1, 0, 0},
		{"mutation, cut JSON", mutation(), []reply{{body: `{"data":`}, {body: goodBody}}, BadResponse, 1, 0, 0},
		{"mutation, INTERNAL_SERVER_ERROR", mutation(), []reply{{body: internalErrorBody}, {body: goodBody}}, Server, 1, 0, 0},
		{"mutation, not connected", mutation(), []reply{{err: errDial}, {body: goodBody}}, 0, 2, 500 * time.Millisecond, time.Second},
		{"mutation, 503 with Retry-After", mutation(), []reply{{status: 503, header: seconds("3")}, {body: goodBody}}, 0, 2, 3 * time.Second, 3 * time.Second},
		{"mutation, 429", mutation(), []reply{{status: 429, header: seconds("3")}, {body: goodBody}}, 0, 2, 3 * time.Second, 3 * time.Second},
		{"mutation, THROTTLED", mutation(), []reply{{body: throttledWithPointsLeft}, {body: goodBody}}, 0, 2, time.Second, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{replies: tt.replies}
				start := time.Now()
				_, meta, err := send(t.Context(), newTestClient(t, testConfig(s)), tt.request)
				if got := kindOf(err); got != tt.kind {
					t.Errorf("got %v, want kind %v", err, tt.kind)
				}
				if s.sent != tt.attempts || meta.Attempts != tt.attempts {
					t.Errorf("%d requests, %d attempts, want %d", s.sent, meta.Attempts, tt.attempts)
				}
				if took := time.Since(start); took < tt.min || took > tt.max {
					t.Errorf("took %v, want %v to %v", took, tt.min, tt.max)
				}
			})
		})
	}
}

func repeat(r reply, n int) []reply {
	replies := make([]reply, n)
	for i := range replies {
		replies[i] = r
	}
	return replies
}

func TestRetryErrorsSayWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{{status: 429, header: map[string]string{"Retry-After": "3600"}}}}
		_, _, err := send(t.Context(), newTestClient(t, testConfig(s)), query())
		want := "shopify: CustomersPage: Shopify is asking for fewer requests (HTTP 429, request req-1, retry after 1h0m0s); try again later; other programs that use the same app share its limit"
		if got := fmt.Sprint(err); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		var e *Error
		if !errors.As(err, &e) || e.RetryAfter != time.Hour {
			t.Errorf("RetryAfter of %v", err)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"2", "", 2 * time.Second},
		{"2.0", "", 2 * time.Second},
		{" 0.5 ", "", 500 * time.Millisecond},
		{"0", "", 0},
		{"-1", "", 0},
		{"NaN", "", 0},
		{"Inf", "", 24 * time.Hour},
		{"1e300", "", 24 * time.Hour},
		{"soon", "", 0},
		{"Thu, 01 Oct 2026 12:00:30 GMT", "", 30 * time.Second},
		{"Thu, 01 Oct 2026 12:00:30 GMT", "Thu, 01 Oct 2026 12:00:10 GMT", 20 * time.Second},
		{"Thu, 01 Oct 2026 11:00:00 GMT", "", 0},
	}
	for _, tt := range tests {
		h := http.Header{"Retry-After": {tt.value}, "Date": {tt.date}}
		if got := retryAfter(h, func() time.Time { return now }); got != tt.want {
			t.Errorf("Retry-After %q: got %v, want %v", tt.value, got, tt.want)
		}
	}
}

func TestPauseGrowsAndIsBounded(t *testing.T) {
	for failed := 1; failed < 100; failed++ {
		var longest time.Duration
		bound := min(maxBackOff, minBackOff<<min(failed, 20))
		for range 200 {
			d := pause(failed)
			if d < minBackOff || d > bound {
				t.Fatalf("pause(%d) = %v, want %v to %v", failed, d, minBackOff, bound)
			}
			longest = max(longest, d)
		}
		if longest < bound*3/4 {
			t.Errorf("pause(%d) is never longer than %v, want up to %v", failed, longest, bound)
		}
	}
}

// Every wait ends at once with the context: for points, between attempts, and
// for the token.
func TestWaitsEndWithTheContext(t *testing.T) {
	empty := throttle.New()
	tests := []struct {
		name string
		edit func(*Config)
	}{
		{"for points", func(c *Config) {
			empty.Observe(throttle.Status{Maximum: 2000, Available: 0, RestoreRate: 1}, 0, 0)
			c.Bucket = empty
		}},
		{"between attempts", func(c *Config) {
			c.HTTPClient.Transport = &script{replies: []reply{{status: 503, header: map[string]string{"Retry-After": "100"}}}}
		}},
		{"after THROTTLED", func(c *Config) {
			c.HTTPClient.Transport = &script{replies: []reply{{status: 429, header: map[string]string{"Retry-After": "100"}}}}
		}},
		{"for the token", func(c *Config) {
			c.Token = func(ctx context.Context, _ string) (string, error) {
				<-ctx.Done()
				return "", fmt.Errorf("vault: %w", ctx.Err())
			}
		}},
		{"for the answer", func(c *Config) {
			c.HTTPClient.Transport = transport(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				empty = throttle.New()
				c := testConfig(&script{replies: []reply{{body: goodBody}}})
				tt.edit(&c)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(200*time.Millisecond, cancel)
				start := time.Now()
				_, _, err := send(ctx, newTestClient(t, c), query())
				if took := time.Since(start); took != 200*time.Millisecond {
					t.Errorf("took %v, want 200ms", took)
				}
				if !errors.Is(err, context.Canceled) || kindOf(err) != Canceled {
					t.Errorf("got %v, want Canceled", err)
				}
				want := "shopify: CustomersPage: stopped by the caller: context canceled"
				if got := fmt.Sprint(err); !strings.HasPrefix(got, want) {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

func TestTokenIsRefreshedOnce(t *testing.T) {
	good, refused := reply{body: goodBody}, reply{status: 401}
	tests := []struct {
		name    string
		replies []reply
		tokens  []string // what Token returns, call by call
		failing error    // what it returns instead of the second
		kind    Kind
		asked   []string // what it is asked with
	}{
		{"accepted", []reply{good}, []string{"a"}, nil, 0, []string{""}},
		{"refreshed", []reply{refused, good}, []string{"a", "b"}, nil, 0, []string{"", "a"}},
		{"not asked again by a retry", []reply{refused, {status: 503}, good}, []string{"a", "b"}, nil, 0, []string{"", "a"}},
		{"the same again", []reply{refused, good}, []string{"a", "a"}, nil, Unauthorized, []string{"", "a"}},
		{"refused twice", []reply{refused, refused, good}, []string{"a", "b", "c"}, nil, Unauthorized, []string{"", "a"}},
		{"no fresh one", []reply{refused, good}, []string{"a", ""}, errors.New("vault is sealed"), NoToken, []string{"", "a"}},
		{"uninstalled", []reply{refused, good}, []string{"a", ""}, &Error{Op: opToken, Kind: NotInstalled}, NotInstalled, []string{"", "a"}},
		{"mutation", []reply{refused, good}, []string{"a", "b"}, nil, 0, []string{"", "a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked, sent []string
				s := &script{replies: tt.replies}
				c := testConfig(transport(func(r *http.Request) (*http.Response, error) {
					sent = append(sent, r.Header.Get(tokenHeader))
					return s.RoundTrip(r)
				}))
				c.Token = func(_ context.Context, rejected string) (string, error) {
					asked = append(asked, rejected)
					if len(asked) == 2 && tt.failing != nil {
						return "", tt.failing
					}
					return tt.tokens[len(asked)-1], nil
				}
				req := query()
				if tt.name == "mutation" {
					req = mutation()
				}
				_, _, err := send(t.Context(), newTestClient(t, c), req)
				if kindOf(err) != tt.kind {
					t.Errorf("got %v, want kind %v", err, tt.kind)
				}
				if fmt.Sprint(asked) != fmt.Sprint(tt.asked) {
					t.Errorf("asked with %q, want %q", asked, tt.asked)
				}
				if tt.kind == 0 && sent[len(sent)-1] != tt.tokens[len(asked)-1] {
					t.Errorf("sent %q", sent)
				}
			})
		})
	}
}

// Shopify failing to give a token is not Shopify refusing one, and nothing of
// the operation was sent: even a mutation tries again.
func TestTokenFailureIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{{body: goodBody}}}
		c := testConfig(s)
		calls := 0
		c.Token = func(context.Context, string) (string, error) {
			if calls++; calls < 3 {
				return "", fmt.Errorf("wrapped: %w", &Error{Op: opToken, Kind: Server, StatusCode: 503})
			}
			return testToken, nil
		}
		_, meta, err := send(t.Context(), newTestClient(t, c), mutation())
		if err != nil || calls != 3 || s.sent != 1 || meta.Attempts != 1 {
			t.Errorf("%v; token asked %d times, %d requests, %d attempts", err, calls, s.sent, meta.Attempts)
		}
	})
}

func TestBadTokenIsNotSent(t *testing.T) {
	for _, token := range []string{"", " ", "shpat_x\n", "shpat_\r\nX-Evil: 1", "shpat_\x00", "shpat_é", " shpat_x", "shpat_x\t"} {
		s := &script{replies: []reply{{body: goodBody}}}
		c := testConfig(s)
		c.Token = func(context.Context, string) (string, error) { return token, nil }
		_, _, err := send(t.Context(), newTestClient(t, c), query())
		want := "shopify: CustomersPage: the access token contains a space, a line break or another character that no token has; copy the token again, without anything around it"
		if got := fmt.Sprint(err); got != want || s.sent != 0 {
			t.Errorf("%q: got %s, %d requests", token, got, s.sent)
		}
	}
}

// What an earlier attempt brought must not shine through the last one.
func TestAttemptsAreNotMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := `{"data":{"customers":{"nodes":[{"id":"1","email":"jane@example.com","tags":["a"]}]}},
			"errors":[{"extensions":{"code":"INTERNAL_SERVER_ERROR"}}],"extensions":{"search":[{"warnings":[{"field":"x"}]}]}}`
		last := `{"data":{"customers":{"nodes":[{"id":"2","email":null}]}}}`
		s := &script{replies: []reply{{body: first, header: map[string]string{"X-Shopify-API-Version": "2026-01"}}, {body: last}}}
		data, meta, err := send(t.Context(), newTestClient(t, testConfig(s)), query())
		if err != nil {
			t.Fatal(err)
		}
		if n := data.Customers.Nodes[0]; n.ID != "2" || n.Email != "" || n.Tags != nil {
			t.Errorf("got %+v", n)
		}
		if meta.ServedVersion != "" || meta.SearchWarnings != nil || meta.Attempts != 2 {
			t.Errorf("meta %+v", meta)
		}
	})
}

// The error of the last attempt does not carry the request id of another one.
func TestRequestIDIsOfTheLastAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{{status: 503}, {err: errReset}}}
		_, meta, err := send(t.Context(), newTestClient(t, testConfig(s)), query())
		var e *Error
		if !errors.As(err, &e) || e.Kind != Network || e.RequestID != "" || meta.RequestID != "" {
			t.Errorf("%v, %+v", err, meta)
		}
	})
}

// Data beside an error is decoded as well: the caller may use what is true.
func TestDataBesideAnError(t *testing.T) {
	body := `{"data":{"customers":{"nodes":[{"id":"1"}]}},"errors":[{"extensions":{"code":"BAD_REQUEST"}}]}`
	data, _, err := send(t.Context(), newTestClient(t, testConfig(&script{replies: []reply{{body: body}}})), query())
	if kindOf(err) != InvalidQuery || data.Customers == nil || len(data.Customers.Nodes) != 1 {
		t.Errorf("%v, %+v", err, data)
	}
}

// Network errors say what is known of them and quote nothing.
func TestNetworkErrorText(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{errReset, "read tcp: connection reset by peer"},
		{&net.DNSError{Err: "no such host", Name: testShop}, "lookup demo.myshopify.com: no such host"},
		{io.ErrUnexpectedEOF, "the connection was cut"},
		{errors.New("malformed HTTP response jane@example.com"), "*errors.errorString"},
		{fmt.Errorf("proxy said %s", testToken), "*fmt.wrapError"},
	}
	for _, tt := range tests {
		s := &script{replies: []reply{{err: tt.err}}}
		_, _, err := send(t.Context(), newTestClient(t, testConfig(s)), mutation())
		if kindOf(err) == 0 {
			t.Fatalf("got %v", err)
		}
		checkNoSecrets(t, err.Error())
		want := "shopify: RunBulkQuery: no complete answer from Shopify: " + tt.want + "; check the network and try again"
		if tt.want == "*fmt.wrapError" {
			continue // only that nothing is quoted
		}
		if got := err.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// The cost of a request is what Shopify said the last time, by operation and
// size.
func TestCostIsLearned(t *testing.T) {
	var c Costs
	small := operation{name: "Page", size: 10}
	large := operation{name: "Page", size: 250}
	c.learn(large, 178)
	for _, tt := range []struct {
		op   operation
		want float64
	}{
		{large, 178},
		{small, guessSized},
		{operation{name: "Shop"}, guessOther},
		{operation{name: "Run", mutation: true}, guessMutation},
	} {
		if got := c.estimate(tt.op); got != tt.want {
			t.Errorf("%+v: got %v, want %v", tt.op, got, tt.want)
		}
	}
}

func TestSizeOf(t *testing.T) {
	tests := map[string]int{
		`{}`:                                   0,
		`{"variables":null}`:                   0,
		`{"variables":{"first":250}}`:          250,
		`{"variables":{"ids":["1","2"]}}`:      2,
		`{"variables":{"first":100000}}`:       250,
		`{"variables":{"first":-5}}`:           0,
		`{"variables":{"first":"x"}}`:          0,
		`{"variables":{"id":"1","query":"x"}}`: 0,
	}
	for body, want := range tests {
		if got := sizeOf([]byte(body)); got != want {
			t.Errorf("%s: got %d, want %d", body, got, want)
		}
	}
}

// A failed request gives back the points that it did not use, and a run of
// them does not lock the bucket.
func TestEveryAttemptIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{{status: 403}}}
		client := newTestClient(t, testConfig(s))
		for range 500 { // 500 guesses of 40 points are ten buckets
			if _, _, err := send(t.Context(), client, query()); kindOf(err) != Forbidden {
				t.Fatal(err)
			}
		}
		s.replies = []reply{{body: goodBody}}
		if _, _, err := send(t.Context(), client, query()); err != nil {
			t.Fatal(err)
		}
		client.config.Token = func(context.Context, string) (string, error) { return "", errors.New("vault is sealed") }
		start := time.Now()
		for range 500 {
			if _, _, err := send(t.Context(), client, query()); kindOf(err) != NoToken {
				t.Fatal(err)
			}
		}
		client.config.Token = func(context.Context, string) (string, error) { return testToken, nil }
		if _, _, err := send(t.Context(), client, query()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("waited %v although Shopify says 1987 points are there", took)
		}
	})
}

// Paged reads through the client use the budget and are never refused.
func TestPagesThroughTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const cost, restore, maximum = 178.0, 100.0, 2000.0
		level, last, used, refused := maximum, time.Now(), 0.0, 0
		start := time.Now()
		client := newTestClient(t, testConfig(transport(func(*http.Request) (*http.Response, error) {
			time.Sleep(300 * time.Millisecond)
			level = min(maximum, level+time.Since(last).Seconds()*restore)
			last = time.Now()
			if level < cost {
				refused++
				return reply{body: throttledBody}.response()
			}
			level -= cost
			used += cost
			return reply{body: fmt.Sprintf(`{"data":{},"extensions":{"cost":{"requestedQueryCost":%v,"actualQueryCost":%v,
				"throttleStatus":{"maximumAvailable":2000,"currentlyAvailable":%d,"restoreRate":100}}}}`, cost, cost, int(level))}.response()
		})))
		for time.Since(start) < 20*time.Minute {
			if _, _, err := send(t.Context(), client, query()); err != nil {
				t.Fatal(err)
			}
		}
		if refused > 0 {
			t.Errorf("THROTTLED %d times", refused)
		}
		if share := used / (maximum + restore*time.Since(start).Seconds()); share < 0.97 {
			t.Errorf("used %.1f %% of the points", 100*share)
		}
	})
}

func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		goodBody, throttledBody, internalErrorBody, ``, `{}`, `null`, `[]`, `{"data":5}`, `{"data":[]}`, `{"errors":"x"}`, `{"errors":{}}`,
		`{"data":{"customers":null},"errors":[{"path":["customers",0,"email"],"extensions":{"code":"ACCESS_DENIED"}}]}`,
		`{"data":{"a":{}},"errors":[{"path":["a",1e9,null]}],"extensions":{"cost":{"requestedQueryCost":1e400}}}`,
		`{"data":{"a":1},"extensions":{"search":[{"warnings":[{"field":"f","code":"c"}]}],"cost":[]}}`,
		`{"data":{"a":1},"extensions":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseAnswer(body)
		if (a == nil) == (err == nil) {
			t.Fatalf("answer %v, error %v", a, err)
		}
		if a == nil {
			if got := describeBody(http.Header{}, body); got == "" {
				t.Error("no description")
			}
			return
		}
		fail, refused := a.failure(), a.fieldErrors()
		switch {
		case len(a.errors) == 0 && fail != nil:
			t.Errorf("a failure without an error: %v", fail.err)
		case len(a.errors) > len(refused) && fail == nil:
			t.Error("an error was swallowed")
		case !a.hasData() && fail == nil:
			t.Error("neither data nor a failure")
		}
		for _, e := range refused {
			if len(e.Path) < 2 {
				t.Errorf("a refused field without a place: %v", e.Path)
			}
		}
		if fail != nil {
			fail.err.Op = "Fuzz"
			text := fail.err.Error()
			for _, r := range text {
				if r < ' ' {
					t.Errorf("%q in the error text", r)
				}
			}
			if len(text) > 1000 {
				t.Errorf("an error text of %d bytes", len(text))
			}
		}
		var data page
		if a.hasData() {
			_ = decodeData(a.data, &data)
		}
		b := throttle.New()
		if a.cost != nil && a.cost.status != nil {
			b.Observe(*a.cost.status, a.cost.requested, a.cost.actual)
		}
	})
}
