package shopify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"

	"github.com/omnichat/shopifysync/internal/throttle"
)

const (
	defaultMaxBody   = 32 << 20
	defaultUserAgent = "shopifysync"

	// attemptTimeout bounds one request with its answer. Shopify itself gives
	// up after 10 s (504).
	attemptTimeout = 30 * time.Second

	tokenHeader = "X-Shopify-Access-Token"
)

var versionPattern = regexp.MustCompile(`^(unstable|[0-9]{4}-[0-9]{2})$`)

// Config is what a Client needs of one connection.
type Config struct {
	// Shop is the store's exact host, such as "demo.myshopify.com".
	Shop string
	// Version is the API version asked for, such as "2024-04".
	Version string
	// HTTPClient is copied, and never follows a redirect. Default:
	// http.DefaultTransport, with 30 seconds for each attempt.
	HTTPClient *http.Client
	// Token returns the access token. After Shopify refused one it is asked
	// once more, with the refused one; the same again, or an error, ends it.
	Token func(ctx context.Context, rejected string) (string, error)
	// Bucket is the store's cost budget. Clients of the same app and store share it.
	Bucket *throttle.Bucket
	// Costs are what operations were said to cost so far; clients that share a
	// Bucket may share them. Default: nothing is known.
	Costs *Costs
	// Logger gets one line per attempt, without anything secret or personal. Default: none.
	Logger *slog.Logger
	// UserAgent defaults to "shopifysync".
	UserAgent string
	// Now defaults to time.Now.
	Now func() time.Time
	// MaxBody caps an answer after decompression, in bytes. Default: 32 MiB.
	MaxBody int64
	// Edit, if set, rewrites an operation's text before it is sent.
	Edit func(query string) string
}

// Client sends operations to one store. It is safe for concurrent use.
type Client struct {
	config   Config
	endpoint string
}

// New checks the configuration.
func New(c Config) (*Client, error) {
	switch {
	case !ValidHost(c.Shop):
		return nil, errors.New("shopify: Shop must be a host of the form name.myshopify.com")
	case !versionPattern.MatchString(c.Version):
		return nil, errors.New(`shopify: Version must have the form "2024-04"`)
	case c.Token == nil:
		return nil, errors.New("shopify: Token is missing")
	case c.Bucket == nil:
		return nil, errors.New("shopify: Bucket is missing")
	case c.MaxBody < 0:
		return nil, errors.New("shopify: MaxBody is negative")
	}
	c.HTTPClient = withoutRedirects(c.HTTPClient)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	c.UserAgent = cmp.Or(c.UserAgent, defaultUserAgent)
	c.MaxBody = cmp.Or(c.MaxBody, defaultMaxBody)
	if c.Costs == nil {
		c.Costs = new(Costs)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Client{
		config:   c,
		endpoint: "https://" + c.Shop + "/admin/api/" + c.Version + "/graphql.json",
	}, nil
}

// withoutRedirects copies h. net/http copies a header such as
// X-Shopify-Access-Token to whatever host a redirect names.
func withoutRedirects(h *http.Client) *http.Client {
	var own http.Client
	if h != nil {
		own = *h
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// Meta is what an answer says beside its data.
type Meta struct {
	// ServedVersion is the API version that really answered (X-Shopify-API-Version).
	ServedVersion string
	// DeprecatedReason is X-Shopify-API-Deprecated-Reason.
	DeprecatedReason string
	// RequestID is X-Request-Id, for Shopify support.
	RequestID string
	// ObservedAt is a time, by Shopify's clock, at which the data was
	// certainly not read yet: the answer's Date minus the attempt's elapsed
	// time. UTC, whole milliseconds. Without a Date it is by our own clock.
	ObservedAt time.Time
	// Elapsed is how long the last attempt took: what was taken off Date.
	Elapsed time.Duration
	// Requested and Actual are the query's cost in points.
	Requested, Actual float64
	// FieldErrors are the fields that were refused within data that is otherwise good.
	FieldErrors []FieldError
	// SearchWarnings are the parts of a search that Shopify ignored, as
	// "field code": the answer then holds more than was asked for.
	SearchWarnings []string
	// Attempts is the number of requests that were sent.
	Attempts int
}

// FieldError is a field that Shopify refused: it is null, and that is not its value.
type FieldError struct {
	Path    []any // string for a field, int for an index
	Code    string
	Message string // Shopify's text
}

// Call returns a client for the operations of one caller: it records what the
// last answer said into m, at any outcome. It must not be shared between
// goroutines; the Client may.
func (c *Client) Call(m *Meta, p throttle.Priority) graphql.Client {
	if m == nil {
		m = new(Meta)
	}
	return &call{Client: c, meta: m, priority: p}
}

type call struct {
	*Client
	meta     *Meta
	priority throttle.Priority
}

// operation is one request, ready to be sent any number of times.
type operation struct {
	name     string
	body     []byte
	mutation bool
	size     int // records asked for at once, 0 if the operation has no size
}

func (c *call) prepare(req *graphql.Request) (operation, error) {
	edited := *req
	if c.config.Edit != nil {
		edited.Query = c.config.Edit(edited.Query)
	}
	body, err := json.Marshal(&edited)
	if err != nil {
		return operation{}, err
	}
	return operation{
		name:     req.OpName,
		body:     body,
		mutation: strings.HasPrefix(strings.TrimSpace(edited.Query), "mutation"),
		size:     sizeOf(body),
	}, nil
}

// MakeRequest implements [graphql.Client]. Every error is an *Error. Data is
// decoded into resp.Data whenever there is any, also beside an error. Fields
// refused within good data are no error: see [Meta].FieldErrors.
func (c *call) MakeRequest(ctx context.Context, req *graphql.Request, resp *graphql.Response) error {
	*c.meta = Meta{}
	op, err := c.prepare(req)
	if err != nil {
		return &Error{Op: req.OpName, Kind: InvalidQuery, Err: err, Detail: "its variables cannot be encoded"}
	}
	var (
		retries retries
		token   token
	)
	for {
		answer, fail := c.attempt(ctx, op, &token)
		if fail == nil {
			return c.finish(op, answer, nil, resp)
		}
		wait, again := retries.next(op, fail)
		if !again {
			return c.finish(op, answer, fail.err, resp)
		}
		c.config.Logger.WarnContext(ctx, "shopify: trying again", "op", op.name, "reason", fail.err.Kind.String(),
			"status", fail.err.StatusCode, "code", fail.err.Code, "attempt", c.meta.Attempts,
			"request_id", fail.err.RequestID, "wait", max(wait, fail.held))
		if err := sleep(ctx, wait); err != nil {
			return &Error{Op: op.name, Kind: Canceled, Err: err}
		}
	}
}

// finish decodes the data of the last attempt, and of no other: decoding twice
// into one value would mix the two.
func (c *call) finish(op operation, answer *answer, failed *Error, resp *graphql.Response) error {
	var decoded error
	if answer.hasData() {
		c.meta.FieldErrors = answer.fieldErrors()
		decoded = decodeData(answer.data, resp.Data)
	}
	switch {
	case failed != nil:
		return failed
	case decoded != nil:
		return &Error{Op: op.name, Kind: BadResponse, StatusCode: http.StatusOK, RequestID: c.meta.RequestID, Err: decoded}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// setToken puts the access token on a request, if it goes to the store itself
// and cannot be read on the way.
func setToken(req *http.Request, shop, token string) error {
	if req.URL.Scheme != "https" || req.URL.Host != shop {
		return fmt.Errorf("shopify: the access token is for https://%s only", shop)
	}
	req.Header.Set(tokenHeader, token)
	return nil
}
