package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An Option configures a [Syncer]. Options are checked by [New].
type Option func(*options) error

type options struct {
	state         StateStore
	tokens        TokenSource
	mapper        Mapper
	mapping       MapperOptions
	mobile        func(e164 string) bool
	without       FieldSet
	logger        *slog.Logger
	hooks         Hooks
	httpClient    *http.Client
	now           func() time.Time
	writers       int
	batchSize     int
	bulkThreshold int64
	leaseTTL      time.Duration

	webhookURL     string // with {connection}; empty: no subscriptions
	webhooksAtOnce int
	privacy        PrivacyHandler
	onePerShop     bool
	retention      time.Duration // 0 or less: for ever
	marked         func(context.Context, ConnectionID)

	catchUpEvery   time.Duration
	fullEvery      time.Duration
	fullEveryLarge time.Duration
	checkEvery     time.Duration
	drainsAtOnce   int
	runsAtOnce     int
}

func defaultOptions() options {
	return options{
		logger:        slog.New(slog.DiscardHandler),
		now:           time.Now,
		writers:       2,
		batchSize:     1000,
		bulkThreshold: 10_000,
		leaseTTL:      30 * time.Second,

		webhooksAtOnce: 256,
		retention:      30 * 24 * time.Hour,
		catchUpEvery:   15 * time.Minute,
		fullEvery:      24 * time.Hour,
		fullEveryLarge: 7 * 24 * time.Hour,
		checkEvery:     time.Hour,
		drainsAtOnce:   8,
		runsAtOnce:     2,
	}
}

// WithStateStore keeps runs, leases and marks in s. The default is the contact
// store itself if it is also a [StateStore], else a [MemoryStore], which
// forgets everything with the process.
func WithStateStore(s StateStore) Option {
	return func(o *options) error {
		if s == nil {
			return errors.New("WithStateStore: the store is nil")
		}
		o.state = s
		return nil
	}
}

// WithTokenSource takes access tokens from t instead of the connection's
// [Credentials], of which only the secrets are used, to verify webhooks.
func WithTokenSource(t TokenSource) Option {
	return func(o *options) error {
		if t == nil {
			return errors.New("WithTokenSource: the source is nil")
		}
		o.tokens = t
		return nil
	}
}

// WithMapper replaces the default mapper. [WithNameOrder] and [WithAddressPhone]
// then have no effect, and [WithPhoneNormalizer] concerns WhatsApp contacts, and
// the phone numbers that [Syncer.Export] and [Syncer.Erase] look for: a mapper
// should make numbers E.164 by the same one. One that builds on the default
// mapper calls [NewMapper], whose options are these three.
func WithMapper(m Mapper) Option {
	return func(o *options) error {
		if m == nil {
			return errors.New("WithMapper: the mapper is nil")
		}
		o.mapper = m
		return nil
	}
}

// WithNameOrder says how first and last name become one; default [NameAuto].
func WithNameOrder(order NameOrder) Option {
	return func(o *options) error {
		if order < NameAuto || order > NameFamilyFirst {
			return fmt.Errorf("WithNameOrder: there is no order %d", order)
		}
		o.mapping.NameOrder = order
		return nil
	}
}

// WithPhoneNormalizer replaces [NormalizePhone], which takes international
// numbers only.
func WithPhoneNormalizer(n PhoneNormalizer) Option {
	return func(o *options) error {
		if n == nil {
			return errors.New("WithPhoneNormalizer: the normalizer is nil")
		}
		o.mapping.Phone = n
		return nil
	}
}

// WithWhatsAppNumbers says which phone numbers, in E.164, can be WhatsApp's:
// mobile is false for a landline. It must be pure and safe for concurrent use.
// Without it every number counts that the phone normalizer takes.
func WithWhatsAppNumbers(mobile func(e164 string) bool) Option {
	return func(o *options) error {
		if mobile == nil {
			return errors.New("WithWhatsAppNumbers: the function is nil")
		}
		o.mobile = mobile
		return nil
	}
}

// WithAddressPhone lets a contact without a phone number have the default
// address's, marked [PhoneAddress]. It may be a recipient's, so it never makes
// a WhatsApp contact.
func WithAddressPhone() Option {
	return func(o *options) error {
		o.mapping.AddressPhone = true
		return nil
	}
}

// WithoutFields leaves fields out of every query, so that Shopify never sends
// them. What is stored of them stays as it is.
func WithoutFields(fields FieldSet) Option {
	return func(o *options) error {
		if fields&^allFields != 0 {
			return fmt.Errorf("WithoutFields: there is no field %#x", uint32(fields&^allFields))
		}
		o.without |= fields
		return nil
	}
}

// WithLogger logs to l. The default discards. Neither tokens nor personal data
// are ever logged.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error {
		if l == nil {
			return errors.New("WithLogger: the logger is nil")
		}
		o.logger = l
		return nil
	}
}

// Hooks are called as things happen; nil fields are skipped. They run on the
// library's goroutines: they must return soon and be safe for concurrent use.
type Hooks struct {
	// SyncStart is called when a run begins; the context that it returns is
	// the run's, and SyncEnd gets it. It must derive from the one given.
	//
	// So a host can cancel any run of this process, also those that
	// [Syncer.Serve] begins: return the context of [context.WithCancelCause],
	// keep its cancel function under the RunID, call it with [ErrCancelled] when
	// somebody cancels, and in SyncEnd with nil. [Status].Running tells the RunID.
	SyncStart func(ctx context.Context, info SyncStartInfo) context.Context
	// SyncEnd is called when the run has ended.
	SyncEnd func(ctx context.Context, info SyncEndInfo)
	// APICall is called after each operation on Shopify's Admin API, retries
	// included.
	APICall func(ctx context.Context, info APICallInfo)
	// WebhookEnd is called for each verified webhook, once it has been dealt
	// with for one connection.
	WebhookEnd func(ctx context.Context, info WebhookEndInfo)
	// DrainEnd is called when a drain that found due marks has ended.
	DrainEnd func(ctx context.Context, info DrainEndInfo)
	// CatchUpEnd is called when a catch-up has ended.
	CatchUpEnd func(ctx context.Context, info CatchUpEndInfo)
}

// WebhookEndInfo is passed to [Hooks].WebhookEnd.
type WebhookEndInfo struct {
	Connection ConnectionID
	Topic      string // as the header has it, which is not signed; cut to 100 bytes
	DeliveryID string
	Known      bool // a topic that this library acts on
	Duration   time.Duration
	Err        error // nil: it was acknowledged
}

// DrainEndInfo is passed to [Hooks].DrainEnd.
type DrainEndInfo struct {
	Connection ConnectionID
	Report     Report
	Err        error
}

// CatchUpEndInfo is passed to [Hooks].CatchUpEnd.
type CatchUpEndInfo struct {
	Connection ConnectionID
	Marked     int
	Err        error
}

// SyncStartInfo is passed to [Hooks].SyncStart.
type SyncStartInfo struct {
	Connection ConnectionID
	RunID      string
	DryRun     bool
	Resumed    bool
}

// SyncEndInfo is passed to [Hooks].SyncEnd.
type SyncEndInfo struct {
	Report Report
	Err    error
}

// APICallInfo is passed to [Hooks].APICall.
type APICallInfo struct {
	Connection    ConnectionID
	Op            string        // the GraphQL operation's name
	ServedVersion string        // the API version that answered
	Cost          float64       // points charged by Shopify
	Attempts      int           // 1 without retries
	Duration      time.Duration // waits included
	Err           error
}

// WithHooks calls h as things happen.
func WithHooks(h Hooks) Option {
	return func(o *options) error {
		o.hooks = h
		return nil
	}
}

// WithHTTPClient sends requests through c. Its redirects are always refused:
// net/http would carry the token header to any target.
func WithHTTPClient(c *http.Client) Option {
	return func(o *options) error {
		if c == nil {
			return errors.New("WithHTTPClient: the client is nil")
		}
		o.httpClient = c
		return nil
	}
}

// WithClock tells the time by now instead of [time.Now]. It dates reports, and
// decides when a checkpoint or token is too old; waits use real timers.
func WithClock(now func() time.Time) Option {
	return func(o *options) error {
		if now == nil {
			return errors.New("WithClock: the clock is nil")
		}
		o.now = now
		return nil
	}
}

// WithWriters sets how many batches are written to the contact store at once:
// 1 to 64, default 2.
func WithWriters(n int) Option {
	return func(o *options) error {
		if n < 1 || n > 64 {
			return fmt.Errorf("WithWriters: %d is not within 1 to 64", n)
		}
		o.writers = n
		return nil
	}
}

// WithBatchSize sets how many contacts of a bulk file are written in one call:
// 1 to 10,000, default 1,000. Pages are written as they come, 250 at most.
func WithBatchSize(n int) Option {
	return func(o *options) error {
		if n < 1 || n > 10_000 {
			return fmt.Errorf("WithBatchSize: %d is not within 1 to 10,000", n)
		}
		o.batchSize = n
		return nil
	}
}

// WithBulkThreshold sets above how many customers a bulk operation is started
// beside the pages: 1 or more, default 10,000.
func WithBulkThreshold(customers int64) Option {
	return func(o *options) error {
		if customers < 1 {
			return fmt.Errorf("WithBulkThreshold: %d is less than 1", customers)
		}
		o.bulkThreshold = customers
		return nil
	}
}

// WithLeaseTTL sets how long a lease outlives a process that was killed: 1
// second to 1 hour, default 30 seconds. It is renewed three times as often.
func WithLeaseTTL(d time.Duration) Option {
	return func(o *options) error {
		if d < time.Second || d > time.Hour {
			return fmt.Errorf("WithLeaseTTL: %v is not within 1s to 1h", d)
		}
		o.leaseTTL = d
		return nil
	}
}

// WithWebhookURL has Connect, Check and Serve keep webhook subscriptions of
// each connection that send to this https address, which must hold
// {connection}, as in "https://hooks.example.com/shopify/{connection}": it is
// replaced by the connection's ID, escaped as a path segment. Mount
// [Syncer.WebhookHandler] there. Without it no subscription is made.
func WithWebhookURL(template string) Option {
	return func(o *options) error {
		u, err := url.Parse(strings.ReplaceAll(template, connectionPlaceholder, "c"))
		path, _, _ := strings.Cut(template, "?")
		if err != nil || u.Scheme != "https" || !strings.Contains(path, connectionPlaceholder) || u.Hostname() == "" || u.User != nil || u.Fragment != "" ||
			strings.Count(template, connectionPlaceholder) != 1 || strings.Contains(u.Host, "{") {
			return errors.New("WithWebhookURL: wanted is an https address with {connection} in its path, once")
		}
		o.webhookURL = template
		return nil
	}
}

const connectionPlaceholder = "{connection}"

// WithWebhooksAtOnce sets how many webhooks are dealt with at once: 1 to
// 10,000, default 256. Of one connection at most a quarter may wait for
// Shopify. More wait for a moment, then get 503 with Retry-After, and Shopify
// sends them again.
func WithWebhooksAtOnce(n int) Option {
	return func(o *options) error {
		if n < 1 || n > 10_000 {
			return fmt.Errorf("WithWebhooksAtOnce: %d is not within 1 to 10,000", n)
		}
		o.webhooksAtOnce = n
		return nil
	}
}

// WithOneConnectionPerShop has Connect refuse a store that another connection
// is of, with [ErrShopTaken]; by default two tenants may connect one store. It
// looks at the other connections of the shop's name and, where known, at the
// identity of their store. Two Connects at the same moment may both pass: where
// that matters, the host keeps its own unique key.
func WithOneConnectionPerShop() Option {
	return func(o *options) error {
		o.onePerShop = true
		return nil
	}
}

// WithPrivacyHandler calls h for requests that privacy law gives people.
func WithPrivacyHandler(h PrivacyHandler) Option {
	return func(o *options) error {
		o.privacy = h
		return nil
	}
}

// WithRetention sets how long contacts are kept of a store that was
// disconnected, or whose app was uninstalled: default 30 days; 0 or less, for
// ever. Then [Syncer.Serve] erases them unless the store was connected again.
// For a disconnected one the time is set by Disconnect.
func WithRetention(d time.Duration) Option {
	return func(o *options) error {
		o.retention = d
		return nil
	}
}

// WithMarked calls marked after a webhook or a catch-up has left marks that
// are durable, for hosts with a job engine of their own, which then calls
// [Syncer.Drain]. [Syncer.Serve] needs it not. It must return soon.
func WithMarked(marked func(ctx context.Context, id ConnectionID)) Option {
	return func(o *options) error {
		if marked == nil {
			return errors.New("WithMarked: the function is nil")
		}
		o.marked = marked
		return nil
	}
}

// WithCatchUpEvery sets how often [Syncer.Serve] lists changed customers: 1
// minute to 1 day, default 15 minutes.
func WithCatchUpEvery(d time.Duration) Option {
	return func(o *options) error {
		if d < time.Minute || d > 24*time.Hour {
			return fmt.Errorf("WithCatchUpEvery: %v is not within 1m to 24h", d)
		}
		o.catchUpEvery = d
		return nil
	}
}

// WithFullEvery sets how often [Syncer.Serve] syncs a whole store: every small
// and every large for stores of more than 100,000 customers, each 1 hour to 90
// days; default 1 day and 7 days. A large store's count of customers is
// compared with Shopify's as often as small says, and a difference leads to a
// full run at once.
func WithFullEvery(small, large time.Duration) Option {
	return func(o *options) error {
		const most = 90 * 24 * time.Hour
		if small < time.Hour || small > most || large < small || large > most {
			return fmt.Errorf("WithFullEvery: %v and %v are not within 1h to 90 days, the second at least the first", small, large)
		}
		o.fullEvery, o.fullEveryLarge = small, large
		return nil
	}
}

// WithCheckEvery sets how often [Syncer.Serve] checks a connection and its
// webhook subscriptions: 1 minute to 7 days, default 1 hour.
func WithCheckEvery(d time.Duration) Option {
	return func(o *options) error {
		if d < time.Minute || d > 7*24*time.Hour {
			return fmt.Errorf("WithCheckEvery: %v is not within 1m to 7 days", d)
		}
		o.checkEvery = d
		return nil
	}
}

// WithServeLimits sets how many connections [Syncer.Serve] works for at once:
// drains, catch-ups and checks (default 8) and full runs beside them (default
// 2), each 1 to 1,000.
func WithServeLimits(drains, runs int) Option {
	return func(o *options) error {
		if drains < 1 || drains > 1000 || runs < 1 || runs > 1000 {
			return fmt.Errorf("WithServeLimits: %d and %d are not within 1 to 1,000", drains, runs)
		}
		o.drainsAtOnce, o.runsAtOnce = drains, runs
		return nil
	}
}
