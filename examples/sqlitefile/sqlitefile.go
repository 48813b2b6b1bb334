// Package sqlitefile opens the SQLite files of the example programs, with the
// driver that the library itself does not require.
package sqlitefile

import (
	"database/sql"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver

	"github.com/omnichat/shopifysync/sqlstore"
)

// Open opens a SQLite file that nobody else may read, for it holds people, and
// makes it if it is not there. The settings are [sqlstore.SQLitePragmas].
func Open(file string) (*sql.DB, error) {
	made, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := made.Close(); err != nil {
		return nil, err
	}
	name := &url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: sqlstore.SQLitePragmas}
	return sql.Open("sqlite", name.String())
}
