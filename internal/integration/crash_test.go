package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
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

// The crash test runs this test binary again as the process that is killed;
// crashEnv holds what that one needs.
const crashEnv = "SHOPIFYSYNC_CRASH_CHILD"

// crashKills says how often each database's process is killed; default 20.
const crashKills = "SHOPIFYSYNC_CRASH_KILLS"

// exitLeaseLost: the machine was too busy to renew a short lease in time. The
// process stopped writing, as it must; the next one goes on.
const exitLeaseLost = 3

const crashConnection = shopifysync.ConnectionID("crash")

// A crashChild is what the process that is killed needs to know.
type crashChild struct {
	Target  string // of dbtest
	File    string
	Prefix  string
	Address string // of the fake Shopify
}

func TestMain(m *testing.M) {
	if text := os.Getenv(crashEnv); text != "" {
		err := runCrashChild(text)
		if errors.Is(err, shopifysync.ErrLeaseLost) {
			os.Exit(exitLeaseLost)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	if text := os.Getenv(receiverEnv); text != "" {
		fmt.Fprintln(os.Stderr, "receiver:", runReceiver(text))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// runCrashChild syncs once and prints the report.
func runCrashChild(text string) error {
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
	syncer, err := crashSyncer(store, child.Address)
	if err != nil {
		return err
	}
	var begun sync.Once
	report, err := syncer.Sync(context.Background(), shopifysync.SyncParams{
		Connection: crashConnection,
		Wait:       time.Minute, // for the lease of the process killed before
		OnProgress: func(shopifysync.Progress) { begun.Do(func() { fmt.Println("syncing") }) },
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

func crashSyncer(store *sqlstore.Store, address string) (*shopifysync.Syncer, error) {
	return shopifysync.New(store, shopifysync.StaticConnections(shopifysync.Connection{
		ID: crashConnection, Shop: "demo.myshopify.com",
		Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret("t0ken")},
	}),
		shopifysync.WithHTTPClient(&http.Client{Transport: toAddress(address)}),
		shopifysync.WithLeaseTTL(time.Second),
		shopifysync.WithBulkThreshold(1000), shopifysync.WithBatchSize(200),
	)
}

// toAddress sends every request to one address in clear text.
type toAddress string

func (a toAddress) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context())
	sent.Host = req.URL.Host
	sent.URL.Scheme, sent.URL.Host = "http", string(a)
	return http.DefaultTransport.RoundTrip(sent)
}

// TestKill kills the syncing process at random moments. After each run that
// ends, the contacts are the customers; then the store changes.
func TestKill(t *testing.T) {
	kills := 20
	if text := os.Getenv(crashKills); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", crashKills, err)
		}
		kills = n
	}
	for _, name := range []string{"sqlite", "postgres-pgx", "mysql"} {
		t.Run(name, func(t *testing.T) {
			target, err := dbtest.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			kill(t, target, kills)
		})
	}
}

func kill(t *testing.T, target dbtest.Target, kills int) {
	db := target.Open(t)
	store, err := sqlstore.New(db.DB, target.Dialect, sqlstore.WithTablePrefix(db.Prefix))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fake := shopifytest.NewServer()
	defer fake.Close()
	shop := fake.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com", AccessToken: "t0ken", NoRedacted: true, BulkSpeed: 50_000, Latency: 20 * time.Millisecond})
	shop.Generate(10_000, 5)
	server := httptest.NewServer(fake.Handler())
	defer server.Close()
	file := db.File
	if file != "" {
		file = filepath.Clean(file)
	}
	text, err := json.Marshal(crashChild{Target: target.Name, File: file, Prefix: db.Prefix, Address: strings.TrimPrefix(server.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	killed, completed, resumed := 0, 0, 0
	change := func() {
		n := 0
		for c := range shop.All() {
			if n++; n > 400 {
				break
			}
			note := fmt.Sprintf("round %d", completed)
			if err := shop.Update(c.ID, func(c *shopifytest.Customer) { c.Note = note }); err != nil {
				t.Fatal(err)
			}
		}
		shop.Create(shopifytest.Customer{FirstName: "Late", Email: fmt.Sprintf("late%d@example.com", completed)})
	}
	for killed < kills {
		report, dead := crashRun(t, string(text), time.Duration(random.IntN(1500))*time.Millisecond)
		if dead {
			killed++
			continue
		}
		completed++
		if report.Resumed {
			resumed++
		}
		same(t, store, shop)
		change() // so that the next run has work to do
	}
	report, dead := crashRun(t, string(text), time.Hour)
	for tries := 1; dead && tries < 5; tries++ { // its lease was lost
		report, dead = crashRun(t, string(text), time.Hour)
	}
	if dead || !report.Complete {
		t.Errorf("the last run: killed %v, %+v", dead, report)
	}
	same(t, store, shop)
	t.Logf("%d kills, %d runs that ended meanwhile, %d of them resumed", killed, completed, resumed)
}

// crashRun starts a syncing process and kills it after a while; if it ends
// before, its report is returned.
func crashRun(t *testing.T, child string, after time.Duration) (report shopifysync.Report, killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+child)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		var exit *exec.ExitError
		if errors.As(cmd.Wait(), &exit) && exit.ExitCode() == exitLeaseLost {
			return report, true
		}
		t.Fatalf("the process did not start: %v %s", err, stderr.String())
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // SIGKILL
	rest, readErr := io.ReadAll(lines)
	timer.Stop()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && (exit.ExitCode() == -1 || exit.ExitCode() == exitLeaseLost) {
		return report, true
	}
	if err := errors.Join(err, readErr, json.Unmarshal(rest, &report)); err != nil {
		t.Fatalf("the process failed: %v %s", err, stderr.String())
	}
	return report, false
}

// same checks that the live contacts are exactly the store's customers.
func same(t *testing.T, store *sqlstore.Store, shop *shopifytest.Store) {
	t.Helper()
	want := make(map[shopifysync.CustomerID]shopifytest.Customer)
	for c := range shop.All() {
		want[shopifysync.CustomerID(c.ID)] = c
	}
	seen := 0
	for after := shopifysync.CustomerID(0); ; {
		page, err := store.ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: crashConnection, After: after, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.IDs) == 0 {
			break
		}
		got, err := store.Contacts(t.Context(), shopifysync.ContactsParams{Connection: crashConnection, IDs: page.IDs})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got.Contacts {
			seen++
			customer, ok := want[c.CustomerID]
			if !ok {
				t.Fatalf("contact %d is no customer", c.CustomerID)
			}
			note := ""
			for _, a := range c.Attributes {
				if a.Key == shopifysync.AttrNote {
					note = a.Text
				}
			}
			if c.Email != customer.Email || c.FirstName != customer.FirstName || note != customer.Note {
				t.Fatalf("contact %d is not as the customer", c.CustomerID)
			}
		}
		after = page.IDs[len(page.IDs)-1]
	}
	if seen != len(want) {
		t.Fatalf("%d contacts for %d customers", seen, len(want))
	}
}
