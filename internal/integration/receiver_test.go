package integration

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/shopifytest"
	"github.com/omnichat/shopifysync/sqlstore"
)

// The receiver test runs this test binary again as the process that receives
// webhooks and is killed; receiverEnv holds what that one needs.
const receiverEnv = "SHOPIFYSYNC_RECEIVER_CHILD"

// receiverKills says how often it is killed; default 20 in CI, else 5.
const receiverKills = "SHOPIFYSYNC_RECEIVER_KILLS"

const receiverSecret = "s3cret"

// runReceiver serves webhooks until it is killed.
func runReceiver(text string) error {
	var child crashChild
	if err := json.Unmarshal([]byte(text), &child); err != nil {
		return err
	}
	target, err := dbtest.Find(child.Target)
	if err != nil {
		return err
	}
	db, err := target.OpenAt(child.File)
	if err != nil {
		return err
	}
	store, err := sqlstore.New(db.DB, target.Dialect, sqlstore.WithTablePrefix(child.Prefix))
	if err != nil {
		return err
	}
	syncer, err := shopifysync.New(store, receiverConnections(),
		shopifysync.WithHTTPClient(&http.Client{Transport: toAddress(child.Address)}),
		shopifysync.WithLeaseTTL(time.Second),
		// Neither must repair what a lost mark broke.
		shopifysync.WithCatchUpEvery(24*time.Hour), shopifysync.WithFullEvery(24*time.Hour, 24*time.Hour),
		shopifysync.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))),
	)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/{connection}", syncer.WebhookHandler())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- (&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}).Serve(listener) }()
	go func() { ended <- syncer.Serve(context.Background()) }()
	go func() { // the test has gone
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- cmp.Or(err, io.EOF)
	}()
	fmt.Println(listener.Addr())
	return <-ended
}

func receiverConnections() shopifysync.ConnectionStore {
	return shopifysync.StaticConnections(shopifysync.Connection{
		ID: crashConnection, Shop: "demo.myshopify.com",
		Credentials: shopifysync.Credentials{
			AccessToken: shopifysync.NewSecret("t0ken"), ClientSecret: shopifysync.NewSecret(receiverSecret),
		},
	})
}

// TestKillReceiver kills the process that receives webhooks and drains, under
// load and at random moments. Whatever was acknowledged ends up right, by
// drains alone: no catch-up and no full run repairs it.
func TestKillReceiver(t *testing.T) {
	kills := 5
	if os.Getenv("CI") == "true" {
		kills = 20
	}
	if text := os.Getenv(receiverKills); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", receiverKills, err)
		}
		kills = n
	}
	target, err := dbtest.Find("postgres-pgx")
	if err != nil {
		t.Fatal(err)
	}
	db := target.Open(t)
	store := db.Store(t)
	fake := shopifytest.NewServer()
	defer fake.Close()
	shop := fake.AddStore(shopifytest.StoreConfig{
		Domain: "demo.myshopify.com", AccessToken: "t0ken", ClientSecret: receiverSecret, NoRedacted: true, Latency: 20 * time.Millisecond,
	})
	const perRound = 40
	shop.Generate((kills+1)*perRound, 5)
	server := httptest.NewServer(fake.Handler())
	defer server.Close()
	now := time.Now()
	if _, err := store.SaveConnectionState(t.Context(), shopifysync.SaveConnectionStateParams{State: shopifysync.ConnectionState{
		Connection: crashConnection, ConnectedAt: now, RunAt: now, TriedAt: now, CaughtUpAt: now, CaughtUpTo: now,
		Health: shopifysync.Health{State: shopifysync.HealthOK, CheckedAt: now},
	}}); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(crashChild{Target: target.Name, File: db.File, Prefix: db.Prefix, Address: strings.TrimPrefix(server.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	var ids []int64
	for c := range shop.All() {
		ids = append(ids, c.ID)
	}
	events := &eventLog{shop: shop, acknowledged: make(map[int64]bool)}
	for round := range kills {
		r := startReceiver(t, string(text))
		// Each round has customers of its own, so that a later event does not
		// hide that an earlier one was lost.
		stop := events.load(r.address, ids[round*perRound:(round+1)*perRound], random.Uint64())
		time.Sleep(time.Duration(50+random.IntN(700)) * time.Millisecond)
		r.kill()
		stop()
	}
	r := startReceiver(t, string(text))
	defer r.kill()
	deadline := time.Now().Add(time.Minute)
	wrong := events.wrong(t, store)
	for ; len(wrong) > 0 && time.Now().Before(deadline); wrong = events.wrong(t, store) {
		time.Sleep(200 * time.Millisecond)
	}
	if len(wrong) > 0 {
		t.Errorf("%d customers whose last event was acknowledged are not right, such as %v", len(wrong), wrong[:min(len(wrong), 5)])
	}
	right := 0
	for _, ok := range events.acknowledged {
		if ok {
			right++
		}
	}
	if events.count < kills*20 || right < kills*5 {
		t.Errorf("%d events were acknowledged, %d customers count: that is no load", events.count, right)
	}
	if fake.Count("CustomersPage")+fake.Count("ChangedCustomers") > 0 {
		t.Error("a run or a catch-up repaired what drains should bring")
	}
	t.Logf("%d kills, %d events acknowledged, %d not; %d customers whose last event was", kills, events.count, events.refused, right)
}

// An eventLog is what happened in the store, and what was acknowledged of it.
type eventLog struct {
	shop *shopifytest.Store

	mu             sync.Mutex
	acknowledged   map[int64]bool // was the customer's last event?
	count, refused int
}

// load changes customers and delivers webhooks to the address, from several
// goroutines, until stop is called. Each customer is one goroutine's.
func (l *eventLog) load(address string, ids []int64, seed uint64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	const senders = 8
	var wg sync.WaitGroup
	for i := range senders {
		own := ids[i*len(ids)/senders : (i+1)*len(ids)/senders]
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := own[random.IntN(len(own))]
				topic, err := l.happen(id, random.IntN(12), fmt.Sprint(i, "-", n))
				if err != nil {
					continue // it was deleted before
				}
				l.settle(id, l.deliver(client, address, topic, id) == nil)
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
		client.CloseIdleConnections()
	}
}

func (l *eventLog) happen(id int64, what int, note string) (topic string, err error) {
	switch what {
	case 0:
		return "customers/delete", l.shop.Delete(id)
	case 1, 2, 3:
		return "customer.tags_added", l.shop.AddTags(id, "tag-"+note)
	}
	return "customers/update", l.shop.Update(id, func(c *shopifytest.Customer) { c.Note = note })
}

func (l *eventLog) settle(id int64, acknowledged bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[id] = acknowledged
	if acknowledged {
		l.count++
	} else {
		l.refused++
	}
}

func (l *eventLog) deliver(client *http.Client, address, topic string, id int64) error {
	req, err := l.shop.Delivery(topic, id)
	if err != nil {
		return err
	}
	req.URL.Scheme, req.URL.Host, req.URL.Path, req.RequestURI = "http", address, "/webhooks/"+string(crashConnection), ""
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

// wrong returns the customers whose last event was acknowledged and whose
// contacts are not as they are.
func (l *eventLog) wrong(t *testing.T, store *sqlstore.Store) []int64 {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := shopifysync.ContactsParams{Connection: crashConnection}
	contacts := make(map[int64]shopifysync.Contact)
	read := func() {
		got, err := store.Contacts(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got.Contacts {
			contacts[int64(c.CustomerID)] = c
		}
		p.IDs = nil
	}
	for id, acknowledged := range l.acknowledged {
		if acknowledged {
			if p.IDs = append(p.IDs, shopifysync.CustomerID(id)); len(p.IDs) == 1000 {
				read()
			}
		}
	}
	read()
	var wrong []int64
	for id, acknowledged := range l.acknowledged {
		if !acknowledged {
			continue
		}
		customer, there := l.shop.Customer(id)
		contact, known := contacts[id]
		live := known && contact.Removed == ""
		if there != live || there && !isOf(contact, customer) {
			wrong = append(wrong, id)
		}
	}
	return wrong
}

// isOf reports whether a contact shows what the load changes of a customer.
func isOf(contact shopifysync.Contact, customer shopifytest.Customer) bool {
	note := ""
	for _, a := range contact.Attributes {
		if a.Key == shopifysync.AttrNote {
			note = a.Text
		}
	}
	have := make(map[string]bool)
	for _, tag := range contact.Tags {
		have[tag] = true
	}
	for _, tag := range customer.Tags {
		if !have[tag] {
			return false
		}
	}
	return note == customer.Note
}

// A receiver is the process that is killed.
type receiver struct {
	t       *testing.T
	cmd     *exec.Cmd
	stdin   io.Closer
	stderr  strings.Builder
	address string
}

func startReceiver(t *testing.T, child string) *receiver {
	t.Helper()
	r := &receiver{t: t, cmd: exec.Command(os.Args[0])}
	r.cmd.Env = append(os.Environ(), receiverEnv+"="+child)
	r.cmd.Stderr = &r.stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = r.cmd.Wait()
		t.Fatalf("the receiver did not start: %v %s", err, r.stderr.String())
	}
	r.address = strings.TrimSpace(line)
	return r
}

// kill sends SIGKILL. A receiver that ended before that failed.
func (r *receiver) kill() {
	r.t.Helper()
	_ = r.cmd.Process.Kill()
	var exit *exec.ExitError
	if err := r.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		r.t.Errorf("the receiver ended by itself: %v %s", err, r.stderr.String())
	}
	_ = r.stdin.Close()
}
