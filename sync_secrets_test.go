package shopifysync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// canaries are secrets and personal data that occur nowhere else. They are
// looked for without regard to case, and without the phone's plus.
var canaries = []string{
	"canary-token", "canary-secret", "canary.mail", "886900123123", "canaryfirst", "canarylast", "canary note", "canary street",
}

var canaryCustomer = shopifytest.Customer{
	FirstName: "Canaryfirst", LastName: "Canarylast", Email: "Canary.Mail@example.com", Phone: "+886900123123", Note: "a canary note",
	DefaultAddress: &shopifytest.Address{Address1: "1 Canary Street", Phone: "+886900123123"},
}

const quote = `duplicate key (email)=(Canary.Mail@example.com), (name)=(Canaryfirst Canarylast), note "a canary note", phone +886900123123, canary-token-1, canary-secret`

// A driverError is a host's error by value, whose fields every %#v would show.
type driverError struct{ Detail string }

func (d driverError) Error() string { return d.Detail }

// A listener collects everything that a sync tells anybody.
type listener struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *listener) hear(values ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			fmt.Fprintf(&l.text, verb+"\n", v)
		}
		for err, ok := v.(error); ok && err != nil; err = errors.Unwrap(err) {
			fmt.Fprintf(&l.text, "%v %+v %#v\n", err, err, err)
			if fmt.Sprintf("%T", err) == "*shopifysync.hostError" {
				break // below it are the host's own words, for who asks by their type
			}
		}
		if data, err := json.Marshal(v); err == nil {
			l.text.Write(data)
		}
	}
}

// check looks for canaries in what was heard.
func (l *listener) check(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(l.text.String()) {
		for _, canary := range canaries {
			if strings.Contains(strings.ToLower(line), canary) {
				t.Fatalf("%q in: %.1000s", canary, line)
			}
		}
	}
}

func (l *listener) hooks() shopifysync.Hooks {
	return shopifysync.Hooks{
		SyncStart:  func(ctx context.Context, info shopifysync.SyncStartInfo) context.Context { l.hear(info); return ctx },
		SyncEnd:    func(_ context.Context, info shopifysync.SyncEndInfo) { l.hear(info, info.Err) },
		APICall:    func(_ context.Context, info shopifysync.APICallInfo) { l.hear(info, info.Err) },
		WebhookEnd: func(_ context.Context, info shopifysync.WebhookEndInfo) { l.hear(info, info.Err) },
		DrainEnd:   func(_ context.Context, info shopifysync.DrainEndInfo) { l.hear(info, info.Err) },
		CatchUpEnd: func(_ context.Context, info shopifysync.CatchUpEndInfo) { l.hear(info, info.Err) },
	}
}

type tokenFunc func() (shopifysync.Token, error)

func (f tokenFunc) Token(context.Context, shopifysync.TokenParams) (shopifysync.Token, error) {
	return f()
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Neither secrets nor personal data get into logs, errors, hooks, reports,
// progress, run records or marks, whatever goes wrong and whoever quotes them.
func TestSyncTellsNoSecrets(t *testing.T) {
	type scene struct {
		world  func(w *world)
		params shopifysync.SyncParams
		ctx    func(context.Context) context.Context
		opts   func(w *world) []shopifysync.Option
		store  func(w *world) shopifysync.ContactStore
		// want is what the run must end with; nil: no error.
		want error
		host bool // the host's own error must be within reach
	}
	quoting := driverError{quote}
	fault := func(f shopifytest.Fault) func(*world) { return func(w *world) { w.shop.Inject(f) } }
	always := func(f shopifytest.Fault) func(*world) { f.Times = shopifytest.Always; return fault(f) }
	config := func(change func(*shopifytest.StoreConfig)) func(*world) {
		return func(w *world) { w.shop.Configure(change) }
	}
	state := func(s hostState) func(*world) []shopifysync.Option {
		return func(w *world) []shopifysync.Option {
			s.MemoryStore = w.store
			return []shopifysync.Option{shopifysync.WithStateStore(&s)}
		}
	}
	mapper := func(m shopifysync.Mapper) func(*world) []shopifysync.Option {
		return func(*world) []shopifysync.Option { return []shopifysync.Option{shopifysync.WithMapper(m)} }
	}
	upsert := func(f func(shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error)) func(*world) shopifysync.ContactStore {
		return func(w *world) shopifysync.ContactStore { return &hostStore{ContactStore: w.store, upsert: f} }
	}
	bulk := func(*world) []shopifysync.Option {
		return []shopifysync.Option{shopifysync.WithBulkThreshold(100), shopifysync.WithBatchSize(40)}
	}
	node := func(field string, value any) func(*world) {
		return fault(shopifytest.Fault{Operation: "CustomersPage", Edit: editPage(func(page map[string]any) {
			page["nodes"].([]any)[0].(map[string]any)[field] = value
		})})
	}
	errAny := errors.New("any error")

	scenes := map[string]scene{
		"success":      {},
		"success bulk": {opts: bulk},
		"dry run":      {params: shopifysync.SyncParams{DryRun: true}},
		"budget":       {params: shopifysync.SyncParams{Budget: time.Second}, world: config(func(c *shopifytest.StoreConfig) { c.Latency = 3 * time.Second })},
		"cancelled": {ctx: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(30*time.Millisecond, func() { cancel(quoting) })
			return ctx
		}, want: context.Canceled, host: true},
		"deadline": {ctx: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Millisecond, quoting)
			context.AfterFunc(ctx, cancel)
			return ctx
		}, want: context.DeadlineExceeded, host: true},

		"wrong token": {world: config(func(c *shopifytest.StoreConfig) { c.AccessToken = "canary-token-2" }), want: shopifysync.ErrUnauthorized},
		"frozen":      {world: config(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen }), want: shopifysync.ErrShopFrozen},
		"locked":      {world: config(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Locked }), want: shopifysync.ErrShopLocked},
		"uninstalled": {world: func(w *world) { w.shop.Uninstall() }, want: shopifysync.ErrUnauthorized},
		"renamed":     {world: func(w *world) { w.shop.Rename("renamed.myshopify.com") }, want: shopifysync.ErrShopMoved},
		"no store":    {world: func(w *world) { w.conn.Shop = "nobody.myshopify.com" }, want: shopifysync.ErrShopNotFound},
		"no scope":    {world: config(func(c *shopifytest.StoreConfig) { c.Scopes = []string{"read_products"} }), want: shopifysync.ErrScopeMissing},
		"no data":     {world: config(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoCustomerData }), want: shopifysync.ErrProtectedData},
		"refused":     {world: config(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoPersonalData }), want: shopifysync.ErrProtectedData},
		"masked": {world: func(w *world) {
			w.sync(w.syncer()) // so it is known that they were shown
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoPersonalData })
		}},
		"no secret": {world: func(w *world) {
			w.conn.Credentials = shopifysync.Credentials{ClientID: "client-id", ClientSecret: shopifysync.NewSecret("canary-secret")}
		}, want: shopifysync.ErrUnauthorized},
		"no organisation": {world: func(w *world) {
			w.conn.Credentials = shopifysync.Credentials{ClientID: "client-id", ClientSecret: shopifysync.NewSecret("canary-secret")}
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ClientSecret, c.NotPermitted = "canary-secret", true })
		}, want: shopifysync.ErrOtherOrganization},
		"client credentials": {world: func(w *world) {
			w.conn.Credentials = shopifysync.Credentials{ClientID: "client-id", ClientSecret: shopifysync.NewSecret("canary-secret")}
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.ClientSecret = "canary-secret" })
		}},
		"a 500 that quotes":  {world: always(shopifytest.Fault{Status: 500, Body: quote}), want: shopifysync.ErrUnavailable},
		"a 429 that quotes":  {world: always(shopifytest.Fault{Status: 429, Body: quote}), want: shopifysync.ErrThrottled},
		"a 403 that quotes":  {world: always(shopifytest.Fault{Status: 403, Body: quote, Header: http.Header{"X-Request-Id": {"r-1"}}}), want: shopifysync.ErrScopeMissing},
		"a page that quotes": {world: always(shopifytest.Fault{Status: 200, Body: "<html>" + quote}), want: errAny},
		"JSON that is cut":   {world: always(shopifytest.Fault{Status: 200, Body: `{"data": "` + quote}), want: errAny},
		"errors that quote":  {world: always(shopifytest.Fault{Operation: "CustomersPage", Errors: []shopifytest.GraphQLError{{Message: quote, Path: []any{"Canary.Mail@example.com"}, Extensions: map[string]any{"code": "canary note"}}}}), want: errAny},
		"denials that quote": {world: always(shopifytest.Fault{Operation: "CustomersPage", Errors: []shopifytest.GraphQLError{{Message: quote, Path: []any{"Canary.Mail@example.com"}, Extensions: map[string]any{"code": "ACCESS_DENIED"}}}}), want: shopifysync.ErrProtectedData},
		"broken connections": {world: always(shopifytest.Fault{Drop: shopifytest.DropMidBody}), want: shopifysync.ErrUnavailable},
		"another store": {world: fault(shopifytest.Fault{Operation: "Shop", Edit: func(m map[string]any) {
			m["data"].(map[string]any)["shop"].(map[string]any)["myshopifyDomain"] = "canary note"
		}}), want: shopifysync.ErrShopMoved},
		"odd shop":                    {world: fault(shopifytest.Fault{Operation: "Shop", Edit: func(m map[string]any) { m["data"].(map[string]any)["shop"] = "canary note" }}), want: errAny},
		"odd page info":               {world: always(shopifytest.Fault{Operation: "CustomersPage", Edit: editPage(func(p map[string]any) { p["pageInfo"] = "canary note" })}), want: errAny},
		"endless pages":               {world: always(shopifytest.Fault{Operation: "CustomersPage", Edit: repeatCursor()}), want: shopifysync.ErrIncomplete},
		"odd time":                    {world: node("updatedAt", "a canary note")},
		"odd tags":                    {world: node("tags", "a canary note")},
		"odd number":                  {world: node("numberOfOrders", "a canary note")},
		"odd id":                      {world: node("id", "gid://shopify/Customer/canary.mail")},
		"odd consent":                 {world: node("emailMarketingConsent", "a canary note")},
		"odd address":                 {world: node("defaultAddress", []any{"1 Canary Street"})},
		"NUL":                         {world: node("note", "a canary note \x00")},
		"a cut bulk file":             {opts: bulk, world: always(shopifytest.Fault{Operation: shopifytest.OpBulkDownload, TruncateAt: 30_001})},
		"a bulk file refused":         {opts: bulk, world: always(shopifytest.Fault{Operation: shopifytest.OpBulkDownload, Status: 403, Body: quote})},
		"a bulk file that is a page":  {opts: bulk, world: always(shopifytest.Fault{Operation: shopifytest.OpBulkDownload, Status: 200, Body: "<" + quote})},
		"a bulk file of rubbish":      {opts: bulk, world: always(shopifytest.Fault{Operation: shopifytest.OpBulkDownload, Status: 200, Body: quote + "\n"})},
		"a bulk operation fails":      {opts: bulk, world: always(shopifytest.Fault{Operation: shopifytest.OpBulkRun, Bulk: &shopifytest.BulkFailure{Status: "FAILED", ErrorCode: "ACCESS_DENIED"}})},
		"a bulk operation is refused": {opts: bulk, world: always(shopifytest.Fault{Operation: "RunBulkQuery", Errors: []shopifytest.GraphQLError{{Message: quote}}})},
		"a bulk address":              {opts: bulk, world: always(shopifytest.Fault{Operation: "PollBulkOperation", Edit: editBulk("url", "https://example.com/?canary-secret")})},
		"a mass removal": {world: func(w *world) {
			w.sync(w.syncer())
			for _, id := range w.ids()[:200] {
				_ = w.shop.Delete(id)
			}
		}, want: shopifysync.ErrMassRemoval},

		"the store quotes": {store: upsert(func(shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			return shopifysync.UpsertContactsResult{}, fmt.Errorf("insert: %w", quoting)
		}), want: quoting, host: true},
		"the store quotes of one": {store: func(w *world) shopifysync.ContactStore {
			return &hostStore{ContactStore: w.store, upsert: func(p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
				for _, c := range p.Contacts {
					if c.FirstName == canaryCustomer.FirstName {
						return shopifysync.UpsertContactsResult{}, quoting
					}
				}
				return w.store.UpsertContacts(context.Background(), p)
			}}
		}},
		"the store panics": {store: upsert(func(shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) { panic(quoting) }), want: errAny},
		"the store quotes ids": {store: func(w *world) shopifysync.ContactStore {
			return &hostStore{ContactStore: w.store, ids: func(shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
				return shopifysync.ContactIDsResult{}, quoting
			}}
		}, want: quoting, host: true},
		"the state quotes runs":     {opts: state(hostState{runs: func() error { return quoting }}), want: quoting, host: true},
		"the state quotes marks":    {opts: state(hostState{marks: func() error { return quoting }}), want: quoting, host: true},
		"the state quotes saves":    {opts: state(hostState{save: func(shopifysync.Run) error { return quoting }}), want: quoting, host: true},
		"the state quotes renewals": {opts: state(hostState{renew: func(context.Context) error { return quoting }}), world: config(func(c *shopifytest.StoreConfig) { c.Latency = 25 * time.Second }), want: shopifysync.ErrLeaseLost},
		"the lease quotes": {opts: func(w *world) []shopifysync.Option {
			return []shopifysync.Option{shopifysync.WithStateStore(&quotingLeases{w.store, true})}
		}, want: quoting, host: true},
		"the lease's end quotes": {opts: func(w *world) []shopifysync.Option {
			return []shopifysync.Option{shopifysync.WithStateStore(&quotingLeases{w.store, false})}
		}},
		"the mapper quotes": {opts: mapper(func(shopifysync.ConnectionID, shopifysync.Customer) (shopifysync.Contact, error) {
			return shopifysync.Contact{}, fmt.Errorf("odd: %w", quoting)
		})},
		"the mapper panics": {opts: mapper(func(_ shopifysync.ConnectionID, c shopifysync.Customer) (shopifysync.Contact, error) { panic(c) })},
		"the normalizer panics": {opts: func(*world) []shopifysync.Option {
			return []shopifysync.Option{shopifysync.WithPhoneNormalizer(func(number, _ string) (string, bool) { panic(number) })}
		}},
		"the token source quotes": {opts: func(*world) []shopifysync.Option {
			return []shopifysync.Option{shopifysync.WithTokenSource(tokenFunc(func() (shopifysync.Token, error) { return shopifysync.Token{}, quoting }))}
		}, want: quoting, host: true},
		"the token is odd": {opts: func(*world) []shopifysync.Option {
			return []shopifysync.Option{shopifysync.WithTokenSource(tokenFunc(func() (shopifysync.Token, error) {
				return shopifysync.Token{Value: shopifysync.NewSecret("canary-token\r\nX: y")}, nil
			}))}
		}, want: shopifysync.ErrUnauthorized},
		"the transport quotes": {opts: func(*world) []shopifysync.Option {
			return []shopifysync.Option{shopifysync.WithHTTPClient(&http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
				return nil, fmt.Errorf("%s %v: %w", r.URL, r.Header, quoting)
			})})}
		}, want: shopifysync.ErrUnavailable},
	}
	for name, scene := range scenes {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 300, func(t *testing.T, w *world) {
				w.conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: "wa"}
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.BulkSpeed = shopifytest.Unlimited })
				w.shop.Create(canaryCustomer)
				if scene.world != nil {
					scene.world(w)
				}
				heard := new(listener)
				opts := []shopifysync.Option{shopifysync.WithHooks(heard.hooks())}
				if scene.opts != nil {
					opts = append(opts, scene.opts(w)...)
				}
				contacts := shopifysync.ContactStore(w.store)
				if scene.store != nil {
					contacts = scene.store(w)
				}
				ctx := t.Context()
				if scene.ctx != nil {
					ctx = scene.ctx(ctx)
				}
				p := scene.params
				p.Connection = connID
				p.OnProgress = func(p shopifysync.Progress) { heard.hear(p) }
				report, err := w.syncerOn(contacts, opts...).Sync(ctx, p)
				if scene.want == errAny && err == nil || scene.want != errAny && !errors.Is(err, scene.want) {
					t.Errorf("error %v, want %v", err, scene.want)
				}
				var own driverError
				if scene.host && !errors.As(err, &own) {
					t.Errorf("the host's own error is out of reach of %v", err)
				}
				if scene.want == quoting && !strings.Contains(err.Error(), "driverError") {
					t.Errorf("error %v: it does not name the kind of error", err)
				}
				heard.hear(err, report)
				runs, _ := w.store.Runs(context.Background(), shopifysync.RunsParams{Connection: connID, Limit: 10})
				marks, _ := w.store.Marks(context.Background(), shopifysync.MarksParams{Connection: connID, Limit: 1000})
				heard.hear(runs, marks)
				heard.hear(w.log.String())
				heard.check(t)
				if len(heard.text.String()) < 500 {
					t.Error("nothing was heard: the test does not test it")
				}
			})
		})
	}
}

// quotingLeases fail to be taken, or to be given back.
type quotingLeases struct {
	*shopifysync.MemoryStore
	take bool
}

func (q *quotingLeases) AcquireLease(ctx context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
	if q.take {
		return shopifysync.AcquireLeaseResult{}, driverError{quote}
	}
	return q.MemoryStore.AcquireLease(ctx, p)
}

func (q *quotingLeases) ReleaseLease(context.Context, shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
	return shopifysync.ReleaseLeaseResult{}, driverError{quote}
}

// The look-up of a connection may quote its secrets.
func TestConnectionErrorsTellNoSecrets(t *testing.T) {
	for name, conns := range map[string]*editedConnections{
		"at once":   {err: driverError{quote}},
		"in a run":  {left: 1, err: driverError{quote}},
		"forgotten": {err: fmt.Errorf("%w: %w", shopifysync.ErrNotConnected, driverError{quote})},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				w.shop.Configure(func(c *shopifytest.StoreConfig) { c.AccessToken = "canary-token-2" })
				conns.ConnectionStore = shopifysync.StaticConnections(w.conn)
				s, err := shopifysync.New(w.store, conns, shopifysync.WithHTTPClient(w.server.Client()))
				if err != nil {
					t.Fatal(err)
				}
				_, err = s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID})
				var own driverError
				if !errors.As(err, &own) {
					t.Errorf("error %v", err)
				}
				heard := new(listener)
				heard.hear(err)
				heard.check(t)
				if name == "forgotten" && !strings.Contains(err.Error(), shopifysync.ErrNotConnected.Error()) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}
