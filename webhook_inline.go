package shopifysync

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/omnichat/shopifysync/internal/shopify"
	"github.com/omnichat/shopifysync/internal/throttle"
)

// A gathering is what the deliveries of a connection bring to one call.
type gathering struct {
	marks   []Mark              // to be put
	ids     []CustomerID        // to be fetched, too
	cleared map[CustomerID]bool // of ids: fetched and stored
}

// window is how long a fetch waits for what arrives together.
const window = 30 * time.Millisecond

// gather has marks put, and ids fetched, together with those of other
// deliveries.
func (s *Syncer) gather(ctx context.Context, conn Connection, marks []Mark, ids []CustomerID) (*gathering, error) {
	led := false
	g, err := s.sharedOf(conn.ID).deliveries.do(ctx,
		func(g *gathering) { g.marks, g.ids = append(g.marks, marks...), append(g.ids, ids...) },
		func(take func() *gathering) error {
			if s.forgets() {
				_ = sleep(ctx, window) // if the context ends, so says the store
			}
			led = true
			g := take()
			return s.protect(ctx, "put marks", func() error { return s.settle(ctx, conn, g) })
		})
	if led && (err == nil || s.forgets()) {
		s.tellOfMarks(ctx, conn.ID)
	}
	return g, err
}

// tellOfMarks wakes who fetches marked customers.
func (s *Syncer) tellOfMarks(ctx context.Context, id ConnectionID) {
	s.noteMarked(id)
	if s.marked != nil && !s.forgets() {
		_ = s.protect(ctx, "tell of marks", func() error { s.marked(ctx, id); return nil })
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
// and clears their marks. It needs no lease: the marks are this process's alone.
func (s *Syncer) fetchGathered(ctx context.Context, a *access, g *gathering) (err error) {
	d := &drain{writer: writer{s: s, conn: a.conn, touch: true, noLease: true}}
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
	lookups := &s.sharedOf(a.conn.ID).lookups
	for len(marks) > 0 {
		size, _ := lookups.get()
		n := min(size, len(marks))
		fates, _, err := d.fetchMarked(ctx, d.admin, marks[:n])
		if isKind(err, shopify.MaxCost) && lookups.tooMany(n) {
			continue
		}
		if err != nil {
			return err
		}
		lookups.answered(n, d.admin.cost)
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
