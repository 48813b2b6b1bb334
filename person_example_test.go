package shopifysync_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/omnichat/shopifysync"
)

// A member chats before any sync: the card is there all the same.
func ExampleSyncer_Member() {
	server, shop, conn := demo()
	defer server.Close()
	syncer, err := shopifysync.New(shopifysync.NewMemoryStore(), shopifysync.StaticConnections(conn), shopifysync.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	// As the app proxy's signed logged_in_customer_id has it.
	number := fmt.Sprint(shop.Newest(2)[1].ID)
	contact, err := syncer.Member(context.Background(), shopifysync.MemberParams{Connection: conn.ID, Number: number})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(contact.Name, contact.Email)

	_, err = syncer.Member(context.Background(), shopifysync.MemberParams{Connection: conn.ID, Number: "1"})
	fmt.Println("nobody:", errors.Is(err, shopifysync.ErrNoMember))
	// Output:
	// Mei Chan mei@example.com
	// nobody: true
}

// A person asks for their data, and then to be forgotten.
func ExampleSyncer_Erase() {
	server, _, conn := demo()
	defer server.Close()
	syncer, err := shopifysync.New(shopifysync.NewMemoryStore(), shopifysync.StaticConnections(conn), shopifysync.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if _, err := syncer.Sync(ctx, shopifysync.SyncParams{Connection: conn.ID}); err != nil {
		log.Fatal(err)
	}
	mei := shopifysync.PersonParams{Connection: conn.ID, Email: "Mei@example.com"}
	contacts, err := syncer.Export(ctx, mei)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(contacts), "contact:", contacts[0].Name)
	receipt, err := syncer.Erase(ctx, mei)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.Removed, "erased")
	report, err := syncer.Sync(ctx, shopifysync.SyncParams{Connection: conn.ID})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the next sync:", report.Created, "new of", report.Seen)
	// Output:
	// 1 contact: Mei Chan
	// 1 erased
	// the next sync: 0 new of 3
}

// Who may be sent a newsletter by WhatsApp? Shopify's consent says so for the
// number that it was given for, and the chat's own list of opt-outs has the last
// word.
func ExampleContact_MayMarket() {
	mei := shopifysync.Contact{
		Name:     "Mei Chan",
		WhatsApp: &shopifysync.WhatsAppContact{Account: "wa-1", UserID: "85291234567"},
		Attributes: []shopifysync.Attribute{shopifysync.ConsentAttribute(shopifysync.AttrWhatsAppConsent, shopifysync.Consent{
			State: shopifysync.ConsentSubscribed, Address: "+85291234567",
		})},
	}
	number := "+" + mei.WhatsApp.UserID
	fmt.Println(mei.MayMarket(shopifysync.AttrWhatsAppConsent, number, false))

	saidStop := map[string]bool{number: true} // the host's own record
	fmt.Println(mei.MayMarket(shopifysync.AttrWhatsAppConsent, number, saidStop[number]))
	fmt.Println(mei.MayMarket(shopifysync.AttrWhatsAppConsent, "+85299999999", false))
	// Output:
	// true
	// false
	// false
}
