package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
)

// jobs runs syncs, and the ends of connections, behind the pages: a page that
// is closed does not end them.
type jobs struct {
	syncer  *shopifysync.Syncer
	changed func()
	log     *slog.Logger
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup

	mu   sync.Mutex
	last map[shopifysync.ConnectionID]*job
	ends map[shopifysync.ConnectionID]*ending
}

func newJobs(s *shopifysync.Syncer, changed func(), log *slog.Logger) *jobs {
	j := &jobs{
		syncer: s, changed: changed, log: log,
		last: make(map[shopifysync.ConnectionID]*job), ends: make(map[shopifysync.ConnectionID]*ending),
	}
	j.ctx, j.stop = context.WithCancel(context.Background())
	return j
}

// close cancels what runs and waits for its end.
func (j *jobs) close() {
	j.stop()
	j.wg.Wait()
}

// A work is something that goes on behind the pages.
type work struct{ done chan struct{} } // closed at the end

func (w work) running() bool {
	select {
	case <-w.done:
		return false
	default:
		return true
	}
}

// wait waits a while for the end.
func (w work) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// An ending is a disconnection that a page asked for.
type ending struct {
	work
	err error // once it is done
}

// end begins a disconnection, or returns the one that is under way.
func (j *jobs) end(id shopifysync.ConnectionID, disconnect func(context.Context) error) *ending {
	j.mu.Lock()
	defer j.mu.Unlock()
	if old := j.ends[id]; old != nil && old.running() {
		return old
	}
	one := &ending{work: work{make(chan struct{})}}
	j.ends[id] = one
	j.wg.Go(func() {
		one.err = disconnect(j.ctx)
		close(one.done)
		j.changed()
	})
	return one
}

// ending returns the connection's latest disconnection, or nil.
func (j *jobs) ending(id shopifysync.ConnectionID) *ending {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ends[id]
}

// A job is one sync that a page started.
type job struct {
	work
	params  shopifysync.SyncParams
	started time.Time
	cancel  context.CancelCauseFunc

	mu       sync.Mutex
	progress shopifysync.Progress
	report   *shopifysync.Report
	err      error
}

// start begins a sync, or returns the one that is running.
func (j *jobs) start(p shopifysync.SyncParams) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	if old := j.last[p.Connection]; old != nil && old.running() {
		return old
	}
	ctx, cancel := context.WithCancelCause(j.ctx)
	one := &job{work: work{make(chan struct{})}, params: p, started: time.Now(), cancel: cancel}
	j.last[p.Connection] = one
	p.OnProgress = func(now shopifysync.Progress) {
		one.mu.Lock()
		one.progress = now
		one.mu.Unlock()
		j.changed()
	}
	j.wg.Go(func() {
		report, err := j.syncer.Sync(context.WithValue(ctx, askedFor{}, true), p)
		one.mu.Lock()
		one.report, one.err = report, err
		one.mu.Unlock()
		cancel(nil)
		if report == nil && errors.Is(err, shopifysync.ErrSyncInProgress) {
			j.drop(p.Connection, one) // Serve, or another process, is at it: that run is the one to show
		}
		if report == nil && problemOf(languages[0], err).Key == "unknown" { // what a run ends with the library logs
			j.log.Error("a sync did not begin", "connection", string(p.Connection), "error", err)
		}
		close(one.done)
		j.changed()
	})
	return one
}

// drop forgets a job that came to nothing.
func (j *jobs) drop(id shopifysync.ConnectionID, one *job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.last[id] == one {
		delete(j.last, id)
	}
}

// of returns the connection's latest job, or nil.
func (j *jobs) of(id shopifysync.ConnectionID) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last[id]
}

// forget drops what is known of a connection's last sync and its end.
func (j *jobs) forget(id shopifysync.ConnectionID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.last, id)
	delete(j.ends, id)
}

// now returns how far the job is, or what it came to.
func (o *job) now() (shopifysync.Progress, *shopifysync.Report, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.progress, o.report, o.err
}

// changes tells any number of listeners that something happened.
type changes struct {
	mu   sync.Mutex
	next chan struct{}
}

func newChanges() *changes { return &changes{next: make(chan struct{})} }

func (c *changes) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.next)
	c.next = make(chan struct{})
}

// wait returns a channel that is closed at the next change.
func (c *changes) wait() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}
