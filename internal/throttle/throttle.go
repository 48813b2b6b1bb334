// Package throttle keeps requests within a store's budget of query points: it
// waits before a request instead of being refused after it.
//
// Shopify counts points in a leaky bucket per app and store. A query needs its
// requested cost in the bucket when it arrives, and gets back what it did not
// use (https://shopify.dev/docs/api/usage/limits).
package throttle

import (
	"container/list"
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Priority orders those who wait for points. Within one priority the first to
// come is the first to go.
type Priority int

const (
	// Run is a full run or a catch-up. It leaves a tenth of the bucket to
	// Lookup and goes after every Lookup that waits.
	Run Priority = iota
	// Lookup is what somebody waits for: a drain, or a single read. It may
	// use the whole bucket.
	Lookup

	priorities int = iota
)

// Status is the throttleStatus of an answer, in points and points a second.
// The zero Status is unknown.
type Status struct{ Maximum, Available, RestoreRate float64 }

const (
	// The Standard plan, which is also the slowest:
	// https://shopify.dev/docs/api/usage/limits.
	startMaximum     = 2000
	startRestoreRate = 100

	// reserved is the share of the bucket that Run leaves alone.
	reserved = 0.1

	// A wait is planned anew after maxSleep at the latest, and minSleep keeps
	// a rounding error from turning it into a busy loop.
	maxSleep = time.Second
	minSleep = time.Millisecond

	// After THROTTLED Shopify recommends to back off for a second. Longer
	// than maxHold nobody is stopped by one such answer: who asks again too
	// early is told so.
	minHold = time.Second
	maxHold = 2 * time.Minute

	// Maxima and rates outside of these bounds are mistakes, not plans.
	minPlausible = 1
	maxPlausible = 1e6
)

// Bucket is the budget of one store, shared by all who send requests to it.
// It is safe for concurrent use and starts no goroutine.
type Bucket struct {
	mu       sync.Mutex
	limiter  *rate.Limiter
	maximum  float64 // whole points
	rate     float64
	held     time.Time             // nobody goes before
	waiting  [priorities]list.List // one element per waiter, oldest first
	inFlight list.List             // of *flight, oldest first
	changed  chan struct{}         // closed and replaced whenever a waiter may have to plan anew
}

// flight is a request that took its points and was not answered yet.
type flight struct {
	estimated float64
	taken     float64
	meanwhile float64 // points of the requests that were answered since it left
}

// New returns a full bucket of the smallest plan, 2000 points and 100 a
// second; the first answer corrects it.
func New() *Bucket {
	b := &Bucket{maximum: startMaximum, rate: startRestoreRate, changed: make(chan struct{})}
	b.setLevel(startMaximum)
	return b
}

// Wait blocks until cost points are there and it is the caller's turn, and
// takes them. Every Wait that returns nil must be followed by one Observe with
// the same cost. More than the bucket can ever hold goes when it is full. The
// error is that of ctx, which ends the wait at once.
func (b *Bucket) Wait(ctx context.Context, cost float64, p Priority) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	cost = points(cost)

	b.mu.Lock()
	turn := b.waiting[p].PushBack(nil)
	for {
		wait := b.plan(turn, cost, p)
		if wait == 0 {
			b.leave(turn, p)
			b.take(cost)
			b.mu.Unlock()
			return nil
		}
		changed := b.changed
		b.mu.Unlock()

		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()

		b.mu.Lock()
		if err := ctx.Err(); err != nil {
			b.leave(turn, p)
			b.mu.Unlock()
			return err
		}
	}
}

// Observe ends a request: estimated is the cost given to Wait, s what Shopify
// says of the bucket, and actual the cost charged. Shopify's figure replaces
// our own, whether it is higher or lower: other programs may use the same
// bucket. Without one (the zero Status: no answer, or none with a cost) what
// was not charged is put back: pass estimated as actual if that is unknown.
func (b *Bucket) Observe(s Status, estimated, actual float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	estimated, actual = points(estimated), points(actual)
	f := b.land(estimated, actual)

	if plausible(s.RestoreRate) {
		b.rate = s.RestoreRate
	}
	if !plausible(s.Maximum) || math.IsNaN(s.Available) {
		b.setLevel(b.level() + f.taken - min(actual, b.maximum))
		return
	}
	b.maximum = math.Floor(s.Maximum)

	// Whether Shopify had counted a request that was under way at the same
	// time is not known, so it is taken off once more. This errs by a few
	// requests on the safe side, and the next answer starts from new.
	level := s.Available - f.meanwhile
	for e := b.inFlight.Front(); e != nil; e = e.Next() {
		level -= e.Value.(*flight).taken
	}
	b.setLevel(level)
}

// Throttled stops everybody after Shopify refused a request for want of
// points, and returns for how long: until requested points should be there, at
// least a second, because THROTTLED also comes while points are left. s may be
// nil when Shopify did not say; the bucket then counts as empty. It is called
// beside Observe, not instead of it, and the refused request should Wait
// again at once, to keep its place.
func (b *Bucket) Throttled(s *Status, requested float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	available := 0.0
	if s != nil && !math.IsNaN(s.Available) {
		available = s.Available
	}
	b.setLevel(min(b.level(), available))
	missing := min(points(requested), b.maximum) - available
	return b.hold(clampDuration(b.duration(missing), minHold, maxHold))
}

// Hold stops everybody for d, at most two minutes: Retry-After.
func (b *Bucket) Hold(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hold(clampDuration(d, 0, maxHold))
}

func (b *Bucket) hold(d time.Duration) time.Duration {
	if until := time.Now().Add(d); until.After(b.held) {
		b.held = until
	}
	return d
}

// RestoreRate returns the points restored each second.
func (b *Bucket) RestoreRate() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rate
}

// plan returns how long the waiter should sleep before it plans again; zero
// means that it may go.
func (b *Bucket) plan(turn *list.Element, cost float64, p Priority) time.Duration {
	if !b.first(turn, p) {
		return maxSleep
	}
	need := cost
	if p == Run {
		need += reserved * b.maximum
	}
	need = min(need, b.maximum)
	wait := max(time.Until(b.held), b.duration(need-b.level()))
	if wait <= 0 {
		return 0
	}
	return clampDuration(wait, minSleep, maxSleep)
}

// first reports whether nobody is ahead of turn.
func (b *Bucket) first(turn *list.Element, p Priority) bool {
	for q := p + 1; int(q) < priorities; q++ {
		if b.waiting[q].Len() > 0 {
			return false
		}
	}
	return b.waiting[p].Front() == turn
}

func (b *Bucket) leave(turn *list.Element, p Priority) {
	b.waiting[p].Remove(turn)
	b.wake()
}

func (b *Bucket) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *Bucket) take(cost float64) {
	taken := min(cost, b.maximum)
	b.inFlight.PushBack(&flight{estimated: cost, taken: taken})
	b.limiter.ReserveN(time.Now(), int(taken))
}

// land takes the oldest request of that estimate out of those in flight:
// between equal ones it does not matter which, and the oldest errs on the
// safe side.
func (b *Bucket) land(estimated, actual float64) flight {
	var landed flight
	for e := b.inFlight.Front(); e != nil; e = e.Next() {
		if f := e.Value.(*flight); f.estimated == estimated {
			landed = *f
			b.inFlight.Remove(e)
			break
		}
	}
	for e := b.inFlight.Front(); e != nil; e = e.Next() {
		e.Value.(*flight).meanwhile += actual
	}
	return landed
}

func (b *Bucket) level() float64 { return b.limiter.Tokens() }

// setLevel makes the level exactly that, rounded down to a whole point; it may
// be below zero. A rate.Limiter cannot be told its level: a new one is full,
// and reserving burns it down. Reserving takes at most a full bucket at a
// time, hence the loop, and the floor of one bucket's debt bounds it.
func (b *Bucket) setLevel(level float64) {
	level = max(min(level, b.maximum), -b.maximum)
	size := int(b.maximum)
	b.limiter = rate.NewLimiter(rate.Limit(b.rate), size)
	now := time.Now()
	for burn := int(math.Ceil(b.maximum - level)); burn > 0; burn -= size {
		b.limiter.ReserveN(now, min(burn, size))
	}
	b.wake()
}

// duration is the time in which that many points are restored.
func (b *Bucket) duration(points float64) time.Duration {
	if points <= 0 {
		return 0
	}
	// Rounded up, so that the points are really there afterwards.
	return time.Duration(math.Ceil(points / b.rate * float64(time.Second)))
}

// points makes a cost of any number.
func points(cost float64) float64 {
	if math.IsNaN(cost) || cost < 0 {
		return 0
	}
	return math.Ceil(min(cost, maxPlausible))
}

func plausible(f float64) bool { return f >= minPlausible && f <= maxPlausible }

func clampDuration(d, low, high time.Duration) time.Duration { return max(low, min(d, high)) }
