// Command load sends webhooks to a process that serves them with PostgreSQL,
// and fails if one is lost, is not answered with 200, or is answered late:
//
//	SHOPIFYSYNC_POSTGRES_DSN=... go -C internal/integration run ./bench/load
//	SHOPIFYSYNC_POSTGRES_DSN=... go -C internal/integration run ./bench/load -for 10m
//
// This process is the merchant and Shopify: it changes customers of a fake
// store and delivers a signed webhook of each change, at a rate that does not
// wait for answers (an open loop). A child process is the host:
// [shopifysync.Syncer.WebhookHandler] and [shopifysync.Syncer.Serve] on one
// database. Only the loopback interface is used. At the end every customer
// whose last event was acknowledged must be right in the database; no full run
// and no catch-up comes in between that could repair it.
//
// Answer times count from the moment at which the open loop was to send.
// Webhook-to-contact times count from there, too, to the commit of a contact
// that shows the change; of changes that one fetch brings together the last one
// counts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/shopifytest"
	"github.com/omnichat/shopifysync/sqlstore"
)

var (
	rate      = flag.Float64("rate", 500, "webhooks a second")
	length    = flag.Duration("for", 30*time.Second, "how long")
	burst     = flag.Int("burst", 5000, "webhooks within one second, afterwards")
	customers = flag.Int("customers", 20_000, "`number` of customers")
	latency   = flag.Duration("latency", 50*time.Millisecond, "of the fake Shopify's answers")
	p99       = flag.Duration("p99", 250*time.Millisecond, "fail when 1 in 100 answers takes longer")
	child     = flag.String("child", "", "for this program itself: be the host, with tables of this `prefix`")
	endpoint  = flag.String("endpoint", "", "with -child: the `address` of the fake Shopify")
)

const (
	connection = shopifysync.ConnectionID("load")
	domain     = "load.myshopify.com"
	secret     = "load-secret"
	token      = "load-token"

	burstWithin = 5 * time.Second
	// contactP50 and contactP99 are the targets for webhook to contact.
	contactP50 = 2 * time.Second
	contactP99 = 10 * time.Second
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *child != "" {
		err = beHost(ctx, *child, *endpoint)
	} else {
		err = run(ctx)
	}
	if err != nil {
		log.Fatal("load: ", err)
	}
}

func run(ctx context.Context) (err error) {
	if *rate <= 0 || *customers < 100 || *burst < 0 {
		return errors.New("-rate must be more than 0, -customers at least 100, -burst at least 0")
	}
	db, err := openDatabase()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.DropAll(), db.DB.Close()) }()
	store, err := newStore(ctx, db)
	if err != nil {
		return err
	}
	fake := shopifytest.NewServer()
	defer fake.Close()
	shop := fake.AddStore(shopifytest.StoreConfig{
		Domain: domain, AccessToken: token, ClientSecret: secret, NoRedacted: true, Latency: *latency,
	})
	shop.Generate(*customers, 1)
	server := httptest.NewServer(fake.Handler())
	defer server.Close()
	h, err := startHost(db.Prefix, strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()

	l := newLoop(shop, h.address)
	steady := l.send(ctx, *rate, *length)
	fmt.Printf("steady:  %s\n", steady)
	if err := h.report("webhook to contact under that load"); err != nil {
		return err
	}
	failures := steady.failures()
	if steady.at(0.99) > *p99 {
		failures = append(failures, fmt.Errorf("p99 of the answers is %v, allowed are %v", steady.at(0.99), *p99))
	}
	if *burst > 0 && ctx.Err() == nil {
		b := l.send(ctx, float64(*burst), time.Second)
		fmt.Printf("burst:   %s\n", b)
		failures = append(failures, b.failures()...)
		if b.at(1) > burstWithin {
			failures = append(failures, fmt.Errorf("an answer to the burst took %v, allowed are %v", b.at(1), burstWithin))
		}
	}
	failures = append(failures, l.check(ctx, store), h.late())
	for _, operation := range []string{"CustomersPage", "ChangedCustomers"} {
		if fake.Count(operation) > 0 {
			failures = append(failures, fmt.Errorf("%s came: something else than drains brought the changes", operation))
		}
	}
	fmt.Printf("Shopify: %d requests for %d webhooks\n", fake.Count("CustomersByID"), l.sent)
	return errors.Join(failures...)
}

func openDatabase() (*dbtest.Database, error) {
	if os.Getenv(dbtest.PostgresDSN) == "" {
		return nil, fmt.Errorf("%s must name a PostgreSQL server", dbtest.PostgresDSN)
	}
	target, err := dbtest.Find("postgres-pgx")
	if err != nil {
		return nil, err
	}
	return target.OpenAt("")
}

// newStore makes the tables, and a connection for which everything was just
// done: neither a run nor a catch-up is due.
func newStore(ctx context.Context, db *dbtest.Database) (*sqlstore.Store, error) {
	store, err := sqlstore.New(db.DB, db.Dialect, sqlstore.WithTablePrefix(db.Prefix))
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	now := time.Now()
	_, err = store.SaveConnectionState(ctx, shopifysync.SaveConnectionStateParams{State: shopifysync.ConnectionState{
		Connection: connection, ConnectedAt: now, RunAt: now, TriedAt: now, CaughtUpAt: now, CaughtUpTo: now,
		Customers: int64(*customers), CountedAt: now, Health: shopifysync.Health{State: shopifysync.HealthOK, CheckedAt: now},
	}})
	return store, err
}

// toAddress sends every request to one address in clear text.
type toAddress string

// RoundTrip implements [http.RoundTripper].
func (a toAddress) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context())
	sent.Host = req.URL.Host
	sent.URL.Scheme, sent.URL.Host = "http", string(a)
	return http.DefaultTransport.RoundTrip(sent)
}
