package shopifysync_test

import (
	"context"
	"net/http"
	"sync"

	"github.com/omnichat/shopifysync"
)

// A boundary is everything that a Syncer calls outside of itself: its stores
// and the network. Each call is a step, so that the code itself lists what it
// does: a test hooks in at any of them, and sees whatever is called afterwards.
type boundary struct {
	*shopifysync.MemoryStore
	conns     shopifysync.ConnectionStore
	transport http.RoundTripper

	mu    sync.Mutex
	steps []string
	// at is called before the step of that number, from 0; an error ends it.
	at func(n int, step string) error
}

func (b *boundary) step(name string) error {
	b.mu.Lock()
	n := len(b.steps)
	b.steps = append(b.steps, name)
	at := b.at
	b.mu.Unlock()
	if at == nil {
		return nil
	}
	return at(n, name)
}

// trace returns the steps so far.
func (b *boundary) trace() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.steps...)
}

// hook calls at before each further step; they are counted from 0.
func (b *boundary) hook(at func(n int, step string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.steps, b.at = nil, at
}

func step[P, R any](b *boundary, name string, call func(context.Context, P) (R, error)) func(context.Context, P) (R, error) {
	return func(ctx context.Context, p P) (R, error) {
		if err := b.step(name); err != nil {
			var none R
			return none, err
		}
		return call(ctx, p)
	}
}

func (b *boundary) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := b.step("request"); err != nil {
		return nil, err
	}
	return b.transport.RoundTrip(r)
}

func (b *boundary) UpsertContacts(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
	return step(b, "UpsertContacts", b.MemoryStore.UpsertContacts)(ctx, p)
}

func (b *boundary) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	return step(b, "RemoveContacts", b.MemoryStore.RemoveContacts)(ctx, p)
}

func (b *boundary) Contacts(ctx context.Context, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
	return step(b, "Contacts", b.MemoryStore.Contacts)(ctx, p)
}

func (b *boundary) ContactIDs(ctx context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
	return step(b, "ContactIDs", b.MemoryStore.ContactIDs)(ctx, p)
}

func (b *boundary) AcquireLease(ctx context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
	return step(b, "AcquireLease", b.MemoryStore.AcquireLease)(ctx, p)
}

func (b *boundary) RenewLease(ctx context.Context, p shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error) {
	return step(b, "RenewLease", b.MemoryStore.RenewLease)(ctx, p)
}

func (b *boundary) ReleaseLease(ctx context.Context, p shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
	return step(b, "ReleaseLease", b.MemoryStore.ReleaseLease)(ctx, p)
}

func (b *boundary) SaveRun(ctx context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
	return step(b, "SaveRun", b.MemoryStore.SaveRun)(ctx, p)
}

func (b *boundary) Runs(ctx context.Context, p shopifysync.RunsParams) (shopifysync.RunsResult, error) {
	return step(b, "Runs", b.MemoryStore.Runs)(ctx, p)
}

func (b *boundary) PutMarks(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
	return step(b, "PutMarks", b.MemoryStore.PutMarks)(ctx, p)
}

func (b *boundary) Marks(ctx context.Context, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
	return step(b, "Marks", b.MemoryStore.Marks)(ctx, p)
}

func (b *boundary) ClearMarks(ctx context.Context, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
	return step(b, "ClearMarks", b.MemoryStore.ClearMarks)(ctx, p)
}

func (b *boundary) PostponeMarks(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
	return step(b, "PostponeMarks", b.MemoryStore.PostponeMarks)(ctx, p)
}

func (b *boundary) ConnectionState(ctx context.Context, p shopifysync.ConnectionStateParams) (shopifysync.ConnectionStateResult, error) {
	return step(b, "ConnectionState", b.MemoryStore.ConnectionState)(ctx, p)
}

func (b *boundary) SaveConnectionState(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
	return step(b, "SaveConnectionState", b.MemoryStore.SaveConnectionState)(ctx, p)
}

func (b *boundary) ForgetConnection(ctx context.Context, p shopifysync.ForgetConnectionParams) (shopifysync.ForgetConnectionResult, error) {
	return step(b, "ForgetConnection", b.MemoryStore.ForgetConnection)(ctx, p)
}

// boundaryConnections are the connections of a boundary.
type boundaryConnections struct{ b *boundary }

func (c boundaryConnections) Connection(ctx context.Context, id shopifysync.ConnectionID) (shopifysync.Connection, error) {
	return step(c.b, "Connection", c.b.conns.Connection)(ctx, id)
}

func (c boundaryConnections) ConnectionsByShop(ctx context.Context, shop shopifysync.Shop) ([]shopifysync.Connection, error) {
	return step(c.b, "ConnectionsByShop", c.b.conns.ConnectionsByShop)(ctx, shop)
}

func (c boundaryConnections) SaveConnection(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
	return step(c.b, "SaveConnection", c.b.conns.SaveConnection)(ctx, p)
}

func (c boundaryConnections) DeleteConnection(ctx context.Context, p shopifysync.DeleteConnectionParams) (shopifysync.DeleteConnectionResult, error) {
	return step(c.b, "DeleteConnection", c.b.conns.DeleteConnection)(ctx, p)
}

func (c boundaryConnections) ListConnections(ctx context.Context, p shopifysync.ListConnectionsParams) (shopifysync.ListConnectionsResult, error) {
	return step(c.b, "ListConnections", c.b.conns.ListConnections)(ctx, p)
}

// boundary returns a Syncer all of whose calls are steps.
func (w *world) boundary(opts ...shopifysync.Option) (*shopifysync.Syncer, *boundary) {
	w.t.Helper()
	b := &boundary{MemoryStore: w.store, conns: w.connectable(), transport: w.server.Client().Transport}
	opts = append([]shopifysync.Option{
		shopifysync.WithHTTPClient(&http.Client{Transport: b}), shopifysync.WithWebhookURL(hookURL), shopifysync.WithStateStore(b),
	}, opts...)
	s, err := shopifysync.New(b, boundaryConnections{b}, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return s, b
}
