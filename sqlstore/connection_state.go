package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/omnichat/shopifysync"
)

// ConnectionState implements [shopifysync.StateStore].
func (s *Store) ConnectionState(ctx context.Context, p shopifysync.ConnectionStateParams) (shopifysync.ConnectionStateResult, error) {
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.ConnectionStateResult{}, err
	}
	var state shopifysync.ConnectionState
	err := s.retry(ctx, "read a connection's state", func() error {
		state = shopifysync.ConnectionState{}
		var text string
		var revision int64
		err := s.db.QueryRowContext(ctx, s.text("SELECT revision, state FROM {connection_states} WHERE connection_id = ?"),
			string(p.Connection)).Scan(&revision, &text)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if json.Unmarshal([]byte(text), &state) != nil {
			return ownf("connection %q: its state is not what this package writes: delete the row, then connect again", p.Connection)
		}
		state.Revision = revision
		return nil
	})
	if err != nil {
		return shopifysync.ConnectionStateResult{}, err
	}
	state.Connection = p.Connection
	return shopifysync.ConnectionStateResult{State: state}, nil
}

// SaveConnectionState implements [shopifysync.StateStore].
func (s *Store) SaveConnectionState(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
	id, revision := p.State.Connection, p.State.Revision
	if err := checkConnection(ctx, id); err != nil {
		return shopifysync.SaveConnectionStateResult{}, err
	}
	text, err := json.Marshal(p.State)
	if err != nil {
		return shopifysync.SaveConnectionStateResult{}, errors.New("sqlstore: a connection's state cannot be written as JSON")
	}
	err = s.retry(ctx, "save a connection's state", func() error {
		return s.inTransaction(ctx, func(q querier) error {
			return s.saveState(ctx, q, id, revision, string(text))
		})
	})
	if err != nil {
		return shopifysync.SaveConnectionStateResult{}, err
	}
	return shopifysync.SaveConnectionStateResult{Revision: revision + 1}, nil
}

// saveState is one statement that stores only if the revision is the stored
// one: of two at once, the database lets one through.
func (s *Store) saveState(ctx context.Context, q querier, id shopifysync.ConnectionID, revision int64, text string) error {
	conflict := ownf("connection %q: %w", id, shopifysync.ErrStateConflict)
	if revision == 0 {
		_, err := q.ExecContext(ctx, s.text("INSERT INTO {connection_states} (connection_id, revision, state) VALUES (?, 1, ?)"), string(id), text)
		if err != nil {
			if problem, _ := s.dialect.diagnose(err); problem == duplicate {
				return conflict
			}
		}
		return err
	}
	r, err := q.ExecContext(ctx, s.text("UPDATE {connection_states} SET revision = ?, state = ? WHERE connection_id = ? AND revision = ?"),
		revision+1, text, string(id), revision)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return conflict
	}
	return err
}

// ForgetConnection implements [shopifysync.StateStore].
func (s *Store) ForgetConnection(ctx context.Context, p shopifysync.ForgetConnectionParams) (shopifysync.ForgetConnectionResult, error) {
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.ForgetConnectionResult{}, err
	}
	return shopifysync.ForgetConnectionResult{}, s.retry(ctx, "forget a connection", func() error {
		return s.inTransaction(ctx, func(q querier) error {
			for _, table := range []string{"{runs}", "{marks}"} {
				if _, err := q.ExecContext(ctx, s.text("DELETE FROM "+table+" WHERE connection_id = ?"), string(p.Connection)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
