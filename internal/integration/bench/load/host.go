package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/sqlstore"
)

const (
	webhookPath = "/webhooks/shopify/"
	timesPath   = "/times"
)

// beHost is the child: a host with the library. It prints its address and
// serves until its standard input ends.
func beHost(ctx context.Context, prefix, shopify string) error {
	db, err := openDatabase()
	if err != nil {
		return err
	}
	defer db.DB.Close()
	store, err := sqlstore.New(db.DB, db.Dialect, sqlstore.WithTablePrefix(prefix))
	if err != nil {
		return err
	}
	timed := &timedStore{Store: store}
	syncer, err := shopifysync.New(timed, shopifysync.StaticConnections(shopifysync.Connection{
		ID: connection, Shop: domain,
		Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret(token), ClientSecret: shopifysync.NewSecret(secret)},
	}),
		shopifysync.WithHTTPClient(&http.Client{Transport: toAddress(shopify)}),
		shopifysync.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))),
		shopifysync.WithCatchUpEvery(24*time.Hour),
	)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(webhookPath+"{connection}", syncer.WebhookHandler())
	mux.HandleFunc("GET "+timesPath, timed.serveTimes)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // the parent has gone, or wants an end
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var ended error
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			ended = err
			cancel()
		}
	})
	fmt.Println(listener.Addr())
	err = syncer.Serve(ctx)
	_ = server.Close()
	wg.Wait()
	return errors.Join(err, ended)
}

// A timedStore remembers how long each change took to become a contact.
type timedStore struct {
	*sqlstore.Store
	mu   sync.Mutex
	took []time.Duration
}

// UpsertContacts implements [shopifysync.ContactStore].
func (s *timedStore) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	result, err := s.Store.UpsertContacts(ctx, p)
	if err != nil {
		return result, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range result.Results {
		if r.Outcome != shopifysync.Created && r.Outcome != shopifysync.Updated {
			continue
		}
		if at, ok := changedAt(p.Contacts[i]); ok {
			s.took = append(s.took, time.Since(at))
		}
	}
	return result, nil
}

// times are the percentiles of what a timedStore saw since they were asked for
// last.
type times struct {
	Contacts       int
	P50, P99, Most time.Duration
}

func (s *timedStore) serveTimes(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	took := s.took
	s.took = nil
	s.mu.Unlock()
	slices.Sort(took)
	t := times{Contacts: len(took)}
	if len(took) > 0 {
		t.P50, t.P99, t.Most = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(t) // the parent has gone: it ends, too
}

// A host is the child process, seen from the parent.
type host struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	address string
	slow    error
}

func startHost(prefix, shopify string) (*host, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h := &host{cmd: exec.Command(program, "-child", prefix, "-endpoint", shopify)}
	h.cmd.Stderr = os.Stderr
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if h.stdin, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(errors.New("the host did not start"), h.stop())
	}
	h.address = strings.TrimSpace(line)
	return h, nil
}

// stop ends the child, which ends by itself once its standard input has.
func (h *host) stop() error {
	_ = h.stdin.Close()
	kill := time.AfterFunc(15*time.Second, func() { _ = h.cmd.Process.Kill() })
	defer kill.Stop()
	return h.cmd.Wait()
}

// report prints how long changes took to become contacts.
func (h *host) report(what string) error {
	answer, err := http.Get("http://" + h.address + timesPath)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var t times
	if err := json.NewDecoder(answer.Body).Decode(&t); err != nil {
		return err
	}
	fmt.Printf("%s: p50 %.2f s, p99 %.2f s, most %.2f s (%d writes)\n", what, t.P50.Seconds(), t.P99.Seconds(), t.Most.Seconds(), t.Contacts)
	if t.P50 > contactP50 || t.P99 > contactP99 {
		h.slow = fmt.Errorf("webhook to contact: p50 %v and p99 %v, wanted are %v and %v", t.P50, t.P99, contactP50, contactP99)
	}
	return nil
}

// late is an error if contacts came too late.
func (h *host) late() error { return h.slow }
