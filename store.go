package shopifysync

import (
	"context"
	"time"
)

// A ContactStore keeps contacts. Another team's table becomes one by four
// methods; package storetest checks an implementation against this contract.
//
// Implementations MUST be safe for concurrent use, MUST keep connections
// apart (every method names one), and MUST compare keys byte for byte.
// Methods MUST NOT change the values passed in, nor keep them. A returned
// error means that nothing of the call was stored, and the call may be
// repeated. Times MUST be kept to the millisecond at least.
type ContactStore interface {
	// UpsertContacts stores a batch. For each contact, in the order given, the
	// outcome and what is stored MUST be those of [Apply]; a contact may occur
	// twice. An Unchanged contact whose UpdatedAt is the stored one SHOULD cost
	// no write unless p.Touch is set, which MUST advance its version.
	//
	// A contact that can never be stored (a NUL in a text, an over-long value)
	// MUST be [Refused] with a reason that holds nothing personal, and the rest
	// of the batch MUST be stored.
	UpsertContacts(ctx context.Context, p UpsertContactsParams) (UpsertContactsResult, error)

	// RemoveContacts turns contacts into tombstones, as [Apply] does with a
	// contact whose Removed is set: only an observation later than
	// p.ObservedAt brings one back, and none brings back a redacted one. A
	// contact never seen MUST get a tombstone too, except for [RemovedSkipped].
	// A tombstone MUST keep nothing personal. p.All applies to tombstones, too.
	// A removal without a reason MUST be an error.
	RemoveContacts(ctx context.Context, p RemoveContactsParams) (RemoveContactsResult, error)

	// Contacts returns what is stored under the ids, tombstones included, in
	// no particular order; ids never seen are left out. Attributes and Tags
	// MUST come sorted.
	Contacts(ctx context.Context, p ContactsParams) (ContactsResult, error)

	// ContactIDs returns the ids of live contacts in ascending order, those
	// greater than p.After, at most p.Limit. A page shorter than p.Limit is the
	// last one.
	ContactIDs(ctx context.Context, p ContactIDsParams) (ContactIDsResult, error)
}

// UpsertContactsParams are the arguments of [ContactStore.UpsertContacts].
type UpsertContactsParams struct {
	Connection ConnectionID
	Contacts   []Contact // each with this Connection, a CustomerID and a Version; never tombstones
	Touch      bool      // advance the version of unchanged contacts
}

// UpsertContactsResult is what [ContactStore.UpsertContacts] returns.
type UpsertContactsResult struct {
	Results []UpsertResult // one per contact, in the order given
}

// An UpsertResult tells what became of one contact.
type UpsertResult struct {
	Outcome Outcome // Created, Updated, Unchanged, Stale or Refused
	Reason  string  // why it was Refused; nothing personal
}

// RemoveContactsParams are the arguments of [ContactStore.RemoveContacts].
type RemoveContactsParams struct {
	Connection ConnectionID
	Removals   []Removal
	// All removes every contact of the connection instead; Removals is empty
	// then, and Reason is RemovedShopRedacted or RemovedDisconnected.
	All        bool
	Reason     RemovalReason
	ObservedAt time.Time // by Shopify's clock; milliseconds
}

// A Removal names a contact to remove.
type Removal struct {
	CustomerID CustomerID
	MergedInto CustomerID // the survivor, with RemovedMerged
}

// RemoveContactsResult is what [ContactStore.RemoveContacts] returns.
type RemoveContactsResult struct {
	Outcomes []Outcome // one per removal: Removed, Unchanged or Stale; nil for All
	Removed  int64     // how many live contacts were removed
}

// ContactsParams are the arguments of [ContactStore.Contacts].
type ContactsParams struct {
	Connection ConnectionID
	IDs        []CustomerID // at most 1,000
}

// ContactsResult is what [ContactStore.Contacts] returns.
type ContactsResult struct{ Contacts []Contact }

// ContactIDsParams are the arguments of [ContactStore.ContactIDs].
type ContactIDsParams struct {
	Connection ConnectionID
	After      CustomerID // exclusive; 0: from the start
	Limit      int        // at least 1
}

// ContactIDsResult is what [ContactStore.ContactIDs] returns.
type ContactIDsResult struct{ IDs []CustomerID }

// An Outcome tells what became of one contact.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"   // it was not there, or came back after a removal
	Updated   Outcome = "updated"   // its content changed
	Unchanged Outcome = "unchanged" // its content is the same; the version may have advanced
	Stale     Outcome = "stale"     // something newer is stored, or a tombstone that stays
	Removed   Outcome = "removed"   // it became a tombstone
	Refused   Outcome = "refused"   // it can never be stored
)

// A RemovalReason tells why a contact is gone.
type RemovalReason string

// The reasons. When two removals bear the same time, the later in this list wins.
const (
	RemovedSkipped      RemovalReason = "skipped"      // a mapper left it out
	RemovedDisconnected RemovalReason = "disconnected" // the connection was removed with its contacts
	RemovedDeleted      RemovalReason = "deleted"      // Shopify no longer has the customer
	RemovedMerged       RemovalReason = "merged"       // merged into another customer
	RemovedShopRedacted RemovalReason = "shop redacted"
	RemovedRedacted     RemovalReason = "redacted" // never comes back
)

// A StateStore keeps what the library needs to know between calls: leases,
// runs with their checkpoints, and marks. It grows in minor versions: use
// [MemoryStore] or package sqlstore rather than writing one. Implementations
// MUST be safe for concurrent use.
type StateStore interface {
	// AcquireLease takes the lease of that connection and kind if nobody holds
	// it or its holder let it expire, by the store's own clock. The epoch
	// grows with each holder. Otherwise the error matches [ErrLeaseHeld].
	AcquireLease(ctx context.Context, p AcquireLeaseParams) (AcquireLeaseResult, error)
	// RenewLease extends the lease by p.TTL from now. The error matches
	// [ErrLeaseLost] when another holder took it, even if that one ended since.
	// One that expired but was taken by nobody is renewed.
	RenewLease(ctx context.Context, p RenewLeaseParams) (RenewLeaseResult, error)
	// ReleaseLease ends the lease; one that is lost already is no error.
	ReleaseLease(ctx context.Context, p ReleaseLeaseParams) (ReleaseLeaseResult, error)

	// SaveRun creates or replaces the run of that ID. The error matches
	// [ErrLeaseLost], and nothing is stored, when the lease's epoch is not the
	// latest.
	SaveRun(ctx context.Context, p SaveRunParams) (SaveRunResult, error)
	// Runs returns the connection's runs, the latest StartedAt first.
	Runs(ctx context.Context, p RunsParams) (RunsResult, error)

	// PutMarks adds marks. A customer that has one keeps one: its Generation
	// grows by one, NotBefore becomes the earlier, Floor the later, Attempts the
	// one given, for old failures say nothing about what is new, and Reason and
	// MergedInto those given unless zero. But the Reason "customers/delete"
	// stays: nobody who was deleted comes back.
	PutMarks(ctx context.Context, p PutMarksParams) (PutMarksResult, error)
	// Marks returns marks by ascending customer id, those after p.After, at
	// most p.Limit; with p.DueBy set, only those whose NotBefore is not later.
	Marks(ctx context.Context, p MarksParams) (MarksResult, error)
	// ClearMarks deletes marks whose Generation is still the one given.
	ClearMarks(ctx context.Context, p ClearMarksParams) (ClearMarksResult, error)
	// PostponeMarks sets NotBefore, Attempts and Reason of marks whose
	// Generation is still the one given, which stays as it is.
	PostponeMarks(ctx context.Context, p PostponeMarksParams) (PostponeMarksResult, error)
	// DueConnections returns the connections that have a mark whose NotBefore
	// is not later than p.DueBy, by ascending ID (byte order), those after
	// p.After, at most p.Limit.
	DueConnections(ctx context.Context, p DueConnectionsParams) (DueConnectionsResult, error)

	// ConnectionState returns what was last saved of a connection; if nothing
	// was, a state with its Connection alone.
	ConnectionState(ctx context.Context, p ConnectionStateParams) (ConnectionStateResult, error)
	// SaveConnectionState replaces the state if its Revision is the stored one
	// (0 if nothing is stored), and makes the Revision one greater. Otherwise
	// nothing is stored and the error matches [ErrStateConflict].
	SaveConnectionState(ctx context.Context, p SaveConnectionStateParams) (SaveConnectionStateResult, error)
	// ForgetConnection deletes the connection's runs and marks. Its leases keep
	// their epochs, and its state stays.
	ForgetConnection(ctx context.Context, p ForgetConnectionParams) (ForgetConnectionResult, error)
}

// A LeaseKind is one of the jobs of which only one runs per connection.
type LeaseKind string

// The kinds of lease.
const (
	LeaseRun     LeaseKind = "run"
	LeaseCatchUp LeaseKind = "catch-up"
	LeaseDrain   LeaseKind = "drain"
	LeaseCheck   LeaseKind = "check" // of webhook subscriptions
)

// A Lease is the right to do one kind of job for one connection.
type Lease struct {
	Connection ConnectionID
	Kind       LeaseKind
	Epoch      int64 // grows with each holder; fences off the earlier ones
}

// AcquireLeaseParams are the arguments of [StateStore.AcquireLease].
type AcquireLeaseParams struct {
	Connection ConnectionID
	Kind       LeaseKind
	Owner      string        // for people to read: who holds it
	TTL        time.Duration // more than 0
}

// AcquireLeaseResult is what [StateStore.AcquireLease] returns.
type AcquireLeaseResult struct{ Lease Lease }

// RenewLeaseParams are the arguments of [StateStore.RenewLease].
type RenewLeaseParams struct {
	Lease Lease
	TTL   time.Duration
}

// RenewLeaseResult is what [StateStore.RenewLease] returns.
type RenewLeaseResult struct{}

// ReleaseLeaseParams are the arguments of [StateStore.ReleaseLease].
type ReleaseLeaseParams struct{ Lease Lease }

// ReleaseLeaseResult is what [StateStore.ReleaseLease] returns.
type ReleaseLeaseResult struct{}

// A Run is the record of a full run.
type Run struct {
	ID         string // unique; opaque
	Connection ConnectionID
	State      RunState
	StartedAt  time.Time // milliseconds
	UpdatedAt  time.Time // when it was last saved; milliseconds
	Report     Report    // so far, or final
	Progress   Progress
	// Checkpoint is what a later process needs to go on; opaque, at most 64 KiB.
	// Empty once the run has ended.
	Checkpoint []byte
	// Error is the text of what ended it; holds nothing personal.
	Error string
}

// A RunState tells how far a run is.
type RunState string

// The states of a run. A Running one whose lease has expired was cut off and
// is resumed by the next Sync.
const (
	RunRunning   RunState = "running"
	RunPaused    RunState = "paused"    // its budget was used up, or its context ended: the next Sync goes on
	RunCancelled RunState = "cancelled" // by [ErrCancelled]: the next Sync goes on, but Serve does not by itself
	RunCompleted RunState = "completed"
	RunFailed    RunState = "failed"
)

// SaveRunParams are the arguments of [StateStore.SaveRun].
type SaveRunParams struct {
	Lease Lease // of kind LeaseRun
	Run   Run
}

// SaveRunResult is what [StateStore.SaveRun] returns.
type SaveRunResult struct{}

// RunsParams are the arguments of [StateStore.Runs].
type RunsParams struct {
	Connection ConnectionID
	Limit      int // at least 1
}

// RunsResult is what [StateStore.Runs] returns.
type RunsResult struct{ Runs []Run }

// A Mark says that a customer is to be fetched anew.
type Mark struct {
	Connection ConnectionID
	CustomerID CustomerID
	Generation int64     // grows each time the mark is put; set by the store
	NotBefore  time.Time // not to be fetched earlier; milliseconds
	Attempts   int       // how often it failed so far
	Reason     string    // why it is there; nothing personal; at most 255 bytes
	Floor      time.Time // an older observation does not clear it; zero: any does
	MergedInto CustomerID
}

// PutMarksParams are the arguments of [StateStore.PutMarks].
type PutMarksParams struct {
	Connection ConnectionID
	Marks      []Mark
}

// PutMarksResult is what [StateStore.PutMarks] returns.
type PutMarksResult struct{}

// MarksParams are the arguments of [StateStore.Marks].
type MarksParams struct {
	Connection ConnectionID
	DueBy      time.Time // zero: all
	After      CustomerID
	Limit      int // at least 1
}

// MarksResult is what [StateStore.Marks] returns.
type MarksResult struct {
	Marks []Mark
	Open  int64 // how many the connection has in all, due or not
}

// ClearMarksParams are the arguments of [StateStore.ClearMarks].
type ClearMarksParams struct {
	Connection ConnectionID
	Marks      []Mark // CustomerID and Generation count
}

// ClearMarksResult is what [StateStore.ClearMarks] returns.
type ClearMarksResult struct{ Cleared int64 }

// PostponeMarksParams are the arguments of [StateStore.PostponeMarks].
type PostponeMarksParams struct {
	Connection ConnectionID
	Marks      []Mark // CustomerID, Generation, NotBefore, Attempts and Reason count
}

// PostponeMarksResult is what [StateStore.PostponeMarks] returns.
type PostponeMarksResult struct{ Postponed int64 }

// DueConnectionsParams are the arguments of [StateStore.DueConnections].
type DueConnectionsParams struct {
	DueBy time.Time
	After ConnectionID // exclusive; empty: from the start
	Limit int          // at least 1
}

// DueConnectionsResult is what [StateStore.DueConnections] returns.
type DueConnectionsResult struct{ Connections []ConnectionID }

// ConnectionStateParams are the arguments of [StateStore.ConnectionState].
type ConnectionStateParams struct{ Connection ConnectionID }

// ConnectionStateResult is what [StateStore.ConnectionState] returns.
type ConnectionStateResult struct{ State ConnectionState }

// SaveConnectionStateParams are the arguments of [StateStore.SaveConnectionState].
type SaveConnectionStateParams struct{ State ConnectionState }

// SaveConnectionStateResult is what [StateStore.SaveConnectionState] returns.
type SaveConnectionStateResult struct{ Revision int64 }

// ForgetConnectionParams are the arguments of [StateStore.ForgetConnection].
type ForgetConnectionParams struct{ Connection ConnectionID }

// ForgetConnectionResult is what [StateStore.ForgetConnection] returns.
type ForgetConnectionResult struct{}
