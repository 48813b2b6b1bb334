// Package sqlstore keeps contacts, state and connections in SQLite,
// PostgreSQL, MariaDB or MySQL through database/sql. The host brings the
// driver; the package imports none.
//
//	db, err := sql.Open("sqlite", "file:contacts.db?"+sqlstore.SQLitePragmas)
//	// ...
//	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.WithEncryptionKeys(key))
//	// ...
//	if err := store.Migrate(ctx); err != nil { ... }
//	syncer, err := shopifysync.New(store, store)
//
// A [Store] is a shopifysync.ContactStore, StateStore, ConnectionStore and
// ContactFinder, safe for concurrent use by any number of goroutines and
// processes. It starts no goroutine and needs no Close; the *sql.DB stays the
// host's.
//
// # Drivers
//
// SQLite 3.35 or later: modernc.org/sqlite is what the tests use; give it
// [SQLitePragmas]. A database in memory needs db.SetMaxOpenConns(1), for each
// of its connections is a database of its own.
//
// PostgreSQL 13 or later: github.com/jackc/pgx/v5/stdlib or github.com/lib/pq.
//
// MariaDB 10.6 or MySQL 8 or later: github.com/go-sql-driver/mysql, whose
// interpolateParams=true saves a round trip a query.
//
// # How contacts are written
//
// A batch costs one read of its versions and content hashes. What is unchanged
// costs nothing more: no lock, no transaction, no write. The rest is decided by
// [shopifysync.Apply], and written in one transaction, by ascending customer
// id, provided that each row still is what was read; otherwise the batch is
// read and decided again. Deadlocks, serialization failures and a busy SQLite
// are retried, with pauses of up to half a second, for some seconds.
//
// # What is erased
//
// A tombstone keeps its key, version and reason; ForgetConnection leaves leases
// and a connection's state, neither of which is personal. Beneath the tables the
// database may keep for a while what was in them: in dead rows until they are
// vacuumed or purged, in free pages (SQLite: PRAGMA secure_delete), in its log,
// in backups. How long is the host's to set and to promise.
//
// # What is refused
//
// A contact with a NUL character or invalid UTF-8 in a text, a name, e-mail or
// phone of more than 512 characters, other short texts of more than 255 bytes,
// a number that is no decimal text or has more than 31 digits before the point,
// or more than 4 MiB of tags and attributes.
package sqlstore
