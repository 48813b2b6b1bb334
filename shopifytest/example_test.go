package shopifytest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"

	"github.com/omnichat/shopifysync/shopifytest"
)

func Example() {
	srv := shopifytest.NewServer()
	defer srv.Close()
	store := srv.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com"})
	store.Create(shopifytest.Customer{FirstName: "小明", LastName: "王"})

	request, err := http.NewRequest(http.MethodPost, "https://demo.myshopify.com/admin/api/2026-01/graphql.json",
		strings.NewReader(`{"query": "{ customers(first: 1) { nodes { lastName firstName } } }"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Shopify-Access-Token", "shpat_test")
	response, err := srv.Client().Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		fmt.Println(err)
		return
	}
	data, _, _ := strings.Cut(string(body), `,"extensions"`)
	fmt.Println(data)
	// Output: {"data":{"customers":{"nodes":[{"lastName":"王","firstName":"小明"}]}}
}

// A webhook that no store sends, signed as Shopify signs.
func ExampleSign() {
	body := []byte(`{"id":706405506930370084}`)
	request, err := http.NewRequest(http.MethodPost, "https://receiver.example/webhooks", bytes.NewReader(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	request.Header.Set("X-Shopify-Topic", "customers/delete")
	request.Header.Set("X-Shopify-Shop-Domain", "demo.myshopify.com")
	request.Header.Set("X-Shopify-Hmac-Sha256", shopifytest.Sign("client-secret", body))
	fmt.Println(request.Header.Get("X-Shopify-Hmac-Sha256"))
	// Output: GqDOZ5hRRwXrvvExkBXLw01ohaNRaUMVtHXjwUifV/M=
}

// Every payload that Shopify has sent since 2024-04, for a handler that must
// digest them all.
func ExampleStore_DeliveryOf() {
	srv := shopifytest.NewServer()
	defer srv.Close()
	store := srv.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com"})
	kept, gone := store.Create(shopifytest.Customer{Tags: []string{"VIP"}}).ID, int64(8)

	withTags := 0
	for _, version := range shopifytest.Versions() {
		for _, topic := range shopifytest.Topics(version) {
			request, err := store.DeliveryOf(version, topic, kept, gone)
			if err != nil {
				fmt.Println(err)
				return
			}
			body, err := io.ReadAll(request.Body)
			if err != nil {
				fmt.Println(err)
				return
			}
			if topic == "customers/update" && bytes.Contains(body, []byte(`"tags"`)) {
				withTags++
			}
		}
	}
	fmt.Println("versions whose customers/update has tags:", withTags)
	// Output: versions whose customers/update has tags: 3
}

// Webhooks of a store come to the handler as its customers change: here one is
// lost and the next comes twice.
func ExampleWithWebhookHandler() {
	var mu sync.Mutex
	var came []string
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		came = append(came, r.URL.Path+" "+string(body))
	})
	srv := shopifytest.NewServer(shopifytest.WithWebhookHandler(handler))
	store := srv.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com", AppWebhookURL: "https://receiver.example/app", ShopID: 1})
	store.Inject(shopifytest.Fault{Operation: shopifytest.OpWebhook, Drop: shopifytest.DropRequest})
	store.Inject(shopifytest.Fault{Operation: shopifytest.OpWebhook, Copies: 1})
	for range 2 {
		if err := store.Notify("shop/redact"); err != nil {
			fmt.Println(err)
			return
		}
		for store.WebhookCounts().Pending > 0 { // a test in a bubble calls synctest.Wait
			runtime.Gosched()
		}
	}
	srv.Close()
	fmt.Println(strings.Join(came, "\n"))
	// Output:
	// /app {"shop_id":1,"shop_domain":"demo.myshopify.com"}
	// /app {"shop_id":1,"shop_domain":"demo.myshopify.com"}
}

// A handler under test takes a signed webhook.
func ExampleStore_Delivery() {
	srv := shopifytest.NewServer()
	defer srv.Close()
	store := srv.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com"})

	request, err := store.Delivery("customers/delete", 706405506930370084)
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(request.Header.Get("X-Shopify-Topic"), string(body))
	fmt.Println(request.Header.Get("X-Shopify-Hmac-Sha256") == shopifytest.Sign("client-secret", body))
	// Output:
	// customers/delete {"id":706405506930370084,"tax_exemptions":[],"admin_graphql_api_id":"gid://shopify/Customer/706405506930370084"}
	// true
}
