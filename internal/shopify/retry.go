package shopify

import (
	"math/rand/v2"
	"time"
)

const (
	// maxAttempts bounds the attempts that failed for another reason than
	// want of points.
	maxAttempts = 6
	// maxThrottled bounds the refusals for want of points: the bucket paces
	// them, and other programs may be using the same one.
	maxThrottled = 20
	// maxWaited bounds the waits between failed attempts, taken together.
	maxWaited = 5 * time.Minute
	// A Retry-After beyond maxRetryAfter is for the caller to wait for.
	maxRetryAfter = 2 * time.Minute

	minBackOff = 500 * time.Millisecond
	maxBackOff = 30 * time.Second
)

// retry says whether a failed attempt may be repeated.
type retry int

const (
	never          retry = iota
	atOnce               // with a new token
	byBucket             // when the bucket lets it through
	backOff              // after a pause: it certainly had no effect
	unlessMutation       // after a pause, if doing it twice does no harm
)

// retries counts what one operation has used up.
type retries struct {
	failed, throttled int
	waited            time.Duration
}

// next returns how long to wait before the next attempt, if there is one.
func (r *retries) next(op operation, fail *failure) (time.Duration, bool) {
	after := fail.err.RetryAfter
	switch fail.retry {
	case never:
		return 0, false
	case atOnce:
		return 0, true
	case byBucket:
		r.throttled++
		return 0, r.throttled < maxThrottled && after <= maxRetryAfter
	case unlessMutation:
		if op.mutation {
			return 0, false
		}
	}
	r.failed++
	if r.failed >= maxAttempts || after > maxRetryAfter {
		return 0, false
	}
	wait := after
	if wait == 0 {
		wait = pause(r.failed)
	}
	r.waited += wait
	return wait, r.waited <= maxWaited
}

// pause is an exponential back-off with full jitter: anything from half a
// second to a bound that doubles with each failure, up to half a minute.
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
func pause(failed int) time.Duration {
	bound := min(maxBackOff, minBackOff<<min(failed, 10))
	return minBackOff + rand.N(bound-minBackOff)
}
