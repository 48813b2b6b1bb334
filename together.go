package shopifysync

import (
	"context"
	"sync"
)

// together puts calls that come while an earlier one is under way into one:
// a database commits a hundred rows as fast as one. Nobody works for others in
// the background: one of those who wait leads, and then hands the lead on. What
// a leader does begins after all of its group have come.
type together[T any] struct {
	mu      sync.Mutex
	leading bool      // somebody leads, or has the turn to
	next    *group[T] // those who come meanwhile; nil: nobody has
}

// A group is what becomes one call. Its work is written by the joining, then
// by its leader, and is only read once it is done.
type group[T any] struct {
	work  T
	turn  chan struct{} // holds one when one of this group is to lead
	done  chan struct{} // closed when all is done
	err   error
	again bool // the leader's own time was up: come once more
}

// do joins the next group, which add may add to under a lock, and returns it
// when lead has been called for it, by this call or another one's. A wait ends
// with its context and harms nobody else; an error is everybody's of the group.
// lead must not panic. It calls take when it is ready: so long others may join.
func (t *together[T]) do(ctx context.Context, add func(*T), lead func(take func() *T) error) (*T, error) {
	for {
		if ctx.Err() != nil {
			return nil, contextError(ctx)
		}
		g := t.join(add)
		select {
		case <-g.done:
		case <-g.turn:
			g.err = lead(t.take)
			g.again = g.err != nil && ctx.Err() != nil
			t.end(g)
		case <-ctx.Done():
			return nil, contextError(ctx)
		}
		if !g.again {
			return &g.work, g.err
		}
	}
}

func (t *together[T]) join(add func(*T)) *group[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next == nil {
		t.next = &group[T]{turn: make(chan struct{}, 1), done: make(chan struct{})}
		if !t.leading {
			t.leading = true
			t.next.turn <- struct{}{}
		}
	}
	add(&t.next.work)
	return t.next
}

// take closes the leader's group for those to come.
func (t *together[T]) take() *T {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.next
	t.next = nil
	return &g.work
}

// end gives the turn to the next group, then tells those of g. If all of the
// next have left, the turn waits for whoever joins it.
func (t *together[T]) end(g *group[T]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next == g { // the leader did not come so far as to take it
		t.next = nil
	}
	if t.next != nil {
		t.next.turn <- struct{}{}
	} else {
		t.leading = false
	}
	close(g.done)
}
