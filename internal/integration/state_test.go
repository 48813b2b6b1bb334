package integration

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/internal/integration/sample"
	"github.com/omnichat/shopifysync/sqlstore"
)

// Two stores on two pools are as good as two processes.
func TestStateBetweenProcesses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		first := db.Store(t)
		other, err := target.OpenAt(db.File)
		if err != nil {
			t.Fatal(err)
		}
		defer other.DB.Close()
		other.Prefix = db.Prefix
		stores := []*sqlstore.Store{first, other.NewStore(t)}
		const each = 10
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for done := 0; done < each; {
					read, err := stores[i%2].ConnectionState(t.Context(), shopifysync.ConnectionStateParams{Connection: "c1"})
					if err == nil {
						st := read.State
						st.Customers++
						_, err = stores[i%2].SaveConnectionState(t.Context(), shopifysync.SaveConnectionStateParams{State: st})
					}
					switch {
					case err == nil:
						done++
					case !errors.Is(err, shopifysync.ErrStateConflict):
						t.Errorf("process %d: %v", i%2, err)
						return
					}
				}
			})
		}
		wg.Wait()
		read, err := first.ConnectionState(t.Context(), shopifysync.ConnectionStateParams{Connection: "c1"})
		if err != nil || read.State.Customers != 4*each || read.State.Revision != 4*each {
			t.Errorf("after %d changes: %d, at revision %d, %v", 4*each, read.State.Customers, read.State.Revision, err)
		}
	})
}

func TestDamagedState(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.Store(t)
		if _, err := db.DB.Exec("INSERT INTO " + db.Prefix + "connection_states VALUES ('c1', 3, '{\"shop_id\": \"jane')"); err != nil {
			t.Fatal(err)
		}
		_, err := store.ConnectionState(t.Context(), shopifysync.ConnectionStateParams{Connection: "c1"})
		if err == nil || !strings.Contains(err.Error(), "delete the row") || strings.Contains(err.Error(), "jane") {
			t.Errorf("ConnectionState: %v, want what to do, and no word of the row", err)
		}
	})
}

// Pages of a fleet, where one in three connections is due.
func TestDueConnectionsOfAFleet(t *testing.T) {
	const fleet = 600
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		var want []shopifysync.ConnectionID
		for i := range fleet {
			id := shopifysync.ConnectionID(fmt.Sprintf("tenant-%d", i))
			marks := []shopifysync.Mark{
				{Connection: id, CustomerID: 1, NotBefore: time.UnixMilli(int64(2000 + i))},
				{Connection: id, CustomerID: 2, NotBefore: time.UnixMilli(int64(1000 + i%3))},
			}
			if _, err := store.PutMarks(t.Context(), shopifysync.PutMarksParams{Connection: id, Marks: marks}); err != nil {
				t.Fatal(err)
			}
			if i%3 == 0 {
				want = append(want, id)
			}
		}
		slices.Sort(want)
		for _, limit := range []int{7, 200, 1000} {
			var got []shopifysync.ConnectionID
			p := shopifysync.DueConnectionsParams{DueBy: time.UnixMilli(1000), Limit: limit}
			for pages := 0; pages < fleet; pages++ {
				page, err := store.DueConnections(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, page.Connections...)
				if len(page.Connections) < limit {
					break
				}
				p.After = page.Connections[limit-1]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("in pages of %d (-want +got):\n%s", limit, diff)
			}
		}
	})
}

// What Disconnect and shop/redact call leaves nothing personal and no secret in
// any table.
func TestNothingPersonalIsLeft(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.Store(t, sqlstore.WithPlaintextSecrets())
		const jane = "jane-doe-0912345678"
		c := sample.Contact(1, 0)
		c.Name, c.Email, c.Phone, c.Tags = jane, jane+"@example.com", jane, []string{jane}
		c.WhatsApp = &shopifysync.WhatsAppContact{Account: "wa-1", UserID: jane, Name: jane}
		upsert(t, store, false, []shopifysync.Contact{c})
		id := sample.Connection
		_, err := store.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: shopifysync.Connection{
			ID: id, Shop: "a.myshopify.com", Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret(jane)},
		}})
		if err != nil {
			t.Fatal(err)
		}
		lease, err := store.AcquireLease(t.Context(), shopifysync.AcquireLeaseParams{Connection: id, Kind: shopifysync.LeaseRun, TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		// Neither may hold anything personal; if it does all the same, it goes.
		_, err = store.SaveRun(t.Context(), shopifysync.SaveRunParams{Lease: lease.Lease, Run: shopifysync.Run{
			ID: "run-1", Connection: id, Error: jane, Checkpoint: []byte(jane),
			Report: shopifysync.Report{Failures: []shopifysync.Failure{{CustomerID: c.CustomerID, Reason: jane}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.PutMarks(t.Context(), shopifysync.PutMarksParams{Connection: id, Marks: []shopifysync.Mark{
			{Connection: id, CustomerID: c.CustomerID, Reason: jane},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := cellsWith(t, db, jane); got < 10 {
			t.Fatalf("%d cells hold the text before, want at least 10", got)
		}

		_, err = store.RemoveContacts(t.Context(), shopifysync.RemoveContactsParams{
			Connection: id, All: true, Reason: shopifysync.RemovedShopRedacted, ObservedAt: sample.FirstObserved.Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.ForgetConnection(t.Context(), shopifysync.ForgetConnectionParams{Connection: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := store.DeleteConnection(t.Context(), shopifysync.DeleteConnectionParams{Connection: id}); err != nil {
			t.Fatal(err)
		}
		if got := cellsWith(t, db, jane); got > 0 {
			t.Errorf("%d cells still hold the text", got)
		}
	})
}

// cellsWith counts the cells of all tables that hold the text.
func cellsWith(t *testing.T, db *dbtest.Database, text string) int {
	t.Helper()
	n := 0
	for _, table := range dbtest.Tables() {
		rows, err := db.DB.Query("SELECT * FROM " + db.Prefix + table)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		cells, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range cells {
			into[i] = &cells[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for _, cell := range cells {
				if strings.Contains(cell.String, text) {
					n++
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return n
}
