package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/omnichat/shopifysync/internal/bulk"
	"github.com/omnichat/shopifysync/internal/idset"
	"github.com/omnichat/shopifysync/internal/shopify"
)

const (
	// maxBulkAttempts bounds how often a bulk operation that failed is started
	// anew while paging goes on.
	maxBulkAttempts = 3
	// bulkBusyWait is how long to leave a taken operation slot alone.
	bulkBusyWait = time.Minute
	// maxListings bounds how often the list is begun anew after a cursor was refused.
	maxListings = 3
	// firstPoll and lastPoll bound how often the operation is asked after.
	firstPoll, lastPoll = 500 * time.Millisecond, 10 * time.Second
)

// A bulkWatch follows the bulk operation beside the pages.
type bulkWatch struct {
	op       *bulkOperation // nil: none is running
	due      time.Time      // when to poll, or to start one
	interval time.Duration
	attempts int
	off      bool // no (further) bulk operation in this run
}

// read sees every customer once: by pages, and above the threshold by a bulk
// file as soon as Shopify has it ready. It returns nil only when one of the
// two was read from end to end.
func (r *run) read(ctx context.Context) error {
	var watch bulkWatch
	if r.at.Bulk != "" {
		done, err := r.resume(ctx, &watch)
		if done || err != nil {
			return err
		}
	}
	r.meter.phase(PhasePages)
	list := newListing()
	listings := 1
	for {
		if ready, err := r.watchBulk(ctx, &watch); err != nil {
			return err
		} else if ready != nil {
			err := r.readBulk(ctx, ready)
			if err == nil {
				return r.readNewest(ctx)
			}
			if !errors.Is(err, errBulkUnusable) {
				return err
			}
			// The pages go on, and perhaps another operation.
			if err := r.giveUpBulk(ctx, &watch, err.Error()); err != nil {
				return err
			}
			r.meter.phase(PhasePages)
		}
		page, err := r.page(ctx, list.cursor)
		switch {
		case isKind(err, shopify.InvalidQuery) && list.cursor != "":
			// A cursor that Shopify no longer takes: the list is begun anew, and
			// what was seen already is not counted again.
			if listings++; listings > maxListings {
				return fmt.Errorf("%w: %w", ErrIncomplete, err)
			}
			list = newListing()
			continue
		case err != nil:
			return err
		}
		if _, err := r.takePage(&list, page); err != nil {
			return err
		}
		if !page.more {
			return r.pagesEnded(ctx, &watch)
		}
		if err := r.wantBulk(ctx, &watch); err != nil {
			return err
		}
		if err := r.checkpoint(ctx); err != nil {
			return err
		}
	}
}

// page reads a page, a smaller one if Shopify finds it too expensive.
func (r *run) page(ctx context.Context, cursor string) (observedPage, error) {
	for {
		page, err := r.admin.page(ctx, r.pageSize, cursor)
		if isKind(err, shopify.MaxCost) && r.pageSize > 1 {
			r.pageSize = (r.pageSize + 1) / 2
			continue
		}
		if err != nil {
			return page, r.admin.explainDenied(ctx, err)
		}
		r.at.Masked |= page.masked
		return page, r.decide(page.records)
	}
}

// decide ends the run if it is not known that personal data is shown, and these
// customers, the first to be seen, say that it is not: nothing was written yet.
func (r *run) decide(records []observed) error {
	if r.readable {
		return nil
	}
	access := r.admin.personalData(records)
	if access == DataRefused {
		return ErrProtectedData
	}
	r.readable = access == DataReadable
	return nil
}

// A listing is one walk through the pages, the newest customer first.
type listing struct {
	cursor     string
	visited    map[string]bool // cursors
	lowest     CustomerID      // of the pages so far
	disorderly bool            // the ids did not come in descending order from the start
	stalled    bool            // the page before held nothing new
}

func newListing() listing { return listing{visited: map[string]bool{"": true}} }

// readNewest sees the customers who came after the bulk operation was started,
// which may have been hours ago: the newest pages, until one holds nobody new.
func (r *run) readNewest(ctx context.Context) error {
	list := newListing()
	for {
		page, err := r.page(ctx, list.cursor)
		if err != nil {
			return err
		}
		if fresh, err := r.takePage(&list, page); err != nil || fresh == 0 || !page.more {
			return err
		}
	}
}

// takePage hands on the customers of a page who were not seen before, tells
// how many those were, and moves the listing behind the page.
func (r *run) takePage(list *listing, page observedPage) (fresh int, err error) {
	b := batch{records: page.records[:0]}
	covered := batch{covered: true}
	descended := false
	for _, o := range page.records {
		id := o.customer.ID
		switch {
		case id == 0: // it cannot be told where it belongs
		case list.lowest != 0 && id >= list.lowest:
			list.disorderly = true
		default:
			list.lowest, b.low = id, id
			b.high = max(b.high, id)
			descended = true
		}
		switch {
		case !r.count(id):
		case r.covered.has(id):
			covered.records = append(covered.records, o)
		default:
			b.records = append(b.records, o)
		}
	}
	fresh = len(covered.records) + len(b.records)
	if list.disorderly { // then a range of ids says nothing about which were seen
		b.high, b.low = 0, 0
	}
	for _, b := range []batch{covered, b} {
		if len(b.records) == 0 {
			continue
		}
		r.pages = true
		if err := r.pipe.submit(b); err != nil {
			return 0, err
		}
	}
	if !page.more {
		return fresh, nil
	}
	progress := descended || fresh > 0
	if page.next == "" || list.visited[page.next] || !progress && list.stalled {
		return 0, fmt.Errorf("%w: Shopify's pages come again and do not end", ErrIncomplete)
	}
	list.stalled = !progress
	list.visited[page.next] = true
	list.cursor = page.next
	return fresh, nil
}

// count adds a customer to those seen; false if it was seen before.
func (r *run) count(id CustomerID) bool {
	if id == 0 { // it cannot be told from another one
		return true
	}
	return r.seen.Add(int64(id))
}

// pagesEnded: everything was seen, so a bulk operation that is still under way
// is not needed.
func (r *run) pagesEnded(ctx context.Context, watch *bulkWatch) error {
	if watch.op == nil {
		return nil
	}
	if err := r.admin.cancelBulk(ctx, watch.op.id); err != nil {
		r.s.logger.WarnContext(ctx, "the bulk operation was not cancelled", "connection", string(r.conn.ID), "error", err)
	}
	return r.forgetBulk(watch)
}

// giveUpBulk lets the pages do, and perhaps another operation.
func (r *run) giveUpBulk(ctx context.Context, watch *bulkWatch, why string) error {
	r.s.logger.WarnContext(ctx, "the bulk operation is given up; paging goes on", "connection", string(r.conn.ID), "reason", why)
	return r.forgetBulk(watch)
}

// forgetBulk takes the operation out of the checkpoint, once no batch of its
// file is under way that would bring its offset back.
func (r *run) forgetBulk(watch *bulkWatch) error {
	if err := r.pipe.flush(); err != nil {
		return err
	}
	r.pipe.snapshot()
	r.at.Bulk, r.at.Offset = "", 0
	watch.op = nil
	return nil
}

// beginAnew forgets what an earlier process counted: which customers those
// were is not known any more.
func (r *run) beginAnew() {
	r.record.Report = r.emptyReport()
	r.at.High, r.at.Low, r.at.Offset, r.at.Total = 0, 0, 0, 0
	r.at.Began = r.admin.began
	r.seen = idset.Set{}
	r.resumed, r.covered, r.pages, r.bulk = false, idRange{}, false, false
}

// wantBulk decides, after a page, whether a bulk operation is worth while.
func (r *run) wantBulk(ctx context.Context, watch *bulkWatch) error {
	if r.at.Total == 0 {
		n, ok, err := r.customersCount(ctx)
		if err != nil {
			return err
		}
		r.at.Total = -1
		if ok {
			r.at.Total = n
			r.meter.total(n)
		}
	}
	if watch.op == nil && !watch.off && !time.Now().Before(watch.due) &&
		(r.at.Total > r.s.bulkThreshold || int64(r.seen.Len()) >= r.s.bulkThreshold) {
		return r.startBulk(ctx, watch)
	}
	return nil
}

// customersCount asks how many customers there are; an app or version that may
// not ask only makes the proof weaker.
func (r *run) customersCount(ctx context.Context) (int64, bool, error) {
	n, ok, err := r.admin.count(ctx)
	if isKind(err, shopify.InvalidQuery) || errors.Is(err, ErrScopeMissing) || errors.Is(err, ErrProtectedData) {
		r.s.logger.WarnContext(ctx, "customersCount is not available", "connection", string(r.conn.ID), "error", err)
		return 0, false, nil
	}
	return n, ok, err
}

func (r *run) startBulk(ctx context.Context, watch *bulkWatch) error {
	if watch.attempts >= maxBulkAttempts {
		watch.off = true
		return nil
	}
	op, err := r.admin.startBulk(ctx, r.admin.began)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errBulkBusy):
		watch.due = time.Now().Add(bulkBusyWait)
		r.s.logger.InfoContext(ctx, "Shopify runs no further bulk operation now; paging goes on", "connection", string(r.conn.ID))
		return nil
	case err != nil:
		watch.attempts++
		watch.due = time.Now().Add(bulkBusyWait)
		r.s.logger.WarnContext(ctx, "the bulk operation was not started; paging goes on", "connection", string(r.conn.ID), "error", err)
		return nil
	}
	watch.attempts++
	watch.op = op
	watch.interval = firstPoll
	watch.due = time.Now().Add(firstPoll)
	if !r.bulk { // else another process could not tell which rows of an earlier file were counted
		r.at.Bulk, r.at.Offset = op.id, 0
	}
	return r.save(ctx)
}

// watchBulk polls the operation when that is due, or when a webhook says that
// it ended, and returns it once its file is ready.
func (r *run) watchBulk(ctx context.Context, watch *bulkWatch) (*bulkOperation, error) {
	if watch.op == nil || time.Now().Before(watch.due) && !r.s.sharedOf(r.conn.ID).bulkEnded.Swap(false) {
		return nil, nil
	}
	op, err := r.admin.pollBulk(ctx, watch.op.id)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	watch.interval = min(watch.interval*3/2, lastPoll)
	watch.due = time.Now().Add(watch.interval)
	switch {
	case err != nil: // what keeps paging from going on will say so itself
		r.s.logger.WarnContext(ctx, "the bulk operation could not be asked after", "connection", string(r.conn.ID), "error", err)
		return nil, nil
	case op == nil:
		return nil, r.giveUpBulk(ctx, watch, "Shopify no longer knows it")
	case op.status == "COMPLETED":
		return op, nil
	case op.ended():
		return nil, r.giveUpBulk(ctx, watch, op.status+" "+op.errorCode)
	}
	return nil, nil
}

// resume goes on with the operation of the run that was cut off. done says
// that its file has been read to the end; otherwise paging begins anew.
func (r *run) resume(ctx context.Context, watch *bulkWatch) (done bool, err error) {
	served := r.at.Served
	op, err := r.admin.pollBulk(ctx, r.at.Bulk)
	if err != nil {
		return false, err
	}
	alive := op != nil && (op.status == "COMPLETED" || !op.ended()) && r.admin.served == served
	if alive && op.status == "COMPLETED" {
		r.resumed = true
		r.covered = idRange{low: r.at.Low, high: r.at.High}
		r.pages = r.at.High != 0
		err := r.readBulk(ctx, op)
		if err == nil {
			return true, r.readNewest(ctx)
		}
		if !errors.Is(err, errBulkUnusable) {
			return true, err
		}
		if err := r.giveUpBulk(ctx, watch, err.Error()); err != nil {
			return false, err
		}
		r.beginAnew()
		return false, nil
	}
	r.beginAnew()
	if !alive {
		return false, r.forgetBulk(watch)
	}
	watch.op, watch.interval, watch.attempts = op, firstPoll, 1
	watch.due = time.Now().Add(firstPoll)
	return false, nil
}

// errBulkUnusable: the file cannot be had, or did not prove to be whole. The
// pages must do.
var errBulkUnusable = errors.New("the bulk file could not be used")

// readBulk reads the operation's file. Lines below the checkpoint's offset are
// committed already and only rebuild the seen set.
func (r *run) readBulk(ctx context.Context, op *bulkOperation) error {
	switch {
	case op.url == "": // also of an empty result, which the pages belie
		return fmt.Errorf("%w: Shopify gave no address for it", errBulkUnusable)
	case !bulk.AllowedURL(op.url):
		return fmt.Errorf("%w: its address is not one of Shopify's known hosts", errBulkUnusable)
	case op.createdAt.IsZero():
		return fmt.Errorf("%w: Shopify did not say when it was begun, so how old its rows are is not known", errBulkUnusable)
	}
	r.meter.phase(PhaseBulk)
	file, err := bulk.Open(ctx, bulk.OpenParams{
		URL: op.url, HTTPClient: r.s.httpClient, Logger: r.s.logger, MaxBytes: min(max(op.fileSize, 0), bulk.DefaultMaxBytes),
	})
	if err != nil {
		return bulkError(ctx, err)
	}
	defer file.Close()
	committed := r.at.Offset
	masked, lacking := r.s.without|r.at.Masked, op.lacking()
	fresh := batch{records: make([]observed, 0, r.s.batchSize)}
	covered := batch{covered: true}
	submit := func() error {
		if len(covered.records) > 0 {
			if err := r.pipe.submit(covered); err != nil {
				return err
			}
			covered.records = nil
		}
		fresh.offset = file.Offset()
		if err := r.pipe.submit(fresh); err != nil {
			return err
		}
		fresh.records = make([]observed, 0, r.s.batchSize)
		return r.checkpoint(ctx)
	}
	objects, roots, err := r.eachLine(file, committed, func(line []byte) (root bool, err error) {
		o, child := r.admin.observeRaw(line, masked, lacking, op.createdAt)
		if child {
			return false, nil
		}
		id := o.customer.ID
		if !r.count(id) {
			return true, nil
		}
		r.bulk = true
		if r.covered.has(id) {
			covered.records = append(covered.records, o)
		} else {
			fresh.records = append(fresh.records, o)
		}
		if len(fresh.records)+len(covered.records) < r.s.batchSize {
			return true, nil
		}
		return true, submit()
	})
	if err != nil && !errors.Is(err, errBulkUnusable) {
		return err
	}
	// What was counted must be written, whatever becomes of the file.
	if err := errors.Join(submit(), r.pipe.flush()); err != nil {
		return err
	}
	switch {
	case err != nil:
		return err
	case roots != op.rootObjects || objects != op.objects:
		return fmt.Errorf("%w: it has %d of %d customers", errBulkUnusable, roots, op.rootObjects)
	case file.Proof().Bytes != op.fileSize:
		return fmt.Errorf("%w: it has %d of %d bytes", errBulkUnusable, file.Proof().Bytes, op.fileSize)
	}
	r.at.Total = max(r.at.Total, roots) // so many there were at one time of the run
	if op.createdAt.Before(r.at.Began) {
		r.at.Began = op.createdAt // an earlier process began it, and the run is no newer than its rows
	}
	return nil
}

// eachLine calls take for each line above the offset that is committed; those
// below it only rebuild the seen set.
func (r *run) eachLine(file *bulk.Reader, committed int64, take func([]byte) (bool, error)) (objects, roots int64, err error) {
	for {
		line, err := file.Next()
		switch {
		case errors.Is(err, io.EOF):
			return objects, roots, nil
		case err != nil:
			return objects, roots, bulkError(r.pipe.ctx, err)
		case !file.Proof().EndsInNewline:
			return objects, roots, fmt.Errorf("%w: its last line is cut", errBulkUnusable)
		}
		objects++
		var root bool
		if file.Offset() <= committed {
			object, idErr := bulk.DecodeID(line)
			id := object.CustomerID
			var bad *bulk.LineError
			if errors.As(idErr, &bad) {
				id = bad.CustomerID
			}
			if root = !object.Child; id != 0 {
				r.seen.Add(id)
			}
		} else if root, err = take(line); err != nil {
			return objects, roots, err
		}
		if root {
			roots++
		}
	}
}

// bulkError sorts what ends the reading of a file: a broken connection can be
// gone on with later, anything else makes the file unusable.
func bulkError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, bulk.ErrInterrupted):
		return &APIError{Op: "bulk file", Err: fmt.Errorf("%w (%w)", ErrUnavailable, &hostError{doing: "the download kept breaking", err: err})}
	}
	return fmt.Errorf("%w: %w", errBulkUnusable, err)
}
