package shopifytest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// page is a part of a connection.
type page struct {
	key         sortKey
	rows        []pageRow
	hasNextPage bool
}

type pageRow struct {
	place    entry
	customer *Customer
}

func customers(x *execution, dst []byte, _ any, f *field) []byte {
	if denied := x.mayReadCustomers(f); denied != nil {
		return x.fail(dst, f, *denied)
	}
	size, backwards, e := window(f)
	if e != nil {
		return x.fail(dst, f, *e)
	}
	s, e := x.customerScan(f)
	if e != nil {
		return x.fail(dst, f, *e)
	}
	if backwards {
		s.reverse = !s.reverse
		s.after, s.before = s.before, s.after
	}
	p := &page{key: s.key}
	x.store.mu.Lock()
	x.store.people.rows(s, func(r row) bool {
		if len(p.rows) == size {
			p.hasNextPage = true
			return false
		}
		p.rows = append(p.rows, pageRow{r.place, r.load()})
		return true
	})
	x.store.mu.Unlock()
	if backwards {
		slices.Reverse(p.rows)
		p.hasNextPage = f.args["before"] != nil
	}
	f.rows = len(p.rows)
	return x.object(dst, "CustomerConnection", p, f)
}

// window reads first and last.
func window(f *field) (size int, backwards bool, e *GraphQLError) {
	refuse := func(text string) (int, bool, *GraphQLError) {
		e := graphQLError(nil, "BAD_REQUEST", "%s", text)
		return 0, false, &e
	}
	first, hasFirst := f.args["first"].(int64)
	last, hasLast := f.args["last"].(int64)
	name := "first"
	switch {
	case hasFirst && hasLast:
		return refuse("providing both first and last is not supported")
	case !hasFirst && !hasLast:
		return refuse("you must provide one of first or last")
	case hasLast:
		name, first = "last", last
	}
	switch {
	case first < 0:
		return refuse(name + " cannot be negative")
	case first > maxInput:
		return refuse(name + " cannot exceed " + strconv.Itoa(maxInput))
	}
	return int(first), hasLast, nil
}

// customerScan reads the arguments of customers that choose and order.
func (x *execution) customerScan(f *field) (scan, *GraphQLError) {
	s := scan{key: byID}
	if key, ok := f.args["sortKey"].(string); ok {
		s.key = sortKey(key)
	}
	s.reverse, _ = f.args["reverse"].(bool)
	for name, place := range map[string]**entry{"after": &s.after, "before": &s.before} {
		cursor, ok := f.args[name].(string)
		if !ok {
			continue
		}
		e, ok := parseCursor(s.key, cursor)
		if !ok {
			refused := graphQLError(nil, "BAD_REQUEST", "Invalid cursor for current pagination sort.")
			return s, &refused
		}
		*place = &e
	}
	now := x.store.server.now()
	cfg := x.store.Config()
	parsed, filtered := x.filterFor(f, "customer_date", now, cfg)
	s.filter = parsed
	if filtered { // lists with a query come from the search index
		asOf := now.Add(-cfg.IndexLag)
		s.asOf = &asOf
	}
	return s, nil
}

// cursor is what is inside of Shopify's opaque cursors.
type cursor struct {
	ID    int64  `json:"last_id"`
	Value string `json:"last_value"`
}

const cursorTime = "2006-01-02 15:04:05.000000"

func (p *page) cursor(r pageRow) string {
	c := cursor{ID: r.place.id, Value: strconv.FormatInt(r.place.value, 10)}
	if p.key != byID {
		c.Value = time.Unix(r.place.value, 0).UTC().Format(cursorTime)
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic("shopifytest: " + err.Error())
	}
	return base64.StdEncoding.EncodeToString(b)
}

// parseCursor refuses cursors of another order.
func parseCursor(key sortKey, text string) (entry, bool) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return entry{}, false
	}
	var c cursor
	if json.Unmarshal(b, &c) != nil || c.ID == 0 {
		return entry{}, false
	}
	if key == byID {
		value, err := strconv.ParseInt(c.Value, 10, 64)
		return entry{value, c.ID}, err == nil
	}
	t, err := time.Parse(cursorTime, c.Value)
	return entry{t.Unix(), c.ID}, err == nil
}

var connectionResolvers = map[string]resolver{
	"nodes": func(x *execution, dst []byte, obj any, f *field) []byte {
		dst = append(dst, '[')
		for i, r := range obj.(*page).rows {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = x.item(dst, i, "Customer", r.customer, f)
		}
		return append(dst, ']')
	},
	"edges": func(x *execution, dst []byte, obj any, f *field) []byte {
		p := obj.(*page)
		dst = append(dst, '[')
		for i, r := range p.rows {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = x.item(dst, i, "CustomerEdge", edge{p, r}, f)
		}
		return append(dst, ']')
	},
	"pageInfo": func(x *execution, dst []byte, obj any, f *field) []byte {
		return x.object(dst, "PageInfo", obj, f)
	},
}

type edge struct {
	page *page
	row  pageRow
}

var edgeResolvers = map[string]resolver{
	"cursor": func(x *execution, dst []byte, obj any, _ *field) []byte {
		e := obj.(edge)
		return x.text(dst, e.page.cursor(e.row))
	},
	"node": func(x *execution, dst []byte, obj any, f *field) []byte {
		return x.object(dst, "Customer", obj.(edge).row.customer, f)
	},
}

// pageInfo is what a connection says about itself.
type pageInfo interface {
	endCursor() string
	hasNext() bool
}

func (p *page) hasNext() bool { return p.hasNextPage }

func (p *page) endCursor() string {
	if len(p.rows) == 0 {
		return ""
	}
	return p.cursor(p.rows[len(p.rows)-1])
}

var pageInfoResolvers = map[string]resolver{
	"endCursor": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.optional(dst, obj.(pageInfo).endCursor())
	},
	"hasNextPage": func(_ *execution, dst []byte, obj any, _ *field) []byte {
		return boolean(dst, obj.(pageInfo).hasNext())
	},
}

// count is a Count.
type count struct {
	n         int
	precision string
}

func customersCount(x *execution, dst []byte, _ any, f *field) []byte {
	if denied := x.mayReadCustomers(f); denied != nil {
		return x.fail(dst, f, *denied)
	}
	parsed, filtered := x.filterFor(f, "created_at", x.call.now, x.call.cfg)
	n := 0
	x.store.mu.Lock()
	if filtered {
		asOf := x.call.now.Add(-x.call.cfg.IndexLag)
		x.store.people.rows(scan{key: byID, filter: parsed, asOf: &asOf}, func(row) bool { n++; return true })
	} else {
		n = x.store.people.count()
	}
	x.store.mu.Unlock()
	result := count{n, "EXACT"}
	if limit, ok := f.args["limit"].(int64); ok && int64(n) > limit {
		result = count{int(limit), "AT_LEAST"}
	}
	return x.object(dst, "Count", result, f)
}

func customerText(get func(*Customer) string) resolver {
	return func(x *execution, dst []byte, obj any, _ *field) []byte { return x.text(dst, get(obj.(*Customer))) }
}

func customerOptional(get func(*Customer) string) resolver {
	return func(x *execution, dst []byte, obj any, _ *field) []byte { return x.optional(dst, get(obj.(*Customer))) }
}

func customerTime(get func(*Customer) time.Time) resolver {
	return func(_ *execution, dst []byte, obj any, _ *field) []byte { return moment(dst, get(obj.(*Customer))) }
}

var customerResolvers = map[string]resolver{
	"id": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.gid(dst, "Customer", obj.(*Customer).ID)
	},
	"firstName": customerOptional(func(c *Customer) string { return c.FirstName }),
	"lastName":  customerOptional(func(c *Customer) string { return c.LastName }),
	"email":     customerOptional(func(c *Customer) string { return c.Email }),
	"phone":     customerOptional(func(c *Customer) string { return c.Phone }),
	"note":      customerOptional(func(c *Customer) string { return c.Note }),
	"locale":    customerText(func(c *Customer) string { return c.Locale }),
	"state":     customerText(func(c *Customer) string { return c.State }),
	"createdAt": customerTime(func(c *Customer) time.Time { return c.CreatedAt }),
	"updatedAt": customerTime(func(c *Customer) time.Time { return c.UpdatedAt }),
	"tags": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.texts(dst, obj.(*Customer).Tags)
	},
	"verifiedEmail": func(_ *execution, dst []byte, obj any, _ *field) []byte {
		return boolean(dst, obj.(*Customer).VerifiedEmail)
	},
	"numberOfOrders": func(_ *execution, dst []byte, obj any, _ *field) []byte {
		return number(dst, obj.(*Customer).NumberOfOrders)
	},
	"amountSpent": func(x *execution, dst []byte, obj any, f *field) []byte {
		return x.object(dst, "MoneyV2", &obj.(*Customer).AmountSpent, f)
	},
	"emailMarketingConsent": func(x *execution, dst []byte, obj any, f *field) []byte {
		if consent := obj.(*Customer).EmailConsent; consent != nil {
			return x.object(dst, "CustomerEmailMarketingConsentState", consent, f)
		}
		return append(dst, "null"...)
	},
	"smsMarketingConsent": func(x *execution, dst []byte, obj any, f *field) []byte {
		if consent := obj.(*Customer).SMSConsent; consent != nil {
			return x.object(dst, "CustomerSmsMarketingConsentState", consent, f)
		}
		return append(dst, "null"...)
	},
	"defaultPhoneNumber": func(x *execution, dst []byte, obj any, f *field) []byte {
		if consent := obj.(*Customer).WhatsAppConsent; consent != nil {
			return x.object(dst, "CustomerPhoneNumber", consent, f)
		}
		return append(dst, "null"...)
	},
	"defaultAddress": func(x *execution, dst []byte, obj any, f *field) []byte {
		if address := obj.(*Customer).DefaultAddress; address != nil {
			return x.object(dst, "MailingAddress", address, f)
		}
		return append(dst, "null"...)
	},
}

var moneyResolvers = map[string]resolver{
	"amount": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.text(dst, obj.(*Money).Amount)
	},
	"currencyCode": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.text(dst, obj.(*Money).Currency)
	},
}

func addressText(get func(*Address) string) resolver {
	return func(x *execution, dst []byte, obj any, _ *field) []byte { return x.optional(dst, get(obj.(*Address))) }
}

var addressResolvers = map[string]resolver{
	"address1":      addressText(func(a *Address) string { return a.Address1 }),
	"address2":      addressText(func(a *Address) string { return a.Address2 }),
	"city":          addressText(func(a *Address) string { return a.City }),
	"province":      addressText(func(a *Address) string { return a.Province }),
	"zip":           addressText(func(a *Address) string { return a.Zip }),
	"phone":         addressText(func(a *Address) string { return a.Phone }),
	"countryCodeV2": addressText(func(a *Address) string { return a.CountryCode }),
}

var emailConsentResolvers = map[string]resolver{
	"consentUpdatedAt": func(_ *execution, dst []byte, obj any, _ *field) []byte {
		return moment(dst, obj.(*EmailConsent).UpdatedAt)
	},
	"marketingOptInLevel": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.optional(dst, obj.(*EmailConsent).Level)
	},
	"marketingState": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.text(dst, obj.(*EmailConsent).State)
	},
}

var smsConsentResolvers = map[string]resolver{
	"consentCollectedFrom": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.optional(dst, obj.(*SMSConsent).CollectedFrom)
	},
	"consentUpdatedAt": func(_ *execution, dst []byte, obj any, _ *field) []byte {
		return moment(dst, obj.(*SMSConsent).UpdatedAt)
	},
	"marketingOptInLevel": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.text(dst, obj.(*SMSConsent).Level)
	},
	"marketingState": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.text(dst, obj.(*SMSConsent).State)
	},
}

var whatsAppConsentResolvers = map[string]resolver{
	"collectedFrom": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.optional(dst, obj.(*WhatsAppConsent).CollectedFrom)
	},
	"optInLevel": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.optional(dst, obj.(*WhatsAppConsent).Level)
	},
	"state": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.text(dst, obj.(*WhatsAppConsent).State)
	},
	"updatedAt": func(_ *execution, dst []byte, obj any, _ *field) []byte {
		return moment(dst, obj.(*WhatsAppConsent).UpdatedAt)
	},
}
