// Command fakeshopify serves a fake Shopify store on a loopback port, for
// programs in other processes.
//
//	go run ./shopifytest/fakeshopify -customers 100000 -shop demo.myshopify.com -webhooks http://127.0.0.1:8080
//
// It prints one line of JSON with its address, the shop and the credentials,
// and runs until it is interrupted. It speaks plain HTTP and tells stores
// apart by the Host header, so the client must dial this address for every
// host: an http.Transport whose DialContext ignores the host, or a reverse
// proxy that ends TLS. Requests for bulk files come here too, with the Host
// storage.googleapis.com.
//
// Webhooks go to the address given by -webhooks: of the address that they are
// subscribed for, the path and the query are kept, and the host is their Host
// header. Without -webhooks none is sent.
//
// # Control
//
// Under /_fake/ other processes change the store, as a merchant would, and ask
// how it is. Parameters are a form or a query; answers are JSON. What is wrong
// is answered with 400 and the reason.
//
//	GET  /_fake/stats                      customers, subscriptions, edits, requests by operation, webhooks
//	GET  /_fake/customers?after=ID&limit=N the customers in the order of their ids, one a line, by default all
//	GET  /_fake/customer?id=ID             one; 404 when there is none
//	POST /_fake/create?count=N&FIELD=...   makes customers (default 1); answers with their ids
//	POST /_fake/update?id=ID&FIELD=...     edits customers: those of each id given,
//	POST /_fake/update?count=N&FIELD=...   the newest,
//	POST /_fake/update?random=N&FIELD=...  or some; without fields the note becomes "edit" and a number
//	POST /_fake/tag?id=ID&add=TAG&remove=TAG
//	POST /_fake/order?id=ID&spent=12.5     one more order; spent is the new total
//	POST /_fake/delete?id=ID
//	POST /_fake/merge?kept=ID&gone=ID&status=failed
//	                                       merges; with a status it only tells of a merge in that status
//	POST /_fake/redact?id=ID               Shopify's erasure of a person, and customers/redact
//	POST /_fake/notify?topic=TOPIC&id=ID   sends a webhook without a change
//	POST /_fake/changes?rate=N             random edits per second from now on; see -changes
//	POST /_fake/webhooks?lost=PERCENT&copies=N&shuffle=DURATION
//	                                       what happens to webhooks from now on; without parameters nothing does
//	POST /_fake/drop-subscriptions         they are gone behind the app's back
//	POST /_fake/state?state=open|frozen|locked|uninstalled|reinstalled
//	                                       uninstalled ends the token; reinstalled answers with a new one
//	POST /_fake/configure?scopes=A,B&versions=A,B&access=A&latency=D&index-lag=D&read-lag=D&secret=S
//
// FIELD is one of first_name, last_name, email, phone, note, state, and
// email_consent, sms_consent, whatsapp_consent with a consent state such as
// SUBSCRIBED. Customers are written as Go's shopifytest.Customer.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/omnichat/shopifysync/shopifytest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "fakeshopify:", err)
		os.Exit(1)
	}
}

// banner is the line that the command prints when it is ready.
type banner struct {
	Address      string `json:"address"` // host:port
	Shop         string `json:"shop"`
	Token        string `json:"token"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Customers    int    `json:"customers"`
}

func run(ctx context.Context, args []string, out, usage io.Writer) error {
	flags := flag.NewFlagSet("fakeshopify", flag.ContinueOnError)
	flags.SetOutput(usage)
	address := flags.String("addr", "127.0.0.1:0", "loopback `address` to listen on")
	customers := flags.Int("customers", 1000, "`number` of generated customers")
	seed := flags.Uint64("seed", 1, "`number` that decides what the customers and the edits are")
	webhooks := flags.String("webhooks", "", "loopback `URL` that gets the webhooks, such as http://127.0.0.1:8080")
	changes := flags.Float64("changes", 0, "random edits per second, a `number`")
	redacted := flags.Bool("redacted", false, "some customers have a consent that was redacted")
	cfg := shopifytest.StoreConfig{}
	flags.StringVar(&cfg.Domain, "shop", "demo.myshopify.com", "`domain` of the store")
	flags.StringVar(&cfg.AccessToken, "token", "shpat_test", "permanent access `token`")
	flags.StringVar(&cfg.ClientID, "client-id", "client-id", "API key")
	flags.StringVar(&cfg.ClientSecret, "client-secret", "client-secret", "API secret key: signs webhooks")
	flags.IntVar(&cfg.BulkSpeed, "bulk-speed", shopifytest.Unlimited, "objects per second of bulk operations; -1 for at once")
	flags.DurationVar(&cfg.Latency, "latency", 0, "delay of every answer of the Admin API")
	flags.DurationVar(&cfg.IndexLag, "index-lag", 0, "how long the search index is behind")
	flags.DurationVar(&cfg.ReadLag, "read-lag", 0, "how long reads by id are behind")
	flags.StringVar(&cfg.AppWebhookURL, "app-webhook-url", "", "`URL` that the app's own configuration subscribed for the privacy topics")
	flags.Func("versions", "served API versions, comma-separated, oldest first (default the four of 2026)", func(s string) error { return setVersions(&cfg, s) })
	flags.Func("access", "access to personal data: full (the default), level1 or none", func(s string) error { return setAccess(&cfg, s) })
	flags.Func("plan", "plan, which decides the rate limit: basic (the default), advanced, plus or enterprise", func(s string) error { return setPlan(&cfg, s) })
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg.NoRedacted = !*redacted
	listener, err := listen(*address)
	if err != nil {
		return err
	}
	defer listener.Close()

	var opts []shopifytest.Option
	if *webhooks != "" {
		client, err := redirect(*webhooks)
		if err != nil {
			return err
		}
		opts = append(opts, shopifytest.WithWebhookClient(client))
	}
	fake := shopifytest.NewServer(opts...)
	defer fake.Close()
	store := fake.AddStore(cfg)
	store.Generate(*customers, *seed)

	c := newControl(fake, store, *seed)
	c.setRate(*changes)
	ctx, stop := context.WithCancel(ctx)
	editing := make(chan struct{})
	go func() {
		defer close(editing)
		c.edits(ctx)
	}()
	defer func() { stop(); <-editing }()

	server := &http.Server{Handler: c.routes(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	err = json.NewEncoder(out).Encode(banner{
		listener.Addr().String(), cfg.Domain, cfg.AccessToken, cfg.ClientID, cfg.ClientSecret, store.Count(),
	})
	if err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return server.Close()
}

// listen refuses addresses that other machines can reach: the fake has no
// secrets to protect, and none should be sent to it.
func listen(address string) (net.Listener, error) {
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-addr: %w", err)
	}
	if tcp.IP == nil || !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("-addr: %s is not a loopback address; use 127.0.0.1 or [::1]", address)
	}
	return net.ListenTCP("tcp", tcp)
}

// redirect makes a client that sends every request to base instead, path,
// query and Host kept. It refuses addresses of other machines: webhooks have
// made-up people in them, and real receivers expect real ones.
func redirect(base string) (*http.Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("-webhooks: %w", err)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "http" || ip == nil || !ip.IsLoopback() || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("-webhooks: %s is not the root of a loopback address; use http://127.0.0.1:PORT", base)
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext, // as long as Shopify waits
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     time.Minute,
	}
	return &http.Client{Transport: redirector{u.Host, transport}}, nil
}

type redirector struct {
	host string
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t redirector) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r.Clone(r.Context())
	sent.Host = r.URL.Host
	sent.URL.Scheme, sent.URL.Host = "http", t.host
	return t.next.RoundTrip(sent)
}

func setVersions(cfg *shopifytest.StoreConfig, list string) error {
	versions := strings.Split(list, ",")
	for _, v := range versions {
		if !slices.Contains(shopifytest.Versions(), v) {
			return fmt.Errorf("%q is not one of %s", v, strings.Join(shopifytest.Versions(), " "))
		}
	}
	if !slices.IsSorted(versions) {
		return errors.New("the oldest version comes first")
	}
	cfg.APIVersions = versions
	return nil
}

func setAccess(cfg *shopifytest.StoreConfig, name string) error {
	levels := map[string]shopifytest.CustomerAccess{
		"full": shopifytest.FullAccess, "level1": shopifytest.NoPersonalData, "none": shopifytest.NoCustomerData,
	}
	level, ok := levels[name]
	if !ok {
		return fmt.Errorf("%q is none of full, level1, none", name)
	}
	cfg.Access = level
	return nil
}

// setPlan sets the rate limits of a plan: points per second as Shopify
// documents them, the bucket 20 times as large.
// https://shopify.dev/docs/api/usage/limits
func setPlan(cfg *shopifytest.StoreConfig, name string) error {
	plans := map[string]struct {
		name string
		rate float64
	}{"basic": {"Basic", 100}, "advanced": {"Advanced", 200}, "plus": {"Shopify Plus", 1000}, "enterprise": {"Enterprise", 2000}}
	plan, ok := plans[name]
	if !ok {
		return fmt.Errorf("%q is none of basic, advanced, plus, enterprise", name)
	}
	cfg.Plan, cfg.RestoreRate, cfg.BucketSize = plan.name, plan.rate, 20*plan.rate
	cfg.Plus = plan.rate >= 1000
	return nil
}
