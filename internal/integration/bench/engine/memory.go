package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/shopifytest"
	"github.com/omnichat/shopifysync/sqlstore"
)

// The children of this process. Both are measured apart, so that a syncing
// process's memory is its own.
const (
	childShopify  = "shopify"       // the fake Shopify on a loopback port
	childNothing  = "sync-nothing"  // syncs into a store that keeps nothing
	childSQLite   = "sync-sqlite"   // into a SQLite file
	childPostgres = "sync-postgres" // into the server that dbtest.PostgresDSN names
)

// peaks are the most that a syncing process held, in bytes.
type peaks struct{ resident, live int64 }

// measureMemory compares the peak memory of a process that syncs 100,000
// customers with that of one that syncs 1,000,000.
func measureMemory(ctx context.Context) error {
	sizes := []int{100_000}
	if *full {
		sizes = append(sizes, 1_000_000)
	}
	fmt.Printf("Peak memory of a process that does one full run, MiB (median of %d)\n", *rounds)
	fmt.Printf("  %-18s %10s  %10s  %12s\n", "into", "customers", "resident", "live heap")
	kinds := []string{childNothing, childSQLite}
	if os.Getenv(dbtest.PostgresDSN) != "" {
		kinds = append(kinds, childPostgres)
	}
	for _, kind := range kinds {
		var first peaks
		for i, n := range sizes {
			got, err := measurePeaks(ctx, kind, n)
			if err != nil {
				return err
			}
			difference := ""
			if i == 0 {
				first = got
			} else {
				difference = fmt.Sprintf("  %+.1f resident, %+.1f live", mib(got.resident-first.resident), mib(got.live-first.live))
			}
			fmt.Printf("  %-18s %10d  %10.1f  %12.1f%s\n", strings.TrimPrefix(kind, "sync-"), n, mib(got.resident), mib(got.live), difference)
		}
	}
	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// measurePeaks has children do the run and returns the median of their peaks.
func measurePeaks(ctx context.Context, kind string, customers int) (peaks, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shopify, err := startChild(ctx, childShopify, "-customers", strconv.Itoa(customers))
	if err != nil {
		return peaks{}, err
	}
	defer shopify.end()
	address, err := shopify.line()
	if err != nil {
		return peaks{}, err
	}
	var resident, live []int64
	for range *rounds {
		syncing, err := startChild(ctx, kind, "-customers", strconv.Itoa(customers), "-endpoint", address)
		if err != nil {
			return peaks{}, err
		}
		var p peaks
		said, err := syncing.line()
		if err == nil {
			_, err = fmt.Sscan(said, &p.resident, &p.live)
		}
		if err := errors.Join(err, syncing.command.Wait()); err != nil {
			return peaks{}, err
		}
		resident, live = append(resident, p.resident), append(live, p.live)
	}
	return peaks{median(resident), median(live)}, nil
}

// A childProcess is this program once more.
type childProcess struct {
	command *exec.Cmd
	output  *bufio.Reader
}

func startChild(ctx context.Context, kind string, args ...string) (*childProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &childProcess{command: exec.CommandContext(ctx, self, append([]string{"-child", kind}, args...)...)}
	c.command.Stderr = os.Stderr
	pipe, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.output = bufio.NewReader(pipe)
	return c, c.command.Start()
}

func (c *childProcess) line() (string, error) {
	line, err := c.output.ReadString('\n')
	return strings.TrimSpace(line), err
}

func (c *childProcess) end() {
	_ = c.command.Process.Kill()
	_ = c.command.Wait()
}

func beChild(ctx context.Context, kind string) error {
	switch kind {
	case childShopify:
		return serveShopify(ctx)
	case childNothing, childSQLite, childPostgres:
		return syncOnce(ctx, kind)
	}
	return fmt.Errorf("-child: there is no %q", kind)
}

// serveShopify prints its address and serves until it is killed.
func serveShopify(ctx context.Context) error {
	server := shopifytest.NewServer()
	defer server.Close()
	store := openShop(server, *customers)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return (&http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == newRunPath {
				slowPages(store)
				return
			}
			server.Handler().ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: time.Minute,
	}).Serve(listener)
}

// newRunPath is where a syncing process announces its run; see [slowPages].
const newRunPath = "/new-run"

// syncOnce does one full run and prints the peaks of this process.
func syncOnce(ctx context.Context, kind string) error {
	client := &http.Client{Transport: toEndpoint(*endpoint)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+*endpoint+newRunPath, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()

	var contacts shopifysync.ContactStore = nothing{}
	if kind != childNothing {
		s, drop, err := openStore(ctx, map[string]string{childSQLite: "sqlite", childPostgres: "postgres-pgx"}[kind])
		if err != nil {
			return err
		}
		defer drop()
		contacts = s
	}
	syncer, err := shopifysync.New(contacts, shopifysync.StaticConnections(connection()),
		shopifysync.WithHTTPClient(client), shopifysync.WithBulkThreshold(1))
	if err != nil {
		return err
	}
	var live int64
	report, err := syncer.Sync(ctx, shopifysync.SyncParams{Connection: connectionID, OnProgress: func(shopifysync.Progress) {
		live = max(live, liveHeap())
	}})
	if err != nil {
		return err
	}
	if !report.Complete || report.Seen != int64(*customers) {
		return fmt.Errorf("the run was not a complete one: %+v", *report)
	}
	resident, err := peakResident()
	if err != nil {
		return err
	}
	fmt.Println(resident, live)
	return nil
}

// openStore opens new tables in a database; drop removes them.
func openStore(ctx context.Context, target string) (s *sqlstore.Store, drop func(), err error) {
	t, err := dbtest.Find(target)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		return nil, nil, err
	}
	db, err := t.OpenAt(filepath.Join(dir, "contacts.db"))
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	drop = func() {
		if err := errors.Join(db.DropAll(), db.DB.Close(), os.RemoveAll(dir)); err != nil {
			log.Print("engine: drop the tables: ", err)
		}
	}
	s, err = sqlstore.New(db.DB, db.Dialect, sqlstore.WithTablePrefix(db.Prefix))
	if err == nil {
		err = s.Migrate(ctx)
	}
	if err != nil {
		drop()
		return nil, nil, err
	}
	return s, drop, nil
}

// toEndpoint sends every request to one address in clear text; the Host header
// still tells stores and files apart.
type toEndpoint string

func (address toEndpoint) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context())
	if sent.Host == "" {
		sent.Host = req.URL.Host
	}
	sent.URL.Scheme, sent.URL.Host = "http", string(address)
	return http.DefaultTransport.RoundTrip(sent)
}

// liveHeap is what the last collection found in use.
func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// peakResident is the most memory that this process had (Linux).
func peakResident() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes * 1024, err
		}
	}
	return 0, errors.New("/proc/self/status tells no VmHWM")
}

// nothing is a contact store that takes everything and keeps nothing: what is
// left is the library's own memory.
type nothing struct{}

func (nothing) UpsertContacts(_ context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	results := make([]shopifysync.UpsertResult, len(p.Contacts))
	for i := range results {
		results[i].Outcome = shopifysync.Created
	}
	return shopifysync.UpsertContactsResult{Results: results}, nil
}

func (nothing) RemoveContacts(_ context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	return shopifysync.RemoveContactsResult{Outcomes: make([]shopifysync.Outcome, len(p.Removals))}, nil
}

func (nothing) Contacts(context.Context, shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
	return shopifysync.ContactsResult{}, nil
}

func (nothing) ContactIDs(context.Context, shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
	return shopifysync.ContactIDsResult{}, nil
}
