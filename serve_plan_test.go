package shopifysync

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is due when, by what is remembered of a connection.
func TestPlan(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	id := ConnectionID("c")
	daily, weekly := spread(id, day), spread(id, 7*day)
	// settled is the state of a connection for which everything was just done.
	settled := func(change func(*ConnectionState)) ConnectionState {
		st := ConnectionState{
			Connection: id, ShopID: "gid://shopify/Shop/1", ConnectedAt: ago(90 * day),
			Health:     Health{State: HealthOK, CheckedAt: now},
			CaughtUpAt: now, RunAt: now, TriedAt: now, Customers: 100, CountedAt: now,
		}
		if change != nil {
			change(&st)
		}
		return st
	}
	tests := map[string]struct {
		state ConnectionState
		last  *Run
		want  map[string]time.Duration // from now
	}{
		"never connected by Connect": {
			ConnectionState{Connection: id}, nil,
			map[string]time.Duration{"check": 0, "run": 0},
		},
		"just connected: when to sync is the merchant's choice, for a day": {
			ConnectionState{Connection: id, ConnectedAt: now}, nil,
			map[string]time.Duration{"check": 0, "run": daily},
		},
		"connected long ago and never synced": {
			ConnectionState{Connection: id, ConnectedAt: ago(3 * day)}, nil,
			map[string]time.Duration{"check": 0, "run": daily - 3*day},
		},
		"all done just now": {
			settled(nil), &Run{State: RunCompleted, UpdatedAt: now},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "run": daily},
		},
		"a check was asked for": {
			settled(func(st *ConnectionState) { st.CheckDue = true }), nil,
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": 0, "run": daily},
		},
		"a large store": {
			settled(func(st *ConnectionState) { st.Customers, st.CountedAt = 100_001, ago(time.Hour) }), nil,
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "count": daily - time.Hour, "run": weekly},
		},
		"a paused run": {
			settled(nil), &Run{State: RunPaused, UpdatedAt: ago(time.Minute)},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "run": -time.Minute},
		},
		"one that was cancelled waits for its regular time": {
			settled(nil), &Run{State: RunCancelled, UpdatedAt: ago(time.Minute)},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "run": daily},
		},
		"one that was cancelled when its time had come": {
			settled(func(st *ConnectionState) { st.RunAt = ago(2 * day) }), &Run{State: RunCancelled, UpdatedAt: ago(time.Minute)},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "run": daily - time.Minute},
		},
		"a cancelled first one": {
			settled(func(st *ConnectionState) { st.RunAt, st.ConnectedAt = time.Time{}, time.Time{} }),
			&Run{State: RunCancelled, UpdatedAt: ago(time.Minute)},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "run": daily - time.Minute},
		},
		"a cancelled first one of a store that was connected long ago": {
			settled(func(st *ConnectionState) { st.RunAt = time.Time{} }), &Run{State: RunCancelled, UpdatedAt: ago(time.Minute)},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "run": daily - time.Minute},
		},
		"a large store's that was cancelled": {
			settled(func(st *ConnectionState) { st.Customers, st.RunAt, st.CountedAt = 100_001, ago(9*day), ago(2*day) }),
			&Run{State: RunCancelled, UpdatedAt: now},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "count": daily, "run": daily},
		},
		"the regular one was cancelled: a day later": {
			settled(func(st *ConnectionState) { st.RunAt = ago(2 * day) }), &Run{State: RunCancelled, UpdatedAt: ago(time.Minute)},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "run": daily - time.Minute},
		},
		"that of a large store, and what would lead to another": {
			settled(func(st *ConnectionState) {
				st.Customers, st.RunAt, st.CountedAt = 100_001, ago(10*day), ago(2*day)
			}), &Run{State: RunCancelled, UpdatedAt: ago(time.Minute)},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "count": daily - time.Minute, "run": daily - time.Minute},
		},
		"a running one, or one that was cut off": {
			settled(nil), &Run{State: RunRunning, UpdatedAt: ago(time.Second)},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "run": 29 * time.Second},
		},
		"a run that failed": {
			settled(func(st *ConnectionState) { st.RunAt = ago(2 * day) }), &Run{State: RunFailed, UpdatedAt: ago(time.Minute)},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "run": 59 * time.Minute},
		},
		"a large store's run that failed": {
			settled(func(st *ConnectionState) { st.Customers, st.CountedAt = 100_001, ago(2*day) }), &Run{State: RunFailed, UpdatedAt: now},
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "count": time.Hour, "run": weekly},
		},
		"paused": {
			settled(func(st *ConnectionState) {
				st.Pause, st.CheckDue = &Pause{State: HealthFrozen, ProbeAt: now.Add(time.Minute)}, true
			}), nil,
			map[string]time.Duration{"check": time.Minute},
		},
		"paused, and Shopify asked to erase it": {
			settled(func(st *ConnectionState) {
				st.Pause, st.RedactAsked = &Pause{State: HealthFrozen, ProbeAt: now.Add(time.Minute)}, ago(day)
			}), nil,
			map[string]time.Duration{"erasure": time.Minute},
		},
		"Shopify did not answer when it had asked to erase it": {
			settled(func(st *ConnectionState) { st.RedactAsked = ago(time.Minute) }), nil,
			map[string]time.Duration{"catch-up": 15 * time.Minute, "check": time.Hour, "run": daily, "erasure": -time.Minute},
		},
		"uninstalled, and Shopify did not answer when it had asked to erase it": {
			settled(func(st *ConnectionState) {
				st.Pause, st.RedactAsked = &Pause{State: HealthUninstalled}, ago(time.Minute)
			}), nil,
			map[string]time.Duration{"erasure": -time.Minute},
		},
		"uninstalled": {
			settled(func(st *ConnectionState) { st.Pause = &Pause{State: HealthUninstalled} }), nil,
			map[string]time.Duration{},
		},
		"uninstalled, contacts kept": {
			settled(func(st *ConnectionState) { st.Pause = &Pause{State: HealthUninstalled, Since: ago(day)} }), nil,
			map[string]time.Duration{"erasure": 29 * day},
		},
		"uninstalled, and erased": {
			settled(func(st *ConnectionState) {
				st.Pause, st.ErasedAt = &Pause{State: HealthUninstalled, Since: ago(40 * day)}, ago(10*day)
			}), nil,
			map[string]time.Duration{},
		},
		"uninstalled once more, since it was erased": {
			settled(func(st *ConnectionState) {
				st.Pause, st.ErasedAt = &Pause{State: HealthUninstalled, Since: ago(day)}, ago(10*day)
			}), nil,
			map[string]time.Duration{"erasure": 29 * day},
		},
		"disconnected": {
			settled(func(st *ConnectionState) { st.Disconnected = &Disconnection{At: now} }), nil,
			map[string]time.Duration{},
		},
		"disconnected, contacts kept": {
			settled(func(st *ConnectionState) { st.Disconnected = &Disconnection{At: now, EraseBy: now.Add(30 * day)} }), nil,
			map[string]time.Duration{"erasure": 30 * day},
		},
		"times of a clock that was wrong": {
			settled(func(st *ConnectionState) {
				st.CaughtUpAt, st.RunAt, st.Health.CheckedAt = now.Add(2*time.Hour), now.Add(30*day), now.Add(30*day)
			}), nil,
			map[string]time.Duration{"catch-up": 0, "check": 0, "run": 0},
		},
	}
	s, err := New(NewMemoryStore(), StaticConnections())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := s.planOf(&test.state, test.last, now)
			got := map[string]time.Duration{}
			for kind, at := range p.at {
				if !at.IsZero() {
					got[workNames[kind]] = at.Sub(now)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
			if usable := test.state.Pause == nil && test.state.Disconnected == nil; p.drains != usable {
				t.Errorf("drains: %v", p.drains)
			}
		})
	}
}

// The intervals of many connections lie within a tenth of the one asked for,
// and all over that.
func TestSpread(t *testing.T) {
	const day = 24 * time.Hour
	var tenths [10]int
	for i := range 10_000 {
		d := spread(ConnectionID(fmt.Sprint("tenant-", i)), day)
		if d < day-day/10 || d >= day+day/10 {
			t.Fatalf("connection %d: %v", i, d)
		}
		tenths[int((d-(day-day/10))*10/(day/5))]++
	}
	for i, n := range tenths {
		if n < 800 || n > 1200 {
			t.Errorf("%d of 10,000 are in tenth %d", n, i)
		}
	}
}

func TestBackOff(t *testing.T) {
	for before, most := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second} {
		if d := backOff(before); d > most || d < most*3/4 {
			t.Errorf("after %d errors: %v", before, d)
		}
	}
	for _, before := range []int{8, 9, 63, 64, 1 << 20} {
		if d := backOff(before); d > 5*time.Minute || d < 5*time.Minute*3/4 {
			t.Errorf("after %d errors: %v", before, d)
		}
	}
}
