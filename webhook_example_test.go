package shopifysync_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// A delivery is verified with the app's API secret key, and with the previous
// one while it is being rotated.
func ExampleParseWebhook() {
	secret, previous := shopifysync.NewSecret("hush"), shopifysync.NewSecret("hush-before")

	header := http.Header{}
	header.Set("X-Shopify-Topic", "customers/update")
	header.Set("X-Shopify-Hmac-Sha256", "e8zQRHx3WLgvWBzGvE/lyNoIzW8rFtbyxgdtG91gY04=")
	body := `{"id":706405506930370084,"updated_at":"2021-12-31T19:00:00-05:00"}`

	ev, err := shopifysync.ParseWebhook(header, []byte(body), secret, previous)
	fmt.Println(ev.Topic, ev.Customers, ev.UpdatedAt, err)

	forged := strings.Replace(body, "7064", "7065", 1)
	_, err = shopifysync.ParseWebhook(header, []byte(forged), secret, previous)
	fmt.Println(errors.Is(err, shopifysync.ErrInvalidSignature))
	// Output:
	// customers/update [706405506930370084] 2022-01-01 00:00:00 +0000 UTC <nil>
	// true
}

// The handler is mounted at the address of the subscriptions, and once more
// for what the app's own configuration subscribes to.
func ExampleSyncer_WebhookHandler() {
	server, shop, conn := demo()
	defer server.Close()
	conn.Credentials.ClientSecret = shopifysync.NewSecret("client-secret") // signs webhooks
	store := shopifysync.NewMemoryStore()
	syncer, err := shopifysync.New(store, shopifysync.StaticConnections(conn), shopifysync.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/shopify/{connection}", syncer.WebhookHandler())
	mux.Handle("POST /webhooks/shopify", syncer.WebhookHandler())
	// srv := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}

	// Shopify would send this:
	customer := shop.Create(shopifytest.Customer{FirstName: "Mei", LastName: "Chan"})
	webhook, err := shop.Delivery("customers/create", customer.ID)
	if err != nil {
		log.Fatal(err)
	}
	webhook.URL.Path = "/webhooks/shopify/tenant-1"
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, webhook)

	got, err := store.Contacts(context.Background(), shopifysync.ContactsParams{Connection: "tenant-1", IDs: []shopifysync.CustomerID{shopifysync.CustomerID(customer.ID)}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Code, got.Contacts[0].Name)
	// Output: 200 Mei Chan
}

// A host with its own queue verifies first and delivers later.
func ExampleSyncer_Deliver() {
	server, shop, conn := demo()
	defer server.Close()
	conn.Credentials.ClientSecret = shopifysync.NewSecret("client-secret")
	store := shopifysync.NewMemoryStore()
	syncer, err := shopifysync.New(store, shopifysync.StaticConnections(conn), shopifysync.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	customer := shop.Create(shopifytest.Customer{FirstName: "Mei", LastName: "Chan"})
	webhook, err := shop.Delivery("customers/create", customer.ID)
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(webhook.Body)
	if err != nil {
		log.Fatal(err)
	}

	event, err := shopifysync.ParseWebhook(webhook.Header, body, conn.Credentials.ClientSecret, conn.Credentials.PreviousClientSecret)
	if errors.Is(err, shopifysync.ErrInvalidSignature) {
		log.Fatal("answer 401")
	}
	if err := syncer.Deliver(context.Background(), conn.ID, event); err != nil {
		log.Fatal("put it back into the queue")
	}
	fmt.Println(event.Topic, "delivered")
	// Output: customers/create delivered
}
