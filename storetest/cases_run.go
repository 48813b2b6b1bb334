package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

// ended returns a context that has ended.
func (c *check) ended() context.Context {
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	return ctx
}

func (c *check) saveRun(lease shopifysync.Lease, r shopifysync.Run) {
	c.Helper()
	_, err := c.state.SaveRun(c.ctx, shopifysync.SaveRunParams{Lease: lease, Run: r})
	c.noError("SaveRun", err)
}

func (c *check) runs(id shopifysync.ConnectionID, limit int) []shopifysync.Run {
	c.Helper()
	result, err := c.state.Runs(c.ctx, shopifysync.RunsParams{Connection: id, Limit: limit})
	c.noError("Runs", err)
	return result.Runs
}

// expectRuns compares the runs of a connection, the latest first.
func (c *check) expectRuns(id shopifysync.ConnectionID, want ...shopifysync.Run) {
	c.Helper()
	got := c.runs(id, len(want)+1)
	if len(got) != len(want) {
		c.fatalf("connection %q has %d runs, want %d", id, len(got), len(want))
	}
	for i := range want {
		a, b := plainRun(want[i]), plainRun(got[i])
		if !reflect.DeepEqual(a, b) {
			a, b := excerpt(runText(a), runText(b))
			c.fatalf("run %d of connection %q:\n  got %s\n want %s", i, id, b, a)
		}
	}
}

// plainRun makes runs comparable: times in UTC and to the millisecond, and
// nothing for what is empty.
func plainRun(r shopifysync.Run) shopifysync.Run {
	for _, t := range []*time.Time{&r.StartedAt, &r.UpdatedAt, &r.Report.StartedAt, &r.Report.EndedAt} {
		*t = t.UTC().Truncate(time.Millisecond)
	}
	if len(r.Checkpoint) == 0 {
		r.Checkpoint = nil
	}
	if len(r.Report.Skipped) == 0 {
		r.Report.Skipped = nil
	}
	if len(r.Report.Failures) == 0 {
		r.Report.Failures = nil
	}
	if len(r.Report.Removed) == 0 {
		r.Report.Removed = nil
	}
	return r
}

func runText(r shopifysync.Run) string {
	b, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func minimalRun(id string, started int) shopifysync.Run {
	return shopifysync.Run{
		ID: id, Connection: tenant, State: shopifysync.RunRunning,
		StartedAt: observedAt(started), UpdatedAt: observedAt(started),
	}
}

func fullRun() shopifysync.Run {
	r := minimalRun("run-1", 1)
	r.State = shopifysync.RunPaused
	r.UpdatedAt = observedAt(60)
	r.Error = "Shopify could not be reached: try again later 稍後再試"
	r.Checkpoint = []byte{0, 1, 0xff, '\n', '"', 0}
	r.Progress = shopifysync.Progress{
		Phase: shopifysync.PhaseBulk, Done: 123456, Total: 9007199254740993, PerSecond: 1234.5678,
		EstimateLow: 90 * time.Second, EstimateHigh: 25 * time.Hour,
	}
	r.Report = shopifysync.Report{
		RunID: "run-1", Connection: tenant, StartedAt: observedAt(1), EndedAt: observedAt(61),
		Seen: 9007199254740993, Created: 1, Updated: 2, Unchanged: 3, Stale: 4, Failed: 2,
		Skipped: map[string]int64{"wholesale": 5, "批發": 6, "": 7},
		Failures: []shopifysync.Failure{
			{CustomerID: 9007199254740993, Reason: "the note holds a NUL character"}, {Reason: "no id"},
		},
		Removed:  map[shopifysync.RemovalReason]int64{shopifysync.RemovedDeleted: 8, shopifysync.RemovedShopRedacted: 9},
		Complete: true, Resumed: true, DryRun: true, ServedVersion: "2025-07", Source: "pages+bulk",
		Masked: shopifysync.FieldEmail | shopifysync.FieldCreatedAt,
	}
	return r
}

func runCases() []testCase {
	return []testCase{
		{
			name: "Run/RoundTrip",
			rule: "A run comes back as it was saved: state, times, report, progress, checkpoint and error.",
			run: func(c *check) {
				lease := c.acquire(tenant, shopifysync.LeaseRun, longTTL)
				c.saveRun(lease, minimalRun("run-1", 1))
				c.expectRuns(tenant, minimalRun("run-1", 1))
				c.saveRun(lease, fullRun())
				c.expectRuns(tenant, fullRun())
			},
		},
		{
			name: "Run/Replaced",
			rule: "Saving a run again replaces all of it.",
			run: func(c *check) {
				lease := c.acquire(tenant, shopifysync.LeaseRun, longTTL)
				c.saveRun(lease, fullRun())
				ended := minimalRun("run-1", 1)
				ended.State = shopifysync.RunCompleted
				c.saveRun(lease, ended)
				c.expectRuns(tenant, ended)
			},
		},
		{
			name: "Run/Checkpoint",
			rule: "A checkpoint of up to 64 KiB is kept byte for byte.",
			run: func(c *check) {
				lease := c.acquire(tenant, shopifysync.LeaseRun, longTTL)
				bytes256 := make([]byte, 256)
				for i := range bytes256 {
					bytes256[i] = byte(i)
				}
				for _, checkpoint := range [][]byte{
					{}, {0}, []byte(" "), []byte("text"), bytes256, bytes.Repeat(bytes256, 256), bytes.Repeat([]byte{0xff}, 65535),
				} {
					r := minimalRun("run-1", 1)
					r.Checkpoint = checkpoint
					c.saveRun(lease, r)
					c.expectRuns(tenant, r)
				}
			},
		},
		{
			name: "Run/History",
			rule: "Runs come by StartedAt, the latest first, at most Limit.",
			run: func(c *check) {
				lease := c.acquire(tenant, shopifysync.LeaseRun, longTTL)
				var want []shopifysync.Run
				for _, started := range []int{3, 1, 5, 2, 4} {
					c.saveRun(lease, minimalRun(fmt.Sprintf("run %d", 9-started), started))
				}
				for started := 5; started >= 1; started-- {
					want = append(want, minimalRun(fmt.Sprintf("run %d", 9-started), started))
				}
				c.expectRuns(tenant, want...)
				if got := c.runs(tenant, 2); len(got) != 2 || got[0].ID != want[0].ID || got[1].ID != want[1].ID {
					c.fatalf("Runs with a limit of 2 did not return the latest two")
				}
				saved := want[4]
				saved.UpdatedAt = observedAt(100) // the latest saved is not the latest started
				c.saveRun(lease, saved)
				want[4] = saved
				c.expectRuns(tenant, want...)
			},
		},
		{
			name: "Run/Apart",
			rule: "Runs belong to their connection.",
			run: func(c *check) {
				ids := append(lookalikeConnections(), tenant)
				run := func(i int, id shopifysync.ConnectionID) shopifysync.Run {
					r := minimalRun(fmt.Sprintf("run-%d", i), i)
					r.Connection = id
					return r
				}
				for i, id := range ids {
					lease := c.acquire(id, shopifysync.LeaseRun, longTTL)
					c.saveRun(lease, run(i, id))
				}
				for i, id := range ids {
					c.expectRuns(id, run(i, id))
				}
				c.expectRuns("nobody")
			},
		},
		{
			name: "Run/Fenced",
			rule: "Only the latest holder of the run lease saves runs: for any other epoch the error matches ErrLeaseLost, and nothing is stored.",
			run: func(c *check) {
				lost := c.acquire(tenant, shopifysync.LeaseRun, shortTTL)
				c.saveRun(lost, minimalRun("run-1", 1))
				holder := c.takeOver(tenant, shopifysync.LeaseRun)
				refused := func(lease shopifysync.Lease) {
					c.Helper()
					for _, r := range []shopifysync.Run{fullRun(), minimalRun("run-2", 2)} {
						_, err := c.state.SaveRun(c.ctx, shopifysync.SaveRunParams{Lease: lease, Run: r})
						c.errorIs("SaveRun with a lost lease", err, shopifysync.ErrLeaseLost)
					}
				}
				refused(lost)
				made := holder
				made.Epoch++
				refused(made)
				c.expectRuns(tenant, minimalRun("run-1", 1))
				c.saveRun(holder, minimalRun("run-3", 3))
				c.release(holder)
				refused(lost)
				c.expectRuns(tenant, minimalRun("run-3", 3), minimalRun("run-1", 1))
			},
		},
		{
			name: "Run/Expired",
			rule: "A lease that expired but was taken by nobody still saves runs.",
			run: func(c *check) {
				lease := c.acquire(tenant, shopifysync.LeaseRun, shortTTL)
				time.Sleep(2 * shortTTL)
				c.saveRun(lease, minimalRun("run-1", 1))
				c.expectRuns(tenant, minimalRun("run-1", 1))
			},
		},
		{
			name: "Run/OtherKinds",
			rule: "The leases of other kinds do not fence runs off.",
			run: func(c *check) {
				lease := c.acquire(tenant, shopifysync.LeaseRun, longTTL)
				for range 3 {
					c.release(c.acquire(tenant, shopifysync.LeaseDrain, longTTL))
				}
				c.saveRun(lease, minimalRun("run-1", 1))
			},
		},
		{
			name: "Run/NotShared",
			rule: "A call keeps none of the memory passed in, and returns memory of the caller's own.",
			run: func(c *check) {
				lease := c.acquire(tenant, shopifysync.LeaseRun, longTTL)
				saved := fullRun()
				c.saveRun(lease, saved)
				scribbleRun(saved)
				c.expectRuns(tenant, fullRun())
				scribbleRun(c.runs(tenant, 1)[0])
				c.expectRuns(tenant, fullRun())
			},
		},
		{
			name: "Run/LongError",
			rule: "A run with a long error text is kept whole.",
			run: func(c *check) {
				lease := c.acquire(tenant, shopifysync.LeaseRun, longTTL)
				r := minimalRun(strings.Repeat("r", 64), 1)
				r.State, r.Error = shopifysync.RunFailed, strings.Repeat("稍後再試", 500)
				for i := range shopifysync.MaxFailures {
					r.Report.Failures = append(r.Report.Failures, shopifysync.Failure{
						CustomerID: shopifysync.CustomerID(i + 1), Reason: strings.Repeat("reason ", 30),
					})
				}
				c.saveRun(lease, r)
				c.expectRuns(tenant, r)
			},
		},
		{
			name: "Run/Cancelled",
			rule: "A call whose context has ended returns an error and stores nothing.",
			run: func(c *check) {
				lease := c.acquire(tenant, shopifysync.LeaseRun, longTTL)
				_, err := c.state.SaveRun(c.ended(), shopifysync.SaveRunParams{Lease: lease, Run: fullRun()})
				c.cancelled("SaveRun", err)
				_, err = c.state.Runs(c.ended(), shopifysync.RunsParams{Connection: tenant, Limit: 1})
				c.cancelled("Runs", err)
				c.expectRuns(tenant)
			},
		},
	}
}

func scribbleRun(r shopifysync.Run) {
	for i := range r.Checkpoint {
		r.Checkpoint[i] = 'x'
	}
	for i := range r.Report.Failures {
		r.Report.Failures[i].Reason = "scribbled"
	}
	if r.Report.Skipped != nil {
		r.Report.Skipped["scribbled"] = 1
	}
	if r.Report.Removed != nil {
		r.Report.Removed["scribbled"] = 1
	}
}
