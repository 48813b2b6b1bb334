package shopifytest

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// State is whether a store answers its app.
type State int

// What the Admin API answers with in each state.
const (
	Open        State = iota
	Frozen            // 402: the store has not paid
	Locked            // 423: closed for abuse
	Uninstalled       // 401: the app is not installed
)

// CustomerAccess is the access to protected customer data.
// https://shopify.dev/docs/apps/launch/protected-customer-data
type CustomerAccess int

// Levels of access. A refused field is null with an error at its path.
const (
	FullAccess     CustomerAccess = iota
	NoPersonalData                // level 1: no name, address, phone or e-mail
	NoCustomerData                // not even the Customer object
)

// Unlimited is the speed of bulk operations that are done at once.
const Unlimited = -1

// StoreConfig describes a store. The zero value of a field is its default.
type StoreConfig struct {
	Domain          string   // name.myshopify.com; required
	Aliases         []string // other host names: redirected to Domain with 301
	ShopID          int64    // default: some number
	Name            string   // default: the first label of Domain
	Currency        string   // ISO 4217; default TWD
	OtherCurrencies []string // in which some generated customers spent
	TimeZone        string   // IANA; default Asia/Taipei
	Plan            string   // its display name; default "Basic"
	Plus            bool     // a Shopify Plus store
	Development     bool     // a partner's development store

	AccessToken  string   // a permanent token; default "shpat_test"
	ClientID     string   // default "client-id"
	ClientSecret string   // signs webhooks, obtains 24-hour tokens; default "client-secret"
	NotPermitted bool     // client credentials are refused: another organisation
	Scopes       []string // granted; default read_customers, read_customer_merge

	// APIVersions are the supported stable versions, oldest first; default
	// 2026-01, 2026-04, 2026-07, 2026-10. A request for an older one is
	// answered by the oldest.
	APIVersions      []string
	DeprecatedReason string // X-Shopify-API-Deprecated-Reason

	BucketSize  float64 // points; default 2000
	RestoreRate float64 // points per second; default 100
	CostModel   CostModel
	Throttle429 bool // throttled requests get HTTP 429 and Retry-After, not 200

	State        State
	Access       CustomerAccess
	DeniedFields []string      // more fields of Customer that are refused, by their GraphQL names
	Latency      time.Duration // of every answer but those of bulk files
	// IndexLag is how long the search index is behind: lists with a query see
	// customers as they were then.
	IndexLag time.Duration
	// ReadLag is how long the database that answers node and nodes is behind,
	// as a replica is: they see customers as they were then, so one that was
	// just created is null. It counts from the change that it is set before.
	ReadLag time.Duration

	BulkSpeed int  // objects per second; default 2,500, Unlimited for at once
	BulkSlots int  // operations at a time; default 5 from 2026-01 on, 1 before
	BulkGzip  bool // bulk files are compressed for clients that accept it

	FirstCustomerID int64 // of generated customers; default 7,000,000,000,000
	NoRedacted      bool  // no generated customer has the consent state REDACTED

	// AppWebhookURL gets what is subscribed in the app's own configuration:
	// the privacy topics and app/uninstalled. Empty: nothing is.
	AppWebhookURL string
	// NoDebounce sends every webhook. Without it, a subscription with
	// includeFields does not get the same body twice within five seconds.
	NoDebounce bool
	// GlobalIDs makes webhooks name customers as gid://shopify/Customer/1 where
	// Shopify documents a number, as its newer topics do.
	GlobalIDs bool
	// UnprefixedHeaders makes webhooks carry shopify-topic and so on instead
	// of X-Shopify-Topic.
	UnprefixedHeaders bool
}

func (c *StoreConfig) complete(s *Server) {
	c.Domain = strings.ToLower(c.Domain)
	if c.ShopID == 0 {
		c.ShopID = s.nextID()
	}
	if c.Name == "" {
		c.Name, _, _ = strings.Cut(c.Domain, ".")
	}
	for _, d := range []struct {
		field *string
		value string
	}{
		{&c.Currency, "TWD"}, {&c.TimeZone, "Asia/Taipei"}, {&c.Plan, "Basic"},
		{&c.AccessToken, "shpat_test"}, {&c.ClientID, "client-id"}, {&c.ClientSecret, "client-secret"},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if c.Scopes == nil {
		c.Scopes = []string{"read_customers", "read_customer_merge"}
	}
	if len(c.APIVersions) == 0 {
		c.APIVersions = []string{"2026-01", "2026-04", "2026-07", "2026-10"}
	}
	if c.BucketSize == 0 {
		c.BucketSize = 2000
	}
	if c.RestoreRate == 0 {
		c.RestoreRate = 100
	}
	if c.BulkSpeed == 0 {
		c.BulkSpeed = 2500
	}
	if c.FirstCustomerID == 0 {
		c.FirstCustomerID = 7_000_000_000_000
	}
}

// clone copies c, so that a change of one does not show in the other.
func (c *StoreConfig) clone() StoreConfig {
	d := *c
	d.Aliases = slices.Clone(c.Aliases)
	d.OtherCurrencies = slices.Clone(c.OtherCurrencies)
	d.Scopes = slices.Clone(c.Scopes)
	d.APIVersions = slices.Clone(c.APIVersions)
	d.DeniedFields = slices.Clone(c.DeniedFields)
	return d
}

// zones are the time zones that were read from disk already, by name.
var zones sync.Map

func (c *StoreConfig) location() *time.Location {
	if zone, ok := zones.Load(c.TimeZone); ok {
		return zone.(*time.Location)
	}
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	zones.Store(c.TimeZone, zone)
	return zone
}

// served returns the version that answers a request for version, or false if
// there is none: a version that is still to come.
func (c *StoreConfig) served(version string) (string, bool) {
	newest := c.APIVersions[len(c.APIVersions)-1]
	switch {
	case slices.Contains(c.APIVersions, version):
		return version, true
	case version == "unstable":
		return newest, true
	case !isVersion(version) || version > newest:
		return "", false
	}
	return c.APIVersions[0], true
}

func isVersion(s string) bool {
	_, err := time.Parse("2006-01", s)
	return err == nil
}

// dataAccess is which fields of Customer are refused.
type dataAccess struct {
	level  CustomerAccess
	fields []string
}

var personalFields = []string{"firstName", "lastName", "displayName", "email", "phone", "defaultPhoneNumber", "defaultAddress"}

func (a dataAccess) denies(field string) bool {
	return a.level >= NoPersonalData && slices.Contains(personalFields, field) || slices.Contains(a.fields, field)
}

func (c *StoreConfig) access() dataAccess { return dataAccess{c.Access, c.DeniedFields} }

// Store is a store of a [Server].
type Store struct {
	server *Server
	bulkMu sync.Mutex // lets bulk operations start one after the other; taken before mu

	mu            sync.Mutex
	cfg           StoreConfig
	people        *population
	bucket        bucket
	tokens        map[string]time.Time // 24-hour tokens and when they end
	bulk          []*bulkOperation
	subscriptions []*subscription
	faults        []*activeFault
	chance        source // of faults: the same for the same order of requests
	attempts      []Attempt
	webhookCounts WebhookCounts
	sent          sentBodies          // for debouncing
	lastTaken     map[int64]time.Time // when a subscription's receiver last answered 2xx
	delivering    chan struct{}       // bounds concurrent deliveries
}

// AddStore opens a store. It panics when the domain is missing or taken: that
// is a mistake in the test.
func (s *Server) AddStore(cfg StoreConfig) *Store {
	if cfg.Domain == "" {
		panic("shopifytest: StoreConfig.Domain is empty; use name.myshopify.com")
	}
	cfg = cfg.clone()
	cfg.complete(s)
	st := &Store{
		server: s, cfg: cfg, people: newPopulation(),
		tokens: map[string]time.Time{}, lastTaken: map[int64]time.Time{}, delivering: make(chan struct{}, 16),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, host := range append([]string{cfg.Domain}, cfg.Aliases...) {
		host = strings.ToLower(host)
		if s.stores[host] != nil {
			panic("shopifytest: there is a store at " + host + " already")
		}
		s.stores[host] = st
	}
	return st
}

func (s *Server) lookup(host string) (*Store, StoreConfig) {
	s.mu.Lock()
	st := s.stores[host]
	s.mu.Unlock()
	if st == nil {
		return nil, StoreConfig{}
	}
	return st, st.Config()
}

// Config returns the present configuration, defaults filled in.
func (st *Store) Config() StoreConfig {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.cfg.clone()
}

// Configure changes the store while it runs. Domain and Aliases stay as they
// are: see [Store.Rename]. Other Scopes than before are what a merchant grants
// or takes away: app/scopes_update is sent.
func (st *Store) Configure(change func(*StoreConfig)) {
	st.mu.Lock()
	cfg := st.cfg.clone()
	change(&cfg)
	cfg.Domain, cfg.Aliases = st.cfg.Domain, st.cfg.Aliases
	cfg.complete(st.server)
	previous, current := st.cfg.Scopes, slices.Clone(cfg.Scopes)
	st.cfg = cfg
	st.mu.Unlock()
	if !slices.Equal(slices.Sorted(slices.Values(previous)), slices.Sorted(slices.Values(current))) {
		st.emit(scopesEvent(previous, current))
	}
}

// Rename gives the store another myshopify.com domain. Requests to the old one
// are redirected from now on.
func (st *Store) Rename(domain string) {
	domain = strings.ToLower(domain)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.server.mu.Lock() // always after a store's lock
	defer st.server.mu.Unlock()
	st.cfg.Aliases = append(slices.Clone(st.cfg.Aliases), st.cfg.Domain)
	st.cfg.Domain = domain
	st.server.stores[domain] = st
}

// Generate adds n customers, all with ids greater than those before, who came
// during the last three years. The same seed, n and configuration make the
// same customers relative to the clock. They take no memory until they change.
func (st *Store) Generate(n int, seed uint64) {
	if n <= 0 {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	now := wholeSecond(st.server.now())
	st.people.add(&segment{
		seed: seed, n: n,
		first:      max(st.cfg.FirstCustomerID, st.people.last+1),
		from:       now.AddDate(-3, 0, 0).Unix(),
		to:         now.Unix(),
		currencies: append([]string{st.cfg.Currency}, st.cfg.OtherCurrencies...),
		noRedacted: st.cfg.NoRedacted,
	})
}

// ErrNoCustomer says that a store has no customer of an id.
var ErrNoCustomer = errors.New("shopifytest: no such customer")

func noCustomer(id int64) error { return fmt.Errorf("%w: %d", ErrNoCustomer, id) }

// Customer returns the customer with an id.
func (st *Store) Customer(id int64) (Customer, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if c := st.people.find(id); c != nil {
		return *c.clone(), true
	}
	return Customer{}, false
}

// Count returns the number of customers.
func (st *Store) Count() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.people.count()
}

// All yields the customers in the order of their ids, as they are when the
// loop starts.
func (st *Store) All() iter.Seq[Customer] {
	return func(yield func(Customer) bool) {
		st.mu.Lock()
		people := st.people.snapshot()
		st.mu.Unlock()
		people.rows(scan{key: byID, filter: noFilter}, func(r row) bool { return yield(*r.load().clone()) })
	}
}

// Newest returns at most n customers, those with the greatest ids first.
func (st *Store) Newest(n int) []Customer {
	st.mu.Lock()
	defer st.mu.Unlock()
	var list []Customer
	st.people.rows(scan{key: byID, reverse: true, filter: noFilter}, func(r row) bool {
		if len(list) < n {
			list = append(list, *r.load().clone())
		}
		return len(list) < n
	})
	return list
}

// Pick returns a customer that chance chooses: the same for the same number as
// long as nobody comes or goes. It is false for a store without customers.
func (st *Store) Pick(chance uint64) (Customer, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if c := st.people.pick(chance); c != nil {
		return *c.clone(), true
	}
	return Customer{}, false
}

// put stores a customer under st.mu.
func (st *Store) put(id int64, c *Customer, unindexed bool) {
	now := st.server.now()
	st.people.put(id, c, now, now.Add(-max(st.cfg.IndexLag, st.cfg.ReadLag, st.faultLag())), unindexed)
}
