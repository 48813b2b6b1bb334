package phone

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

func TestNormalize(t *testing.T) {
	tests := []struct {
		raw, country, want string // want "": refused
		mobile             bool
	}{
		{"0912345678", "TW", "+886912345678", true},
		{"0912-345-678", "TW", "+886912345678", true},
		{"９１２３４５６７", "HK", "+85291234567", true},
		{"9123 4567", "HK", "+85291234567", true},
		{"+886912345678", "HK", "+886912345678", true},      // it names its country itself
		{"00 886 912 345 678", "MY", "+886912345678", true}, // abroad is 00 there,
		{"001 852 9123 4567", "HK", "+85291234567", true},   // 001,
		{"002 852 9123 4567", "TW", "+85291234567", true},   // 002
		{"010 886 912 345 678", "JP", "+886912345678", true},
		{"00 886 912 345 678", "", "", false}, // and who knows
		{"+886 0912 345 678", "", "+886912345678", true},
		{"+886 (0) 912 345 678", "TW", "+886912345678", true},
		{"(02) 2345-6789", "TW", "+886223456789", false}, // landlines
		{"2123 4567", "HK", "+85221234567", false},
		{"+1 212 555 2368", "", "+12125552368", true}, // nobody can tell
		{"0912345678", "", "", false},                 // of which country?
		{"0912345678", "HK", "", false},
		{"9123 4567", "TW", "", false},
		{"+886912", "TW", "", false},
		{"call my son", "TW", "", false},
		{"", "TW", "", false},
	}
	for _, tt := range tests {
		got, ok := Normalize(tt.raw, tt.country)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%q in %q: %q, %v; want %q", tt.raw, tt.country, got, ok, tt.want)
		}
		if ok && Mobile(got) != tt.mobile {
			t.Errorf("%s: mobile %v, want %v", got, Mobile(got), tt.mobile)
		}
	}
	if Mobile("no number") {
		t.Error("no number is a mobile number")
	}
}

// The country of a number in national format is that of the customer's
// address, else that of the settings.
func TestCountries(t *testing.T) {
	server := shopifytest.NewServer()
	defer server.Close()
	shop := server.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com", AccessToken: "token"})
	create := func(phone, country string) shopifysync.CustomerID {
		c := shopifytest.Customer{Phone: phone}
		if country != "" {
			c.DefaultAddress = &shopifytest.Address{CountryCode: country}
		}
		return shopifysync.CustomerID(shop.Create(c).ID)
	}
	want := map[shopifysync.CustomerID]string{
		create("0912345678", "TW"):    "886912345678",
		create("9123 4567", "HK"):     "85291234567",
		create("9123 4568", ""):       "85291234568",
		create("2123 4567", "HK"):     "", // a landline
		create("0912345678", "HK"):    "",
		create("+886912345679", "HK"): "886912345679",
	}
	store := shopifysync.NewMemoryStore()
	syncer, err := shopifysync.New(store, shopifysync.StaticConnections(shopifysync.Connection{
		ID: "demo", Shop: "demo.myshopify.com", Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret("token")},
		WhatsApp: &shopifysync.WhatsAppSettings{AccountID: "wa", Country: "HK"},
	}), append(Options(), shopifysync.WithHTTPClient(server.Client()))...)
	if err != nil {
		t.Fatal(err)
	}
	report, err := syncer.Sync(context.Background(), shopifysync.SyncParams{Connection: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[shopifysync.WhatsAppResult]int64{
		shopifysync.WhatsAppLinked: 4, shopifysync.WhatsAppNotMobile: 1, shopifysync.WhatsAppNoNumber: 1,
	}, report.WhatsApp); diff != "" {
		t.Errorf("report (-want +got): %s", diff)
	}
	for id, user := range want {
		got, err := store.Contacts(t.Context(), shopifysync.ContactsParams{Connection: "demo", IDs: []shopifysync.CustomerID{id}})
		if err != nil || len(got.Contacts) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		linked := ""
		if w := got.Contacts[0].WhatsApp; w != nil {
			linked = w.UserID
		}
		if linked != user {
			t.Errorf("%s: linked to %q, want %q", got.Contacts[0].Phone, linked, user)
		}
	}
}
