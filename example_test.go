package shopifysync_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// demo returns a fake store with three customers, and a connection to it.
func demo() (*shopifytest.Server, *shopifytest.Store, shopifysync.Connection) {
	server := shopifytest.NewServer()
	store := server.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com", AccessToken: "demo-token"})
	store.Create(shopifytest.Customer{FirstName: "小明", LastName: "王", NumberOfOrders: 2, Tags: []string{"VIP"}})
	store.Create(shopifytest.Customer{FirstName: "Mei", LastName: "Chan", Email: "mei@example.com"})
	store.Create(shopifytest.Customer{FirstName: "Shop", LastName: "Tester", Tags: []string{"wholesale"}})
	return server, store, shopifysync.Connection{
		ID: "tenant-1", Shop: "demo.myshopify.com",
		Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret("demo-token")},
	}
}

func Example() {
	server, _, conn := demo()
	defer server.Close()

	store := shopifysync.NewMemoryStore()
	syncer, err := shopifysync.New(store, shopifysync.StaticConnections(conn),
		shopifysync.WithHTTPClient(server.Client())) // a real store needs no such option
	if err != nil {
		log.Fatal(err)
	}
	report, err := syncer.Sync(context.Background(), shopifysync.SyncParams{Connection: conn.ID})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Seen, "seen,", report.Created, "new, complete:", report.Complete)
	// Output: 3 seen, 3 new, complete: true
}

func ExampleSyncer_Sync_dryRun() {
	server, _, conn := demo()
	defer server.Close()
	syncer, err := shopifysync.New(shopifysync.NewMemoryStore(), shopifysync.StaticConnections(conn), shopifysync.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	report, err := syncer.Sync(context.Background(), shopifysync.SyncParams{Connection: conn.ID, DryRun: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a sync would create", report.Created)
	// Output: a sync would create 3
}

// A merchant cancels a run that was just begun: the cause tells it from a process
// that ends.
func ExampleSyncer_Sync_cancel() {
	server, _, conn := demo()
	defer server.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	click := func(ctx context.Context, _ shopifysync.SyncStartInfo) context.Context {
		cancel(shopifysync.ErrCancelled)
		return ctx
	}
	store := shopifysync.NewMemoryStore()
	syncer, err := shopifysync.New(store, shopifysync.StaticConnections(conn), shopifysync.WithHTTPClient(server.Client()),
		shopifysync.WithHooks(shopifysync.Hooks{SyncStart: click}))
	if err != nil {
		log.Fatal(err)
	}
	_, err = syncer.Sync(ctx, shopifysync.SyncParams{Connection: conn.ID})
	fmt.Println(errors.Is(err, shopifysync.ErrCancelled))
	status, err := syncer.Status(context.Background(), conn.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.Runs[0].State)
	// Output:
	// true
	// cancelled
}

func ExampleWithMapper() {
	server, _, conn := demo()
	defer server.Close()

	base := shopifysync.NewMapper(shopifysync.MapperOptions{})
	mapper := func(id shopifysync.ConnectionID, c shopifysync.Customer) (shopifysync.Contact, error) {
		for _, tag := range c.Tags {
			if tag == "wholesale" {
				return shopifysync.Contact{}, fmt.Errorf("wholesale: %w", shopifysync.ErrSkip)
			}
		}
		contact, err := base(id, c)
		contact.Attributes = append(contact.Attributes, shopifysync.TextAttribute("locale", c.Locale))
		return contact, err
	}
	syncer, err := shopifysync.New(shopifysync.NewMemoryStore(), shopifysync.StaticConnections(conn),
		shopifysync.WithHTTPClient(server.Client()), shopifysync.WithMapper(mapper))
	if err != nil {
		log.Fatal(err)
	}
	report, err := syncer.Sync(context.Background(), shopifysync.SyncParams{Connection: conn.ID})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Created, "new,", report.Skipped["wholesale"], "wholesale left out")
	// Output: 2 new, 1 wholesale left out
}

func ExampleAPIError() {
	server, store, conn := demo()
	defer server.Close()
	store.Configure(func(c *shopifytest.StoreConfig) { c.AccessToken = "rotated" })

	syncer, err := shopifysync.New(shopifysync.NewMemoryStore(), shopifysync.StaticConnections(conn), shopifysync.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	_, err = syncer.Sync(context.Background(), shopifysync.SyncParams{Connection: conn.ID})
	var api *shopifysync.APIError
	if errors.As(err, &api) && errors.Is(err, shopifysync.ErrUnauthorized) {
		fmt.Println(api.Op, "was answered with", api.StatusCode)
	}
	// Output: Shop was answered with 401
}

func ExampleParseShop() {
	for _, pasted := range []string{
		"https://My-Shop.myshopify.com/",
		"admin.shopify.com/store/my-shop",
		"www.my-shop.com",
	} {
		shop, err := shopifysync.ParseShop(pasted)
		fmt.Println(shop, errors.Is(err, shopifysync.ErrInvalidShop))
	}
	// Output:
	// my-shop.myshopify.com false
	// my-shop.myshopify.com false
	//  true
}

func ExampleSecret() {
	cred := shopifysync.Credentials{AccessToken: shopifysync.NewSecret("shpat_0123")}
	fmt.Printf("%v\n", cred.AccessToken)
	fmt.Println(cred.AccessToken.Reveal())
	// Output:
	// REDACTED
	// shpat_0123
}

func ExampleApply() {
	seen := shopifysync.Contact{Connection: "tenant-1", CustomerID: 7, Email: "a@example.com"}
	seen.Version.UpdatedAt = seen.Version.UpdatedAt.AddDate(2024, 0, 0)

	refused := seen // the same version, but Shopify did not show the e-mail
	refused.Email, refused.Masked = "", shopifysync.FieldEmail

	stored, outcome := shopifysync.Apply(nil, seen)
	fmt.Println(outcome)
	stored, outcome = shopifysync.Apply(&stored, refused)
	fmt.Println(outcome, stored.Email)
	// Output:
	// created
	// unchanged a@example.com
}
