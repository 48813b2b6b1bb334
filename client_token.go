package shopifysync

import (
	"context"
	"sync"

	"github.com/omnichat/shopifysync/internal/shopify"
)

// tokens caches a connection's client-credentials token.
type tokens struct {
	mu     sync.Mutex
	key    string // client id and secret that the cache is for
	shop   Shop
	client *shopify.TokenCache
}

// token returns the access token to send. rejected is one that Shopify has
// just refused; the connection is looked up again then, so that credentials
// edited during a run are picked up. Those of another store are not: they are
// not for the host that this run talks to.
func (s *Syncer) token(ctx context.Context, conn Connection, rejected string) (string, error) {
	if rejected != "" {
		latest, err := s.connection(ctx, conn.ID)
		if err != nil {
			return "", err
		}
		if latest.Shop == conn.Shop {
			conn = latest
		}
	}
	return s.tokenOf(ctx, conn, rejected, &s.sharedOf(conn.ID).tokens)
}

// tokenOf is token with exactly the connection given, and with a cache.
func (s *Syncer) tokenOf(ctx context.Context, conn Connection, rejected string, cache *tokens) (string, error) {
	if s.tokens != nil {
		t, err := s.tokens.Token(ctx, TokenParams{Connection: conn.ID, Shop: conn.Shop, Rejected: NewSecret(rejected)})
		return t.Value.Reveal(), err
	}
	if !conn.Credentials.AccessToken.IsZero() {
		return conn.Credentials.AccessToken.Reveal(), nil
	}
	return cache.cache(s, conn).Get(ctx, rejected)
}

// adopt takes over what another cache holds; an empty one makes it forget.
func (t *tokens) adopt(o *tokens) {
	o.mu.Lock()
	key, shop, client := o.key, o.shop, o.client
	o.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.key, t.shop, t.client = key, shop, client
}

// cache returns the cache for the connection's present credentials.
func (t *tokens) cache(s *Syncer, conn Connection) *shopify.TokenCache {
	cred := conn.Credentials
	key := cred.ClientID + "\x00" + cred.ClientSecret.Reveal()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.key != key || t.shop != conn.Shop { // so it is at first: no key is empty
		t.key, t.shop = key, conn.Shop
		t.client = shopify.NewTokenCache(shopify.ExchangeParams{
			Shop: string(conn.Shop), ClientID: cred.ClientID, ClientSecret: cred.ClientSecret.Reveal(),
			HTTPClient: s.httpClient, Now: s.now,
		})
	}
	return t.client
}
