package shopifysync

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// memoryState is what a [MemoryStore] keeps of one connection for a [StateStore].
type memoryState struct {
	leases map[LeaseKind]*memoryLease
	runs   map[string]Run
	marks  map[CustomerID]Mark
	// markIDs holds every key of marks, and some of marks cleared since.
	markIDs idList
	saved   ConnectionState
	// puts counts the marks ever put. A new mark starts at that generation, so
	// that one put after a clearing never repeats an earlier generation.
	puts int64
}

type memoryLease struct {
	owner   string
	epoch   int64
	expires time.Time
}

// lockState locks s and returns the connection's state; the caller unlocks.
func (s *MemoryStore) lockState(ctx context.Context, id ConnectionID) (*memoryState, error) {
	if err := checkCall(ctx, id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	st := s.state[id]
	if st == nil {
		st = &memoryState{
			leases: make(map[LeaseKind]*memoryLease),
			runs:   make(map[string]Run),
			marks:  make(map[CustomerID]Mark),
		}
		s.state[id] = st
	}
	return st, nil
}

// held returns the lease if nobody took it since, or [ErrLeaseLost].
func (m *memoryState) held(l Lease) (*memoryLease, error) {
	if current := m.leases[l.Kind]; current != nil && current.epoch == l.Epoch {
		return current, nil
	}
	return nil, fmt.Errorf("lease %q: %w", l.Kind, ErrLeaseLost)
}

// AcquireLease implements [StateStore].
func (s *MemoryStore) AcquireLease(ctx context.Context, p AcquireLeaseParams) (AcquireLeaseResult, error) {
	if err := checkTTL(p.TTL); err != nil {
		return AcquireLeaseResult{}, err
	}
	state, err := s.lockState(ctx, p.Connection)
	if err != nil {
		return AcquireLeaseResult{}, err
	}
	defer s.mu.Unlock()
	lease := state.leases[p.Kind]
	if lease == nil {
		lease = new(memoryLease)
		state.leases[p.Kind] = lease
	}
	now := time.Now()
	if now.Before(lease.expires) {
		return AcquireLeaseResult{}, fmt.Errorf("lease %q, held by %q: %w", p.Kind, lease.owner, ErrLeaseHeld)
	}
	*lease = memoryLease{owner: p.Owner, epoch: lease.epoch + 1, expires: now.Add(p.TTL)}
	return AcquireLeaseResult{Lease: Lease{Connection: p.Connection, Kind: p.Kind, Epoch: lease.epoch}}, nil
}

// RenewLease implements [StateStore].
func (s *MemoryStore) RenewLease(ctx context.Context, p RenewLeaseParams) (RenewLeaseResult, error) {
	if err := checkTTL(p.TTL); err != nil {
		return RenewLeaseResult{}, err
	}
	state, err := s.lockState(ctx, p.Lease.Connection)
	if err != nil {
		return RenewLeaseResult{}, err
	}
	defer s.mu.Unlock()
	lease, err := state.held(p.Lease)
	if err != nil {
		return RenewLeaseResult{}, err
	}
	lease.expires = time.Now().Add(p.TTL)
	return RenewLeaseResult{}, nil
}

// ReleaseLease implements [StateStore].
func (s *MemoryStore) ReleaseLease(ctx context.Context, p ReleaseLeaseParams) (ReleaseLeaseResult, error) {
	state, err := s.lockState(ctx, p.Lease.Connection)
	if err != nil {
		return ReleaseLeaseResult{}, err
	}
	defer s.mu.Unlock()
	if lease, err := state.held(p.Lease); err == nil {
		lease.expires = time.Time{}
	}
	return ReleaseLeaseResult{}, nil
}

// SaveRun implements [StateStore].
func (s *MemoryStore) SaveRun(ctx context.Context, p SaveRunParams) (SaveRunResult, error) {
	switch {
	case p.Run.ID == "":
		return SaveRunResult{}, errors.New("shopifysync: a run needs an ID")
	case p.Run.Connection != p.Lease.Connection || p.Lease.Kind != LeaseRun:
		return SaveRunResult{}, errors.New("shopifysync: a run is saved under its connection's run lease")
	}
	state, err := s.lockState(ctx, p.Run.Connection)
	if err != nil {
		return SaveRunResult{}, err
	}
	defer s.mu.Unlock()
	if _, err := state.held(p.Lease); err != nil {
		return SaveRunResult{}, err
	}
	state.runs[p.Run.ID] = cloneRun(p.Run)
	return SaveRunResult{}, nil
}

// Runs implements [StateStore].
func (s *MemoryStore) Runs(ctx context.Context, p RunsParams) (RunsResult, error) {
	if err := checkLimit(p.Limit); err != nil {
		return RunsResult{}, err
	}
	state, err := s.lockState(ctx, p.Connection)
	if err != nil {
		return RunsResult{}, err
	}
	defer s.mu.Unlock()
	latestFirst := slices.SortedFunc(maps.Values(state.runs), func(a, b Run) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(b.ID, a.ID))
	})
	var runs []Run
	for _, r := range latestFirst[:min(p.Limit, len(latestFirst))] {
		runs = append(runs, cloneRun(r))
	}
	return RunsResult{Runs: runs}, nil
}

// cloneRun returns a copy that shares no memory with r.
func cloneRun(r Run) Run {
	r.Checkpoint = bytes.Clone(r.Checkpoint)
	r.Report.Skipped = maps.Clone(r.Report.Skipped)
	r.Report.Failures = slices.Clone(r.Report.Failures)
	r.Report.Removed = maps.Clone(r.Report.Removed)
	if m := r.Report.MassRemoval; m != nil {
		own := *m
		r.Report.MassRemoval = &own
	}
	return r
}

// PutMarks implements [StateStore].
func (s *MemoryStore) PutMarks(ctx context.Context, p PutMarksParams) (PutMarksResult, error) {
	for _, m := range p.Marks {
		if m.Connection != p.Connection || m.CustomerID <= 0 {
			return PutMarksResult{}, errors.New("shopifysync: a mark needs a customer id and the connection it is put for")
		}
	}
	state, err := s.lockState(ctx, p.Connection)
	if err != nil {
		return PutMarksResult{}, err
	}
	defer s.mu.Unlock()
	for _, m := range p.Marks {
		state.putMark(m)
	}
	return PutMarksResult{}, nil
}

func (m *memoryState) putMark(in Mark) {
	m.puts++
	old, marked := m.marks[in.CustomerID]
	if !marked {
		in.Generation = m.puts
		m.marks[in.CustomerID] = in
		m.markIDs.add(in.CustomerID)
		return
	}
	in.Generation = old.Generation + 1
	if old.NotBefore.Before(in.NotBefore) {
		in.NotBefore = old.NotBefore
	}
	if old.Floor.After(in.Floor) {
		in.Floor = old.Floor
	}
	if in.Reason == "" || old.Reason == topicDelete {
		in.Reason = old.Reason
	}
	in.MergedInto = cmp.Or(in.MergedInto, old.MergedInto)
	m.marks[in.CustomerID] = in
}

// Marks implements [StateStore].
func (s *MemoryStore) Marks(ctx context.Context, p MarksParams) (MarksResult, error) {
	if err := checkLimit(p.Limit); err != nil {
		return MarksResult{}, err
	}
	state, err := s.lockState(ctx, p.Connection)
	if err != nil {
		return MarksResult{}, err
	}
	defer s.mu.Unlock()
	result := MarksResult{Open: int64(len(state.marks))}
	for _, id := range state.markIDs.after(p.After) {
		if len(result.Marks) == p.Limit {
			break
		}
		m, marked := state.marks[id]
		if marked && (p.DueBy.IsZero() || !m.NotBefore.After(p.DueBy)) {
			result.Marks = append(result.Marks, m)
		}
	}
	return result, nil
}

// ClearMarks implements [StateStore].
func (s *MemoryStore) ClearMarks(ctx context.Context, p ClearMarksParams) (ClearMarksResult, error) {
	state, err := s.lockState(ctx, p.Connection)
	if err != nil {
		return ClearMarksResult{}, err
	}
	defer s.mu.Unlock()
	var result ClearMarksResult
	for _, m := range p.Marks {
		if old, marked := state.marks[m.CustomerID]; marked && old.Generation == m.Generation {
			delete(state.marks, m.CustomerID)
			result.Cleared++
		}
	}
	if len(state.markIDs.ids) > 2*len(state.marks) {
		state.markIDs.ids = slices.DeleteFunc(state.markIDs.ids, func(id CustomerID) bool {
			_, marked := state.marks[id]
			return !marked
		})
	}
	return result, nil
}

// PostponeMarks implements [StateStore].
func (s *MemoryStore) PostponeMarks(ctx context.Context, p PostponeMarksParams) (PostponeMarksResult, error) {
	state, err := s.lockState(ctx, p.Connection)
	if err != nil {
		return PostponeMarksResult{}, err
	}
	defer s.mu.Unlock()
	var result PostponeMarksResult
	for _, m := range p.Marks {
		if old, marked := state.marks[m.CustomerID]; marked && old.Generation == m.Generation {
			old.NotBefore, old.Attempts, old.Reason = m.NotBefore, m.Attempts, m.Reason
			state.marks[m.CustomerID] = old
			result.Postponed++
		}
	}
	return result, nil
}

// DueConnections implements [StateStore]. It looks at every mark.
func (s *MemoryStore) DueConnections(ctx context.Context, p DueConnectionsParams) (DueConnectionsResult, error) {
	if err := ctx.Err(); err != nil {
		return DueConnectionsResult{}, err
	}
	if err := checkLimit(p.Limit); err != nil {
		return DueConnectionsResult{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []ConnectionID
	for id, state := range s.state {
		for _, m := range state.marks {
			if !m.NotBefore.After(p.DueBy) {
				due = append(due, id)
				break
			}
		}
	}
	slices.Sort(due)
	i, found := slices.BinarySearch(due, p.After)
	if found {
		i++
	}
	return DueConnectionsResult{Connections: due[i:min(len(due), i+p.Limit)]}, nil
}

// ConnectionState implements [StateStore].
func (s *MemoryStore) ConnectionState(ctx context.Context, p ConnectionStateParams) (ConnectionStateResult, error) {
	state, err := s.lockState(ctx, p.Connection)
	if err != nil {
		return ConnectionStateResult{}, err
	}
	defer s.mu.Unlock()
	saved := cloneState(state.saved)
	saved.Connection = p.Connection
	return ConnectionStateResult{State: saved}, nil
}

// SaveConnectionState implements [StateStore].
func (s *MemoryStore) SaveConnectionState(ctx context.Context, p SaveConnectionStateParams) (SaveConnectionStateResult, error) {
	state, err := s.lockState(ctx, p.State.Connection)
	if err != nil {
		return SaveConnectionStateResult{}, err
	}
	defer s.mu.Unlock()
	if p.State.Revision != state.saved.Revision {
		return SaveConnectionStateResult{}, ErrStateConflict
	}
	state.saved = cloneState(p.State)
	state.saved.Revision++
	return SaveConnectionStateResult{Revision: state.saved.Revision}, nil
}

// cloneState returns a copy that shares no memory with st.
func cloneState(st ConnectionState) ConnectionState {
	st.DataRequests = slices.Clone(st.DataRequests)
	for i := range st.DataRequests {
		st.DataRequests[i].Customers = slices.Clone(st.DataRequests[i].Customers)
	}
	st.Health.Scopes = slices.Clone(st.Health.Scopes)
	st.Health.MissingScopes = slices.Clone(st.Health.MissingScopes)
	st.Health.Subscriptions = slices.Clone(st.Health.Subscriptions)
	st.Health.Warnings = slices.Clone(st.Health.Warnings)
	if st.Pause != nil {
		pause := *st.Pause
		st.Pause = &pause
	}
	if st.Disconnected != nil {
		disconnection := *st.Disconnected
		st.Disconnected = &disconnection
	}
	return st
}

// ForgetConnection implements [StateStore].
func (s *MemoryStore) ForgetConnection(ctx context.Context, p ForgetConnectionParams) (ForgetConnectionResult, error) {
	state, err := s.lockState(ctx, p.Connection)
	if err != nil {
		return ForgetConnectionResult{}, err
	}
	defer s.mu.Unlock()
	clear(state.runs)
	clear(state.marks)
	state.markIDs = idList{}
	return ForgetConnectionResult{}, nil
}

// Volatile reports that marks die with the process: a [Syncer] then fetches a
// customer before it acknowledges a webhook.
func (s *MemoryStore) Volatile() bool { return true }

// checkTTL refuses a lease that would never be held.
func checkTTL(ttl time.Duration) error {
	if ttl <= 0 {
		return errors.New("shopifysync: a lease's TTL must be more than 0")
	}
	return nil
}
