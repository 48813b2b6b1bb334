package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

// insertMarks is the rule of [shopifysync.StateStore.PutMarks] in SQL. What
// comes in as generation is what a new mark starts at; its low 8 bits are how
// often the mark is put. See newGeneration.
var insertMarks = insertion{
	table: "{marks}",
	columns: []column{
		{"customer_id", bigint}, {"generation", bigint}, {"not_before", bigint}, {"attempts", bigint},
		{"reason", text}, {"floor", bigint}, {"merged_into", bigint},
	},
	update: []assignment{
		{"generation", "old.generation + (new.generation & 255)"},
		{"not_before", "CASE WHEN new.not_before < old.not_before THEN new.not_before ELSE old.not_before END"},
		{"attempts", "new.attempts"},
		{"reason", "CASE WHEN new.reason <> '' AND old.reason <> '" + reasonDelete + "' THEN new.reason ELSE old.reason END"},
		{"floor", "CASE WHEN new.floor > old.floor THEN new.floor ELSE old.floor END"},
		{"merged_into", "CASE WHEN new.merged_into <> 0 THEN new.merged_into ELSE old.merged_into END"},
	},
}

// reasonDelete is the reason that no other replaces.
const reasonDelete = "customers/delete"

// newGeneration is where a new mark starts: at the clock in microseconds, and
// never twice at the same, so that a mark put after a clearing has no generation
// of the one cleared.
func (s *Store) newGeneration(puts int64) int64 {
	for {
		last := s.lastMark.Load()
		now := max(time.Now().UnixMicro(), last+1)
		if s.lastMark.CompareAndSwap(last, now) {
			return now<<8 | min(puts, 255)
		}
	}
}

// PutMarks implements [shopifysync.StateStore].
func (s *Store) PutMarks(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
	for i := range p.Marks {
		if m := &p.Marks[i]; m.Connection != p.Connection || m.CustomerID <= 0 {
			return shopifysync.PutMarksResult{}, errors.New("sqlstore: a mark needs a customer id and the connection it is put for")
		}
	}
	if err := checkConnection(ctx, p.Connection); err != nil || len(p.Marks) == 0 {
		return shopifysync.PutMarksResult{}, err
	}
	marks := foldMarks(p.Marks)
	cells := make([]any, 0, len(marks)*len(insertMarks.columns))
	for _, m := range marks {
		cells = append(cells, int64(m.CustomerID), s.newGeneration(m.Generation), m.NotBefore.UnixMilli(),
			int64(m.Attempts), plainText(m.Reason, 255), m.Floor.UnixMilli(), int64(m.MergedInto))
	}
	put := func(q querier) error {
		return s.dialect.insert(ctx, q, s, &insertMarks, p.Connection, cells)
	}
	err := s.retry(ctx, "put marks", func() error {
		if s.oneStatement(len(marks)) {
			return put(s.db)
		}
		return s.inTransaction(ctx, put)
	})
	return shopifysync.PutMarksResult{}, err
}

// oneStatement reports whether so many rows go into one statement, which then
// needs no transaction around it: a webhook waits for this one.
func (s *Store) oneStatement(rows int) bool {
	return s.config.dialect == Postgres || s.config.dialect == MySQL && rows == 1
}

// foldMarks makes one mark of those of a customer, by ascending id. Its
// Generation is how many they were.
func foldMarks(marks []shopifysync.Mark) []shopifysync.Mark {
	folded := slices.Clone(marks)
	slices.SortStableFunc(folded, func(a, b shopifysync.Mark) int { return cmp.Compare(a.CustomerID, b.CustomerID) })
	n := 0
	for _, m := range folded {
		m.Generation = 1
		if n == 0 || folded[n-1].CustomerID != m.CustomerID {
			folded[n] = m
			n++
			continue
		}
		one := &folded[n-1]
		one.Generation++
		if m.NotBefore.Before(one.NotBefore) {
			one.NotBefore = m.NotBefore
		}
		if m.Floor.After(one.Floor) {
			one.Floor = m.Floor
		}
		one.Attempts = m.Attempts
		if m.Reason != "" && one.Reason != reasonDelete {
			one.Reason = m.Reason
		}
		one.MergedInto = cmp.Or(m.MergedInto, one.MergedInto)
	}
	return folded[:n]
}

// Marks implements [shopifysync.StateStore].
func (s *Store) Marks(ctx context.Context, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
	if err := checkLimit(p.Limit); err != nil {
		return shopifysync.MarksResult{}, err
	}
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.MarksResult{}, err
	}
	var result shopifysync.MarksResult
	err := s.retry(ctx, "read marks", func() (err error) {
		result, err = s.readMarks(ctx, p)
		return err
	})
	return result, err
}

func (s *Store) readMarks(ctx context.Context, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
	var result shopifysync.MarksResult
	query := "SELECT customer_id, generation, not_before, attempts, reason, floor, merged_into FROM {marks} WHERE connection_id = ? AND customer_id > ?"
	args := []any{string(p.Connection), int64(p.After)}
	if !p.DueBy.IsZero() {
		query += " AND not_before <= ?"
		args = append(args, p.DueBy.UnixMilli())
	}
	rows, err := s.db.QueryContext(ctx, s.text(query+" ORDER BY customer_id LIMIT ?"), append(args, int64(p.Limit))...)
	if err != nil {
		return result, err
	}
	defer rows.Close()
	for rows.Next() {
		m := shopifysync.Mark{Connection: p.Connection}
		var notBefore, floor int64
		if err := rows.Scan(&m.CustomerID, &m.Generation, &notBefore, &m.Attempts, &m.Reason, &floor, &m.MergedInto); err != nil {
			return result, err
		}
		m.NotBefore, m.Floor = fromMillis(notBefore), fromMillis(floor)
		result.Marks = append(result.Marks, m)
	}
	if err := rows.Err(); err != nil {
		return result, err
	}
	err = s.db.QueryRowContext(ctx, s.text("SELECT COUNT(*) FROM {marks} WHERE connection_id = ?"), string(p.Connection)).Scan(&result.Open)
	return result, err
}

// ClearMarks implements [shopifysync.StateStore].
func (s *Store) ClearMarks(ctx context.Context, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
	if err := checkConnection(ctx, p.Connection); err != nil || len(p.Marks) == 0 {
		return shopifysync.ClearMarksResult{}, err
	}
	ids := make([]shopifysync.CustomerID, len(p.Marks))
	for i, m := range p.Marks {
		ids[i] = m.CustomerID
	}
	ids = sortedUnique(ids)
	var cleared int64
	err := s.retry(ctx, "clear marks", func() error {
		return s.inTransaction(ctx, func(q querier) error {
			now, err := s.lockGenerations(ctx, q, p.Connection, ids)
			if err != nil {
				return err
			}
			var same []shopifysync.CustomerID
			for _, m := range p.Marks {
				if generation, marked := now[m.CustomerID]; marked && generation == m.Generation {
					same = append(same, m.CustomerID)
				}
			}
			same = sortedUnique(same)
			cleared = int64(len(same))
			if len(same) == 0 {
				return nil
			}
			query, args := s.dialect.bindIDs(s.text("DELETE FROM {marks} WHERE connection_id = ? AND {idsin}"),
				[]any{string(p.Connection)}, same)
			_, err = q.ExecContext(ctx, query, args...)
			return err
		})
	})
	if err != nil {
		return shopifysync.ClearMarksResult{}, err
	}
	return shopifysync.ClearMarksResult{Cleared: cleared}, nil
}

// postponeMarks inserts nothing: the rows are locked, so they are there.
var postponeMarks = insertion{
	table:   insertMarks.table,
	columns: insertMarks.columns,
	update: []assignment{
		{"not_before", "new.not_before"}, {"attempts", "new.attempts"}, {"reason", "new.reason"},
	},
}

// PostponeMarks implements [shopifysync.StateStore].
func (s *Store) PostponeMarks(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
	if err := checkConnection(ctx, p.Connection); err != nil || len(p.Marks) == 0 {
		return shopifysync.PostponeMarksResult{}, err
	}
	ids := make([]shopifysync.CustomerID, len(p.Marks))
	for i, m := range p.Marks {
		ids[i] = m.CustomerID
	}
	ids = sortedUnique(ids)
	var postponed int64
	err := s.retry(ctx, "postpone marks", func() error {
		return s.inTransaction(ctx, func(q querier) error {
			now, err := s.lockGenerations(ctx, q, p.Connection, ids)
			if err != nil {
				return err
			}
			postponed = 0
			last := make(map[shopifysync.CustomerID]shopifysync.Mark) // the last of a customer counts
			for _, m := range p.Marks {
				if generation, marked := now[m.CustomerID]; marked && generation == m.Generation {
					last[m.CustomerID] = m
					postponed++
				}
			}
			if len(last) == 0 {
				return nil
			}
			var cells []any
			for _, id := range ids {
				if m, ok := last[id]; ok {
					cells = append(cells, int64(id), m.Generation, m.NotBefore.UnixMilli(),
						int64(m.Attempts), plainText(m.Reason, 255), int64(0), int64(0))
				}
			}
			return s.dialect.insert(ctx, q, s, &postponeMarks, p.Connection, cells)
		})
	})
	if err != nil {
		return shopifysync.PostponeMarksResult{}, err
	}
	return shopifysync.PostponeMarksResult{Postponed: postponed}, nil
}

// DueConnections implements [shopifysync.StateStore]. It looks at one mark of
// each connection that has any, however many they are.
func (s *Store) DueConnections(ctx context.Context, p shopifysync.DueConnectionsParams) (shopifysync.DueConnectionsResult, error) {
	if err := ctx.Err(); err != nil {
		return shopifysync.DueConnectionsResult{}, err
	}
	if err := checkLimit(p.Limit); err != nil {
		return shopifysync.DueConnectionsResult{}, err
	}
	if !storable(string(p.After)) {
		return shopifysync.DueConnectionsResult{}, fmt.Errorf("sqlstore: %w: no ID is like the one to list after", shopifysync.ErrInvalidConnection)
	}
	var due []shopifysync.ConnectionID
	err := s.retry(ctx, "list due connections", func() error {
		rows, err := s.db.QueryContext(ctx, s.text(s.dialect.dueConnections()), string(p.After), p.DueBy.UnixMilli(), int64(p.Limit))
		if err != nil {
			return err
		}
		defer rows.Close()
		due = nil
		for rows.Next() {
			var id shopifysync.ConnectionID
			if err := rows.Scan(&id); err != nil {
				return err
			}
			due = append(due, id)
		}
		return rows.Err()
	})
	if err != nil {
		return shopifysync.DueConnectionsResult{}, err
	}
	return shopifysync.DueConnectionsResult{Connections: due}, nil
}

// lockGenerations locks the marks of ids, and returns their generations.
func (s *Store) lockGenerations(ctx context.Context, q querier, connection shopifysync.ConnectionID, ids []shopifysync.CustomerID) (map[shopifysync.CustomerID]int64, error) {
	query, args := s.dialect.bindIDs(
		s.text("SELECT customer_id, generation FROM {marks} WHERE connection_id = ? AND {idsin} ORDER BY customer_id"+s.dialect.lockRows()),
		[]any{string(connection)}, ids)
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	generations := make(map[shopifysync.CustomerID]int64)
	for rows.Next() {
		var id shopifysync.CustomerID
		var generation int64
		if err := rows.Scan(&id, &generation); err != nil {
			return nil, err
		}
		generations[id] = generation
	}
	return generations, rows.Err()
}

// plainText makes a text storable: notes of ours that may quote anything are
// worth keeping even when a part must go.
func plainText(s string, maxBytes int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
	if len(s) > maxBytes {
		s = strings.ToValidUTF8(s[:maxBytes], "")
	}
	return s
}
