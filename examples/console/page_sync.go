package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/omnichat/shopifysync"
)

// straight is how long a page waits for a sync to end before it shows the
// progress: a small store goes straight to its result.
const straight = 1500 * time.Millisecond

// A runView is a sync that runs, or what one came to.
type runView struct {
	Progress   shopifysync.Progress
	Report     shopifysync.Report
	State      shopifysync.RunState
	Running    bool
	Cancelable bool // it is this process that runs it
	Preview    bool // a dry run
	Retry      bool // of failed records alone
	Problem    *problem
	Confirm    string // the run whose mass removal may be confirmed; empty: none
}

func (v *runView) Percent() int64 {
	if v.Progress.Total <= 0 {
		return 0
	}
	return min(100, v.Progress.Done*100/v.Progress.Total)
}

// Unchanged counts customers whom nothing newer was known of.
func (v *runView) Unchanged() int64 { return v.Report.Unchanged + v.Report.Stale }

// NothingNew reports whether the sync saw that every customer was synced before,
// EmptyStore whether there was none to see.
func (v *runView) NothingNew() bool {
	return v.Finished() && !v.Retry && v.Report.Seen > 0 && v.Report.Created == 0 && v.Report.Failed == 0
}

func (v *runView) EmptyStore() bool {
	return v.Finished() && !v.Retry && v.Report.Seen == 0 && v.Report.RemovedTotal() == 0
}

// Finished reports whether the sync went through.
func (v *runView) Finished() bool { return v.State == shopifysync.RunCompleted && !v.Running }

// Paused reports whether the next sync goes on with it.
func (v *runView) Paused() bool {
	return (v.State == shopifysync.RunPaused || v.State == shopifysync.RunCancelled) && !v.Running
}

// Tone is the colour of the state.
func (v *runView) Tone() string {
	switch {
	case v.Running:
		return "wait"
	case v.State == shopifysync.RunCompleted:
		return "good"
	case v.Paused():
		return "wait"
	}
	return "bad"
}

// latest returns the sync that a page is about: the one that runs, or the last
// one; nil if there was none.
func (c *console) latest(r *http.Request, p *page, id shopifysync.ConnectionID, status *shopifysync.Status) (*runView, error) {
	j := c.jobs.of(id)
	if len(status.Runs) == 0 {
		if j == nil {
			return nil, nil
		}
		return viewOfJob(p, j), nil
	}
	last := status.Runs[0]
	if j != nil && (j.running() || status.Running == nil) { // else another process, or Serve, is at it
		_, report, _ := j.now()
		same := report != nil && report.RunID == last.ID
		if j.running() || same || !last.StartedAt.After(j.started) { // the record is no newer
			return viewOfJob(p, j), nil
		}
	}
	v := viewOfRun(p, last, status)
	v.Cancelable = v.Running && c.runs.of(id) != nil
	return v, nil
}

// massRemoval returns what the store's last run would have removed, if that is
// waiting for somebody to confirm it: of an older run it is answered already.
func massRemoval(status *shopifysync.Status, run string) *shopifysync.MassRemovalError {
	if len(status.Runs) == 0 || status.Runs[0].ID != run || status.Runs[0].State != shopifysync.RunFailed {
		return nil
	}
	return status.Runs[0].Report.MassRemoval
}

// shareOf is the share of the contacts that covers those who were shown, and a
// few who went meanwhile.
func shareOf(m *shopifysync.MassRemovalError) float64 {
	few := max(5, m.Unseen/20)
	return min(1, float64(m.Unseen+few)/float64(max(1, m.Contacts)))
}

func viewOfJob(p *page, j *job) *runView {
	progress, report, err := j.now()
	v := &runView{Progress: progress, Running: j.running(), Cancelable: true, Preview: j.params.DryRun, Retry: j.params.FailedOnly, State: shopifysync.RunRunning}
	if report != nil {
		v.Report = *report
	} else {
		v.Report.StartedAt = j.started
	}
	if v.Running {
		return v
	}
	switch {
	case err == nil:
		v.State = shopifysync.RunCompleted
	case errors.Is(err, shopifysync.ErrCancelled):
		v.State = shopifysync.RunCancelled
	case errors.Is(err, context.Canceled) || errors.Is(err, shopifysync.ErrUnavailable) || errors.Is(err, shopifysync.ErrThrottled):
		v.State = shopifysync.RunPaused
	default:
		v.State = shopifysync.RunFailed
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		v.Problem = problemOf(p.T, err)
	}
	v.finish(p)
	return v
}

func viewOfRun(p *page, run shopifysync.Run, status *shopifysync.Status) *runView {
	v := &runView{Progress: run.Progress, Report: run.Report, State: run.State}
	v.Running = status.Running != nil && status.Running.ID == run.ID
	switch {
	case run.State == shopifysync.RunRunning && !v.Running: // its process is gone
		v.State = shopifysync.RunPaused
	case run.State == shopifysync.RunFailed, run.State == shopifysync.RunPaused && problemOfText(p.T, run.Error).Key != "unknown":
		v.Problem = problemOfText(p.T, run.Error)
	}
	v.finish(p)
	return v
}

// finish leads a problem to where it is mended.
func (v *runView) finish(p *page) {
	if v.Problem == nil {
		return
	}
	switch v.Problem.Field {
	case "shop", "token", "api_key":
		v.Problem.Link, v.Problem.LinkText = p.Store.To("/edit"), p.T.EditConnection
	}
}

func (c *console) syncPage(w http.ResponseWriter, r *http.Request) error {
	p, conn, status, err := c.storePage(r, "sync")
	if err != nil {
		return err
	}
	if p.Run, err = c.latest(r, p, conn.ID, status); err != nil {
		return err
	}
	if p.Run != nil && !p.Run.Running { // here it is
		c.runs.seen(conn.ID)
		p.Told = nil
	}
	if p.Run != nil && massRemoval(status, p.Run.Report.RunID) != nil {
		p.Run.Confirm = p.Run.Report.RunID
	}
	p.Title, p.Refresh = p.T.NavSync, p.Run != nil && p.Run.Running
	return c.show(w, r, "sync", p)
}

func (c *console) startSync(w http.ResponseWriter, r *http.Request) error {
	conn, err := c.storeOf(r)
	if err != nil {
		return err
	}
	params := shopifysync.SyncParams{Connection: conn.ID}
	switch r.PostFormValue("kind") {
	case "preview":
		params.DryRun = true
	case "failed":
		params.FailedOnly = true
	}
	if run := r.PostFormValue("confirm"); run != "" && r.PostFormValue("sure") != "" {
		status, err := c.syncer.Status(r.Context(), conn.ID)
		if err != nil {
			return err
		}
		if m := massRemoval(status, run); m != nil {
			params.MaxRemovedShare = shareOf(m)
		}
	}
	c.jobs.start(params).wait(r.Context(), straight)
	return seeOther(w, r, storePath(conn.ID, "/sync"))
}

func (c *console) cancelSync(w http.ResponseWriter, r *http.Request) error {
	conn, err := c.storeOf(r)
	if err != nil {
		return err
	}
	// With this cause Serve does not go on with it by itself.
	if one := c.runs.of(conn.ID); one != nil { // maybe Serve's
		one.cancel(shopifysync.ErrCancelled)
		one.wait(r.Context(), 5*time.Second)
	}
	if j := c.jobs.of(conn.ID); j != nil { // maybe one that has not begun
		j.cancel(shopifysync.ErrCancelled)
		j.wait(r.Context(), 5*time.Second)
	}
	return seeOther(w, r, storePath(conn.ID, "/sync"))
}

type historyBody struct {
	Runs   []*runView
	Status *shopifysync.Status
}

// maxRuns is how many runs the history lists.
const maxRuns = 50

func (c *console) history(w http.ResponseWriter, r *http.Request) error {
	p, conn, status, err := c.storePage(r, "history")
	if err != nil {
		return err
	}
	runs, err := c.store.Runs(r.Context(), shopifysync.RunsParams{Connection: conn.ID, Limit: maxRuns})
	if err != nil {
		return err
	}
	b := historyBody{Status: status}
	for _, run := range runs.Runs {
		b.Runs = append(b.Runs, viewOfRun(p, run, status))
	}
	p.Title, p.Body = p.T.NavHistory, b
	return c.show(w, r, "history", p)
}

// runPage shows one run of the history.
func (c *console) runPage(w http.ResponseWriter, r *http.Request) error {
	p, conn, status, err := c.storePage(r, "history")
	if err != nil {
		return err
	}
	runs, err := c.store.Runs(r.Context(), shopifysync.RunsParams{Connection: conn.ID, Limit: maxRuns})
	if err != nil {
		return err
	}
	for _, run := range runs.Runs {
		if run.ID == r.PathValue("run") {
			p.Run = viewOfRun(p, run, status)
			p.Title = p.T.SyncResult
			return c.show(w, r, "sync", p)
		}
	}
	return errNotFound
}
