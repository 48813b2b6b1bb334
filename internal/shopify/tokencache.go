package shopify

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// A token is replaced maxEarly before it expires, or a tenth of its life
	// before if that is less.
	maxEarly = 10 * time.Minute
	// After an early replacement failed, the token that is still good is used
	// for this long before it is tried again.
	earlyRetry = time.Minute
)

// FetchToken gets a new token. rejected is the one that Shopify has just refused,
// if that is why.
type FetchToken func(ctx context.Context, rejected string) (Token, error)

// TokenCache keeps the token of one connection and replaces it in time. It is
// safe for concurrent use and starts no goroutine. Its Get fits Config.Token.
type TokenCache struct {
	fetch FetchToken
	now   func() time.Time

	mu      sync.Mutex
	token   Token
	replace time.Time // when to replace it; zero means never
	flight  *fetching // nil when nobody fetches
}

// fetching is one call of fetch. Its fields are set before done is closed.
type fetching struct {
	done      chan struct{}
	token     Token
	err       error
	abandoned bool // its caller went away: somebody else should do it
}

// NewTokenCache returns an empty cache for the tokens of that app and store.
func NewTokenCache(p ExchangeParams) *TokenCache {
	if p.Now == nil {
		p.Now = time.Now
	}
	return CacheTokens(func(ctx context.Context, _ string) (Token, error) { return ExchangeClientCredentials(ctx, p) }, p.Now)
}

// CacheTokens returns an empty cache for the tokens that fetch gets.
func CacheTokens(fetch FetchToken, now func() time.Time) *TokenCache {
	return &TokenCache{fetch: fetch, now: now}
}

// Get returns the token, fetching one if there is none, it has expired or is
// about to, or it is the one that Shopify rejected. However many ask at the
// same time, one fetches; each stops waiting when its own ctx ends. If a
// replacement that is only early fails, the present token stays in use. The
// error is that of the fetch, or of ctx.
func (c *TokenCache) Get(ctx context.Context, rejected string) (string, error) {
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		c.mu.Lock()
		usable := c.usable(rejected)
		present := c.token.Value
		if usable && (c.flight != nil || !c.due()) {
			c.mu.Unlock()
			return present, nil
		}
		f, mine := c.flight, false
		if f == nil {
			f, mine = &fetching{done: make(chan struct{})}, true
			c.flight = f
		}
		c.mu.Unlock()

		if mine {
			c.run(ctx, f, rejected)
		} else {
			select {
			case <-f.done:
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		switch {
		case f.err == nil:
			return f.token.Value, nil
		case f.abandoned && !mine:
			continue
		case usable:
			return present, nil
		}
		return "", f.err
	}
}

// run fetches for everybody who waits for f.
func (c *TokenCache) run(ctx context.Context, f *fetching, rejected string) {
	f.err = errors.New("shopify: the token source panicked") // unless it returns
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		now := c.now()
		if f.err == nil {
			c.token, c.replace = f.token, time.Time{}
			if at := f.token.ExpiresAt; !at.IsZero() {
				c.replace = at.Add(-min(maxEarly, at.Sub(now)/10))
			}
		} else {
			c.replace = now.Add(earlyRetry)
		}
		c.flight = nil
		close(f.done)
	}()
	f.token, f.err = c.fetch(ctx, rejected)
	f.abandoned = f.err != nil && ctx.Err() != nil
}

// usable reports whether the present token may still be used.
func (c *TokenCache) usable(rejected string) bool {
	return c.token.Value != "" && c.token.Value != rejected &&
		(c.token.ExpiresAt.IsZero() || c.now().Before(c.token.ExpiresAt))
}

// due reports whether it is time to replace the present token.
func (c *TokenCache) due() bool { return !c.replace.IsZero() && !c.now().Before(c.replace) }
