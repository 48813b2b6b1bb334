package shopifytest

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// topics are the names of webhook topics as deliveries carry them, by the
// names that the GraphQL schema gives them.
var topics = map[string]string{
	"APP_SCOPES_UPDATE":                            "app/scopes_update",
	"APP_UNINSTALLED":                              "app/uninstalled",
	"BULK_OPERATIONS_FINISH":                       "bulk_operations/finish",
	"CUSTOMERS_CREATE":                             "customers/create",
	"CUSTOMERS_DELETE":                             "customers/delete",
	"CUSTOMERS_DISABLE":                            "customers/disable",
	"CUSTOMERS_EMAIL_MARKETING_CONSENT_UPDATE":     "customers_email_marketing_consent/update",
	"CUSTOMERS_ENABLE":                             "customers/enable",
	"CUSTOMERS_MARKETING_CONSENT_UPDATE":           "customers_marketing_consent/update",
	"CUSTOMERS_MERGE":                              "customers/merge",
	"CUSTOMERS_PURCHASING_SUMMARY":                 "customers/purchasing_summary",
	"CUSTOMERS_UPDATE":                             "customers/update",
	"CUSTOMERS_WHATS_APP_MARKETING_CONSENT_UPDATE": "customers_whats_app_marketing_consent/update",
	"CUSTOMER_ACCOUNT_SETTINGS_UPDATE":             "customer_account_settings/update",
	"CUSTOMER_JOINED_SEGMENT":                      "customer.joined_segment",
	"CUSTOMER_LEFT_SEGMENT":                        "customer.left_segment",
	"CUSTOMER_TAGS_ADDED":                          "customer.tags_added",
	"CUSTOMER_TAGS_REMOVED":                        "customer.tags_removed",
	"SHOP_UPDATE":                                  "shop/update",
}

// privacyTopics are in no version's enum: the app's own configuration
// subscribes to them.
var privacyTopics = []string{"customers/data_request", "customers/redact", "shop/redact"}

// Topics returns the webhook topics of a version that this server sends, as
// deliveries carry them, sorted. They are those of [Store.DeliveryOf].
func Topics(version string) []string {
	list := slices.Clone(privacyTopics)
	for _, value := range schemaFor(version).Types["WebhookSubscriptionTopic"].EnumValues {
		switch value.Name {
		case "CUSTOMER_ACCOUNT_SETTINGS_UPDATE", "CUSTOMER_JOINED_SEGMENT", "CUSTOMER_LEFT_SEGMENT": // can be subscribed to, and never happen here
		default:
			list = append(list, topics[value.Name])
		}
	}
	slices.Sort(list)
	return list
}

// topicScope is the access scope that a topic needs, or "".
func topicScope(topic string) string {
	switch {
	case topic == "CUSTOMERS_MERGE":
		return "read_customer_merge"
	case strings.HasPrefix(topic, "CUSTOMER"):
		return "read_customers"
	}
	return ""
}

// subscription is a WebhookSubscription made through the Admin API. It is
// replaced, never changed.
type subscription struct {
	id            int64
	topic         string // as in GraphQL
	url           string
	format        string
	includeFields []string
	version       string // served when it was made
}

func webhookSubscriptions(x *execution, dst []byte, _ any, f *field) []byte {
	size, backwards, e := window(f)
	if e != nil {
		return x.fail(dst, f, *e)
	}
	after, before, reverse := int64(0), int64(1)<<62, f.args["reverse"] == true
	for name, id := range map[string]*int64{"after": &after, "before": &before} {
		cursor, ok := f.args[name].(string)
		if !ok {
			continue
		}
		if *id, ok = parseSubscriptionCursor(cursor); !ok {
			return x.fail(dst, f, graphQLError(nil, "BAD_REQUEST", "Invalid cursor for current pagination sort."))
		}
	}
	if reverse && f.args["after"] != nil {
		after, before = 0, after
	}
	x.store.mu.Lock()
	list := slices.Clone(x.store.subscriptions)
	x.store.mu.Unlock()
	list = slices.DeleteFunc(list, func(s *subscription) bool { return s.id <= after || s.id >= before })
	if reverse != backwards {
		slices.Reverse(list)
	}
	p := &subscriptionPage{list: list[:min(size, len(list))], next: len(list) > size}
	if backwards {
		slices.Reverse(p.list)
	}
	f.rows = len(p.list)
	return x.object(dst, "WebhookSubscriptionConnection", p, f)
}

type subscriptionPage struct {
	list []*subscription
	next bool
}

func (p *subscriptionPage) hasNext() bool { return p.next }

func (p *subscriptionPage) endCursor() string {
	if len(p.list) == 0 {
		return ""
	}
	last := p.list[len(p.list)-1].id
	return base64.StdEncoding.EncodeToString([]byte("subscription:" + strconv.FormatInt(last, 10)))
}

func parseSubscriptionCursor(cursor string) (int64, bool) {
	b, err := base64.StdEncoding.DecodeString(cursor)
	text, found := strings.CutPrefix(string(b), "subscription:")
	id, parseErr := strconv.ParseInt(text, 10, 64)
	return id, err == nil && found && parseErr == nil
}

// subscriptionPayload is what the subscription mutations return.
type subscriptionPayload struct {
	subscription *subscription
	deletedID    int64
	errors       []userError
}

func refuseSubscription(field []string, format string, args ...any) subscriptionPayload {
	return subscriptionPayload{errors: []userError{{field: field, message: fmt.Sprintf(format, args...)}}}
}

func webhookSubscriptionCreate(x *execution, dst []byte, _ any, f *field) []byte {
	return x.object(dst, f.def.Type.Name(), x.call.createSubscription(f), f)
}

func (c *call) createSubscription(f *field) subscriptionPayload {
	topic := f.args["topic"].(string)
	if scope := topicScope(topic); scope != "" && !c.hasScope(scope) {
		return refuseSubscription([]string{"topic"},
			"You do not have permission to create or update webhooks with %s topic. Required access: `%s` access scope.", topics[topic], scope)
	}
	made := &subscription{id: c.server.nextID(), topic: topic, format: "JSON", version: c.version}
	return c.saveSubscription(made, f, true)
}

func webhookSubscriptionUpdate(x *execution, dst []byte, _ any, f *field) []byte {
	payload := refuseSubscription([]string{"id"}, "Webhook subscription does not exist")
	if known := x.store.findSubscription(f.args["id"].(string)); known != nil {
		changed := *known
		payload = x.call.saveSubscription(&changed, f, false)
	}
	return x.object(dst, f.def.Type.Name(), payload, f)
}

// saveSubscription reads the input into s, checks it and stores it.
func (c *call) saveSubscription(s *subscription, f *field, create bool) subscriptionPayload {
	input := f.args["webhookSubscription"].(map[string]any)
	if address, ok := input["callbackUrl"].(string); ok {
		s.url = address
	}
	if format, ok := input["format"].(string); ok {
		s.format = format
	}
	if fields, ok := input["includeFields"]; ok {
		s.includeFields = nil
		list, _ := fields.([]any)
		for _, name := range list {
			s.includeFields = append(s.includeFields, name.(string))
		}
	}
	address := []string{"webhookSubscription", "callbackUrl"}
	u, err := url.Parse(s.url)
	switch {
	case s.url == "":
		return refuseSubscription(address, "Address can't be blank")
	case err != nil || u.Host == "":
		return refuseSubscription(address, "Address is invalid")
	case u.Scheme != "https":
		return refuseSubscription(address, "Address protocol %s:// is not supported", u.Scheme)
	case len(u.Host) > len(".myshopify.com") && strings.HasSuffix(u.Host, ".myshopify.com"):
		return refuseSubscription(address, "Address cannot be a Shopify or an internal domain")
	}
	st := c.store
	st.mu.Lock()
	defer st.mu.Unlock()
	if slices.ContainsFunc(st.subscriptions, func(o *subscription) bool {
		return o.id != s.id && o.topic == s.topic && o.url == s.url && o.format == s.format
	}) {
		return refuseSubscription(address, "Address for this topic has already been taken")
	}
	if create {
		st.subscriptions = append(st.subscriptions, s)
		return subscriptionPayload{subscription: s}
	}
	i := slices.IndexFunc(st.subscriptions, func(o *subscription) bool { return o.id == s.id })
	if i < 0 {
		return refuseSubscription([]string{"id"}, "Webhook subscription does not exist")
	}
	st.subscriptions[i] = s
	return subscriptionPayload{subscription: s}
}

func webhookSubscriptionDelete(x *execution, dst []byte, _ any, f *field) []byte {
	payload := refuseSubscription([]string{"id"}, "Webhook subscription does not exist")
	if known := x.store.findSubscription(f.args["id"].(string)); known != nil {
		x.store.removeSubscription(known.id)
		payload = subscriptionPayload{deletedID: known.id}
	}
	return x.object(dst, f.def.Type.Name(), payload, f)
}

func (st *Store) findSubscription(gid string) *subscription {
	kind, id, _ := parseGID(gid)
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, s := range st.subscriptions {
		if kind == "WebhookSubscription" && s.id == id {
			return s
		}
	}
	return nil
}

func (st *Store) removeSubscription(id int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.subscriptions = slices.DeleteFunc(slices.Clone(st.subscriptions), func(s *subscription) bool { return s.id == id })
}

// DropSubscriptions removes all subscriptions of the Admin API behind the
// app's back.
func (st *Store) DropSubscriptions() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.subscriptions = nil
}

// Subscription is a webhook subscription made through the Admin API.
type Subscription struct {
	ID            int64
	Topic         string // as in GraphQL: CUSTOMERS_UPDATE
	URL           string
	IncludeFields []string
	APIVersion    string // of the payloads it gets now
}

// Subscriptions returns the subscriptions made through the Admin API.
func (st *Store) Subscriptions() []Subscription {
	st.mu.Lock()
	defer st.mu.Unlock()
	list := make([]Subscription, 0, len(st.subscriptions))
	for _, s := range st.subscriptions {
		version, _ := st.cfg.served(s.version)
		list = append(list, Subscription{s.id, s.topic, s.url, slices.Clone(s.includeFields), version})
	}
	return list
}

var subscriptionConnectionResolvers = map[string]resolver{
	"nodes": func(x *execution, dst []byte, obj any, f *field) []byte {
		dst = append(dst, '[')
		for i, s := range obj.(*subscriptionPage).list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = x.item(dst, i, "WebhookSubscription", s, f)
		}
		return append(dst, ']')
	},
	"pageInfo": func(x *execution, dst []byte, obj any, f *field) []byte {
		return x.object(dst, "PageInfo", obj, f)
	},
}

var subscriptionResolvers = map[string]resolver{
	"id": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.gid(dst, "WebhookSubscription", obj.(*subscription).id)
	},
	"topic": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.text(dst, obj.(*subscription).topic)
	},
	"format": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.text(dst, obj.(*subscription).format)
	},
	"includeFields": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.texts(dst, obj.(*subscription).includeFields)
	},
	"apiVersion": func(x *execution, dst []byte, obj any, f *field) []byte {
		return x.object(dst, "ApiVersion", obj, f)
	},
	"endpoint": func(x *execution, dst []byte, obj any, f *field) []byte {
		return x.object(dst, "WebhookHttpEndpoint", obj, f)
	},
}

var apiVersionResolvers = map[string]resolver{
	// A version that has ended is answered by the oldest that is supported.
	"handle": func(x *execution, dst []byte, obj any, _ *field) []byte {
		version, _ := x.call.cfg.served(obj.(*subscription).version)
		return x.text(dst, version)
	},
	"supported": func(_ *execution, dst []byte, _ any, _ *field) []byte { return boolean(dst, true) },
}

var endpointResolvers = map[string]resolver{
	"callbackUrl": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.text(dst, obj.(*subscription).url)
	},
}

var subscriptionPayloadResolvers = map[string]resolver{
	"webhookSubscription": func(x *execution, dst []byte, obj any, f *field) []byte {
		if s := obj.(subscriptionPayload).subscription; s != nil {
			return x.object(dst, "WebhookSubscription", s, f)
		}
		return append(dst, "null"...)
	},
	"deletedWebhookSubscriptionId": func(x *execution, dst []byte, obj any, _ *field) []byte {
		if id := obj.(subscriptionPayload).deletedID; id != 0 {
			return x.gid(dst, "WebhookSubscription", id)
		}
		return append(dst, "null"...)
	},
	"userErrors": func(x *execution, dst []byte, obj any, f *field) []byte {
		return x.userErrors(dst, obj.(subscriptionPayload).errors, f)
	},
}
