package shopifytest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Sign returns the signature of a webhook's body, as the header
// X-Shopify-Hmac-Sha256 carries it. Only the body is signed.
// https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Shopify's rules for deliveries.
const (
	webhookTimeout = 5 * time.Second
	webhookRetries = 8
	// With this first pause, doubled each time, eight retries take four hours.
	webhookFirstPause = 4 * time.Hour / (1<<webhookRetries - 1)
)

// Attempt is one try to deliver a webhook.
type Attempt struct {
	Time      time.Time // by the server's clock
	Topic     string    // customers/update
	URL       string
	WebhookID string // of the delivery: the same at every attempt
	EventID   string // shared by all deliveries of one action
	Number    int    // 1 for the first
	Status    int    // of the answer; 0 when there was none
	Lost      bool   // a fault kept it from ever being sent
}

// OK reports whether the receiver took it.
func (a Attempt) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Attempts returns the deliveries tried so far, in the order of their answers.
func (st *Store) Attempts() []Attempt {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.attempts)
}

// WebhookCounts counts the webhooks of a store from its beginning.
type WebhookCounts struct {
	Attempts int // all tries
	Taken    int // tries that were answered with 2xx
	Lost     int // deliveries that a fault kept from being sent
	Pending  int // deliveries and copies that are not yet taken, lost or given up
}

// WebhookCounts returns the counts so far. Unlike [Store.Attempts] it forgets
// nothing.
func (st *Store) WebhookCounts() WebhookCounts {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.webhookCounts
}

// delivery is a webhook on its way. Its body and address stay what they were
// when it was triggered.
type delivery struct {
	subscription *subscription // nil for those of the app's configuration
	topic        string
	url          string
	version      string
	body         []byte
	webhookID    string
	eventID      string
	triggered    time.Time
}

// emit sends events of one action to whoever subscribed.
func (st *Store) emit(events ...event) { st.emitTo(st.subscribed(), true, events...) }

func (st *Store) subscribed() []*subscription {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.subscriptions)
}

// emitTo sends events to subscriptions and to the app's own configuration.
// debounce tells whether what says the same again is left out.
func (st *Store) emitTo(subscriptions []*subscription, debounce bool, events ...event) {
	if st.server.webhookClient == nil {
		return
	}
	cfg := st.Config()
	eventID := st.server.uuid()
	for _, e := range events {
		for _, s := range subscriptions {
			if topics[s.topic] != e.topic {
				continue
			}
			version, _ := cfg.served(s.version)
			d := st.newDelivery(e, &cfg, version, s.includeFields, eventID)
			d.subscription, d.url = s, s.url
			if debounce && st.repeats(d) {
				continue
			}
			st.send(d)
		}
		if cfg.AppWebhookURL != "" && isAppTopic(e.topic) {
			d := st.newDelivery(e, &cfg, cfg.APIVersions[len(cfg.APIVersions)-1], nil, eventID)
			d.url = cfg.AppWebhookURL
			st.send(d)
		}
	}
}

// debounceWindow is the "small time window" of Shopify's documentation, which
// gives no number.
const debounceWindow = 5 * time.Second

// repeats reports whether d is debounced: its subscription chose fields, and
// the same body went to it moments ago. A subscription to id alone is told of
// the first of several edits only, one to updated_at too of the first within a
// second.
// https://shopify.dev/docs/apps/build/webhooks/customize/modify-payloads
func (st *Store) repeats(d *delivery) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(d.subscription.includeFields) == 0 || st.cfg.NoDebounce {
		return false
	}
	// Two generations, of which the older is dropped: what was sent before the
	// window is forgotten.
	if d.triggered.Sub(st.sent.since) > debounceWindow {
		st.sent.before, st.sent.now, st.sent.since = st.sent.now, map[sentBody]time.Time{}, d.triggered
	}
	key := sentBody{d.subscription.id, string(d.body)}
	for _, sent := range []map[sentBody]time.Time{st.sent.now, st.sent.before} {
		if at, ok := sent[key]; ok && d.triggered.Sub(at) < debounceWindow {
			return true
		}
	}
	st.sent.now[key] = d.triggered
	return false
}

// sentBodies is what was sent lately, and when.
type sentBodies struct {
	now, before map[sentBody]time.Time
	since       time.Time // of now
}

type sentBody struct {
	subscription int64
	body         string
}

// isAppTopic reports whether the app's own configuration subscribes to topic.
func isAppTopic(topic string) bool {
	return topic == "app/uninstalled" || slices.Contains(privacyTopics, topic)
}

func (s *Server) uuid() string {
	id := s.nextID()
	return fmt.Sprintf("%08x-%04x-4000-8000-%012x", uint32(mix(uint64(id))), uint16(id>>16), id)
}

func (st *Store) newDelivery(e event, cfg *StoreConfig, version string, fields []string, eventID string) *delivery {
	now := st.server.now()
	o := e.body(version, cfg).only(fields)
	for i := range o {
		if _, ok := o[i].value.(occurredAt); ok {
			o[i].value = now.In(cfg.location()).Format(time.RFC3339)
		}
	}
	body, err := json.Marshal(o)
	if err != nil {
		panic("shopifytest: " + err.Error())
	}
	return &delivery{
		topic: e.topic, version: version, body: body, webhookID: st.server.uuid(), eventID: eventID, triggered: now,
	}
}

// request makes the HTTP request of a delivery, signed with the secret of the
// moment.
func (st *Store) request(d *delivery) (*http.Request, error) {
	cfg := st.Config()
	r, err := http.NewRequest(http.MethodPost, d.url, bytes.NewReader(d.body))
	if err != nil {
		return nil, err
	}
	prefix := "X-Shopify-"
	if cfg.UnprefixedHeaders {
		prefix = "Shopify-"
	}
	for _, h := range [][2]string{
		{"Topic", d.topic},
		{"Hmac-Sha256", Sign(cfg.ClientSecret, d.body)},
		{"Shop-Domain", cfg.Domain},
		{"Api-Version", d.version},
		{"Webhook-Id", d.webhookID},
		{"Event-Id", d.eventID},
		{"Triggered-At", d.triggered.UTC().Format("2006-01-02T15:04:05.000000Z")},
	} {
		r.Header.Set(prefix+h[0], h[1])
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Shopify-Captain-Hook")
	return r, nil
}

// deliver tries until the receiver answers 2xx or the retries are used up.
// After that, Shopify deletes a subscription that was made through the Admin
// API and has taken nothing meanwhile.
func (st *Store) deliver(d *delivery) {
	defer st.pending(-1)
	pause := webhookFirstPause
	for number := 1; number <= 1+webhookRetries; number++ {
		if number > 1 {
			if !st.server.wait(context.Background(), pause) {
				return
			}
			pause *= 2
		}
		a := Attempt{Topic: d.topic, URL: d.url, WebhookID: d.webhookID, EventID: d.eventID, Number: number}
		if !st.attempt(d, &a) {
			return
		}
		st.note(d, a)
		if a.OK() || a.Lost {
			return
		}
	}
	st.mu.Lock()
	forsaken := d.subscription != nil && !st.lastTaken[d.subscription.id].After(d.triggered)
	st.mu.Unlock()
	if forsaken {
		st.removeSubscription(d.subscription.id)
	}
}

// attempt tries once, and returns false when the server closes meanwhile.
func (st *Store) attempt(d *delivery, a *Attempt) bool {
	fault := st.fault([]string{d.topic, OpWebhook}, false)
	if fault == nil {
		fault = &Fault{}
	}
	if fault.Drop == DropRequest {
		a.Lost = true
		return true
	}
	for range fault.Copies {
		copied, later := *a, fault.Delay+st.shuffled(fault)
		st.pending(+1)
		st.server.background(func() {
			defer st.pending(-1)
			if !st.server.wait(context.Background(), later) {
				return
			}
			if copied.Status = st.post(d); copied.Status != 0 {
				st.note(d, copied)
			}
		})
	}
	if !st.server.wait(context.Background(), fault.Delay+st.shuffled(fault)) {
		return false
	}
	if a.Status = fault.Status; a.Status == 0 {
		a.Status = st.post(d)
	}
	return true
}

func (st *Store) pending(more int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.webhookCounts.Pending += more
}

// send starts a delivery.
func (st *Store) send(d *delivery) {
	st.pending(+1) // already now: who has changed a customer sees it
	st.server.background(func() { st.deliver(d) })
}

// shuffled returns a time below f.Shuffle.
func (st *Store) shuffled(f *Fault) time.Duration {
	st.mu.Lock()
	defer st.mu.Unlock()
	return time.Duration(float64(f.Shuffle) * st.chance.fraction())
}

func (st *Store) note(d *delivery, a Attempt) {
	a.Time = st.server.now()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.attempts = append(st.attempts, a); len(st.attempts) > maxRequests {
		st.attempts = slices.Clone(st.attempts[maxRequests/2:])
	}
	switch {
	case a.Lost:
		st.webhookCounts.Lost++
		return
	case a.OK():
		st.webhookCounts.Taken++
		if d.subscription != nil {
			st.lastTaken[d.subscription.id] = a.Time
		}
	}
	st.webhookCounts.Attempts++
}

// post sends a delivery and returns the status of the answer, or 0.
func (st *Store) post(d *delivery) int {
	select {
	case st.delivering <- struct{}{}:
		defer func() { <-st.delivering }()
	case <-st.server.closing:
		return 0
	}
	r, err := st.request(d)
	if err != nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), webhookTimeout)
	defer cancel()
	go func() { // Close must not wait for a slow receiver
		select {
		case <-st.server.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	answer, err := st.server.webhookClient.Do(r.WithContext(ctx))
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20)); err != nil {
		return 0
	}
	return answer.StatusCode
}

// Delivery returns a signed webhook of this store, to be given to a handler in
// a test. It has the address, the fields and the version of the subscription to
// the topic, if there is one. Topics about customers need their ids:
// customers/merge the kept one and the one that is gone, the privacy topics but
// shop/redact one. A customer that is not there is sent with its id alone. For
// bodies of your own there is [Sign].
func (st *Store) Delivery(topic string, customers ...int64) (*http.Request, error) {
	e, err := st.eventFor(topic, customers)
	if err != nil {
		return nil, err
	}
	cfg := st.Config()
	version, address := cfg.APIVersions[0], receiverURL
	var fields []string
	if s := st.subscriptionTo(topic); s != nil {
		version, _ = cfg.served(s.version)
		address, fields = s.url, s.includeFields
	}
	d := st.newDelivery(e, &cfg, version, fields, st.server.uuid())
	d.url = address
	return st.request(d)
}

// DeliveryOf is [Store.Delivery] with all fields of the payload as a version
// has it, whatever versions the store serves. Of customers it takes as many as
// the topic needs, so that a test can go through all of them:
//
//	for _, version := range shopifytest.Versions() {
//		for _, topic := range shopifytest.Topics(version) {
//			r, err := store.DeliveryOf(version, topic, kept, gone)
func (st *Store) DeliveryOf(version, topic string, customers ...int64) (*http.Request, error) {
	if !slices.Contains(Topics(version), topic) {
		return nil, fmt.Errorf("%w: API %s has no %s", ErrTopic, version, topic)
	}
	e, err := st.eventFor(topic, customers[:min(len(customers), customersOf(topic))])
	if err != nil {
		return nil, err
	}
	cfg := st.Config()
	d := st.newDelivery(e, &cfg, version, nil, st.server.uuid())
	d.url = receiverURL
	if s := st.subscriptionTo(topic); s != nil {
		d.url = s.url
	}
	return st.request(d)
}

// receiverURL gets what nobody subscribed to.
const receiverURL = "https://receiver.example/webhooks"

// subscriptionTo returns the last subscription to a topic, or nil.
func (st *Store) subscriptionTo(topic string) *subscription {
	for _, s := range slices.Backward(st.subscribed()) {
		if topics[s.topic] == topic {
			return s
		}
	}
	return nil
}

// Notify sends a webhook of a topic to whoever subscribed, without changing
// anything and however often. The topics and ids are those of [Store.Delivery].
func (st *Store) Notify(topic string, customers ...int64) error {
	e, err := st.eventFor(topic, customers)
	if err != nil {
		return err
	}
	st.emitTo(st.subscribed(), false, e)
	return nil
}

// ErrTopic says that a topic is unknown or that the customers given do not fit
// it.
var ErrTopic = errors.New("shopifytest: unknown webhook topic, or customers that do not fit it")

// customersOf returns how many customers a topic is about.
func customersOf(topic string) int {
	switch topic {
	case "app/scopes_update", "app/uninstalled", "bulk_operations/finish", "shop/redact", "shop/update":
		return 0
	case "customers/merge":
		return 2
	}
	return 1
}

func (st *Store) eventFor(topic string, ids []int64) (event, error) {
	wrong := fmt.Errorf("%w: %s with %d customers", ErrTopic, topic, len(ids))
	if len(ids) != customersOf(topic) {
		return event{}, wrong
	}
	switch topic {
	case "app/scopes_update":
		scopes := st.Config().Scopes
		return scopesEvent(scopes, scopes), nil
	case "app/uninstalled", "shop/update":
		return shopEvent(topic), nil
	case "bulk_operations/finish":
		return bulkFinishEvent(st.lastBulk()), nil
	case "shop/redact":
		e, _ := privacyEvent(topic, nil, 0)
		return e, nil
	case "customers/merge":
		return mergeEvent(ids[0], ids[1], "completed"), nil
	}
	st.mu.Lock()
	c := st.people.find(ids[0])
	st.mu.Unlock()
	if c == nil {
		c = &Customer{ID: ids[0]}
	}
	switch topic {
	case "customers/create", "customers/update", "customers/enable", "customers/disable":
		return customerEvent(topic, c), nil
	case "customers/delete":
		return deleteEvent(c), nil
	case "customer.tags_added", "customer.tags_removed":
		return tagEvent(topic, c.ID, c.Tags), nil
	case "customers_email_marketing_consent/update":
		return emailConsentEvent(c), nil
	case "customers_marketing_consent/update":
		return smsConsentEvent(c), nil
	case "customers_whats_app_marketing_consent/update":
		return whatsAppConsentEvent(c), nil
	case "customers/purchasing_summary":
		return purchaseEvent(c), nil
	}
	if e, ok := privacyEvent(topic, c, st.server.nextID()); ok {
		return e, nil
	}
	return event{}, wrong
}

// lastBulk is the last bulk operation, or one that was never there.
func (st *Store) lastBulk() *bulkView {
	st.mu.Lock()
	var last *bulkOperation
	if n := len(st.bulk); n > 0 {
		last = st.bulk[n-1]
	}
	st.mu.Unlock()
	now := wholeSecond(st.server.now())
	if last != nil {
		return last.view(now)
	}
	return &bulkView{
		bulkOperation: &bulkOperation{id: st.server.nextID(), createdAt: now}, status: "COMPLETED", completedAt: now,
	}
}

// announceFinish sends bulk_operations/finish when an operation ends by
// itself.
func (st *Store) announceFinish(op *bulkOperation) {
	st.mu.Lock()
	wanted := slices.ContainsFunc(st.subscriptions, func(s *subscription) bool { return s.topic == "BULK_OPERATIONS_FINISH" })
	st.mu.Unlock()
	if !wanted {
		return
	}
	rows := op.total
	if op.failure != nil {
		rows = min(rows, op.failure.AfterRows)
	}
	end := op.createdAt.Add(op.duration(rows))
	st.server.background(func() {
		if !st.server.wait(context.Background(), end.Sub(st.server.now())) {
			return
		}
		if v := op.view(st.server.now()); op.wasCanceled().IsZero() { // else it was announced then
			st.emit(bulkFinishEvent(v))
		}
	})
}

// announceCancel sends bulk_operations/finish when a client's cancel is done.
func (st *Store) announceCancel(op *bulkOperation) {
	st.server.background(func() {
		if st.server.wait(context.Background(), bulkCancelTime) {
			st.emit(bulkFinishEvent(op.view(st.server.now())))
		}
	})
}

// handlerTransport answers requests by a handler in the same process.
type handlerTransport struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	received := r.Clone(r.Context())
	received.RequestURI = r.URL.RequestURI()
	received.Host = r.URL.Host
	received.RemoteAddr = "192.0.2.1:1234"
	w := &recorder{header: http.Header{}}
	done := make(chan bool, 1)
	go func() {
		answered := false
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
			done <- answered
		}()
		t.handler.ServeHTTP(w, received)
		answered = true
	}()
	select {
	case answered := <-done:
		if !answered {
			return nil, io.ErrUnexpectedEOF
		}
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Header: w.header, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(w.body.String())),
	}, nil
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
