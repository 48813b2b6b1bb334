package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/omnichat/shopifysync/internal/adminapi"
	"github.com/omnichat/shopifysync/internal/shopify"
	"github.com/omnichat/shopifysync/internal/throttle"
)

const (
	// subscribeTimeout bounds how long Connect and Check work on subscriptions;
	// what is left is for the next check.
	subscribeTimeout = time.Minute
	// maxSubscriptions bounds how many are listed: an app has some dozens.
	maxSubscriptions = 40 * maxPage
)

// A wantedTopic is a webhook topic that each connection subscribes to.
type wantedTopic struct {
	name  string // in the Admin API
	topic string // as deliveries carry it
	since string // the first API version that knows it; empty: every one
	scope string // what the app must have beside read_customers
	// fields are what of the payload is sent; nil: all of it. Personal data
	// need not travel. What changes from event to event must: of bodies that
	// are alike Shopify sends only one.
	fields []string
}

// wantedTopics follow Shopify's webhook reference. What [ParseWebhook] reads of
// each is among its fields.
var wantedTopics = []wantedTopic{
	{name: "CUSTOMERS_CREATE", topic: "customers/create", fields: []string{"id", "updated_at"}},
	{name: "CUSTOMERS_UPDATE", topic: "customers/update", fields: []string{"id", "updated_at"}},
	{name: "CUSTOMERS_ENABLE", topic: "customers/enable", fields: []string{"id", "updated_at"}},
	{name: "CUSTOMERS_DISABLE", topic: "customers/disable", fields: []string{"id", "updated_at"}},
	{name: "CUSTOMERS_DELETE", topic: "customers/delete"},
	{name: "CUSTOMERS_MERGE", topic: "customers/merge", scope: scopeMerge},
	{name: "CUSTOMER_TAGS_ADDED", topic: "customer.tags_added"},
	{name: "CUSTOMER_TAGS_REMOVED", topic: "customer.tags_removed"},
	{name: "CUSTOMERS_EMAIL_MARKETING_CONSENT_UPDATE", topic: "customers_email_marketing_consent/update", fields: []string{"customer_id", "email_marketing_consent"}},
	{name: "CUSTOMERS_MARKETING_CONSENT_UPDATE", topic: "customers_marketing_consent/update", fields: []string{"id", "sms_marketing_consent"}},
	{name: "CUSTOMERS_WHATS_APP_MARKETING_CONSENT_UPDATE", topic: "customers_whats_app_marketing_consent/update", since: "2026-07", fields: []string{"customer_id", "whats_app_marketing_consent"}},
	{name: "CUSTOMERS_PURCHASING_SUMMARY", topic: "customers/purchasing_summary", since: "2025-01"},
	{name: "APP_UNINSTALLED", topic: "app/uninstalled", fields: []string{"id", "myshopify_domain"}},
	{name: "APP_SCOPES_UPDATE", topic: "app/scopes_update", since: "2024-10"},
	{name: "BULK_OPERATIONS_FINISH", topic: "bulk_operations/finish"},
}

// subscribe makes the connection's webhook subscriptions as they should be, and
// the health say how they are. It does nothing without [WithWebhookURL].
func (s *Syncer) subscribe(ctx context.Context, adm *admin, h *Health) {
	if s.webhookURL == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, subscribeTimeout)
	defer cancel()
	sub := &subscriber{admin: adm, ours: s.subscriptionURL(adm.conn.ID)}
	h.Subscriptions = sub.repair(ctx, h.Scopes)
	for _, got := range h.Subscriptions {
		if got.State == SubscriptionFailed || got.State == SubscriptionSkipped && got.Reason != reasonVersion {
			h.warn("webhooks %s are not subscribed to: %s", got.Topic, got.Reason)
		}
	}
	if h.subscriptionsFailed() {
		s.logger.WarnContext(ctx, "not all webhook subscriptions are as they should be; the next check tries again",
			"connection", string(adm.conn.ID), "warnings", h.Warnings)
	}
}

func (h *Health) subscriptionsFailed() bool {
	return slices.ContainsFunc(h.Subscriptions, func(got Subscription) bool { return got.State == SubscriptionFailed })
}

// subscriptionURL is where a connection's webhooks are sent.
func (s *Syncer) subscriptionURL(id ConnectionID) string {
	return strings.ReplaceAll(s.webhookURL, connectionPlaceholder, url.PathEscape(string(id)))
}

// A subscriber keeps the subscriptions of one connection.
type subscriber struct {
	*admin
	ours string // the address to send to
}

// The reasons for which a subscription is not there.
const (
	reasonVersion  = "the API version that Shopify serves does not know this topic"
	reasonNoSecret = "the connection has no client secret, so that webhooks could not be verified: enter the API secret key and connect again"
	reasonTime     = "there was not enough time"
	reasonAddress  = "Shopify refuses the address: it must be a public https address"
	reasonRejected = "Shopify refused it"
)

// repair returns how the subscription of each wanted topic is once it has done
// what it could. It may be called any number of times, and by several processes.
func (sub *subscriber) repair(ctx context.Context, scopes []string) []Subscription {
	creds := sub.conn.Credentials
	if creds.ClientSecret.IsZero() && creds.PreviousClientSecret.IsZero() {
		// Shopify deletes a subscription whose deliveries are all refused.
		return everyTopic(SubscriptionSkipped, reasonNoSecret)
	}
	there, err := sub.list(ctx)
	if err != nil {
		return everyTopic(SubscriptionFailed, sub.reason(ctx, err))
	}
	out := make([]Subscription, 0, len(wantedTopics))
	var over error // a refusal of everything
	for _, want := range wantedTopics {
		got := Subscription{Topic: want.topic}
		switch {
		case want.since != "" && sub.served < want.since: // "unstable" is greater
			got.State, got.Reason = SubscriptionSkipped, reasonVersion
		case want.scope != "" && !mayRead(scopes, want.scope):
			got.State, got.Reason = SubscriptionSkipped, fmt.Sprintf("the app lacks the access scope %s", want.scope)
		case over != nil:
			got.State, got.Reason = SubscriptionFailed, sub.reason(ctx, over)
		default:
			var err error
			got.State, err = sub.repairTopic(ctx, want, there[want.name])
			if err != nil {
				got.Reason = sub.reason(ctx, err)
				if _, telling := healthOf(err); (telling && !errors.Is(err, ErrScopeMissing)) || ctx.Err() != nil || errors.Is(err, ErrThrottled) {
					over = err
				}
			}
		}
		out = append(out, got)
	}
	return out
}

func everyTopic(state SubscriptionState, reason string) []Subscription {
	out := make([]Subscription, len(wantedTopics))
	for i, want := range wantedTopics {
		out[i] = Subscription{Topic: want.topic, State: state, Reason: reason}
	}
	return out
}

// reason says why a subscription failed, without Shopify's own words, which may
// quote what was sent.
func (sub *subscriber) reason(ctx context.Context, err error) string {
	var own Reason
	switch {
	case ctx.Err() != nil:
		return reasonTime
	case errors.As(err, &own):
		return string(own)
	case isKind(err, shopify.InvalidQuery):
		return reasonVersion
	}
	return err.Error()
}

// list returns the subscriptions whose address is this connection's, whatever
// its host, by topic; those of others are left alone.
func (sub *subscriber) list(ctx context.Context) (map[string][]adminapi.SubscriptionFields, error) {
	ours := make(map[string][]adminapi.SubscriptionFields)
	var cursor *string
	visited := make(map[string]bool)
	for listed := 0; ; {
		var resp *adminapi.WebhookSubscriptionsResponse
		_, err := sub.call(ctx, "WebhookSubscriptions", func(m *shopify.Meta) (err error) {
			resp, err = adminapi.WebhookSubscriptions(ctx, sub.client.Call(m, sub.priority), maxPage, cursor)
			return err
		})
		if err != nil {
			return nil, err
		}
		page := resp.WebhookSubscriptions
		for _, node := range page.Nodes {
			if sub.isOurs(callback(node)) {
				ours[string(node.Topic)] = append(ours[string(node.Topic)], node)
			}
		}
		listed += len(page.Nodes)
		next := page.PageInfo.EndCursor
		switch {
		case !page.PageInfo.HasNextPage:
			return ours, nil
		case next == "" || visited[next] || listed >= maxSubscriptions:
			return nil, Reason("Shopify's list of them does not end")
		}
		visited[next] = true
		cursor = &next
	}
}

// callback is the address that a subscription sends to; empty unless that is
// an HTTP one.
func callback(node adminapi.SubscriptionFields) string {
	if to, ok := node.Endpoint.(*adminapi.SubscriptionFieldsEndpointWebhookHttpEndpoint); ok {
		return to.CallbackUrl
	}
	return ""
}

// isOurs reports whether an address has this connection's path: then it is one
// that this library made, perhaps when the host had another name.
func (sub *subscriber) isOurs(address string) bool {
	theirs, err := url.Parse(address)
	if err != nil || address == "" {
		return false
	}
	ours, err := url.Parse(sub.ours)
	return err == nil && theirs.EscapedPath() == ours.EscapedPath()
}

// fits reports whether a subscription is as it is wanted. The version that it
// was made with is of no matter: Shopify rolls it over by itself.
func (sub *subscriber) fits(want wantedTopic, node adminapi.SubscriptionFields) bool {
	has, wants := slices.Clone(node.IncludeFields), slices.Clone(want.fields)
	slices.Sort(has)
	slices.Sort(wants)
	return callback(node) == sub.ours && node.Format == adminapi.WebhookSubscriptionFormatJson && slices.Equal(has, wants)
}

// repairTopic makes the one subscription of a topic as it should be, given
// those that are there.
func (sub *subscriber) repairTopic(ctx context.Context, want wantedTopic, there []adminapi.SubscriptionFields) (SubscriptionState, error) {
	if len(there) == 0 {
		return sub.create(ctx, want)
	}
	// The address of one that has it already cannot be given to another.
	keep := max(0, slices.IndexFunc(there, func(node adminapi.SubscriptionFields) bool { return callback(node) == sub.ours }))
	if i := slices.IndexFunc(there, func(node adminapi.SubscriptionFields) bool { return sub.fits(want, node) }); i >= 0 {
		keep = i
	}
	state := SubscriptionOK
	for i, node := range there {
		if i == keep {
			continue
		}
		state = SubscriptionRepaired
		if err := sub.remove(ctx, node.Id); err != nil {
			return SubscriptionFailed, err
		}
	}
	if sub.fits(want, there[keep]) {
		return state, nil
	}
	var resp *adminapi.UpdateWebhookSubscriptionResponse
	_, err := sub.call(ctx, "UpdateWebhookSubscription", func(m *shopify.Meta) (err error) {
		resp, err = adminapi.UpdateWebhookSubscription(ctx, sub.client.Call(m, sub.priority), there[keep].Id, sub.ours, want.fields)
		return err
	})
	if err == nil {
		err = refusedSubscription(resp.WebhookSubscriptionUpdate.UserErrors)
	}
	if err != nil {
		return SubscriptionFailed, err
	}
	return SubscriptionRepaired, nil
}

func (sub *subscriber) create(ctx context.Context, want wantedTopic) (SubscriptionState, error) {
	var resp *adminapi.CreateWebhookSubscriptionResponse
	_, err := sub.call(ctx, "CreateWebhookSubscription", func(m *shopify.Meta) (err error) {
		resp, err = adminapi.CreateWebhookSubscription(ctx, sub.client.Call(m, sub.priority),
			adminapi.WebhookSubscriptionTopic(want.name), sub.ours, want.fields)
		return err
	})
	if err == nil {
		err = refusedSubscription(resp.WebhookSubscriptionCreate.UserErrors)
	}
	switch {
	case err == nil:
		return SubscriptionCreated, nil
	case errors.Is(err, errTaken): // another process was quicker
		return SubscriptionOK, nil
	case errors.Is(err, errNotAllowed), errors.Is(err, ErrScopeMissing), isKind(err, shopify.InvalidQuery):
		return SubscriptionSkipped, err
	}
	return SubscriptionFailed, err
}

// remove deletes a subscription; one that is gone already is no error.
func (sub *subscriber) remove(ctx context.Context, id string) error {
	var resp *adminapi.DeleteWebhookSubscriptionResponse
	_, err := sub.call(ctx, "DeleteWebhookSubscription", func(m *shopify.Meta) (err error) {
		resp, err = adminapi.DeleteWebhookSubscription(ctx, sub.client.Call(m, sub.priority), id)
		return err
	})
	if err == nil {
		err = refusedSubscription(resp.WebhookSubscriptionDelete.UserErrors)
	}
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

const (
	errTaken      = Reason("Shopify has the same subscription already")
	errGone       = Reason("Shopify no longer has the subscription")
	errNotAllowed = Reason("the app may not subscribe to this topic")
)

// refusedSubscription says what Shopify's errors about an input mean. They have
// no codes, and their texts may quote the address.
func refusedSubscription(errs []adminapi.UserError) error {
	if len(errs) == 0 {
		return nil
	}
	text := strings.ToLower(errs[0].Message)
	switch {
	case strings.Contains(text, "already been taken"):
		return errTaken
	case strings.Contains(text, "does not exist"):
		return errGone
	case strings.Contains(text, "permission"), strings.Contains(text, "access scope"), strings.Contains(text, "not approved"):
		return errNotAllowed
	case slices.Contains(errs[0].Field, "callbackUrl"):
		return Reason(reasonAddress)
	}
	return Reason(reasonRejected)
}

// unsubscribe removes every subscription of this connection, and returns how
// many it removed.
func (s *Syncer) unsubscribe(ctx context.Context, conn Connection) (int, error) {
	if s.webhookURL == "" {
		return 0, nil
	}
	adm, err := s.admin(conn, throttle.Lookup)
	if err != nil {
		return 0, err
	}
	sub := &subscriber{admin: adm, ours: s.subscriptionURL(conn.ID)}
	there, err := sub.list(ctx)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, nodes := range there {
		for _, node := range nodes {
			if err := sub.remove(ctx, node.Id); err != nil {
				return removed, err
			}
			removed++
		}
	}
	return removed, nil
}
