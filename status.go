package shopifysync

import (
	"context"
	"time"
)

const (
	// statusRuns is how many of the latest runs a Status has.
	statusRuns = 10
	// runSilence is how long the record of a run may stay as it is while the
	// run goes on: it is saved every two seconds, but not during a wait.
	runSilence = 15 * time.Minute
)

// A Status tells how a connection is, as far as it is known without asking
// Shopify. It holds nothing personal and no secret, and may be shown as JSON.
type Status struct {
	Connection  ConnectionID `json:"connection"`
	ConnectedAt time.Time    `json:"connected_at,omitzero"` // zero: never by Connect
	// Health is what Shopify last said; see [Syncer.Check].
	Health Health `json:"health,omitzero"`
	// Pause is set while Shopify refuses the connection, Disconnected after
	// Disconnect.
	Pause        *Pause         `json:"pause,omitempty"`
	Disconnected *Disconnection `json:"disconnected,omitempty"`
	// EraseBy is when Serve erases what is kept of a store that was disconnected
	// or whose app was uninstalled, unless it is connected again.
	EraseBy time.Time `json:"erase_by,omitzero"`
	// DataRequests are requests of people for their data that the merchant must
	// answer within 30 days, for no [PrivacyHandler] took them. They are listed
	// for so long, whether answered or not.
	DataRequests []OpenDataRequest `json:"data_requests,omitempty"`
	// RedactAsked is set while a shop/redact waits for Shopify to say whether
	// the store has left.
	RedactAsked time.Time `json:"redact_asked,omitzero"`

	// Running is the run that goes on, in whatever process, with its Progress;
	// nil if none does. Its UpdatedAt tells of when that is: a process that was
	// killed leaves its run here for up to 15 minutes.
	Running *Run `json:"running,omitempty"`
	// Runs are the latest runs, the newest first, at most ten, Running included.
	Runs []Run `json:"runs,omitempty"`

	// OpenMarks is how many customers are to be fetched anew.
	OpenMarks int64 `json:"open_marks"`
	// Failures are marks that failed before, at most [MaxFailures], by
	// ascending customer id; they are tried again by themselves.
	Failures []FailedMark `json:"failures,omitempty"`

	// InStepAsOf is since when at least everything that happened before it is
	// known to be in the contacts, by Shopify's clock: when the last complete
	// run began, or the earlier bulk operation that it read. Zero: no run was
	// complete yet.
	InStepAsOf time.Time `json:"in_step_as_of,omitzero"`
	// CaughtUpTo is up to when changed profiles and consents were listed, by
	// Shopify's clock.
	CaughtUpTo time.Time `json:"caught_up_to,omitzero"`
	// Customers is how many customers the last complete run saw.
	Customers int64 `json:"customers"`
}

// A FailedMark is a customer who could not be mapped or stored, or whom
// Shopify does not show as its webhook said.
type FailedMark struct {
	CustomerID CustomerID `json:"customer_id"`
	Reason     string     `json:"reason"` // nothing personal
	Attempts   int        `json:"attempts"`
	NextTry    time.Time  `json:"next_try"` // at the earliest
}

// Status tells how a connection is. It asks the stores only, never Shopify, so
// that it also answers for one that is paused or disconnected, and in any
// process. Errors match [ErrNotConnected], the context's error, or are what the
// stores return.
func (s *Syncer) Status(ctx context.Context, id ConnectionID) (*Status, error) {
	st, err := s.readState(ctx, id)
	if err == nil && st.Revision == 0 {
		_, err = s.lookUpConnection(ctx, id)
	}
	if err != nil {
		return nil, wrapped(err)
	}
	out := &Status{
		Connection: id, ConnectedAt: st.ConnectedAt, Health: st.Health, Pause: st.Pause, Disconnected: st.Disconnected,
		RedactAsked: st.RedactAsked, EraseBy: st.eraseBy(s.retention), DataRequests: st.openDataRequests(s.now()),
		InStepAsOf: st.InStepAsOf, CaughtUpTo: st.CaughtUpTo, Customers: st.Customers,
	}
	runs, err := s.state.Runs(ctx, RunsParams{Connection: id, Limit: statusRuns})
	if err != nil {
		return nil, wrapped(storeError("read the runs", err))
	}
	out.Runs = runs.Runs
	for i := range out.Runs {
		out.Runs[i].Checkpoint = nil // the library's own
	}
	if len(out.Runs) > 0 && out.Runs[0].State == RunRunning && s.now().Sub(out.Runs[0].UpdatedAt) < runSilence {
		out.Running = &out.Runs[0]
	}
	if err := s.failedMarks(ctx, out); err != nil {
		return nil, wrapped(err)
	}
	return out, nil
}

// failedMarks counts the marks and lists those that failed. Of more than
// maxRunMarks it looks at the first only.
func (s *Syncer) failedMarks(ctx context.Context, out *Status) error {
	p := MarksParams{Connection: out.Connection, Limit: 5000}
	for looked := 0; looked < maxRunMarks; {
		page, err := s.state.Marks(ctx, p)
		if err != nil {
			return storeError("read the marks", err)
		}
		out.OpenMarks = page.Open
		for _, m := range page.Marks {
			if m.Attempts > 0 && len(out.Failures) < MaxFailures {
				out.Failures = append(out.Failures, FailedMark{
					CustomerID: m.CustomerID, Reason: m.Reason, Attempts: m.Attempts, NextTry: m.NotBefore,
				})
			}
			p.After = m.CustomerID
		}
		looked += len(page.Marks)
		if len(page.Marks) < p.Limit || len(out.Failures) == MaxFailures {
			return nil
		}
	}
	return nil
}
