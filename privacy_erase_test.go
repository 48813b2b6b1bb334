package shopifysync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// canaryPerson is a customer of whom nothing may be left.
func canaryPerson() shopifytest.Customer {
	return shopifytest.Customer{
		FirstName: "canary-first", LastName: "canary-last", Email: "Canary@Example.com", Phone: "+886912345678",
		Note: "canary-note", Tags: []string{"canary-tag"},
		EmailConsent: &shopifytest.EmailConsent{State: "SUBSCRIBED"},
		SMSConsent:   &shopifytest.SMSConsent{State: "SUBSCRIBED"},
	}
}

// personal looks for texts of [canaryPerson] anywhere in v, whatever its fields
// are called, and returns where it found them.
func personal(v any) []string {
	var found []string
	seen := map[uintptr]bool{}
	var visit func(path string, v reflect.Value)
	visit = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if text := strings.ToLower(v.String()); strings.Contains(text, "canary") || strings.Contains(text, "912345678") {
				found = append(found, path)
			}
		case reflect.Pointer:
			if v.IsNil() || seen[v.Pointer()] {
				return
			}
			seen[v.Pointer()] = true
			visit(path, v.Elem())
		case reflect.Interface:
			if !v.IsNil() {
				visit(path, v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				visit(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice, reflect.Array:
			if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
				visit(path, reflect.ValueOf(string(v.Bytes())))
				return
			}
			for i := range v.Len() {
				visit(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Map:
			for it := v.MapRange(); it.Next(); {
				visit(path+".key", it.Key())
				visit(path+"[]", it.Value())
			}
		}
	}
	visit("", reflect.ValueOf(v))
	return found
}

// An erasures records what the host is asked to erase.
type erasures struct {
	got  []shopifysync.Erasure
	errs []error // returned in turn
	look func(shopifysync.Erasure)
}

func (e *erasures) option() shopifysync.Option {
	return shopifysync.WithPrivacyHandler(shopifysync.PrivacyHandler{Erase: func(_ context.Context, x shopifysync.Erasure) error {
		e.got = append(e.got, x)
		if e.look != nil {
			e.look(x)
		}
		if len(e.errs) > 0 {
			err := e.errs[0]
			e.errs = e.errs[1:]
			return err
		}
		return nil
	}})
}

// Erased by e-mail: gone, and nothing that the library does brings the person
// back, nor is anything personal left in the store.
func TestErase(t *testing.T) {
	inWorld(t, 50, func(t *testing.T, w *world) {
		host := &erasures{}
		w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa"}
		s := w.syncer(host.option())
		id := w.shop.Create(canaryPerson()).ID
		w.sync(s)
		if len(personal(w.store)) == 0 {
			t.Fatal("the person was never there, so this test says nothing")
		}
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id), Reason: "customers/update"},
			shopifysync.Mark{CustomerID: shopifysync.CustomerID(w.ids()[5]), Reason: "customers/update"})
		host.look = func(e shopifysync.Erasure) {
			found, err := s.Export(t.Context(), shopifysync.PersonParams{Connection: connID, CustomerID: e.Customers[0]})
			if err != nil || len(found) != 1 {
				t.Errorf("the host's erasure finds %d contacts, %v", len(found), err)
			}
		}
		before := len(w.server.Requests())
		receipt, err := s.Erase(t.Context(), shopifysync.PersonParams{Connection: connID, Email: "canary@EXAMPLE.com"})
		if err != nil {
			t.Fatal(err)
		}
		want := &shopifysync.ErasureReceipt{
			ID: receipt.ID, Connection: connID, Customers: []shopifysync.CustomerID{shopifysync.CustomerID(id)},
			Removed: 1, HostErased: true, At: time.Now().UTC(),
		}
		if diff := cmp.Diff(want, receipt); diff != "" || receipt.ID == "" {
			t.Errorf("receipt (-want +got): %s", diff)
		}
		wantHost := []shopifysync.Erasure{{Connection: connID, Reason: shopifysync.RemovedRedacted, Customers: want.Customers, At: want.At}}
		if diff := cmp.Diff(wantHost, host.got); diff != "" {
			t.Errorf("the host was told (-want +got): %s", diff)
		}
		if n := len(w.server.Requests()) - before; n != 0 {
			t.Errorf("%d requests", n)
		}
		if marks := w.openMarks(); len(marks) != 1 || marks[0].CustomerID == shopifysync.CustomerID(id) {
			t.Errorf("marks: %+v", marks)
		}
		gone := func(when string) {
			t.Helper()
			if diff := cmp.Diff(map[int64]shopifysync.RemovalReason{id: shopifysync.RemovedRedacted}, w.tombstones(id)); diff != "" {
				t.Errorf("%s (-want +got): %s", when, diff)
			}
			if found := personal(w.store); len(found) > 0 {
				t.Errorf("%s: personal data at %v", when, found)
			}
		}
		gone("after the erasure")
		// Shopify still has the person, who changes all the time.
		touch := func() {
			time.Sleep(10 * time.Minute)
			if err := w.shop.Update(id, func(c *shopifytest.Customer) { c.Note = "canary again" }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
		touch()
		if r := w.sync(s); r.Stale != 1 {
			t.Errorf("%+v", r)
		}
		gone("after a full run")
		touch()
		if n, err := s.CatchUp(t.Context(), connID); err != nil || n != 0 {
			t.Fatalf("marked %d, %v", n, err)
		}
		if _, err := s.Drain(t.Context(), connID); err != nil {
			t.Fatal(err)
		}
		gone("after a catch-up")
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(id), Reason: "customers/update"})
		if _, err := s.Drain(t.Context(), connID); err != nil {
			t.Fatal(err)
		}
		gone("after a replayed webhook")
		if _, err := w.member(s, id, time.Second); !errors.Is(err, shopifysync.ErrNoMember) {
			t.Errorf("Member: %v", err)
		}
		gone("after a lookup")
		if text, err := json.Marshal(receipt); err != nil || len(personal(string(text))) > 0 || len(personal(w.log.String())) > 0 {
			t.Errorf("%s, %v, or the log, holds personal data", text, err)
		}
		if found, err := s.Export(t.Context(), shopifysync.PersonParams{Connection: connID, CustomerID: shopifysync.CustomerID(id)}); err != nil || len(found) != 0 {
			t.Errorf("Export: %+v, %v", found, err)
		}
		// Once more: by e-mail nobody is there, by id it is done again.
		if again, err := s.Erase(t.Context(), shopifysync.PersonParams{Connection: connID, Email: "canary@example.com"}); err != nil || len(again.Customers) != 0 || again.HostErased {
			t.Errorf("%+v, %v", again, err)
		}
		host.look = nil
		again, err := s.Erase(t.Context(), shopifysync.PersonParams{Connection: connID, CustomerID: shopifysync.CustomerID(id)})
		if err != nil || len(again.Customers) != 1 || again.Removed != 0 || !again.HostErased {
			t.Errorf("%+v, %v", again, err)
		}
		gone("after a second erasure")
	})
}

// Whoever was merged into the erased person, at whatever remove, is the same
// person: the host hears of them, and the receipt names them.
func TestEraseMerged(t *testing.T) {
	ways := map[string]func(*testing.T, *world, *shopifysync.Syncer, shopifysync.CustomerID){
		"Erase": func(t *testing.T, w *world, s *shopifysync.Syncer, id shopifysync.CustomerID) {
			r, err := s.Erase(t.Context(), shopifysync.PersonParams{Connection: connID, Email: "canary@example.com"})
			if err != nil || r.Removed != 1 {
				t.Fatalf("%+v, %v", r, err)
			}
			if diff := cmp.Diff([]shopifysync.CustomerID{1, 2, 3, id}, r.Customers); diff != "" {
				t.Errorf("receipt (-want +got): %s", diff)
			}
		},
		"webhook": func(t *testing.T, w *world, s *shopifysync.Syncer, id shopifysync.CustomerID) {
			ev := shopifysync.Event{
				Topic: "customers/redact", Customers: []shopifysync.CustomerID{id},
				Privacy: &shopifysync.PrivacyRequest{ShopID: w.shop.Config().ShopID, ShopDomain: w.conn.Shop},
			}
			if err := s.Deliver(t.Context(), connID, ev); err != nil {
				t.Fatal(err)
			}
		},
		"consent": func(t *testing.T, w *world, s *shopifysync.Syncer, id shopifysync.CustomerID) {
			if err := w.shop.Redact(int64(id)); err != nil {
				t.Fatal(err)
			}
			if r := w.sync(s); r.Removed[shopifysync.RemovedRedacted] != 1 || r.Failed != 0 {
				t.Errorf("%+v", r)
			}
		},
	}
	for name, erase := range ways {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 0, func(t *testing.T, w *world) {
				host := &erasures{}
				s := w.syncer(host.option())
				id := shopifysync.CustomerID(w.shop.Create(canaryPerson()).ID)
				w.sync(s)
				// 1 and 2 were merged into the person, 3 into 2; 5 into somebody else.
				for merged, into := range map[shopifysync.CustomerID]shopifysync.CustomerID{1: id, 2: id, 3: 2, 5: 4} {
					if _, err := w.store.RemoveContacts(t.Context(), shopifysync.RemoveContactsParams{
						Connection: connID, Reason: shopifysync.RemovedMerged, ObservedAt: time.Now(),
						Removals: []shopifysync.Removal{{CustomerID: merged, MergedInto: into}},
					}); err != nil {
						t.Fatal(err)
					}
				}
				erase(t, w, s, id)
				if len(host.got) != 1 {
					t.Fatalf("the host was told of %+v", host.got)
				}
				if diff := cmp.Diff([]shopifysync.CustomerID{1, 2, 3, id}, host.got[0].Customers); diff != "" {
					t.Errorf("the host was told (-want +got): %s", diff)
				}
				want := map[int64]shopifysync.RemovalReason{
					1: shopifysync.RemovedRedacted, 2: shopifysync.RemovedRedacted, 3: shopifysync.RemovedRedacted, 5: shopifysync.RemovedMerged,
					int64(id): shopifysync.RemovedRedacted,
				}
				if diff := cmp.Diff(want, w.tombstones(1, 2, 3, 4, 5, int64(id))); diff != "" {
					t.Errorf("tombstones (-want +got): %s", diff)
				}
			})
		})
	}
}

// A person can be erased before the first sync.
func TestEraseUnseen(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		s := w.syncer()
		id := w.shop.Create(canaryPerson()).ID
		r, err := s.Erase(t.Context(), shopifysync.PersonParams{Connection: connID, CustomerID: shopifysync.CustomerID(id)})
		if err != nil || r.Removed != 0 || r.HostErased {
			t.Fatalf("%+v, %v", r, err)
		}
		w.sync(s)
		if found := personal(w.store); len(found) > 0 {
			t.Errorf("personal data at %v", found)
		}
	})
}

// Whoever shares the number is erased, too; other connections' people are not.
func TestErasePhone(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa", Country: "TW"}
		s := w.syncer(shopifysync.WithPhoneNormalizer(taiwan))
		put := func(connection shopifysync.ConnectionID, id shopifysync.CustomerID, phone string) {
			_, err := w.store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{Connection: connection, Contacts: []shopifysync.Contact{
				{Connection: connection, CustomerID: id, Phone: phone, Email: fmt.Sprintf("%d@example.com", id)},
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		put(connID, 1, "+886912345678")
		put(connID, 2, "+886912345678")
		put(connID, 3, "0912345678 or so") // as it could not be normalised
		put("other", 1, "+886912345678")
		tests := []struct {
			p    shopifysync.PersonParams
			want []shopifysync.CustomerID
		}{
			{shopifysync.PersonParams{Phone: "+886 912-345-678"}, []shopifysync.CustomerID{1, 2}},
			{shopifysync.PersonParams{Phone: " 0912345678 "}, []shopifysync.CustomerID{1, 2}}, // the connection's country
			{shopifysync.PersonParams{Phone: "0912345678", Country: "HK"}, nil},
			{shopifysync.PersonParams{Phone: "0912345678 or so"}, []shopifysync.CustomerID{3}},
			{shopifysync.PersonParams{Phone: "+886912345678", Email: "3@EXAMPLE.com"}, []shopifysync.CustomerID{1, 2, 3}},
			{shopifysync.PersonParams{Phone: "+886912345678", CustomerID: 2}, []shopifysync.CustomerID{1, 2}},
			{shopifysync.PersonParams{Email: "nobody@example.com"}, nil},
		}
		for _, tt := range tests {
			tt.p.Connection = connID
			found, err := s.Export(t.Context(), tt.p)
			if err != nil {
				t.Fatal(err)
			}
			var ids []shopifysync.CustomerID
			for _, c := range found {
				ids = append(ids, c.CustomerID)
			}
			if diff := cmp.Diff(tt.want, ids); diff != "" {
				t.Errorf("%+v (-want +got): %s", tt.p, diff)
			}
		}
		r, err := s.Erase(t.Context(), shopifysync.PersonParams{Connection: connID, Phone: "0912345678"})
		if err != nil || r.Removed != 2 {
			t.Fatalf("%+v, %v", r, err)
		}
		if live := w.contacts(); len(live) != 1 || live[3].Phone == "" {
			t.Errorf("left: %+v", live)
		}
		got, err := w.store.Contacts(t.Context(), shopifysync.ContactsParams{Connection: "other", IDs: []shopifysync.CustomerID{1}})
		if err != nil || got.Contacts[0].Removed != "" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// A number in national format, of a customer without an address, is found in
// whatever form it is asked for: contacts have it as WhatsApp does.
func TestEraseNationalPhone(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa", Country: "TW"}
		s := w.syncer(shopifysync.WithPhoneNormalizer(taiwan))
		id := w.shop.Create(shopifytest.Customer{FirstName: "Ann", Phone: "0912345678", SMSConsent: &shopifytest.SMSConsent{State: "SUBSCRIBED"}}).ID
		w.sync(s)
		c := w.contacts()[shopifysync.CustomerID(id)]
		if consent := attribute(c, shopifysync.AttrSMSConsent).Consent; c.Phone != "+886912345678" || c.WhatsApp.UserID != "886912345678" || consent.Address != c.Phone {
			t.Errorf("phone %q, %+v, %+v", c.Phone, c.WhatsApp, consent)
		}
		for _, phone := range []string{"+886912345678", "+886 912-345-678", "0912345678"} {
			found, err := s.Export(t.Context(), shopifysync.PersonParams{Connection: connID, Phone: phone})
			if err != nil || len(found) != 1 {
				t.Errorf("%s: %+v, %v", phone, found, err)
			}
		}
		if r, err := s.Erase(t.Context(), shopifysync.PersonParams{Connection: connID, Phone: "+886912345678"}); err != nil || r.Removed != 1 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// taiwan is a normalizer that knows one country's mobile numbers.
func taiwan(raw, country string) (string, bool) {
	if national, ok := strings.CutPrefix(raw, "09"); ok && country == "TW" && len(national) == 8 {
		return "+8869" + national, true
	}
	return shopifysync.NormalizePhone(raw, country)
}

func TestPersonParams(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		s := w.syncer()
		plain := w.syncerOn(struct{ shopifysync.ContactStore }{w.store}) // cannot find
		for _, p := range []shopifysync.PersonParams{
			{}, {Connection: connID}, {CustomerID: 1}, {Connection: connID, CustomerID: -1}, {Connection: connID, Email: "  "}, {Connection: connID, Phone: " "},
			{Connection: connID, CustomerID: -1, Email: "a@example.com"},
		} {
			if _, err := s.Export(t.Context(), p); err == nil {
				t.Errorf("Export %+v: no error", p)
			}
			if _, err := s.Erase(t.Context(), p); err == nil {
				t.Errorf("Erase %+v: no error", p)
			}
		}
		for _, p := range []shopifysync.PersonParams{{Connection: connID, Email: "a@example.com"}, {Connection: connID, Phone: "+886912345678"}, {Connection: connID, CustomerID: 1, Email: "a@example.com"}} {
			if _, err := plain.Export(t.Context(), p); !errors.Is(err, shopifysync.ErrNoFinder) {
				t.Errorf("Export %+v: %v", p, err)
			}
			if _, err := plain.Erase(t.Context(), p); !errors.Is(err, shopifysync.ErrNoFinder) {
				t.Errorf("Erase %+v: %v", p, err)
			}
		}
		if got := w.tombstones(1); len(got) != 0 {
			t.Errorf("half an erasure: %v", got)
		}
		if _, err := plain.Erase(t.Context(), shopifysync.PersonParams{Connection: connID, CustomerID: 1}); err != nil {
			t.Error(err)
		}
	})
}

// Both work for a connection that is disconnected, and for one that is not
// there at all.
func TestEraseDisconnected(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		s := w.syncer()
		w.changeState(func(st *shopifysync.ConnectionState) { st.Disconnected = &shopifysync.Disconnection{At: time.Now()} })
		for _, id := range []shopifysync.ConnectionID{connID, "unknown"} {
			_, err := w.store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{Connection: id, Contacts: []shopifysync.Contact{
				{Connection: id, CustomerID: 1, Email: "ann@example.com", Phone: "+886912345678"},
			}})
			if err != nil {
				t.Fatal(err)
			}
			p := shopifysync.PersonParams{Connection: id, Email: "ann@example.com", Phone: "+886912345678"}
			if found, err := s.Export(t.Context(), p); err != nil || len(found) != 1 {
				t.Errorf("%s: %+v, %v", id, found, err)
			}
			if r, err := s.Erase(t.Context(), p); err != nil || r.Removed != 1 {
				t.Errorf("%s: %+v, %v", id, r, err)
			}
		}
	})
}

// While the host's own erasure fails the contact stays, so that the same call
// finds it again; what the host says is not repeated.
func TestEraseHostFails(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		host := &erasures{errs: []error{errors.New("canary@example.com is in use"), nil}}
		s := w.syncer(host.option())
		id := w.shop.Create(canaryPerson()).ID
		w.sync(s)
		p := shopifysync.PersonParams{Connection: connID, Email: "canary@example.com"}
		r, err := s.Erase(t.Context(), p)
		if err == nil || r != nil || len(personal(err.Error())) > 0 {
			t.Errorf("%+v, %v", r, err)
		}
		if r, err := s.Erase(t.Context(), p); err != nil || r.Removed != 1 || len(host.got) != 2 {
			t.Errorf("%+v, %v, %d calls", r, err, len(host.got))
		}
		// A panic is an error like others.
		host.look = func(shopifysync.Erasure) { panic("canary") }
		if _, err := s.Erase(t.Context(), shopifysync.PersonParams{Connection: connID, CustomerID: shopifysync.CustomerID(id)}); err == nil || len(personal(err.Error())) > 0 {
			t.Errorf("error %v", err)
		}
	})
}

// A store that keeps no tombstones is found out.
func TestEraseIsConfirmed(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		s := w.syncerOn(forgetful{w.store})
		if _, err := s.Erase(t.Context(), shopifysync.PersonParams{Connection: connID, CustomerID: 1}); err == nil || !strings.Contains(err.Error(), "tombstone") {
			t.Errorf("error %v", err)
		}
	})
}

// A forgetful store deletes instead of keeping a tombstone.
type forgetful struct{ shopifysync.ContactStore }

func (forgetful) RemoveContacts(_ context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	return shopifysync.RemoveContactsResult{Outcomes: make([]shopifysync.Outcome, len(p.Removals))}, nil
}

// A consent state REDACTED, in a run or a drain, is the host's to follow, too:
// once, and until it succeeds.
func TestRedactedConsentErases(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		host := &erasures{}
		s := w.syncer(host.option())
		byRun, byDrain := w.shop.Create(canaryPerson()).ID, w.shop.Create(canaryPerson()).ID
		w.sync(s)
		host.got = nil // of generated customers who were redacted long ago
		w.sync(s)
		if len(host.got) != 0 {
			t.Errorf("told again of %+v", host.got)
		}
		time.Sleep(time.Minute)
		if err := w.shop.Redact(byRun); err != nil {
			t.Fatal(err)
		}
		dry, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, DryRun: true})
		if err != nil || dry.Removed[shopifysync.RemovedRedacted] != 1 || len(host.got) != 0 {
			t.Errorf("dry run: %+v, %v; the host was told of %+v", dry, err, host.got)
		}
		host.errs = []error{errors.New("canary: not now")}
		r := w.sync(s)
		if r.Failed != 1 || r.RemovedTotal() != 0 || len(personal(r.Failures[0].Reason)) > 0 {
			t.Errorf("%+v", r)
		}
		marks := w.openMarks()
		if len(marks) != 1 || len(personal(marks)) > 0 {
			t.Errorf("marks %+v", marks)
		}
		if d, err := s.Drain(t.Context(), connID); err != nil || d.Removed[shopifysync.RemovedRedacted] != 1 {
			t.Errorf("%+v, %v", d, err)
		}
		if err := w.shop.Redact(byDrain); err != nil {
			t.Fatal(err)
		}
		w.mark(shopifysync.Mark{CustomerID: shopifysync.CustomerID(byDrain), Reason: "customers/update"})
		host.errs = []error{errors.New("canary: not now")}
		for i, want := range []int64{0, 1} {
			d, err := s.Drain(t.Context(), connID)
			if err != nil || d.Removed[shopifysync.RemovedRedacted] != want || d.Failed != 1-want {
				t.Errorf("drain %d: %+v, %v", i, d, err)
			}
			time.Sleep(time.Minute)
		}
		if marks := w.openMarks(); len(marks) != 0 {
			t.Errorf("marks are left: %+v", marks)
		}
		var told []shopifysync.CustomerID
		for _, e := range host.got {
			told = append(told, e.Customers...)
		}
		want := []shopifysync.CustomerID{shopifysync.CustomerID(byRun), shopifysync.CustomerID(byRun), shopifysync.CustomerID(byDrain), shopifysync.CustomerID(byDrain)}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told (-want +got): %s", diff)
		}
		if found := personal(w.store); len(found) > 0 {
			t.Errorf("personal data at %v", found)
		}
		w.mirrors()
	})
}
