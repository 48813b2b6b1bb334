package shopifysync_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// takesBoth lets Shopify take two client secrets, as it does for a while after
// one was rotated.
func takesBoth(w *world) *http.Client {
	inner := w.server.Client()
	return &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/oauth/access_token") {
			form, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			text := strings.Replace(string(form), "client_secret=second", "client_secret=first", 1)
			r = r.Clone(r.Context())
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		}
		return inner.Transport.RoundTrip(r)
	})}
}

// Credentials that are replaced during a run are the run's from then on: it goes
// on, its connection is not paused, and it and other calls share one token.
func TestSyncRotatedCredentials(t *testing.T) {
	byClient := func(secret string) shopifysync.Credentials {
		return shopifysync.Credentials{ClientID: "client-id", ClientSecret: shopifysync.NewSecret(secret)}
	}
	byToken := func(token string) shopifysync.Credentials {
		return shopifysync.Credentials{AccessToken: shopifysync.NewSecret(token)}
	}
	tests := map[string]struct {
		first, second shopifysync.Credentials
		shopify       func(w *world) // what happens in Shopify
		later         time.Duration  // how long the page takes after which that is
		elsewhere     bool           // another process connects
		both          bool           // Shopify goes on taking the first secret
		members       bool           // lookups are made all the while
		exchanges     int            // of client credentials, at most
		refused       int            // requests with a token that is revoked, at most
	}{
		"a secret is revoked": {
			first: byClient("first"), second: byClient("second"), members: true, exchanges: 2,
			shopify: func(w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ClientSecret = "second" })
				w.shop.RevokeTokens()
			},
		},
		"a secret is revoked, and another process has the new one": {
			first: byClient("first"), second: byClient("second"), elsewhere: true, members: true, exchanges: 3,
			shopify: func(w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ClientSecret = "second" })
				w.shop.RevokeTokens()
			},
		},
		"a secret is revoked, and the token of the first one runs out": {
			first: byClient("first"), second: byClient("second"), elsewhere: true, exchanges: 4, later: 25 * time.Hour,
			shopify: func(w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ClientSecret = "second" })
			},
		},
		"two secrets are good": {
			first: byClient("first"), second: byClient("second"), both: true, members: true, exchanges: 2,
		},
		"a permanent token is replaced": {
			first: byToken("canary-token-1"), second: byToken("canary-token-2"), members: true, refused: 1,
			shopify: func(w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.AccessToken = "canary-token-2" })
			},
		},
		"a token becomes client credentials": {
			first: byToken("canary-token-1"), second: byClient("first"), members: true, exchanges: 1, refused: 1,
			shopify: func(w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.AccessToken = "" })
			},
		},
		"client credentials become a token": {
			first: byClient("first"), second: byToken("canary-token-2"), members: true, exchanges: 2,
			shopify: func(w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.AccessToken, c.ClientSecret = "canary-token-2", "second" })
				w.shop.RevokeTokens()
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 5000, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ClientSecret = "first" })
				if test.both {
					w.client = takesBoth(w)
				}
				w.conn.Credentials = test.first
				conns := shopifysync.StaticConnections()
				client := w.client
				if client == nil {
					client = w.server.Client()
				}
				var s, other *shopifysync.Syncer
				pages, before, connecting := 0, 0, true
				hooks := shopifysync.Hooks{APICall: func(ctx context.Context, info shopifysync.APICallInfo) {
					if info.Op != "CustomersPage" || connecting {
						return
					}
					pages++
					if pages == 3 {
						if test.shopify != nil {
							test.shopify(w)
						}
						before = len(w.server.Requests())
						edited := w.conn
						edited.Credentials = test.second
						by := s
						if test.elsewhere {
							by = other
						}
						connecting = true // and reads a page, too
						if _, err := by.Connect(t.Context(), edited); err != nil {
							t.Errorf("Connect: %v", err)
						}
						connecting = false
						time.Sleep(test.later)
					}
					if test.members {
						if _, err := s.Member(t.Context(), shopifysync.MemberParams{Connection: connID, Number: strconv.Itoa(pages)}); err == nil {
							t.Error("there is such a member: the test does not test it")
						}
					}
				}}
				for i, syncer := range []**shopifysync.Syncer{&s, &other} {
					opts := []shopifysync.Option{shopifysync.WithHTTPClient(client), shopifysync.WithStateStore(w.store)}
					if i == 0 {
						opts = append(opts, shopifysync.WithHooks(hooks))
					}
					var err error
					if *syncer, err = shopifysync.New(w.store, conns, opts...); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := s.Connect(t.Context(), w.conn); err != nil {
					t.Fatal(err)
				}
				connecting = false
				r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				if err != nil || !r.Complete || pages < 20 {
					t.Fatalf("error %v, %d pages", err, pages)
				}
				if st := w.connState(); st.Pause != nil || st.Health.State != shopifysync.HealthOK {
					t.Errorf("%+v", st)
				}
				if n := w.server.Count(shopifytest.OpToken); n > test.exchanges {
					t.Errorf("%d tokens were asked for, want at most %d", n, test.exchanges)
				}
				refused := 0
				for _, r := range w.server.Requests()[before:] {
					if r.Header.Get("X-Shopify-Access-Token") == "canary-token-1" {
						refused++
					}
				}
				if refused > test.refused {
					t.Errorf("a revoked token was sent %d times, want at most %d", refused, test.refused)
				}
			})
		})
	}
}
