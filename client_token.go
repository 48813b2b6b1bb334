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

// A tokenFunc returns the access token to send. rejected is one that Shopify has
// just refused; may be empty.
type tokenFunc func(ctx context.Context, rejected string) (string, error)

// tokensFor returns the source of tokens of one call, for one goroutine. It
// begins with the connection given and looks it up again whenever its credentials
// turn out not to be the latest, so that those edited during a run are picked up,
// and kept: a token is rejected, an exchange is refused, or other calls have gone
// over to other credentials. Those of another store are not taken: they are not
// for the host that this call talks to.
func (s *Syncer) tokensFor(conn Connection) tokenFunc {
	cache := &s.sharedOf(conn.ID).tokens
	lookUp := func(ctx context.Context) (edited bool, err error) {
		latest, err := s.connection(ctx, conn.ID)
		if err != nil || latest.Shop != conn.Shop {
			return false, err
		}
		edited = !latest.Credentials.sameToken(conn.Credentials)
		conn = latest
		return edited, nil
	}
	return func(ctx context.Context, rejected string) (string, error) {
		if rejected != "" || cache.ofOthers(conn) {
			if _, err := lookUp(ctx); err != nil {
				return "", err
			}
		}
		token, err := s.tokenOf(ctx, conn, rejected, cache)
		if !isKind(err, shopify.WrongClient) && !isKind(err, shopify.NotInstalled) && !isKind(err, shopify.NotPermitted) {
			return token, err
		}
		edited, lookErr := lookUp(ctx)
		switch {
		case lookErr != nil:
			return "", lookErr
		case !edited:
			return "", err
		}
		return s.tokenOf(ctx, conn, rejected, cache)
	}
}

// tokenOf returns a token for exactly the connection given, by a cache.
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

// sameToken reports whether both lead to the same tokens.
func (c Credentials) sameToken(o Credentials) bool {
	return c.AccessToken.Equal(o.AccessToken) && c.clientKey() == o.clientKey()
}

// clientKey tells client credentials apart.
func (c Credentials) clientKey() string { return c.ClientID + "\x00" + c.ClientSecret.Reveal() }

// adopt takes over what another cache holds; an empty one makes it forget.
func (t *tokens) adopt(o *tokens) {
	o.mu.Lock()
	key, shop, client := o.key, o.shop, o.client
	o.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.key, t.shop, t.client = key, shop, client
}

// ofOthers reports whether the cache is for other client credentials than the
// connection's: then one of the two is out of date.
func (t *tokens) ofOthers(conn Connection) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.key != "" && conn.Credentials.AccessToken.IsZero() && (t.key != conn.Credentials.clientKey() || t.shop != conn.Shop)
}

// cache returns the cache for the connection's present credentials.
func (t *tokens) cache(s *Syncer, conn Connection) *shopify.TokenCache {
	cred := conn.Credentials
	t.mu.Lock()
	defer t.mu.Unlock()
	if key := cred.clientKey(); t.key != key || t.shop != conn.Shop { // so it is at first: no key is empty
		t.key, t.shop = key, conn.Shop
		t.client = shopify.NewTokenCache(shopify.ExchangeParams{
			Shop: string(conn.Shop), ClientID: cred.ClientID, ClientSecret: cred.ClientSecret.Reveal(),
			HTTPClient: s.httpClient, Now: s.now,
		})
	}
	return t.client
}
