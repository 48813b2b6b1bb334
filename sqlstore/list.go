package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/omnichat/shopifysync"
)

// ListParams are the arguments of [Store.List]. What is set narrows the list.
type ListParams struct {
	Connection shopifysync.ConnectionID
	// Search is a part of the name, the e-mail or the phone, or the whole
	// member number. ASCII letters match in either case. Of a phone number,
	// spaces, punctuation and leading zeros do not count: 0912-345 finds
	// +886912345678. Only the first 560 characters of phone, name and e-mail
	// together are searched.
	Search string
	// Tag is a whole tag.
	Tag string
	// Attributes must all match.
	Attributes []AttributeFilter
	// WhatsApp chooses those linked to this WhatsApp contact; its Name does not count.
	WhatsApp *shopifysync.WhatsAppContact
	// OldestFirst lists by ascending customer id rather than the newest first.
	OldestFirst bool
	// After is ListResult.Next of the page before; empty for the first page.
	After string
	Limit int // 1 to 1,000
}

// An AttributeFilter chooses contacts by an attribute's value. What is set must
// match; a contact without the attribute does not.
type AttributeFilter struct {
	Key      shopifysync.AttributeKey
	Min, Max string                   // decimal text, both inclusive: a number, or an amount
	Currency string                   // of an amount
	Text     string                   // the whole text
	State    shopifysync.ConsentState // of a consent
}

// ListResult is what [Store.List] returns.
type ListResult struct {
	Contacts []shopifysync.Contact
	Next     string // for ListParams.After; empty after the last page
	Total    int64  // of all pages
}

// List returns live contacts for a user interface, a page at a time. Pages
// neither skip nor repeat a contact that is there all along.
//
// A search reads an index, which with 100,000 contacts takes some tens of
// milliseconds; in SQLite so do tags, orders, amounts and consents. Other filters
// may read every row.
func (s *Store) List(ctx context.Context, p ListParams) (ListResult, error) {
	if p.Limit < 1 || p.Limit > 1000 {
		return ListResult{}, errors.New("sqlstore: a list's limit must be 1 to 1,000")
	}
	if err := checkConnection(ctx, p.Connection); err != nil {
		return ListResult{}, err
	}
	f, err := s.filter(p)
	if err != nil {
		return ListResult{}, err
	}
	var result ListResult
	err = s.retry(ctx, "list contacts", func() (err error) {
		result, err = s.list(ctx, p, f)
		return err
	})
	return result, err
}

func (s *Store) list(ctx context.Context, p ListParams, f *filter) (ListResult, error) {
	page := *f
	compare, order := "customer_id < ?", " DESC"
	if p.OldestFirst {
		compare, order = "customer_id > ?", ""
	}
	if p.After != "" {
		after, err := shopifysync.ParseCustomerID(p.After)
		if err != nil {
			return ListResult{}, ownf("After is no ListResult.Next")
		}
		page.add(compare, int64(after))
	}
	from := " FROM " + s.dialect.from(f.reads)
	ids, err := s.queryIDs(ctx, "SELECT customer_id"+from+page.where()+" ORDER BY customer_id"+order+" LIMIT ?",
		append(slices.Clone(page.args), int64(p.Limit)+1)...)
	if err != nil {
		return ListResult{}, err
	}
	result := ListResult{Total: int64(len(ids))}
	if p.After != "" || len(ids) > p.Limit { // else the page is all there is, and a second search is spared
		err := s.db.QueryRowContext(ctx, s.text("SELECT COUNT(*)"+from+f.where()), f.args...).Scan(&result.Total)
		if err != nil {
			return ListResult{}, err
		}
	}
	if len(ids) > p.Limit {
		ids = ids[:p.Limit]
		result.Next = ids[p.Limit-1].String()
	}
	found, err := s.load(ctx, s.db, p.Connection, ids)
	if err != nil {
		return ListResult{}, err
	}
	result.Contacts = slices.DeleteFunc(contactsOf(found), func(c shopifysync.Contact) bool { return c.Removed != "" })
	if !p.OldestFirst {
		slices.Reverse(result.Contacts)
	}
	return result, nil
}

// A filter is the WHERE of a list.
type filter struct {
	conditions []string
	args       []any
	reads      width
}

// A width tells how much of a row a filter looks at.
type width int

const (
	readsSearch  width = iota // the column search, or no more than the key
	readsColumns              // tags and the typed columns, too
	readsRow                  // all of it
)

// widen says that the filter looks at that much at least.
func (f *filter) widen(w width) { f.reads = max(f.reads, w) }

func (f *filter) add(condition string, args ...any) {
	f.conditions = append(slices.Clip(f.conditions), condition)
	f.args = append(slices.Clip(f.args), args...)
}

func (f *filter) where() string { return " WHERE " + strings.Join(f.conditions, " AND ") }

func (s *Store) filter(p ListParams) (*filter, error) {
	f := new(filter)
	f.add("connection_id = ?", string(p.Connection))
	f.add("removed = ''")
	if !storable(p.Search) || !storable(p.Tag) || strings.Contains(p.Search, separator) {
		f.add("1 = 0")
		return f, nil
	}
	if search := strings.TrimSpace(p.Search); search != "" {
		f.addSearch(s.dialect, search)
	}
	if p.Tag != "" {
		condition, args := s.dialect.hasTag(p.Tag)
		f.add(condition, args...)
		f.widen(readsColumns)
	}
	if w := p.WhatsApp; w != nil {
		f.widen(readsRow)
		f.add("whatsapp_account = ? AND whatsapp_user_id = ? AND whatsapp_user_id <> ''", w.Account, w.UserID)
	}
	for _, a := range p.Attributes {
		if err := f.addAttribute(s.dialect, a); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// separator stands between phone, name and e-mail in the column search, the
// phone being the first.
const separator = "\x1f"

func (f *filter) addSearch(d dialect, search string) {
	condition := d.contains()
	args := []any{lowerASCII(search)}
	if digits := phoneDigits(search); digits != "" {
		condition += " OR " + d.phoneContains()
		args = append(args, digits)
	}
	if id, err := shopifysync.ParseCustomerID(search); err == nil {
		condition += " OR customer_id = ?"
		args = append(args, int64(id))
	}
	f.add("("+condition+")", args...)
}

// phoneDigits returns the digits of what looks like a part of a phone number,
// without leading zeros, or "".
func phoneDigits(s string) string {
	digits := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits = append(digits, c)
		case strings.IndexByte("+-()./ ", c) < 0:
			return ""
		}
	}
	if trimmed := strings.TrimLeft(string(digits), "0"); len(trimmed) >= 3 {
		return trimmed
	}
	return ""
}

// typedColumns are the attributes that have columns of their own.
var typedColumns = map[shopifysync.AttributeKey]struct{ number, currency, state string }{
	shopifysync.AttrOrdersCount:  {number: "orders_count"},
	shopifysync.AttrTotalSpent:   {number: "total_spent", currency: "total_spent_currency"},
	shopifysync.AttrEmailConsent: {state: "email_consent"},
	shopifysync.AttrSMSConsent:   {state: "sms_consent"},
}

func (f *filter) addAttribute(d dialect, a AttributeFilter) error {
	if a.Key == "" || !storable(string(a.Key)) || strings.ContainsAny(string(a.Key), `"\`) {
		return errors.New("sqlstore: an attribute filter needs a key, without quotes and backslashes")
	}
	for _, bound := range []string{a.Min, a.Max} {
		if bound != "" && !decimal(bound) {
			return fmt.Errorf("sqlstore: the bound of attribute %q is no decimal number", a.Key)
		}
	}
	typed := typedColumns[a.Key]
	compare := func(column, member, operator, value string, isNumber bool) {
		if value == "" {
			return
		}
		var args []any
		expression, bound := column, "?"
		f.widen(readsColumns)
		if column == "" {
			f.widen(readsRow)
			var path any
			expression, path = d.attribute(string(a.Key), member)
			args = append(args, path)
			if isNumber {
				expression = d.number(expression)
			}
		}
		if isNumber {
			bound = d.number("?")
		}
		f.add(expression+" "+operator+" "+bound, append(args, value)...)
	}
	before := len(f.conditions)
	compare(typed.number, "number", ">=", a.Min, true)
	compare(typed.number, "number", "<=", a.Max, true)
	compare(typed.currency, "currency", "=", a.Currency, false)
	compare("", "text", "=", a.Text, false)
	compare(typed.state, "state", "=", string(a.State), false)
	if len(f.conditions) == before {
		return errors.New("sqlstore: the filter of attribute " + strconv.Quote(string(a.Key)) + " sets no value to match")
	}
	return nil
}
