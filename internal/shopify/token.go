package shopify

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Token is an access token.
type Token struct {
	Value     string
	ExpiresAt time.Time // by the local clock; zero means never
	Scopes    []string  // the access scopes that were granted
}

// ExchangeParams names an app, and the store to get a token for.
type ExchangeParams struct {
	Shop         string           // exact host, such as "demo.myshopify.com"
	ClientID     string           // API key
	ClientSecret string           // API secret key
	HTTPClient   *http.Client     // as in Config
	Now          func() time.Time // as in Config
}

const (
	opToken = "access token"

	// A day is how long every client-credentials token lives. One whose
	// answer does not say so expires early rather than late.
	defaultLifetime = 24*time.Hour - maxEarly
	maxLifetime     = 366 * 24 * time.Hour

	maxTokenBody = 64 << 10
)

// ExchangeClientCredentials obtains a token for 24 hours. It works in stores
// of the app's own organisation only, and gives no refresh token: it is simply
// done again.
// https://shopify.dev/docs/apps/build/authentication-authorization/client-credentials-grant
//
// Every error is an *Error; NotPermitted, NotInstalled and WrongClient are its
// own kinds.
func ExchangeClientCredentials(ctx context.Context, p ExchangeParams) (Token, error) {
	if !ValidHost(p.Shop) {
		return Token{}, &Error{Op: opToken, Kind: NotFound, Detail: "the store's name does not have the form name.myshopify.com"}
	}
	now := p.Now
	if now == nil {
		now = time.Now
	}
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {p.ClientID},
		"client_secret": {p.ClientSecret},
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(attempt, http.MethodPost,
		"https://"+p.Shop+"/admin/oauth/access_token", strings.NewReader(form.Encode()))
	if err != nil {
		return Token{}, &Error{Op: opToken, Kind: Network, Err: err}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", defaultUserAgent)

	res, err := withoutRedirects(p.HTTPClient).Do(req)
	if err != nil {
		return Token{}, noToken(ctx, 0, err)
	}
	defer res.Body.Close()
	requestID := printable(res.Header.Get("X-Request-Id"), 100)
	body, err := readBody(res.Body, maxTokenBody)
	if err != nil && err != errTooLarge {
		fail := noToken(ctx, res.StatusCode, err)
		fail.RequestID = requestID
		return Token{}, fail
	}
	if res.StatusCode != http.StatusOK {
		fail := statusFailure(res, p.Shop, now).err
		explainRefusal(fail, body)
		fail.Op, fail.RequestID = opToken, requestID
		return Token{}, fail
	}
	token, fail := parseToken(body, now())
	if fail != nil {
		fail.Op, fail.StatusCode, fail.RequestID = opToken, res.StatusCode, requestID
		return Token{}, fail
	}
	return token, nil
}

func noToken(ctx context.Context, status int, err error) *Error {
	if ctx.Err() != nil {
		return &Error{Op: opToken, Kind: Canceled, Err: ctx.Err()}
	}
	return &Error{Op: opToken, Kind: Network, StatusCode: status, Err: networkCause(err)}
}

// refusals are the codes of the token endpoint. They come in the error field
// of a JSON object, or in the text of a web page.
var refusals = []struct {
	code string
	kind Kind
}{
	{"shop_not_permitted", NotPermitted},
	{"app_not_installed", NotInstalled},
	{"application_cannot_be_found", WrongClient},
	{"invalid_client", WrongClient},
	{"unauthorized_client", WrongClient},
	{"invalid_request", WrongClient},
}

// explainRefusal sets the kind of a refused exchange from its code; without a
// known one, 400 and 401 are about the client.
func explainRefusal(e *Error, body []byte) {
	if e.StatusCode < 400 || e.StatusCode >= 500 || e.Kind == Throttled {
		return
	}
	for _, r := range refusals {
		if strings.Contains(string(body), r.code) {
			e.Code, e.Kind = r.code, r.kind
			return
		}
	}
	if e.Kind == Unauthorized || e.Kind == InvalidQuery {
		e.Kind = WrongClient
	}
}

// parseToken reads the answer of the token endpoint.
func parseToken(body []byte, now time.Time) (Token, *Error) {
	var answer struct {
		AccessToken json.RawMessage `json:"access_token"`
		Scope       json.RawMessage `json:"scope"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return Token{}, &Error{Kind: BadResponse, Detail: "it is not a JSON object"}
	}
	var token Token
	if json.Unmarshal(answer.AccessToken, &token.Value) != nil || token.Value == "" {
		return Token{}, &Error{Kind: BadResponse, Detail: "it has no access_token"}
	}
	if !validToken(token.Value) {
		return Token{}, &Error{Kind: BadToken}
	}
	var scopes string
	_ = json.Unmarshal(answer.Scope, &scopes)
	for scope := range strings.SplitSeq(scopes, ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			token.Scopes = append(token.Scopes, scope)
		}
	}
	token.ExpiresAt = now.Add(lifetime(answer.ExpiresIn))
	return token, nil
}

// lifetime reads expires_in, in seconds.
func lifetime(raw json.RawMessage) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		return defaultLifetime
	}
	return time.Duration(min(seconds, maxLifetime.Seconds()) * float64(time.Second))
}

// validToken reports whether s may be sent in a header. Length and prefix are
// Shopify's business and have changed before.
func validToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
