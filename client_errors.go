package shopifysync

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinel errors, to be matched with [errors.Is]. The texts say what to do
// next; none holds a token or personal data.
var (
	// ErrInvalidShop: the text is not a myshopify.com store.
	ErrInvalidShop = errors.New("not a Shopify store address: it must be https://{store_name}.myshopify.com; find it in the Shopify admin under Settings, Domains")
	// ErrNotConnected: there is no connection of that id.
	ErrNotConnected = errors.New("not connected: connect the store first")
	// ErrInvalidConnection: a field of the connection is missing or malformed.
	ErrInvalidConnection = errors.New("the connection is not usable")
	// ErrUnauthorized: Shopify refused the token (401), or did not give one.
	ErrUnauthorized = errors.New("the credentials were refused by Shopify: check the access token, or the client ID and secret, and that the app is still installed; then reauthorise")
	// ErrAppNotInstalled: the app behind the client credentials is not installed on this store.
	ErrAppNotInstalled = errors.New("the app is not installed on this store: install it from the Dev Dashboard, then connect again")
	// ErrOtherOrganization: client credentials work only inside one Shopify organisation.
	ErrOtherOrganization = errors.New("the app belongs to another Shopify organisation than the store: create it in the store's own organisation")
	// ErrScopeMissing: the token lacks a scope; [MissingScopesError] lists them.
	ErrScopeMissing = errors.New("the app lacks an access scope: grant read_customers, reinstall the app and connect again")
	// ErrProtectedData: Shopify refuses customers' personal data to this app.
	ErrProtectedData = errors.New("customers' personal data is not shown to this app on this plan: use a Dev Dashboard app (client ID and secret, no token)")
	// ErrShopNotFound: no store answers under that name.
	ErrShopNotFound = errors.New("no Shopify store has this name: check the spelling of {store_name}.myshopify.com in the Shopify admin under Settings, Domains")
	// ErrAnotherStore: the connection belongs to another store (shop.id) than the one that answers.
	ErrAnotherStore = errors.New("this connection belongs to another Shopify store: connect a new store under a connection of its own")
	// ErrShopTaken: another connection is of the same store, and [WithOneConnectionPerShop] forbids that.
	ErrShopTaken = errors.New("this Shopify store is connected already under another connection: disconnect that one first, or go on with it")
	// ErrShopMoved: the store answers under another name, or another store does.
	ErrShopMoved = errors.New("this store now answers under another myshopify.com name: edit the connection to the new name")
	// ErrUninstalled: Shopify refused the token after it said that the app was uninstalled.
	ErrUninstalled = errors.New("the app was uninstalled from the store, so nothing is sent to it: contacts stay; install the app again and connect")
	// ErrShopFrozen: 402, the merchant has not paid Shopify.
	ErrShopFrozen = errors.New("the store is frozen by Shopify for an unpaid bill: nothing is lost; sync again when the merchant has settled it")
	// ErrShopLocked: 423, Shopify locked the store.
	ErrShopLocked = errors.New("the store is locked by Shopify: nothing is lost; the merchant must ask Shopify's support")
	// ErrThrottled: Shopify's rate limit held on for longer than the retries; see [RetryAfter].
	ErrThrottled = errors.New("the rate limit of Shopify was reached and did not clear in time: try again later")
	// ErrUnavailable: Shopify did not answer, or answered with an error of its own (5xx), for longer than the retries.
	ErrUnavailable = errors.New("no usable answer from Shopify, or an error of its own: try again later")
	// ErrSyncInProgress: another run holds this connection's lease.
	ErrSyncInProgress = errors.New("a sync of this connection is already running: wait for it, or for its lease to expire")
	// ErrCancelled, as the cause of a run's context ([context.WithCancelCause]),
	// says that somebody does not want the run to go on: [Syncer.Serve] then
	// leaves the store's next full run to its regular time, at least a day
	// ([WithFullEvery]) later. [Hooks].SyncStart gives a host the contexts of runs
	// that it did not begin itself. What was read is kept; the next Sync
	// goes on inside a bulk file, for at most 24 hours, and else reads from the start.
	ErrCancelled = errors.New("the sync was cancelled, and what was read is kept: sync again when it suits; a large store goes on where it stopped, a small one is read again")
	// ErrIncomplete: the run could not prove that it saw every customer. Rows
	// written stay, for they are true; nothing was removed.
	ErrIncomplete = errors.New("the run did not see every customer, so nothing was removed: sync again")
	// ErrMassRemoval: a sweep would remove an implausible share of the contacts;
	// [MassRemovalError] has the numbers.
	ErrMassRemoval = errors.New("too many customers are gone from Shopify at once, so nothing was removed: check the store, then raise MaxRemovedShare to confirm")
	// ErrStateConflict is returned by a [StateStore] when a state was saved by somebody else meanwhile.
	ErrStateConflict = errors.New("the connection's state was saved by somebody else meanwhile: read it again")
	// ErrNoMember: there is no member of that number. See [MergedError].
	ErrNoMember = errors.New("the store has no such member: check the member number, or show the conversation without a member")
	// ErrNoFinder: the contact store is no [ContactFinder].
	ErrNoFinder = errors.New("the contact store cannot find people by e-mail or phone: ask by customer id, or give the store a FindContacts method (ContactFinder)")
	// ErrSkip is returned by a [Mapper] to leave a customer out. Wrap it to name
	// the reason: fmt.Errorf("wholesale: %w", ErrSkip).
	ErrSkip = errors.New("skip")
	// ErrLeaseHeld is returned by a [StateStore] when somebody else holds the lease.
	ErrLeaseHeld = errors.New("the lease is held by another process")
	// ErrLeaseLost is returned by a [StateStore] to a writer whose lease was taken over.
	ErrLeaseLost = errors.New("the lease was lost to another process: stop writing")
)

// An APIError is a refusal or failure of Shopify's Admin API. Its text holds
// neither the answer's body nor a token. It matches the sentinel that fits
// ([ErrUnauthorized], [ErrThrottled], ...) by [errors.Is].
type APIError struct {
	Op         string        // the GraphQL operation, or "token", "bulk file"
	Code       string        // Shopify's error code, such as "THROTTLED"; may be empty
	StatusCode int           // the HTTP status; 0 if there was no answer
	RequestID  string        // X-Request-Id: what Shopify's support asks for
	RetryAfter time.Duration // when to ask again at the earliest; 0 if Shopify did not say
	Err        error         // the sentinel, or the cause
}

// Error implements error.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "shopify %s", e.Op)
	if e.StatusCode != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.StatusCode)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, ": %s", e.Code)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	return b.String()
}

// Unwrap returns the sentinel or cause.
func (e *APIError) Unwrap() error { return e.Err }

// RetryAfter returns how long to wait before trying again, if err says so.
func RetryAfter(err error) (time.Duration, bool) {
	var e *APIError
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return e.RetryAfter, true
	}
	return 0, false
}

// A MassRemovalError says how many contacts a sweep would have removed. It
// matches [ErrMassRemoval].
type MassRemovalError struct {
	// Confirmed is how many contacts are gone by Shopify's word: it was not
	// asked for more than was needed to stop.
	Confirmed int64 `json:"confirmed"`
	// Unseen is how many contacts were not among the customers that Shopify
	// listed: as many may be gone, and no more.
	Unseen int64 `json:"unseen"`
	// Contacts is how many there are. To confirm, set MaxRemovedShare to a
	// little more than Unseen / Contacts.
	Contacts int64 `json:"contacts"`
}

// Error implements error.
func (e *MassRemovalError) Error() string {
	return fmt.Sprintf("%v: at least %d and at most %d of %d contacts", ErrMassRemoval, e.Confirmed, e.Unseen, e.Contacts)
}

// Is reports whether target is [ErrMassRemoval].
func (e *MassRemovalError) Is(target error) bool { return target == ErrMassRemoval }

// A MissingScopesError lists the access scopes that a token lacks. It matches
// [ErrScopeMissing].
type MissingScopesError struct {
	Missing []string
}

// Error implements error.
func (e *MissingScopesError) Error() string {
	return "the app lacks the access scopes " + strings.Join(e.Missing, ", ") +
		": grant them, reinstall the app and connect again"
}

// Is reports whether target is [ErrScopeMissing].
func (e *MissingScopesError) Is(target error) bool { return target == ErrScopeMissing }
