package shopifysync_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// While it is not known that personal data is shown, the first page of a run
// that has customers decides: a run without names, e-mails and phone numbers ends
// before anything is written. Once it is known, what is refused stays as stored.
func TestSyncDecidesPersonalData(t *testing.T) {
	refuse := func(w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoPersonalData })
	}
	show := func(w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.FullAccess })
	}
	come := func(w *world) { w.shop.Generate(600, 7) }
	personal := shopifysync.FieldName | shopifysync.FieldEmail | shopifysync.FieldPhone
	tests := map[string]struct {
		opts   []shopifysync.Option
		before func(w *world, s *shopifysync.Syncer)
		params shopifysync.SyncParams
		want   error
		data   shopifysync.DataAccess
		stored int
	}{
		"connected while it was empty, refused": {before: func(w *world, s *shopifysync.Syncer) {
			refuse(w)
			w.connect(s)
			come(w)
		}, want: shopifysync.ErrProtectedData, data: shopifysync.DataRefused},
		"connected while it was empty, shown": {before: func(w *world, s *shopifysync.Syncer) {
			w.connect(s)
			come(w)
		}, data: shopifysync.DataReadable, stored: 600},
		"still empty": {before: func(w *world, s *shopifysync.Syncer) {
			refuse(w)
			w.connect(s)
		}, data: shopifysync.DataUnknown},
		"never connected, refused": {before: func(w *world, s *shopifysync.Syncer) {
			refuse(w)
			come(w)
		}, want: shopifysync.ErrProtectedData, data: shopifysync.DataRefused},
		"a dry run, refused": {before: func(w *world, s *shopifysync.Syncer) {
			refuse(w)
			come(w)
		}, params: shopifysync.SyncParams{DryRun: true}, want: shopifysync.ErrProtectedData, data: shopifysync.DataUnknown},
		"never connected, shown": {before: func(w *world, s *shopifysync.Syncer) { come(w) }, data: shopifysync.DataReadable, stored: 600},
		"all of it is left out": {opts: []shopifysync.Option{shopifysync.WithoutFields(personal)}, before: func(w *world, s *shopifysync.Syncer) {
			refuse(w)
			come(w)
		}, data: shopifysync.DataReadable, stored: 600},
		"two are left out, the third refused": {opts: []shopifysync.Option{shopifysync.WithoutFields(personal &^ shopifysync.FieldEmail)}, before: func(w *world, s *shopifysync.Syncer) {
			refuse(w)
			come(w)
		}, want: shopifysync.ErrProtectedData, data: shopifysync.DataRefused},
		"only the name is shown": {before: func(w *world, s *shopifysync.Syncer) {
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.DeniedFields = []string{"email", "phone"} })
			come(w)
		}, data: shopifysync.DataReadable, stored: 600},
		"shown, then refused": {before: func(w *world, s *shopifysync.Syncer) {
			come(w)
			w.connect(s)
			refuse(w)
		}, data: shopifysync.DataReadable, stored: 600},
		"refused, then refused": {before: func(w *world, s *shopifysync.Syncer) {
			come(w)
			w.connect(s)
			refuse(w)
			if _, err := s.Check(w.t.Context(), connID); !errors.Is(err, shopifysync.ErrProtectedData) {
				w.t.Fatal(err)
			}
		}, want: shopifysync.ErrProtectedData, data: shopifysync.DataRefused},
		"refused, then shown": {before: func(w *world, s *shopifysync.Syncer) {
			refuse(w)
			come(w)
			if _, err := s.Sync(w.t.Context(), shopifysync.SyncParams{Connection: connID}); !errors.Is(err, shopifysync.ErrProtectedData) {
				w.t.Fatal(err)
			}
			show(w)
		}, data: shopifysync.DataReadable, stored: 600},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 0, func(t *testing.T, w *world) {
				s := w.syncer(append(test.opts, shopifysync.WithBulkThreshold(100))...)
				test.before(w, s)
				test.params.Connection = connID
				r, err := s.Sync(t.Context(), test.params)
				if !errors.Is(err, test.want) || r.Complete != (test.want == nil) {
					t.Errorf("error %v, %+v", err, r)
				}
				live, listErr := w.store.ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: connID, Limit: 1000})
				if redacted := r.Skipped["redacted"]; listErr != nil || int64(len(live.IDs))+redacted != int64(test.stored) {
					t.Errorf("%d contacts, want %d; %v", len(live.IDs), test.stored, listErr)
				}
				health := w.connState().Health
				if health.PersonalData != test.data {
					t.Errorf("personal data %q, want %q", health.PersonalData, test.data)
				}
				if test.data == shopifysync.DataRefused && (health.State != shopifysync.HealthProtectedData || !strings.Contains(health.Message, "Dev Dashboard app")) {
					t.Errorf("%+v", health)
				}
				if test.want != nil && w.server.Count("RunBulkQuery") != 0 {
					t.Error("a bulk operation was begun")
				}
			})
		})
	}
}

// A run that goes on inside a bulk file has had its first page: that of its
// newest customers no longer decides.
func TestResumeDecidesNoPersonalData(t *testing.T) {
	inWorld(t, 2000, func(t *testing.T, w *world) {
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed, c.Latency = 100_000, time.Second })
		s := w.syncerOn(&slowStore{ContactStore: w.store, delay: time.Second},
			shopifysync.WithBulkThreshold(500), shopifysync.WithBatchSize(50), shopifysync.WithWriters(1))
		if r, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID, Budget: 15 * time.Second}); err != nil || r.Complete || r.Seen == 0 {
			t.Fatalf("error %v, %+v", err, r)
		}
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoPersonalData })
		if r := w.sync(s); !r.Resumed || r.Seen != 2000 {
			t.Errorf("%+v", r)
		}
	})
}
