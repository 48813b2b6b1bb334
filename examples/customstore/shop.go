package main

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// The customers of the demonstration.
const (
	ming    = 7_000_000_000_011
	mei     = 7_000_000_000_022
	somchai = 7_000_000_000_033
	dawen   = 7_000_000_000_044
)

// A demoShop is a store of the fake Shopify, in this process, whose clock can
// be put forward.
type demoShop struct {
	server *shopifytest.Server
	store  *shopifytest.Store
	ahead  *atomic.Int64 // of the real clock; nanoseconds
}

func openShop() demoShop {
	var ahead atomic.Int64
	server := shopifytest.NewServer(shopifytest.WithClock(func() time.Time {
		return time.Now().Add(time.Duration(ahead.Load()))
	}))
	store := server.AddStore(shopifytest.StoreConfig{Domain: "customstore.myshopify.com"})
	for _, c := range []shopifytest.Customer{
		{ID: ming, FirstName: "小明", LastName: "王", Email: "ming@example.com", Phone: "+886912345678", Tags: []string{"VIP", "會員"}},
		{ID: mei, FirstName: "美玲", LastName: "陳", Email: "mei@example.com", Phone: "+886987654321", Tags: []string{"newsletter", "會員"}},
		{ID: somchai, FirstName: "Somchai", LastName: "Dee", Phone: "+66812345678", Tags: []string{"wholesale"}},
		{ID: dawen, FirstName: "大文", LastName: "李", Email: "dawen@example.com", Phone: "+85291234567", Tags: []string{"會員"}},
	} {
		store.Create(c)
	}
	return demoShop{server, store, &ahead}
}

func (d demoShop) connection() shopifysync.Connection {
	cfg := d.store.Config()
	return shopifysync.Connection{
		ID: connectionID, Shop: shopifysync.Shop(cfg.Domain),
		Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret(cfg.AccessToken)},
	}
}

func (d demoShop) client() *http.Client { return d.server.Client() }

func (d demoShop) close() { d.server.Close() }

// story tells what agentsWork and dayPasses do.
const story = `
In the chat, an agent
  takes 會員 off 王小明, and tags 陳美玲 "asks about sizes"
  tags Somchai Dee "refund", and notes that one is pending
In Shopify, the merchant
  takes VIP off 王小明, and adds 金卡
  takes newsletter off 陳美玲, and adds birthday-may
  deletes Somchai Dee
  has 李大文 redacted, who asked for it
`

// dayPasses is what happens in Shopify between the two syncs.
func (d demoShop) dayPasses() error {
	d.ahead.Add(int64(24 * time.Hour))
	retag := func(id int64, from, to string) error {
		return d.store.Update(id, func(c *shopifytest.Customer) {
			c.Tags = append(slices.DeleteFunc(c.Tags, func(tag string) bool { return tag == from }), to)
		})
	}
	return errors.Join(
		retag(ming, "VIP", "金卡"),
		retag(mei, "newsletter", "birthday-may"),
		d.store.Delete(somchai),
		d.store.Redact(dawen),
	)
}

// peopleBefore fills the team's table as it was before there was a sync: one
// person who only chats, and one member imported by hand.
func peopleBefore(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, `
		INSERT INTO people (display_name, tags, agent_note, external_ref) VALUES
			('林怡君', '["LINE"]', 'asked for the opening hours', NULL),
			('小明',   '["VIP","likes calls"]', 'call after 18:00', 'shopify:customstore:7000000000011')`)
	return err
}

// agentsWork is what agents do between the two syncs: plain updates of the
// team's table, that know nothing of the side table.
func agentsWork(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, `
		UPDATE people SET tags = '["VIP","likes calls"]' WHERE display_name = '王小明';
		UPDATE people SET tags = json_insert(tags, '$[#]', 'asks about sizes') WHERE display_name = '陳美玲';
		UPDATE people SET tags = json_insert(tags, '$[#]', 'refund'), agent_note = 'a refund is pending' WHERE display_name = 'Somchai Dee'`)
	return err
}
