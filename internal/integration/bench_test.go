package integration

import (
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/internal/integration/sample"
	"github.com/omnichat/shopifysync/sqlstore"
)

// Ratios against what the databases can do at best are measured by
// bench/stores.

func eachBench(b *testing.B, f func(b *testing.B, store *sqlstore.Store)) {
	eachDatabase(b, func(b *testing.B, _ *dbtest.Database, store *sqlstore.Store) { f(b, store) })
}

func eachDatabase(b *testing.B, f func(b *testing.B, db *dbtest.Database, store *sqlstore.Store)) {
	for _, target := range dbtest.Targets {
		b.Run(target.Name, func(b *testing.B) {
			db := target.Open(b)
			f(b, db, db.Store(b))
		})
	}
}

const benchBatch = 1000

func BenchmarkFirstLoad(b *testing.B) {
	eachBench(b, func(b *testing.B, store *sqlstore.Store) {
		first := 0
		for b.Loop() {
			upsert(b, store, false, sample.Batch(first, benchBatch, 0))
			first += benchBatch
		}
		b.ReportMetric(float64(benchBatch*b.N)/b.Elapsed().Seconds(), "contacts/s")
	})
}

func BenchmarkUnchanged(b *testing.B) {
	eachBench(b, func(b *testing.B, store *sqlstore.Store) {
		batch := sample.Batch(0, benchBatch, 0)
		upsert(b, store, false, batch)
		for b.Loop() {
			upsert(b, store, false, batch)
		}
		b.ReportMetric(float64(benchBatch*b.N)/b.Elapsed().Seconds(), "contacts/s")
	})
}

func BenchmarkAllChanged(b *testing.B) {
	eachBench(b, func(b *testing.B, store *sqlstore.Store) {
		upsert(b, store, false, sample.Batch(0, benchBatch, 0))
		revision := 0
		for b.Loop() {
			revision++
			upsert(b, store, false, sample.Batch(0, benchBatch, revision))
		}
		b.ReportMetric(float64(benchBatch*b.N)/b.Elapsed().Seconds(), "contacts/s")
	})
}

// BenchmarkPutMark is what a webhook waits for.
func BenchmarkPutMark(b *testing.B) {
	eachBench(b, func(b *testing.B, store *sqlstore.Store) {
		id := shopifysync.CustomerID(0)
		for b.Loop() {
			id++
			_, err := store.PutMarks(b.Context(), shopifysync.PutMarksParams{
				Connection: sample.Connection,
				Marks:      []shopifysync.Mark{{Connection: sample.Connection, CustomerID: id, NotBefore: time.Now(), Reason: "customers/update"}},
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkList lists the first page out of 100,000 contacts.
func BenchmarkList(b *testing.B) {
	eachDatabase(b, func(b *testing.B, db *dbtest.Database, store *sqlstore.Store) {
		for first := 0; first < 100_000; first += 5000 {
			upsert(b, store, false, sample.Batch(first, 5000, 0))
		}
		if db.Dialect == sqlstore.Postgres { // autovacuum does it within a minute or two
			if _, err := db.DB.Exec("VACUUM ANALYZE " + db.Prefix + "contacts"); err != nil {
				b.Fatal(err)
			}
		}
		for name, p := range map[string]sqlstore.ListParams{
			"all":               {},
			"search, many":      {Search: "example"},
			"search, few":       {Search: "user12345"},
			"search, Chinese":   {Search: "陳小明"},
			"search, phone":     {Search: "0912 345"},
			"tag":               {Tag: "gold"},
			"orders":            {Attributes: []sqlstore.AttributeFilter{{Key: shopifysync.AttrOrdersCount, Min: "35"}}},
			"spent and consent": {Attributes: []sqlstore.AttributeFilter{{Key: shopifysync.AttrTotalSpent, Min: "1000", Max: "2000"}, {Key: shopifysync.AttrEmailConsent, State: shopifysync.ConsentSubscribed}}},
		} {
			b.Run(name, func(b *testing.B) {
				p.Limit = 50
				for b.Loop() {
					listed(b, store, p)
				}
			})
		}
	})
}

func BenchmarkFindContacts(b *testing.B) {
	eachBench(b, func(b *testing.B, store *sqlstore.Store) {
		upsert(b, store, false, sample.Batch(0, 10_000, 0))
		email := sample.Contact(1, 0).Email
		for b.Loop() {
			_, err := store.FindContacts(b.Context(), shopifysync.FindContactsParams{Connection: sample.Connection, Email: email, Phone: "+886900000000"})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
