package shopifysync

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	// maxWebhook is the longest body taken. Shopify's customers have some kilobytes.
	maxWebhook = 1 << 20
	// smallWebhook is how much room a body gets on the word of its
	// Content-Length alone; largeWebhooks is how many longer ones are read at
	// once, so that many slow liars cost little memory.
	smallWebhook  = 64 << 10
	largeWebhooks = 32

	// answerWithin bounds the whole answer: Shopify gives up after five seconds
	// (https://shopify.dev/docs/apps/build/webhooks/troubleshoot). bodyWithin
	// and slotWithin are parts of it.
	answerWithin = 4 * time.Second
	bodyWithin   = 3 * time.Second
	slotWithin   = 2 * time.Second
	// eraseWithin is for shop/redact, which may concern a million contacts: when
	// Shopify sends it again it is done.
	eraseWithin = time.Minute
)

// WebhookHandler returns the handler that takes Shopify's webhooks. All
// handlers of a Syncer share the limit of [WithWebhooksAtOnce].
//
// Mount it where [WithWebhookURL] points to, with {connection} as a wildcard of
// the pattern, and for what the app's own configuration subscribes to (the
// privacy topics, as a rule) once more without:
//
//	mux.Handle("/webhooks/shopify/{connection}", s.WebhookHandler())
//	mux.Handle("/webhooks/shopify", s.WebhookHandler())
//
// The wildcard is read by [http.Request.PathValue]; another router than
// [http.ServeMux] sets it by SetPathValue. Without it a webhook is for every
// connection of the shop in its header whose secret signed it. Nothing in front
// may change the body.
//
// It answers
//   - 200 when the marks are durable, so that [Syncer.Serve] or [Syncer.Drain]
//     fetches the customers; with a state store that forgets with the process
//     (the default one) when they were fetched and stored; and for topics that
//     are of no interest here;
//   - 401 when the signature is not of the connection's client secret. An
//     unknown or disconnected connection looks the same;
//   - 405, 408, 413 to what is no POST, comes too slowly, or is longer than 1 MiB;
//   - 422 when a signed body is not what its topic sends;
//   - 503 with Retry-After when it could not do its work within four seconds.
//
// Shopify sends again what is not answered with 2xx, up to eight times within
// four hours. Errors are logged, and passed to [Hooks].WebhookEnd.
//
// The handler bounds the body and the time to read it (where the server lets it:
// see [http.ResponseController]). The rest is for the server: set ReadHeaderTimeout,
// ReadTimeout and IdleTimeout of [http.Server], so that silent connections end.
func (s *Syncer) WebhookHandler() http.Handler { return http.HandlerFunc(s.serveWebhook) }

func (s *Syncer) serveWebhook(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answerWebhook(w, http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	body, done, status := s.readWebhook(ctx, w, r)
	defer done()
	slot := webhookSlot{all: s.slots}
	defer slot.leave()
	if status == 0 && !slot.take(ctx) {
		status = http.StatusServiceUnavailable
	}
	if status == 0 {
		status = s.takeWebhook(ctx, r, body, &slot)
	}
	answerWebhook(w, status)
}

// answerWebhook writes an answer of which nothing but the status tells why.
func answerWebhook(w http.ResponseWriter, status int) {
	if status == http.StatusOK {
		w.WriteHeader(status)
		return
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, http.StatusText(status), status)
}

// A webhookSlot is the right of one webhook to be dealt with.
type webhookSlot struct {
	all  chan struct{}
	held bool
}

func (sl *webhookSlot) take(ctx context.Context) bool {
	sl.held = sl.held || takeFrom(ctx, sl.all)
	return sl.held
}

func (sl *webhookSlot) leave() {
	if sl.held {
		<-sl.all
		sl.held = false
	}
}

// takePlace takes one of the few places that a connection has for webhooks that
// may wait for Shopify, so that one store does not hold up all others. While it
// waits, its slot is for another.
func (sl *webhookSlot) takePlace(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
	}
	sl.leave()
	if !takeFrom(ctx, places) {
		return false
	}
	if !sl.take(ctx) {
		<-places
		return false
	}
	return true
}

// takeFrom waits a moment for one of the slots or places.
func takeFrom(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(slotWithin)
	defer t.Stop()
	select {
	case slots <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// readWebhook reads the body before a slot is taken, so that slow senders hold
// none. The status is 0 unless it failed. done is to be called when the body is
// no longer used.
func (s *Syncer) readWebhook(ctx context.Context, w http.ResponseWriter, r *http.Request) (body []byte, done func(), status int) {
	done = func() {}
	if r.ContentLength > maxWebhook {
		w.Header().Set("Connection", "close")
		return nil, done, http.StatusRequestEntityTooLarge
	}
	// Not every writer that a host wraps around the server's can do this; the
	// server itself ends the deadline with the request.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWithin))
	room := r.ContentLength
	if room < 0 || room > smallWebhook {
		room = smallWebhook
	}
	body = make([]byte, 0, room+1) // the one more finds the end without growing
	body, err := readInto(body, r.Body)
	if err == nil { // there is more
		select {
		case s.large <- struct{}{}:
			done = func() { <-s.large }
		case <-ctx.Done():
			return nil, done, http.StatusServiceUnavailable
		}
		room := r.ContentLength
		if room < int64(len(body)) {
			room = maxWebhook
		}
		body, err = readInto(append(make([]byte, 0, room+1), body...), r.Body)
	}
	var tooLong *http.MaxBytesError
	switch {
	case err == io.EOF:
	case err == nil, errors.As(err, &tooLong):
		w.Header().Set("Connection", "close")
		return nil, done, http.StatusRequestEntityTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, done, http.StatusRequestTimeout
	default:
		return nil, done, http.StatusBadRequest
	}
	return body, done, 0
}

// readInto reads until buf is full (nil) or r ends ([io.EOF]).
func readInto(buf []byte, r io.Reader) ([]byte, error) {
	for len(buf) < cap(buf) {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// gravity orders the answers for several connections of one shop: who has
// failed must get the webhook again, and the others do not mind it.
var gravity = []int{http.StatusUnauthorized, http.StatusUnprocessableEntity, http.StatusOK, http.StatusServiceUnavailable}

// takeWebhook verifies a webhook and deals with it for each connection that it
// is for. It returns the status to answer.
func (s *Syncer) takeWebhook(ctx context.Context, r *http.Request, body []byte, slot *webhookSlot) int {
	conns, err := s.addressed(ctx, r)
	if err != nil {
		s.logger.ErrorContext(ctx, "the connection of a webhook could not be looked up; Shopify sends it again", "error", err)
		return http.StatusServiceUnavailable
	}
	if len(conns) == 0 {
		conns = []Connection{{}} // whose signature is never right
	}
	status := http.StatusUnauthorized
	for _, conn := range conns {
		ev, err := ParseWebhook(r.Header, body, s.webhookSecrets(conn)...)
		switch {
		case errors.Is(err, ErrInvalidSignature):
			s.logger.InfoContext(ctx, "a webhook was refused: it is not signed with the client secret of the connection, or there is no such connection",
				"connection", string(conn.ID), "topic", printable(webhookHints(r.Header).Topic))
			continue
		case err != nil:
			ev = webhookHints(r.Header)
		}
		if got := s.takeVerified(ctx, conn, ev, err, slot); slices.Index(gravity, got) > slices.Index(gravity, status) {
			status = got
		}
	}
	return status
}

// takeVerified deals with a webhook for one connection. invalid is what is wrong
// with the webhook itself.
func (s *Syncer) takeVerified(ctx context.Context, conn Connection, ev Event, invalid error, slot *webhookSlot) int {
	if !ev.aboutCustomers() || s.forgets() { // it may wait for the store; to put marks is quick, or slow for all
		places := s.sharedOf(conn.ID).places
		if !slot.takePlace(ctx, places) {
			s.logger.WarnContext(ctx, "too many webhooks of the connection wait for Shopify already; this one is sent again",
				"connection", string(conn.ID), "topic", printable(ev.Topic))
			return http.StatusServiceUnavailable
		}
		defer func() { <-places }()
	}
	if ev.Topic == topicShopRedact {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), eraseWithin)
		defer cancel()
	}
	return webhookStatus(s.dealWith(ctx, conn, ev, invalid))
}

// webhookStatus is the answer to a webhook that was dealt with.
func webhookStatus(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, ErrNotConnected):
		return http.StatusUnauthorized
	case errors.Is(err, ErrInvalidWebhook):
		return http.StatusUnprocessableEntity
	}
	return http.StatusServiceUnavailable
}

// addressed looks up the connections that a webhook may be for; none is no error.
func (s *Syncer) addressed(ctx context.Context, r *http.Request) ([]Connection, error) {
	if id := r.PathValue("connection"); id != "" || strings.Contains(r.Pattern, "{connection") {
		// Anybody can send any id: nothing is kept of one that is not known.
		if checkCall(ctx, ConnectionID(id)) != nil && ctx.Err() == nil {
			return nil, nil
		}
		conn, err := s.lookUpTogether(ctx, ConnectionID(id))
		switch {
		case errors.Is(err, ErrNotConnected):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return []Connection{conn}, nil
	}
	shop := webhookHints(r.Header).Shop
	if shop == "" {
		return nil, nil
	}
	found, err := s.conns.ConnectionsByShop(ctx, shop)
	if err != nil {
		return nil, &hostError{doing: "look up the shop's connections", err: err}
	}
	// One tenant's unusable connection is no reason to keep webhooks from another's.
	return slices.DeleteFunc(slices.Clone(found), func(c Connection) bool {
		err := c.validateName()
		if err == nil && c.Shop != shop {
			err = Reason("it is of another shop than the one asked for")
		}
		if err != nil {
			s.logger.ErrorContext(ctx, "a webhook was not given to a connection that is not usable", "connection", string(c.ID), "error", err)
		}
		return err != nil
	}), nil
}

// A joinedLookup is one that webhooks for the same connection share.
type joinedLookup struct {
	together[Connection]
	users int
}

// lookUpTogether looks a connection up, once for all webhooks that come while
// an earlier lookup of theirs is under way: in a burst it would cost as much as
// the marks. Each gets what was looked up after it came. One that was
// disconnected needs no credentials but its secret.
func (s *Syncer) lookUpTogether(ctx context.Context, id ConnectionID) (Connection, error) {
	s.mu.Lock()
	l := s.asked[id]
	if l == nil {
		l = new(joinedLookup)
		s.asked[id] = l
	}
	l.users++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(s.asked, id)
		}
	}()
	conn, err := l.do(ctx, func(*Connection) {}, func(take func() *Connection) error {
		conn := take()
		return s.protect(ctx, "look up the connection", func() (err error) {
			*conn, err = s.lookUpConnection(ctx, id)
			return err
		})
	})
	if err != nil {
		return Connection{}, err
	}
	return *conn, nil
}

// webhookSecrets are the secrets that may have signed a connection's webhooks:
// always two, so that a signature which is wrong takes as long to refuse
// whatever the connection has, and if there is none at all. In place of one that
// is missing stands a random one that nobody knows.
func (s *Syncer) webhookSecrets(conn Connection) []Secret {
	secrets := []Secret{conn.Credentials.ClientSecret, conn.Credentials.PreviousClientSecret}
	for i := range secrets {
		if secrets[i].IsZero() {
			secrets[i] = s.nobody
		}
	}
	return secrets
}

// printable cuts what came in an unsigned header, for logs and hooks.
func printable(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), 100)], "")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
