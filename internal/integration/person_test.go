package integration

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/internal/integration/sample"
	"github.com/omnichat/shopifysync/sqlstore"
)

func TestMergedCustomers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		remove := func(reason shopifysync.RemovalReason, removals ...shopifysync.Removal) {
			t.Helper()
			if _, err := store.RemoveContacts(t.Context(), shopifysync.RemoveContactsParams{
				Connection: sample.Connection, Reason: reason, ObservedAt: sample.FirstObserved, Removals: removals,
			}); err != nil {
				t.Fatal(err)
			}
		}
		remove(shopifysync.RemovedMerged, shopifysync.Removal{CustomerID: 9, MergedInto: 1}, shopifysync.Removal{CustomerID: 3, MergedInto: 1},
			shopifysync.Removal{CustomerID: 4, MergedInto: 3}, shopifysync.Removal{CustomerID: 5}, shopifysync.Removal{CustomerID: 6, MergedInto: 1})
		remove(shopifysync.RemovedRedacted, shopifysync.Removal{CustomerID: 6}) // of whom nothing is known any more
		for into, want := range map[shopifysync.CustomerID][]shopifysync.CustomerID{1: {3, 9}, 3: {4}, 4: nil, 0: nil} {
			got, err := store.MergedCustomers(t.Context(), shopifysync.MergedCustomersParams{Connection: sample.Connection, Into: into})
			if diff := cmp.Diff(want, got.Customers); diff != "" || err != nil {
				t.Errorf("into %d: %v (-want +got): %s", into, err, diff)
			}
		}
		got, err := store.MergedCustomers(t.Context(), shopifysync.MergedCustomersParams{Connection: "other", Into: 1})
		if len(got.Customers) > 0 || err != nil {
			t.Errorf("another connection: %+v, %v", got, err)
		}
	})
}

func TestSharedWhatsApp(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		linked := func(id shopifysync.CustomerID, account, user string) shopifysync.Contact {
			return member(id, func(c *shopifysync.Contact) {
				if account != "" {
					c.WhatsApp = &shopifysync.WhatsAppContact{Account: account, UserID: user}
				}
			})
		}
		contacts := []shopifysync.Contact{
			linked(9, "wa", "2"), linked(3, "wa", "2"), linked(4, "wa", "1"), linked(5, "wa", "1"), linked(6, "wa", "3"),
			linked(7, "other", "3"), linked(8, "", ""), linked(10, "", ""), linked(11, "wa", "4"), linked(12, "wa", "4"),
		}
		for i := range shopifysync.MaxSharers + 5 {
			contacts = append(contacts, linked(shopifysync.CustomerID(100+i), "wa", "many"))
		}
		if _, err := store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{Connection: sample.Connection, Contacts: contacts}); err != nil {
			t.Fatal(err)
		}
		if _, err := store.RemoveContacts(t.Context(), shopifysync.RemoveContactsParams{
			Connection: sample.Connection, Reason: shopifysync.RemovedDeleted, ObservedAt: sample.FirstObserved,
			Removals: []shopifysync.Removal{{CustomerID: 11}},
		}); err != nil {
			t.Fatal(err)
		}
		one := shopifysync.SharedWhatsApp{UserID: "1", Customers: []shopifysync.CustomerID{4, 5}}
		two := shopifysync.SharedWhatsApp{UserID: "2", Customers: []shopifysync.CustomerID{3, 9}}
		many := shopifysync.SharedWhatsApp{UserID: "many", Customers: []shopifysync.CustomerID{100, 101, 102, 103, 104, 105, 106, 107, 108, 109}}
		for _, tt := range []struct {
			after string
			limit int
			want  []shopifysync.SharedWhatsApp
		}{
			{"", 10, []shopifysync.SharedWhatsApp{one, two, many}},
			{"", 1, []shopifysync.SharedWhatsApp{one}},
			{"1", 1, []shopifysync.SharedWhatsApp{two}},
			{"many", 1, nil},
			{"\x00", 1, nil},
		} {
			got, err := store.SharedWhatsApp(t.Context(), shopifysync.SharedWhatsAppParams{
				Connection: sample.Connection, Account: "wa", After: tt.after, Limit: tt.limit,
			})
			if diff := cmp.Diff(tt.want, got.Shared); diff != "" || err != nil {
				t.Errorf("after %q, %d: %v (-want +got): %s", tt.after, tt.limit, err, diff)
			}
		}
		if _, err := store.SharedWhatsApp(t.Context(), shopifysync.SharedWhatsAppParams{Connection: sample.Connection, Account: "wa"}); err == nil {
			t.Error("no limit, no error")
		}
	})
}

// An erased person is in none of the bytes of an SQLite database: not in freed
// pages either, thanks to secure_delete, nor, after a checkpoint, in its log.
func TestErasedFromSQLiteFile(t *testing.T) {
	target, err := dbtest.Find("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	db := target.Open(t)
	store := db.Store(t)
	s, err := shopifysync.New(store, store)
	if err != nil {
		t.Fatal(err)
	}
	person := func(id shopifysync.CustomerID, word string, at time.Time) shopifysync.Contact {
		return member(id, func(c *shopifysync.Contact) {
			c.Version = shopifysync.Version{UpdatedAt: at, ObservedAt: at}
			c.Name, c.FirstName, c.LastName, c.Email = word+"-name", word+"-first", word+"-last", word+"@example.com"
			c.Phone, c.PhoneSource, c.Tags = word+"-phone", shopifysync.PhoneCustomer, []string{word + "-tag"}
			c.Attributes = []shopifysync.Attribute{ // long enough for pages of its own
				shopifysync.TextAttribute(shopifysync.AttrNote, string(bytes.Repeat([]byte(word+"-note "), 2000))),
				shopifysync.ConsentAttribute(shopifysync.AttrEmailConsent, shopifysync.Consent{State: shopifysync.ConsentSubscribed, Address: word + "@example.com"}),
			}
			c.WhatsApp = &shopifysync.WhatsAppContact{Account: "wa", UserID: word + "-user", Name: word + "-name"}
		})
	}
	put := func(contacts ...shopifysync.Contact) {
		if _, err := store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{Connection: sample.Connection, Contacts: contacts}); err != nil {
			t.Fatal(err)
		}
	}
	var crowd []shopifysync.Contact
	for i := range 200 {
		crowd = append(crowd, person(shopifysync.CustomerID(1000+i), fmt.Sprint("neighbour", i), sample.FirstObserved))
	}
	put(crowd...)
	put(person(1100, "canary", sample.FirstObserved.Add(time.Second)))
	put(person(1100, "canary2", sample.FirstObserved.Add(2*time.Second)))
	count := func() (n int) {
		var busy, pages, moved int
		if err := db.DB.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil || busy != 0 {
			t.Fatalf("checkpoint: %v, busy %d", err, busy)
		}
		for _, file := range []string{db.File, db.File + "-wal"} {
			data, err := os.ReadFile(file)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			n += bytes.Count(data, []byte("canary"))
		}
		return n
	}
	if count() == 0 {
		t.Fatal("the person was never in the file, so this test says nothing")
	}
	receipt, err := s.Erase(t.Context(), shopifysync.PersonParams{Connection: sample.Connection, Email: "canary2@example.com"})
	if err != nil || receipt.Removed != 1 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	if n := count(); n != 0 {
		t.Errorf("the person is in the file %d times", n)
	}
	if found, err := store.List(t.Context(), sqlstore.ListParams{Connection: sample.Connection, Limit: 1000}); err != nil || len(found.Contacts) != 199 {
		t.Errorf("%d contacts are left, %v", len(found.Contacts), err)
	}
}
