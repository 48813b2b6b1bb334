package storetest

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
)

type connectionState = shopifysync.ConnectionState

// savingStates changes each state before it is saved.
func savingStates(change func(st *connectionState)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.saveState = func(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
			change(&p.State)
			return s.MemoryStore.SaveConnectionState(ctx, p)
		}
	})
}

// latestRevision makes every save succeed, unless it is told to fail.
func latestRevision(fail func(given, stored int64) bool) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		m := s.MemoryStore
		s.saveState = func(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
			read, err := m.ConnectionState(ctx, shopifysync.ConnectionStateParams{Connection: p.State.Connection})
			if err != nil {
				return shopifysync.SaveConnectionStateResult{}, err
			}
			if fail(p.State.Revision, read.State.Revision) {
				return shopifysync.SaveConnectionStateResult{}, shopifysync.ErrStateConflict
			}
			p.State.Revision = read.State.Revision
			return m.SaveConnectionState(ctx, p)
		}
	})
}

// comparesFirst compares revisions, and saves a moment later whatever was saved
// meanwhile.
func comparesFirst() shopifysync.ContactStore {
	var mu sync.Mutex
	return override(func(s *overridden) {
		m := s.MemoryStore
		s.saveState = func(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
			read, err := m.ConnectionState(ctx, shopifysync.ConnectionStateParams{Connection: p.State.Connection})
			if err != nil {
				return shopifysync.SaveConnectionStateResult{}, err
			}
			if read.State.Revision != p.State.Revision {
				return shopifysync.SaveConnectionStateResult{}, shopifysync.ErrStateConflict
			}
			patient()
			mu.Lock()
			defer mu.Unlock()
			given := p.State.Revision
			if read, err = m.ConnectionState(ctx, shopifysync.ConnectionStateParams{Connection: p.State.Connection}); err != nil {
				return shopifysync.SaveConnectionStateResult{}, err
			}
			p.State.Revision = read.State.Revision
			_, err = m.SaveConnectionState(ctx, p)
			return shopifysync.SaveConnectionStateResult{Revision: given + 1}, err
		}
	})
}

func forgetting(change func(m *shopifysync.MemoryStore, p shopifysync.ForgetConnectionParams) error) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.forget = func(_ context.Context, p shopifysync.ForgetConnectionParams) (shopifysync.ForgetConnectionResult, error) {
			return shopifysync.ForgetConnectionResult{}, change(s.MemoryStore, p)
		}
	})
}

func connectionStateDefects() []defect {
	ctx := context.Background()
	return []defect{
		{"loses the shop's id", "State/RoundTrip", "the state of connection", savingStates(func(st *connectionState) { st.ShopID = "" })},
		{"keeps whole seconds", "State/RoundTrip", "the state of connection", savingStates(func(st *connectionState) { st.InStepAsOf = st.InStepAsOf.Truncate(time.Second) })},
		{"counts in floats", "State/RoundTrip", "the state of connection", savingStates(func(st *connectionState) { st.Customers = int64(float64(st.Customers)) })},
		{"loses when to probe", "State/RoundTrip", "the state of connection", savingStates(func(st *connectionState) {
			if st.Pause != nil {
				st.Pause = &shopifysync.Pause{State: st.Pause.State, Since: st.Pause.Since}
			}
		})},
		{"nothing saved is an error", "State/RoundTrip", "ConnectionState failed", overriding(func(s *overridden) {
			s.state = func(ctx context.Context, p shopifysync.ConnectionStateParams) (shopifysync.ConnectionStateResult, error) {
				result, err := s.MemoryStore.ConnectionState(ctx, p)
				if err == nil && result.State.Revision == 0 {
					err = shopifysync.ErrNotConnected
				}
				return result, err
			}
		})},
		{"an empty state has no connection", "State/RoundTrip", "the state of connection", overriding(func(s *overridden) {
			s.state = func(ctx context.Context, p shopifysync.ConnectionStateParams) (shopifysync.ConnectionStateResult, error) {
				result, err := s.MemoryStore.ConnectionState(ctx, p)
				if result.State.Revision == 0 {
					result.State = connectionState{}
				}
				return result, err
			}
		})},
		{"keeps a pause that is over", "State/Replaced", "the state of connection", func() shopifysync.ContactStore {
			var pause *shopifysync.Pause
			return savingStates(func(st *connectionState) {
				if st.Pause == nil {
					st.Pause = pause
				}
				pause = st.Pause
			})()
		}},
		{"the last save wins", "State/Revision", "want one that matches", latestRevision(func(int64, int64) bool { return false })},
		{"a first save replaces", "State/Revision", "want one that matches", latestRevision(func(given, stored int64) bool { return given != 0 && given != stored })},
		{"saves a later revision", "State/Revision", "want one that matches", latestRevision(func(given, stored int64) bool { return given < stored })},
		{"another error for a conflict", "State/Revision", "want one that matches", overriding(func(s *overridden) {
			s.saveState = func(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
				result, err := s.MemoryStore.SaveConnectionState(ctx, p)
				if err != nil {
					err = shopifysync.ErrLeaseLost
				}
				return result, err
			}
		})},
		{"the revision stands still", "State/Revision", "want one more", overriding(func(s *overridden) {
			s.saveState = func(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
				result, err := s.MemoryStore.SaveConnectionState(ctx, p)
				result.Revision = p.State.Revision
				return result, err
			}
		})},
		{"compares, then saves", "State/OneWinner", "saved the state, want 1", comparesFirst},
		{"compares, then saves, and loses changes", "State/LostUpdates", "changes", comparesFirst},
		{"folds the case of connections' ids", "State/Apart", "SaveConnectionState failed", savingStates(func(st *connectionState) {
			st.Connection = connID(strings.ToLower(string(st.Connection)))
		})},
		{"hands its lists out", "State/NotShared", "the state of connection", func() shopifysync.ContactStore {
			var scopes []string
			return override(func(s *overridden) {
				s.saveState = func(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
					scopes = p.State.Health.Scopes
					return s.MemoryStore.SaveConnectionState(ctx, p)
				}
				s.state = func(ctx context.Context, p shopifysync.ConnectionStateParams) (shopifysync.ConnectionStateResult, error) {
					result, err := s.MemoryStore.ConnectionState(ctx, p)
					result.State.Health.Scopes = scopes
					return result, err
				}
			})
		}},
		{"ignores the context of a state", "State/Cancelled", "returned no error though its context", overriding(func(s *overridden) {
			s.saveState = func(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
				return s.MemoryStore.SaveConnectionState(context.WithoutCancel(ctx), p)
			}
		})},
		{"forgets nothing", "Forget/RunsAndMarks", "runs, want 0", forgetting(func(*shopifysync.MemoryStore, shopifysync.ForgetConnectionParams) error { return nil })},
		{"forgets runs of other connections", "Forget/RunsAndMarks", "has 0 runs, want 1", forgetting(func(m *shopifysync.MemoryStore, p shopifysync.ForgetConnectionParams) error {
			for _, id := range lookalikeConnections() {
				_, _ = m.ForgetConnection(ctx, shopifysync.ForgetConnectionParams{Connection: id})
			}
			return nil
		})},
		{"forgets marks alone", "Forget/RunsAndMarks", "runs, want 0", forgetting(func(m *shopifysync.MemoryStore, p shopifysync.ForgetConnectionParams) error {
			all, err := m.Marks(ctx, shopifysync.MarksParams{Connection: p.Connection, Limit: 100})
			if err != nil {
				return err
			}
			_, err = m.ClearMarks(ctx, shopifysync.ClearMarksParams{Connection: p.Connection, Marks: all.Marks})
			return err
		})},
		{"forgets the state", "Forget/WhatStays", "the state of connection", forgetting(func(m *shopifysync.MemoryStore, p shopifysync.ForgetConnectionParams) error {
			if _, err := m.ForgetConnection(ctx, p); err != nil {
				return err
			}
			read, err := m.ConnectionState(ctx, shopifysync.ConnectionStateParams(p))
			if err != nil {
				return err
			}
			_, err = m.SaveConnectionState(ctx, shopifysync.SaveConnectionStateParams{
				State: connectionState{Connection: p.Connection, Revision: read.State.Revision},
			})
			return err
		})},
		{"forgets leases", "Forget/WhatStays", "AcquireLease of a lease that is held", forgetting(func(m *shopifysync.MemoryStore, p shopifysync.ForgetConnectionParams) error {
			lease := forced(m, shopifysync.Lease{Connection: p.Connection, Kind: shopifysync.LeaseDrain})
			_, _ = m.ReleaseLease(ctx, shopifysync.ReleaseLeaseParams{Lease: lease})
			_, err := m.ForgetConnection(ctx, p)
			return err
		})},
		{"ignores the context when forgetting", "Forget/Cancelled", "returned no error though its context", forgetting(func(m *shopifysync.MemoryStore, p shopifysync.ForgetConnectionParams) error {
			_, err := m.ForgetConnection(ctx, p)
			return err
		})},
	}
}

// A field that fullState leaves out would not be checked by State/RoundTrip.
func TestFullStateFillsEveryField(t *testing.T) {
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		if _, isTime := v.Interface().(time.Time); v.IsZero() || isTime || path == ".Revision" {
			if v.IsZero() && path != ".Revision" { // which the store sets
				t.Errorf("%s is zero", path)
			}
			return
		}
		switch v.Kind() {
		case reflect.Pointer:
			walk(path, v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		}
	}
	walk("", reflect.ValueOf(fullState()))
}
