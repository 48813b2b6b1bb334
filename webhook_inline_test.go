package shopifysync_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// A gatedState lets PutMarks pass when the test says so, and knows which
// delivery made the call.
type gatedState struct {
	durable
	pass chan error // what the next call returns; nil: it is carried out

	mu    sync.Mutex
	calls []putCall
}

type putCall struct{ leader, marks int }

type deliveryNumber struct{}

func (g *gatedState) PutMarks(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
	n, _ := ctx.Value(deliveryNumber{}).(int)
	g.mu.Lock()
	g.calls = append(g.calls, putCall{n, len(p.Marks)})
	g.mu.Unlock()
	select {
	case err := <-g.pass:
		switch {
		case errors.Is(err, errPanics):
			panic("down")
		case err != nil:
			return shopifysync.PutMarksResult{}, err
		}
		return g.durable.PutMarks(ctx, p)
	case <-ctx.Done():
		return shopifysync.PutMarksResult{}, ctx.Err()
	}
}

var errPanics = errors.New("panic")

// A crowd are deliveries under way.
type crowd struct {
	w      *world
	s      *shopifysync.Syncer
	state  *gatedState
	cancel []context.CancelFunc
	errs   []chan error
}

func newCrowd(w *world) *crowd {
	c := &crowd{w: w.signs(), state: &gatedState{durable: durable{w.store}, pass: make(chan error)}}
	c.s = w.syncer(shopifysync.WithStateStore(c.state))
	return c
}

// arrive starts n deliveries, each for a customer of its own, one after the
// other.
func (c *crowd) arrive(n int) {
	for range n {
		number := len(c.errs)
		ctx, cancel := context.WithCancel(context.WithValue(c.w.t.Context(), deliveryNumber{}, number))
		done := make(chan error, 1)
		c.cancel, c.errs = append(c.cancel, cancel), append(c.errs, done)
		go func() {
			done <- c.s.Deliver(ctx, connID, shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{shopifysync.CustomerID(number + 1)}})
		}()
		synctest.Wait()
	}
}

// put lets the store's call under way end.
func (c *crowd) put(err error) {
	c.state.pass <- err
	synctest.Wait()
}

// ended tells which deliveries have ended: with 0 no error, 1 an error.
func (c *crowd) ended() map[int]int {
	out := map[int]int{}
	for i, done := range c.errs {
		select {
		case err := <-done:
			done <- err
			out[i] = 0
			if err != nil {
				out[i] = 1
			}
		default:
		}
	}
	return out
}

func (c *crowd) expect(what string, ended map[int]int, calls ...putCall) {
	c.w.t.Helper()
	if diff := cmp.Diff(ended, c.ended()); diff != "" {
		c.w.t.Errorf("%s: deliveries that have ended (-want +got):\n%s", what, diff)
	}
	if diff := cmp.Diff(calls, c.state.calls, cmp.AllowUnexported(putCall{})); diff != "" {
		c.w.t.Errorf("%s: calls (-want +got):\n%s", what, diff)
	}
}

// inCrowd runs a test in which 0 leads and 1, 2 and 3 wait for it.
func inCrowd(t *testing.T, f func(c *crowd)) {
	t.Helper()
	inWorld(t, 1, func(t *testing.T, w *world) {
		c := newCrowd(w)
		c.arrive(4)
		f(c)
		// Whatever happened, the next ones are served.
		number := len(c.errs)
		c.arrive(1)
		for c.ended()[number] == 0 {
			if _, ended := c.ended()[number]; ended {
				break
			}
			c.put(nil)
		}
		if c.ended()[number] != 0 {
			t.Error("a later delivery failed")
		}
		for _, cancel := range c.cancel {
			cancel()
		}
	})
}

func TestDeliveriesGoTogether(t *testing.T) {
	down := errors.New("down")
	zero := putCall{0, 1}
	t.Run("all is well", func(t *testing.T) {
		inCrowd(t, func(c *crowd) {
			c.expect("the first is under way", map[int]int{}, zero)
			c.put(nil)
			c.expect("the others follow", map[int]int{0: 0}, zero, putCall{c.state.calls[1].leader, 3})
			c.put(nil)
			c.expect("at the end", map[int]int{0: 0, 1: 0, 2: 0, 3: 0}, zero, c.state.calls[1])
			if n := len(c.w.openMarks()); n != 4 {
				c.w.t.Errorf("%d marks", n)
			}
		})
	})
	t.Run("an error is everybody's of that call", func(t *testing.T) {
		inCrowd(t, func(c *crowd) {
			c.put(down)
			c.arrive(1)
			c.put(down)
			c.put(nil)
			c.expect("at the end", map[int]int{0: 1, 1: 1, 2: 1, 3: 1, 4: 0}, zero, putCall{c.state.calls[1].leader, 3}, putCall{4, 1})
		})
	})
	t.Run("a panic is an error", func(t *testing.T) {
		inCrowd(t, func(c *crowd) {
			c.put(errPanics)
			c.put(nil)
			c.expect("at the end", map[int]int{0: 1, 1: 0, 2: 0, 3: 0}, zero, putCall{c.state.calls[1].leader, 3})
		})
	})
	t.Run("who waits may leave", func(t *testing.T) {
		inCrowd(t, func(c *crowd) {
			c.cancel[2]()
			synctest.Wait()
			c.expect("at once", map[int]int{2: 1}, zero)
			c.put(nil)
			c.put(nil)
			c.expect("at the end", map[int]int{0: 0, 1: 0, 2: 1, 3: 0}, zero, putCall{c.state.calls[1].leader, 3})
		})
	})
	t.Run("who leads may leave", func(t *testing.T) {
		inCrowd(t, func(c *crowd) {
			c.put(nil)
			leader := c.state.calls[1].leader
			c.cancel[leader]()
			synctest.Wait()
			if diff := cmp.Diff(map[int]int{0: 0, leader: 1}, c.ended()); diff != "" {
				c.w.t.Errorf("at once (-want +got):\n%s", diff)
			}
			for len(c.ended()) < 4 { // the two others, together or one after the other
				c.put(nil)
			}
			want := map[int]int{0: 0, 1: 0, 2: 0, 3: 0}
			want[leader] = 1
			if diff := cmp.Diff(want, c.ended()); diff != "" {
				c.w.t.Errorf("at the end (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("all who wait leave", func(t *testing.T) {
		inCrowd(t, func(c *crowd) {
			for _, cancel := range c.cancel[1:] {
				cancel()
			}
			synctest.Wait()
			c.put(nil)
			c.expect("at the end", map[int]int{0: 0, 1: 1, 2: 1, 3: 1}, zero)
		})
	})
	t.Run("all leave", func(t *testing.T) {
		inCrowd(t, func(c *crowd) {
			for _, cancel := range c.cancel {
				cancel()
			}
			synctest.Wait()
			if got := c.ended(); len(got) != 4 {
				c.w.t.Errorf("ended: %v", got)
			}
		})
	})
}

// A delivery that is cancelled ends at once, whatever it waits for.
func TestDeliverEndsWithItsContext(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = time.Minute })
		s := w.signs().syncer()
		for _, after := range []time.Duration{time.Millisecond, 40 * time.Millisecond, time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			began := time.Now()
			err := s.Deliver(ctx, connID, shopifysync.Event{Topic: "customers/update", Customers: []shopifysync.CustomerID{1}})
			cancel()
			if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != after {
				t.Errorf("after %v, not %v: %v", took, after, err)
			}
		}
	})
}

// slowConnections take their time, and may change meanwhile.
type slowConnections struct {
	shopifysync.ConnectionStore
	mu    sync.Mutex
	calls int
}

func (c *slowConnections) Connection(ctx context.Context, id shopifysync.ConnectionID) (shopifysync.Connection, error) {
	c.mu.Lock()
	c.calls++
	c.mu.Unlock()
	conn, err := c.ConnectionStore.Connection(ctx, id)
	time.Sleep(100 * time.Millisecond)
	return conn, err
}

// Webhooks share lookups of their connection, but none gets what was looked up
// before it came: new credentials count at once.
func TestWebhooksShareLookups(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		w.signs().conn.Credentials.ClientSecret = shopifysync.NewSecret("old")
		conns := &slowConnections{ConnectionStore: shopifysync.StaticConnections(w.conn)}
		s, err := shopifysync.New(w.store, conns, shopifysync.WithStateStore(durable{w.store}), shopifysync.WithHTTPClient(w.server.Client()))
		if err != nil {
			t.Fatal(err)
		}
		h := mount(s)
		var wg sync.WaitGroup
		send := func(want int) {
			wg.Go(func() {
				if got := status(h, w.delivery("customers/update", w.ids()[0])); got != want {
					t.Errorf("status %d, want %d", got, want)
				}
			})
		}
		send(401)
		synctest.Wait() // the lookup is under way
		w.signs()
		if _, err := conns.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: w.conn}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			send(200)
		}
		wg.Wait()
		if conns.calls != 2 {
			t.Errorf("%d lookups", conns.calls)
		}
	})
}
