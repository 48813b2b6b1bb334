package integration

import (
	"context"
	"database/sql"
	"errors"
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

func upsert(t testing.TB, store *sqlstore.Store, touch bool, contacts []shopifysync.Contact) map[shopifysync.Outcome]int {
	t.Helper()
	got, err := store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{
		Connection: sample.Connection, Contacts: contacts, Touch: touch,
	})
	if err != nil {
		t.Fatalf("UpsertContacts: %v", err)
	}
	outcomes := make(map[shopifysync.Outcome]int)
	for _, r := range got.Results {
		outcomes[r.Outcome]++
	}
	return outcomes
}

// writeMark is a number that changes when the connection, or for PostgreSQL
// anybody, writes to the contacts. Row versions (xmin, ctid) and locks (xmax)
// tell it there; elsewhere a counter of the session's.
func writeMark(t *testing.T, conn *sql.Conn, db *dbtest.Database) (n int64) {
	t.Helper()
	var name string
	var more int64
	var err error
	switch db.Dialect {
	case sqlstore.SQLite:
		err = conn.QueryRowContext(t.Context(), "SELECT total_changes()").Scan(&n)
	case sqlstore.Postgres:
		err = conn.QueryRowContext(t.Context(), "SELECT SUM(hashtext(CONCAT(ctid, ' ', xmin, ' ', xmax))) FROM "+db.Prefix+"contacts").Scan(&n)
	case sqlstore.MySQL:
		err = errors.Join(
			conn.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Handler_write'").Scan(&name, &n),
			conn.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Handler_update'").Scan(&name, &more))
	}
	if err != nil {
		t.Fatal(err)
	}
	return n + more
}

// Counters are the session's, so the store gets the same connection as the test.
func TestUnchangedWritesNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.Store(t)
		db.DB.SetMaxOpenConns(1)
		mark := func() int64 {
			conn, err := db.DB.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			return writeMark(t, conn, db)
		}
		// writes is how much the mark moves, less what looking itself moves it
		// (MariaDB fills a table for SHOW).
		writes := func(f func()) int64 {
			first := mark()
			second := mark()
			f()
			return mark() - second - (second - first)
		}
		contacts := sample.Batch(0, 500, 0)
		upsert(t, store, false, contacts)
		for i := range contacts {
			contacts[i].Version.ObservedAt = contacts[i].Version.ObservedAt.Add(time.Hour)
		}
		again := func(touch bool) func() {
			return func() {
				want := map[shopifysync.Outcome]int{shopifysync.Unchanged: 500}
				if diff := cmp.Diff(want, upsert(t, store, touch, contacts)); diff != "" {
					t.Errorf("outcomes (-want +got):\n%s", diff)
				}
			}
		}
		if n := writes(again(false)); n != 0 {
			t.Errorf("the mark moved by %d: rows were written or locked for nothing", n)
		}
		// Masked contacts have another hash, so that the whole ones are compared.
		whole := contacts
		contacts = sample.Batch(0, 500, 0)
		for i := range contacts {
			contacts[i].Tags, contacts[i].Masked = nil, shopifysync.FieldTags
			contacts[i].Version.ObservedAt = contacts[i].Version.ObservedAt.Add(2 * time.Hour)
		}
		if n := writes(again(false)); n != 0 {
			t.Errorf("the mark moved by %d for masked contacts: rows were written or locked for nothing", n)
		}
		contacts = whole
		if writes(again(true)) == 0 {
			t.Error("the mark did not move when the versions were written: it does not tell")
		}
	})
}

func TestOnlyTheChangedAreWritten(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		upsert(t, store, false, sample.Batch(0, 300, 0))
		mixed := sample.Batch(0, 400, 0)
		for i := 0; i < 300; i += 100 {
			mixed[i] = sample.Contact(i, 1)
		}
		want := map[shopifysync.Outcome]int{shopifysync.Created: 100, shopifysync.Updated: 3, shopifysync.Unchanged: 297}
		if diff := cmp.Diff(want, upsert(t, store, false, mixed)); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		checkStored(t, store, mixed)
	})
}

// checkStored compares the store with contacts that carry no null attribute's
// effect but absence.
func checkStored(t *testing.T, store *sqlstore.Store, contacts []shopifysync.Contact) {
	t.Helper()
	want := make(map[shopifysync.CustomerID]shopifysync.Contact)
	var ids []shopifysync.CustomerID
	for _, c := range contacts {
		merged, _ := shopifysync.Apply(nil, c)
		want[c.CustomerID] = merged
		ids = append(ids, c.CustomerID)
	}
	found, err := store.Contacts(t.Context(), shopifysync.ContactsParams{Connection: sample.Connection, IDs: ids})
	if err != nil {
		t.Fatalf("Contacts: %v", err)
	}
	got := make(map[shopifysync.CustomerID]shopifysync.Contact)
	for _, c := range found.Contacts {
		got[c.CustomerID] = c
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// Writers with overlapping batches, in different orders and revisions, must
// neither fail nor let an older revision win.
func TestConcurrentWriters(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		const writers, revisions, n = 6, 5, 120
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for r := range revisions {
					revision := (r + w) % revisions
					batch := sample.Batch(w*10, n, revision)
					if w%2 == 1 {
						for i, j := 0, len(batch)-1; i < j; i, j = i+1, j-1 {
							batch[i], batch[j] = batch[j], batch[i]
						}
					}
					_, err := store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{Connection: sample.Connection, Contacts: batch})
					if err != nil {
						t.Errorf("writer %d, revision %d: %v", w, revision, err)
					}
				}
			})
		}
		wg.Wait()
		checkStored(t, store, sample.Batch(0, n+(writers-1)*10, revisions-1))
	})
}

// A row that somebody else changes, or inserts, between the store's read and
// its write must be waited for, read again, and decided again.
func TestChangedMeanwhile(t *testing.T) {
	const newer = "updated_at = updated_at + 999999999, name = 'newer'"
	tests := map[string]struct {
		change string // by the other writer; %s is the table
		in     []shopifysync.Contact
		want   map[shopifysync.Outcome]int
		name   string // then stored
	}{
		"nothing":  {"", sample.Batch(0, 1, 1), map[shopifysync.Outcome]int{shopifysync.Updated: 1}, sample.Contact(0, 1).Name},
		"updated":  {"UPDATE %s SET " + newer, sample.Batch(0, 1, 1), map[shopifysync.Outcome]int{shopifysync.Stale: 1}, "newer"},
		"removed":  {"UPDATE %s SET removed = 'redacted', name = ''", sample.Batch(0, 1, 1), map[shopifysync.Outcome]int{shopifysync.Stale: 1}, ""},
		"inserted": {"UPDATE %s SET customer_id = " + sample.Contact(1, 0).CustomerID.String() + ", " + newer, sample.Batch(1, 1, 0), map[shopifysync.Outcome]int{shopifysync.Stale: 1}, "newer"},
	}
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				db := target.Open(t)
				store := db.Store(t)
				upsert(t, store, false, sample.Batch(0, 1, 0))
				conn, commit := lockContacts(t, db)
				if tt.change != "" {
					if _, err := conn.ExecContext(t.Context(), strings.ReplaceAll(tt.change, "%s", db.Prefix+"contacts")); err != nil {
						t.Fatal(err)
					}
				}
				done := make(chan map[shopifysync.Outcome]int)
				go func() {
					defer close(done) // upsert may end this goroutine
					done <- upsert(t, store, false, tt.in)
				}()
				select {
				case got := <-done:
					t.Fatalf("the writer did not wait: %v", got)
				case <-time.After(100 * time.Millisecond):
				}
				commit()
				if diff := cmp.Diff(tt.want, <-done); diff != "" {
					t.Errorf("outcomes (-want +got):\n%s", diff)
				}
				stored, err := store.Contacts(t.Context(), shopifysync.ContactsParams{
					Connection: sample.Connection, IDs: []shopifysync.CustomerID{tt.in[0].CustomerID},
				})
				if err != nil || len(stored.Contacts) != 1 || stored.Contacts[0].Name != tt.name {
					t.Errorf("stored: %v, %v; want the name %q", stored.Contacts, err, tt.name)
				}
			})
		}
	})
}

// lockContacts begins a transaction that holds the rows, or in SQLite the
// database.
func lockContacts(t *testing.T, db *dbtest.Database) (conn *sql.Conn, commit func()) {
	t.Helper()
	conn, err := db.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	statements := []string{"BEGIN", "SELECT * FROM " + db.Prefix + "contacts FOR UPDATE"}
	if db.Dialect == sqlstore.SQLite {
		statements = []string{"BEGIN IMMEDIATE"}
	}
	for _, s := range statements {
		if _, err := conn.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return conn, func() {
		if _, err := conn.ExecContext(t.Context(), "COMMIT"); err != nil {
			t.Error(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Without busy_timeout SQLite says SQLITE_BUSY at once; the store must go on
// trying, and must name the reason when it gives up.
func TestSQLiteBusyIsRetried(t *testing.T) {
	target, err := dbtest.Find("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	db := target.Open(t)
	db.Store(t)
	impatient, err := sql.Open("sqlite", "file:"+db.File+"?_pragma=busy_timeout(0)")
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	store, err := sqlstore.New(impatient, sqlstore.SQLite, sqlstore.WithTablePrefix(db.Prefix))
	if err != nil {
		t.Fatal(err)
	}
	_, unlock := lockContacts(t, db)
	time.AfterFunc(100*time.Millisecond, unlock)
	if got := upsert(t, store, false, sample.Batch(0, 3, 0)); got[shopifysync.Created] != 3 {
		t.Errorf("outcomes: %v, want 3 created", got)
	}

	_, unlock = lockContacts(t, db)
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = store.UpsertContacts(ctx, shopifysync.UpsertContactsParams{Connection: sample.Connection, Contacts: sample.Batch(0, 3, 1)})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline: %v, want it to end the retries", err)
	}
}

// A store must work on a single connection: it never asks for a second one
// while it holds one.
func TestOneConnection(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.Store(t, sqlstore.WithEncryptionKeys(dbtest.Key(t, "k1", 1)))
		db.DB.SetMaxOpenConns(1)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		mask := sample.Batch(0, 20, 1)
		for i := range mask {
			mask[i].Masked = shopifysync.FieldTags
		}
		upsert(t, store, true, sample.Batch(0, 20, 0))
		upsert(t, store, true, mask)
		save(t, store, connection("c1"))
		lease, err := store.AcquireLease(ctx, shopifysync.AcquireLeaseParams{Connection: "c1", Kind: shopifysync.LeaseRun, TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.SaveRun(ctx, shopifysync.SaveRunParams{Lease: lease.Lease, Run: shopifysync.Run{ID: "r1", Connection: "c1"}})
		if err != nil {
			t.Error(err)
		}
		_, err = store.PutMarks(ctx, shopifysync.PutMarksParams{Connection: "c1", Marks: []shopifysync.Mark{{Connection: "c1", CustomerID: 7}}})
		if err != nil {
			t.Error(err)
		}
		marks, err := store.Marks(ctx, shopifysync.MarksParams{Connection: "c1", Limit: 1})
		if err != nil || len(marks.Marks) != 1 {
			t.Errorf("marks: %v, %v", marks, err)
		}
		if _, err := store.ClearMarks(ctx, shopifysync.ClearMarksParams{Connection: "c1", Marks: marks.Marks}); err != nil {
			t.Error(err)
		}
		if _, err := store.List(ctx, sqlstore.ListParams{Connection: sample.Connection, Limit: 5}); err != nil {
			t.Error(err)
		}
		if _, err := store.FindContacts(ctx, shopifysync.FindContactsParams{Connection: sample.Connection, Email: "x", Phone: "y"}); err != nil {
			t.Error(err)
		}
		if _, err := store.ReencryptSecrets(ctx); err != nil {
			t.Error(err)
		}
		_, err = store.RemoveContacts(ctx, shopifysync.RemoveContactsParams{
			Connection: sample.Connection, All: true, Reason: shopifysync.RemovedDisconnected, ObservedAt: sample.FirstObserved.AddDate(1, 0, 0),
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// The range read of versions has a limit; ids beyond it are read by key.
func TestSparseBatch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		all := sample.Batch(0, 1500, 0)
		upsert(t, store, false, all)
		var sparse []shopifysync.Contact
		for i := 0; i < len(all); i += 100 {
			sparse = append(sparse, all[i])
		}
		for range 3 { // by range with a limit, then by keys
			want := map[shopifysync.Outcome]int{shopifysync.Unchanged: len(sparse)}
			if diff := cmp.Diff(want, upsert(t, store, false, sparse)); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		}
	})
}

func TestTombstoneRowHoldsNothingPersonal(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.Store(t)
		c := sample.Contact(0, 1)
		c.Email, c.Phone = "jane@example.com", "+886912345678"
		c.Attributes = append(c.Attributes, shopifysync.TextAttribute("z.secret", "jane's note"))
		c.WhatsApp = &shopifysync.WhatsAppContact{Account: "wa-account", UserID: "886912345678", Name: "Jane"}
		upsert(t, store, false, []shopifysync.Contact{c})
		_, err := store.RemoveContacts(t.Context(), shopifysync.RemoveContactsParams{
			Connection: sample.Connection, Reason: shopifysync.RemovedRedacted, ObservedAt: c.Version.ObservedAt,
			Removals: []shopifysync.Removal{{CustomerID: c.CustomerID}},
		})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := db.DB.Query("SELECT * FROM " + db.Prefix + "contacts")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		kept := map[string]bool{"connection_id": true, "customer_id": true, "updated_at": true, "observed_at": true, "removed": true}
		for rows.Next() {
			cells, into := make([]sql.NullString, len(names)), make([]any, len(names))
			for i := range cells {
				into[i] = &cells[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for i, cell := range cells {
				empty := strings.Trim(cell.String, "[]{}0\x1f") == "" // \x1f: the column search separates by it
				if !kept[names[i]] && !empty {
					t.Errorf("column %s of a tombstone holds %q", names[i], cell.String)
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		var links int
		if err := db.DB.QueryRow("SELECT COUNT(*) FROM " + db.Prefix + "whatsapp_contacts").Scan(&links); err != nil || links != 0 {
			t.Errorf("%d WhatsApp contacts are left, %v", links, err)
		}
	})
}

func TestWhatsAppContactsAreShared(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		db := target.Open(t)
		store := db.Store(t)
		contacts := sample.Batch(0, 3, 0)
		for i := range contacts {
			contacts[i].WhatsApp = &shopifysync.WhatsAppContact{Account: "a", UserID: "886912345678", Name: "Jane"}
		}
		contacts[2].WhatsApp.UserID = "886987654321"
		upsert(t, store, false, contacts)
		var people, customers int
		err := db.DB.QueryRow("SELECT COUNT(*), SUM(customers) FROM "+db.Prefix+"whatsapp_contacts").Scan(&people, &customers)
		if err != nil || people != 2 || customers != 3 {
			t.Errorf("%d WhatsApp contacts of %d customers, %v; want 2 of 3", people, customers, err)
		}
	})
}

// A batch may be larger than one statement can be: 65,535 placeholders, or the
// server's max_allowed_packet.
func TestLargeBatch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		many := sample.Batch(0, 3000, 0)
		upsert(t, store, false, many)
		checkStored(t, store, many[2990:])

		long := sample.Batch(4000, 20, 0)
		for i := range long {
			note := strings.Repeat("長い'\\", 150_000) // 1.2 MB, and more once escaped
			long[i].Attributes = []shopifysync.Attribute{shopifysync.TextAttribute(shopifysync.AttrNote, note)}
		}
		upsert(t, store, false, long)
		checkStored(t, store, long[18:])
	})
}

// The largest number that is accepted fits every database's column, rounded; one
// that does not is refused, and the rest of its batch is stored.
func TestLargestNumber(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, target dbtest.Target) {
		store := target.Open(t).Store(t)
		spent := func(id shopifysync.CustomerID, amount string) shopifysync.Contact {
			return member(id, func(c *shopifysync.Contact) {
				c.Attributes = []shopifysync.Attribute{
					shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, amount),
					shopifysync.MoneyAttribute(shopifysync.AttrTotalSpent, shopifysync.Money{Amount: amount, Currency: "TWD"}),
				}
			})
		}
		nines := strings.Repeat("9", 31)
		result, err := store.UpsertContacts(t.Context(), shopifysync.UpsertContactsParams{
			Connection: sample.Connection,
			Contacts: []shopifysync.Contact{
				spent(1, nines+".9999999"), spent(2, "-"+nines+".9999999"), spent(3, "9"+nines+".9999999"), spent(4, "9"+nines), spent(5, "1"),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []shopifysync.Outcome
		for _, r := range result.Results {
			got = append(got, r.Outcome)
		}
		want := []shopifysync.Outcome{shopifysync.Created, shopifysync.Created, shopifysync.Refused, shopifysync.Refused, shopifysync.Created}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		stored, err := store.Contacts(t.Context(), shopifysync.ContactsParams{Connection: sample.Connection, IDs: []shopifysync.CustomerID{1}})
		if err != nil || len(stored.Contacts) != 1 || stored.Contacts[0].Attributes[0].Number != nines+".9999999" {
			t.Errorf("what is stored: %+v, %v", stored.Contacts, err)
		}
	})
}

// MySQL's columns of tags and attributes allow NULL: somebody else's hand does
// not make a contact unreadable.
func TestNullTags(t *testing.T) {
	for _, name := range []string{"mysql", "mysql-prepared"} {
		t.Run(name, func(t *testing.T) {
			target, err := dbtest.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			db := target.Open(t)
			store := db.Store(t)
			contact := member(7, func(c *shopifysync.Contact) { c.Tags = []string{"VIP"} })
			upsert(t, store, false, []shopifysync.Contact{contact})
			if _, err := db.DB.Exec("UPDATE " + db.Prefix + "contacts SET tags = NULL, attributes = NULL"); err != nil {
				t.Fatal(err)
			}
			got, err := store.Contacts(t.Context(), shopifysync.ContactsParams{Connection: sample.Connection, IDs: []shopifysync.CustomerID{7}})
			if err != nil || len(got.Contacts) != 1 || got.Contacts[0].Tags != nil || got.Contacts[0].Attributes != nil {
				t.Errorf("Contacts: %+v, %v", got.Contacts, err)
			}
			list, err := store.List(t.Context(), sqlstore.ListParams{Connection: sample.Connection, Limit: 1})
			if err != nil || len(list.Contacts) != 1 {
				t.Errorf("List: %d contacts, %v", len(list.Contacts), err)
			}
			contact.Version.UpdatedAt = contact.Version.UpdatedAt.Add(time.Second)
			contact.Version.ObservedAt = contact.Version.ObservedAt.Add(time.Second)
			contact.Tags = []string{"VIP", "gold"}
			upsert(t, store, false, []shopifysync.Contact{contact})
		})
	}
}
