package throttle

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shopify is an exact leaky bucket, as Shopify keeps one.
type shopify struct {
	mu                   sync.Mutex
	maximum, level, rate float64
	last                 time.Time
	used                 float64
	refused              int
}

func newShopify(maximum, rate float64) *shopify {
	return &shopify{maximum: maximum, level: maximum, rate: rate, last: time.Now()}
}

func (s *shopify) restore() {
	now := time.Now()
	s.level = min(s.maximum, s.level+now.Sub(s.last).Seconds()*s.rate)
	s.last = now
}

// serve charges requested, works for the time given, and refunds the rest.
func (s *shopify) serve(requested, actual float64, before, after time.Duration) (Status, bool) {
	time.Sleep(before)
	s.mu.Lock()
	s.restore()
	if s.level < requested {
		s.refused++
		defer s.mu.Unlock()
		return s.status(), false
	}
	s.level -= requested
	s.mu.Unlock()
	time.Sleep(after / 2)
	s.mu.Lock()
	s.restore()
	s.level = min(s.maximum, s.level+requested-actual)
	s.used += actual
	status := s.status()
	s.mu.Unlock()
	time.Sleep(after / 2)
	return status, true
}

func (s *shopify) status() Status {
	return Status{Maximum: s.maximum, Available: math.Floor(s.level), RestoreRate: s.rate}
}

// request is one call through the bucket, as the client makes it.
func request(t *testing.T, b *Bucket, s *shopify, p Priority, requested, actual float64, latency time.Duration) {
	t.Helper()
	if err := b.Wait(t.Context(), requested, p); err != nil {
		t.Errorf("Wait: %v", err)
		return
	}
	status, ok := s.serve(requested, actual, latency/2, latency/2)
	if !ok {
		b.Observe(status, requested, 0)
		b.Throttled(&status, requested)
		return
	}
	b.Observe(status, requested, actual)
}

// A serial run gets nearly all that Shopify gives, and is never refused.
func TestPagedRunUsesTheBudget(t *testing.T) {
	tests := []struct {
		name              string
		requested, actual float64
		rate              float64
		latency           time.Duration
	}{
		{"dear pages", 178, 120, 100, 300 * time.Millisecond},
		{"dear pages on a larger plan", 900, 900, 1000, 500 * time.Millisecond},
		{"as estimated", 60, 60, 100, 200 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const length = 20 * time.Minute
				s, b := newShopify(20*tt.rate, tt.rate), New()
				start := time.Now()
				for time.Since(start) < length {
					request(t, b, s, Run, tt.requested, tt.actual, tt.latency)
				}
				if s.refused > 0 {
					t.Errorf("THROTTLED %d times", s.refused)
				}
				given := s.maximum + s.rate*time.Since(start).Seconds()
				if share := s.used / given; share < 0.97 {
					t.Errorf("used %.1f %% of the points, want at least 97 %%", 100*share)
				}
			})
		})
	}
}

// Several goroutines with changing costs and latencies never ask for more
// than is there, and still use what is given.
func TestConcurrentRequestsAreNeverRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newShopify(2000, 100), New()
		start := time.Now()
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := 0; time.Since(start) < 5*time.Minute; i++ {
					cost := float64(10 + (37*i+101*g)%190)
					latency := time.Duration(50+(i*71+g*13)%900) * time.Millisecond
					request(t, b, s, Priority(g%2), cost, cost/float64(1+i%2), latency)
				}
			})
		}
		wg.Wait()
		if s.refused > 0 {
			t.Errorf("THROTTLED %d times", s.refused)
		}
		if given := s.maximum + s.rate*time.Since(start).Seconds(); s.used < 0.9*given {
			t.Errorf("used %.0f of %.0f points", s.used, given)
		}
	})
}

// Another program empties the bucket: the next answer says so, and a refusal
// costs a back-off, not a storm.
func TestExternalConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newShopify(2000, 100), New()
		request(t, b, s, Run, 100, 100, 0)
		if _, ok := s.serve(1850, 1850, 0, 0); !ok {
			t.Fatal("the other program was refused")
		}

		start := time.Now()
		request(t, b, s, Run, 100, 100, 0) // refused: we could not know
		request(t, b, s, Run, 100, 100, 0)
		if s.refused != 1 {
			t.Errorf("THROTTLED %d times, want once", s.refused)
		}
		// 50 points are left; 100 and the reserved 200 are needed.
		if got, want := time.Since(start), 2500*time.Millisecond; got != want {
			t.Errorf("waited %v, want %v", got, want)
		}
	})
}

// level asks the bucket how many whole points it thinks are there.
func level(b *Bucket) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return math.Floor(b.level())
}

func TestObserve(t *testing.T) {
	type call struct {
		status            Status
		estimated, actual float64
	}
	tests := []struct {
		name  string
		waits []float64
		calls []call
		want  float64
	}{
		{"down to what Shopify says", []float64{100}, []call{{Status{2000, 500, 100}, 100, 100}}, 500},
		{"up to what Shopify says", []float64{100, 100}, []call{{Status{2000, 1990, 100}, 100, 10}, {Status{2000, 1995, 100}, 100, 5}}, 1985},
		{"up, alone", []float64{1500}, []call{{Status{2000, 1990, 100}, 1500, 10}}, 1990},
		{"less what is in flight", []float64{100, 300}, []call{{Status{2000, 1900, 100}, 100, 100}}, 1600},
		{"less what overlapped and was answered", []float64{100, 300}, []call{{Status{2000, 1600, 100}, 300, 300}, {Status{2000, 1900, 100}, 100, 100}}, 1600},
		{"a larger plan", []float64{100}, []call{{Status{20000, 19900, 1000}, 100, 100}}, 19900},
		{"a smaller plan", []float64{100}, []call{{Status{1000, 900, 50}, 100, 100}}, 900},
		{"no status, cost known", []float64{100}, []call{{Status{}, 100, 40}}, 1960},
		{"no status, cost unknown", []float64{100}, []call{{Status{}, 100, 100}}, 1900},
		{"no status, nothing charged", []float64{100}, []call{{Status{}, 100, 0}}, 2000},
		{"more in flight than there is", []float64{900, 900, 10}, []call{{Status{2000, 100, 100}, 10, 10}}, -1700},
		{"available above the maximum", []float64{100}, []call{{Status{2000, 5000, 100}, 100, 100}}, 2000},
		{"available far below zero", []float64{100}, []call{{Status{2000, -1e9, 100}, 100, 100}}, -2000},
		{"available NaN", []float64{100}, []call{{Status{2000, math.NaN(), 100}, 100, 100}}, 1900},
		{"maximum NaN", []float64{100}, []call{{Status{math.NaN(), 500, 100}, 100, 100}}, 1900},
		{"maximum infinite", []float64{100}, []call{{Status{math.Inf(1), 500, 100}, 100, 100}}, 1900},
		{"maximum negative", []float64{100}, []call{{Status{-1, 500, 100}, 100, 100}}, 1900},
		{"cost NaN", []float64{1500, math.NaN()}, []call{{Status{}, math.NaN(), math.NaN()}}, 500},
		{"cost negative", []float64{1500, -5}, []call{{Status{}, -5, -5}}, 500},
		{"cost above the maximum", []float64{math.Inf(1)}, []call{{Status{}, math.Inf(1), math.Inf(1)}}, 0},
		{"nobody waited", nil, []call{{Status{2000, 700, 100}, 100, 100}}, 700},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New()
				for _, cost := range tt.waits {
					if err := b.Wait(t.Context(), cost, Lookup); err != nil {
						t.Fatal(err)
					}
				}
				for _, c := range tt.calls {
					b.Observe(c.status, c.estimated, c.actual)
				}
				if got := level(b); got != tt.want {
					t.Errorf("level %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// Whatever Shopify says of itself, a request goes in the end, and not at once
// when the points are gone.
func TestOddStatusNeverBlocksForever(t *testing.T) {
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0, 1e-300, 0.5, 1, 1e300, math.MaxFloat64}
	for _, maximum := range odd {
		for _, available := range odd {
			for _, restore := range odd {
				synctest.Test(t, func(t *testing.T) {
					b := New()
					b.Observe(Status{maximum, available, restore}, 0, 0)
					b.Throttled(&Status{maximum, available, restore}, maximum)
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
					defer cancel()
					for _, p := range []Priority{Run, Lookup, Run} {
						if err := b.Wait(ctx, 1000, p); err != nil {
							t.Errorf("status %v %v %v, priority %d: %v", maximum, available, restore, p, err)
						}
						b.Observe(Status{}, 1000, 1000)
					}
				})
			}
		}
	}
}

// A rate that cannot be true leaves the one before.
func TestOddRestoreRateIsIgnored(t *testing.T) {
	for _, restore := range []float64{0, -100, math.NaN(), math.Inf(1)} {
		t.Run(fmt.Sprint(restore), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New()
				b.Observe(Status{2000, 0, restore}, 0, 0)
				start := time.Now()
				if err := b.Wait(t.Context(), 100, Lookup); err != nil {
					t.Fatal(err)
				}
				if got := time.Since(start); got != time.Second {
					t.Errorf("waited %v, want 1s: 100 points at 100 a second", got)
				}
			})
		})
	}
}

func TestWaitTakesAsLongAsThePoints(t *testing.T) {
	tests := []struct {
		name      string
		available float64
		cost      float64
		priority  Priority
		want      time.Duration
	}{
		{"enough", 500, 100, Lookup, 0},
		{"a lookup may take all", 100, 100, Lookup, 0},
		{"a lookup waits for what is missing", 50, 100, Lookup, 500 * time.Millisecond},
		{"a run leaves a tenth", 100, 100, Run, 2 * time.Second},
		{"a run with the tenth there", 300, 100, Run, 0},
		{"more than the bucket goes when it is full", 1500, 5000, Lookup, 5 * time.Second},
		{"and so does a run that would need the tenth", 1500, 1900, Run, 5 * time.Second},
		{"out of debt", -300, 100, Lookup, 4 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New()
				b.Observe(Status{2000, tt.available, 100}, 0, 0)
				start := time.Now()
				if err := b.Wait(t.Context(), tt.cost, tt.priority); err != nil {
					t.Fatal(err)
				}
				if got := time.Since(start); got != tt.want {
					t.Errorf("waited %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// Lookups go first, each kind in the order of arrival, and a large request is
// not overtaken by small later ones.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		b.Observe(Status{2000, 0, 100}, 0, 0)
		var (
			mu    sync.Mutex
			order []string
			wg    sync.WaitGroup
		)
		arrive := func(name string, cost float64, p Priority) {
			wg.Go(func() {
				if err := b.Wait(t.Context(), cost, p); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				b.Observe(Status{}, cost, cost)
			})
			synctest.Wait() // it is in the queue
		}
		arrive("large run", 300, Run) // its points would be there first
		arrive("small run 1", 1, Run)
		arrive("small run 2", 1, Run)
		arrive("large lookup", 800, Lookup)
		arrive("small lookup", 1, Lookup)
		wg.Wait()
		want := []string{"large lookup", "small lookup", "large run", "small run 1", "small run 2"}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// A stream of small runs may not starve a large one: it goes as soon as its
// points are there.
func TestLargeRequestIsNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newShopify(2000, 100), New()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					request(t, b, s, Run, 20, 20, 10*time.Millisecond)
				}
			})
		}
		time.Sleep(time.Minute)
		start := time.Now()
		request(t, b, s, Run, 1000, 1000, 0)
		if got := time.Since(start); got > 12*time.Second {
			t.Errorf("1000 points took %v at 100 a second", got)
		}
		cancel()
		wg.Wait()
	})
}

func TestThrottled(t *testing.T) {
	tests := []struct {
		name      string
		status    *Status
		requested float64
		want      time.Duration
	}{
		{"points missing", &Status{2000, 100, 100}, 600, 5 * time.Second},
		{"points left all the same", &Status{2000, 1900, 100}, 10, time.Second},
		{"nearly there", &Status{2000, 90, 100}, 100, time.Second},
		{"no status", nil, 50, time.Second},
		{"no status, a dear query", nil, 500, 5 * time.Second},
		{"more than the bucket", &Status{2000, 0, 100}, 1e9, 20 * time.Second},
		{"odd", &Status{2000, math.NaN(), 0}, math.NaN(), time.Second},
		{"far in debt", &Status{2000, -1e9, 100}, 10, 2 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New()
				start := time.Now()
				if got := b.Throttled(tt.status, tt.requested); got != tt.want {
					t.Errorf("Throttled returned %v, want %v", got, tt.want)
				}
				if err := b.Wait(t.Context(), 1, Lookup); err != nil {
					t.Fatal(err)
				}
				if got := time.Since(start); got < tt.want {
					t.Errorf("somebody went after %v, before %v", got, tt.want)
				}
			})
		})
	}
}

// After a refusal the bucket holds no more than Shopify says, and nothing if it
// says nothing.
func TestThrottledEmptiesTheBucket(t *testing.T) {
	for _, tt := range []struct {
		status *Status
		want   float64
	}{
		{nil, 0},
		{&Status{2000, 300, 100}, 300},
		{&Status{2000, 5000, 100}, 2000},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := New()
			b.Throttled(tt.status, 50)
			if got := level(b); got != tt.want {
				t.Errorf("%v: level %v, want %v", tt.status, got, tt.want)
			}
		})
	}
}

func TestHold(t *testing.T) {
	for _, tt := range []struct{ hold, want time.Duration }{
		{-time.Second, 0},
		{7 * time.Second, 7 * time.Second},
		{24 * time.Hour, 2 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := New()
			b.Hold(tt.hold)
			b.Hold(time.Millisecond) // a shorter one does not let go earlier
			start := time.Now()
			if err := b.Wait(t.Context(), 1, Lookup); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got < tt.want || got > tt.want+time.Millisecond {
				t.Errorf("Hold(%v): went after %v, want %v", tt.hold, got, tt.want)
			}
		})
	}
}

// A cancelled wait ends at once, takes nothing, and lets the next one go.
func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		b.Observe(Status{2000, 100, 100}, 0, 0)
		ctx, cancel := context.WithCancel(t.Context())
		var first, second error
		var wg sync.WaitGroup
		start := time.Now()
		wg.Go(func() { first = b.Wait(ctx, 2000, Lookup) })
		synctest.Wait()
		wg.Go(func() { second = b.Wait(t.Context(), 100, Lookup) })
		synctest.Wait()
		cancel()
		wg.Wait()
		if !errors.Is(first, context.Canceled) || second != nil {
			t.Errorf("got %v and %v, want canceled and nil", first, second)
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("took %v, want no time at all", got)
		}
		if err := b.Wait(ctx, 0, Lookup); !errors.Is(err, context.Canceled) {
			t.Errorf("a wait with a context that has ended: %v", err)
		}
	})
}

// However little is missing, a waiter sleeps: a sleep of nothing would repeat
// for ever, for virtual time would stand still. It leaves no goroutine.
func TestWaitDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		b.Observe(Status{2000, -2000, 1}, 0, 0)
		before := runtime.NumGoroutine()
		done := make(chan error)
		go func() { done <- b.Wait(t.Context(), 1, Lookup) }()
		wakes := 0
		for start := time.Now(); ; wakes++ {
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took < 2000*time.Second || took > 2005*time.Second {
					t.Errorf("took %v, want 2001s", took)
				}
				if after := runtime.NumGoroutine(); after > before {
					t.Errorf("%d goroutines before, %d after", before, after)
				}
				return
			case <-time.After(time.Minute):
				if wakes > 60 {
					t.Fatal("never went")
				}
			}
		}
	})
}

// Sleeps are bounded both ways, whatever is missing and whoever is ahead.
func TestSleepsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			available, cost float64
			hold            time.Duration
			want            time.Duration
		}{
			{2000, 1, 0, 0},
			{99, 100, 0, 10 * time.Millisecond},
			{0, 2000, 0, time.Second},
			{2000, 1, time.Nanosecond, time.Millisecond},
			{2000, 1, time.Minute, time.Second},
		} {
			b := New()
			b.Observe(Status{2000, tt.available, 100}, 0, 0)
			b.Hold(tt.hold)
			turn := b.waiting[Lookup].PushBack(nil)
			if got := b.plan(turn, tt.cost, Lookup); got != tt.want {
				t.Errorf("%+v: sleeps %v", tt, got)
			}
			behind := b.waiting[Lookup].PushBack(nil)
			if got := b.plan(behind, 0, Lookup); got != time.Second {
				t.Errorf("%+v: who is behind sleeps %v, want 1s", tt, got)
			}
		}
	})
}

func BenchmarkWait(b *testing.B) {
	bucket := New()
	for b.Loop() {
		if err := bucket.Wait(b.Context(), 1, Lookup); err != nil {
			b.Fatal(err)
		}
		bucket.Observe(Status{2000, 2000, 100}, 1, 1)
	}
}
