// Command fakeshopify serves a fake Shopify store on a loopback port, for
// programs in other processes.
//
//	go run ./shopifytest/fakeshopify -customers 100000 -shop demo.myshopify.com
//
// It prints one line of JSON with its address, the shop and the credentials,
// and runs until it is interrupted. It speaks plain HTTP and tells stores
// apart by the Host header, so the client must dial this address for every
// host: an http.Transport whose DialContext ignores the host, or a reverse
// proxy that ends TLS. Requests for bulk files come here too, with the Host
// storage.googleapis.com.
//
//	GET  /_fake/stats            how many requests came, by operation
//	POST /_fake/update?count=10  edits the newest customers, which sends webhooks
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
	"strconv"
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
	shop := flags.String("shop", "demo.myshopify.com", "`domain` of the store")
	token := flags.String("token", "shpat_test", "permanent access `token`")
	clientID := flags.String("client-id", "client-id", "API key")
	clientSecret := flags.String("client-secret", "client-secret", "API secret key: signs webhooks")
	seed := flags.Uint64("seed", 1, "`number` that decides what the customers are")
	bulkSpeed := flags.Int("bulk-speed", shopifytest.Unlimited, "objects per second of bulk operations; -1 for at once")
	redacted := flags.Bool("redacted", false, "some customers have a consent that was redacted")
	latency := flags.Duration("latency", 0, "delay of every answer of the Admin API")
	deliverTo := flags.String("deliver-to", "", "base `URL` that gets webhooks instead of the host they are subscribed for")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := listen(*address)
	if err != nil {
		return err
	}
	defer listener.Close()

	var opts []shopifytest.Option
	if *deliverTo != "" {
		base, err := url.Parse(*deliverTo)
		if err != nil {
			return fmt.Errorf("-deliver-to: %w", err)
		}
		opts = append(opts, shopifytest.WithWebhookClient(&http.Client{Transport: redirector{base}}))
	}
	fake := shopifytest.NewServer(opts...)
	defer fake.Close()
	store := fake.AddStore(shopifytest.StoreConfig{
		Domain: *shop, AccessToken: *token, ClientID: *clientID, ClientSecret: *clientSecret,
		BulkSpeed: *bulkSpeed, Latency: *latency, NoRedacted: !*redacted,
	})
	store.Generate(*customers, *seed)

	server := &http.Server{Handler: routes(fake, store), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	err = json.NewEncoder(out).Encode(banner{
		listener.Addr().String(), *shop, *token, *clientID, *clientSecret, store.Count(),
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

func routes(fake *shopifytest.Server, store *shopifytest.Store) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", fake.Handler())
	mux.HandleFunc("GET /_fake/stats", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"customers": store.Count(), "requests": fake.Counts()})
	})
	mux.HandleFunc("POST /_fake/update", func(w http.ResponseWriter, r *http.Request) {
		count, err := strconv.Atoi(r.FormValue("count"))
		if err != nil || count < 1 {
			http.Error(w, "count must be a positive number", http.StatusBadRequest)
			return
		}
		for _, c := range store.Newest(count) {
			if err := store.Update(c.ID, func(c *shopifytest.Customer) { c.Note = "edited " + time.Now().Format(time.RFC3339) }); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// redirector sends every request to another host, path and query kept.
type redirector struct{ base *url.URL }

// RoundTrip implements [http.RoundTripper].
func (t redirector) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r.Clone(r.Context())
	sent.Host = r.URL.Host
	sent.URL.Scheme, sent.URL.Host = t.base.Scheme, t.base.Host
	return http.DefaultTransport.RoundTrip(sent)
}
