package shopifysync

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A whole store is erased, whatever the clocks said when its contacts were
// observed; what a later Connect needs stays.
func TestEraseShop(t *testing.T) {
	for _, disconnected := range []bool{false, true} {
		ctx, store := t.Context(), NewMemoryStore()
		conn := Connection{ID: "c", Shop: "demo.myshopify.com", Credentials: Credentials{AccessToken: NewSecret("t")}}
		if _, err := store.SaveConnection(ctx, SaveConnectionParams{Connection: conn}); err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
		var contacts []Contact
		for i := range 2500 { // three pages; ever later, up to hours ahead
			at := now.Add(time.Duration(i-100) * time.Minute)
			contacts = append(contacts, Contact{Connection: "c", CustomerID: CustomerID(i + 1), Name: "Ann", Version: Version{UpdatedAt: now, ObservedAt: at}})
		}
		if _, err := store.UpsertContacts(ctx, UpsertContactsParams{Connection: "c", Contacts: contacts}); err != nil {
			t.Fatal(err)
		}
		if _, err := store.PutMarks(ctx, PutMarksParams{Connection: "c", Marks: []Mark{{Connection: "c", CustomerID: 1}}}); err != nil {
			t.Fatal(err)
		}
		state := ConnectionState{
			Connection: "c", ShopID: "gid://shopify/Shop/1", ConnectedAt: now, CaughtUpTo: now, RunAt: now, InStepAsOf: now, Customers: 2500,
			Pause:  &Pause{State: HealthUninstalled, Since: now},
			Health: Health{State: HealthUninstalled, Message: ErrUninstalled.Error(), Shop: ShopInfo{Name: "Demo"}},
		}
		if disconnected {
			state.Disconnected = &Disconnection{At: now, EraseBy: now.Add(time.Hour)}
		}
		if _, err := store.SaveConnectionState(ctx, SaveConnectionStateParams{State: state}); err != nil {
			t.Fatal(err)
		}
		var told []Erasure
		fails := errors.New("not now")
		s, err := New(store, store, WithClock(func() time.Time { return now }), WithPrivacyHandler(PrivacyHandler{
			Erase: func(_ context.Context, e Erasure) error {
				told = append(told, e)
				err := fails
				fails = nil
				return err
			},
		}))
		if err != nil {
			t.Fatal(err)
		}
		live := func() int {
			got, err := store.ContactIDs(ctx, ContactIDsParams{Connection: "c", Limit: 5000})
			if err != nil {
				t.Fatal(err)
			}
			return len(got.IDs)
		}
		if err := s.eraseShop(ctx, "c", (*ConnectionState).gone); err == nil || live() != 2500 {
			t.Errorf("the host failed: error %v, %d contacts", err, live())
		}
		for range 2 { // and once more
			if err := s.eraseShop(ctx, "c", (*ConnectionState).gone); err != nil {
				t.Fatal(err)
			}
		}
		if n := live(); n != 0 {
			t.Errorf("%d contacts are left", n)
		}
		if marks, err := store.Marks(ctx, MarksParams{Connection: "c", Limit: 1}); err != nil || marks.Open != 0 {
			t.Errorf("%+v, %v", marks, err)
		}
		want := ConnectionState{
			Connection: "c", ShopID: state.ShopID, ConnectedAt: now, Pause: state.Pause, ErasedAt: now,
			Health: Health{State: HealthUninstalled, Message: ErrUninstalled.Error()},
		}
		if disconnected {
			want.Disconnected = &Disconnection{At: now}
		}
		got, err := s.readState(ctx, "c")
		got.Revision = 0
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("disconnected %v: state (-want +got): %s %v", disconnected, diff, err)
		}
		erasure := Erasure{Connection: "c", Reason: RemovedShopRedacted, At: now}
		if diff := cmp.Diff([]Erasure{erasure, erasure, erasure}, told); diff != "" {
			t.Errorf("the host was told (-want +got): %s", diff)
		}
		if _, err := store.Connection(ctx, "c"); errors.Is(err, ErrNotConnected) != disconnected {
			t.Errorf("disconnected %v: the connection: %v", disconnected, err)
		}
		// A store that is connected again starts afresh.
		latest := now.Add(2500 * time.Minute)
		again, err := store.UpsertContacts(ctx, UpsertContactsParams{Connection: "c", Contacts: []Contact{
			{Connection: "c", CustomerID: 1, Version: Version{UpdatedAt: now, ObservedAt: latest}},
		}})
		if err != nil || again.Results[0].Outcome != Created {
			t.Errorf("%+v, %v", again, err)
		}
	}
}

// A store that was connected again before its erasure begins keeps everything;
// while it is being connected, whoever asked for the erasure must ask again.
func TestEraseShopOfOneConnectedAgain(t *testing.T) {
	ctx, store := t.Context(), NewMemoryStore()
	now := time.Now().UTC().Truncate(time.Millisecond)
	state := ConnectionState{Connection: "c", ConnectedAt: now, RunAt: now}
	if _, err := store.SaveConnectionState(ctx, SaveConnectionStateParams{State: state}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.UpsertContacts(ctx, UpsertContactsParams{Connection: "c", Contacts: []Contact{
		{Connection: "c", CustomerID: 1, Version: Version{UpdatedAt: now, ObservedAt: now}},
	}}); err != nil {
		t.Fatal(err)
	}
	s, err := New(store, store, WithPrivacyHandler(PrivacyHandler{
		Erase: func(context.Context, Erasure) error { t.Error("the host was told to erase"); return nil },
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.eraseShop(ctx, "c", (*ConnectionState).gone); err != nil {
		t.Error(err)
	}
	lease, err := store.AcquireLease(ctx, AcquireLeaseParams{Connection: "c", Kind: LeaseCheck, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.eraseShop(ctx, "c", func(*ConnectionState) bool { return true }); !errors.Is(err, ErrSyncInProgress) {
		t.Errorf("during a Connect: %v", err)
	}
	if _, err := store.ReleaseLease(ctx, ReleaseLeaseParams(lease)); err != nil {
		t.Fatal(err)
	}
	got, err := store.ContactIDs(ctx, ContactIDsParams{Connection: "c", Limit: 10})
	if st, stateErr := s.readState(ctx, "c"); err != nil || stateErr != nil || len(got.IDs) != 1 || !st.RunAt.Equal(now) {
		t.Errorf("%d contacts, %+v, %v %v", len(got.IDs), st, err, stateErr)
	}
}

// A store that goes on being written to is not erased for ever.
func TestEraseShopGivesUp(t *testing.T) {
	store := restless{NewMemoryStore()}
	s, err := New(store, StaticConnections())
	if err != nil {
		t.Fatal(err)
	}
	var host *hostError
	if err := s.eraseShop(t.Context(), "c", func(*ConnectionState) bool { return true }); !errors.As(err, &host) {
		t.Errorf("error %v", err)
	}
}

// A restless store is written to after each removal.
type restless struct{ *MemoryStore }

func (r restless) RemoveContacts(ctx context.Context, p RemoveContactsParams) (RemoveContactsResult, error) {
	got, err := r.MemoryStore.RemoveContacts(ctx, p)
	if err != nil {
		return got, err
	}
	_, err = r.UpsertContacts(ctx, UpsertContactsParams{Connection: "c", Contacts: []Contact{
		{Connection: "c", CustomerID: 1, Version: Version{UpdatedAt: p.ObservedAt, ObservedAt: p.ObservedAt.Add(time.Second)}},
	}})
	return got, err
}

// Whoever is found by e-mail or phone is found once.
func TestFindPeople(t *testing.T) {
	store := NewMemoryStore()
	_, err := store.UpsertContacts(t.Context(), UpsertContactsParams{Connection: "c", Contacts: []Contact{
		{Connection: "c", CustomerID: 2, Email: "Ann@example.com", Phone: "+886912345678"},
		{Connection: "c", CustomerID: 1, Phone: "+886912345678"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(store, store)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		email, phone string
		want         []CustomerID
	}{
		{"ann@example.com", "", []CustomerID{2}},
		{"ann@example.com", "+886 912 345 678", []CustomerID{1, 2}},
		{"", "", nil},
	}
	for _, tt := range tests {
		got, err := s.findPeople(t.Context(), "c", tt.email, tt.phone)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%q %q (-want +got): %s %v", tt.email, tt.phone, diff, err)
		}
	}
}
