package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/sqlstore"
)

const (
	perPage  = 50
	showTags = 3 // in a row of the list
)

type contactsBody struct {
	Q, Tag, Orders, Spent    string
	EmailConsent, SMSConsent shopifysync.ConsentState
	Currency                 string // of the store; amounts in others do not compare
	BadOrders, BadSpent      bool
	Filtered, More           bool // any filter; one of those that are folded away
	Contacts                 []contactRow
	Total, From, To          int64
	First, Next              string // paths; empty: there is none
}

type contactRow struct {
	ID                 shopifysync.CustomerID
	Name, Email, Phone string
	Tags               []string
	MoreTags           int
	Orders, Spent      string
}

func (c *console) contacts(w http.ResponseWriter, r *http.Request) error {
	p, conn, status, err := c.storePage(r, "contacts")
	if err != nil {
		return err
	}
	text := func(name string) string { return cut(r.FormValue(name), 255) }
	b := contactsBody{
		Q: text("q"), Tag: text("tag"), Orders: text("orders"), Spent: text("spent"),
		EmailConsent: shopifysync.ConsentState(text("email_consent")), SMSConsent: shopifysync.ConsentState(text("sms_consent")),
	}
	params := sqlstore.ListParams{Connection: conn.ID, Search: b.Q, Tag: b.Tag, Limit: perPage}
	b.Currency = status.Health.Shop.Currency
	params.Attributes, b.BadOrders, b.BadSpent = filters(b)
	b.More = b.Orders != "" || b.Spent != "" || b.EmailConsent != "" || b.SMSConsent != ""
	b.Filtered = b.More || b.Q != "" || b.Tag != ""

	// The place in the list is a customer's id, not a count: pages neither
	// skip nor repeat somebody while contacts come and go.
	query := r.URL.Query()
	query.Del("done")
	before := int64(0) // how many rows are on earlier pages, for display only
	if after := text("after"); after != "" {
		if _, err := shopifysync.ParseCustomerID(after); err != nil {
			return errNotFound
		}
		params.After = after
		before, _ = strconv.ParseInt(text("from"), 10, 64)
		b.First = p.listPath(query, "", 0)
	}
	got, err := c.store.List(r.Context(), params)
	if err != nil {
		return err
	}
	for _, contact := range got.Contacts {
		b.Contacts = append(b.Contacts, p.contactRow(contact))
	}
	b.Total = got.Total
	b.From, b.To = before+1, before+int64(len(got.Contacts))
	if got.Next != "" {
		b.Next = p.listPath(query, got.Next, b.To)
	}
	p.Title, p.Body = p.T.NavContacts, b
	return c.show(w, r, "contacts", p)
}

// filters makes filters of what was typed; a number that is none filters nothing.
func filters(b contactsBody) (all []sqlstore.AttributeFilter, badOrders, badSpent bool) {
	least := func(key shopifysync.AttributeKey, typed, currency string) (bad bool) {
		if typed == "" {
			return false
		}
		n := strings.ReplaceAll(typed, ",", "")
		if v, err := strconv.ParseFloat(n, 64); err != nil || v < 0 || strings.Trim(n, "0123456789.") != "" || strings.HasPrefix(n, ".") || strings.HasSuffix(n, ".") {
			return true
		}
		all = append(all, sqlstore.AttributeFilter{Key: key, Min: n, Currency: currency})
		return false
	}
	badOrders = least(shopifysync.AttrOrdersCount, b.Orders, "")
	badSpent = least(shopifysync.AttrTotalSpent, b.Spent, b.Currency)
	if b.EmailConsent != "" {
		all = append(all, sqlstore.AttributeFilter{Key: shopifysync.AttrEmailConsent, State: b.EmailConsent})
	}
	if b.SMSConsent != "" {
		all = append(all, sqlstore.AttributeFilter{Key: shopifysync.AttrSMSConsent, State: b.SMSConsent})
	}
	return all, badOrders, badSpent
}

func (p *page) listPath(query url.Values, after string, from int64) string {
	query.Del("after")
	query.Del("from")
	if after != "" {
		query.Set("after", after)
		query.Set("from", strconv.FormatInt(from, 10))
	}
	path := p.Store.To("/contacts")
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

func (p *page) contactRow(c shopifysync.Contact) contactRow {
	row := contactRow{ID: c.CustomerID, Name: c.Name, Email: c.Email, Phone: c.Phone, Tags: c.Tags}
	if len(row.Tags) > showTags {
		row.Tags, row.MoreTags = row.Tags[:showTags], len(row.Tags)-showTags
	}
	for _, a := range c.Attributes {
		switch a.Key {
		case shopifysync.AttrOrdersCount:
			row.Orders = p.attribute(a).Value
		case shopifysync.AttrTotalSpent:
			row.Spent = p.attribute(a).Value
		}
	}
	return row
}
