package main

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/storetest"
)

// The whole contract, on an empty database for each case.
func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) shopifysync.ContactStore { return newStore(t) }, storetest.Features{})
}

func newStore(t *testing.T) *Store {
	t.Helper()
	db, err := sql.Open("sqlite", dataSource(filepath.Join(t.TempDir(), "people.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	store, err := NewStore(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return store
}
