package shopifysync_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// consents returns the WhatsApp consent of every contact, by state.
func (w *world) consents() map[int64]shopifysync.ConsentState {
	out := map[int64]shopifysync.ConsentState{}
	for id, c := range w.contacts() {
		if a := attribute(c, shopifysync.AttrWhatsAppConsent); a.Kind == shopifysync.KindConsent {
			out[int64(id)] = a.Consent.State
		}
	}
	return out
}

// wantConsents are those of the store's customers.
func (w *world) wantConsents() map[int64]shopifysync.ConsentState {
	out := map[int64]shopifysync.ConsentState{}
	for c := range w.shop.All() {
		if c.WhatsAppConsent != nil && !redacted(c) {
			out[c.ID] = shopifysync.ConsentState(c.WhatsAppConsent.State)
		}
	}
	return out
}

func (w *world) serve(versions ...string) {
	w.shop.Configure(func(c *shopifytest.StoreConfig) { c.APIVersions = versions })
}

// The WhatsApp consent is synced where the version served has it, by pages and
// by bulk; where it has not, what is stored stays, and no contact says that
// something was masked.
func TestWhatsAppConsentByVersion(t *testing.T) {
	for _, way := range []string{"pages", "bulk"} {
		t.Run(way, func(t *testing.T) {
			inWorld(t, 900, func(t *testing.T, w *world) {
				var opts []shopifysync.Option
				if way == "bulk" {
					opts = append(opts, shopifysync.WithBulkThreshold(1))
					w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency, c.BulkSpeed = 5*time.Second, shopifytest.Unlimited })
				}
				s := w.syncer(opts...)
				w.serve("2026-01")
				r := w.sync(s)
				if way == "bulk" && !strings.Contains(r.Source, "bulk") {
					t.Fatalf("read by %s", r.Source)
				}
				if got := w.consents(); len(got) != 0 || r.Masked != 0 {
					t.Errorf("before there was such a consent: %v, masked %v", got, r.Masked)
				}
				w.mirrors()
				unmasked := func() {
					t.Helper()
					for id, c := range w.contacts() {
						if c.Masked != 0 {
							t.Fatalf("customer %d: %v", id, c.Masked)
						}
					}
				}
				unmasked()
				w.serve("2026-07")
				if r := w.sync(s); r.Updated == 0 || r.ServedVersion != "2026-07" {
					t.Errorf("%+v", r)
				}
				if diff := cmp.Diff(w.wantConsents(), w.consents()); diff != "" {
					t.Errorf("-want +got: %s", diff)
				}
				if r := w.sync(s); r.Updated != 0 {
					t.Errorf("once more: %+v", r)
				}
				// An older version says nothing about it.
				w.serve("2026-01")
				if r := w.sync(s); r.Updated != 0 || r.Masked != 0 {
					t.Errorf("%+v", r)
				}
				if diff := cmp.Diff(w.wantConsents(), w.consents()); diff != "" {
					t.Errorf("-want +got: %s", diff)
				}
				w.mirrors()
				unmasked()
			})
		})
	}
}

// A drain and a lookup read the consent at once in a process that has not
// asked Shopify for anything else yet.
func TestWhatsAppConsentWithoutRun(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.serve("2026-07")
		w.sync(w.syncer()) // of another process
		ann := w.shop.Create(shopifytest.Customer{Phone: "+886912345678", WhatsAppConsent: &shopifytest.WhatsAppConsent{State: "SUBSCRIBED"}}).ID
		ben := w.shop.Create(shopifytest.Customer{Phone: "+886912345679"}).ID
		if _, err := w.member(w.syncer(), ann, 0); err != nil {
			t.Fatal(err)
		}
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(ben)})
		if _, err := w.syncer().Drain(t.Context(), connID); err != nil {
			t.Fatal(err)
		}
		want := map[int64]shopifysync.ConsentState{ann: shopifysync.ConsentSubscribed, ben: shopifysync.ConsentNeverSubscribed}
		if diff := cmp.Diff(want, w.consents()); diff != "" {
			t.Errorf("-want +got: %s", diff)
		}
		if c := w.contacts()[shopifysync.CustomerID(ann)]; attribute(c, shopifysync.AttrWhatsAppConsent).Consent.Address != "+886912345678" {
			t.Errorf("%+v", c)
		}
	})
}

// A connection that asks for an older version again does not send what only
// the newer one knows.
func TestWhatsAppConsentAfterVersionEdit(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		w.serve("2026-01", "2026-07")
		conns := shopifysync.StaticConnections()
		save := func(version string) {
			w.conn.APIVersion = version
			if _, err := conns.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: w.conn}); err != nil {
				t.Fatal(err)
			}
		}
		s, err := shopifysync.New(w.store, conns, shopifysync.WithHTTPClient(w.server.Client()))
		if err != nil {
			t.Fatal(err)
		}
		for i, version := range []string{"2026-07", "2026-01", "2026-07", "unstable"} {
			save(version)
			time.Sleep(time.Minute)
			c, err := w.member(s, w.ids()[0], time.Second)
			if err != nil || time.Since(c.Version.ObservedAt) > 10*time.Second {
				t.Errorf("%d, %s: observed at %v, %v", i, version, c.Version.ObservedAt, err)
			}
		}
	})
}

// What Shopify refuses to show is masked in the report and clears nothing; a
// customer who has no phone number any more has no consent either.
func TestWhatsAppConsentRefused(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.serve("2026-07")
		s := w.syncer()
		id := w.shop.Create(shopifytest.Customer{Phone: "+886912345678", Email: "a@example.com", WhatsAppConsent: &shopifytest.WhatsAppConsent{State: "SUBSCRIBED"}}).ID
		w.sync(s)
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.DeniedFields = []string{"defaultPhoneNumber"} })
		if err := w.shop.Update(id, func(c *shopifytest.Customer) {
			c.WhatsAppConsent = &shopifytest.WhatsAppConsent{State: "UNSUBSCRIBED"}
		}); err != nil {
			t.Fatal(err)
		}
		r := w.sync(s)
		if r.Masked != shopifysync.FieldWhatsAppConsent || r.Masked.String() != "whatsapp consent" {
			t.Errorf("masked %v", r.Masked)
		}
		want := map[int64]shopifysync.ConsentState{id: shopifysync.ConsentSubscribed}
		if diff := cmp.Diff(want, w.consents()); diff != "" {
			t.Errorf("-want +got: %s", diff)
		}
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.DeniedFields = nil })
		if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Phone, c.SMSConsent, c.WhatsAppConsent = "", nil, nil }); err != nil {
			t.Fatal(err)
		}
		w.sync(s)
		if got := w.consents(); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
}

// REDACTED here is a redaction like the others.
func TestWhatsAppConsentRedacted(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.serve("2026-07")
		s := w.syncer()
		id := w.shop.Create(canaryPerson()).ID
		w.sync(s)
		if err := w.shop.Update(id, func(c *shopifytest.Customer) {
			c.WhatsAppConsent = &shopifytest.WhatsAppConsent{State: "REDACTED"}
		}); err != nil {
			t.Fatal(err)
		}
		if r := w.sync(s); r.Removed[shopifysync.RemovedRedacted] != 1 {
			t.Errorf("%+v", r)
		}
		if found := personal(w.store); len(found) > 0 {
			t.Errorf("personal data at %v", found)
		}
	})
}

// A mapper that lists the attribute come what may clears nothing with an older
// version.
func TestWhatsAppConsentOfOwnMapper(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		s := w.syncer(shopifysync.WithMapper(func(_ shopifysync.ConnectionID, c shopifysync.Customer) (shopifysync.Contact, error) {
			a := shopifysync.NullAttribute(shopifysync.AttrWhatsAppConsent)
			if c.WhatsAppConsent != nil {
				a = shopifysync.ConsentAttribute(a.Key, *c.WhatsAppConsent)
			}
			return shopifysync.Contact{Name: "Ann", Attributes: []shopifysync.Attribute{a}}, nil
		}))
		w.shop.Create(shopifytest.Customer{Phone: "+886912345678", WhatsAppConsent: &shopifytest.WhatsAppConsent{State: "SUBSCRIBED"}})
		for _, version := range []string{"2026-07", "2026-01"} {
			w.serve(version)
			w.sync(s)
			if diff := cmp.Diff(w.wantConsents(), w.consents()); diff != "" {
				t.Errorf("%s (-want +got): %s", version, diff)
			}
		}
	})
}
