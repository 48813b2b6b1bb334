package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

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

// newDemoStore makes a store that sends its webhooks to a handler.
func newDemoStore(customers int, webhooks http.Handler) *demoStore {
	server := shopifytest.NewServer(shopifytest.WithWebhookHandler(webhooks))
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

// keepChanging changes the store every now and then until ctx ends.
func (d *demoStore) keepChanging(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		d.changeOne(n)
	}
}

// changeOne changes one of the newest customers, in its turn each way that a
// customer changes. An error means that it is gone: the next one's turn.
func (d *demoStore) changeOne(n int) {
	customers := d.store.Newest(20)
	if len(customers) == 0 {
		d.store.Create(shopifytest.Customer{FirstName: "美玲", LastName: "陳"})
		return
	}
	id := customers[rand.IntN(len(customers))].ID
	switch n % 6 {
	case 0:
		_ = d.store.AddTags(id, fmt.Sprint("visit-", n))
	case 1:
		_ = d.store.PlaceOrder(id, fmt.Sprintf("%d.0", 100+rand.IntN(10_000)))
	case 2:
		_ = d.store.Update(id, func(c *shopifytest.Customer) { c.Note = "called at " + time.Now().Format(time.TimeOnly) })
	case 3:
		d.store.Create(shopifytest.Customer{FirstName: "Somchai", Email: fmt.Sprintf("somchai%d@example.com", n)})
	case 4:
		_ = d.store.Update(id, func(c *shopifytest.Customer) { c.FirstName, c.LastName = "小明", "王" })
	case 5:
		_ = d.store.Delete(id)
	}
}
