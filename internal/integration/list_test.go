package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/internal/integration/sample"
	"github.com/omnichat/shopifysync/sqlstore"
)

func listed(t testing.TB, store *sqlstore.Store, p sqlstore.ListParams) sqlstore.ListResult {
	t.Helper()
	p.Connection = sample.Connection
	got, err := store.List(t.Context(), p)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	return got
}

func idsOf(contacts []shopifysync.Contact) []shopifysync.CustomerID {
	var ids []shopifysync.CustomerID
	for _, c := range contacts {
		ids = append(ids, c.CustomerID)
	}
	return ids
}

func member(id shopifysync.CustomerID, change func(c *shopifysync.Contact)) shopifysync.Contact {
	c := shopifysync.Contact{
		Connection: sample.Connection, CustomerID: id,
		Version: shopifysync.Version{UpdatedAt: sample.FirstObserved, ObservedAt: sample.FirstObserved},
	}
	change(&c)
	return c
}

func TestList(t *testing.T) {
	members := []shopifysync.Contact{
		member(1001, func(c *shopifysync.Contact) {
			c.Name, c.Email, c.Phone, c.PhoneSource = "王小明", "Wang.Ming@Example.com", "+886912345678", shopifysync.PhoneCustomer
			c.Tags = []string{"VIP", `quo"te`}
			c.Attributes = []shopifysync.Attribute{
				shopifysync.TextAttribute("crm.segment", "gold"),
				shopifysync.NumberAttribute("crm.visits", "10"),
				shopifysync.ConsentAttribute(shopifysync.AttrEmailConsent, shopifysync.Consent{State: shopifysync.ConsentSubscribed}),
				shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, "12"),
				shopifysync.MoneyAttribute(shopifysync.AttrTotalSpent, shopifysync.Money{Amount: "11884.9", Currency: "TWD"}),
			}
			c.WhatsApp = &shopifysync.WhatsAppContact{Account: "a", UserID: "886912345678"}
		}),
		member(1002, func(c *shopifysync.Contact) {
			c.Name, c.Email = "Ann 50%_off!", "ann2024@example.org"
			c.Tags = []string{"vip"}
			c.Attributes = []shopifysync.Attribute{
				shopifysync.NumberAttribute("crm.visits", "9"),
				shopifysync.ConsentAttribute(shopifysync.AttrEmailConsent, shopifysync.Consent{State: shopifysync.ConsentUnsubscribed}),
				shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, "2"),
				shopifysync.MoneyAttribute(shopifysync.AttrTotalSpent, shopifysync.Money{Amount: "99.95", Currency: "USD"}),
			}
		}),
		member(1003, func(c *shopifysync.Contact) { c.Name, c.Tags = "Bob", []string{`x","VIP`, "VI"} }),
		member(1004, func(c *shopifysync.Contact) { c.Name, c.Email = "gone Wang", "gone@example.com" }),
	}
	tests := map[string]struct {
		params sqlstore.ListParams
		want   []shopifysync.CustomerID
	}{
		"all, newest first":       {sqlstore.ListParams{}, []shopifysync.CustomerID{1003, 1002, 1001}},
		"all, oldest first":       {sqlstore.ListParams{OldestFirst: true}, []shopifysync.CustomerID{1001, 1002, 1003}},
		"part of the name":        {sqlstore.ListParams{Search: "小明"}, []shopifysync.CustomerID{1001}},
		"name in another case":    {sqlstore.ListParams{Search: "aNN"}, []shopifysync.CustomerID{1002}},
		"part of the e-mail":      {sqlstore.ListParams{Search: "EXAMPLE."}, []shopifysync.CustomerID{1002, 1001}},
		"part of the phone":       {sqlstore.ListParams{Search: "0912-345 678"}, []shopifysync.CustomerID{1001}},
		"all of a phone":          {sqlstore.ListParams{Search: "+886912345678"}, []shopifysync.CustomerID{1001}},
		"phone digits elsewhere":  {sqlstore.ListParams{Search: "20-24"}, nil},
		"digits of the e-mail":    {sqlstore.ListParams{Search: "2024"}, []shopifysync.CustomerID{1002}},
		"over the fields' border": {sqlstore.ListParams{Search: "小明wang"}, nil},
		"the separator":           {sqlstore.ListParams{Search: "小明\x1fwang"}, nil},
		"member number":           {sqlstore.ListParams{Search: "1002"}, []shopifysync.CustomerID{1002}},
		"wildcards are plain":     {sqlstore.ListParams{Search: "50%_OFF!"}, []shopifysync.CustomerID{1002}},
		"wildcards match nothing": {sqlstore.ListParams{Search: "%b%"}, nil},
		"surrounding space":       {sqlstore.ListParams{Search: "  bob "}, []shopifysync.CustomerID{1003}},
		"removed are not found":   {sqlstore.ListParams{Search: "gone"}, nil},
		"NUL":                     {sqlstore.ListParams{Search: "a\x00"}, nil},
		"tag":                     {sqlstore.ListParams{Tag: "VIP"}, []shopifysync.CustomerID{1001}},
		"tag in lower case":       {sqlstore.ListParams{Tag: "vip"}, []shopifysync.CustomerID{1002}},
		"tag with a quote":        {sqlstore.ListParams{Tag: `quo"te`}, []shopifysync.CustomerID{1001}},
		"tag like JSON":           {sqlstore.ListParams{Tag: `x","VIP`}, []shopifysync.CustomerID{1003}},
		"no part of a tag":        {sqlstore.ListParams{Tag: "V"}, nil},
		"orders, from":            filter(sqlstore.AttributeFilter{Key: shopifysync.AttrOrdersCount, Min: "3"}, 1001),
		"orders, to":              filter(sqlstore.AttributeFilter{Key: shopifysync.AttrOrdersCount, Max: "3"}, 1002),
		"orders, inclusive":       filter(sqlstore.AttributeFilter{Key: shopifysync.AttrOrdersCount, Min: "2", Max: "12"}, 1002, 1001),
		"spent, exact":            filter(sqlstore.AttributeFilter{Key: shopifysync.AttrTotalSpent, Min: "99.95", Max: "99.95"}, 1002),
		"spent, more":             filter(sqlstore.AttributeFilter{Key: shopifysync.AttrTotalSpent, Min: "99.96"}, 1001),
		"spent, currency":         filter(sqlstore.AttributeFilter{Key: shopifysync.AttrTotalSpent, Min: "0", Currency: "USD"}, 1002),
		"consent":                 filter(sqlstore.AttributeFilter{Key: shopifysync.AttrEmailConsent, State: shopifysync.ConsentSubscribed}, 1001),
		"no consent known":        filter(sqlstore.AttributeFilter{Key: shopifysync.AttrSMSConsent, State: shopifysync.ConsentSubscribed}),
		"own number, not as text": filter(sqlstore.AttributeFilter{Key: "crm.visits", Min: "9.5"}, 1001),
		"own text":                filter(sqlstore.AttributeFilter{Key: "crm.segment", Text: "gold"}, 1001),
		"own text, another":       filter(sqlstore.AttributeFilter{Key: "crm.segment", Text: "Gold"}),
		"several at once": {sqlstore.ListParams{Search: "example", Tag: "VIP", Attributes: []sqlstore.AttributeFilter{
			{Key: shopifysync.AttrOrdersCount, Min: "1"}, {Key: "crm.segment", Text: "gold"},
		}}, []shopifysync.CustomerID{1001}},
		"WhatsApp":                  {sqlstore.ListParams{WhatsApp: &shopifysync.WhatsAppContact{Account: "a", UserID: "886912345678"}}, []shopifysync.CustomerID{1001}},
		"WhatsApp, another account": {sqlstore.ListParams{WhatsApp: &shopifysync.WhatsAppContact{Account: "b", UserID: "886912345678"}}, nil},
		"no WhatsApp user":          {sqlstore.ListParams{WhatsApp: &shopifysync.WhatsAppContact{}}, nil},
	}
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		upsert(t, store, false, members)
		_, err := store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{
			Connection: "another", Contacts: []shopifysync.Contact{{Connection: "another", CustomerID: 1001, Name: "王小明"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.RemoveContacts(t.Context(), shopifysync.RemoveContactsParams{
			Connection: sample.Connection, Reason: shopifysync.RemovedDeleted, ObservedAt: sample.FirstObserved,
			Removals: []shopifysync.Removal{{CustomerID: 1004}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				tt.params.Limit = 10
				got := listed(t, store, tt.params)
				if diff := cmp.Diff(tt.want, idsOf(got.Contacts)); diff != "" || got.Total != int64(len(tt.want)) || got.Next != "" {
					t.Errorf("total %d, next %q, ids (-want +got):\n%s", got.Total, got.Next, diff)
				}
			})
		}
	})
}

func filter(f sqlstore.AttributeFilter, want ...shopifysync.CustomerID) struct {
	params sqlstore.ListParams
	want   []shopifysync.CustomerID
} {
	return struct {
		params sqlstore.ListParams
		want   []shopifysync.CustomerID
	}{sqlstore.ListParams{Attributes: []sqlstore.AttributeFilter{f}}, want}
}

func TestListPages(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		contacts := sample.Batch(0, 95, 0)
		upsert(t, store, false, contacts)
		for _, oldestFirst := range []bool{false, true} {
			want := idsOf(contacts)
			if !oldestFirst {
				slices.Reverse(want)
			}
			var got []shopifysync.CustomerID
			p := sqlstore.ListParams{Limit: 19, OldestFirst: oldestFirst}
			pages := 0
			for more := true; more && pages < 10; more = p.After != "" {
				pages++
				page := listed(t, store, p)
				if page.Total != 95 {
					t.Errorf("total %d, want 95", page.Total)
				}
				got = append(got, idsOf(page.Contacts)...)
				p.After = page.Next
			}
			if pages != 5 {
				t.Errorf("%d pages, want 5", pages)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("oldest first %t (-want +got):\n%s", oldestFirst, diff)
			}
		}
	})
}

func TestListRefuses(t *testing.T) {
	target, err := dbtest.Find("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	store := target.Open(t).Store(t)
	upsert(t, store, false, sample.Batch(0, 1, 0))
	tests := map[string]sqlstore.ListParams{
		"no limit":        {},
		"a huge limit":    {Limit: 1001},
		"a foreign After": {Limit: 1, After: "x"},
		"an empty filter": {Limit: 1, Attributes: []sqlstore.AttributeFilter{{Key: "a"}}},
		"no key":          {Limit: 1, Attributes: []sqlstore.AttributeFilter{{Text: "a"}}},
		"a quoted key":    {Limit: 1, Attributes: []sqlstore.AttributeFilter{{Key: `a"b`, Text: "a"}}},
		"no number":       {Limit: 1, Attributes: []sqlstore.AttributeFilter{{Key: "a", Min: "x"}}},
	}
	for name, p := range tests {
		p.Connection = sample.Connection
		if _, err := store.List(t.Context(), p); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The longest texts are stored, in indexes too, though they are not searched to
// their ends.
func TestListLongestTexts(t *testing.T) {
	long := func(end string) string { return strings.Repeat("😀", 512-len(end)) + end }
	c := member(1, func(c *shopifysync.Contact) {
		c.Name, c.Email, c.Phone, c.PhoneSource = long("name"), long("email"), "+886912345678", shopifysync.PhoneCustomer
	})
	c.WhatsApp = &shopifysync.WhatsAppContact{Account: strings.Repeat("a", 255), UserID: strings.Repeat("u", 255), Name: long("")}
	c.Connection = shopifysync.ConnectionID(strings.Repeat("c", 255))
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		got, err := store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{Connection: c.Connection, Contacts: []shopifysync.Contact{c}})
		if err != nil || got.Results[0].Outcome != shopifysync.Created {
			t.Fatalf("UpsertContacts: %+v, %v", got, err)
		}
		for search, want := range map[string]int64{"😀name": 1, "0912": 1, "email": 0} {
			list, err := store.List(t.Context(), sqlstore.ListParams{Connection: c.Connection, Search: search, Limit: 1})
			if err != nil || list.Total != want {
				t.Errorf("List %q: total %d, %v; want %d", search, list.Total, err, want)
			}
		}
		found, err := store.FindContacts(t.Context(), shopifysync.FindContactsParams{Connection: c.Connection, Email: c.Email})
		if err != nil || len(found.Contacts) != 1 {
			t.Errorf("FindContacts: %d contacts, %v", len(found.Contacts), err)
		}
	})
}

// A page that is all there is counts itself; the others are counted.
func TestListTotals(t *testing.T) {
	target, err := dbtest.Find("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	store := target.Open(t).Store(t)
	upsert(t, store, false, sample.Batch(0, 20, 0))
	for limit := 1; limit <= 21; limit++ {
		p := sqlstore.ListParams{Limit: limit}
		for listed20 := 0; ; {
			page := listed(t, store, p)
			listed20 += len(page.Contacts)
			if page.Total != 20 {
				t.Fatalf("limit %d, after %q: total %d, want 20", limit, p.After, page.Total)
			}
			if p.After = page.Next; p.After == "" {
				if listed20 != 20 {
					t.Fatalf("limit %d: %d contacts listed, want 20", limit, listed20)
				}
				break
			}
		}
	}
}

// SQLite finds in one index all that tags, orders, amounts and consents are
// filtered by. (With a search, too, its plan does not say "covering", since the
// column is computed of others.)
func TestListIndexCovers(t *testing.T) {
	target, err := dbtest.Find("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	db := target.Open(t)
	db.Store(t)
	rows, err := db.DB.Query("EXPLAIN QUERY PLAN SELECT customer_id FROM " + db.Prefix + "contacts INDEXED BY " + db.Prefix + "contacts_list" +
		" WHERE connection_id = 'c1' AND removed = '' AND INSTR(tags, 'b') > 0 AND orders_count > 1" +
		" AND total_spent > 1 AND total_spent_currency = 'TWD' AND email_consent = 's' AND sms_consent = 's' ORDER BY customer_id DESC LIMIT 50")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil || len(plan) != 1 || !strings.Contains(plan[0], "COVERING INDEX") {
		t.Errorf("the plan is %q, %v; want a covering index alone", plan, err)
	}
}
