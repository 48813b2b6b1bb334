package integration

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/sqlstore"
)

func connection(id shopifysync.ConnectionID) shopifysync.Connection {
	return shopifysync.Connection{
		ID: id, Shop: "a.myshopify.com",
		Credentials: shopifysync.Credentials{
			AccessToken:          shopifysync.NewSecret("shpat_" + string(id)),
			ClientID:             "client",
			ClientSecret:         shopifysync.NewSecret("shpss_" + string(id)),
			PreviousClientSecret: shopifysync.NewSecret("old_" + string(id)),
		},
	}
}

func save(t *testing.T, store *sqlstore.Store, c shopifysync.Connection) {
	t.Helper()
	if _, err := store.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: c}); err != nil {
		t.Fatalf("SaveConnection: %v", err)
	}
}

// checkSecrets checks that the connection's secrets come back.
func checkSecrets(t *testing.T, store *sqlstore.Store, id shopifysync.ConnectionID) {
	t.Helper()
	got, err := store.Connection(t.Context(), id)
	if err != nil {
		t.Errorf("Connection %s: %v", id, err)
		return
	}
	g, w := got.Credentials, connection(id).Credentials
	if !g.AccessToken.Equal(w.AccessToken) || !g.ClientSecret.Equal(w.ClientSecret) || !g.PreviousClientSecret.Equal(w.PreviousClientSecret) {
		t.Errorf("connection %s: the secrets are not those saved", id)
	}
}

func TestSecretsAreEncryptedAtRest(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.Store(t, sqlstore.WithEncryptionKeys(dbtest.Key(t, "k1", 1)))
		save(t, store, connection("c1"))
		save(t, store, connection("c2"))
		checkSecrets(t, store, "c1")

		rows, err := db.DB.Query("SELECT access_token, client_secret, previous_client_secret FROM " + db.Prefix + "connections")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var columns [3]string
			if err := rows.Scan(&columns[0], &columns[1], &columns[2]); err != nil {
				t.Fatal(err)
			}
			for _, c := range columns {
				if !strings.HasPrefix(c, "v1.k1.") || strings.Contains(c, "shp") || strings.Contains(c, "old_") {
					t.Errorf("a secret stands in the database as %s", c)
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSwappedSecretsAreRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.Store(t, sqlstore.WithEncryptionKeys(dbtest.Key(t, "k1", 1)))
		save(t, store, connection("mine"))
		save(t, store, connection("theirs"))
		var theirs string
		if err := db.DB.QueryRow("SELECT access_token FROM " + db.Prefix + "connections WHERE connection_id = 'theirs'").Scan(&theirs); err != nil {
			t.Fatal(err)
		}
		if _, err := db.DB.Exec("UPDATE " + db.Prefix + "connections SET access_token = '" + theirs + "' WHERE connection_id = 'mine'"); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Connection(t.Context(), "mine"); !errors.Is(err, sqlstore.ErrSecretDamaged) {
			t.Errorf("with another tenant's token: %v, want ErrSecretDamaged", err)
		}
		checkSecrets(t, store, "theirs")
		save(t, store, connection("mine")) // saving anew repairs it
		checkSecrets(t, store, "mine")
	})
}

// One row that cannot be read keeps nothing from the others.
func TestUnreadableSecret(t *testing.T) {
	tests := map[string]struct {
		row  string // what is done to the row "bad"
		want error
	}{
		"unknown key": {"access_token = 'v1.lost.AAAA'", sqlstore.ErrUnknownKey},
		"damaged":     {"client_secret = 'v1.k1.AAAA'", sqlstore.ErrSecretDamaged},
		"plaintext":   {"access_token = 'plain.shpat_1'", sqlstore.ErrPlaintextSecret},
		"labels":      {"labels = 'no JSON'", nil},
	}
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.Store(t, sqlstore.WithEncryptionKeys(dbtest.Key(t, "k1", 1)))
		both := db.NewStore(t, sqlstore.WithEncryptionKeys(dbtest.Key(t, "k2", 2), dbtest.Key(t, "k1", 1)))
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				db.Empty(t)
				for _, id := range []shopifysync.ConnectionID{"a", "bad", "c"} {
					save(t, store, connection(id))
				}
				if _, err := db.DB.Exec("UPDATE " + db.Prefix + "connections SET " + tt.row + " WHERE connection_id = 'bad'"); err != nil {
					t.Fatal(err)
				}
				_, err := store.Connection(t.Context(), "bad")
				if !errors.Is(err, shopifysync.ErrInvalidConnection) || tt.want != nil && !errors.Is(err, tt.want) {
					t.Errorf("Connection: %v, want ErrInvalidConnection and %v", err, tt.want)
				}
				listed, err := store.ListConnections(t.Context(), shopifysync.ListConnectionsParams{Limit: 10})
				checkAllButBad(t, "ListConnections", listed.Connections, err)
				found, err := store.ConnectionsByShop(t.Context(), connection("bad").Shop)
				checkAllButBad(t, "ConnectionsByShop", found, err)

				n, err := both.ReencryptSecrets(t.Context())
				if tt.want == nil { // labels are no secret
					if n != 3 || err != nil {
						t.Errorf("ReencryptSecrets: %d, %v; want 3", n, err)
					}
				} else if n != 2 || !errors.Is(err, tt.want) {
					t.Errorf("ReencryptSecrets: %d, %v; want 2 and %v", n, err, tt.want)
				}
				save(t, store, connection("bad"))
				checkSecrets(t, store, "bad")
			})
		}
	})
}

// checkAllButBad checks that all connections came, but "bad" without credentials.
func checkAllButBad(t *testing.T, method string, got []shopifysync.Connection, err error) {
	t.Helper()
	if err != nil || len(got) != 3 {
		t.Errorf("%s: %d connections, %v; want 3", method, len(got), err)
		return
	}
	for i, id := range []shopifysync.ConnectionID{"a", "bad", "c"} {
		want := connection(id)
		if id == "bad" {
			want.Credentials = shopifysync.Credentials{}
		}
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("%s, %s (-want +got):\n%s", method, id, diff)
		}
	}
}

func TestRotation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		old, fresh := dbtest.Key(t, "k1", 1), dbtest.Key(t, "k2", 2)
		plain := db.Store(t, sqlstore.WithPlaintextSecrets())
		save(t, plain, connection("plain"))
		save(t, db.NewStore(t, sqlstore.WithEncryptionKeys(old)), connection("old"))

		both := db.NewStore(t, sqlstore.WithEncryptionKeys(fresh, old), sqlstore.WithPlaintextSecrets())
		save(t, both, connection("new"))
		for _, id := range []shopifysync.ConnectionID{"plain", "old", "new"} {
			checkSecrets(t, both, id)
		}
		// A process that is a step behind reads what the others save.
		checkSecrets(t, db.NewStore(t, sqlstore.WithEncryptionKeys(old, fresh)), "new")
		only := db.NewStore(t, sqlstore.WithEncryptionKeys(fresh))
		if _, err := only.Connection(t.Context(), "old"); !errors.Is(err, sqlstore.ErrUnknownKey) {
			t.Errorf("without the old key: %v, want ErrUnknownKey", err)
		}
		if _, err := only.Connection(t.Context(), "plain"); !errors.Is(err, sqlstore.ErrPlaintextSecret) {
			t.Errorf("a plaintext secret: %v, want ErrPlaintextSecret", err)
		}

		for _, want := range []int{2, 0} { // the second time there is nothing left to do
			if n, err := both.ReencryptSecrets(t.Context()); err != nil || n != want {
				t.Errorf("ReencryptSecrets: %d, %v; want %d", n, err, want)
			}
		}
		for _, id := range []shopifysync.ConnectionID{"plain", "old", "new"} {
			checkSecrets(t, only, id)
		}
		if _, err := plain.ReencryptSecrets(t.Context()); !errors.Is(err, sqlstore.ErrNoEncryptionKeys) {
			t.Errorf("without keys: %v, want ErrNoEncryptionKeys", err)
		}
	})
}

func TestSavingNeedsAKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		_, err := store.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: connection("c1")})
		if !errors.Is(err, sqlstore.ErrNoEncryptionKeys) {
			t.Errorf("SaveConnection: %v, want ErrNoEncryptionKeys", err)
		}
		if _, err := store.Connection(t.Context(), "c1"); !errors.Is(err, shopifysync.ErrNotConnected) {
			t.Errorf("Connection: %v, want ErrNotConnected: nothing was saved", err)
		}
	})
}
