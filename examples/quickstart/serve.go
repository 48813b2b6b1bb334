package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
)

// stopWithin is how long requests under way may take when the program stops.
const stopWithin = 5 * time.Second

// A service is the HTTP server of -serve: webhooks come in, and whoever watches
// the program asks whether it lives.
type service struct {
	listener net.Listener
	server   *http.Server
	ended    chan error
}

// listen opens the port, so that a mistake in it shows before a long sync.
func listen(ctx context.Context, address string, mux *http.ServeMux) (*service, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-serve: %w", err)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return &service{
		listener: listener,
		server: &http.Server{
			Handler:           mux,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      10 * time.Second, // Shopify waits five
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    1 << 16,
		},
		ended: make(chan error, 1),
	}, nil
}

// start answers requests from now on.
func (s *service) start(mux *http.ServeMux, syncer *shopifysync.Syncer) {
	webhooks := syncer.WebhookHandler()
	mux.Handle("/webhooks/shopify/{connection}", webhooks)
	mux.Handle("/webhooks/shopify", webhooks)
	go func() { s.ended <- s.server.Serve(s.listener) }()
}

// stop lets requests under way end, and refuses new ones.
func (s *service) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		return errors.Join(err, s.server.Close())
	}
	if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serve keeps the contacts in step until ctx ends: by webhooks, and by what
// Serve does on its own. The demonstration store changes meanwhile.
func serve(ctx context.Context, s *service, syncer *shopifysync.Syncer, demo *demoStore, every time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	if demo != nil && every > 0 {
		work.Go(func() { demo.keepChanging(ctx, every) })
	}
	var served error
	work.Go(func() {
		served = syncer.Serve(ctx)
		cancel() // it ends early only if it could not begin
	})
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-s.ended: // the port broke
		s.ended <- http.ErrServerClosed
	}
	cancel()
	stopped := s.stop()
	work.Wait()
	return errors.Join(served, failed, stopped)
}

// logger shows what goes wrong while the program serves. No secret and nothing
// personal is ever logged.
func logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
