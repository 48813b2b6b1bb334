package shopifysync

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// A workKind is a kind of work that Serve does for a connection.
type workKind int

const (
	workDrain workKind = iota
	workCatchUp
	workCheck
	workCount // compare a large store's number of customers with Shopify's
	workErase // what was kept for too long, or Shopify asks to erase
	workRun
	workKinds
)

var workNames = [workKinds]string{"drain", "catch-up", "check", "count", "erasure", "run"}

const (
	// largeStore is the number of customers above which full runs are weekly
	// and a count is compared daily.
	largeStore = 100_000
	// clockSkew is how far ahead of this host's clock another's may be. A time
	// of a state that lies further ahead is wrong.
	clockSkew = time.Minute
	// failedRunWait is how long after a run that failed (not one that was cut
	// off) the whole store is read again.
	failedRunWait = time.Hour
)

// A plan tells when each kind of work for a connection is due: zero, never.
// Drains come when marks are due, which a plan does not know.
type plan struct {
	at     [workKinds]time.Time
	drains bool // marks may be drained
	large  bool // a run takes long
	runAt  time.Time
}

// due reports whether that kind of work is due.
func (p *plan) due(kind workKind, now time.Time) bool {
	return !p.at[kind].IsZero() && !p.at[kind].After(now)
}

// planOf plans the work for a connection from what every process knows of it:
// its state and its latest run, nil if there was none.
func (s *Syncer) planOf(st *ConnectionState, last *Run, now time.Time) plan {
	p := plan{large: st.Customers > largeStore, runAt: st.RunAt}
	switch {
	case st.Disconnected != nil:
		p.at[workErase] = st.eraseBy(s.retention)
		return p
	case st.Pause != nil: // one request an hour, and no more before it succeeds
		p.at[workCheck], p.at[workErase] = st.Pause.ProbeAt, st.eraseBy(s.retention)
		if !st.RedactAsked.IsZero() { // it asks as much
			p.at[workCheck], p.at[workErase] = time.Time{}, st.Pause.ProbeAt
			if st.Pause.ProbeAt.IsZero() {
				p.at[workErase] = st.RedactAsked
			}
		}
		return p
	}
	p.at[workErase] = st.RedactAsked // as soon as Shopify answers
	p.drains = true
	after := func(last time.Time, every time.Duration) time.Time {
		if last.IsZero() || last.After(now.Add(clockSkew)) {
			return now
		}
		return last.Add(every)
	}
	if !st.RunAt.IsZero() || !st.TriedAt.IsZero() { // before the first run there is nothing to catch up with
		p.at[workCatchUp] = after(st.CaughtUpAt, s.catchUpEvery)
	}
	p.at[workCheck] = after(st.Health.CheckedAt, s.checkEvery)
	if st.CheckDue {
		p.at[workCheck] = now
	}
	every := spread(st.Connection, s.fullEvery)
	switch {
	case last != nil && last.State == RunPaused:
		p.at[workRun] = last.UpdatedAt
	case last != nil && last.State == RunRunning: // at work, or cut off: the lease tells
		p.at[workRun] = last.UpdatedAt.Add(s.leaseTTL)
	case st.RunAt.IsZero() && !st.ConnectedAt.IsZero(): // when to sync first is the merchant's choice, for a day
		p.at[workRun] = after(st.ConnectedAt, every)
	case p.large && s.fullEveryLarge > s.fullEvery:
		p.at[workRun] = after(st.RunAt, spread(st.Connection, s.fullEveryLarge))
		p.at[workCount] = after(st.CountedAt, every)
	default:
		p.at[workRun] = after(st.RunAt, every)
	}
	var again time.Time // not before
	switch {
	case last == nil || last.UpdatedAt.After(now.Add(clockSkew)):
	case last.State == RunFailed:
		again = last.UpdatedAt.Add(failedRunWait)
	case last.State == RunCancelled: // it may have been the regular one
		again = last.UpdatedAt.Add(every)
	}
	for _, kind := range []workKind{workRun, workCount} {
		if at := p.at[kind]; !at.IsZero() && at.Before(again) {
			p.at[kind] = again
		}
	}
	return p
}

// spread makes an interval up to a tenth shorter or longer, for one connection
// always the same, so that the runs of many do not come together for ever once
// they began together.
func spread(id ConnectionID, d time.Duration) time.Duration {
	sum := sha256.Sum256([]byte(id))
	share := float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
	return d - d/10 + time.Duration(share*float64(d/5))
}
