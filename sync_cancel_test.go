package shopifysync_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
)

// A host can cancel a run that nobody called Sync for: by the context that
// SyncStart returns. Serve leaves it alone until its regular time.
func TestCancelRunOfServe(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		var (
			mu     sync.Mutex
			cancel = make(map[string]context.CancelCauseFunc) // by RunID
			ended  []error
		)
		running := func() int {
			mu.Lock()
			defer mu.Unlock()
			return len(cancel)
		}
		fl.add("shop", 3000, nil)
		fl.setState("shop", settled(3000))
		fl.setState("shop", func(st *shopifysync.ConnectionState) {
			st.RunAt, st.TriedAt = time.Now().Add(-25*time.Hour), time.Now().Add(-25*time.Hour)
		})
		stop := serve(t, fl.syncer(shopifysync.WithHooks(shopifysync.Hooks{
			SyncStart: func(ctx context.Context, info shopifysync.SyncStartInfo) context.Context {
				ctx, c := context.WithCancelCause(ctx)
				mu.Lock()
				defer mu.Unlock()
				cancel[info.RunID] = c
				return ctx
			},
			SyncEnd: func(_ context.Context, info shopifysync.SyncEndInfo) {
				mu.Lock()
				defer mu.Unlock()
				cancel[info.Report.RunID](nil)
				delete(cancel, info.Report.RunID)
				ended = append(ended, info.Err)
			},
		})))
		defer stop()
		waitFor(t, time.Minute, "a run begins", func() bool { return running() == 1 })
		time.Sleep(500 * time.Millisecond)
		mu.Lock()
		for _, c := range cancel {
			c(shopifysync.ErrCancelled)
		}
		mu.Unlock()
		waitFor(t, time.Second, "it ends", func() bool { return running() == 0 })
		time.Sleep(20 * time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if len(ended) != 1 || !errors.Is(ended[0], shopifysync.ErrCancelled) {
			t.Errorf("%d runs ended: %v", len(ended), ended)
		}
		runs, err := fl.store.Runs(t.Context(), shopifysync.RunsParams{Connection: "shop", Limit: 2})
		if err != nil || len(runs.Runs) != 1 || runs.Runs[0].State != shopifysync.RunCancelled || runs.Runs[0].Report.Seen == 0 {
			t.Errorf("%+v, %v", runs.Runs, err)
		}
	})
}
