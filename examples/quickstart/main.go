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
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/sqlstore"
	_ "modernc.org/sqlite"
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
	keepDB      bool
	json        bool
	endpoint    string // host:port
}

func parse(args []string, getenv func(string) string) (config, error) {
	var c config
	var shop, endpoint string
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&shop, "shop", "", "`address` of a real store, such as my-shop.myshopify.com; default: a demonstration store")
	flags.IntVar(&c.customers, "customers", 10_000, "`number` of customers of the demonstration store")
	flags.StringVar(&c.db, "db", "", "SQLite `file`; default: a new one in the directory for temporary files")
	flags.BoolVar(&c.json, "json", false, "print one JSON object instead of text")
	flags.StringVar(&endpoint, "endpoint", "", "send every request to this loopback `address`, such as http://127.0.0.1:8080, whatever host it names")
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
	}
	c.keepDB = c.db != ""
	if !c.keepDB {
		c.db = filepath.Join(os.TempDir(), "shopifysync-quickstart.db")
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
	return c, nil
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	cfg, err := parse(args, getenv)
	if err != nil {
		return err
	}
	out := &output{json: cfg.json, stdout: stdout, stderr: stderr}
	var demo *demoStore
	client := &http.Client{}
	switch {
	case cfg.shop == "":
		demo = newDemoStore(cfg.customers)
		defer demo.close()
		cfg.shop, cfg.credentials, client = demo.shop, demo.credentials, demo.client()
		out.textf("A demonstration store of %d customers: %s\n", cfg.customers, cfg.shop)
	case cfg.endpoint != "":
		client.Transport = toEndpoint(cfg.endpoint)
	}

	store, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer store.db.Close()
	out.textf("Contacts are kept in %s\n\n", cfg.db)

	syncer, err := shopifysync.New(store, shopifysync.StaticConnections(shopifysync.Connection{
		ID: connectionID, Shop: cfg.shop, Credentials: cfg.credentials,
	}),
		shopifysync.WithHTTPClient(client),
		shopifysync.WithLeaseTTL(20*time.Second), // a killed run can be resumed soon
	)
	if err != nil {
		return err
	}

	if err := out.sync(ctx, syncer, "First sync"); err != nil {
		return err
	}
	if err := out.contacts(ctx, store.Store, 3); err != nil {
		return err
	}
	if demo != nil {
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
		if err := out.changed(ctx, store.Store, demo.touched); err != nil {
			return err
		}
	}
	return out.end()
}

// openedStore is the SQLite store with its database.
type openedStore struct {
	*sqlstore.Store
	db *sql.DB
}

func openStore(ctx context.Context, cfg config) (openedStore, error) {
	if !cfg.keepDB {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(cfg.db + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return openedStore{}, err
			}
		}
	}
	db, err := sql.Open("sqlite", "file:"+cfg.db+"?"+sqlstore.SQLitePragmas)
	if err != nil {
		return openedStore{}, err
	}
	store, err := sqlstore.New(db, sqlstore.SQLite)
	if err == nil {
		err = store.Migrate(ctx)
	}
	if err != nil {
		db.Close()
		return openedStore{}, fmt.Errorf("open %s: %w", cfg.db, err)
	}
	return openedStore{store, db}, nil
}

// jsonRun is one sync in the -json output.
type jsonRun struct {
	Seen      int64 `json:"seen"`
	Created   int64 `json:"created"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Stale     int64 `json:"stale"`
	Skipped   int64 `json:"skipped"`
	Failed    int64 `json:"failed"`
	Removed   int64 `json:"removed"`
	Complete  bool  `json:"complete"`
	Resumed   bool  `json:"resumed"`
}

func (o *output) end() error {
	if !o.json {
		return nil
	}
	return json.NewEncoder(o.stdout).Encode(map[string]any{"runs": o.runs})
}
