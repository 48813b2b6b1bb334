package shopifysync

import (
	"container/heap"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// pollEvery is how often the state store is asked for marks that other
	// processes put; those of this process wake Serve at once.
	pollEvery = 500 * time.Millisecond
	// pollVolatileEvery is the same for a state store that lives and dies with
	// this process.
	pollVolatileEvery = 5 * time.Second
	// listEvery is how often connections are listed, and looked at one by one
	// unless there are more than 1,000: then each is looked at after lookCost
	// times their number.
	listEvery = 30 * time.Second
	lookCost  = 30 * time.Millisecond
	// drainSlice is how long one connection is drained before the next one's turn.
	drainSlice = 2 * time.Second
	// drainEnd is when a drain is cut off: its store does not answer, or hardly.
	// The next ones have up to four times as long, more than one request may
	// take, so that a slow store makes progress.
	drainEnd = 12 * time.Second
	// drainBesideRun is how long a backlog waits between slices while a full
	// run, which answers it more cheaply, is under way.
	drainBesideRun = 10 * time.Second

	listPage = 200
	duePage  = 1000
)

// Serve is the engine for hosts without one of their own. It works for every
// connection of the [ConnectionStore] until ctx ends:
//
//   - drains marks as they come, those of other processes within a second;
//   - catches up every 15 minutes ([WithCatchUpEvery]);
//   - checks each connection and repairs its webhook subscriptions every hour
//     ([WithCheckEvery]), and when something asks for it;
//   - syncs each store once a day, one of more than 100,000 customers once a
//     week, or when Shopify counts another number of customers than were seen,
//     which it asks daily ([WithFullEvery]). The first such run of a connection
//     that [Syncer.Connect] made comes a day after that: until then when to
//     sync is the merchant's choice. A run that was cut off is resumed soon;
//   - asks once an hour whether Shopify serves a connection again that it
//     refused, and then checks it and catches up;
//   - erases the contacts of connections that were disconnected or whose app was
//     uninstalled when their time has come ([WithRetention]), and what Shopify
//     asks to erase (shop/redact) once the store has left.
//
// Connections come and go while it works: a new one is noticed within 30
// seconds. Work is bounded by [WithServeLimits] and goes round: a large store
// does not keep small ones waiting, nor one that does not answer those that do.
// An error concerns its connection alone, which is tried again after 2 seconds,
// then ever later, at last every 5 minutes; errors are logged ([WithLogger]),
// [Syncer.Status] and the [Hooks] tell more. It is no error if the stores are
// out of order for a while.
//
// Any number of processes may serve the same connections: leases in the state
// store decide who works. When ctx ends Serve stops within seconds and returns
// nil; a run under way stays resumable. It returns an error only if it cannot
// begin: because New was not given a ConnectionStore, or because this Syncer
// serves already.
func (s *Syncer) Serve(ctx context.Context) error {
	conns, ok := s.conns.(ConnectionStore)
	if !ok {
		return errors.New("shopifysync: Serve must list the connections: give New a ConnectionStore, such as StaticConnections or sqlstore's Store, or call Drain, CatchUp, Check and Sync from your own scheduler")
	}
	if !s.serving.CompareAndSwap(false, true) {
		return errors.New("shopifysync: this Syncer serves already: one call of Serve works for all connections")
	}
	defer s.serving.Store(false)
	sv := &server{s: s, store: conns, conns: make(map[ConnectionID]*served), done: make(chan func())}
	sv.serve(ctx)
	return nil
}

// noteChanged tells Serve, if it runs in this process, that a connection is new
// or that its state asks for something to be done now.
func (s *Syncer) noteChanged(id ConnectionID) {
	s.mu.Lock()
	s.changed[id] = struct{}{}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// takeChanged returns the connections noted since the last call.
func (s *Syncer) takeChanged() []ConnectionID {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := slices.Collect(maps.Keys(s.changed))
	clear(s.changed)
	return changed
}

// A server is one call of Serve. Only the goroutine of that call touches its
// fields: work goes on elsewhere, and hands back a function that takes in what
// came of it.
type server struct {
	s     *Syncer
	store ConnectionStore
	conns map[ConnectionID]*served
	next  servedHeap

	done   chan func()
	active int // how many goroutines will yet send to done

	// In the order in which they fell due. Redrains are drains of connections
	// whose last one failed.
	drains, redrains, chores, runs                         []job
	drainsAtWork, redrainsAtWork, choresAtWork, runsAtWork int
	largeRuns                                              int
	asideNext, choreNext                                   bool // whose turn it is

	pollAt, listAt   time.Time
	polling, listing bool
	listAfter        ConnectionID
	round            int
	lookEvery        time.Duration
}

// A served is what a server knows of one connection.
type served struct {
	id       ConnectionID
	plan     plan
	marked   time.Time            // when marks are due to be drained; zero: none known
	hold     [workKinds]time.Time // not before: after an error, or when it was just done
	fails    [workKinds]int       // errors in a row
	busy     [workKinds]bool      // waiting for its turn, or at work
	running  bool                 // a run is at work
	forced   time.Time            // a run is wanted since then, whatever the plan says
	backlog  bool                 // drain, however many marks there are
	lookedAt time.Time
	round    int       // of the last listing that had it
	at       time.Time // when the first of its work is due; zero: none
	index    int       // in the heap; -1: not in it
}

// A job is one kind of work for one connection.
type job struct {
	c    *served
	kind workKind
}

func (sv *server) serve(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := sv.s.millis()
		sv.keepHouse(ctx, now)
		sv.enqueue(now)
		for sv.start(ctx) {
		}
		// States tell milliseconds: one more, and it is not too early.
		timer.Reset(max(sv.nextAt().Sub(sv.s.now()), 0) + time.Millisecond)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-sv.s.wake:
			sv.woken(ctx)
		case then := <-sv.done:
			sv.active--
			then()
		}
	}
	for ; sv.active > 0; sv.active-- {
		<-sv.done
	}
}

// spawn does work on a goroutine of its own, which ends before Serve does, and
// then what work returns on Serve's.
func (sv *server) spawn(ctx context.Context, work func(ctx context.Context) (then func())) {
	sv.active++
	go func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		sv.done <- work(ctx)
	}()
}

// nextAt is when there is something to do at the latest.
func (sv *server) nextAt() time.Time {
	at := sv.s.now().Add(listEvery)
	if !sv.listing && sv.listAt.Before(at) {
		at = sv.listAt
	}
	if !sv.polling && sv.pollAt.Before(at) {
		at = sv.pollAt
	}
	if len(sv.next) > 0 && sv.next[0].at.Before(at) {
		at = sv.next[0].at
	}
	return at
}

// keepHouse lists the connections, and asks which of them have marks, when the
// time has come.
func (sv *server) keepHouse(ctx context.Context, now time.Time) {
	if !sv.listing && !now.Before(sv.listAt) {
		sv.listing = true
		sv.listAfter = ""
		sv.round++
		sv.lookEvery = max(listEvery, time.Duration(len(sv.conns))*lookCost)
		sv.list(ctx)
	}
	if !sv.polling && !now.Before(sv.pollAt) {
		sv.polling = true
		sv.spawn(ctx, sv.poll)
	}
}

// list goes through the connections, a page at a time.
func (sv *server) list(ctx context.Context) {
	p := ListConnectionsParams{After: sv.listAfter, Limit: listPage}
	sv.spawn(ctx, func(work context.Context) func() {
		var ids []ConnectionID
		err := sv.s.protect(work, "list the connections", func() error {
			page, err := sv.store.ListConnections(work, p)
			if err != nil {
				return &hostError{doing: "list the connections", err: err}
			}
			for _, c := range page.Connections {
				ids = append(ids, c.ID)
			}
			return nil
		})
		return func() { sv.listed(ctx, ids, err) }
	})
}

func (sv *server) listed(ctx context.Context, ids []ConnectionID, err error) {
	now := sv.s.millis()
	if err != nil {
		sv.s.logger.WarnContext(ctx, "the connections were not listed; tried again soon", "error", err)
		sv.listing, sv.listAt = false, now.Add(5*time.Second)
		return
	}
	var look []ConnectionID
	for _, id := range ids {
		c := sv.conns[id]
		if c == nil {
			c = &served{id: id, index: -1}
			sv.conns[id] = c
		}
		c.round = sv.round
		// A look that is nearly due is not worth a round of its own.
		if c.lookedAt.IsZero() || now.Sub(c.lookedAt) >= sv.lookEvery-time.Second {
			look = append(look, id)
		}
	}
	more := len(ids) == listPage
	if more {
		sv.listAfter = ids[len(ids)-1]
	}
	sv.look(ctx, look, func() {
		if more {
			sv.list(ctx)
			return
		}
		for id, c := range sv.conns {
			if c.round != sv.round {
				sv.forget(id, c)
			}
		}
		sv.listing, sv.listAt = false, sv.s.millis().Add(listEvery)
	})
}

func (sv *server) forget(id ConnectionID, c *served) {
	delete(sv.conns, id)
	if c.index >= 0 {
		heap.Remove(&sv.next, c.index)
	}
}

// look plans the work for connections anew.
func (sv *server) look(ctx context.Context, ids []ConnectionID, then func()) {
	sv.spawn(ctx, func(work context.Context) func() {
		plans := make(map[ConnectionID]plan, len(ids))
		for _, id := range ids {
			p, err := sv.readPlan(work, id)
			if work.Err() != nil {
				break
			}
			if err != nil { // the next round looks again
				sv.s.logger.WarnContext(work, "the connection's state was not read", "connection", string(id), "error", err)
				continue
			}
			plans[id] = p
		}
		return func() {
			for id, p := range plans {
				if c := sv.conns[id]; c != nil {
					c.plan, c.lookedAt = p, sv.s.millis()
					sv.reschedule(c)
				}
			}
			then()
		}
	})
}

func (sv *server) readPlan(ctx context.Context, id ConnectionID) (p plan, err error) {
	err = sv.s.protect(ctx, "store: read the connection's state", func() error {
		st, err := sv.s.readState(ctx, id)
		if err != nil {
			return err
		}
		last, err := sv.s.state.Runs(ctx, RunsParams{Connection: id, Limit: 1})
		if err != nil {
			return storeError("read the runs", err)
		}
		var run *Run
		if len(last.Runs) > 0 {
			run = &last.Runs[0]
		}
		p = sv.s.planOf(&st, run, sv.s.millis())
		return nil
	})
	return p, err
}

// poll asks which connections have marks that are due.
func (sv *server) poll(ctx context.Context) func() {
	var due []ConnectionID
	err := sv.s.protect(ctx, "store: ask for due marks", func() error {
		for p := (DueConnectionsParams{DueBy: sv.s.millis(), Limit: duePage}); ; {
			page, err := sv.s.state.DueConnections(ctx, p)
			if err != nil {
				return storeError("ask for due marks", err)
			}
			due = append(due, page.Connections...)
			if len(page.Connections) < p.Limit {
				return nil
			}
			p.After = due[len(due)-1]
		}
	})
	return func() {
		every := pollEvery
		if sv.s.forgets() {
			every = pollVolatileEvery
		}
		if err != nil && ctx.Err() == nil {
			every = 5 * time.Second
			sv.s.logger.WarnContext(ctx, "marks were not asked for; tried again soon", "error", err)
		}
		now := sv.s.millis()
		sv.polling, sv.pollAt = false, now.Add(every)
		for _, id := range due {
			// What a drain at work leaves is there at the next poll.
			if c := sv.conns[id]; c != nil && !c.busy[workDrain] {
				sv.mark(id, now)
			}
		}
	}
}

// woken takes in what this process noted.
func (sv *server) woken(ctx context.Context) {
	now := sv.s.millis()
	for _, id := range sv.s.takeNoted() {
		sv.mark(id, now.Add(debounce))
	}
	look := sv.s.takeChanged()
	for _, id := range look {
		if sv.conns[id] == nil { // a new one
			sv.conns[id] = &served{id: id, index: -1, round: sv.round}
		}
	}
	if len(look) > 0 {
		sv.look(ctx, look, func() {})
	}
}

// mark has a connection's marks drained at that time.
func (sv *server) mark(id ConnectionID, at time.Time) {
	if c := sv.conns[id]; c != nil && (c.marked.IsZero() || at.Before(c.marked)) {
		c.marked = at
		sv.reschedule(c)
	}
}

// dueAt is when that kind of work is due; zero: not as far as is known, or it
// is under way.
func (c *served) dueAt(kind workKind) time.Time {
	at := c.plan.at[kind]
	switch {
	case c.busy[kind]:
		return time.Time{}
	case kind == workDrain && c.plan.drains:
		at = c.marked
	case kind == workRun && c.plan.drains && !c.forced.IsZero():
		at = c.forced
	}
	if !at.IsZero() && at.Before(c.hold[kind]) {
		return c.hold[kind]
	}
	return at
}

// reschedule finds out when the first of a connection's work is due.
func (sv *server) reschedule(c *served) {
	c.at = time.Time{}
	for kind := range workKinds {
		if at := c.dueAt(kind); !at.IsZero() && (c.at.IsZero() || at.Before(c.at)) {
			c.at = at
		}
	}
	switch {
	case sv.conns[c.id] != c: // forgotten
	case c.index < 0 && !c.at.IsZero():
		heap.Push(&sv.next, c)
	case c.index >= 0 && c.at.IsZero():
		heap.Remove(&sv.next, c.index)
	case c.index >= 0:
		heap.Fix(&sv.next, c.index)
	}
}

// enqueue lines up what is due.
func (sv *server) enqueue(now time.Time) {
	for len(sv.next) > 0 && !sv.next[0].at.After(now) {
		c := sv.next[0]
		for kind := range workKinds {
			if at := c.dueAt(kind); at.IsZero() || at.After(now) {
				continue
			}
			c.busy[kind] = true
			switch kind {
			case workDrain:
				c.marked = time.Time{} // what comes from now on is for another drain
				if c.fails[workDrain] > 0 {
					sv.redrains = append(sv.redrains, job{c, kind})
				} else {
					sv.drains = append(sv.drains, job{c, kind})
				}
			case workRun:
				sv.runs = append(sv.runs, job{c, kind})
			default:
				sv.chores = append(sv.chores, job{c, kind})
			}
		}
		sv.reschedule(c)
	}
}

// start begins the next job, if there is one and a place for it.
//
// Drains, redrains and chores share their places in turns. Redrains and chores
// get at most half of them each, and three quarters together: neither a thousand
// catch-ups that fall due at once nor stores that do not answer must hold up
// the webhooks of others. Likewise the runs of large stores leave a place.
func (sv *server) start(ctx context.Context) bool {
	limit := sv.s.drainsAtOnce
	half, most := max(1, limit/2), max(1, limit*3/4)
	if aside := sv.redrainsAtWork + sv.choresAtWork; sv.drainsAtWork+aside < limit {
		redrain := len(sv.redrains) > 0 && sv.redrainsAtWork < half && aside < most
		chore := len(sv.chores) > 0 && sv.choresAtWork < half && aside < most
		asidesTurn := sv.asideNext && (redrain || chore)
		switch {
		case len(sv.drains) > 0 && !asidesTurn:
			sv.asideNext = true
			return sv.begin(ctx, &sv.drains, 0, &sv.drainsAtWork)
		case chore && (sv.choreNext || !redrain):
			sv.asideNext, sv.choreNext = false, false
			return sv.begin(ctx, &sv.chores, 0, &sv.choresAtWork)
		case redrain:
			sv.asideNext, sv.choreNext = false, true
			return sv.begin(ctx, &sv.redrains, 0, &sv.redrainsAtWork)
		}
	}
	if sv.runsAtWork < sv.s.runsAtOnce {
		for i, j := range sv.runs {
			if !j.c.plan.large || sv.largeRuns < max(1, sv.s.runsAtOnce-1) {
				return sv.begin(ctx, &sv.runs, i, &sv.runsAtWork)
			}
		}
	}
	return false
}

// begin takes a job out of its queue and has it done.
func (sv *server) begin(ctx context.Context, queue *[]job, i int, atWork *int) bool {
	j := (*queue)[i]
	if i == 0 {
		*queue = (*queue)[1:]
	} else {
		*queue = append((*queue)[:i:i], (*queue)[i+1:]...)
	}
	c := j.c
	if sv.conns[c.id] != c { // forgotten
		return true
	}
	*atWork++
	large := j.kind == workRun && c.plan.large
	if large {
		sv.largeRuns++
	}
	if j.kind == workRun {
		c.running = true
	}
	asked := request{id: c.id, kind: j.kind, forced: c.forced, backlog: c.backlog, fails: c.fails[j.kind]}
	sv.spawn(ctx, func(ctx context.Context) func() {
		r := sv.do(ctx, asked)
		return func() {
			*atWork--
			if large {
				sv.largeRuns--
			}
			sv.finished(ctx, c, j.kind, r)
		}
	})
	return true
}

// finished takes in what came of a job.
func (sv *server) finished(ctx context.Context, c *served, kind workKind, r result) {
	now := sv.s.millis()
	c.busy[kind] = false
	if kind == workRun {
		c.running = false
	}
	if r.plan != nil {
		c.plan, c.lookedAt = *r.plan, now
		if c.plan.runAt.After(c.forced) { // a run ended since it was wanted
			c.forced = time.Time{}
		}
	}
	switch {
	case r.skipped:
		c.hold[kind] = now.Add(time.Second)
	case errors.Is(r.err, errBacklog):
		c.backlog, c.marked = true, now
		if c.forced.IsZero() {
			c.forced = now
		}
	case errors.Is(r.err, ErrSyncInProgress): // another process is at it
		wait := listEvery
		if kind == workDrain {
			wait = time.Second
			c.marked = now
		}
		c.hold[kind] = now.Add(jitter(wait))
	case r.err != nil:
		wait := backOff(c.fails[kind])
		if kind == workRun && errors.Is(r.err, ErrMassRemoval) { // somebody has to answer that
			wait = sv.s.fullEvery
		}
		c.fails[kind]++
		c.hold[kind] = now.Add(wait)
		if kind == workDrain {
			c.marked = now
		}
		if kind == workRun && r.plan != nil && !r.plan.due(workRun, now) { // not to be resumed
			c.forced = time.Time{}
		}
		if ctx.Err() == nil {
			sv.s.logger.WarnContext(ctx, "serving a connection failed; tried again later",
				"connection", string(c.id), "work", workNames[kind], "wait", wait.String(), "error", r.err)
		}
	default:
		c.fails[kind], c.hold[kind] = 0, now.Add(rests[kind])
		sv.succeeded(c, kind, r, now)
	}
	sv.reschedule(c)
}

func (sv *server) succeeded(c *served, kind workKind, r result, now time.Time) {
	switch {
	case kind == workDrain && r.more:
		c.marked = now
		if c.backlog && c.running {
			c.hold[workDrain] = now.Add(drainBesideRun)
		}
	case kind == workDrain:
		c.backlog = false
	case kind == workRun:
		c.backlog, c.forced = false, time.Time{}
	case kind == workCatchUp && r.more:
		sv.mark(c.id, now)
	case kind == workCount && r.more:
		c.forced = now
	}
}

// rests are how long work that succeeded is not repeated, even if its state
// says that it is due.
var rests = [workKinds]time.Duration{
	workCatchUp: 10 * time.Second, workCheck: 10 * time.Second, workCount: time.Minute,
	workErase: time.Hour, workRun: 10 * time.Minute,
}

const (
	backOffFirst = 2 * time.Second
	backOffLast  = 5 * time.Minute
)

// backOff is how long to wait after an error that so many preceded.
func backOff(before int) time.Duration {
	return jitter(min(backOffFirst<<min(before, 16), backOffLast))
}

// jitter takes up to a quarter off.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/4) }

// A servedHeap has the connection with the earliest work first.
type servedHeap []*served

func (h servedHeap) Len() int           { return len(h) }
func (h servedHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h servedHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements [heap.Interface].
func (h *servedHeap) Push(x any) {
	c := x.(*served)
	c.index = len(*h)
	*h = append(*h, c)
}

// Pop implements [heap.Interface].
func (h *servedHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	c.index = -1
	return c
}
