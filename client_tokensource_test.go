package shopifysync_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
)

// A vault hands out tokens of a store, new ones when the last was rejected.
type vault struct {
	w    *world
	life time.Duration // that Shopify gives a token
	told bool          // the vault tells when it expires

	mu       sync.Mutex
	now      shopifysync.Token
	asked    int
	rejected int
}

func (v *vault) Token(_ context.Context, p shopifysync.TokenParams) (shopifysync.Token, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	if p.Connection != connID || p.Shop != v.w.conn.Shop {
		return shopifysync.Token{}, errors.New("asked for another connection")
	}
	if !p.Rejected.IsZero() {
		v.rejected++
	}
	if v.now.Value.IsZero() || v.now.Value.Equal(p.Rejected) || v.told && !time.Now().Before(v.now.ExpiresAt.Add(-10*time.Minute)) {
		v.now = shopifysync.Token{Value: shopifysync.NewSecret(v.w.shop.IssueToken(v.life))}
		if v.told {
			v.now.ExpiresAt = time.Now().Add(v.life)
		}
	}
	return v.now, nil
}

// A token source alone is enough: a connection then needs no credentials. It is
// asked when the token that it gave is about to expire or was refused.
func TestTokenSource(t *testing.T) {
	tests := map[string]struct {
		vault *vault
		wait  time.Duration // between the calls
		then  func(w *world)
		asked int
		// rejected is how often it was told of a token that Shopify refused.
		rejected int
	}{
		"a token is used until it expires": {vault: &vault{life: time.Hour, told: true}, asked: 1},
		"and not longer":                   {vault: &vault{life: time.Hour, told: true}, wait: 40 * time.Minute, asked: 2},
		"one without an end for an hour":   {vault: &vault{life: 1000 * time.Hour}, wait: 25 * time.Minute, asked: 1},
		"and not longer, either":           {vault: &vault{life: 1000 * time.Hour}, wait: 40 * time.Minute, asked: 2},
		"one that Shopify refuses":         {vault: &vault{life: 1000 * time.Hour}, then: func(w *world) { w.shop.RevokeTokens() }, asked: 2, rejected: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 600, func(t *testing.T, w *world) {
				v := test.vault
				v.w = w
				w.conn.Credentials = shopifysync.Credentials{}
				conns := shopifysync.StaticConnections()
				s, err := shopifysync.New(w.store, conns, shopifysync.WithHTTPClient(w.server.Client()),
					shopifysync.WithStateStore(w.store), shopifysync.WithTokenSource(v), w.logged())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Connect(t.Context(), w.conn); err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.wait)
				w.sync(s)
				if test.then != nil {
					test.then(w)
				}
				time.Sleep(test.wait)
				w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(w.ids()[0])})
				if r := w.drain(s); r.Seen != 1 {
					t.Errorf("%+v", r)
				}
				w.mirrors()
				if v.asked != test.asked || v.rejected != test.rejected {
					t.Errorf("asked %d times, %d of them for one that was refused; want %d and %d", v.asked, v.rejected, test.asked, test.rejected)
				}

				// What Disconnect keeps of it has no credentials, either, and stays shut.
				if _, err := s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: connID}); err != nil {
					t.Fatal(err)
				}
				asked := v.asked
				if _, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID}); !errors.Is(err, shopifysync.ErrNotConnected) || v.asked != asked {
					t.Errorf("a disconnected one: %v", err)
				}
				if _, err := s.Connect(t.Context(), w.conn); err != nil {
					t.Error(err)
				}
				w.sync(s)
			})
		})
	}
}
