package shopifytest_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

func generated(t *testing.T, n int, seed uint64, cfg shopifytest.StoreConfig) []shopifytest.Customer {
	t.Helper()
	clock := func() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }
	_, store, _ := start(t, cfg, shopifytest.WithClock(clock))
	store.Generate(n, seed)
	return slices.Collect(store.All())
}

func TestGenerateIsRepeatable(t *testing.T) {
	a := generated(t, 500, 1, shopifytest.StoreConfig{})
	if diff := cmp.Diff(a, generated(t, 500, 1, shopifytest.StoreConfig{})); diff != "" {
		t.Errorf("%.1000s", diff)
	}
	if cmp.Equal(a, generated(t, 500, 2, shopifytest.StoreConfig{})) {
		t.Error("another seed makes the same customers")
	}
}

func TestGenerateGoesOn(t *testing.T) {
	_, store, _ := start(t, shopifytest.StoreConfig{})
	store.Generate(100, 1)
	made := store.Create(shopifytest.Customer{})
	store.Generate(100, 1)
	last := int64(0)
	n, seen := 0, false
	for c := range store.All() {
		if c.ID <= last {
			t.Fatalf("%d after %d", c.ID, last)
		}
		if got, ok := store.Customer(c.ID); !ok || !cmp.Equal(got, c) {
			t.Fatalf("%d is not found as it is listed", c.ID)
		}
		last, n, seen = c.ID, n+1, seen || c.ID == made.ID
	}
	if n != 201 || !seen || store.Count() != 201 {
		t.Errorf("%d customers, count %d", n, store.Count())
	}
	if newest := store.Newest(1); len(newest) != 1 || newest[0].ID != last {
		t.Errorf("newest %v, last %d", newest, last)
	}
	if _, ok := store.Customer(last + 1); ok {
		t.Error("found a customer that is not there")
	}
}

// The generated customers hold whatever makes trouble in the field.
func TestGeneratedVariety(t *testing.T) {
	all := generated(t, 20_000, 1, shopifytest.StoreConfig{OtherCurrencies: []string{"HKD", "USD"}, FirstCustomerID: 1 << 53})
	seen := map[string]int{}
	note := func(ok bool, what string) {
		if ok {
			seen[what]++
		}
	}
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	gaps := 0
	for i, c := range all {
		name := c.FirstName + c.LastName
		for script, table := range map[string]*unicode.RangeTable{
			"Han": unicode.Han, "Hangul": unicode.Hangul, "Thai": unicode.Thai, "Kana": unicode.Katakana, "Latin": unicode.Latin,
		} {
			note(strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(table, r) }), script)
		}
		note(strings.ContainsFunc(name, func(r rune) bool { return r > 0xffff }), "emoji")
		note(name == "", "no name")
		note((c.FirstName == "") != (c.LastName == ""), "one-part name")
		note(c.Email == "", "no e-mail")
		note(c.Email != strings.ToLower(c.Email), "mixed case e-mail")
		note(strings.HasPrefix(c.Phone, "+"), "E.164")
		note(strings.HasPrefix(c.Phone, "09"), "national phone")
		note(strings.Contains(c.Phone, " ") && !strings.HasPrefix(c.Phone, "+"), "phone with spaces")
		note(strings.ContainsFunc(c.Phone, unicode.IsLetter), "phone with letters")
		note(c.Phone == "", "no phone")
		note(len(c.Tags) == 0, "no tags")
		note(len(c.Tags) > 20, "many tags")
		note(c.NumberOfOrders > 0 && c.State == "DISABLED", "guest with orders")
		note(c.AmountSpent.Currency == "HKD", "other currency")
		note(c.DefaultAddress == nil, "no address")
		note(utf8.RuneCountInString(c.Note) >= 1000, "long note")
		note(true, "state "+c.State)
		if c.EmailConsent != nil {
			note(true, "e-mail "+c.EmailConsent.State)
			note(true, "level "+c.EmailConsent.Level)
		}
		if c.SMSConsent != nil {
			note(true, "SMS "+c.SMSConsent.State)
			note(true, "WhatsApp "+c.WhatsAppConsent.State)
		}

		if (c.EmailConsent == nil) != (c.Email == "") || (c.SMSConsent == nil) != (c.Phone == "") || (c.WhatsAppConsent == nil) != (c.Phone == "") {
			t.Errorf("%d: consent without an address, or the other way round", c.ID)
		}
		if c.ID <= 1<<53 || c.CreatedAt.After(c.UpdatedAt) || c.UpdatedAt.After(now) {
			t.Errorf("%d: created %v, updated %v", c.ID, c.CreatedAt, c.UpdatedAt)
		}
		if len(c.Tags) > 250 || utf8.RuneCountInString(c.Note) > 5000 || !utf8.ValidString(c.Note) {
			t.Errorf("%d: %d tags, %d characters of note", c.ID, len(c.Tags), utf8.RuneCountInString(c.Note))
		}
		if tags := slices.Clone(c.Tags); len(slices.Compact(slices.Sorted(slices.Values(tags)))) != len(c.Tags) {
			t.Errorf("%d: a tag twice", c.ID)
		}
		if i > 0 && c.ID > all[i-1].ID+1 {
			gaps++
		}
	}
	for _, what := range []string{
		"Han", "Hangul", "Thai", "Kana", "Latin", "emoji", "no name", "one-part name", "no e-mail", "mixed case e-mail",
		"E.164", "national phone", "phone with spaces", "phone with letters", "no phone", "no tags", "many tags", "guest with orders",
		"other currency", "no address", "long note",
		"state ENABLED", "state DISABLED", "state INVITED", "state DECLINED",
		"e-mail SUBSCRIBED", "e-mail NOT_SUBSCRIBED", "e-mail UNSUBSCRIBED", "e-mail PENDING", "e-mail INVALID", "e-mail REDACTED",
		"SMS SUBSCRIBED", "SMS NOT_SUBSCRIBED", "SMS UNSUBSCRIBED", "SMS PENDING", "SMS REDACTED",
		"WhatsApp NEVER_SUBSCRIBED", "WhatsApp SUBSCRIBED", "WhatsApp UNSUBSCRIBED", "WhatsApp PENDING", "WhatsApp REDACTED",
		"level SINGLE_OPT_IN", "level CONFIRMED_OPT_IN", "level UNKNOWN", "level ",
	} {
		if seen[what] == 0 {
			t.Errorf("none of 20,000 has: %s", what)
		}
	}
	if gaps < 19_000 {
		t.Errorf("only %d gaps between ids", gaps)
	}
}

// A million customers take neither time nor memory before somebody reads them.
func TestAMillion(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	app.data(shopQuery, nil) // warm up: TLS, schema
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	store.Generate(1_000_000, 1)
	data := app.data("{ customersCount(limit: null) { count } customers(first: 250, reverse: true) { nodes { id } } }", nil)
	if at(data, "customersCount", "count") != number("1000000") || len(list(at(data, "customers", "nodes"))) != 250 {
		t.Errorf("%.200v", data)
	}
	if grown := int64(heap()) - int64(before); grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

const everyField = `id firstName lastName email phone locale note tags state verifiedEmail numberOfOrders amountSpent { amount currencyCode }
	createdAt updatedAt emailMarketingConsent { marketingState marketingOptInLevel consentUpdatedAt }
	smsMarketingConsent { marketingState marketingOptInLevel consentUpdatedAt consentCollectedFrom }
	defaultAddress { address1 address2 city province zip countryCodeV2 phone }`

func TestLinesAreOfRealisticSize(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{BulkSpeed: shopifytest.Unlimited})
	store.Generate(5000, 1)
	op := app.poll(at(app.runBulk("{ customers { edges { node { "+everyField+" } } } }"), "bulkOperation", "id"))
	_, _, body := app.fetch(text(op["url"]))
	if mean := len(body) / 5000; mean < 650 || mean > 800 {
		t.Errorf("%d bytes a line", mean)
	}
}
