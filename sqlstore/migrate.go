package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

//go:embed migrations
var migrationFiles embed.FS

// A Migration is a step from one version of the tables to the next.
type Migration struct {
	Version int    // 1, 2, 3 ...
	Name    string // such as "tables"
	SQL     string // statements, each ending in ";" at a line's end
}

// Migrations returns the steps in order, for hosts that migrate by a tool of
// their own, which then keeps the record of what was done: [Store.Migrate] is
// not to be called beside it. The options are those given to [New].
func Migrations(d Dialect, opts ...Option) ([]Migration, error) {
	c, err := newConfig(d, opts)
	if err != nil {
		return nil, err
	}
	return c.migrations()
}

func (c config) migrations() ([]Migration, error) {
	dir := path.Join("migrations", string(c.dialect))
	entries, err := fs.ReadDir(migrationFiles, dir)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: embedded migrations: %w", err)
	}
	var steps []Migration
	for i, entry := range entries { // sorted by name
		text, err := fs.ReadFile(migrationFiles, path.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("sqlstore: embedded migrations: %w", err)
		}
		number, name, _ := strings.Cut(strings.TrimSuffix(entry.Name(), ".sql"), "_")
		if version, err := strconv.Atoi(number); err != nil || version != i+1 {
			return nil, fmt.Errorf("sqlstore: embedded migrations: %s does not follow the one before", entry.Name())
		}
		steps = append(steps, Migration{i + 1, name, c.expand(string(text), dialects[c.dialect])})
	}
	return steps, nil
}

// Migrate brings the tables to the version of this package. It may be called
// at every start, by any number of processes at once: one migrates, the others
// wait. Tables of a later version are refused with [ErrNewerSchema].
func (s *Store) Migrate(ctx context.Context) error {
	steps, err := s.config.migrations()
	if err != nil {
		return err
	}
	return s.retry(ctx, "migrate", func() error {
		return s.dialect.migrating(ctx, s.db, s.config, func(q querier) error {
			return s.migrateOn(ctx, q, steps)
		})
	})
}

func (s *Store) migrateOn(ctx context.Context, q querier, steps []Migration) error {
	_, err := q.ExecContext(ctx, s.text("CREATE TABLE IF NOT EXISTS {migrations} (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)"))
	if err != nil {
		return err
	}
	var at int
	if err := q.QueryRowContext(ctx, s.text("SELECT COALESCE(MAX(version), 0) FROM {migrations}")).Scan(&at); err != nil {
		return err
	}
	if at > len(steps) {
		return ownf("%w: they are at version %d, this one knows %d", ErrNewerSchema, at, len(steps))
	}
	for _, step := range steps[at:] {
		for _, statement := range step.statements() {
			if _, err := q.ExecContext(ctx, statement); err != nil {
				if problem, _ := s.dialect.diagnose(err); problem != alreadyDone {
					return err
				}
			}
		}
		_, err := q.ExecContext(ctx, s.text("INSERT INTO {migrations} (version, applied_at) VALUES (?, {now})"), step.Version)
		if err != nil {
			return err
		}
	}
	return nil
}

// statements splits the SQL at each ";" that ends a line.
func (m Migration) statements() []string {
	var out []string
	for part := range strings.SplitSeq(m.SQL, ";\n") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
