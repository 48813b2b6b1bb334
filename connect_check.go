package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/omnichat/shopifysync/internal/adminapi"
	"github.com/omnichat/shopifysync/internal/shopify"
	"github.com/omnichat/shopifysync/internal/throttle"
)

// Check asks Shopify what Connect does, for a connection as it is saved, makes
// webhook subscriptions as they should be, and remembers the health, which
// [Syncer.Status] shows from then on.
//
// A refusal pauses the connection and is returned, beside the health that says
// the same; a success ends the pause. When Shopify could not be asked, the
// health is the one remembered, as it is beside [ErrSyncInProgress], which says
// that another check runs, and [ErrUninstalled], after which nothing is sent
// before the next Connect. Other errors are those of [Syncer.Connect].
func (s *Syncer) Check(ctx context.Context, id ConnectionID) (*Health, error) {
	ctx, a, err := s.open(ctx, id)
	if err != nil {
		return s.remembered(ctx, id, err), err
	}
	defer a.leave()
	health, err := s.check(ctx, a)
	return health, wrapped(ended(ctx, err))
}

// remembered is the health of a connection that is paused for good; nil if err
// says something else.
func (s *Syncer) remembered(ctx context.Context, id ConnectionID, err error) *Health {
	if _, telling := healthOf(err); !telling {
		return nil
	}
	st, err := s.readState(ctx, id)
	if err != nil {
		return nil
	}
	return &st.Health
}

// check is Check for a call that is let in.
func (s *Syncer) check(ctx context.Context, a *access) (*Health, error) {
	lease, until, err := s.acquire(ctx, a.conn.ID, LeaseCheck, 0)
	if err != nil {
		return &a.state.Health, err
	}
	defer s.release(ctx, lease)
	ctx, stop := s.keepLease(ctx, lease, until)
	defer stop()
	health, err := s.checkHeld(ctx, a)
	return health, ended(ctx, err)
}

// checkHeld is check with the lease.
func (s *Syncer) checkHeld(ctx context.Context, a *access) (*Health, error) {
	remembered := &a.state.Health
	adm, err := s.admin(a.conn, throttle.Lookup)
	if err != nil {
		return remembered, err
	}
	adm.shopID = a.state.ShopID
	health, refusal := adm.probe(ctx)
	if refusal != nil {
		if _, telling := healthOf(refusal); !telling || ctx.Err() != nil {
			return remembered, refusal
		}
		health.refuse(refusal)
		health.keep(a.state.Health)
	} else {
		s.subscribe(ctx, adm, &health)
	}
	if ctx.Err() != nil {
		return remembered, ctx.Err()
	}
	_, err = s.changeState(ctx, a.conn.ID, func(st *ConnectionState) bool {
		if st.Disconnected != nil {
			return false
		}
		st.note(refusal, s.millis())
		st.Health, st.CheckDue = health, false
		if st.ShopID == "" && refusal == nil {
			st.ShopID = health.Shop.ID
		}
		return true
	})
	if refusal == nil {
		refusal = err
	}
	return &health, refusal
}

// refuse makes the health say what an error does.
func (h *Health) refuse(err error) {
	state, telling := healthOf(err)
	h.State, h.Message = state, err.Error()
	var missing *MissingScopesError
	switch {
	case errors.As(err, &missing):
		h.Message = missing.Error()
	case telling:
		for _, r := range refusals {
			if errors.Is(err, r.err) {
				h.Message = r.err.Error()
				break
			}
		}
	}
}

// keep takes what was not asked before a refusal from an earlier health.
func (h *Health) keep(old Health) {
	if h.Shop.ID == "" {
		h.Shop = old.Shop
	}
	if h.Scopes == nil {
		h.Scopes = old.Scopes
	}
	if h.PersonalData == DataUnknown {
		h.PersonalData = old.PersonalData
	}
	if h.ServedVersion == "" {
		h.ServedVersion = old.ServedVersion
	}
	h.Subscriptions = old.Subscriptions
}

func (h *Health) warn(format string, args ...any) {
	h.Warnings = append(h.Warnings, fmt.Sprintf(format, args...))
}

// probe asks Shopify all that a Health tells, but for the subscriptions. With
// an error comes what was learned before it.
func (a *admin) probe(ctx context.Context) (Health, error) {
	h := Health{AskedVersion: a.conn.apiVersion()}
	err := a.ask(ctx, &h)
	h.CheckedAt = a.s.millis()
	h.ServedVersion = a.served
	if err != nil {
		return h, err
	}
	h.State = HealthOK
	if a.served != h.AskedVersion && h.AskedVersion != "unstable" {
		h.warn("Shopify answers API version %s with %s: it no longer serves the one asked for", h.AskedVersion, a.served)
	}
	if w := a.conn.WhatsApp; w != nil && w.Policy == WhatsAppSubscribed && (a.without | a.lacking()).Has(FieldWhatsAppConsent) {
		h.warn("nobody can become a WhatsApp contact by consent: Shopify shows the WhatsApp consent from API version 2026-07 on")
	}
	if a.warned != "" {
		h.warn("Shopify calls something deprecated that is asked of API version %s: %s", a.served, a.warned)
	}
	return h, nil
}

func (a *admin) ask(ctx context.Context, h *Health) (err error) {
	h.Shop, err = a.checkShop(ctx)
	if !h.Shop.Domain.valid() {
		h.Shop.Domain = ""
	}
	if err != nil {
		return err
	}
	if h.Scopes, err = a.scopes(ctx); err != nil {
		return err
	}
	if !mayRead(h.Scopes, scopeCustomers) {
		h.MissingScopes = []string{scopeCustomers}
		return &MissingScopesError{Missing: h.MissingScopes}
	}
	if err := a.askCustomer(ctx, h); err != nil {
		return err
	}
	// What catch-ups ask, so that nobody is missed without anybody knowing.
	_, err = a.changed(ctx, a.began.Add(-overlap), 1, "")
	if errors.Is(err, ErrIncomplete) || isKind(err, shopify.InvalidQuery) {
		h.warn("catch-ups do not work: Shopify does not understand the filter of their list in API version %s", a.served)
		a.s.logger.WarnContext(ctx, "Shopify does not understand the filter of catch-ups", "connection", string(a.conn.ID), "served", a.served, "error", err)
		err = nil
	}
	return err
}

// askCustomer reads one customer to see what is shown of it. Never the plan's
// name tells.
func (a *admin) askCustomer(ctx context.Context, h *Health) error {
	page, err := a.page(ctx, 1, "")
	if errors.Is(err, ErrScopeMissing) { // which the app has
		err = fmt.Errorf("%w (%w)", ErrProtectedData, err)
	}
	switch {
	case errors.Is(err, ErrProtectedData):
		h.PersonalData = DataRefused
		return err
	case err != nil:
		return err
	}
	h.PersonalData = a.personalData(page.records) // if it is not known, the first page of a run decides
	switch {
	case h.PersonalData == DataRefused:
		return ErrProtectedData
	case page.masked != 0:
		h.warn("Shopify does not show the app all fields of customers: %v", page.masked)
	}
	return nil
}

const (
	scopeCustomers = "read_customers"
	scopeMerge     = "read_customer_merge"
)

// scopes returns the access scopes that the app has.
func (a *admin) scopes(ctx context.Context) ([]string, error) {
	var resp *adminapi.AccessScopesResponse
	_, err := a.call(ctx, "AccessScopes", func(m *shopify.Meta) (err error) {
		resp, err = adminapi.AccessScopes(ctx, a.client.Call(m, a.priority))
		return err
	})
	if err != nil {
		return nil, err
	}
	scopes := []string{}
	for _, scope := range resp.CurrentAppInstallation.AccessScopes {
		scopes = append(scopes, scope.Handle)
	}
	slices.Sort(scopes)
	return scopes, nil
}

// mayRead reports whether the scopes have that one to read, or the one to
// write, which implies it.
func mayRead(scopes []string, read string) bool {
	return slices.Contains(scopes, read) || slices.Contains(scopes, "write_"+read[len("read_"):])
}

// explainNotFound tells a store that does not exist from an API version that
// does not: both are a 404.
func (a *admin) explainNotFound(ctx context.Context, notFound error) error {
	if a.conn.apiVersion() == DefaultAPIVersion {
		return notFound
	}
	asked := a.conn
	asked.APIVersion = DefaultAPIVersion
	other, err := a.s.adminWith(asked, a.priority, a.token)
	if err != nil {
		return notFound
	}
	if _, err := other.shop(ctx); err != nil {
		return notFound
	}
	return fmt.Errorf("%w: Shopify has no API version %s", ErrInvalidConnection, a.conn.APIVersion)
}
