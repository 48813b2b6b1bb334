package shopifysync

import (
	"context"
	"sync"
	"time"

	"github.com/omnichat/shopifysync/internal/shopify"
)

// tokens caches a connection's token, unless that is permanent.
type tokens struct {
	mu     sync.Mutex
	key    string // see Syncer.tokenKey: what the cache is for
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
		edited = s.tokenKey(latest) != s.tokenKey(conn)
		conn = latest
		return edited, nil
	}
	return func(ctx context.Context, rejected string) (string, error) {
		if rejected != "" || cache.ofOthers(s, conn) {
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
	if s.tokenKey(conn) == "" {
		return conn.Credentials.AccessToken.Reveal(), nil
	}
	return cache.cache(s, conn).Get(ctx, rejected)
}

// tokenKey tells apart what tokens are obtained with; empty for a permanent token.
func (s *Syncer) tokenKey(conn Connection) string {
	switch c := conn.Credentials; {
	case s.tokens != nil:
		return "source"
	case !c.AccessToken.IsZero():
		return ""
	default:
		return c.ClientID + "\x00" + c.ClientSecret.Reveal()
	}
}

// endless is how long a token is kept whose source does not say when it expires.
const endless = time.Hour

// fetchToken asks the host's source for a token of the connection.
func (s *Syncer) fetchToken(conn Connection) shopify.FetchToken {
	return func(ctx context.Context, rejected string) (shopify.Token, error) {
		t, err := s.tokens.Token(ctx, TokenParams{Connection: conn.ID, Shop: conn.Shop, Rejected: NewSecret(rejected)})
		if t.ExpiresAt.IsZero() {
			t.ExpiresAt = s.now().Add(endless)
		}
		return shopify.Token{Value: t.Value.Reveal(), ExpiresAt: t.ExpiresAt}, err
	}
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

// ofOthers reports whether the cache is for other credentials than the
// connection's: then one of the two is out of date.
func (t *tokens) ofOthers(s *Syncer, conn Connection) bool {
	key := s.tokenKey(conn)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.key != "" && key != "" && (t.key != key || t.shop != conn.Shop)
}

// cache returns the cache for the connection's present credentials.
func (t *tokens) cache(s *Syncer, conn Connection) *shopify.TokenCache {
	key := s.tokenKey(conn)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.key == key && t.shop == conn.Shop: // not so at first: no key is empty
		return t.client
	case s.tokens != nil:
		t.client = shopify.CacheTokens(s.fetchToken(conn), s.now)
	default:
		t.client = shopify.NewTokenCache(shopify.ExchangeParams{
			Shop: string(conn.Shop), ClientID: conn.Credentials.ClientID, ClientSecret: conn.Credentials.ClientSecret.Reveal(),
			HTTPClient: s.httpClient, Now: s.now,
		})
	}
	t.key, t.shop = key, conn.Shop
	return t.client
}
