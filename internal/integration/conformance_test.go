package integration

import (
	"testing"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/sqlstore"
	"github.com/omnichat/shopifysync/storetest"
)

func TestConformance(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		t.Parallel()
		db := target.Open(t)
		key := sqlstore.WithEncryptionKeys(dbtest.Key(t, "k1", 1))
		store := db.Store(t, key)
		storetest.Run(t, func(t *testing.T) shopifysync.ContactStore {
			db.Empty(t)
			return store
		}, storetest.Features{State: true, Connections: true, Finder: true, Sharer: true})
	})
}
