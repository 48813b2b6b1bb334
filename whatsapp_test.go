package shopifysync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// links returns the WhatsApp contact that each contact is linked to.
func (w *world) links() map[int64]string {
	out := map[int64]string{}
	for id, c := range w.contacts() {
		if c.WhatsApp != nil {
			out[int64(id)] = c.WhatsApp.Account + " " + c.WhatsApp.UserID
		}
	}
	return out
}

// Links follow the settings, phones, removals and redactions, and no consent
// comes of them.
func TestWhatsAppContacts(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		conns := shopifysync.StaticConnections()
		w.serve("2026-07")
		s, err := shopifysync.New(w.store, conns, shopifysync.WithHTTPClient(w.server.Client()),
			shopifysync.WithPhoneNormalizer(taiwan),
			shopifysync.WithWhatsAppNumbers(func(e164 string) bool { return !strings.HasPrefix(e164, "+8862") }))
		if err != nil {
			t.Fatal(err)
		}
		run := func(settings *shopifysync.WhatsAppSettings) *shopifysync.Report {
			t.Helper()
			w.conn.WhatsApp = settings
			if _, err := conns.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: w.conn}); err != nil {
				t.Fatal(err)
			}
			return w.sync(s)
		}
		settings := func(account string, policy shopifysync.WhatsAppPolicy) *shopifysync.WhatsAppSettings {
			return &shopifysync.WhatsAppSettings{AccountID: account, Policy: policy, Country: "TW"}
		}
		create := func(phone, consent string) int64 {
			c := shopifytest.Customer{FirstName: "Ann", Phone: phone}
			if consent != "" {
				c.WhatsAppConsent = &shopifytest.WhatsAppConsent{State: consent}
			}
			return w.shop.Create(c).ID
		}
		ann, national, landline := create("+886912345678", "SUBSCRIBED"), create("0911111111", ""), create("+886223456789", "")
		same, none, odd := create("+886 912-345-678", ""), create("", ""), create("call my son", "")
		wants := func(when string, r *shopifysync.Report, want map[int64]string) {
			t.Helper()
			if diff := cmp.Diff(want, w.links()); diff != "" {
				t.Errorf("%s (-want +got): %s", when, diff)
			}
			w.addsUp(r)
			for id, c := range w.contacts() {
				for _, key := range []shopifysync.AttributeKey{shopifysync.AttrEmailConsent, shopifysync.AttrSMSConsent} {
					if a := attribute(c, key); a.Consent.State == shopifysync.ConsentSubscribed {
						t.Errorf("%s: customer %d has got the consent %+v", when, id, a)
					}
				}
			}
		}

		r := run(nil)
		wants("switched off", r, map[int64]string{})
		if r.WhatsApp != nil {
			t.Errorf("counted: %v", r.WhatsApp)
		}
		// Switched on: everybody who is there already, without any change in Shopify.
		linked := map[int64]string{ann: "one 886912345678", same: "one 886912345678", national: "one 886911111111"}
		r = run(settings("one", shopifysync.WhatsAppAll))
		wants("switched on", r, linked)
		if diff := cmp.Diff(map[shopifysync.WhatsAppResult]int64{
			shopifysync.WhatsAppLinked: 3, shopifysync.WhatsAppNoPhone: 1, shopifysync.WhatsAppNoNumber: 1, shopifysync.WhatsAppNotMobile: 1,
		}, r.WhatsApp); diff != "" || r.Updated != 3 {
			t.Errorf("%d updated; counts (-want +got): %s", r.Updated, diff)
		}
		if diff := cmp.Diff([]shopifysync.Failure{
			{CustomerID: shopifysync.CustomerID(odd), Reason: "not a phone number"},
			{CustomerID: shopifysync.CustomerID(landline), Reason: "not a mobile number"},
		}, r.WhatsAppUnusable); diff != "" {
			t.Errorf("unusable (-want +got): %s", diff)
		}
		if diff := cmp.Diff([][]shopifysync.CustomerID{{shopifysync.CustomerID(ann), shopifysync.CustomerID(same)}}, r.WhatsAppShared); diff != "" {
			t.Errorf("shared (-want +got): %s", diff)
		}
		if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), "912345678") {
			t.Errorf("the report holds a phone number, or %v", err)
		}
		if r = run(settings("one", shopifysync.WhatsAppAll)); r.Updated != 0 {
			t.Errorf("once more: %+v", r)
		}
		// Another account, other policies.
		r = run(settings("two", shopifysync.WhatsAppAll))
		wants("another account", r, map[int64]string{ann: "two 886912345678", same: "two 886912345678", national: "two 886911111111"})
		r = run(settings("two", shopifysync.WhatsAppSubscribed))
		wants("only subscribed", r, map[int64]string{ann: "two 886912345678"})
		if r.WhatsApp[shopifysync.WhatsAppNotSubscribed] != 2 || r.WhatsAppShared != nil {
			t.Errorf("%v, shared %v", r.WhatsApp, r.WhatsAppShared)
		}
		w.serve("2026-01")
		r = run(settings("two", shopifysync.WhatsAppSubscribed))
		wants("a version that shows no consent", r, map[int64]string{ann: "two 886912345678"})
		w.serve("2026-07")
		r = run(settings("two", shopifysync.WhatsAppNone))
		wants("nobody", r, map[int64]string{})
		r = run(settings("one", shopifysync.WhatsAppAll))
		wants("everybody again", r, linked)

		// Phones change, by a drain as well.
		time.Sleep(time.Minute)
		for id, phone := range map[int64]string{ann: "+886922222222", same: "", none: "0933333333"} {
			if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Phone = phone }); err != nil {
				t.Fatal(err)
			}
			w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id)})
		}
		d, err := s.Drain(t.Context(), connID)
		if err != nil {
			t.Fatal(err)
		}
		wants("phones changed", d, map[int64]string{ann: "one 886922222222", none: "one 886933333333", national: "one 886911111111"})
		if d.WhatsApp[shopifysync.WhatsAppLinked] != 2 {
			t.Errorf("%v", d.WhatsApp)
		}
		// Removal and redaction.
		if err := errors.Join(w.shop.Delete(national), w.shop.Redact(ann)); err != nil {
			t.Fatal(err)
		}
		wants("removed", run(settings("one", shopifysync.WhatsAppAll)), map[int64]string{none: "one 886933333333"})
		// Refused phones keep their links.
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.DeniedFields = []string{"phone"} })
		r = run(settings("one", shopifysync.WhatsAppAll))
		wants("not shown", r, map[int64]string{none: "one 886933333333"})
		if r.WhatsApp[shopifysync.WhatsAppNotSeen] != r.Seen-r.SkippedTotal() {
			t.Errorf("%v of %d", r.WhatsApp, r.Seen)
		}
	})
}

// An address that Shopify ceases to show takes neither the number nor the
// WhatsApp contact along: it told the country of a number that is still there.
func TestWhatsAppWithoutAddress(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa"}
		s := w.syncer(shopifysync.WithPhoneNormalizer(taiwan))
		create := func(phone string) int64 {
			return w.shop.Create(shopifytest.Customer{
				FirstName: "Ann", Phone: phone, SMSConsent: &shopifytest.SMSConsent{State: "SUBSCRIBED"},
				DefaultAddress: &shopifytest.Address{CountryCode: "TW"},
			}).ID
		}
		same, changed := create("0912345678"), create("0922222222")
		w.sync(s)
		before := w.contacts()
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.DeniedFields = []string{"defaultAddress"} })
		if err := w.shop.Update(changed, func(c *shopifytest.Customer) { c.Phone = "0933333333" }); err != nil {
			t.Fatal(err)
		}
		fresh := create("0944444444")
		r := w.sync(s)
		phones, links := map[int64]string{}, w.links()
		for id, c := range w.contacts() {
			phones[int64(id)] = c.Phone
		}
		if diff := cmp.Diff(map[int64]string{same: "+886912345678", changed: "0933333333", fresh: "0944444444"}, phones); diff != "" {
			t.Errorf("phones (-want +got): %s", diff)
		}
		if diff := cmp.Diff(map[int64]string{same: "wa 886912345678"}, links); diff != "" {
			t.Errorf("links (-want +got): %s", diff)
		}
		sms := func(c shopifysync.Contact) string { return attribute(c, shopifysync.AttrSMSConsent).Consent.Address }
		id := shopifysync.CustomerID(same)
		if got := w.contacts()[id]; sms(got) != sms(before[id]) || sms(got) == "" {
			t.Errorf("the consent's number was %q and is %q", sms(before[id]), sms(got))
		}
		if r.WhatsApp[shopifysync.WhatsAppNotSeen] != 3 || r.Unchanged != 1 {
			t.Errorf("%+v", r)
		}
	})
}

// The lists in a report stay short, whatever the store is like.
func TestWhatsAppReportIsBounded(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa"}
		for i := range 600 {
			phone := "no number"
			if i < 300 {
				phone = fmt.Sprintf("+8869100%05d", i/2)
			} else if i < 320 {
				phone = "+886900000000"
			}
			w.shop.Create(shopifytest.Customer{Phone: phone})
		}
		r := w.sync(w.syncer())
		if len(r.WhatsAppUnusable) != shopifysync.MaxFailures || r.WhatsApp[shopifysync.WhatsAppNoNumber] != 280 {
			t.Errorf("%d unusable listed, %v", len(r.WhatsAppUnusable), r.WhatsApp)
		}
		if len(r.WhatsAppShared) != shopifysync.MaxFailures || len(r.WhatsAppShared[0]) != shopifysync.MaxSharers || len(r.WhatsAppShared[1]) != 2 {
			t.Errorf("%d groups, %d, %d", len(r.WhatsAppShared), len(r.WhatsAppShared[0]), len(r.WhatsAppShared[1]))
		}
	})
}

// A store that fails to find shared phones does not spoil the run, nor does one
// that cannot, nor a panic of the host's check of numbers.
func TestWhatsAppHostFails(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa"}
		w.shop.Create(canaryPerson())
		if r := w.sync(w.syncerOn(unsharing{w.store})); r.WhatsApp[shopifysync.WhatsAppLinked] != 1 {
			t.Errorf("%+v", r)
		}
		if !strings.Contains(w.log.String(), "share a WhatsApp contact") || strings.Contains(w.log.String(), "canary") {
			t.Errorf("log: %s", w.log.String())
		}
		r := w.sync(w.syncer(shopifysync.WithWhatsAppNumbers(func(string) bool { panic("canary") })))
		if r.Failed != 1 || len(personal(r)) > 0 {
			t.Errorf("%+v", r)
		}
	})
}

type unsharing struct{ shopifysync.ContactStore }

func (unsharing) SharedWhatsApp(context.Context, shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error) {
	return shopifysync.SharedWhatsAppResult{}, errors.New("canary")
}

func TestMemoryStoreSharedWhatsApp(t *testing.T) {
	store := shopifysync.NewMemoryStore()
	put := func(connection shopifysync.ConnectionID, id shopifysync.CustomerID, account, user string) {
		c := shopifysync.Contact{Connection: connection, CustomerID: id}
		if account != "" {
			c.WhatsApp = &shopifysync.WhatsAppContact{Account: account, UserID: user}
		}
		if _, err := store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{Connection: connection, Contacts: []shopifysync.Contact{c}}); err != nil {
			t.Fatal(err)
		}
	}
	put("c", 9, "wa", "2")
	put("c", 3, "wa", "2")
	put("c", 4, "wa", "1")
	put("c", 5, "wa", "1")
	put("c", 6, "wa", "3")
	put("c", 7, "other", "3")
	put("other", 8, "wa", "3")
	put("c", 10, "", "")
	for _, tt := range []struct {
		p    shopifysync.SharedWhatsAppParams
		want []shopifysync.SharedWhatsApp
	}{
		{shopifysync.SharedWhatsAppParams{Limit: 10}, []shopifysync.SharedWhatsApp{{"1", []shopifysync.CustomerID{4, 5}}, {"2", []shopifysync.CustomerID{3, 9}}}},
		{shopifysync.SharedWhatsAppParams{Limit: 1}, []shopifysync.SharedWhatsApp{{"1", []shopifysync.CustomerID{4, 5}}}},
		{shopifysync.SharedWhatsAppParams{Limit: 1, After: "1"}, []shopifysync.SharedWhatsApp{{"2", []shopifysync.CustomerID{3, 9}}}},
		{shopifysync.SharedWhatsAppParams{Limit: 1, After: "2"}, nil},
	} {
		tt.p.Connection, tt.p.Account = "c", "wa"
		got, err := store.SharedWhatsApp(t.Context(), tt.p)
		if diff := cmp.Diff(tt.want, got.Shared); diff != "" || err != nil {
			t.Errorf("%+v: %v (-want +got): %s", tt.p, err, diff)
		}
	}
	if _, err := store.SharedWhatsApp(t.Context(), shopifysync.SharedWhatsAppParams{Connection: "c", Account: "wa"}); err == nil {
		t.Error("no limit, no error")
	}
}
