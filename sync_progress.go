package shopifysync

import (
	"sync"
	"time"
)

const (
	progressEvery = 100 * time.Millisecond
	// rateWindow is over how long the recent rate is taken.
	rateWindow = 10 * time.Second
	// steady is how long a run must have gone on before its end is estimated.
	steady = 2 * time.Second
)

// A meter keeps a run's progress and tells the caller of it.
type meter struct {
	tell func(Progress)

	mu      sync.Mutex
	now     Progress
	began   time.Time // when the first customer was done
	base    int64     // how many were done before that, by an earlier process
	recent  []sample  // the last rateWindow
	told    time.Time
	slowest float64 // lowest and highest recent rate of this phase
	fastest float64
}

type sample struct {
	at   time.Time
	done int64
}

func newMeter(tell func(Progress), total int64) *meter {
	return &meter{tell: tell, now: Progress{Total: max(total, 0)}}
}

// phase begins a phase and tells of it.
func (m *meter) phase(p Phase) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Phase = p
	m.slowest, m.fastest = 0, 0
	m.recent = nil
	if p == PhaseProving {
		m.now.PerSecond = 0
	}
	m.emit(time.Now())
}

func (m *meter) total(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Total = max(n, 0)
}

// done says how many customers are done in all.
func (m *meter) done(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := time.Now()
	if m.began.IsZero() {
		m.began, m.base = t, n
	}
	m.now.Done = n
	if m.now.Total > 0 && n > m.now.Total {
		m.now.Total = n
	}
	if len(m.recent) == 0 || t.Sub(m.recent[len(m.recent)-1].at) >= progressEvery {
		m.recent = append(m.recent, sample{t, n})
		for len(m.recent) > 2 && t.Sub(m.recent[1].at) >= rateWindow {
			m.recent = m.recent[1:]
		}
	}
	if first := m.recent[0]; t.Sub(first.at) >= time.Second {
		m.now.PerSecond = float64(n-first.done) / t.Sub(first.at).Seconds()
		if m.slowest == 0 || m.now.PerSecond < m.slowest {
			m.slowest = m.now.PerSecond
		}
		m.fastest = max(m.fastest, m.now.PerSecond)
	}
	if t.Sub(m.told) >= progressEvery {
		m.emit(t)
	}
}

func (m *meter) progress() Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *meter) emit(t time.Time) {
	m.estimate(t)
	m.told = t
	if m.tell != nil {
		m.tell(m.now)
	}
}

// estimate gives the time left as a range: by the fastest and by the slowest
// rate of the phase, the run's average included.
func (m *meter) estimate(t time.Time) {
	m.now.EstimateLow, m.now.EstimateHigh = 0, 0
	left := m.now.Total - m.now.Done
	reading := m.now.Phase == PhasePages || m.now.Phase == PhaseBulk
	if !reading || left <= 0 || m.fastest <= 0 || m.began.IsZero() || t.Sub(m.began) < steady {
		return
	}
	low, high := m.slowest, m.fastest
	if average := float64(m.now.Done-m.base) / t.Sub(m.began).Seconds(); average > 0 {
		low, high = min(low, average), max(high, average)
	}
	if low <= 0 {
		low = high / 10
	}
	after := func(rate float64) time.Duration {
		return time.Duration(float64(left) / rate * float64(time.Second)).Round(time.Second)
	}
	m.now.EstimateLow, m.now.EstimateHigh = after(high), after(low)
}
