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
func (st *Store) emit(events ...event) {
	st.mu.Lock()
	subscriptions := slices.Clone(st.subscriptions)
	st.mu.Unlock()
	st.emitTo(subscriptions, events...)
}

func (st *Store) emitTo(subscriptions []*subscription, events ...event) {
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
			st.server.background(func() { st.deliver(d) })
		}
		if cfg.AppWebhookURL != "" && isAppTopic(e.topic) {
			d := st.newDelivery(e, &cfg, cfg.APIVersions[len(cfg.APIVersions)-1], nil, eventID)
			d.url = cfg.AppWebhookURL
			st.server.background(func() { st.deliver(d) })
		}
	}
}

// isAppTopic reports whether the app's own configuration subscribes to topic.
func isAppTopic(topic string) bool {
	switch topic {
	case "customers/data_request", "customers/redact", "shop/redact", "app/uninstalled":
		return true
	}
	return false
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
	if !st.server.wait(context.Background(), fault.Delay) {
		return false
	}
	if fault.Drop == DropRequest {
		a.Lost = true
		return true
	}
	for range fault.Copies {
		copied := *a
		st.server.background(func() {
			if copied.Status = st.post(d); copied.Status != 0 {
				st.note(d, copied)
			}
		})
	}
	if a.Status = fault.Status; a.Status == 0 {
		a.Status = st.post(d)
	}
	return true
}

func (st *Store) note(d *delivery, a Attempt) {
	a.Time = st.server.now()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.attempts = append(st.attempts, a); len(st.attempts) > maxRequests {
		st.attempts = slices.Clone(st.attempts[maxRequests/2:])
	}
	if a.OK() && d.subscription != nil {
		st.lastTaken[d.subscription.id] = a.Time
	}
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
// a test. Its address is that of the subscription to the topic, if there is
// one. Topics about customers need their ids: customers/merge the kept one and
// the one that is gone, the privacy topics but shop/redact one. A customer that
// is not there is sent with its id alone.
func (st *Store) Delivery(topic string, customers ...int64) (*http.Request, error) {
	e, err := st.eventFor(topic, customers)
	if err != nil {
		return nil, err
	}
	cfg := st.Config()
	version, address := cfg.APIVersions[0], "https://receiver.example/webhooks"
	var fields []string
	st.mu.Lock()
	for _, s := range st.subscriptions {
		if topics[s.topic] == topic {
			version, _ = cfg.served(s.version)
			address, fields = s.url, s.includeFields
		}
	}
	st.mu.Unlock()
	d := st.newDelivery(e, &cfg, version, fields, st.server.uuid())
	d.url = address
	return st.request(d)
}

// Notify sends a webhook of a topic to whoever subscribed, without changing
// anything. The topics and ids are those of [Store.Delivery].
func (st *Store) Notify(topic string, customers ...int64) error {
	e, err := st.eventFor(topic, customers)
	if err != nil {
		return err
	}
	st.emit(e)
	return nil
}

// ErrTopic says that a topic is unknown or that the customers given do not fit
// it.
var ErrTopic = errors.New("shopifytest: unknown webhook topic, or customers that do not fit it")

func (st *Store) eventFor(topic string, ids []int64) (event, error) {
	wrong := fmt.Errorf("%w: %s with %d customers", ErrTopic, topic, len(ids))
	switch topic {
	case "app/uninstalled", "shop/update":
		return shopEvent(topic), nil
	case "shop/redact":
		e, _ := privacyEvent(topic, nil, 0)
		return e, nil
	case "customers/merge":
		if len(ids) != 2 {
			return event{}, wrong
		}
		return mergeEvent(ids[0], ids[1], true), nil
	}
	if len(ids) != 1 {
		return event{}, wrong
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
		if st.server.wait(context.Background(), end.Sub(st.server.now())) {
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
