package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
	"github.com/omnichat/shopifysync/sqlstore"
)

const (
	// maxUnderWay bounds the open loop: more at once are counted as not sent.
	maxUnderWay = 10_000
	// maxConnections bounds the sockets; who waits for one is late.
	maxConnections = 512
	// notePrefix begins the note of a changed customer, before the moment of
	// the change in nanoseconds.
	notePrefix = "changed at "
)

// A loop changes customers and delivers webhooks.
type loop struct {
	shop    *shopifytest.Store
	address string
	client  *http.Client
	ids     []int64
	sent    int // webhooks, over all calls of send

	mu           sync.Mutex
	acknowledged map[int64]string // customer: the note of the last event acknowledged
	last         map[int64]string // customer: the note of the last event
}

func newLoop(shop *shopifytest.Store, address string) *loop {
	l := &loop{
		shop: shop, address: address,
		client: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{MaxIdleConns: maxConnections, MaxIdleConnsPerHost: maxConnections, MaxConnsPerHost: maxConnections},
		},
		acknowledged: make(map[int64]string), last: make(map[int64]string),
	}
	for c := range shop.All() {
		l.ids = append(l.ids, c.ID)
	}
	return l
}

// An outcome is what came of the webhooks of one call of send.
type outcome struct {
	took    []time.Duration // until the answer, ascending
	status  map[string]int  // answers and errors other than 200
	skipped int             // not sent: too many were under way
	length  time.Duration
}

// at is the time within which that share was answered.
func (o *outcome) at(share float64) time.Duration {
	if len(o.took) == 0 {
		return 0
	}
	return o.took[min(int(share*float64(len(o.took))), len(o.took)-1)]
}

// String implements [fmt.Stringer].
func (o *outcome) String() string {
	return fmt.Sprintf("%d webhooks in %.1f s (%.0f/s), not 200: %d; answered p50 %v, p99 %v, most %v",
		len(o.took), o.length.Seconds(), float64(len(o.took))/o.length.Seconds(), len(o.status)+o.skipped,
		o.at(0.5).Round(10*time.Microsecond), o.at(0.99).Round(10*time.Microsecond), o.at(1).Round(10*time.Microsecond))
}

func (o *outcome) failures() []error {
	var failures []error
	for what, n := range o.status {
		failures = append(failures, fmt.Errorf("%d webhooks: %s", n, what))
	}
	if o.skipped > 0 {
		failures = append(failures, fmt.Errorf("%d webhooks were not sent: %d were under way", o.skipped, maxUnderWay))
	}
	return failures
}

// send changes customers in turn, and delivers a webhook of each change, at
// that rate for so long.
func (l *loop) send(ctx context.Context, rate float64, length time.Duration) *outcome {
	o := &outcome{status: make(map[string]int)}
	places := make(chan struct{}, maxUnderWay)
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		at := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if at.Sub(began) >= length {
			break
		}
		time.Sleep(time.Until(at)) // that is how an open loop keeps its rate
		select {
		case places <- struct{}{}:
		default:
			o.skipped++
			continue
		}
		id := l.ids[l.sent%len(l.ids)]
		l.sent++
		wg.Go(func() {
			defer func() { <-places }()
			err := l.one(ctx, id, at)
			took := time.Since(at)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				o.status[err.Error()]++
			}
			o.took = append(o.took, took)
		})
	}
	o.length = time.Since(began)
	wg.Wait()
	slices.Sort(o.took)
	return o
}

// one is one change and its webhook.
func (l *loop) one(ctx context.Context, id int64, at time.Time) error {
	note := notePrefix + strconv.FormatInt(at.UnixNano(), 10)
	l.mu.Lock()
	l.last[id] = note
	err := l.shop.Update(id, func(c *shopifytest.Customer) { c.Note = note })
	l.mu.Unlock()
	if err != nil {
		return err
	}
	req, err := l.shop.Delivery("customers/update", id)
	if err != nil {
		return err
	}
	req = req.WithContext(ctx)
	req.URL.Scheme, req.URL.Host, req.URL.Path, req.RequestURI = "http", l.address, webhookPath+string(connection), ""
	answer, err := l.client.Do(req)
	if err != nil {
		return errors.Unwrap(err) // without the address
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[id] = note
	return nil
}

// check waits until the contacts show what was acknowledged, at most a minute,
// and fails if one never does.
func (l *loop) check(ctx context.Context, store *sqlstore.Store) error {
	began := time.Now()
	for {
		missing, checked, err := l.missing(ctx, store)
		switch {
		case err != nil:
			return err
		case missing == 0:
			fmt.Printf("lost:    0 of %d customers, all there %.1f s after the last webhook was answered\n", checked, time.Since(began).Seconds())
			return nil
		case time.Since(began) > time.Minute:
			return fmt.Errorf("%d of %d customers never showed what was acknowledged", missing, checked)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// missing counts the customers whose contact does not show their last event,
// of those whose last event was acknowledged.
func (l *loop) missing(ctx context.Context, store *sqlstore.Store) (missing, checked int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []shopifysync.CustomerID
	for id, note := range l.acknowledged {
		if note == l.last[id] {
			ids = append(ids, shopifysync.CustomerID(id))
		}
	}
	for chunk := range slices.Chunk(ids, 1000) {
		got, err := store.Contacts(ctx, shopifysync.ContactsParams{Connection: connection, IDs: chunk})
		if err != nil {
			return 0, 0, err
		}
		missing += len(chunk)
		for _, c := range got.Contacts {
			if noteOf(c) == l.last[int64(c.CustomerID)] {
				missing--
			}
		}
	}
	return missing, len(ids), nil
}

func noteOf(c shopifysync.Contact) string {
	for _, a := range c.Attributes {
		if a.Key == shopifysync.AttrNote {
			return a.Text
		}
	}
	return ""
}

// changedAt is when the customer was changed whom a contact shows.
func changedAt(c shopifysync.Contact) (time.Time, bool) {
	text, ok := strings.CutPrefix(noteOf(c), notePrefix)
	if !ok {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(0, n), err == nil
}
