package shopifytest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

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
