package sqlstore

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A Dialect is the SQL that a database speaks.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"   // SQLite 3.35 or later
	Postgres Dialect = "postgres" // PostgreSQL 13 or later
	MySQL    Dialect = "mysql"    // MariaDB 10.6 or later, MySQL 8 or later
)

var dialects = map[Dialect]dialect{SQLite: sqlite{}, Postgres: postgres{}, MySQL: mysql{}}

// SQLitePragmas are the settings recommended for SQLite, as the query part of
// a modernc.org/sqlite data source name: write-ahead logging, so that readers
// and the writer do not wait for each other; ten seconds of patience with a
// writer in another process; an fsync for each commit, so that a power cut
// takes back no webhook that was acknowledged, nor an erasure; 8 MiB of page
// cache for each connection, for random inserts into the indexes; and what is
// deleted is overwritten, so that an erased person is not left in free pages.
// The write-ahead log still holds old pages until it is begun anew: PRAGMA
// wal_checkpoint(TRUNCATE) does that.
const SQLitePragmas = "_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)&_pragma=cache_size(-8192)&_pragma=secure_delete(1)"

// DefaultTablePrefix is what the tables' names begin with unless
// [WithTablePrefix] says otherwise.
const DefaultTablePrefix = "shopifysync_"

// An Option changes how [New] makes a [Store]. An unusable one makes New fail.
type Option func(*config) error

type config struct {
	dialect   Dialect
	prefix    string
	schema    string
	keys      []EncryptionKey
	plaintext bool
}

func newConfig(d Dialect, opts []Option) (config, error) {
	c := config{dialect: d, prefix: DefaultTablePrefix}
	if _, ok := dialects[d]; !ok {
		return c, fmt.Errorf("sqlstore: unknown dialect %q: use SQLite, Postgres or MySQL", d)
	}
	for _, opt := range opts {
		if err := opt(&c); err != nil {
			return c, err
		}
	}
	return c, nil
}

// WithTablePrefix sets what the tables' names begin with, so that they fit in
// beside the host's: [a-z_][a-z0-9_]*, at most 32 characters, or "" for none.
// The default is [DefaultTablePrefix].
func WithTablePrefix(prefix string) Option {
	return func(c *config) error {
		if prefix != "" && !plainName(prefix) {
			return fmt.Errorf("sqlstore: table prefix %q is not of the form [a-z_][a-z0-9_]*, of at most 32 characters", prefix)
		}
		c.prefix = prefix
		return nil
	}
}

// WithSchema puts the tables into a PostgreSQL schema rather than the first of
// the search path: [a-z_][a-z0-9_]*, at most 32 characters. [Store.Migrate]
// creates it if need be.
func WithSchema(schema string) Option {
	return func(c *config) error {
		if c.dialect != Postgres {
			return errors.New("sqlstore: WithSchema is for Postgres only: choose the database in the data source name instead")
		}
		if !plainName(schema) {
			return fmt.Errorf("sqlstore: schema %q is not of the form [a-z_][a-z0-9_]*, of at most 32 characters", schema)
		}
		c.schema = schema
		return nil
	}
}

// WithEncryptionKeys encrypts the secrets of connections (AES-256-GCM). The
// first key encrypts; each decrypts what was encrypted with it. To rotate while
// several processes run, give all of them (old, new), then all of them (new,
// old); call [Store.ReencryptSecrets]; then drop the old key.
func WithEncryptionKeys(newestFirst ...EncryptionKey) Option {
	return func(c *config) error {
		seen := make(map[string]bool)
		for _, k := range newestFirst {
			switch {
			case k.aead == nil:
				return errors.New("sqlstore: an encryption key is empty: make keys with NewEncryptionKey")
			case seen[k.id]:
				return fmt.Errorf("sqlstore: two encryption keys have the id %q", k.id)
			}
			seen[k.id] = true
		}
		c.keys = newestFirst
		return nil
	}
}

// WithPlaintextSecrets lets secrets of connections stand unencrypted in the
// database: for trying things out, or when the database is encrypted by other
// means. Together with [WithEncryptionKeys] it reads those that do and encrypts
// what is saved: the way from one to the other.
func WithPlaintextSecrets() Option {
	return func(c *config) error {
		c.plaintext = true
		return nil
	}
}

var plainNames = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,31}$`)

// plainName keeps names that go into statements from being anything else than
// names.
func plainName(s string) bool { return plainNames.MatchString(s) }

var nameTokens = regexp.MustCompile(`\{\.?[a-z_]+\}`)

// expand puts names and the clock into a template; see [Store.text].
func (c config) expand(template string, d dialect) string {
	return nameTokens.ReplaceAllStringFunc(template, func(token string) string {
		name := token[1 : len(token)-1]
		switch bare, isBare := strings.CutPrefix(name, "."); {
		case name == "now":
			return d.now()
		case name == "idsin":
			return d.idsIn()
		case isBare:
			return c.prefix + bare
		case c.schema != "":
			return `"` + c.schema + `".` + c.prefix + name
		default:
			return c.prefix + name
		}
	})
}
