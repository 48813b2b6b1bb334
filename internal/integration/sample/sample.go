// Package sample makes contacts that look like a real store's: some names in
// Chinese, some notes, up to 20 tags, consents, orders.
package sample

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

// Connection is the connection of every contact.
const Connection shopifysync.ConnectionID = "tenant-1042"

// FirstObserved is when the first version of every contact was observed.
var FirstObserved = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

var (
	surnames   = []string{"王", "陳", "林", "黃", "張", "李", "Smith", "García", "Müller", "Nguyen"}
	givenNames = []string{"小明", "怡君", "志豪", "雅婷", "Anna", "Liam", "Zoë", "家豪", "Mia", "俊傑"}
	tagNames   = []string{"VIP", "wholesale", "newsletter", "2024 summer", "LINE", "門市會員", "gold", "silver", "returns", "birthday-05", "Shopify POS", "blocked", "employee", "café", "B2B", "Taipei", "首購", "referral", "app", "survey-2023", "pre-order"}
	noteWords  = []string{"prefers", "delivery", "after 18:00;", "請勿致電", "allergic to", "\"nuts\"", "asked for invoice\n", "size M", "客戶偏好", "call first"}
)

// Contact returns the i-th contact, from 0. Another revision differs in its
// number of orders, its tags, and its version.
func Contact(i, revision int) shopifysync.Contact {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	id := shopifysync.CustomerID(7_000_000_000_000 + int64(i)*32_768 + r.Int64N(32_768))
	updated := FirstObserved.Add(-time.Duration(r.IntN(700*86400))*time.Second + time.Duration(revision)*24*time.Hour)
	c := shopifysync.Contact{
		Connection: Connection,
		CustomerID: id,
		Version:    shopifysync.Version{UpdatedAt: updated.Truncate(time.Second), ObservedAt: FirstObserved.Add(time.Duration(revision) * 24 * time.Hour)},
		FirstName:  givenNames[r.IntN(len(givenNames))],
		LastName:   surnames[r.IntN(len(surnames))],
	}
	c.Name = c.LastName + c.FirstName
	address := ""
	if r.IntN(20) > 0 {
		c.Email = fmt.Sprintf("user%d.%s@example.com", r.IntN(1_000_000_000), strings.ToLower(tagNames[r.IntN(3)]))
		address = c.Email
	}
	if r.IntN(10) > 2 {
		c.Phone = fmt.Sprintf("+8869%08d", r.IntN(100_000_000))
		c.PhoneSource = shopifysync.PhoneCustomer
	}
	for range r.IntN(1 + r.IntN(20)) {
		c.Tags = append(c.Tags, tagNames[r.IntN(len(tagNames))])
	}
	if revision > 0 {
		c.Tags = append(c.Tags, fmt.Sprint("revision ", revision))
	}
	slices.Sort(c.Tags)
	c.Tags = slices.Compact(c.Tags)
	var note string
	if r.IntN(4) == 0 {
		var words []string
		for range 3 + r.IntN(25) {
			words = append(words, noteWords[r.IntN(len(noteWords))])
		}
		note = strings.Join(words, " ")
	}
	states := []shopifysync.ConsentState{shopifysync.ConsentSubscribed, shopifysync.ConsentNotSubscribed, shopifysync.ConsentUnsubscribed}
	c.Attributes = []shopifysync.Attribute{
		shopifysync.ConsentAttribute(shopifysync.AttrEmailConsent, shopifysync.Consent{
			State: states[r.IntN(3)], Level: "SINGLE_OPT_IN", UpdatedAt: updated.Truncate(time.Second), Address: address,
		}),
		shopifysync.NullAttribute(shopifysync.AttrNote),
		shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, fmt.Sprint(r.IntN(40)+revision)),
		shopifysync.ConsentAttribute(shopifysync.AttrSMSConsent, shopifysync.Consent{
			State: states[r.IntN(3)], Level: "UNKNOWN", CollectedFrom: "OTHER", Address: c.Phone,
		}),
		shopifysync.MoneyAttribute(shopifysync.AttrTotalSpent, shopifysync.Money{Amount: fmt.Sprintf("%d.%02d", r.IntN(90_000), r.IntN(100)), Currency: "TWD"}),
	}
	if note != "" {
		c.Attributes[1] = shopifysync.TextAttribute(shopifysync.AttrNote, note)
	}
	return c
}

// Batch returns the contacts from first to first+n-1.
func Batch(first, n, revision int) []shopifysync.Contact {
	batch := make([]shopifysync.Contact, n)
	for i := range batch {
		batch[i] = Contact(first+i, revision)
	}
	return batch
}
