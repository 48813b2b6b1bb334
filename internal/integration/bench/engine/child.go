package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/shopifytest"
	"github.com/omnichat/shopifysync/sqlstore"
)

// beChild is what this program does as a child of itself.
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

	var contacts shopifysync.ContactStore = new(nothing)
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

// nothing is a contact store that takes everything and keeps nothing but the
// few tombstones: what is left is the library's own memory.
type nothing struct {
	mu         sync.Mutex
	tombstones map[shopifysync.CustomerID]shopifysync.Contact
}

func (*nothing) UpsertContacts(_ context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	results := make([]shopifysync.UpsertResult, len(p.Contacts))
	for i := range results {
		results[i].Outcome = shopifysync.Created
	}
	return shopifysync.UpsertContactsResult{Results: results}, nil
}

func (n *nothing) RemoveContacts(_ context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tombstones == nil {
		n.tombstones = make(map[shopifysync.CustomerID]shopifysync.Contact)
	}
	for _, r := range p.Removals {
		n.tombstones[r.CustomerID] = shopifysync.Contact{CustomerID: r.CustomerID, Removed: p.Reason}
	}
	return shopifysync.RemoveContactsResult{Outcomes: make([]shopifysync.Outcome, len(p.Removals))}, nil
}

func (n *nothing) Contacts(_ context.Context, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found shopifysync.ContactsResult
	for _, id := range p.IDs {
		if t, ok := n.tombstones[id]; ok {
			found.Contacts = append(found.Contacts, t)
		}
	}
	return found, nil
}

func (*nothing) ContactIDs(context.Context, shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
	return shopifysync.ContactIDsResult{}, nil
}
