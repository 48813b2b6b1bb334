package sqlstore

import (
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/omnichat/shopifysync"
)

// A Store keeps contacts, state and connections in a SQL database. Make one
// with [New]; run [Store.Migrate] once before the first use.
type Store struct {
	db      *sql.DB
	dialect dialect
	config  config
	texts   sync.Map // statement template -> text for this dialect and these names

	// sqliteWriter lets this process's writers queue rather than poll for
	// SQLite's only write lock; nil for other dialects.
	sqliteWriter chan struct{}
	// sparse counts down the batches for which reading heads by id range is
	// not tried; see heads.
	sparse atomic.Int32
	// lastMark is the microsecond of the last new mark; see newGeneration.
	lastMark atomic.Int64
}

var _ interface {
	shopifysync.ContactStore
	shopifysync.StateStore
	shopifysync.ConnectionStore
	shopifysync.ContactFinder
	shopifysync.WhatsAppSharer
} = (*Store)(nil)

// New returns a Store on db. It checks its arguments and does not touch the
// database.
func New(db *sql.DB, d Dialect, opts ...Option) (*Store, error) {
	if db == nil {
		return nil, errors.New("sqlstore: no database: open one with sql.Open")
	}
	c, err := newConfig(d, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, dialect: dialects[d], config: c}
	if d == SQLite {
		s.sqliteWriter = make(chan struct{}, 1)
	}
	return s, nil
}

// text makes a statement of a template: {contacts} becomes the table's name
// with schema and prefix, {.contacts_phone} that without the schema (what
// PostgreSQL wants of a new index), {now} the database's clock in milliseconds
// since 1970, {idsin} the condition whose ids [dialect.bindIDs] adds, and ? the
// driver's placeholder.
func (s *Store) text(template string) string {
	if t, ok := s.texts.Load(template); ok {
		return t.(string)
	}
	t := s.dialect.rebind(s.config.expand(template, s.dialect))
	s.texts.Store(template, t)
	return t
}
