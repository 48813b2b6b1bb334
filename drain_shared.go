package shopifysync

import (
	"context"
	"sync"
	"time"
)

// A lookupSize is how many customers of one connection to ask for by id at
// once. It grows until Shopify finds such a query too expensive, which it then
// remembers.
type lookupSize struct {
	mu   sync.Mutex
	size int     // 0: firstLookup
	most int     // 0: maxPage
	cost float64 // points that a query of that size needed; 0: not known
}

func (l *lookupSize) get() (size int, cost float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size == 0 {
		l.size, l.most = firstLookup, maxPage
	}
	return l.size, l.cost
}

// answered notes that Shopify answered for that many ids. Fewer than were
// allowed say nothing about more.
func (l *lookupSize) answered(ids int, cost float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ids >= l.size {
		l.cost = cost
		l.size = min(2*ids, l.most)
	}
}

// tooMany notes that Shopify found so many ids too expensive. One cannot be
// halved: then the error is the caller's.
func (l *lookupSize) tooMany(ids int) (halved bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ids <= 1 {
		return false
	}
	l.size = (ids + 1) / 2
	l.most = l.size
	return true
}

// blur is how uncertain the moment of a request is by Shopify's clock: Date has
// whole seconds, and is stamped up to another one before the answer's header
// arrives.
const blur = 2 * time.Second

// An answering makes the fetches that answer marks follow each other, and dates
// them. See the decision on observations within one second in docs/design.md.
type answering struct {
	turn chan struct{} // holds one while nobody answers
	last time.Time     // what was dated last
}

func newAnswering() answering {
	a := answering{turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	return a
}

// begin waits until nobody else answers marks; the caller then calls end.
func (a *answering) begin(ctx context.Context) error {
	if ctx.Err() == nil { // a turn that is there does not matter any more
		select {
		case <-a.turn:
			return nil
		case <-ctx.Done():
		}
	}
	return contextError(ctx)
}

func (a *answering) end() { a.turn <- struct{}{} }

// date dates an answer for marked customers by the latest moment at which it
// can have been asked for: not before any change that its marks tell of. Runs
// date by the earliest, so that a page read before the change can never replace
// it. It is also later than every date given before.
func (a *answering) date(earliest time.Time, elapsed time.Duration) time.Time {
	at := latest(earliest, elapsed).UTC().Truncate(time.Millisecond)
	if !at.After(a.last) {
		at = a.last.Add(time.Millisecond)
	}
	a.last = at
	return at
}

// latest is the latest moment, by Shopify's clock, at which a request can have
// been sent whose answer is dated by the earliest.
func latest(earliest time.Time, elapsed time.Duration) time.Time {
	return earliest.Add(min(elapsed+time.Second, blur))
}
