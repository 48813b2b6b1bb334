package shopifysync_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

var (
	historySeeds = flag.Uint64("history.seeds", 300, "how many random histories TestHistories tries")
	historyFirst = flag.Uint64("history.first", 0, "the seed of the first one")
)

// direct answers requests by calling the fake itself: a fifth of what TLS and
// HTTP cost, which thousands of histories do not need.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (res *http.Response, err error) {
	in := r.Clone(r.Context())
	in.Host, in.RequestURI = r.URL.Host, r.URL.RequestURI()
	w := httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil { // the fake ends the connection so
			res, err = nil, context.Cause(r.Context())
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
		}
	}()
	d.handler.ServeHTTP(w, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// newDirectWorld returns a world without a network.
func newDirectWorld(t *testing.T) *world {
	w := newWorld(t, 0)
	w.client = &http.Client{Transport: direct{w.server.Handler()}}
	return w
}

func (w *world) put(ev shopifysync.Event, now time.Time) {
	p := shopifysync.PutMarksParams{Connection: connID}
	for _, id := range ev.Customers {
		m := shopifysync.Mark{
			Connection: connID, CustomerID: id, Reason: ev.Topic, Floor: ev.UpdatedAt,
			NotBefore: now.Add(500 * time.Millisecond).UTC().Truncate(time.Millisecond),
		}
		if id != ev.MergedInto {
			m.MergedInto = ev.MergedInto
		}
		p.Marks = append(p.Marks, m)
	}
	if _, err := w.store.PutMarks(context.Background(), p); err != nil {
		w.t.Error(err)
	}
}

// event returns what the fake would send now.
func (w *world) event(topic string, ids ...int64) shopifysync.Event {
	w.t.Helper()
	r, err := w.shop.Delivery(topic, ids...)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	ev, err := shopifysync.ParseWebhook(r.Header, body, shopifysync.NewSecret(w.shop.Config().ClientSecret))
	if err != nil {
		w.t.Fatal(err)
	}
	return ev
}

// mustMirror checks that contacts and customers are the same, field by field.
func (w *world) mustMirror(when string) {
	w.t.Helper()
	got := w.contacts()
	live := 0
	for c := range w.shop.All() {
		contact, ok := got[shopifysync.CustomerID(c.ID)]
		if redacted(c) {
			if ok {
				w.t.Errorf("%s: customer %d is redacted, and a contact", when, c.ID)
			}
			continue
		}
		live++
		if !ok {
			w.t.Errorf("%s: customer %d is no contact", when, c.ID)
			continue
		}
		if diff := unlike(contact, c); diff != "" {
			w.t.Errorf("%s: customer %d: %s differs:\n%+v\n%+v", when, c.ID, diff, c, contact)
		}
	}
	if len(got) != live {
		w.t.Errorf("%s: %d contacts for %d customers", when, len(got), live)
	}
}

// unlike names a field in which the contact is not the customer.
func unlike(contact shopifysync.Contact, c shopifytest.Customer) string {
	switch {
	case contact.FirstName != c.FirstName || contact.LastName != c.LastName:
		return "name"
	case contact.Email != c.Email:
		return "email"
	case !slices.Equal(contact.Tags, sorted(c.Tags)):
		return "tags"
	case attribute(contact, shopifysync.AttrNote).Text != c.Note:
		return "note"
	case attribute(contact, shopifysync.AttrOrdersCount).Number != fmt.Sprint(c.NumberOfOrders):
		return "orders"
	case c.EmailConsent != nil && string(attribute(contact, shopifysync.AttrEmailConsent).Consent.State) != c.EmailConsent.State:
		return "consent"
	case !contact.Version.UpdatedAt.Equal(c.UpdatedAt):
		return "updated at"
	}
	return ""
}

// TestHistories tries random histories of a small store in real time: customers
// are created, changed within a second, tagged, merged, deleted and redacted,
// while webhooks come late, twice, in any order, or not at all, with the body
// that they had at first; while drains, catch-ups and runs of two processes,
// whose clocks are wrong, go on side by side, fail and are killed.
//
// If no webhook was lost, drains alone make contacts and customers the same. In
// any case one more run does. Who was redacted stays gone.
//
// A failing history is repeated by -history.first=<seed> -history.seeds=1.
func TestHistories(t *testing.T) {
	var mu sync.Mutex
	tried := map[string]int{}
	t.Cleanup(func() {
		t.Logf("seeds %d to %d: %v", *historyFirst, *historyFirst+*historySeeds-1, tried)
		for _, what := range []string{"drained", "lost", "late", "run", "catch-up", "drain", "killed", "fault", "stale index", "redact", "merge", "delete"} {
			if tried[what] == 0 && *historySeeds >= 100 {
				t.Errorf("no history had this: %s", what)
			}
		}
	})
	const group = 25 // subtests cost, too
	for first := *historyFirst; first < *historyFirst+*historySeeds; first += group {
		t.Run(fmt.Sprint("seeds from ", first), func(t *testing.T) {
			t.Parallel()
			for seed := first; seed < min(first+group, *historyFirst+*historySeeds) && !t.Failed(); seed++ {
				synctest.Test(t, func(t *testing.T) {
					h := newHistory(t, seed)
					defer h.server.Close()
					h.play()
					mu.Lock()
					defer mu.Unlock()
					for what, n := range h.tried {
						tried[what] += n
					}
				})
				if t.Failed() {
					t.Logf("that was seed %d: -history.first=%d -history.seeds=1", seed, seed)
				}
			}
		})
	}
}

// A history is a world in which things happen at random.
type history struct {
	*world
	random *rand.Rand
	lossy  bool           // webhooks are lost
	dense  bool           // one customer, and all at once
	ids    []int64        // customers that there were
	gone   map[int64]bool // redacted
	queue  []delivery     // in the order in which they are due
	procs  [2]*process    // that share the stores
	tried  map[string]int // guarded by mu
	mu     sync.Mutex
}

// A delivery is a webhook under way.
type delivery struct {
	due time.Time
	ev  shopifysync.Event
}

// A process is one of the host's.
type process struct {
	h      *history
	skew   time.Duration
	mortal *mortalStore
	syncer *shopifysync.Syncer
}

func newHistory(t *testing.T, seed uint64) *history {
	random := rand.New(rand.NewPCG(seed, 4))
	h := &history{
		world: newDirectWorld(t), random: random, lossy: random.IntN(3) == 0, dense: random.IntN(3) == 0,
		gone: map[int64]bool{}, tried: map[string]int{},
	}
	most := int64(time.Duration(1+random.IntN(1500)) * time.Millisecond)
	h.client.Transport = lag{h.client.Transport, func() time.Duration { // no request takes as long as another
		return time.Duration(rand.New(rand.NewPCG(seed, uint64(time.Now().UnixNano()))).Int64N(most))
	}}
	h.shop.Configure(func(c *shopifytest.StoreConfig) {
		c.Latency = time.Duration(random.Int64N(int64(200 * time.Millisecond)))
		c.BulkSpeed = 50
		if random.IntN(4) == 0 {
			c.IndexLag = time.Duration(random.Int64N(int64(30 * time.Minute)))
			h.tried["stale index"]++
		}
	})
	for i := range h.procs {
		h.procs[i] = &process{h: h, skew: time.Duration(random.Int64N(int64(20*time.Minute))) - 10*time.Minute}
		h.procs[i].start()
	}
	customers := 1 + random.IntN(4)
	if h.dense {
		customers = 1
	}
	for range customers {
		h.create()
	}
	return h
}

func (h *history) note(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tried[what]++
}

func (h *history) between(low, high time.Duration) time.Duration {
	return low + time.Duration(h.random.Int64N(int64(high-low+1)))
}

// start starts the process anew, after a kill too.
func (p *process) start() {
	p.mortal = &mortalStore{MemoryStore: p.h.store}
	p.mortal.left.Store(1 << 40)
	slow := &slowStore{ContactStore: p.mortal, delay: p.h.between(0, 700*time.Millisecond)}
	if p.h.dense {
		slow.delay = 0
		if p == p.h.procs[0] {
			slow.delay = p.h.between(time.Second, 4*time.Second)
		}
	}
	p.syncer = p.h.syncerOn(slow, shopifysync.WithStateStore(p.mortal),
		shopifysync.WithClock(func() time.Time { return time.Now().Add(p.skew) }),
		shopifysync.WithBulkThreshold(1+p.h.random.Int64N(6)), shopifysync.WithLeaseTTL(5*time.Second))
}

// work does what the host's process does all the time, until ctx ends. The
// random numbers are the worker's own: histories can be repeated.
func (p *process) work(ctx, jobs context.Context, kind string, random *rand.Rand, pause time.Duration) {
	for {
		select {
		case <-time.After(time.Duration(random.Int64N(int64(pause)))):
		case <-ctx.Done():
			return
		}
		var err error
		switch kind {
		case "drain":
			_, err = p.syncer.Drain(jobs, connID)
		case "catch-up":
			_, err = p.syncer.CatchUp(jobs, connID)
		case "run":
			_, err = p.syncer.Sync(jobs, shopifysync.SyncParams{Connection: connID, MaxRemovedShare: 1})
		}
		p.h.note(kind)
		switch {
		case err == nil, ctx.Err() != nil:
		case errors.Is(err, errKilled), errors.Is(err, shopifysync.ErrSyncInProgress), errors.Is(err, shopifysync.ErrLeaseLost),
			errors.Is(err, shopifysync.ErrUnavailable), errors.Is(err, shopifysync.ErrThrottled), errors.Is(err, shopifysync.ErrIncomplete):
			p.h.note("refused")
		default:
			p.h.t.Errorf("%s: %v", kind, err)
		}
	}
}

// play is the history.
func (h *history) play() {
	if h.random.IntN(4) > 0 {
		if _, err := h.procs[0].syncer.Sync(h.t.Context(), shopifysync.SyncParams{Connection: connID}); err != nil {
			h.t.Error(err)
		}
	}
	ctx, stop := context.WithCancel(h.t.Context())
	jobs := ctx // in half of the histories what is under way at the end is cut off
	if h.random.IntN(2) == 0 {
		jobs = h.t.Context()
	}
	var working sync.WaitGroup
	for _, p := range h.procs {
		pauses := []time.Duration{3 * time.Second, 40 * time.Second, 30 * time.Second}
		if h.dense {
			pauses = []time.Duration{300 * time.Millisecond, 40 * time.Second, 2 * time.Second}
		}
		for i, pause := range pauses {
			if h.dense && i == 0 == (p == h.procs[0]) { // the slow one has no drains, the fast one has nothing else
				continue
			}
			random := rand.New(rand.NewPCG(h.random.Uint64(), 5))
			working.Go(func() { p.work(ctx, jobs, []string{"drain", "catch-up", "run"}[i], random, pause) })
		}
	}
	for range 4 + h.random.IntN(14) {
		h.deliverUntil(time.Now().Add(h.between(0, 1500*time.Millisecond)))
		h.happen()
	}
	h.deliverUntil(time.Now().Add(h.between(0, 5*time.Second)))
	stop()
	working.Wait()
	h.shop.ClearFaults()
	h.last()
}

// deliverUntil waits, and delivers what becomes due meanwhile.
func (h *history) deliverUntil(end time.Time) {
	for len(h.queue) > 0 && !h.queue[0].due.After(end) {
		d := h.queue[0]
		h.queue = h.queue[1:]
		time.Sleep(time.Until(d.due))
		h.put(d.ev, time.Now().Add(h.procs[h.random.IntN(2)].skew))
	}
	time.Sleep(time.Until(end))
}

// send has the webhooks of a change delivered, sooner or later, or never.
func (h *history) send(events ...shopifysync.Event) {
	now := time.Now()
	for _, ev := range events {
		copies := 1
		switch h.random.IntN(8) {
		case 0:
			copies = 2 + h.random.IntN(4)
		case 1, 2:
			if h.lossy {
				h.note("lost")
				continue
			}
		}
		for range copies {
			due := now.Add(h.between(0, 800*time.Millisecond))
			if !h.dense && h.random.IntN(10) == 0 {
				due = now.Add(h.between(0, 4*time.Hour))
				h.note("late")
			}
			at, _ := slices.BinarySearchFunc(h.queue, due, func(d delivery, t time.Time) int { return d.due.Compare(t) })
			h.queue = slices.Insert(h.queue, at, delivery{due, ev})
		}
	}
}

func (h *history) create() {
	c := h.shop.Create(shopifytest.Customer{FirstName: "New", Email: fmt.Sprintf("new%d@example.com", h.random.Uint32())})
	h.ids = append(h.ids, c.ID)
	h.send(h.event("customers/create", c.ID), h.event("customers/update", c.ID))
}

// one picks a customer who is there.
func (h *history) one() (id int64, ok bool) {
	var there []int64
	for _, id := range h.ids {
		if _, ok := h.shop.Customer(id); ok && !h.gone[id] {
			there = append(there, id)
		}
	}
	if len(there) == 0 {
		return 0, false
	}
	return there[h.random.IntN(len(there))], true
}

// happen makes one thing happen.
func (h *history) happen() {
	id, ok := h.one()
	what := h.random.IntN(20)
	if h.dense {
		what = 6 + h.random.IntN(9)
	}
	if !ok || what == 0 {
		h.create()
		return
	}
	var err error
	switch what {
	case 1:
		h.note("delete")
		err = h.shop.Delete(id)
		h.send(h.event("customers/delete", id))
	case 2:
		if other, _ := h.one(); other != id {
			h.note("merge")
			err = h.shop.Merge(id, other)
			h.send(h.event("customers/merge", id, other), h.event("customers/update", id))
		}
	case 3:
		h.note("redact")
		h.gone[id] = true
		err = h.shop.Redact(id)
		h.send(h.event("customers/update", id))
	case 4: // as Erase does
		h.gone[id] = true
		_, err = h.store.RemoveContacts(context.Background(), shopifysync.RemoveContactsParams{
			Connection: connID, Reason: shopifysync.RemovedRedacted, ObservedAt: time.Now().UTC().Truncate(time.Millisecond),
			Removals: []shopifysync.Removal{{CustomerID: shopifysync.CustomerID(id)}},
		})
	case 5:
		other, _ := h.one()
		if other != id { // one that failed: nothing has changed
			ev := h.event("customers/merge", id, other)
			ev.MergedInto, ev.Status = 0, "failed"
			h.send(ev)
		}
	case 6, 7, 8:
		err = h.shop.PlaceOrder(id, fmt.Sprintf("%d.0", h.random.IntN(1000)))
		h.send(h.event("customers/purchasing_summary", id))
	case 9, 10, 11, 12:
		if h.random.IntN(2) == 0 {
			err = h.shop.AddTags(id, fmt.Sprint("tag", h.random.IntN(5)))
			h.send(h.event("customer.tags_added", id))
		} else {
			err = h.shop.UpdateQuietly(id, func(c *shopifytest.Customer) { c.Tags = nil })
			h.send(h.event("customer.tags_removed", id))
		}
	case 13, 14:
		err = h.shop.Update(id, func(c *shopifytest.Customer) {
			c.EmailConsent = &shopifytest.EmailConsent{State: []string{"SUBSCRIBED", "UNSUBSCRIBED"}[h.random.IntN(2)], Level: "SINGLE_OPT_IN"}
		})
		h.send(h.event("customers_email_marketing_consent/update", id), h.event("customers/update", id))
	case 15:
		h.note("fault")
		f := shopifytest.Fault{Operation: []string{"", "CustomersByID", "ChangedCustomers", "CustomersPage"}[h.random.IntN(4)], After: h.random.IntN(3), Times: 1 + h.random.IntN(3)}
		switch h.random.IntN(4) {
		case 0:
			f.Status = 502
		case 1:
			f.Delay = h.between(0, 3*time.Second)
		case 2:
			f.Errors = shopifytest.ThrottledErrors()
		case 3:
			f.Drop = shopifytest.DropAnswer
		}
		h.shop.Inject(f)
	case 16:
		h.note("killed")
		p := h.procs[h.random.IntN(2)]
		p.mortal.left.Store(h.random.Int64N(6))
	default:
		err = h.shop.Update(id, func(c *shopifytest.Customer) {
			if c.Note = fmt.Sprint("note ", h.random.Uint32()); h.random.IntN(4) == 0 {
				c.Note = "" // an explicit null clears
			}
		})
		h.send(h.event("customers/update", id))
	}
	if err != nil {
		h.t.Error(err)
	}
}

// last lets everything come to rest, and compares.
func (h *history) last() {
	for _, p := range h.procs {
		p.mortal.left.Store(1 << 40)
	}
	if len(h.queue) > 0 {
		h.deliverUntil(h.queue[len(h.queue)-1].due)
	}
	s := h.procs[h.random.IntN(2)].syncer
	time.Sleep(settle) // the leases of those who were killed expire
	if !h.lossy {
		h.drainAll()
		h.note("drained")
		h.rest("after drains alone")
	}
	time.Sleep(settle)
	for {
		r, err := s.Sync(h.t.Context(), shopifysync.SyncParams{Connection: connID, MaxRemovedShare: 1, Wait: time.Minute})
		if err != nil {
			h.t.Fatalf("the last run: %v, %+v", err, r)
		}
		if !r.Resumed {
			break
		}
	}
	h.drainAll()
	h.rest("after the last run")
}

// drainAll drains until no mark is open.
func (h *history) drainAll() {
	for range 12 {
		if _, err := h.procs[h.random.IntN(2)].syncer.Drain(h.t.Context(), connID); err != nil {
			h.t.Errorf("the last drains: %v", err)
			return
		}
		if len(h.openMarks()) == 0 {
			return
		}
		time.Sleep(20*time.Minute + time.Second) // clocks differ by that much
	}
	h.t.Errorf("marks are left: %+v", h.openMarks())
}

func (h *history) rest(when string) {
	h.t.Helper()
	got := h.contacts()
	for _, id := range h.ids {
		contact, there := got[shopifysync.CustomerID(id)]
		c, exists := h.shop.Customer(id)
		exists = exists && !h.gone[id]
		if exists != there {
			h.t.Errorf("%s: customer %d: at Shopify %v, a contact %v", when, id, exists, there)
		} else if exists {
			if diff := unlike(contact, c); diff != "" {
				h.t.Errorf("%s: customer %d: %s differs:\n%+v\n%+v", when, id, diff, c, contact)
			}
		}
	}
}
