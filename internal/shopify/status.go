package shopify

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// statusFailure explains an HTTP status other than 200
// (https://shopify.dev/docs/api/usage/response-codes).
func statusFailure(res *http.Response, shop string, now func() time.Time) *failure {
	e := &Error{StatusCode: res.StatusCode, RetryAfter: retryAfter(res.Header, now)}
	fail := &failure{err: e}
	switch s := res.StatusCode; {
	case s >= 300 && s < 400:
		e.Kind = Moved
		e.Detail = movedTo(res.Header.Get("Location"), shop)
	case s == http.StatusUnauthorized:
		e.Kind = Unauthorized
	case s == http.StatusPaymentRequired:
		e.Kind = Frozen
	case s == http.StatusForbidden:
		e.Kind = Forbidden
	case s == http.StatusNotFound:
		e.Kind = NotFound
	case s == http.StatusLocked:
		e.Kind = Locked
	case s == http.StatusTooManyRequests:
		e.Kind, fail.retry = Throttled, byBucket
	case s == statusSecurityRejection:
		e.Kind = Rejected
	case s == http.StatusServiceUnavailable && e.RetryAfter > 0:
		e.Kind, fail.retry = Server, backOff // it was not taken on
	case s >= 500 && s != http.StatusNotImplemented:
		e.Kind, fail.retry = Server, unlessMutation
	case s >= 500:
		e.Kind = Server
	case s >= 400:
		e.Kind = InvalidQuery
	default:
		e.Kind = BadResponse
	}
	return fail
}

const statusSecurityRejection = 430

// movedTo returns the host of a redirect if it is another store's.
func movedTo(location, shop string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	if host := strings.ToLower(u.Host); ValidHost(host) && host != shop {
		return host
	}
	return ""
}

// retryAfter reads Retry-After: seconds, which Shopify also sends with a
// fraction ("2.0"), or a date (RFC 9110, section 10.2.3).
func retryAfter(h http.Header, now func() time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if math.IsNaN(seconds) || seconds <= 0 {
			return 0
		}
		const day = 24 * time.Hour
		return time.Duration(min(seconds, day.Seconds()) * float64(time.Second))
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	sent, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		sent = now()
	}
	return max(0, at.Sub(sent))
}

// printable returns s cut to limit, or nothing if it is not plain text.
func printable(s string, limit int) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return ""
		}
	}
	return s[:min(len(s), limit)]
}
