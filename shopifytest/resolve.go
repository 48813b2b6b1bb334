package shopifytest

import (
	"strconv"
)

// resolvers answer the fields of the schema, by type and field.
var resolvers map[string]map[string]resolver

func init() {
	resolvers = map[string]map[string]resolver{
		"QueryRoot": {
			"currentAppInstallation": func(x *execution, dst []byte, _ any, f *field) []byte {
				return x.object(dst, "AppInstallation", nil, f)
			},
			"currentBulkOperation": currentBulkOperation,
			"customers":            customers,
			"customersCount":       customersCount,
			"node":                 node,
			"nodes":                nodes,
			"shop": func(x *execution, dst []byte, _ any, f *field) []byte {
				return x.object(dst, "Shop", nil, f)
			},
			"webhookSubscriptions": webhookSubscriptions,
		},
		"Mutation": {
			"bulkOperationCancel":       bulkOperationCancel,
			"bulkOperationRunQuery":     bulkOperationRunQuery,
			"webhookSubscriptionCreate": webhookSubscriptionCreate,
			"webhookSubscriptionDelete": webhookSubscriptionDelete,
			"webhookSubscriptionUpdate": webhookSubscriptionUpdate,
		},
		"AppInstallation": {
			"accessScopes": func(x *execution, dst []byte, _ any, f *field) []byte {
				dst = append(dst, '[')
				for i, scope := range x.call.cfg.Scopes {
					if i > 0 {
						dst = append(dst, ',')
					}
					dst = x.item(dst, i, "AccessScope", scope, f)
				}
				return append(dst, ']')
			},
		},
		"AccessScope": {
			"handle": func(x *execution, dst []byte, obj any, _ *field) []byte { return x.text(dst, obj.(string)) },
		},
		"Shop":      shopResolvers,
		"ShopPlan":  planResolvers,
		"UserError": userErrorResolvers,
		"Count": {
			"count": func(_ *execution, dst []byte, obj any, _ *field) []byte {
				return strconv.AppendInt(dst, int64(obj.(count).n), 10)
			},
			"precision": func(x *execution, dst []byte, obj any, _ *field) []byte {
				return x.text(dst, obj.(count).precision)
			},
		},
		"CustomerConnection": connectionResolvers,
		"CustomerEdge":       edgeResolvers,
		"PageInfo":           pageInfoResolvers,

		"Customer":                           customerResolvers,
		"MoneyV2":                            moneyResolvers,
		"MailingAddress":                     addressResolvers,
		"CustomerEmailMarketingConsentState": emailConsentResolvers,
		"CustomerSmsMarketingConsentState":   smsConsentResolvers,
		"CustomerWhatsAppMarketingConsent":   whatsAppConsentResolvers,
		"CustomerPhoneNumber": {
			"whatsAppMarketingConsent": func(x *execution, dst []byte, obj any, f *field) []byte {
				return x.object(dst, "CustomerWhatsAppMarketingConsent", obj, f)
			},
		},

		"BulkOperation":                bulkOperationResolvers,
		"BulkOperationRunQueryPayload": bulkPayloadResolvers,
		"BulkOperationCancelPayload":   bulkPayloadResolvers,

		"WebhookSubscriptionConnection":    subscriptionConnectionResolvers,
		"WebhookSubscription":              subscriptionResolvers,
		"ApiVersion":                       apiVersionResolvers,
		"WebhookHttpEndpoint":              endpointResolvers,
		"WebhookEventBridgeEndpoint":       {"arn": null},
		"WebhookPubSubEndpoint":            {"pubSubProject": null, "pubSubTopic": null},
		"WebhookSubscriptionCreatePayload": subscriptionPayloadResolvers,
		"WebhookSubscriptionUpdatePayload": subscriptionPayloadResolvers,
		"WebhookSubscriptionDeletePayload": subscriptionPayloadResolvers,
	}
}

// null answers fields of types that this server never returns.
func null(_ *execution, dst []byte, _ any, _ *field) []byte { return append(dst, "null"...) }

var shopResolvers = map[string]resolver{
	"id": func(x *execution, dst []byte, _ any, _ *field) []byte {
		return x.gid(dst, "Shop", x.call.cfg.ShopID)
	},
	"name":            shopText(func(c *StoreConfig) string { return c.Name }),
	"myshopifyDomain": shopText(func(c *StoreConfig) string { return c.Domain }),
	"currencyCode":    shopText(func(c *StoreConfig) string { return c.Currency }),
	"ianaTimezone":    shopText(func(c *StoreConfig) string { return c.TimeZone }),
	"plan": func(x *execution, dst []byte, _ any, f *field) []byte {
		return x.object(dst, "ShopPlan", nil, f)
	},
}

var planResolvers = map[string]resolver{
	"displayName": shopText(func(c *StoreConfig) string { return c.Plan }),
	"partnerDevelopment": func(x *execution, dst []byte, _ any, _ *field) []byte {
		return boolean(dst, x.call.cfg.Development)
	},
	"shopifyPlus": func(x *execution, dst []byte, _ any, _ *field) []byte {
		return boolean(dst, x.call.cfg.Plus)
	},
}

func shopText(get func(*StoreConfig) string) resolver {
	return func(x *execution, dst []byte, _ any, _ *field) []byte { return x.text(dst, get(&x.call.cfg)) }
}

// userError is what a mutation says about its input.
type userError struct {
	field   []string // null when nil
	message string
}

var userErrorResolvers = map[string]resolver{
	"field": func(x *execution, dst []byte, obj any, _ *field) []byte {
		e := obj.(userError)
		if e.field == nil {
			return append(dst, "null"...)
		}
		return x.texts(dst, e.field)
	},
	"message": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.text(dst, obj.(userError).message)
	},
}

func (x *execution) userErrors(dst []byte, errs []userError, f *field) []byte {
	dst = append(dst, '[')
	for i, e := range errs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = x.item(dst, i, "UserError", e, f)
	}
	return append(dst, ']')
}

func (x *execution) texts(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = x.text(dst, s)
	}
	return append(dst, ']')
}

// mayReadCustomers reports why f may not read customers, if so.
func (x *execution) mayReadCustomers(f *field) *GraphQLError {
	if !x.call.hasScope("read_customers") {
		e := deniedScope(f.name(), "read_customers")
		return &e
	}
	if x.access.level == NoCustomerData {
		e := deniedCustomer()
		return &e
	}
	return nil
}

func (c *call) hasScope(scope string) bool {
	for _, s := range c.cfg.Scopes {
		if s == scope || s == "write_"+scope[len("read_"):] {
			return true
		}
	}
	return false
}

// lookup finds what a global id names: *Customer, *bulkOperation, or nil.
func (x *execution) lookup(gid string, f *field) (typeName string, obj any, denied *GraphQLError) {
	kind, id, _ := parseGID(gid)
	switch kind {
	case "Customer":
		if denied := x.mayReadCustomers(f); denied != nil {
			return "", nil, denied
		}
		x.store.mu.Lock()
		defer x.store.mu.Unlock()
		if c := x.store.people.findAsOf(id, x.call.now.Add(-x.call.readLag)); c != nil {
			return kind, c, nil
		}
	case "BulkOperation":
		if op := x.store.findBulk(id); op != nil {
			return kind, op.view(x.call.now), nil
		}
	}
	return "", nil, nil
}

func node(x *execution, dst []byte, _ any, f *field) []byte {
	typeName, obj, denied := x.lookup(f.args["id"].(string), f)
	switch {
	case denied != nil:
		return x.fail(dst, f, *denied)
	case obj == nil: // deleted, merged away or never there: no error
		return append(dst, "null"...)
	}
	return x.object(dst, typeName, obj, f)
}

func nodes(x *execution, dst []byte, _ any, f *field) []byte {
	dst = append(dst, '[')
	for i, gid := range f.args["ids"].([]any) {
		if i > 0 {
			dst = append(dst, ',')
		}
		typeName, obj, denied := x.lookup(gid.(string), f)
		switch {
		case denied != nil:
			dst = x.fail(dst, f, *denied, i)
		case obj == nil:
			dst = append(dst, "null"...)
		default:
			dst = x.item(dst, i, typeName, obj, f)
		}
	}
	return append(dst, ']')
}
