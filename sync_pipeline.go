package shopifysync

import (
	"context"
	"sync"
)

// A batch is some customers as they were read, each not counted before.
type batch struct {
	records   []observed
	offset    int64 // of a bulk file: every line below it is in this batch or an earlier one
	high, low CustomerID
	// covered: the pages of the process before this one went over these ids, so
	// they are counted already; only one that proves to be new is not.
	covered bool
	seq     int
}

// A tally is what became of a batch.
type tally struct {
	seen, created, updated, unchanged, stale int64
	skipped                                  map[string]int64
	removed                                  map[RemovalReason]int64
	failures                                 []Failure
	settled                                  []Mark // answered: to be cleared
	whatsApp                                 map[WhatsAppResult]int64
	unusable                                 []Failure // at most MaxFailures
	masked                                   FieldSet
	offset                                   int64
	high, low                                CustomerID
}

// A pipeline maps and writes batches on several goroutines, and folds their
// tallies into the run in the order in which the batches were read, so that a
// checkpoint never covers a batch that is not committed.
type pipeline struct {
	r      *run
	w      *writer
	ctx    context.Context
	cancel context.CancelCauseFunc
	work   chan batch
	done   sync.WaitGroup // writers
	open   sync.WaitGroup // batches
	next   int            // seq of the next batch to submit

	mu      sync.Mutex
	waiting map[int]tally
	folded  int // seq of the next batch to fold
	total   tally
	settled []Mark
}

func (r *run) newPipeline(ctx context.Context, cancel context.CancelCauseFunc) *pipeline {
	p := &pipeline{r: r, w: &r.writer, ctx: ctx, cancel: cancel, work: make(chan batch), waiting: make(map[int]tally)}
	for range r.s.writers {
		p.done.Go(p.write)
	}
	return p
}

// submit hands a batch to the writers; it waits while all are busy.
func (p *pipeline) submit(b batch) error {
	b.seq = p.next
	p.next++
	p.open.Add(1)
	select {
	case p.work <- b:
		return nil
	case <-p.ctx.Done():
		p.open.Done()
		return context.Cause(p.ctx)
	}
}

// flush waits until every batch is written.
func (p *pipeline) flush() error {
	p.open.Wait()
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	return nil
}

// close ends the writers.
func (p *pipeline) close() {
	p.cancel(nil)
	close(p.work)
	p.done.Wait()
}

func (p *pipeline) write() {
	for b := range p.work {
		if p.ctx.Err() == nil {
			err := p.r.s.protect(p.ctx, "write contacts", func() error {
				t, err := p.w.writeBatch(p.ctx, b)
				if err == nil {
					p.fold(b.seq, t)
				}
				return err
			})
			if err != nil {
				p.cancel(err)
			}
		}
		p.open.Done()
	}
}

// fold adds a tally once those of all earlier batches are in.
func (p *pipeline) fold(seq int, t tally) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[seq] = t
	for {
		t, ok := p.waiting[p.folded]
		if !ok {
			break
		}
		delete(p.waiting, p.folded)
		p.folded++
		p.total.add(t)
	}
	p.r.meter.done(p.r.record.Report.Seen + p.total.seen)
}

func (t *tally) add(o tally) {
	t.seen += o.seen
	t.created += o.created
	t.updated += o.updated
	t.unchanged += o.unchanged
	t.stale += o.stale
	t.skipped = addReasons(t.skipped, o.skipped)
	t.removed = addCounts(t.removed, o.removed)
	t.failures = append(t.failures, o.failures...)
	t.settled = append(t.settled, o.settled...)
	t.whatsApp = addCounts(t.whatsApp, o.whatsApp)
	t.unusable = addUnusable(t.unusable, o.unusable)
	t.masked |= o.masked
	t.offset = max(t.offset, o.offset)
	t.high = max(t.high, o.high)
	if o.low != 0 && (t.low == 0 || o.low < t.low) {
		t.low = o.low
	}
}

// snapshot moves what is folded so far into the run's record and checkpoint.
func (p *pipeline) snapshot() {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.total
	report, at := &p.r.record.Report, &p.r.at
	report.Seen += t.seen
	report.Created += t.created
	report.Updated += t.updated
	report.Unchanged += t.unchanged
	report.Stale += t.stale
	report.Failed += int64(len(t.failures))
	for _, f := range t.failures {
		if len(report.Failures) < MaxFailures {
			report.Failures = append(report.Failures, f)
		}
	}
	report.Skipped = addReasons(report.Skipped, t.skipped)
	report.Removed = addCounts(report.Removed, t.removed)
	report.WhatsApp = addCounts(report.WhatsApp, t.whatsApp)
	report.WhatsAppUnusable = addUnusable(report.WhatsAppUnusable, t.unusable)
	report.Masked |= t.masked
	p.settled = append(p.settled, t.settled...)
	at.Offset = max(at.Offset, t.offset)
	at.High = max(at.High, t.high)
	if t.low != 0 && (at.Low == 0 || t.low < at.Low) {
		at.Low = t.low
	}
	p.total = tally{}
}

// addUnusable lists no more than a report may.
func addUnusable(to, from []Failure) []Failure {
	return append(to, from[:min(len(from), MaxFailures-len(to))]...)
}

// addCounts returns a new map: reports that were handed out must not change.
func addCounts[K comparable](to, from map[K]int64) map[K]int64 {
	if len(from) == 0 {
		return to
	}
	out := make(map[K]int64, len(to)+len(from))
	for k, n := range to {
		out[k] = n
	}
	for k, n := range from {
		out[k] += n
	}
	return out
}

// maxSkipReasons keeps a mapper that writes data into its reasons from filling
// the report; those beyond it are counted as "other".
const maxSkipReasons = 50

func addReasons(to, from map[string]int64) map[string]int64 {
	out := addCounts(nil, to)
	for reason, n := range from {
		if _, known := out[reason]; !known && len(out) >= maxSkipReasons {
			reason = "other"
		}
		if out == nil {
			out = make(map[string]int64)
		}
		out[reason] += n
	}
	return out
}
