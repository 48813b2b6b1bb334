package shopifysync

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/omnichat/shopifysync/internal/shopify"
	"github.com/omnichat/shopifysync/internal/throttle"
)

// Webhooks come in bursts, and a database commits a hundred marks as fast as
// one. So of the deliveries of a connection one leads: it makes the store's call
// for all that came while the last one was under way. Nobody works for others
// in the background: the leader is a delivery itself, and hands the lead on.

// deliveries are those of one connection.
type deliveries struct {
	mu      sync.Mutex
	leading bool       // somebody leads, or has the turn to
	next    *gathering // what comes meanwhile; nil: nothing has
}

// A gathering is what is put into one call.
type gathering struct {
	marks []Mark
	ids   []CustomerID // to be fetched, too

	turn    chan struct{} // holds one when a delivery of this gathering is to lead
	done    chan struct{} // closed when all is done
	err     error
	again   bool                // the leader's time was up: come once more
	cleared map[CustomerID]bool // of ids: fetched and stored
}

// join adds to the gathering to come.
func (d *deliveries) join(marks []Mark, ids []CustomerID) *gathering {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next == nil {
		d.next = &gathering{turn: make(chan struct{}, 1), done: make(chan struct{})}
		if !d.leading {
			d.leading = true
			d.next.turn <- struct{}{}
		}
	}
	d.next.marks = append(d.next.marks, marks...)
	d.next.ids = append(d.next.ids, ids...)
	return d.next
}

// take closes the gathering for those to come.
func (d *deliveries) take() *gathering {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.next
	d.next = nil
	return g
}

// end tells those of g, and gives the turn to the next. If all of the next
// have left, the turn waits for whoever joins it.
func (d *deliveries) end(g *gathering) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next != nil {
		d.next.turn <- struct{}{}
	} else {
		d.leading = false
	}
	close(g.done)
}

// gather has marks put, and ids fetched, together with those of other
// deliveries. lead does it for all of them.
func (s *Syncer) gather(ctx context.Context, conn Connection, marks []Mark, ids []CustomerID) (*gathering, error) {
	d := &s.sharedOf(conn.ID).deliveries
	for {
		if ctx.Err() != nil {
			return nil, contextError(ctx)
		}
		g := d.join(marks, ids)
		select {
		case <-g.done:
		case <-g.turn:
			s.lead(ctx, conn, d)
		case <-ctx.Done():
			return nil, contextError(ctx)
		}
		if !g.again {
			return g, g.err
		}
	}
}

// window is how long a fetch waits for what arrives together.
const window = 30 * time.Millisecond

// lead does the work of the gathering to come.
func (s *Syncer) lead(ctx context.Context, conn Connection, d *deliveries) {
	if s.forgets() {
		_ = sleep(ctx, window) // if the context ends, so says the store
	}
	g := d.take()
	g.err = s.protect(ctx, "put marks", func() error { return s.settle(ctx, conn, g) })
	g.again = g.err != nil && ctx.Err() != nil
	d.end(g)
	if g.err != nil && !s.forgets() {
		return
	}
	s.noteMarked(conn.ID)
	if s.marked != nil && !s.forgets() {
		_ = s.protect(ctx, "tell of marks", func() error { s.marked(ctx, conn.ID); return nil })
	}
}

// settle puts a gathering's marks, and fetches what is to be fetched.
func (s *Syncer) settle(ctx context.Context, conn Connection, g *gathering) error {
	a := &access{conn: conn}
	var err error
	if a.state, err = s.readState(ctx, conn.ID); err != nil {
		return err
	}
	if a.state.Disconnected != nil {
		return ErrNotConnected
	}
	if len(g.marks) > 0 {
		if _, err := s.state.PutMarks(ctx, PutMarksParams{Connection: conn.ID, Marks: g.marks}); err != nil {
			return storeError("put marks", err)
		}
	}
	if len(g.ids) == 0 {
		return nil
	}
	if err := a.state.usable(); err != nil {
		return err
	}
	if err := a.paused(s.now()); err != nil {
		return err
	}
	return s.fetchGathered(ctx, a, g)
}

// putTogether puts marks that outlive the process.
func (s *Syncer) putTogether(ctx context.Context, conn Connection, marks []Mark) error {
	_, err := s.gather(ctx, conn, marks, nil)
	return err
}

// forgets reports whether marks die with the process, so that an acknowledged
// one could be lost.
func (s *Syncer) forgets() bool {
	v, ok := s.state.(interface{ Volatile() bool })
	return ok && v.Volatile()
}

// errNotYetShown: Shopify must send it again, for nothing else may remember.
var errNotYetShown = errors.New("the customer could not be fetched and stored as new as the webhook says: Shopify is to send it again")

// fetchNow marks customers, fetches and stores them. Shopify may be a moment
// behind its own webhooks, so it is asked twice.
func (s *Syncer) fetchNow(ctx context.Context, conn Connection, marks []Mark) error {
	ids := make([]CustomerID, len(marks))
	for i, m := range marks {
		ids[i] = m.CustomerID
	}
	for attempt := 0; ; attempt++ {
		g, err := s.gather(ctx, conn, marks, ids)
		if g != nil {
			ids = slices.DeleteFunc(ids, func(id CustomerID) bool { return g.cleared[id] })
		}
		switch {
		case len(ids) == 0:
			return nil
		case err != nil:
			return err
		case attempt > 0:
			return errNotYetShown
		}
		pause := retries[0]
		if end, ok := ctx.Deadline(); ok && time.Until(end) < pause+window {
			return errNotYetShown
		}
		if err := sleep(ctx, pause); err != nil {
			return contextError(ctx)
		}
		marks = nil // they are there
	}
}

// fetchGathered fetches the customers of a gathering, stores or removes them
// and clears their marks. It needs no lease: it commutes with a drain.
func (s *Syncer) fetchGathered(ctx context.Context, a *access, g *gathering) (err error) {
	d := &drain{writer: writer{s: s, conn: a.conn, touch: true}}
	if d.admin, err = s.admin(a.conn, throttle.Lookup); err != nil {
		return err
	}
	d.admin.shopID = a.state.ShopID
	marks, err := s.openMarks(ctx, a.conn.ID, g)
	if err != nil || len(marks) == 0 {
		return err
	}
	defer func() { s.settleHealth(ctx, a, err) }()
	if err := d.admin.confirmShop(ctx); err != nil {
		return err
	}
	for size := firstLookup; len(marks) > 0; {
		n := min(size, len(marks))
		fates, _, err := d.fetchMarked(ctx, d.admin, marks[:n])
		if isKind(err, shopify.MaxCost) && n > 1 {
			size = (n + 1) / 2
			continue
		}
		if err != nil {
			return err
		}
		for id := range fates.cleared {
			g.cleared[id] = true
		}
		marks = marks[n:]
	}
	return nil
}

// openMarks reads the marks of the customers to fetch, by their present
// generations. Who has none was fetched since by a drain.
func (s *Syncer) openMarks(ctx context.Context, id ConnectionID, g *gathering) ([]Mark, error) {
	slices.Sort(g.ids)
	g.ids = slices.Compact(g.ids)
	g.cleared = make(map[CustomerID]bool, len(g.ids))
	var marks []Mark
	for _, customer := range g.ids {
		got, err := s.state.Marks(ctx, MarksParams{Connection: id, After: customer - 1, Limit: 1})
		if err != nil {
			return nil, storeError("read the marks", err)
		}
		if len(got.Marks) == 1 && got.Marks[0].CustomerID == customer {
			marks = append(marks, got.Marks[0])
		} else {
			g.cleared[customer] = true
		}
	}
	return marks, nil
}
