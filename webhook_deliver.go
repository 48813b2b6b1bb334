package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/omnichat/shopifysync/internal/throttle"
)

// The topics that are not about single customers, and those of privacy law.
const (
	topicUninstalled    = "app/uninstalled"
	topicScopes         = "app/scopes_update"
	topicShop           = "shop/update"
	topicBulkEnded      = "bulk_operations/finish"
	topicDataRequest    = "customers/data_request"
	topicCustomerRedact = "customers/redact"
	topicShopRedact     = "shop/redact"
)

// Deliver deals with a webhook that came by another way than
// [Syncer.WebhookHandler]: the host's own router or queue. The caller has
// verified it with the connection's own secrets: ev is what [ParseWebhook]
// returned. It may be delivered late, more than once and in any order.
//
// A nil error means what 200 means with the handler: nothing is lost any more.
// [ErrNotConnected] and [ErrInvalidWebhook] are final; after any other error it
// is to be delivered again. A delivery whose customer Shopify does not show yet
// takes some seconds, if the state store forgets with the process.
func (s *Syncer) Deliver(ctx context.Context, id ConnectionID, ev Event) error {
	conn, err := s.lookUpTogether(ctx, id)
	if err != nil {
		return wrapped(err)
	}
	return s.dealWith(ctx, conn, ev, nil)
}

// dealWith deals with a verified webhook, tells the hook and logs what went
// wrong. invalid is what is wrong with the webhook itself.
func (s *Syncer) dealWith(ctx context.Context, conn Connection, ev Event, invalid error) error {
	start := time.Now()
	err := invalid
	if err == nil {
		err = s.protect(ctx, "deal with a webhook", func() error { return s.deliver(ctx, conn, ev) })
	}
	err = wrapped(err)
	known := ev.known()
	if err != nil || !known {
		s.logWebhook(ctx, conn.ID, ev, err)
	}
	if hook := s.hooks.WebhookEnd; hook != nil {
		hook(ctx, WebhookEndInfo{
			Connection: conn.ID, Topic: printable(ev.Topic), DeliveryID: printable(ev.DeliveryID), Known: known,
			Duration: time.Since(start), Err: err,
		})
	}
	return err
}

func (s *Syncer) logWebhook(ctx context.Context, id ConnectionID, ev Event, err error) {
	log := s.logger.With("connection", string(id), "topic", printable(ev.Topic), "delivery", printable(ev.DeliveryID))
	switch {
	case errors.Is(err, ErrInvalidWebhook):
		log.WarnContext(ctx, "a webhook was refused for good", "error", err)
	case err != nil:
		log.WarnContext(ctx, "a webhook was not acknowledged", "error", err)
	default:
		log.InfoContext(ctx, "a webhook of an unknown topic was acknowledged: nothing follows from it")
	}
}

// known reports whether anything follows from the topic.
func (ev *Event) known() bool {
	switch ev.Topic {
	case topicUninstalled, topicScopes, topicShop, topicBulkEnded:
		return true
	}
	return webhookReaders[ev.Topic] != nil
}

// deliver does what a webhook asks for.
func (s *Syncer) deliver(ctx context.Context, conn Connection, ev Event) error {
	ctx, leave, err := s.sharedOf(conn.ID).gate.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if ev.aboutCustomers() {
		return s.deliverMarks(ctx, conn, ev)
	}
	a := &access{conn: conn}
	if a.state, err = s.readState(ctx, conn.ID); err != nil {
		return err
	}
	if ev.isPrivacy() {
		return s.deliverPrivacy(ctx, a, ev)
	}
	if a.state.Disconnected != nil {
		return ErrNotConnected
	}
	switch ev.Topic {
	case topicUninstalled:
		if p := a.state.Pause; p != nil && p.State == HealthUninstalled {
			return nil
		}
		refused, err := s.refused(ctx, a)
		if err == nil && !refused {
			s.logger.WarnContext(ctx, "a webhook says that the app was uninstalled, but Shopify still serves the connection: it is an old one, or another store's", "connection", string(conn.ID))
		}
		return err
	case topicScopes, topicShop:
		_, err := s.changeState(ctx, conn.ID, func(st *ConnectionState) bool {
			if st.CheckDue || st.Disconnected != nil {
				return false
			}
			st.CheckDue = true
			return true
		})
		s.noteChanged(conn.ID)
		return err
	case topicBulkEnded:
		s.sharedOf(conn.ID).bulkEnded.Store(true)
	}
	return nil
}

func (ev *Event) isPrivacy() bool {
	switch ev.Topic {
	case topicDataRequest, topicCustomerRedact, topicShopRedact:
		return true
	}
	return false
}

// aboutCustomers reports whether customers are to be fetched.
func (ev *Event) aboutCustomers() bool { return webhookReaders[ev.Topic] != nil && !ev.isPrivacy() }

// deliverMarks marks the customers of a webhook, and with a state store that
// forgets fetches them at once.
func (s *Syncer) deliverMarks(ctx context.Context, conn Connection, ev Event) error {
	if len(ev.Customers) == 0 {
		return invalidWebhook("it names no customer")
	}
	notBefore := s.millis().Add(debounce)
	marks := make([]Mark, len(ev.Customers))
	for i, id := range ev.Customers {
		if id <= 0 {
			return invalidWebhook("a customer id is malformed")
		}
		marks[i] = Mark{
			Connection: conn.ID, CustomerID: id, Reason: ev.Topic, NotBefore: notBefore,
			Floor: ev.UpdatedAt.UTC().Truncate(time.Millisecond),
		}
		if id != ev.MergedInto {
			marks[i].MergedInto = ev.MergedInto
		}
	}
	if s.forgets() {
		return s.fetchNow(ctx, conn, marks)
	}
	return s.putTogether(ctx, conn, marks)
}

// maxProbes bounds how often Shopify is asked about a connection that changes
// meanwhile.
const maxProbes = 3

// refused asks Shopify whether it refuses the connection's own token, and if so
// remembers that the app was uninstalled. An error says that it is not known.
func (s *Syncer) refused(ctx context.Context, a *access) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin) // shop/redact has more time, but not for this
	defer cancel()
	for range maxProbes {
		probe, err := s.admin(a.conn, throttle.Lookup)
		if err != nil {
			return false, err
		}
		_, err = probe.shop(ctx)
		if err == nil {
			s.settleHealth(ctx, a, nil)
			return false, nil
		}
		if !errors.Is(err, ErrUnauthorized) && !errors.Is(err, ErrAppNotInstalled) {
			s.settleHealth(ctx, a, err)
			return false, err
		}
		// It may have been connected anew since the token was looked up.
		changed := false
		st, err := s.changeState(ctx, a.conn.ID, func(st *ConnectionState) bool {
			changed = st.Revision != a.state.Revision
			return !changed && st.note(fmt.Errorf("%w (%w)", ErrUninstalled, err), s.millis())
		})
		if err != nil {
			return false, err
		}
		a.state = st
		if !changed {
			return true, nil
		}
		if st.Disconnected != nil {
			return false, ErrNotConnected
		}
		if a.conn, err = s.connection(ctx, a.conn.ID); err != nil {
			return false, err
		}
	}
	return false, storeError("save the connection's state", ErrStateConflict)
}

// deliverPrivacy deals with what privacy law asks for: also after Disconnect,
// as long as the connection's secret is kept.
func (s *Syncer) deliverPrivacy(ctx context.Context, a *access, ev Event) error {
	request := ev.Privacy
	if request == nil {
		return invalidWebhook("it has no privacy request")
	}
	if !a.isShop(request) {
		return invalidWebhook("it names another shop than the connection's")
	}
	log := s.logger.With("connection", string(a.conn.ID))
	switch ev.Topic {
	case topicDataRequest:
		r := DataRequest{Connection: a.conn.ID, ID: request.DataRequestID, Customers: ev.Customers, Email: request.Email, Phone: request.Phone}
		if s.privacy.DataRequest == nil {
			log.WarnContext(ctx, "a customer asked for their data, and the merchant must get it within 30 days: see WithPrivacyHandler", "request", r.ID, slog.Any("customers", r.Customers))
			return s.keepDataRequest(ctx, r)
		}
		if err := s.privacy.DataRequest(ctx, r); err != nil {
			return &hostError{doing: "privacy handler: data request", err: err}
		}
		return nil
	case topicCustomerRedact:
		return s.redactCustomer(ctx, a.conn.ID, ev)
	}
	return s.deliverRedact(ctx, a)
}

// deliverRedact deals with shop/redact. Whether the store has left may take
// weeks to find out: Serve does, in whatever process. Without it here Shopify
// sends the webhook again, as often as it does.
func (s *Syncer) deliverRedact(ctx context.Context, a *access) error {
	if a.state.Disconnected != nil {
		return s.eraseShop(ctx, a.conn.ID, (*ConnectionState).gone)
	}
	st, err := s.changeState(ctx, a.conn.ID, func(st *ConnectionState) bool {
		if st.Disconnected != nil || !st.RedactAsked.IsZero() {
			return false
		}
		st.RedactAsked = s.millis()
		return true
	})
	if err != nil {
		return err
	}
	a.state = st
	err = s.redactShop(ctx, a)
	if err != nil && s.serving.Load() && !s.forgets() {
		s.noteChanged(a.conn.ID)
		s.logger.WarnContext(ctx, "the store's data is erased once Shopify says that the store has left", "connection", string(a.conn.ID), "error", err)
		return nil
	}
	return err
}

// keepDataRequest keeps a request that no handler takes where Status shows it.
func (s *Syncer) keepDataRequest(ctx context.Context, r DataRequest) error {
	_, err := s.changeState(ctx, r.Connection, func(st *ConnectionState) bool {
		now := s.millis()
		open := st.openDataRequests(now)
		if slices.ContainsFunc(open, func(old OpenDataRequest) bool { return old.ID == r.ID }) {
			return false
		}
		open = append(open, OpenDataRequest{ID: r.ID, At: now, Customers: r.Customers})
		st.DataRequests = open[max(0, len(open)-maxDataRequests):]
		return true
	})
	return err
}

// redactCustomer erases the person of customers/redact.
func (s *Syncer) redactCustomer(ctx context.Context, id ConnectionID, ev Event) error {
	ids := ev.Customers
	if len(ids) == 0 {
		var err error
		if ids, err = s.findPeople(ctx, id, ev.Privacy.Email.Reveal(), ev.Privacy.Phone.Reveal()); err != nil || len(ids) == 0 {
			return err
		}
	}
	_, _, err := s.eraseCustomers(ctx, id, ids)
	return err
}

const shopGID = "gid://shopify/Shop/"

// isShop reports whether a privacy request names the connection's store: by its
// identity, or by its name while that is not known.
func (a *access) isShop(p *PrivacyRequest) bool {
	if a.state.ShopID != "" {
		return a.state.ShopID == shopGID+strconv.FormatInt(p.ShopID, 10)
	}
	return p.ShopDomain != "" && p.ShopDomain == a.conn.Shop
}

// noteMarked tells Serve, if it runs in this process, that a connection has
// marks.
func (s *Syncer) noteMarked(id ConnectionID) {
	s.mu.Lock()
	s.noted[id] = struct{}{}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// takeNoted returns the connections noted since the last call. Wait for wake
// first.
func (s *Syncer) takeNoted() []ConnectionID {
	s.mu.Lock()
	defer s.mu.Unlock()
	noted := make([]ConnectionID, 0, len(s.noted))
	for id := range s.noted {
		noted = append(noted, id)
	}
	clear(s.noted)
	return noted
}
