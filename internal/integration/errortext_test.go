package integration

import (
	"errors"
	"strings"
	"testing"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/sqlstore"
)

// What the store says is wrong gets through the Syncer, which repeats no text of
// the host's that may be personal.
func TestErrorsThroughTheSyncer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		says := func(store *sqlstore.Store, conns shopifysync.Connections, want error) {
			t.Helper()
			s, err := shopifysync.New(store, conns)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Status(t.Context(), "c1"); !errors.Is(err, want) || !strings.Contains(err.Error(), want.Error()) {
				t.Errorf("Status: %v; want the text %q", err, want)
			}
		}
		db := target.Open(t)
		store := db.NewStore(t, sqlstore.WithEncryptionKeys(dbtest.Key(t, "k1", 1)))
		says(store, store, sqlstore.ErrNotMigrated)
		says(store, shopifysync.StaticConnections(connection("c1")), sqlstore.ErrNotMigrated)

		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		save(t, store, connection("c1"))
		other := db.NewStore(t, sqlstore.WithEncryptionKeys(dbtest.Key(t, "k2", 2)))
		says(other, other, sqlstore.ErrUnknownKey)
	})
}
