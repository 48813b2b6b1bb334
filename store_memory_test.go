package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What every store must do is checked by package storetest, which has a test
// that runs it on MemoryStore. Here is what only MemoryStore does.

func TestMemoryStoreRefuses(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(*Contact)
		reason string
	}{
		{"other connection", func(c *Contact) { c.Connection = "other" }, "another connection"},
		{"no customer id", func(c *Contact) { c.CustomerID = 0 }, "no customer id"},
		{"tombstone", func(c *Contact) { c.Removed = RemovedDeleted }, "RemoveContacts"},
		{"invalid UTF-8", func(c *Contact) { c.Email = "ming\xff@example.com" }, "the e-mail holds"},
		{"NUL in an attribute", func(c *Contact) { c.Attributes[2].Text = "a\x00b" }, "the attribute shopify.note holds"},
		{"NUL in an attribute's key", func(c *Contact) { c.Attributes[2].Key = "a\x00b" }, "an attribute's key holds"},
		{"NUL in a tag", func(c *Contact) { c.Tags[0] = "\x00" }, "a tag holds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := NewMemoryStore()
			in := fullContact(1, 1)
			tt.spoil(&in)
			result, err := store.UpsertContacts(t.Context(), UpsertContactsParams{
				Connection: "c", Contacts: []Contact{in, live("bystander", 1, 1)},
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := result.Results[0]; got.Outcome != Refused || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("got %+v, want refused because of %q", got, tt.reason)
			}
			if got := result.Results[1]; got.Outcome != Created {
				t.Errorf("the other contact: got %+v, want created", got)
			}
		})
	}
}

// TestMemoryStoreCalls checks that a call that makes no sense is an error and
// does nothing.
func TestMemoryStoreCalls(t *testing.T) {
	store := NewMemoryStore()
	ctx := t.Context()
	stored := fullContact(1, 1)
	if _, err := store.UpsertContacts(ctx, UpsertContactsParams{Connection: "c", Contacts: []Contact{stored}}); err != nil {
		t.Fatal(err)
	}
	lease, err := store.AcquireLease(ctx, AcquireLeaseParams{Connection: "c", Kind: LeaseRun, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	removals := []Removal{{CustomerID: 1}}
	run := Run{ID: "run", Connection: "c"}
	calls := map[string]func() error{
		"a removal without a reason": func() error {
			_, err := store.RemoveContacts(ctx, RemoveContactsParams{Connection: "c", Removals: removals, ObservedAt: applyEpoch.Add(time.Hour)})
			return err
		},
		"a removal of all and some": func() error {
			_, err := store.RemoveContacts(ctx, RemoveContactsParams{
				Connection: "c", All: true, Removals: removals, Reason: RemovedDisconnected, ObservedAt: applyEpoch.Add(time.Hour),
			})
			return err
		},
		"a connection id that is empty": func() error {
			_, err := store.Contacts(ctx, ContactsParams{})
			return err
		},
		"a connection id that is too long": func() error {
			_, err := store.Contacts(ctx, ContactsParams{Connection: ConnectionID(strings.Repeat("x", 256))})
			return err
		},
		"a page of no ids": func() error {
			_, err := store.ContactIDs(ctx, ContactIDsParams{Connection: "c"})
			return err
		},
		"a page of no runs": func() error {
			_, err := store.Runs(ctx, RunsParams{Connection: "c"})
			return err
		},
		"a page of no marks": func() error {
			_, err := store.Marks(ctx, MarksParams{Connection: "c"})
			return err
		},
		"a page of no connections": func() error {
			_, err := store.ListConnections(ctx, ListConnectionsParams{})
			return err
		},
		"a lease that lasts no time": func() error {
			_, err := store.AcquireLease(ctx, AcquireLeaseParams{Connection: "c", Kind: LeaseDrain})
			return err
		},
		"a renewal that lasts no time": func() error {
			_, err := store.RenewLease(ctx, RenewLeaseParams{Lease: lease.Lease})
			return err
		},
		"a run without an ID": func() error {
			_, err := store.SaveRun(ctx, SaveRunParams{Lease: lease.Lease, Run: Run{Connection: "c"}})
			return err
		},
		"a run under another connection's lease": func() error {
			other := run
			other.Connection = "other"
			// A lease of the same epoch, which must not be taken for the one given.
			if _, err := store.AcquireLease(ctx, AcquireLeaseParams{Connection: "other", Kind: LeaseRun, TTL: time.Minute}); err != nil {
				t.Fatal(err)
			}
			_, err := store.SaveRun(ctx, SaveRunParams{Lease: lease.Lease, Run: other})
			return err
		},
		"a run under a lease of another kind": func() error {
			drain, err := store.AcquireLease(ctx, AcquireLeaseParams{Connection: "c", Kind: LeaseDrain, TTL: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			_, err = store.SaveRun(ctx, SaveRunParams{Lease: drain.Lease, Run: run})
			return err
		},
		"a mark without a customer": func() error {
			_, err := store.PutMarks(ctx, PutMarksParams{Connection: "c", Marks: []Mark{{Connection: "c", CustomerID: 1}, {Connection: "c"}}})
			return err
		},
		"a mark of another connection": func() error {
			_, err := store.PutMarks(ctx, PutMarksParams{Connection: "c", Marks: []Mark{{Connection: "other", CustomerID: 1}}})
			return err
		},
	}
	for name, call := range calls {
		if err := call(); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
	contacts, err := store.Contacts(ctx, ContactsParams{Connection: "c", IDs: []CustomerID{1}})
	if d := cmp.Diff([]Contact{stored}, contacts.Contacts); err != nil || d != "" {
		t.Errorf("%v; contacts (-want +got):\n%s", err, d)
	}
	runs, err := store.Runs(ctx, RunsParams{Connection: "c", Limit: 1})
	if err != nil || len(runs.Runs) != 0 {
		t.Errorf("%d runs were saved, %v", len(runs.Runs), err)
	}
	marks, err := store.Marks(ctx, MarksParams{Connection: "c", Limit: 1})
	if err != nil || marks.Open != 0 {
		t.Errorf("%d marks were put, %v", marks.Open, err)
	}
}

// TestMemoryStoreCancelled checks every method: a context that has ended ends
// the call with the context's own error.
func TestMemoryStoreCancelled(t *testing.T) {
	store := NewMemoryStore()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	lease := Lease{Connection: "c", Kind: LeaseRun, Epoch: 1}
	for name, call := range map[string]func() (any, error){
		"UpsertContacts": func() (any, error) { return store.UpsertContacts(ctx, UpsertContactsParams{Connection: "c"}) },
		"RemoveContacts": func() (any, error) {
			return store.RemoveContacts(ctx, RemoveContactsParams{Connection: "c", Reason: RemovedDeleted})
		},
		"Contacts":   func() (any, error) { return store.Contacts(ctx, ContactsParams{Connection: "c"}) },
		"ContactIDs": func() (any, error) { return store.ContactIDs(ctx, ContactIDsParams{Connection: "c", Limit: 1}) },
		"FindContacts": func() (any, error) {
			return store.FindContacts(ctx, FindContactsParams{Connection: "c"})
		},
		"AcquireLease": func() (any, error) {
			return store.AcquireLease(ctx, AcquireLeaseParams{Connection: "c", Kind: LeaseRun, TTL: 1})
		},
		"RenewLease":   func() (any, error) { return store.RenewLease(ctx, RenewLeaseParams{Lease: lease, TTL: 1}) },
		"ReleaseLease": func() (any, error) { return store.ReleaseLease(ctx, ReleaseLeaseParams{Lease: lease}) },
		"SaveRun": func() (any, error) {
			return store.SaveRun(ctx, SaveRunParams{Lease: lease, Run: Run{ID: "run", Connection: "c"}})
		},
		"Runs":             func() (any, error) { return store.Runs(ctx, RunsParams{Connection: "c", Limit: 1}) },
		"PutMarks":         func() (any, error) { return store.PutMarks(ctx, PutMarksParams{Connection: "c"}) },
		"Marks":            func() (any, error) { return store.Marks(ctx, MarksParams{Connection: "c", Limit: 1}) },
		"ClearMarks":       func() (any, error) { return store.ClearMarks(ctx, ClearMarksParams{Connection: "c"}) },
		"Connection":       func() (any, error) { return store.Connection(ctx, "c") },
		"SaveConnection":   func() (any, error) { return store.SaveConnection(ctx, SaveConnectionParams{Connection{ID: "c"}}) },
		"DeleteConnection": func() (any, error) { return store.DeleteConnection(ctx, DeleteConnectionParams{"c"}) },
		"ListConnections":  func() (any, error) { return store.ListConnections(ctx, ListConnectionsParams{Limit: 1}) },
		"ConnectionsByShop": func() (any, error) {
			return store.ConnectionsByShop(ctx, "my-shop.myshopify.com")
		},
	} {
		if _, err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got the error %v, want context.Canceled", name, err)
		}
	}
}

func TestMemoryStoreLeaseExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		acquire := func() (Lease, error) {
			result, err := store.AcquireLease(t.Context(), AcquireLeaseParams{Connection: "c", Kind: LeaseRun, Owner: "pod-1", TTL: time.Minute})
			return result.Lease, err
		}
		first, err := acquire()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute - time.Nanosecond)
		if _, err := acquire(); !errors.Is(err, ErrLeaseHeld) || !strings.Contains(err.Error(), "pod-1") {
			t.Errorf("before it expires: got %v, want %v and its holder", err, ErrLeaseHeld)
		}
		time.Sleep(time.Nanosecond)
		second, err := acquire()
		if err != nil || second.Epoch <= first.Epoch {
			t.Errorf("when it expires: got epoch %d after %d, %v", second.Epoch, first.Epoch, err)
		}
	})
}

func TestMemoryStoreContactsOnce(t *testing.T) {
	store := NewMemoryStore()
	want := []Contact{live("a", 1, 1)}
	if _, err := store.UpsertContacts(t.Context(), UpsertContactsParams{Connection: "c", Contacts: want}); err != nil {
		t.Fatal(err)
	}
	got, err := store.Contacts(t.Context(), ContactsParams{Connection: "c", IDs: []CustomerID{1, 2, 1}})
	if d := cmp.Diff(want, got.Contacts); err != nil || d != "" {
		t.Errorf("an id asked for twice: %v; contacts (-want +got):\n%s", err, d)
	}
}

func TestMemoryStoreForgetsClearedMarks(t *testing.T) {
	store := NewMemoryStore()
	for i := range 1000 {
		m := Mark{Connection: "c", CustomerID: CustomerID(1 + i%7)}
		if _, err := store.PutMarks(t.Context(), PutMarksParams{Connection: "c", Marks: []Mark{m}}); err != nil {
			t.Fatal(err)
		}
		result, err := store.Marks(t.Context(), MarksParams{Connection: "c", Limit: 10})
		if err != nil || len(result.Marks) != 1 {
			t.Fatalf("%d marks, want 1; %v", len(result.Marks), err)
		}
		if _, err := store.ClearMarks(t.Context(), ClearMarksParams{Connection: "c", Marks: result.Marks}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(store.state["c"].markIDs.ids); n > 10 {
		t.Errorf("the ids of %d cleared marks are still held", n)
	}
}

func TestStaticConnections(t *testing.T) {
	conns := StaticConnections(
		Connection{ID: "b", Shop: "first.myshopify.com"},
		Connection{ID: "a", Shop: "other.myshopify.com"},
		Connection{ID: "b", Shop: "second.myshopify.com"},
	)
	result, err := conns.ListConnections(t.Context(), ListConnectionsParams{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := []Connection{{ID: "a", Shop: "other.myshopify.com"}, {ID: "b", Shop: "second.myshopify.com"}}
	if d := cmp.Diff(want, result.Connections, cmp.AllowUnexported(Secret{})); d != "" {
		t.Errorf("connections (-want +got):\n%s", d)
	}
	if _, err := conns.Connection(t.Context(), "secret-looking\nid"); !errors.Is(err, ErrNotConnected) || strings.Contains(err.Error(), "\n") {
		t.Errorf("an unknown id: got %v", err)
	}
}

func ExampleStaticConnections() {
	conns := StaticConnections(Connection{
		ID:          "main",
		Shop:        "my-shop.myshopify.com",
		Credentials: Credentials{AccessToken: NewSecret("shpat_example")},
	})
	conn, err := conns.Connection(context.Background(), "main")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(conn.Shop, conn.Credentials.AccessToken)
	// Output: my-shop.myshopify.com REDACTED
}

const benchmarkContacts = 100_000

// benchmarkBatches returns 100,000 contacts in batches of 250, newest first as
// a run reads them.
func benchmarkBatches() [][]Contact {
	var all []Contact
	for id := CustomerID(benchmarkContacts); id > 0; id-- {
		c := fullContact(1, 1)
		c.CustomerID = id
		all = append(all, c)
	}
	return slices.Collect(slices.Chunk(all, 250))
}

func upsertBatches(b *testing.B, store *MemoryStore, batches [][]Contact) {
	for _, batch := range batches {
		if _, err := store.UpsertContacts(b.Context(), UpsertContactsParams{Connection: "c", Contacts: batch}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMemoryStoreUpsert(b *testing.B) {
	batches := benchmarkBatches()
	b.ReportAllocs()
	for b.Loop() {
		upsertBatches(b, NewMemoryStore(), batches)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchmarkContacts), "ns/contact")
}

func BenchmarkMemoryStoreUnchanged(b *testing.B) {
	batches := benchmarkBatches()
	store := NewMemoryStore()
	upsertBatches(b, store, batches)
	b.ReportAllocs()
	for b.Loop() {
		upsertBatches(b, store, batches)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchmarkContacts), "ns/contact")
}

func BenchmarkMemoryStoreContactIDs(b *testing.B) {
	store := NewMemoryStore()
	upsertBatches(b, store, benchmarkBatches())
	for b.Loop() {
		var after CustomerID
		for {
			result, err := store.ContactIDs(b.Context(), ContactIDsParams{Connection: "c", After: after, Limit: 1000})
			if err != nil {
				b.Fatal(err)
			}
			if len(result.IDs) < 1000 {
				break
			}
			after = result.IDs[len(result.IDs)-1]
		}
	}
}
