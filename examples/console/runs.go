package main

import (
	"context"
	"errors"
	"sync"

	"github.com/omnichat/shopifysync"
)

// runs are the runs of this process, a page's or Serve's own, as the library's
// hooks tell of them, and what those came to that nobody has seen the end of.
type runs struct {
	changed func()

	mu    sync.Mutex
	now   map[string]*liveRun // by the run's id
	ended map[shopifysync.ConnectionID]shopifysync.SyncEndInfo
}

type liveRun struct {
	connection shopifysync.ConnectionID
	dry        bool
	cancel     context.CancelCauseFunc
	work
}

func newRuns(changed func()) *runs {
	return &runs{changed: changed, now: make(map[string]*liveRun), ended: make(map[shopifysync.ConnectionID]shopifysync.SyncEndInfo)}
}

// begin is the hook SyncStart: its context lets a page cancel the run, whoever
// began it.
func (r *runs) begin(ctx context.Context, info shopifysync.SyncStartInfo) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now[info.RunID] = &liveRun{connection: info.Connection, dry: info.DryRun, cancel: cancel, work: work{make(chan struct{})}}
	if !info.DryRun {
		delete(r.ended, info.Connection)
	}
	return ctx
}

// askedFor marks the context of a run that somebody asked for.
type askedFor struct{}

// end is the hook SyncEnd. Of the daily runs that Serve begins by itself nobody
// wants to be told, but of one that it resumed.
func (r *runs) end(ctx context.Context, info shopifysync.SyncEndInfo) {
	tell := !info.Report.DryRun && (ctx.Value(askedFor{}) != nil || info.Report.Resumed)
	r.mu.Lock()
	if one := r.now[info.Report.RunID]; one != nil {
		one.cancel(nil)
		close(one.done)
		delete(r.now, info.Report.RunID)
	}
	// Who cancels a run knows, and one that was cut off goes on by itself.
	if tell && !errors.Is(info.Err, context.Canceled) && !errors.Is(info.Err, shopifysync.ErrNotConnected) {
		r.ended[info.Report.Connection] = info
	}
	r.mu.Unlock()
	r.changed()
}

// any reports whether a run goes on.
func (r *runs) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.now) > 0
}

// of returns the connection's run that writes, or nil.
func (r *runs) of(id shopifysync.ConnectionID) *liveRun {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.now {
		if one.connection == id && !one.dry {
			return one
		}
	}
	return nil
}

// unseen returns what the connection's last run came to, if nobody saw it yet.
func (r *runs) unseen(id shopifysync.ConnectionID) (info shopifysync.SyncEndInfo, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, ok = r.ended[id]
	return info, ok
}

// seen notes that somebody saw it.
func (r *runs) seen(id shopifysync.ConnectionID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ended, id)
}
