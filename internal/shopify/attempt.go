package shopify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/omnichat/shopifysync/internal/throttle"
)

// failure is an attempt that failed, and what may be done about it.
type failure struct {
	err   *Error
	retry retry
	held  time.Duration // for how long the bucket lets nobody through
}

// token is the access token of one MakeRequest.
type token struct {
	value    string
	rejected string
	refused  *failure // the answer to the rejected one
}

// attempt waits for points, sends the operation once, and accounts for it.
// With a failure there may be an answer too: data beside an error.
func (c *call) attempt(ctx context.Context, op operation, t *token) (*answer, *failure) {
	estimate := c.config.Costs.estimate(op)
	queued := c.config.Now()
	if err := c.config.Bucket.Wait(ctx, estimate, c.priority); err != nil {
		return nil, &failure{err: &Error{Op: op.name, Kind: Canceled, Err: err}}
	}
	waited := c.config.Now().Sub(queued)

	if fail := c.fetchToken(ctx, op, t); fail != nil {
		c.config.Bucket.Observe(throttle.Status{}, estimate, 0)
		return nil, fail
	}
	*c.meta = Meta{Attempts: c.meta.Attempts + 1}
	answer, fail := c.exchange(ctx, op, t.value)
	c.account(op, estimate, answer, fail)

	status := http.StatusOK
	if fail != nil {
		status = fail.err.StatusCode
	}
	c.config.Logger.DebugContext(ctx, "shopify: request", "op", op.name, "status", status,
		"attempt", c.meta.Attempts, "request_id", c.meta.RequestID,
		"requested", c.meta.Requested, "actual", c.meta.Actual, "wait", waited)

	if fail != nil && fail.err.Kind == Unauthorized && t.refused == nil {
		fail.retry = atOnce
		*t = token{rejected: t.value, refused: fail}
	}
	return answer, fail
}

// fetchToken makes sure that there is a token which was not refused yet.
func (c *call) fetchToken(ctx context.Context, op operation, t *token) *failure {
	if t.value != "" {
		return nil
	}
	value, err := c.config.Token(ctx, t.rejected)
	var typed *Error
	switch {
	case ctx.Err() != nil:
		return &failure{err: &Error{Op: op.name, Kind: Canceled, Err: ctx.Err()}}
	case errors.As(err, &typed):
		// Nothing of the operation was sent, so that trying again is always safe.
		fail := &failure{err: typed}
		if typed.Kind == Server || typed.Kind == Network || typed.Kind == Throttled {
			fail.retry = backOff
		}
		return fail
	case err != nil:
		return &failure{err: &Error{Op: op.name, Kind: NoToken, Err: err}}
	case !validToken(value):
		return &failure{err: &Error{Op: op.name, Kind: BadToken}}
	case value == t.rejected:
		return &failure{err: t.refused.err}
	}
	t.value = value
	return nil
}

// exchange sends the operation and reads the answer.
func (c *call) exchange(ctx context.Context, op operation, token string) (*answer, *failure) {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(attempt, http.MethodPost, c.endpoint, bytes.NewReader(op.body))
	if err != nil {
		return nil, &failure{err: c.failed(op, InvalidQuery, 0, err)}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.config.UserAgent)
	if err := setToken(req, c.config.Shop, token); err != nil {
		return nil, &failure{err: c.failed(op, BadToken, 0, err)}
	}

	start := c.config.Now()
	res, err := c.config.HTTPClient.Do(req)
	if err != nil {
		return nil, c.noAnswer(ctx, op, 0, err)
	}
	defer res.Body.Close()
	c.observe(res.Header, start, c.config.Now())

	if res.StatusCode != http.StatusOK {
		// The body is of use for its cost only.
		body, _ := readBody(res.Body, min(c.config.MaxBody, maxErrorBody))
		answer, _ := parseAnswer(body)
		fail := statusFailure(res, c.config.Shop, c.config.Now)
		fail.err.Op, fail.err.RequestID = op.name, c.meta.RequestID
		return answer.withoutData(), fail
	}
	body, err := readBody(res.Body, c.config.MaxBody)
	if errors.Is(err, errTooLarge) {
		fail := &failure{err: c.failed(op, BadResponse, res.StatusCode, nil)}
		fail.err.Detail = fmt.Sprintf("it is larger than %d bytes", c.config.MaxBody)
		return nil, fail
	}
	if err != nil {
		return nil, c.noAnswer(ctx, op, res.StatusCode, err)
	}
	answer, err := parseAnswer(body)
	if err != nil {
		fail := &failure{err: c.failed(op, BadResponse, res.StatusCode, nil)}
		fail.err.Detail = describeBody(res.Header, body)
		if isCut(err) {
			fail.retry = unlessMutation
		}
		return nil, fail
	}
	c.meta.SearchWarnings = answer.warnings
	fail := answer.failure()
	if fail != nil {
		fail.err.Op, fail.err.StatusCode, fail.err.RequestID = op.name, res.StatusCode, c.meta.RequestID
	}
	return answer, fail
}

// observe records what the headers say.
func (c *call) observe(h http.Header, sent, answered time.Time) {
	c.meta.ServedVersion = printable(h.Get("X-Shopify-API-Version"), 20)
	c.meta.DeprecatedReason = printable(h.Get("X-Shopify-API-Deprecated-Reason"), 300)
	c.meta.RequestID = printable(h.Get("X-Request-Id"), 100)
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		at = answered
	}
	c.meta.Elapsed = max(0, answered.Sub(sent))
	c.meta.ObservedAt = at.Add(-c.meta.Elapsed).UTC().Truncate(time.Millisecond)
}

// account settles the attempt with the bucket.
func (c *call) account(op operation, estimate float64, answer *answer, fail *failure) {
	var (
		bucket    = c.config.Bucket
		status    *throttle.Status
		requested = estimate
		actual    = estimate
		throttled = fail != nil && fail.retry == byBucket
	)
	if throttled {
		actual = 0
	}
	if answer != nil && answer.cost != nil {
		cost := answer.cost
		c.meta.Requested, c.meta.Actual = cost.requested, cost.actual
		status = cost.status
		if cost.requested > 0 {
			requested = cost.requested
			c.config.Costs.learn(op, requested)
		}
		if !throttled {
			actual = cost.actual
		}
	}
	if status == nil {
		bucket.Observe(throttle.Status{}, estimate, actual)
	} else {
		bucket.Observe(*status, estimate, actual)
	}
	if throttled {
		fail.held = bucket.Throttled(status, requested)
		if after := fail.err.RetryAfter; after <= maxRetryAfter {
			bucket.Hold(after)
			fail.held = max(fail.held, after)
		}
	}
}

// noAnswer is a request without a complete answer. It may have had its effect,
// unless no connection was made.
func (c *call) noAnswer(ctx context.Context, op operation, status int, err error) *failure {
	if ctx.Err() != nil {
		return &failure{err: c.failed(op, Canceled, 0, ctx.Err())}
	}
	err = networkCause(err)
	fail := &failure{err: c.failed(op, Network, status, err), retry: unlessMutation}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		fail.retry = backOff
	}
	return fail
}

// networkCause is what went wrong with a request whose caller still waits: the
// errors of the attempt's own context must not be taken for the caller's.
func networkCause(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errTimeout
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err // its operation and URL say nothing new
	}
	return err
}

var errTimeout = fmt.Errorf("no answer within %v", attemptTimeout)

func (c *call) failed(op operation, kind Kind, status int, cause error) *Error {
	return &Error{Op: op.name, Kind: kind, StatusCode: status, RequestID: c.meta.RequestID, Err: cause}
}

// maxErrorBody is as much as is read of an answer that is an error.
const maxErrorBody = 1 << 20

var errTooLarge = errors.New("too large")

// readBody reads at most limit bytes. They are counted after decompression:
// gzip expands a thousandfold.
func readBody(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(body)) > limit {
		return nil, errTooLarge
	}
	return body, err
}
