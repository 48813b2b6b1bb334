package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// demoStore is a store of the fake Shopify, answering in this process.
type demoStore struct {
	server      *shopifytest.Server
	store       *shopifytest.Store
	shop        shopifysync.Shop
	credentials shopifysync.Credentials
	touched     []shopifysync.CustomerID
}

func newDemoStore(customers int) *demoStore {
	server := shopifytest.NewServer()
	store := server.AddStore(shopifytest.StoreConfig{Domain: "quickstart.myshopify.com", Name: "示範商店", NoRedacted: true})
	store.Generate(customers, 1)
	cfg := store.Config()
	return &demoStore{
		server: server, store: store, shop: shopifysync.Shop(cfg.Domain),
		credentials: shopifysync.Credentials{
			AccessToken: shopifysync.NewSecret(cfg.AccessToken), ClientID: cfg.ClientID,
			ClientSecret: shopifysync.NewSecret(cfg.ClientSecret),
		},
	}
}

func (d *demoStore) client() *http.Client { return d.server.Client() }

func (d *demoStore) close() { d.server.Close() }

// change does what a day in a shop does: tags, an order and a new name, two
// new customers, one deletion. It returns what it did.
func (d *demoStore) change() (string, error) {
	var ids []int64
	for c := range d.store.All() {
		if ids = append(ids, c.ID); len(ids) == 4 {
			break
		}
	}
	var done []string
	do := func(what string, id int64, err error) error {
		d.touched = append(d.touched, shopifysync.CustomerID(id))
		done = append(done, what)
		return err
	}
	if len(ids) == 4 {
		tag := func(c *shopifytest.Customer) { c.Tags = append(slices.Clone(c.Tags), "VIP") }
		if err := do("one customer tagged VIP", ids[0], d.store.Update(ids[0], tag)); err != nil {
			return "", err
		}
		if err := do("one bought for 1280", ids[1], d.store.PlaceOrder(ids[1], "1280.0")); err != nil {
			return "", err
		}
		rename := func(c *shopifytest.Customer) { c.FirstName, c.LastName = "小明", "王" }
		if err := do("one is now called 王小明", ids[2], d.store.Update(ids[2], rename)); err != nil {
			return "", err
		}
		if err := do("one deleted", ids[3], d.store.Delete(ids[3])); err != nil {
			return "", err
		}
	}
	for _, name := range []string{"美玲", "Somchai"} {
		c := d.store.Create(shopifytest.Customer{FirstName: name, LastName: "陳"})
		_ = do(name+" is new", c.ID, nil)
	}
	return fmt.Sprintf("%s.", strings.Join(done, ", ")), nil
}
