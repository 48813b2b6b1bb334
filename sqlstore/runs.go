package sqlstore

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/omnichat/shopifysync"
)

// maxCheckpoint is the bound of [shopifysync.Run.Checkpoint].
const maxCheckpoint = 64 << 10

// SaveRun implements [shopifysync.StateStore].
func (s *Store) SaveRun(ctx context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
	run := p.Run
	switch {
	case run.ID == "" || len(run.ID) > 255 || !storable(run.ID):
		return shopifysync.SaveRunResult{}, errors.New("sqlstore: a run needs an ID of 1 to 255 bytes of UTF-8 without NUL")
	case run.Connection != p.Lease.Connection || p.Lease.Kind != shopifysync.LeaseRun:
		return shopifysync.SaveRunResult{}, errors.New("sqlstore: a run is saved under its connection's run lease")
	case len(run.Checkpoint) > maxCheckpoint:
		return shopifysync.SaveRunResult{}, errors.New("sqlstore: a run's checkpoint has more than 64 KiB")
	}
	if err := checkConnection(ctx, run.Connection); err != nil {
		return shopifysync.SaveRunResult{}, err
	}
	report, err := json.Marshal(run.Report)
	if err != nil {
		return shopifysync.SaveRunResult{}, errors.New("sqlstore: a run's report cannot be written as JSON")
	}
	progress, err := json.Marshal(run.Progress)
	if err != nil {
		return shopifysync.SaveRunResult{}, errors.New("sqlstore: a run's progress cannot be written as JSON")
	}
	checkpoint := run.Checkpoint
	if checkpoint == nil {
		checkpoint = []byte{} // nil would be NULL
	}
	return shopifysync.SaveRunResult{}, s.retry(ctx, "save a run", func() error {
		return s.inTransaction(ctx, func(q querier) error {
			if err := s.fence(ctx, q, p.Lease); err != nil {
				return err
			}
			_, err := q.ExecContext(ctx, s.text("DELETE FROM {runs} WHERE connection_id = ? AND run_id = ?"), string(run.Connection), run.ID)
			if err != nil {
				return err
			}
			_, err = q.ExecContext(ctx,
				s.text("INSERT INTO {runs} (connection_id, run_id, state, started_at, updated_at, report, progress, checkpoint, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
				string(run.Connection), run.ID, string(run.State), run.StartedAt.UnixMilli(), run.UpdatedAt.UnixMilli(),
				string(report), string(progress), checkpoint, plainText(run.Error, 16<<10))
			return err
		})
	})
}

// Runs implements [shopifysync.StateStore].
func (s *Store) Runs(ctx context.Context, p shopifysync.RunsParams) (shopifysync.RunsResult, error) {
	if err := checkLimit(p.Limit); err != nil {
		return shopifysync.RunsResult{}, err
	}
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.RunsResult{}, err
	}
	var runs []shopifysync.Run
	err := s.retry(ctx, "read runs", func() (err error) {
		runs, err = s.readRuns(ctx, p)
		return err
	})
	return shopifysync.RunsResult{Runs: runs}, err
}

func (s *Store) readRuns(ctx context.Context, p shopifysync.RunsParams) ([]shopifysync.Run, error) {
	rows, err := s.db.QueryContext(ctx,
		s.text("SELECT run_id, state, started_at, updated_at, report, progress, checkpoint, error FROM {runs} WHERE connection_id = ? ORDER BY started_at DESC, run_id DESC LIMIT ?"),
		string(p.Connection), int64(p.Limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var runs []shopifysync.Run
	for rows.Next() {
		run := shopifysync.Run{Connection: p.Connection}
		var started, updated int64
		var report, progress string
		if err := rows.Scan(&run.ID, &run.State, &started, &updated, &report, &progress, &run.Checkpoint, &run.Error); err != nil {
			return nil, err
		}
		if json.Unmarshal([]byte(report), &run.Report) != nil || json.Unmarshal([]byte(progress), &run.Progress) != nil {
			return nil, ownf("a run's record is not what this package writes: delete the row")
		}
		run.StartedAt, run.UpdatedAt = fromMillis(started), fromMillis(updated)
		if len(run.Checkpoint) == 0 {
			run.Checkpoint = nil
		}
		runs = append(runs, run)
	}
	return runs, rows.Err()
}
