package shopify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func exchange(ctx context.Context, rt http.RoundTripper) (Token, error) {
	return ExchangeClientCredentials(ctx, ExchangeParams{
		Shop: testShop, ClientID: "client-id", ClientSecret: "client-secret",
		HTTPClient: &http.Client{Transport: rt},
	})
}

func TestExchangeRequest(t *testing.T) {
	var (
		got  *http.Request
		form url.Values
	)
	_, err := exchange(t.Context(), transport(func(r *http.Request) (*http.Response, error) {
		got = r
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if form, err = url.ParseQuery(string(body)); err != nil {
			t.Error(err)
		}
		return reply{body: `{"access_token":"x"}`}.response()
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPost || got.URL.String() != "https://demo.myshopify.com/admin/oauth/access_token" {
		t.Errorf("%s %s", got.Method, got.URL)
	}
	want := url.Values{"grant_type": {"client_credentials"}, "client_id": {"client-id"}, "client_secret": {"client-secret"}}
	if diff := cmp.Diff(want, form); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
	if ct := got.Header.Get("Content-Type"); ct != "application/x-www-form-urlencoded" {
		t.Errorf("Content-Type %q", ct)
	}
}

func TestExchangeAnswers(t *testing.T) {
	const (
		notJSON = "shopify: access token: the answer is not what the Admin API sends: it is not a JSON object (request req-1); try again later; look for a proxy in between; if it goes on, report it with the request id"
		noToken = "shopify: access token: the answer is not what the Admin API sends: it has no access_token (request req-1); try again later; look for a proxy in between; if it goes on, report it with the request id"
		wrong   = "shopify: access token: Shopify does not accept the client ID and secret (HTTP %s, request req-1); copy both again from the app's settings in the Dev Dashboard"
		nextOrg = "shopify: access token: the app belongs to another organisation than the store (HTTP 400, shop_not_permitted, request req-1); use an app of the store's own organisation in the Dev Dashboard"
	)
	tests := []struct {
		name     string
		reply    reply
		value    string
		lifetime time.Duration
		scopes   []string
		kind     Kind
		want     string
	}{
		{name: "as documented", reply: reply{body: `{"access_token":"f85632530bf277ec9ac6f649fc327f17","scope":"write_orders,read_customers","expires_in":86399}`},
			value: "f85632530bf277ec9ac6f649fc327f17", lifetime: 86399 * time.Second, scopes: []string{"write_orders", "read_customers"}},
		{name: "an hour, as a text", reply: reply{body: `{"access_token":"shpat_x","scope":" read_customers , ","expires_in":"3600"}`},
			value: "shpat_x", lifetime: time.Hour, scopes: []string{"read_customers"}},
		{name: "no expiry", reply: reply{body: `{"access_token":"x"}`}, value: "x", lifetime: defaultLifetime},
		{name: "null expiry", reply: reply{body: `{"access_token":"x","expires_in":null,"scope":null}`}, value: "x", lifetime: defaultLifetime},
		{name: "negative expiry", reply: reply{body: `{"access_token":"x","expires_in":-5}`}, value: "x", lifetime: defaultLifetime},
		{name: "odd expiry", reply: reply{body: `{"access_token":"x","expires_in":{},"scope":[]}`}, value: "x", lifetime: defaultLifetime},
		{name: "endless expiry", reply: reply{body: `{"access_token":"x","expires_in":1e300}`}, value: "x", lifetime: maxLifetime},
		{name: "a long token", reply: reply{body: `{"access_token":"` + strings.Repeat("x", 5000) + `"}`}, value: strings.Repeat("x", 5000), lifetime: defaultLifetime},

		{name: "line break in the token", reply: reply{body: `{"access_token":"shpat_x\r\nX-Evil: 1"}`}, kind: BadToken,
			want: "shopify: access token: the access token contains a space, a line break or another character that no token has (request req-1); copy the token again, without anything around it"},
		{name: "empty token", reply: reply{body: `{"access_token":""}`}, kind: BadResponse, want: noToken},
		{name: "token of another type", reply: reply{body: `{"access_token":5}`}, kind: BadResponse, want: noToken},
		{name: "a web page", reply: reply{body: `<html>jane@example.com`}, kind: BadResponse, want: notJSON},
		{name: "endless", reply: reply{body: `{"access_token":"x","scope":"` + strings.Repeat("x", maxTokenBody) + `"}`}, kind: BadResponse, want: notJSON},

		{name: "another organisation, JSON", reply: reply{status: 400, body: `{"error":"shop_not_permitted","error_description":"Client credentials cannot be performed on this shop."}`}, kind: NotPermitted, want: nextOrg},
		{name: "another organisation, page", reply: reply{status: 400, body: `<html><title>Oauth error shop_not_permitted: Client credentials cannot be performed on this shop.`}, kind: NotPermitted, want: nextOrg},
		{name: "not installed", reply: reply{status: 400, body: `{"error":"app_not_installed"}`}, kind: NotInstalled,
			want: "shopify: access token: the app is not installed in the store (HTTP 400, app_not_installed, request req-1); install the app in the store, then connect again"},
		{name: "wrong client ID", reply: reply{status: 400, body: `{"error":"application_cannot_be_found"}`}, kind: WrongClient, want: fmt.Sprintf(wrong, "400, application_cannot_be_found")},
		{name: "wrong secret", reply: reply{status: 401, body: `{"error":"invalid_client"}`}, kind: WrongClient, want: fmt.Sprintf(wrong, "401, invalid_client")},
		{name: "refused without a code", reply: reply{status: 401, body: `jane@example.com`}, kind: WrongClient, want: fmt.Sprintf(wrong, "401")},
		{name: "unknown store", reply: reply{status: 404, body: `<html>`}, kind: NotFound,
			want: "shopify: access token: there is no such store (HTTP 404, request req-1); check the store's name: Shopify admin, Settings, Domains, the one that ends in .myshopify.com"},
		{name: "frozen", reply: reply{status: 402}, kind: Frozen,
			want: "shopify: access token: the store is frozen or closed (HTTP 402, request req-1); the merchant settles the bill in the Shopify admin, then sync again"},
		{name: "forbidden", reply: reply{status: 403}, kind: Forbidden,
			want: "shopify: access token: the app may not use this store's Admin API (HTTP 403, request req-1); check the app's Admin API access and scopes in the Shopify admin"},
		{name: "failing, with a code in its page", reply: reply{status: 500, body: "invalid_client"}, kind: Server,
			want: "shopify: access token: Shopify failed (HTTP 500, request req-1); try again later; if it goes on, give Shopify support the request id"},
		{name: "too many requests", reply: reply{status: 429, header: map[string]string{"Retry-After": "4"}}, kind: Throttled,
			want: "shopify: access token: Shopify is asking for fewer requests (HTTP 429, request req-1, retry after 4s); try again later; other programs that use the same app share its limit"},
		{name: "moved", reply: reply{status: 307, header: map[string]string{"Location": "https://other.myshopify.com/admin/oauth/access_token"}}, kind: Moved,
			want: "shopify: access token: the store answered with a redirect, which is not followed because the credentials would go along: other.myshopify.com (HTTP 307, request req-1); connect with the store's own .myshopify.com name: Shopify admin, Settings, Domains"},
		{name: "network", reply: reply{err: errReset}, kind: Network,
			want: "shopify: access token: no complete answer from Shopify: read tcp: connection reset by peer; check the network and try again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{replies: []reply{tt.reply}}
				start := time.Now()
				got, err := exchange(t.Context(), s)
				if s.sent != 1 {
					t.Errorf("%d requests", s.sent)
				}
				if tt.want != "" {
					if kindOf(err) != tt.kind || fmt.Sprint(err) != tt.want {
						t.Errorf("kind %v, text\n%v\nwant %v\n%s", kindOf(err), err, tt.kind, tt.want)
					}
					checkNoSecrets(t, fmt.Sprint(err, got))
					return
				}
				want := Token{Value: tt.value, ExpiresAt: start.Add(tt.lifetime), Scopes: tt.scopes}
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%v, (-want +got):\n%s", err, diff)
				}
			})
		})
	}
}

func TestExchangeRefusesOtherHosts(t *testing.T) {
	s := &script{replies: []reply{{body: `{"access_token":"x"}`}}}
	_, err := ExchangeClientCredentials(t.Context(), ExchangeParams{Shop: "evil.example", HTTPClient: &http.Client{Transport: s}})
	if kindOf(err) != NotFound || s.sent != 0 {
		t.Errorf("%v, %d requests", err, s.sent)
	}
}

func TestExchangeEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := exchange(ctx, never); kindOf(err) != Canceled || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want Canceled", err)
		}
		start := time.Now()
		_, err := exchange(t.Context(), never)
		if kindOf(err) != Network || errors.Is(err, context.DeadlineExceeded) || time.Since(start) != attemptTimeout {
			t.Errorf("got %v after %v, want Network after %v", err, time.Since(start), attemptTimeout)
		}
	})
}

// source hands out tokens t1, t2 and so on.
type source struct {
	life  time.Duration // 0: no expiry
	takes time.Duration
	calls atomic.Int64
	err   atomic.Pointer[error]
}

func (s *source) fetch(ctx context.Context, _ string) (Token, error) {
	n := s.calls.Add(1)
	if err := sleep(ctx, s.takes); err != nil {
		return Token{}, err
	}
	if err := s.err.Load(); err != nil {
		return Token{}, *err
	}
	token := Token{Value: fmt.Sprint("t", n)}
	if s.life > 0 {
		token.ExpiresAt = time.Now().Add(s.life)
	}
	return token, nil
}

func (s *source) fail(err error) { s.err.Store(&err) }

func newCache(s *source) *TokenCache {
	c := NewTokenCache(ExchangeParams{})
	c.fetch = s.fetch
	return c
}

func mustGet(t *testing.T, c *TokenCache, rejected, want string) {
	t.Helper()
	if got, err := c.Get(t.Context(), rejected); got != want || err != nil {
		t.Errorf("Get(%q) = %q, %v, want %q", rejected, got, err, want)
	}
}

func TestTokenCacheExchanges(t *testing.T) {
	s := &script{replies: []reply{{body: `{"access_token":"x"}`}}}
	c := NewTokenCache(ExchangeParams{Shop: testShop, HTTPClient: &http.Client{Transport: s}})
	mustGet(t, c, "", "x")
	mustGet(t, c, "", "x")
	if s.sent != 1 {
		t.Errorf("%d exchanges, want one", s.sent)
	}
}

func TestTokenCacheReplacesInTime(t *testing.T) {
	tests := []struct {
		name string
		life time.Duration
		good time.Duration // how long the first one is used
	}{
		{"a day", 24 * time.Hour, 23*time.Hour + 50*time.Minute},
		{"an hour", time.Hour, 54 * time.Minute},
		{"a minute", time.Minute, 54 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(&source{life: tt.life})
				mustGet(t, c, "", "t1")
				time.Sleep(tt.good - time.Millisecond)
				mustGet(t, c, "", "t1")
				time.Sleep(time.Millisecond)
				mustGet(t, c, "", "t2")
			})
		})
	}
	t.Run("never", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(&source{})
			mustGet(t, c, "", "t1")
			time.Sleep(10000 * time.Hour)
			mustGet(t, c, "", "t1")
		})
	})
}

func TestTokenCacheRejected(t *testing.T) {
	s := &source{life: 24 * time.Hour}
	c := newCache(s)
	mustGet(t, c, "", "t1")
	mustGet(t, c, "t1", "t2") // replaced
	mustGet(t, c, "t1", "t2") // somebody else's old one
	mustGet(t, c, "", "t2")
	if n := s.calls.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

// A replacement that is only early may fail: the present token is good, and is
// used for a minute before the next try. When it has expired the error counts.
func TestTokenCacheEarlyReplacementFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: 24 * time.Hour}
		c := newCache(s)
		mustGet(t, c, "", "t1")
		s.fail(errors.New("down"))
		time.Sleep(24*time.Hour - 5*time.Minute)
		for range 10 {
			mustGet(t, c, "", "t1")
		}
		if n := s.calls.Load(); n != 2 {
			t.Errorf("%d fetches, want one try within a minute", n-1)
		}
		time.Sleep(2 * time.Minute)
		mustGet(t, c, "", "t1")
		if n := s.calls.Load(); n != 3 {
			t.Errorf("%d fetches, want another try", n-1)
		}
		if got, err := c.Get(t.Context(), "t1"); err == nil {
			t.Errorf("a rejected token was given out again: %q", got)
		}
		time.Sleep(5 * time.Minute)
		if got, err := c.Get(t.Context(), ""); err == nil {
			t.Errorf("an expired token was given out: %q", got)
		}
		s.err.Store(nil)
		mustGet(t, c, "", "t6")
	})
}

// Many ask, one fetches, all get it; and with a good token nobody waits for an
// early replacement but the one who makes it.
func TestTokenCacheFetchesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour, takes: 3 * time.Second}
		c := newCache(s)
		ask := func(rejected, want string) {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { mustGet(t, c, rejected, want) })
			}
			wg.Wait()
		}
		ask("", "t1")
		ask("t1", "t2")
		if n := s.calls.Load(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
		s.fail(errors.New("down"))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := c.Get(t.Context(), "t2"); fmt.Sprint(err) != "down" {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if n := s.calls.Load(); n != 3 {
			t.Errorf("%d fetches, want one more for all that wait", n)
		}

		s.err.Store(nil)
		time.Sleep(57 * time.Minute) // t2 is due
		wg.Go(func() { mustGet(t, c, "", "t4") })
		synctest.Wait()
		start := time.Now()
		mustGet(t, c, "", "t2")
		if took := time.Since(start); took != 0 {
			t.Errorf("waited %v with a good token at hand", took)
		}
		wg.Wait()
	})
}

// Whoever goes away does so at once, and the others still get their token,
// also when it was the one who fetched.
func TestTokenCacheWaitersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour, takes: 10 * time.Second}
		c := newCache(s)
		var wg sync.WaitGroup
		gone := func(after time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			wg.Go(func() {
				defer cancel()
				start := time.Now()
				if _, err := c.Get(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took != after {
					t.Errorf("left after %v, want %v", took, after)
				}
			})
			synctest.Wait()
		}
		gone(4 * time.Second) // fetches
		gone(2 * time.Second) // waits
		start := time.Now()
		mustGet(t, c, "", "t2")
		if took := time.Since(start); took != 14*time.Second {
			t.Errorf("took %v, want 4s and a fetch of 10s", took)
		}
		wg.Wait()
	})
}

func TestTokenCachePanic(t *testing.T) {
	c := newCache(&source{})
	fetch := c.fetch
	c.fetch = func(context.Context, string) (Token, error) { panic("boom") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = c.Get(t.Context(), "")
	}()
	c.fetch = fetch
	mustGet(t, c, "", "t1") // nobody waits for the one that panicked
}

func FuzzTokenResponse(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"shpat_x","scope":"read_customers","expires_in":86399}`,
		`{"access_token":"x","expires_in":"3600"}`, `{"access_token":"a\nb"}`, `{"access_token":null}`, `{"expires_in":1e999}`,
		`{"error":"shop_not_permitted"}`, `<html>`, ``, `[]`, `{"access_token":"x","scope":",,a, b"}`,
	} {
		f.Add([]byte(seed))
	}
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		token, err := parseToken(body, now)
		if err != nil {
			if token.Value != "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("%+v with %q", token, err)
			}
			return
		}
		if !validToken(token.Value) {
			t.Errorf("token %q", token.Value)
		}
		if life := token.ExpiresAt.Sub(now); life < 0 || life > maxLifetime {
			t.Errorf("lifetime %v", life)
		}
		for _, scope := range token.Scopes {
			if scope == "" || scope != strings.TrimSpace(scope) {
				t.Errorf("scope %q", scope)
			}
		}
	})
}
