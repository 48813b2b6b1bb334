// Command webhook measures how many webhooks a second are acknowledged with
// PostgreSQL as state store, beside two floors in the same run: a handler that
// only verifies, and one that verifies and makes one bare insert of what a mark
// holds. Sender, server and database share the machine; the ratios, measured in
// turns, are what counts.
//
//	SHOPIFYSYNC_POSTGRES_DSN=... go -C internal/integration run ./bench/webhook
//
// With -rate it sends webhooks at that rate instead, answered or not (an open
// loop), and prints how long answers took and whether every customer ended up
// marked:
//
//	go -C internal/integration run ./bench/webhook -rate 500 -for 10m
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/shopifytest"
	"github.com/omnichat/shopifysync/sqlstore"
)

var (
	webhooks    = flag.Int("n", 10_000, "webhooks in each measurement")
	senders     = flag.Int("senders", 64, "how many are under way at once")
	rounds      = flag.Int("rounds", 5, "how often each thing is measured")
	connections = flag.Int("connections", 1, "for how many connections")
	customers   = flag.Int64("customers", 1_000_000, "for how many customers of each, in turn")
	target      = flag.String("target", "postgres-pgx", "the database: postgres-pgx, postgres-pq, mysql or sqlite; floors are measured on PostgreSQL only")
	rate        = flag.Float64("rate", 0, "webhooks a second, in an open loop")
	length      = flag.Duration("for", 10*time.Second, "how long, with -rate")
)

const secret = "bench-secret"

func main() {
	log.SetFlags(0)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal("webhook: ", err)
	}
}

func run(ctx context.Context) (err error) {
	found, err := dbtest.Find(*target)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "webhook")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := found.OpenAt(dir + "/webhook.db")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.DropAll(), db.DB.Close()) }()
	b, err := newBench(ctx, db)
	if err != nil {
		return err
	}
	if *rate > 0 {
		return b.openLoop(ctx)
	}
	return b.compare(ctx)
}

// A bench has the product and the floors on one database.
type bench struct {
	db      *dbtest.Database
	product http.Handler
	next    atomic.Int64 // customers sent so far
}

func newBench(ctx context.Context, db *dbtest.Database) (*bench, error) {
	key, err := sqlstore.NewEncryptionKey("bench", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		return nil, err
	}
	store, err := sqlstore.New(db.DB, db.Dialect, sqlstore.WithTablePrefix(db.Prefix), sqlstore.WithEncryptionKeys(key))
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	for i := range *connections {
		c := shopifysync.Connection{
			ID: shopifysync.ConnectionID(connection(i)), Shop: "bench.myshopify.com",
			Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret("token"), ClientSecret: shopifysync.NewSecret(secret)},
		}
		if _, err := store.SaveConnection(ctx, shopifysync.SaveConnectionParams{Connection: c}); err != nil {
			return nil, err
		}
	}
	s, err := shopifysync.New(store, store)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/{connection}", s.WebhookHandler())
	return &bench{db: db, product: mux}, nil
}

func connection(i int) string { return fmt.Sprintf("tenant-%d", i) }

// verifies is the lower floor.
func verifies(then func(ctx context.Context, ev shopifysync.Event) error) http.Handler {
	secret := shopifysync.NewSecret(secret)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		ev, err := shopifysync.ParseWebhook(r.Header, body, secret)
		if err == nil && then != nil {
			err = then(r.Context(), ev)
		}
		if err != nil {
			log.Print(err)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}

// inserts makes one row of what a mark holds.
func (b *bench) inserts(ctx context.Context, ev shopifysync.Event) error {
	_, err := b.db.DB.ExecContext(ctx, "INSERT INTO "+b.floorTable()+
		" (connection_id, customer_id, generation, not_before, attempts, reason, floor, merged_into) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		connection(0), int64(ev.Customers[0]), int64(1), time.Now().UnixMilli(), int64(0), ev.Topic, ev.UpdatedAt.UnixMilli(), int64(0))
	return err
}

func (b *bench) floorTable() string { return b.db.Prefix + "floor" }

// compare measures the product and the floors in turns.
func (b *bench) compare(ctx context.Context) error {
	type subject struct {
		name    string
		handler http.Handler
		rates   []float64
	}
	subjects := []*subject{{name: "product", handler: b.product}}
	if b.db.Dialect == sqlstore.Postgres {
		_, err := b.db.DB.ExecContext(ctx, "CREATE TABLE "+b.floorTable()+
			" (id bigserial PRIMARY KEY, connection_id text NOT NULL, customer_id bigint NOT NULL, generation bigint NOT NULL, not_before bigint NOT NULL, attempts bigint NOT NULL, reason text NOT NULL, floor bigint NOT NULL, merged_into bigint NOT NULL)")
		if err != nil {
			return err
		}
		defer func() { _, _ = b.db.DB.Exec("DROP TABLE " + b.floorTable()) }()
		subjects = append(subjects, &subject{name: "verify and insert", handler: verifies(b.inserts)}, &subject{name: "verify", handler: verifies(nil)})
	}
	fmt.Printf("%d webhooks of %d bytes, %d at once, %d connections, %s\n", *webhooks, len(body(1)), *senders, *connections, b.db.Name)
	for round := range *rounds + 1 { // the first one warms up
		for _, s := range subjects {
			took, err := b.load(ctx, s.handler)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if round > 0 {
				s.rates = append(s.rates, float64(*webhooks)/took.Seconds())
			}
		}
	}
	for _, s := range subjects {
		fmt.Printf("  %-18s %8.0f/s", s.name, median(s.rates))
		if s != subjects[0] {
			ratios := make([]float64, len(s.rates))
			for i, r := range s.rates {
				ratios[i] = subjects[0].rates[i] / r
			}
			fmt.Printf("   the product has %.2f of its rate", median(ratios))
		}
		fmt.Println()
	}
	return nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// A server answers on the loopback.
func serve(h http.Handler) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	return "http://" + l.Addr().String() + "/webhooks/", func() { _ = srv.Close(); <-done }, nil
}

// body is a customers/update of today's size.
func body(customer int64) []byte {
	return fmt.Appendf(nil, `{"id":%d,"email":"ann@example.com","created_at":"2024-05-01T10:00:00+08:00","updated_at":"2026-05-01T10:00:00+08:00","first_name":"Ann","last_name":"Lee","state":"disabled","note":%q,"verified_email":true,"multipass_identifier":null,"tax_exempt":false,"phone":null,"currency":"TWD","addresses":[],"tax_exemptions":[],"admin_graphql_api_id":"gid://shopify/Customer/%[1]d"}`,
		customer, strings.Repeat("likes tea. ", 84))
}

// send sends one webhook.
func (b *bench) send(ctx context.Context, client *http.Client, address string) (int, error) {
	n := b.next.Add(1)
	payload := body(n%*customers + 1)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address+connection(int(n)%*connections), bytes.NewReader(payload))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Shopify-Topic", "customers/update")
	r.Header.Set("X-Shopify-Shop-Domain", "bench.myshopify.com")
	r.Header.Set("X-Shopify-Webhook-Id", "6f0a7c1e-0000-4000-8000-000000000000")
	r.Header.Set("X-Shopify-Triggered-At", "2026-05-01T02:00:00.000000Z")
	r.Header.Set("X-Shopify-Hmac-Sha256", shopifytest.Sign(secret, payload))
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// load sends the webhooks of one measurement, as fast as they are answered.
func (b *bench) load(ctx context.Context, h http.Handler) (time.Duration, error) {
	address, stop, err := serve(h)
	if err != nil {
		return 0, err
	}
	defer stop()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *senders}}
	defer client.CloseIdleConnections()
	var left atomic.Int64
	left.Store(int64(*webhooks))
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	began := time.Now()
	for range *senders {
		wg.Go(func() {
			for left.Add(-1) >= 0 && failed.Load() == nil {
				status, err := b.send(ctx, client, address)
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("status %d", status)
				}
				if err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return time.Since(began), nil
}

// openLoop sends at a rate whatever the answers are, at most 5,000 at once.
func (b *bench) openLoop(ctx context.Context) error {
	address, stop, err := serve(b.product)
	if err != nil {
		return err
	}
	defer stop()
	const most = 5000
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: most}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var took []time.Duration
	answers := map[string]int{}
	underWay := make(chan struct{}, most)
	var wg sync.WaitGroup
	began := time.Now()
	total := int(*rate * length.Seconds())
	for i := range total {
		due := began.Add(time.Duration(float64(i) / *rate * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return ctx.Err()
		}
		underWay <- struct{}{}
		wg.Go(func() {
			defer func() { <-underWay }()
			status, err := b.send(ctx, client, address)
			what := fmt.Sprint(status)
			if err != nil {
				what = "no answer"
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(due)) // from when it was due, so that a late sender hides nothing
			answers[what]++
		})
	}
	wg.Wait()
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[min(len(took)-1, int(share*float64(len(took))))].Round(100 * time.Microsecond)
	}
	var marked int64
	if err := b.db.DB.QueryRowContext(ctx, "SELECT count(*) FROM "+b.db.Prefix+"marks").Scan(&marked); err != nil {
		return err
	}
	want := min(int64(total), *customers)
	fmt.Printf("%d webhooks, %.0f a second for %v: answers %v, p50 %v, p99 %v, longest %v; %d customers marked, %d lost\n",
		total, *rate, *length, answers, at(0.5), at(0.99), at(1), marked, want-marked)
	if marked != want || len(answers) != 1 || answers["200"] != total {
		return errors.New("not every webhook was acknowledged and kept")
	}
	return nil
}
