package shopifysync

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/omnichat/shopifysync/internal/idset"
	"github.com/omnichat/shopifysync/internal/throttle"
)

const (
	// maxResumeAge is how old a run may be and still be resumed.
	maxResumeAge = 24 * time.Hour
	// checkpointEvery is how much work a crash may cost.
	checkpointEvery = 2 * time.Second
	// endTimeout bounds the last writes of a run whose context has ended.
	endTimeout = 5 * time.Second
)

// SyncParams are the arguments of [Syncer.Sync].
type SyncParams struct {
	Connection ConnectionID
	// DryRun writes nothing, takes no lease, and reports what a run would do.
	DryRun bool
	// OnProgress is told how far the run is: at each change of phase and at
	// most ten times a second, one call at a time. It must return soon.
	OnProgress func(Progress)
	// MaxRemovedShare is the share of the connection's contacts, 0 to 1, that
	// the sweep may remove; 0 means 0.2. Fifty are always allowed. See
	// [MassRemovalError].
	MaxRemovedShare float64
	// Budget stops the run at the next checkpoint after this long, for job
	// engines; 0 means no limit. The report is then not Complete, the error is
	// nil, and the next Sync goes on if a bulk file is being read, else it
	// starts over.
	Budget time.Duration
	// Wait is how long to wait for another run of the connection to end before
	// [ErrSyncInProgress] is returned; 0: not at all. A killed process's lease
	// takes [WithLeaseTTL] to expire.
	Wait time.Duration
	// FailedOnly reads no store, but fetches once more the customers whose marks
	// were tried before, due or not: those that failed, and those whom Shopify
	// did not show as new as their webhook said. It is a [Syncer.Drain] and
	// holds its lease; the report has no RunID. OnProgress and MaxRemovedShare
	// do not matter, and it cannot be a DryRun.
	FailedOnly bool
}

// Sync reads the whole store into the contact store: a full run. It resumes a
// run that was cut off within the last 24 hours while it read a bulk file, if it
// asks for the same fields and version, and makes contacts by the same settings
// ([Connection].WhatsApp, [WithNameOrder], [WithAddressPhone]). Functions cannot
// be compared: after a deploy with another mapper, phone normalizer or test for
// WhatsApp numbers, contacts that the run had stored before are as the former one
// made them until the next Sync.
//
// While it is not known whether personal data is shown (a store that was empty
// when it was connected, or no Connect at all), the first customers decide: if
// neither name, e-mail nor phone is, the run ends with [ErrProtectedData] before
// anything is written. Once it is known, what is refused stays as it is stored.
//
// The report is never nil once the run has begun, also beside an error. Errors
// match [ErrNotConnected], [ErrSyncInProgress], [ErrUnauthorized],
// [ErrScopeMissing], [ErrProtectedData], [ErrShopMoved], [ErrShopFrozen],
// [ErrShopLocked], [ErrShopNotFound], [ErrThrottled], [ErrUnavailable],
// [ErrIncomplete], [ErrMassRemoval], [ErrLeaseLost], the context's error, or
// what the stores return. What was written before an error is true and stays.
func (s *Syncer) Sync(ctx context.Context, p SyncParams) (*Report, error) {
	if !(p.MaxRemovedShare >= 0 && p.MaxRemovedShare <= 1) { // NaN is neither
		return nil, errors.New("shopifysync: MaxRemovedShare must be 0 to 1")
	}
	if p.FailedOnly && p.DryRun {
		return nil, errors.New("shopifysync: FailedOnly cannot be a DryRun: it is a drain, which writes")
	}
	ctx, a, err := s.open(ctx, p.Connection)
	if err != nil {
		return nil, err
	}
	defer a.leave()
	if p.FailedOnly {
		return s.drain(ctx, a, drainParams{failedOnly: true, slice: p.Budget, wait: p.Wait})
	}
	return s.sync(ctx, a, p)
}

// sync is Sync for a call that is let in.
func (s *Syncer) sync(ctx context.Context, a *access, p SyncParams) (*Report, error) {
	r := &run{
		writer: writer{s: s, conn: a.conn, dryRun: p.DryRun},
		params: p, began: s.now(), pageSize: maxPage,
	}
	var err error
	if r.admin, err = s.admin(a.conn, throttle.Run); err != nil {
		return nil, err
	}
	r.admin.shopID = a.state.ShopID
	r.readable = a.state.Health.PersonalData == DataReadable
	if p.DryRun {
		r.start(nil)
		return r.do(ctx)
	}
	lease, until, err := s.acquire(ctx, p.Connection, LeaseRun, p.Wait)
	if err != nil {
		return nil, fmt.Errorf("shopifysync: %w", err)
	}
	r.lease = lease
	ctx, stop := s.keepLease(ctx, lease, until)
	defer stop()
	if err := r.startOrResume(ctx); err != nil {
		if ctx.Err() != nil {
			err = contextError(ctx)
		}
		s.release(ctx, lease)
		return nil, fmt.Errorf("shopifysync: %w", err)
	}
	return r.do(ctx)
}

// A run is one call of Sync.
type run struct {
	writer // its marks are those that were open when the run began
	params SyncParams
	admin  *admin
	lease  Lease // zero in a dry run
	began  time.Time

	record Run        // saved at checkpoints; its Report is the pipeline's to change
	at     checkpoint // how far it is
	saved  time.Time

	pageSize int  // customers to ask for at once
	readable bool // personal data is known to be shown

	seen    idset.Set // every customer counted so far
	resumed bool      // going on inside a bulk file that another process began
	covered idRange   // what that process's pages went over
	pages   bool      // some rows came by pages
	bulk    bool      // some rows came by bulk

	pipe  *pipeline
	meter *meter
}

// A checkpoint is what another process needs to go on.
type checkpoint struct {
	Identity  string     `json:"identity"` // see run.identity
	Requested string     `json:"requested"`
	Served    string     `json:"served"`
	Bulk      string     `json:"bulk,omitempty"` // id of the bulk operation
	Offset    int64      `json:"offset"`         // every line of the file below it is committed
	High      CustomerID `json:"high"`           // pages are committed from High down to Low
	Low       CustomerID `json:"low"`
	Masked    FieldSet   `json:"masked"` // refused on pages, so in the bulk file too
	Total     int64      `json:"total"`
	// Began is when Shopify was first asked in the run, by its own clock, or when
	// the bulk operation that was read was begun, if that is earlier.
	Began time.Time `json:"began"`
}

// startOrResume makes the run's record, and closes that of a run that was cut
// off and cannot be resumed.
func (r *run) startOrResume(ctx context.Context) error {
	last, err := r.s.state.Runs(ctx, RunsParams{Connection: r.conn.ID, Limit: 1})
	if err != nil {
		return storeError("read the runs", err)
	}
	r.start(last.Runs)
	for _, old := range last.Runs {
		if old.ID == r.record.ID || !old.cutOff() {
			continue
		}
		old.State, old.Error, old.Checkpoint = RunFailed, "it was cut off; another run began from the start", nil
		old.Report.EndedAt = old.UpdatedAt
		if _, err := r.s.state.SaveRun(ctx, SaveRunParams{Lease: r.lease, Run: old}); err != nil {
			return storeError("save the run", err)
		}
	}
	return nil
}

// cutOff reports whether the run, whose lease is another's by now, did not end.
func (r *Run) cutOff() bool {
	return r.State == RunRunning || r.State == RunPaused || r.State == RunCancelled
}

// start makes the run's record, from the last one if that can be resumed.
func (r *run) start(last []Run) {
	r.at.Identity = r.identity()
	r.at.Requested = r.conn.apiVersion()
	now := r.s.now().UTC().Truncate(time.Millisecond)
	if len(last) > 0 {
		old := last[0]
		var at checkpoint
		if old.cutOff() && now.Sub(old.StartedAt) < maxResumeAge && json.Unmarshal(old.Checkpoint, &at) == nil &&
			at.Identity == r.at.Identity && at.Requested == r.at.Requested && at.Bulk != "" {
			r.record, r.at = old, at
			r.readable = true // or it would have come to no bulk operation
			r.record.State, r.record.Error = RunRunning, ""
			r.record.Checkpoint = nil // save makes a new one
			r.record.Report.Resumed, r.record.Report.EndedAt = true, time.Time{}
			return
		}
	}
	r.record = Run{ID: newID(), Connection: r.conn.ID, State: RunRunning, StartedAt: now}
	r.record.Report = r.emptyReport()
}

// identity tells runs apart that cannot go on with each other's rows: by what
// they ask for and what contacts are made by, functions aside.
func (r *run) identity() string {
	whatsApp, _ := json.Marshal(r.conn.WhatsApp) // never fails
	m := r.s.mapping
	return hash(fmt.Sprintf("%s %s %d %t", r.admin.bulkQueries(), whatsApp, m.NameOrder, m.AddressPhone))
}

func (r *run) emptyReport() Report {
	return Report{
		RunID: r.record.ID, Connection: r.conn.ID, StartedAt: r.record.StartedAt,
		Resumed: r.record.Report.Resumed, DryRun: r.dryRun,
	}
}

// errPaused ends a run whose budget is used up.
var errPaused = errors.New("budget used up")

// do is the run between its hooks.
func (r *run) do(ctx context.Context) (*Report, error) {
	if hook := r.s.hooks.SyncStart; hook != nil {
		ctx = hook(ctx, SyncStartInfo{
			Connection: r.conn.ID, RunID: r.record.ID, DryRun: r.dryRun, Resumed: r.record.Report.Resumed,
		})
	}
	report, err := r.finish(ctx, r.steps(ctx))
	if hook := r.s.hooks.SyncEnd; hook != nil {
		hook(ctx, SyncEndInfo{Report: *report, Err: err})
	}
	return report, err
}

// steps are what a run does: read, prove, sweep.
func (r *run) steps(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.meter = newMeter(r.params.OnProgress, r.at.Total)
	r.pipe = r.newPipeline(ctx, cancel)
	defer r.pipe.close()
	err := r.phases(ctx)
	if ctx.Err() != nil { // a writer's error says more than what it broke
		return context.Cause(ctx)
	}
	if flushErr := r.pipe.flush(); flushErr != nil {
		return flushErr
	}
	// What was read is true, whether or not everything was.
	r.pipe.snapshot()
	if clearErr := r.clearMarks(ctx, r.pipe.settled); clearErr != nil {
		return clearErr
	}
	if err == nil {
		r.noteShared(ctx)
		r.record.Report.Complete = true
		r.meter.phase(PhaseDone)
	}
	return err
}

func (r *run) phases(ctx context.Context) error {
	r.meter.phase(PhaseConnecting)
	if err := r.loadMarks(ctx); err != nil {
		return err
	}
	if err := r.save(ctx); err != nil {
		return err
	}
	if _, err := r.admin.checkShop(ctx); err != nil {
		return err
	}
	if r.at.Began.IsZero() {
		r.at.Began = r.admin.began
	}
	if err := r.letMarksAge(ctx); err != nil {
		return err
	}
	if err := r.read(ctx); err != nil {
		return err
	}
	if err := r.pipe.flush(); err != nil {
		return err
	}
	r.meter.phase(PhaseProving)
	gone, err := r.prove(ctx)
	if err != nil {
		return err
	}
	r.meter.phase(PhaseSweeping)
	if err := r.sweep(ctx, gone); err != nil {
		return err
	}
	return nil
}

// marksAge is how long a run with a backlog of marks waits before it reads.
// Marks tell of changes before they were read. A drain that had not seen those
// may still be about to store what it fetched, with a date up to blur too late;
// what the run reads must bear a later one, although its own dates are up to
// blur too early and a bulk operation's has whole seconds.
const marksAge = 2*blur + time.Second

// letMarksAge sets from when on what the run reads answers the open marks. It
// waits until then if they are so many that drains should be spared them; a few
// are not worth it while somebody waits for the first contacts. Of a run that
// is resumed the bulk file is older in any case.
func (r *run) letMarksAge(ctx context.Context) error {
	r.asked = r.admin.began
	r.since = latest(r.admin.began, r.admin.elapsed).Add(blur)
	if len(r.marks) < minBacklog || r.at.Bulk != "" {
		return nil
	}
	return sleep(ctx, marksAge)
}

// finish saves the run's end and gives its lease back.
func (r *run) finish(ctx context.Context, err error) (*Report, error) {
	report := &r.record.Report
	report.EndedAt = r.s.now().UTC().Truncate(time.Millisecond)
	report.ServedVersion = r.admin.served
	report.Source = r.source()
	if err != nil && ctx.Err() != nil { // the caller's end, or the lease's, says more than what it broke
		err = contextError(ctx)
	}
	var host *hostError
	switch {
	case err == nil:
		r.record.State = RunCompleted
	case errors.Is(err, errPaused):
		r.record.State, err = RunPaused, nil
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrCancelled):
		r.record.State = RunCancelled
	case ctx.Err() != nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrThrottled):
		r.record.State = RunPaused
	case errors.As(err, &host) && !errors.Is(err, ErrNotConnected):
		r.record.State = RunPaused
	default:
		r.record.State = RunFailed
	}
	if err != nil {
		r.record.Error = err.Error()
		r.s.logger.WarnContext(ctx, "sync ended early", "connection", string(r.conn.ID), "run", r.record.ID, "error", err)
	} else {
		r.s.logger.InfoContext(ctx, "sync ended", "connection", string(r.conn.ID), "run", r.record.ID,
			"complete", report.Complete, "seen", report.Seen, "created", report.Created, "updated", report.Updated,
			"failed", report.Failed, "removed", report.RemovedTotal())
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	saveErr := r.save(last)
	if err == nil {
		err = saveErr
	}
	if !r.dryRun {
		r.noteEnd(last, err)
		r.s.release(ctx, r.lease)
	}
	cancel()
	if err != nil {
		err = fmt.Errorf("shopifysync: sync of %s: %w", r.conn.Shop, err)
	}
	out := *report
	return &out, err
}

// noteEnd remembers with the connection what its run came to.
func (r *run) noteEnd(ctx context.Context, outcome error) {
	now := r.s.millis()
	report := &r.record.Report
	_, err := r.s.changeState(ctx, r.conn.ID, func(st *ConnectionState) bool {
		if st.Disconnected != nil {
			return false
		}
		st.note(outcome, now)
		st.TriedAt = now
		if st.ShopID == "" {
			st.ShopID = r.admin.shopID
		}
		if r.readable && !errors.Is(outcome, ErrProtectedData) {
			st.Health.PersonalData = DataReadable
		}
		if report.Complete {
			st.RunAt, st.Customers, st.CountedAt = now, report.Seen, now
			st.InStepAsOf = r.at.Began
			if st.CaughtUpTo.Before(st.InStepAsOf) {
				st.CaughtUpTo = st.InStepAsOf
			}
		}
		return true
	})
	if err != nil {
		r.s.logger.WarnContext(ctx, "what the sync came to was not saved with the connection", "connection", string(r.conn.ID), "error", err)
	}
}

// checkpoint saves how far the run is, if that is due, and ends it if its
// budget is used up.
func (r *run) checkpoint(ctx context.Context) error {
	if time.Since(r.saved) < checkpointEvery {
		return nil
	}
	if err := r.save(ctx); err != nil {
		return err
	}
	if b := r.params.Budget; b > 0 && r.s.now().Sub(r.began) >= b {
		return errPaused
	}
	return nil
}

// save writes the run's record.
func (r *run) save(ctx context.Context) error {
	r.saved = time.Now()
	r.pipe.snapshot()
	if r.dryRun {
		return nil
	}
	if r.admin.served != "" { // else the run has not asked Shopify yet, and may resume one that had
		r.at.Served = r.admin.served
	}
	record := r.record
	record.UpdatedAt = r.s.now().UTC().Truncate(time.Millisecond)
	record.Progress = r.meter.progress()
	if record.cutOff() {
		var err error
		if record.Checkpoint, err = json.Marshal(r.at); err != nil {
			return err
		}
	}
	if _, err := r.s.state.SaveRun(ctx, SaveRunParams{Lease: r.lease, Run: record}); err != nil {
		return storeError("save the run", err)
	}
	return nil
}

// maxRunMarks bounds how many open marks a run answers; the rest are for drains.
const maxRunMarks = 100_000

// loadMarks remembers which marks are open: what the run reads from now on
// answers them as well as a drain would.
func (r *run) loadMarks(ctx context.Context) error {
	if r.dryRun {
		return nil
	}
	r.marks = make(map[CustomerID]Mark)
	p := MarksParams{Connection: r.conn.ID, Limit: 5000}
	for len(r.marks) < maxRunMarks {
		page, err := r.s.state.Marks(ctx, p)
		if err != nil {
			return storeError("read the marks", err)
		}
		for _, m := range page.Marks {
			r.marks[m.CustomerID] = m
			p.After = m.CustomerID
		}
		if len(page.Marks) < p.Limit {
			break
		}
	}
	return nil
}

// clearMarks clears marks that were answered, unless they were put again since.
func (w *writer) clearMarks(ctx context.Context, marks []Mark) error {
	for chunk := range slices.Chunk(marks, maxIDs) {
		if _, err := w.s.state.ClearMarks(ctx, ClearMarksParams{Connection: w.conn.ID, Marks: chunk}); err != nil {
			return storeError("clear marks", err)
		}
	}
	return nil
}

// acquire takes a lease, waiting for it that long. It is held until the time
// returned, at least. If the connection was disconnected meanwhile, perhaps by
// another process, the error is [ErrNotConnected].
func (s *Syncer) acquire(ctx context.Context, id ConnectionID, kind LeaseKind, wait time.Duration) (Lease, time.Time, error) {
	lease, until, err := s.takeLease(ctx, id, kind, wait)
	if err != nil && !errors.Is(err, ErrSyncInProgress) {
		return lease, until, err
	}
	st, stateErr := s.readState(ctx, id)
	switch {
	case stateErr == nil && st.Disconnected == nil:
		return lease, until, err
	case stateErr == nil:
		stateErr = ErrNotConnected
	}
	if err == nil {
		s.release(ctx, lease)
	}
	return Lease{}, time.Time{}, ended(ctx, stateErr)
}

// takeLease is acquire for whatever the connection's state is.
func (s *Syncer) takeLease(ctx context.Context, id ConnectionID, kind LeaseKind, wait time.Duration) (Lease, time.Time, error) {
	host, _ := os.Hostname()
	owner := fmt.Sprintf("%s:%d", host, os.Getpid())
	deadline := time.Now().Add(wait)
	for {
		asked := time.Now()
		got, err := s.state.AcquireLease(ctx, AcquireLeaseParams{Connection: id, Kind: kind, Owner: owner, TTL: s.leaseTTL})
		switch {
		case err == nil:
			return got.Lease, asked.Add(s.leaseTTL), nil
		case ctx.Err() != nil:
			return Lease{}, time.Time{}, contextError(ctx)
		case !errors.Is(err, ErrLeaseHeld):
			return Lease{}, time.Time{}, storeError("take the lease", err)
		case !time.Now().Before(deadline):
			return Lease{}, time.Time{}, ErrSyncInProgress
		}
		if sleep(ctx, min(time.Until(deadline), 500*time.Millisecond)) != nil {
			return Lease{}, time.Time{}, contextError(ctx)
		}
	}
}

// keepLease renews the lease, which is held until then, until stop is called.
// The context that it returns ends with the lease, so that no store call
// outlives it, whatever becomes of the renewals.
//
// It also ends, with [ErrNotConnected] as its cause, at the renewal that finds
// the connection disconnected: perhaps by another process, which waits for the
// lease.
func (s *Syncer) keepLease(ctx context.Context, lease Lease, until time.Time) (context.Context, func()) {
	return s.holdLease(ctx, lease, until, func(st *ConnectionState) bool { return st.Disconnected != nil })
}

// holdLease is keepLease with another view of when the connection is
// disconnected; nil: it does not matter.
func (s *Syncer) holdLease(ctx context.Context, lease Lease, until time.Time, disconnected func(*ConnectionState) bool) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	expiry := time.AfterFunc(time.Until(until), func() { cancel(ErrLeaseLost) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sleep(ctx, s.leaseTTL/3) == nil {
			asked := time.Now()
			err := s.renew(ctx, lease)
			switch {
			case err == nil:
				expiry.Reset(time.Until(asked.Add(s.leaseTTL)))
				if disconnected != nil && s.stateIs(ctx, lease.Connection, disconnected) {
					cancel(ErrNotConnected)
				}
				continue
			case errors.Is(err, ErrLeaseLost):
				cancel(ErrLeaseLost)
			}
			s.logger.WarnContext(ctx, "the lease was not renewed", "connection", string(lease.Connection), "kind", string(lease.Kind), "error", err)
		}
	}()
	return ctx, func() {
		expiry.Stop()
		cancel(nil)
		<-done
	}
}

// stateIs reports what is says of a connection's state; false if that cannot be
// read.
func (s *Syncer) stateIs(ctx context.Context, id ConnectionID, is func(*ConnectionState) bool) bool {
	var st ConnectionState
	err := s.protect(ctx, "store: read the connection's state", func() (err error) {
		st, err = s.readState(ctx, id)
		return err
	})
	if err != nil && ctx.Err() == nil {
		s.logger.WarnContext(ctx, "the connection's state was not read", "connection", string(id), "error", err)
	}
	return err == nil && is(&st)
}

func (s *Syncer) renew(ctx context.Context, lease Lease) error {
	return s.protect(ctx, "store: renew the lease", func() error {
		if _, err := s.state.RenewLease(ctx, RenewLeaseParams{Lease: lease, TTL: s.leaseTTL}); err != nil {
			return storeError("renew the lease", err)
		}
		return nil
	})
}

// release gives the lease back, also when ctx has ended.
func (s *Syncer) release(ctx context.Context, lease Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if _, err := s.state.ReleaseLease(ctx, ReleaseLeaseParams{Lease: lease}); err != nil {
		s.logger.WarnContext(ctx, "the lease was not given back and must expire",
			"connection", string(lease.Connection), "error", storeError("give the lease back", err))
	}
}

func newID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// An idRange is the ids from low to high, none if high is 0.
type idRange struct{ low, high CustomerID }

func (r idRange) has(id CustomerID) bool { return r.high != 0 && r.low <= id && id <= r.high }

func (r *run) source() string {
	switch {
	case r.pages && r.bulk:
		return "pages+bulk"
	case r.bulk:
		return "bulk"
	}
	return "pages"
}
