package integration

import (
	"testing"

	"github.com/omnichat/shopifysync/internal/integration/dbtest"
)

// What is acknowledged stays so: the driver understands the pragmas, and a
// commit in the write-ahead log is on disk when it returns.
func TestSQLitePragmas(t *testing.T) {
	target, err := dbtest.Find("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	db := target.Open(t)
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "busy_timeout": "10000", "synchronous": "2", "cache_size": "-8192", "secure_delete": "1",
	} {
		var got string
		if err := db.DB.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
		}
	}
}
