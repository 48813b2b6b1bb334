// Console is the merchant's Shopify page as a small web application on
// loopback, built on the library and SQLite only: connect a store, sync it,
// watch it, look at its contacts, chat with a member, disconnect.
//
// Without arguments it works on demonstration stores, a fake Shopify in this
// process, whose own side can be changed by clicking too:
//
//	go run ./examples/console
//
// With -real it connects real stores; -public gives the https address to which
// Shopify is to send webhooks, and -webhooks the loopback address that it leads
// to, where nothing but webhooks is answered.
//
// How to read it: this file wires the library into a service. web.go holds the
// routes; page_*.go the handlers, each beside its template of the same name;
// jobs.go runs syncs behind the pages, and runs.go knows all that go on;
// agentdata.go is what the host itself
// keeps of a person; text_*.go are the two languages.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/examples/phone"
	"github.com/omnichat/shopifysync/examples/sqlitefile"
	"github.com/omnichat/shopifysync/sqlstore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "console:", usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "console:", err)
		os.Exit(1)
	}
}

// A usageError is wrong input: one line, exit status 2.
type usageError string

func (e usageError) Error() string { return string(e) }

// config is what the command line says.
type config struct {
	addr   string
	db     string
	real   bool
	public *url.URL // nil: Shopify cannot reach this console
	hooks  string   // with public: the loopback address for webhooks
	demo   demoConfig
}

func parse(args []string) (config, error) {
	c := config{demo: demoConfig{slow: true}}
	var public string
	flags := flag.NewFlagSet("console", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8080", "loopback `address` to listen on")
	flags.StringVar(&c.db, "db", "", "SQLite `file`; its key is kept beside it; default: with -real one in the user's configuration directory, else one that lives as long as the program")
	flags.BoolVar(&c.real, "real", false, "connect real stores instead of demonstration stores")
	flags.StringVar(&public, "public", "", "https `address` that leads to -webhooks from outside; only with -real")
	flags.StringVar(&c.hooks, "webhooks", "", "loopback `address` that answers webhooks alone, for -public to lead to")
	flags.IntVar(&c.demo.customers, "customers", 10_000, "`number` of customers of the demonstration store")
	flags.IntVar(&c.demo.many, "many", 1_000_000, "`number` of customers of the big demonstration store")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(os.Stderr)
		flags.Usage()
		return c, usageError("see above")
	case err != nil:
		return c, usageError(err.Error() + " (-h lists the flags)")
	case flags.NArg() > 0:
		return c, usageError(fmt.Sprintf("unexpected argument %q (-h lists the flags)", flags.Arg(0)))
	case c.demo.customers < 0 || c.demo.many < 0 || c.demo.customers > 10_000_000 || c.demo.many > 10_000_000:
		return c, usageError("-customers and -many must be 0 to 10000000")
	case !loopback(c.addr):
		return c, usageError("-addr must be a loopback address such as 127.0.0.1:8080: the console has no login")
	}
	if (public == "") != (c.hooks == "") {
		return c, usageError("-public and -webhooks belong together: the console has no login, so only webhooks may be reached from outside")
	}
	if c.hooks != "" && (!loopback(c.hooks) || c.hooks == c.addr) {
		return c, usageError("-webhooks must be another loopback address than -addr, such as 127.0.0.1:8081")
	}
	if public != "" {
		u, err := url.Parse(public)
		if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || !c.real {
			return c, usageError("-public must be of the form https://console.example.com, beside -real")
		}
		c.public = u
	}
	return c, nil
}

// loopback reports whether only this machine can reach the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// run serves the console until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parse(args)
	if err != nil {
		return err
	}
	if cfg.db == "" {
		if cfg.real {
			cfg.db, err = realDB()
		} else {
			// Demonstration stores begin anew with the program, and contacts
			// that are newer than they would never follow.
			var dir string
			if dir, err = os.MkdirTemp("", "shopifysync-console-"); err == nil {
				defer os.RemoveAll(dir)
				cfg.db = filepath.Join(dir, "demo.db")
			}
		}
		if err != nil {
			return err
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	var hooks net.Listener
	if cfg.hooks != "" {
		if hooks, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.hooks); err != nil {
			return err
		}
		defer hooks.Close()
	}
	c, err := newConsole(ctx, cfg, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	defer c.close()
	fmt.Fprintf(stdout, "The console is at http://%s/\nData are kept in %s\nInterrupt (Ctrl+C) to stop.\n", listener.Addr(), cfg.db)
	if hooks != nil {
		fmt.Fprintf(stdout, "Webhooks are answered at http://%s%s\n", hooks.Addr(), webhookPath)
	}
	return c.serve(ctx, listener, hooks)
}

func realDB() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", usageError("there is no configuration directory to keep data in: give a file by -db")
	}
	dir = filepath.Join(dir, "shopifysync-console")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(dir, "console.db"), nil
}

// A console is the application.
type console struct {
	log    *slog.Logger
	db     *sql.DB
	store  *sqlstore.Store
	agents *agentData
	syncer *shopifysync.Syncer
	jobs   *jobs
	demo   *demo // nil with -real
	pages  map[string]*view
	typed  typedSecrets
	signal *changes // told of everything that a page may show
	runs   *runs

	streams    context.Context // of the pages that listen for changes
	endStreams context.CancelFunc
}

// newConsole wires the library: a store, its keys, a Syncer with its options.
func newConsole(ctx context.Context, cfg config, log *slog.Logger) (_ *console, err error) {
	c := &console{log: log, signal: newChanges()}
	c.streams, c.endStreams = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			c.close()
		}
	}()

	// The store: contacts, state and connections in one SQLite file, the
	// connections' secrets encrypted with a key that is kept outside of it.
	key, err := encryptionKey(cfg.db + ".key")
	if err != nil {
		return nil, err
	}
	if c.db, err = sqlitefile.Open(cfg.db); err != nil {
		return nil, err
	}
	if c.store, err = sqlstore.New(c.db, sqlstore.SQLite, sqlstore.WithEncryptionKeys(key)); err != nil {
		return nil, err
	}
	if err := c.store.Migrate(ctx); err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.db, err)
	}
	if c.agents, err = newAgentData(ctx, c.db); err != nil {
		return nil, err
	}

	// The Syncer: one for the whole process.
	changed := c.signal.tell
	c.runs = newRuns(changed)
	opts := []shopifysync.Option{
		shopifysync.WithLogger(log),
		shopifysync.WithMapper(mapper()),
		shopifysync.WithPrivacyHandler(c.agents.privacy()),
		shopifysync.WithHooks(shopifysync.Hooks{
			SyncStart:  c.runs.begin,
			SyncEnd:    c.runs.end,
			WebhookEnd: func(context.Context, shopifysync.WebhookEndInfo) { changed() },
			DrainEnd:   func(context.Context, shopifysync.DrainEndInfo) { changed() },
			CatchUpEnd: func(context.Context, shopifysync.CatchUpEndInfo) { changed() },
		}),
	}
	opts = append(opts, phone.Options()...) // national formats, and which numbers are mobile phones
	switch {
	case !cfg.real:
		c.demo = newDemo(cfg.demo, changed)
		opts = append(opts, shopifysync.WithHTTPClient(c.demo.server.Client()), shopifysync.WithWebhookURL(demoWebhookURL))
	case cfg.public != nil:
		opts = append(opts, shopifysync.WithWebhookURL(cfg.public.JoinPath(webhookPath).String()+"/{connection}"))
	}
	if c.syncer, err = shopifysync.New(c.store, c.store, opts...); err != nil {
		return nil, err
	}
	if c.demo != nil {
		c.demo.deliverTo(c.webhooks())
	}
	if c.pages, err = parsePages(); err != nil {
		return nil, err
	}
	c.jobs = newJobs(c.syncer, changed, log)
	return c, nil
}

// serve answers until ctx ends, with the library's engine beside it, and
// returns when all have stopped. Of hooks, which may be nil, it answers webhooks
// alone.
func (c *console) serve(ctx context.Context, listener, hooks net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := serverFor(c.handler())
	server.RegisterOnShutdown(c.endStreams) // other requests have until Shutdown gives up
	servers := map[*http.Server]net.Listener{server: listener}
	if hooks != nil {
		servers[serverFor(headers(c.webhooks()))] = hooks
	}
	var wg sync.WaitGroup
	failed := make(chan error, len(servers)+1)
	for server, listener := range servers {
		wg.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	wg.Go(func() {
		// Drains, catch-ups, daily runs, subscription checks.
		if err := c.syncer.Serve(ctx); err != nil && ctx.Err() == nil {
			failed <- err
		}
	})
	if c.demo != nil {
		wg.Go(func() { c.recheck(ctx) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	for server := range servers {
		if shutErr := server.Shutdown(last); err == nil {
			err = shutErr
		}
	}
	c.jobs.close()
	wg.Wait()
	return err
}

func serverFor(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       90 * time.Second, // Connect and Disconnect ask Shopify meanwhile
		WriteTimeout:      90 * time.Second, // streams set their own
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
}

// recheck checks every connection once. Demonstration stores begin anew with
// the process, and know nothing of subscriptions that were made before; real
// ones need no more than the hourly check of Serve.
func (c *console) recheck(ctx context.Context) {
	listed, err := c.store.ListConnections(ctx, shopifysync.ListConnectionsParams{Limit: maxStores})
	if err != nil {
		return // the pages tell of it
	}
	for _, conn := range listed.Connections {
		if _, err := c.syncer.Check(ctx, conn.ID); err != nil {
			c.log.Info("a demonstration store is not as it was left", "connection", string(conn.ID), "error", err)
		}
	}
}

// close releases what newConsole made. Running syncs are cancelled, and go on
// when they are started again.
func (c *console) close() {
	c.endStreams()
	if c.jobs != nil {
		c.jobs.close()
	}
	if c.demo != nil {
		c.demo.server.Close()
	}
	if c.db != nil {
		c.db.Close()
	}
}
