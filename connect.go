package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/omnichat/shopifysync/internal/throttle"
)

// Connect verifies a connection with the credentials given, saves it, and then
// subscribes to webhooks. It also edits one: contacts, marks and history stay,
// and a connection that was paused goes on where it was.
//
// Verified are, by asking Shopify: the token; that the store which answers is
// the one named, and the one that this connection has always been of; the
// access scopes; that a customer can be read with name, e-mail and phone; and
// the version that Shopify serves. Unless all of that is well nothing is saved,
// and the health returned beside the error holds what was learned.
//
// Errors match [ErrInvalidConnection], [ErrInvalidShop], [ErrUnauthorized],
// [ErrAppNotInstalled], [ErrOtherOrganization], [ErrShopNotFound],
// [ErrShopFrozen], [ErrShopLocked], [ErrShopMoved], [ErrAnotherStore],
// [ErrShopTaken], [ErrScopeMissing] ([MissingScopesError] lists them),
// [ErrProtectedData], [ErrThrottled], [ErrUnavailable], [ErrSyncInProgress] (a
// check of the connection is running), [ErrNotConnected] (it is just being
// disconnected), the context's error, or what the stores return. A failed
// subscription is no error: it is among the health's Warnings, and the next
// Check tries again.
//
// The connection is saved if the Syncer's [Connections] is a [ConnectionStore];
// otherwise the host saves c once Connect has returned without an error. When
// an edit brings another ClientSecret and no PreviousClientSecret, the secret
// saved before becomes that: Shopify may go on signing with it for an hour. To
// drop it, connect once more. A connection that belonged to a store, by
// Shopify's shop.id, never becomes another store's: give that one an ID of its
// own. A store that was renamed is still the same one.
func (s *Syncer) Connect(ctx context.Context, c Connection) (*Health, error) {
	if err := c.validate(s.tokens); err != nil {
		return nil, wrapped(err)
	}
	ctx, leave, err := s.sharedOf(c.ID).gate.enter(ctx)
	if err != nil {
		return nil, fmt.Errorf("shopifysync: the connection is being disconnected: connect again once that is over: %w", err)
	}
	defer leave()
	health, err := s.connect(ctx, cloneConnection(c))
	return health, wrapped(ended(ctx, err))
}

// connect is Connect for a call that is let in. It holds the lease of checks all
// the time: neither another Connect nor a Disconnect comes between its steps, in
// whatever process, and a Disconnect that has come makes it end.
func (s *Syncer) connect(ctx context.Context, c Connection) (*Health, error) {
	lease, until, err := s.takeLease(ctx, c.ID, LeaseCheck, 2*s.leaseTTL)
	if err != nil {
		return nil, err
	}
	defer s.release(ctx, lease)
	st, err := s.readState(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	ctx, stop := s.holdLease(ctx, lease, until, func(now *ConnectionState) bool {
		return now.Disconnected != nil && (st.Disconnected == nil || !now.Disconnected.At.Equal(st.Disconnected.At))
	})
	defer stop()
	health, err := s.connectHeld(ctx, c, st)
	return health, ended(ctx, err)
}

// connectHeld is connect with the lease.
func (s *Syncer) connectHeld(ctx context.Context, c Connection, st ConnectionState) (*Health, error) {
	fresh := new(tokens)
	// The credentials given are to be proved, not those saved before.
	adm, err := s.adminWith(c, throttle.Lookup, func(ctx context.Context, rejected string) (string, error) {
		return s.tokenOf(ctx, c, rejected, fresh)
	})
	if err != nil {
		return nil, err
	}
	adm.shopID = st.ShopID
	health, err := adm.probe(ctx)
	if errors.Is(err, ErrShopNotFound) {
		err = adm.explainNotFound(ctx, err)
	}
	if err == nil {
		err = s.checkTaken(ctx, c, health.Shop.ID)
	}
	if err != nil {
		health.refuse(err)
		return &health, err
	}
	if err := s.saveConnected(ctx, c, st, health); err != nil {
		return &health, err
	}
	s.sharedOf(c.ID).tokens.adopt(fresh)
	s.logger.InfoContext(ctx, "connected", "connection", string(c.ID), "shop", string(c.Shop), "served", health.ServedVersion)
	s.subscribe(ctx, adm, &health)
	failed := health.subscriptionsFailed()
	if _, err := s.changeState(ctx, c.ID, func(st *ConnectionState) bool {
		if st.Disconnected != nil {
			return false
		}
		st.Health, st.CheckDue = health, failed
		return true
	}); err != nil {
		s.logger.WarnContext(ctx, "the state of the webhook subscriptions was not saved; the next check does", "connection", string(c.ID), "error", err)
	}
	s.noteChanged(c.ID)
	return &health, nil
}

// checkTaken refuses a store that another connection is of, if it is to be so.
func (s *Syncer) checkTaken(ctx context.Context, c Connection, shopID string) error {
	if !s.onePerShop {
		return nil
	}
	others, err := s.conns.ConnectionsByShop(ctx, c.Shop)
	if err != nil {
		return &hostError{doing: "look up the shop's connections", err: err}
	}
	for _, other := range others {
		if other.ID == c.ID {
			continue
		}
		st, err := s.readState(ctx, other.ID)
		if err != nil {
			return err
		}
		if st.Disconnected == nil && (st.ShopID == "" || st.ShopID == shopID) {
			return ErrShopTaken
		}
	}
	return nil
}

// saveConnected saves a verified connection and its state, or neither. begun is
// the state as it was at first.
func (s *Syncer) saveConnected(ctx context.Context, c Connection, begun ConnectionState, h Health) error {
	store, _ := s.conns.(ConnectionStore)
	var old *Connection
	if store != nil {
		switch saved, err := store.Connection(ctx, c.ID); {
		case err == nil:
			old = &saved
		case !errors.Is(err, ErrNotConnected) && !errors.Is(err, ErrInvalidConnection): // one that cannot be read is replaced
			return &hostError{doing: "look up the connection", err: err}
		}
	}
	if old != nil && c.Credentials.PreviousClientSecret.IsZero() {
		before := old.Credentials.ClientSecret
		if !before.IsZero() && !before.Equal(c.Credentials.ClientSecret) {
			c.Credentials.PreviousClientSecret = before
		}
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	// From here on both are saved, or the first is taken back.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if store != nil {
		if _, err := store.SaveConnection(ctx, SaveConnectionParams{Connection: c}); err != nil {
			return storeError("save the connection", err)
		}
	}
	var refusal error
	_, err := s.changeState(ctx, c.ID, func(st *ConnectionState) bool {
		switch {
		case st.Disconnected != nil && begun.Disconnected == nil: // meanwhile
			refusal = ErrNotConnected
		case st.ShopID != "" && st.ShopID != h.Shop.ID: // a run was quicker
			refusal = ErrAnotherStore
		default:
			refusal = nil
			st.connected(h, s)
		}
		return refusal == nil
	})
	if err == nil {
		err = refusal
	}
	if err != nil && store != nil {
		s.takeBack(ctx, store, begun, old)
	}
	return err
}

// connected is what Connect makes of a state.
func (st *ConnectionState) connected(h Health, s *Syncer) {
	now := s.millis()
	switch {
	case st.Disconnected != nil:
		st.ConnectedAt = now
		// Whatever happened meanwhile, a full run finds it.
		st.RunAt, st.TriedAt, st.CaughtUpAt = time.Time{}, time.Time{}, time.Time{}
	case st.Pause != nil:
		st.CaughtUpAt = time.Time{}
	}
	if st.ConnectedAt.IsZero() {
		st.ConnectedAt = now
	}
	st.ShopID, st.Health = h.Shop.ID, h
	st.Disconnected, st.Pause, st.RedactAsked = nil, nil, time.Time{}
	st.CheckDue = s.webhookURL != "" // until it has subscribed
}

// takeBack puts back the connection that was saved before, unless somebody has
// connected or disconnected it since: after a call that hung for longer than the
// lease.
func (s *Syncer) takeBack(ctx context.Context, store ConnectionStore, begun ConnectionState, old *Connection) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	now, err := s.readState(ctx, begun.Connection)
	if err == nil && now.ConnectedAt.Equal(begun.ConnectedAt) && (now.Disconnected == nil) == (begun.Disconnected == nil) {
		if old != nil {
			_, err = store.SaveConnection(ctx, SaveConnectionParams{Connection: *old})
		} else {
			_, err = store.DeleteConnection(ctx, DeleteConnectionParams{Connection: begun.Connection})
		}
		if err != nil {
			err = storeError("take the connection back", err)
		}
	}
	if err != nil {
		s.logger.ErrorContext(ctx, "a connection whose state could not be saved was not taken back: connect once more, or disconnect",
			"connection", string(begun.Connection), "error", err)
	}
}
