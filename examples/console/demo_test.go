package main

import (
	"time"

	"github.com/omnichat/shopifysync/shopifytest"
)

var newcomer = shopifytest.Customer{FirstName: "新來", LastName: "吳", Email: "newcomer@example.com"}

func platinum(c *shopifytest.Customer) { c.Tags = append(c.Tags, "quiet-tag") }

func (st *demoStore) scopes(scopes ...string) {
	st.Configure(func(cfg *shopifytest.StoreConfig) { cfg.Scopes = scopes })
}

// slowDown makes a store so slow that a person can press buttons meanwhile.
func (c *testConsole) slowDown(key string) {
	c.demo.store(key).Configure(func(cfg *shopifytest.StoreConfig) {
		cfg.Latency, cfg.BulkSpeed = 400*time.Millisecond, 1000
	})
}

func (c *testConsole) speedUp(key string) {
	c.demo.store(key).Configure(func(cfg *shopifytest.StoreConfig) {
		cfg.Latency, cfg.BulkSpeed = 0, shopifytest.Unlimited
	})
}
