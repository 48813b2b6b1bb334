// Quickstart syncs a Shopify store's customers into a SQLite file.
//
// Without arguments it starts a demonstration store in process (the fake
// Shopify of package shopifytest), syncs its 10,000 customers with a live
// progress bar, shows a few contacts, changes the store, syncs again and shows
// what changed:
//
//	go run ./examples/quickstart
//
// With -shop it syncs a real store, with SHOPIFY_ACCESS_TOKEN, or
// SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, from the environment.
//
// With -serve it then stays, as a small service that keeps the contacts in step
// and prints each one that changes:
//
//	go run ./examples/quickstart -serve 127.0.0.1:8080
//
//	POST /webhooks/shopify/{connection}  Shopify's webhooks; the connection is called quickstart
//	POST /webhooks/shopify               those of the app's own configuration
//	GET  /healthz                        200 while it serves
//
// The demonstration store changes every few seconds, and sends its webhooks.
// Webhooks of a real store are verified with SHOPIFY_CLIENT_SECRET, and come if
// -webhook-url names the public https address of this service; without it a
// change is found by the catch-up, within 15 minutes. SIGINT and SIGTERM stop
// the service.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/examples/phone"
	"github.com/omnichat/shopifysync/examples/sqlitefile"
	"github.com/omnichat/shopifysync/sqlstore"
)

const connectionID = "quickstart"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "quickstart:", usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// A usageError is wrong input: one line, exit status 2.
type usageError string

func (e usageError) Error() string { return string(e) }

// config is what the command line and the environment say.
type config struct {
	shop        shopifysync.Shop // empty: the demonstration store
	credentials shopifysync.Credentials
	customers   int
	db          string
	json        bool
	endpoint    string        // host:port
	serve       string        // host:port; empty: end after the sync
	every       time.Duration // between changes of the demonstration store that is served
	webhookURL  string        // empty: subscribe to nothing
}

func parse(args []string, getenv func(string) string) (config, error) {
	var c config
	var shop, endpoint string
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&shop, "shop", "", "`address` of a real store, such as my-shop.myshopify.com; default: a demonstration store")
	flags.IntVar(&c.customers, "customers", 10_000, "`number` of customers of the demonstration store")
	flags.StringVar(&c.db, "db", "", "SQLite `file`; default: a new one in a temporary directory of its own")
	flags.BoolVar(&c.json, "json", false, "print JSON instead of text: one object of the runs, and with -serve one a line for each contact that changes")
	flags.StringVar(&endpoint, "endpoint", "", "send every request to this loopback `address`, such as http://127.0.0.1:8080, whatever host it names")
	flags.StringVar(&c.serve, "serve", "", "after the sync stay and serve webhooks at this `address`, such as 127.0.0.1:8080")
	flags.StringVar(&c.webhookURL, "webhook-url", "", "with -serve: the public https `address` that leads to it, such as https://hooks.example.com/webhooks/shopify/{connection}")
	flags.DurationVar(&c.every, "every", 5*time.Second, "with -serve: `time` between two changes of the demonstration store; 0: none")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(os.Stderr)
		flags.Usage()
		return c, usageError("see above")
	case err != nil:
		return c, usageError(err.Error() + " (-h lists the flags)")
	case flags.NArg() > 0:
		return c, usageError(fmt.Sprintf("unexpected argument %q (-h lists the flags)", flags.Arg(0)))
	case c.customers < 0 || c.customers > 10_000_000:
		return c, usageError("-customers must be 0 to 10000000")
	case c.every < 0:
		return c, usageError("-every must not be negative")
	case c.serve == "" && c.webhookURL != "":
		return c, usageError("-webhook-url needs -serve")
	}
	if _, _, err := net.SplitHostPort(c.serve); c.serve != "" && err != nil {
		return c, usageError("-serve must be a host and a port, such as 127.0.0.1:8080")
	}
	if endpoint != "" {
		var err error
		if c.endpoint, err = loopback(endpoint); err != nil {
			return c, err
		}
		if shop == "" {
			return c, usageError("-endpoint needs -shop: the demonstration store is in process")
		}
	}
	if c.serve != "" && c.webhookURL == "" && (shop == "" || endpoint != "") {
		c.webhookURL = fakeWebhookURL
	}
	if shop == "" {
		return c, nil
	}
	var err error
	if c.shop, err = shopifysync.ParseShop(shop); err != nil {
		return c, usageError("-shop: " + err.Error())
	}
	c.credentials = shopifysync.Credentials{
		AccessToken:  shopifysync.NewSecret(getenv("SHOPIFY_ACCESS_TOKEN")),
		ClientID:     getenv("SHOPIFY_CLIENT_ID"),
		ClientSecret: shopifysync.NewSecret(getenv("SHOPIFY_CLIENT_SECRET")),
	}
	if c.credentials.AccessToken.IsZero() && (c.credentials.ClientID == "" || c.credentials.ClientSecret.IsZero()) {
		return c, usageError("-shop needs SHOPIFY_ACCESS_TOKEN, or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, in the environment")
	}
	if c.serve != "" && c.credentials.ClientSecret.IsZero() {
		if endpoint == "" {
			return c, usageError("-serve needs SHOPIFY_CLIENT_SECRET in the environment: webhooks are signed with it")
		}
		c.credentials.ClientSecret = shopifysync.NewSecret(fakeClientSecret)
	}
	return c, nil
}

const (
	// fakeWebhookURL is what a fake Shopify is asked to send webhooks to: it
	// delivers them here whatever host is named.
	fakeWebhookURL = "https://quickstart.example.com/webhooks/shopify/{connection}"
	// fakeClientSecret signs the webhooks of a fakeshopify that was told no other.
	fakeClientSecret = "client-secret"
)

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	cfg, err := parse(args, getenv)
	if err != nil {
		return err
	}
	out := &output{json: cfg.json, stdout: stdout, stderr: stderr}
	mux := http.NewServeMux()
	var demo *demoStore
	client := &http.Client{}
	switch {
	case cfg.shop == "":
		demo = newDemoStore(cfg.customers, mux)
		defer demo.close()
		cfg.shop, cfg.credentials, client = demo.shop, demo.credentials, demo.client()
		out.textf("A demonstration store of %d customers: %s\n", cfg.customers, cfg.shop)
	case cfg.endpoint != "":
		client.Transport = toEndpoint(cfg.endpoint)
	}

	if cfg.db == "" {
		dir, err := os.MkdirTemp("", "shopifysync-quickstart-")
		if err != nil {
			return err
		}
		cfg.db = filepath.Join(dir, "contacts.db")
	}
	db, err := sqlitefile.Open(cfg.db)
	if err != nil {
		return err
	}
	defer db.Close()
	store, err := migrated(ctx, db, cfg.db)
	if err != nil {
		return err
	}
	watched := &watchedStore{Store: store, out: out}
	out.textf("Contacts are kept in %s\n\n", cfg.db)

	options := []shopifysync.Option{
		shopifysync.WithHTTPClient(client),
		shopifysync.WithLeaseTTL(20 * time.Second), // a killed run can be resumed soon
	}
	if cfg.serve != "" {
		options = append(options, shopifysync.WithLogger(logger(stderr)))
	}
	if cfg.webhookURL != "" {
		options = append(options, shopifysync.WithWebhookURL(cfg.webhookURL))
	}
	syncer, err := shopifysync.New(watched, shopifysync.StaticConnections(shopifysync.Connection{
		ID: connectionID, Shop: cfg.shop, Credentials: cfg.credentials,
	}), append(options, phone.Options()...)...)
	if err != nil {
		return err
	}
	if cfg.serve == "" {
		if err := syncs(ctx, syncer, store, demo, out); err != nil {
			return err
		}
		return out.end()
	}

	service, err := listen(ctx, cfg.serve, mux)
	if err != nil {
		return err
	}
	service.start(mux, syncer)
	fmt.Fprintf(stderr, "serving at http://%s\n", service.listener.Addr())
	if err := syncs(ctx, syncer, store, demo, out); err != nil {
		stopped := service.stop()
		if ctx.Err() != nil { // it was told to stop
			return stopped
		}
		return errors.Join(err, stopped)
	}
	watched.on.Store(true)
	if err := out.end(); err != nil {
		return errors.Join(err, service.stop())
	}
	out.textf("\nEach contact that changes:\n")
	return serve(ctx, service, syncer, demo, cfg.every)
}

// syncs runs the first sync, and for the demonstration store a second one after
// some changes.
func syncs(ctx context.Context, syncer *shopifysync.Syncer, store *sqlstore.Store, demo *demoStore, out *output) error {
	if err := out.sync(ctx, syncer, "First sync"); err != nil {
		return err
	}
	if err := out.contacts(ctx, store, 3); err != nil {
		return err
	}
	if demo == nil {
		return nil
	}
	select { // Shopify's clock tells whole seconds: let the next look at a customer be a later one
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	changes, err := demo.change()
	if err != nil {
		return err
	}
	out.textf("\nIn the store: %s\n\n", changes)
	if err := out.sync(ctx, syncer, "Second sync"); err != nil {
		return err
	}
	return out.changed(ctx, store, demo.touched)
}

func migrated(ctx context.Context, db *sql.DB, file string) (*sqlstore.Store, error) {
	store, err := sqlstore.New(db, sqlstore.SQLite)
	if err == nil {
		err = store.Migrate(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	return store, nil
}

// jsonRun is one sync in the -json output.
type jsonRun struct {
	Seen      int64  `json:"seen"`
	Created   int64  `json:"created"`
	Updated   int64  `json:"updated"`
	Unchanged int64  `json:"unchanged"`
	Stale     int64  `json:"stale"`
	Skipped   int64  `json:"skipped"`
	Failed    int64  `json:"failed"`
	Removed   int64  `json:"removed"`
	Complete  bool   `json:"complete"`
	Resumed   bool   `json:"resumed"`
	Masked    string `json:"masked,omitempty"` // the fields that Shopify refused to show
}

func (o *output) end() error {
	if !o.json {
		return nil
	}
	return json.NewEncoder(o.stdout).Encode(map[string]any{"runs": o.runs})
}
