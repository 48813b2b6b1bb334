package shopifysync

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
	"github.com/omnichat/shopifysync/internal/bulk"
	"github.com/omnichat/shopifysync/internal/throttle"
	"github.com/omnichat/shopifysync/shopifytest"
)

// maxDecodeAllocs is the most allocations that a customer may cost on average,
// from the line of a bulk file to the contact. encoding/json takes some 35.
const maxDecodeAllocs = 16

// A lineBench turns lines of a bulk file into contacts, as a run does.
type lineBench struct {
	admin    *admin
	conn     Connection
	lines    [][]byte
	bytes    int64
	observed time.Time
}

// newLineBench reads the lines from a fake store's bulk file.
func newLineBench(tb testing.TB, customers int) *lineBench {
	tb.Helper()
	server := shopifytest.NewServer()
	defer server.Close()
	shop := server.AddStore(shopifytest.StoreConfig{Domain: "bench.myshopify.com", BulkSpeed: shopifytest.Unlimited})
	shop.Generate(customers, 1)
	conn := Connection{
		ID: "bench", Shop: "bench.myshopify.com",
		Credentials: Credentials{AccessToken: NewSecret(shop.Config().AccessToken)},
	}
	syncer, err := New(NewMemoryStore(), StaticConnections(conn), WithHTTPClient(server.Client()))
	if err != nil {
		tb.Fatal(err)
	}
	a, err := syncer.admin(conn, throttle.Run)
	if err != nil {
		tb.Fatal(err)
	}
	op, err := a.startBulk(tb.Context(), time.Time{})
	if err == nil {
		op, err = a.pollBulk(tb.Context(), op.id)
	}
	if err != nil {
		tb.Fatal(err)
	}
	file, err := bulk.Open(tb.Context(), bulk.OpenParams{URL: op.url, HTTPClient: server.Client()})
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	b := &lineBench{admin: a, conn: conn, observed: op.createdAt}
	for {
		line, err := file.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		b.lines = append(b.lines, bytes.Clone(line))
		b.bytes += int64(len(line)) + 1
	}
	if len(b.lines) != customers {
		tb.Fatalf("the file has %d lines, want %d", len(b.lines), customers)
	}
	return b
}

// contact is the way of a run.
func (b *lineBench) contact(line []byte) (Contact, string, error) {
	o, _ := b.admin.observeRaw(line, 0, 0, b.observed)
	m, err := b.admin.s.toContact(b.conn, o)
	return m.contact, m.skip, err
}

// contactByJSON is the same with encoding/json in place of [bulk.Decode].
func (b *lineBench) contactByJSON(line []byte) (Contact, string, error) {
	var c v2026_07.Customer
	if err := json.Unmarshal(line, &c); err != nil {
		return Contact{}, "", err
	}
	m, err := b.admin.s.toContact(b.conn, observe(&c, 0, 0, b.observed))
	return m.contact, m.skip, err
}

// BenchmarkDecodeMap makes contacts of the lines of a bulk file, by this
// library's decoder and by encoding/json into the same struct; one op is one
// customer.
func BenchmarkDecodeMap(b *testing.B) {
	bench := newLineBench(b, 5000)
	for _, way := range []struct {
		name    string
		contact func([]byte) (Contact, string, error)
	}{
		{"library", bench.contact},
		{"encoding-json", bench.contactByJSON},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(bench.bytes / int64(len(bench.lines)))
			i := 0
			for b.Loop() {
				if _, _, err := way.contact(bench.lines[i]); err != nil {
					b.Fatal(err)
				}
				if i++; i == len(bench.lines) {
					i = 0
				}
			}
		})
	}
}

// TestDecodeMapAllocations holds the number of allocations a customer, and
// that both ways of the benchmark do the same.
func TestDecodeMapAllocations(t *testing.T) {
	bench := newLineBench(t, 2000)
	for _, line := range bench.lines {
		got, reason, err := bench.contact(line)
		want, wantReason, wantErr := bench.contactByJSON(line)
		if err != nil || wantErr != nil || reason != wantReason {
			t.Fatalf("errors %v and %v, left out %q and %q", err, wantErr, reason, wantReason)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("contact by encoding/json (-) and by the library (+):\n%s", diff)
		}
	}
	all := testing.AllocsPerRun(5, func() {
		for _, line := range bench.lines {
			_, _, _ = bench.contact(line)
		}
	})
	if each := all / float64(len(bench.lines)); each > maxDecodeAllocs {
		t.Errorf("%.1f allocations a customer, want at most %d", each, maxDecodeAllocs)
	} else {
		t.Logf("%.1f allocations a customer", each)
	}
}
