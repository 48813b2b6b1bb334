package shopifysync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/omnichat/shopifysync/internal/adminapi"
	"github.com/omnichat/shopifysync/internal/adminapi/v2025_07"
	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
	"github.com/omnichat/shopifysync/internal/bulk"
	"github.com/omnichat/shopifysync/internal/shopify"
	"github.com/omnichat/shopifysync/internal/throttle"
)

// maxPage is the most customers that a page may have, and the most ids that
// nodes(ids:) takes (https://shopify.dev/docs/api/usage/limits).
const maxPage = 250

// admin is one connection's Admin API: typed operations in, the package's own
// types and errors out. Nothing generated leaves it. It is for one goroutine.
type admin struct {
	s        *Syncer
	conn     Connection
	client   *shopify.Client
	token    tokenFunc
	priority throttle.Priority
	without  FieldSet
	shopID   string        // the store's identity; empty until it is known
	served   string        // the version that answered last
	usual    string        // the version that answered this process before; may be empty
	warned   string        // what Shopify calls deprecated in it
	cost     float64       // points that the last answer said its request needs
	elapsed  time.Duration // how long the last attempt took
	began    time.Time     // when the first answer was observed, by Shopify's clock
}

// admin opens the Admin API of a connection.
func (s *Syncer) admin(conn Connection, priority throttle.Priority) (*admin, error) {
	return s.adminWith(conn, priority, s.tokensFor(conn))
}

// adminWith is admin with another source of tokens.
func (s *Syncer) adminWith(conn Connection, priority throttle.Priority, token tokenFunc) (*admin, error) {
	sh := s.sharedOf(conn.ID)
	a := &admin{s: s, conn: conn, token: token, priority: priority, without: s.without}
	cfg := shopify.Config{
		Shop:       string(conn.Shop),
		Version:    conn.apiVersion(),
		HTTPClient: s.httpClient,
		Bucket:     sh.bucket,
		Costs:      &sh.costs,
		Logger:     s.logger.With("connection", string(conn.ID)),
		UserAgent:  "shopifysync",
		Now:        s.now,
		Token:      token,
	}
	if s.without != 0 {
		fields := s.without.adminFields()
		cfg.Edit = func(query string) string { return adminapi.Without(query, fields...) }
	}
	client, err := shopify.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("shopifysync: %w", err)
	}
	a.client = client
	if v := sh.served.Load(); v != nil && v.asked == conn.apiVersion() {
		a.usual = v.served
	}
	return a, nil
}

// call runs one operation and turns its error into the package's own.
func (a *admin) call(ctx context.Context, op string, do func(*shopify.Meta) error) (shopify.Meta, error) {
	var m shopify.Meta
	start := time.Now()
	err := apiError(op, do(&m))
	if !m.ObservedAt.IsZero() {
		ahead := m.ObservedAt.Sub(a.s.now().Add(-m.Elapsed))
		a.s.sharedOf(a.conn.ID).ahead.Store(&ahead)
	}
	a.elapsed = m.Elapsed
	if m.Requested > 0 {
		a.cost = m.Requested
	}
	if err == nil {
		a.noteVersion(ctx, m)
		if a.began.IsZero() {
			a.began = m.ObservedAt
		}
	}
	if hook := a.s.hooks.APICall; hook != nil {
		hook(ctx, APICallInfo{
			Connection: a.conn.ID, Op: op, ServedVersion: m.ServedVersion,
			Cost: m.Actual, Attempts: m.Attempts, Duration: time.Since(start), Err: err,
		})
	}
	return m, err
}

// noteVersion keeps the version that answered, and says so when it is not the
// one asked for, or when Shopify calls something deprecated.
func (a *admin) noteVersion(ctx context.Context, m shopify.Meta) {
	a.warned = m.DeprecatedReason
	served := m.ServedVersion
	if served == "" {
		served = a.conn.apiVersion()
	}
	if served == a.served {
		return
	}
	a.served = served
	said := &servedVersion{asked: a.conn.apiVersion(), served: served, deprecated: m.DeprecatedReason}
	if before := a.s.sharedOf(a.conn.ID).served.Swap(said); before != nil && *before == *said {
		return // once is enough
	}
	if asked := a.conn.apiVersion(); served != asked || m.DeprecatedReason != "" {
		a.s.logger.WarnContext(ctx, "Shopify answers with another API version than asked for, or calls it deprecated",
			"connection", string(a.conn.ID), "asked", asked, "served", served, "deprecated", m.DeprecatedReason)
	}
}

// version is the one that Shopify serves, as far as is known; else empty.
func (a *admin) version() string {
	if a.served == "" {
		return a.usual
	}
	return a.served
}

// lacking tells which fields cannot be asked for in the version served.
// "unstable" has all: it sorts behind every date.
func (a *admin) lacking() FieldSet {
	if a.version() < v2026_07.MinVersion {
		return FieldWhatsAppConsent
	}
	return 0
}

// apiError converts the transport's error.
func apiError(op string, err error) error {
	var e *shopify.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Kind == shopify.Canceled {
		return e.Err
	}
	out := &APIError{Op: op, Code: e.Code, StatusCode: e.StatusCode, RequestID: e.RequestID, RetryAfter: e.RetryAfter}
	switch e.Kind {
	case shopify.NoToken:
		out.Err = &hostError{doing: "get an access token", err: e.Err}
	case shopify.Unauthorized, shopify.BadToken, shopify.WrongClient:
		out.Err = ErrUnauthorized
	case shopify.Frozen:
		out.Err = ErrShopFrozen
	case shopify.Locked:
		out.Err = ErrShopLocked
	case shopify.NotFound:
		out.Err = ErrShopNotFound
	case shopify.Moved:
		out.Err = ErrShopMoved
	case shopify.Throttled:
		out.Err = ErrThrottled
	case shopify.AccessDenied, shopify.Forbidden:
		out.Err = ErrScopeMissing
	case shopify.ProtectedData:
		out.Err = ErrProtectedData
	case shopify.NotPermitted:
		out.Err = ErrOtherOrganization
	case shopify.NotInstalled:
		out.Err = ErrAppNotInstalled
	case shopify.Server, shopify.Network, shopify.Rejected:
		out.Err = ErrUnavailable
	default: // MaxCost, InvalidQuery, BadResponse: e's own text says what to do
		out.Err = e
	}
	return out
}

// isKind reports whether the transport gave an error of that kind.
func isKind(err error, kind shopify.Kind) bool {
	var e *shopify.Error
	return errors.As(err, &e) && e.Kind == kind
}

// An observed is one customer as Shopify showed it at one time, or, with err
// set, a record that could not be read.
type observed struct {
	customer Customer
	lacking  FieldSet // not in the version served, and masked for that
	version  Version
	err      error
}

// An observedPage is one page of the customers list.
type observedPage struct {
	records []observed
	masked  FieldSet // refused on at least one record
	next    string   // cursor of the next page; empty: this was the last
	more    bool     // Shopify says there is a next page
}

// personalFields are those without which no contact can be told from another.
const personalFields = FieldName | FieldEmail | FieldPhone

// personalData tells whether customers that were read are shown with any of them.
func (a *admin) personalData(records []observed) DataAccess {
	asked := personalFields &^ a.without
	access := DataUnknown
	for _, o := range records {
		switch {
		case o.err != nil: // nothing was read
		case asked == 0 || !o.customer.Masked.Has(asked):
			return DataReadable
		default:
			access = DataRefused
		}
	}
	return access
}

// page reads one page of all customers, the newest first.
func (a *admin) page(ctx context.Context, first int, after string) (observedPage, error) {
	var cursor *string
	if after != "" {
		cursor = &after
	}
	lacking := a.lacking()
	var nodes []v2026_07.Customer
	var info adminapi.PageInfo
	meta, err := a.call(ctx, "CustomersPage", func(m *shopify.Meta) error {
		client, sort := a.client.Call(m, a.priority), adminapi.CustomerSortKeysId
		if lacking.Has(FieldWhatsAppConsent) {
			resp, err := adminapi.CustomersPage(ctx, client, first, cursor, "", sort, true)
			if err == nil {
				nodes, info = withoutConsent(resp.Customers.Nodes), resp.Customers.PageInfo
			}
			return err
		}
		resp, err := v2026_07.CustomersPage(ctx, client, first, cursor, "", sort, true)
		if err == nil {
			nodes, info = resp.Customers.Nodes, resp.Customers.PageInfo
		}
		return err
	})
	var records []observed
	if raw := undecoded(err); raw != nil {
		// One record of an unforeseen shape must not hide the other 249.
		var data struct {
			Customers struct {
				Nodes    []json.RawMessage
				PageInfo adminapi.PageInfo
			}
		}
		if json.Unmarshal(raw, &data) != nil {
			return observedPage{}, err
		}
		masks := pathMasks(meta.FieldErrors, "customers", "nodes")
		if data.Customers.Nodes != nil {
			records = make([]observed, len(data.Customers.Nodes))
		}
		for i, node := range data.Customers.Nodes {
			records[i], _ = a.observeRaw(node, a.without|masks.of(i), lacking, meta.ObservedAt)
		}
		return a.finishPage(records, masks, data.Customers.PageInfo, meta)
	}
	if err != nil {
		return observedPage{}, err
	}
	masks := pathMasks(meta.FieldErrors, "customers", "nodes")
	if nodes != nil {
		records = make([]observed, len(nodes))
	}
	for i := range nodes {
		records[i] = observe(&nodes[i], a.without|masks.of(i), lacking, meta.ObservedAt)
	}
	return a.finishPage(records, masks, info, meta)
}

// withoutConsent makes customers of 2026-07 of earlier ones.
func withoutConsent(nodes []adminapi.CustomerFields) []v2026_07.Customer {
	if nodes == nil {
		return nil
	}
	out := make([]v2026_07.Customer, len(nodes))
	for i := range nodes {
		out[i].CustomerFields = nodes[i]
	}
	return out
}

// finishPage makes a page of its records, which are nil if there was no list.
func (a *admin) finishPage(records []observed, masks recordMasks, info adminapi.PageInfo, meta shopify.Meta) (observedPage, error) {
	switch {
	case len(meta.SearchWarnings) > 0:
		return observedPage{}, fmt.Errorf("%w: Shopify did not understand the list's filter", ErrIncomplete)
	case records == nil || refusesList(meta.FieldErrors):
		return observedPage{}, fmt.Errorf("%w: Shopify answered without the list of customers", ErrIncomplete)
	}
	p := observedPage{records: records, more: info.HasNextPage}
	if info.HasNextPage {
		p.next = info.EndCursor
	}
	for _, m := range masks {
		p.masked |= m
	}
	return p, nil
}

// refusesList reports whether more than fields of customers was refused: the
// list itself, or what tells whether it goes on.
func refusesList(errs []shopify.FieldError) bool {
	return slices.ContainsFunc(errs, func(e shopify.FieldError) bool {
		if len(e.Path) < 3 || e.Path[0] != "customers" || e.Path[1] != "nodes" {
			return true
		}
		_, ofOne := e.Path[2].(int)
		_, ofAll := fieldsOfPath(e.Path[2:])
		return !ofOne && !ofAll
	})
}

// A changedCustomer is a row of a filtered list. It may come from a stale
// search index, so it says no more than whom to fetch.
type changedCustomer struct {
	id        CustomerID
	updatedAt time.Time
}

// A changedPage is one page of the list of changed customers.
type changedPage struct {
	rows []changedCustomer
	next string
	more bool
	at   time.Time // when it was observed, by Shopify's clock
}

// changed reads one page of the customers updated at since or later, the
// oldest change first.
func (a *admin) changed(ctx context.Context, since time.Time, first int, after string) (changedPage, error) {
	var cursor *string
	if after != "" {
		cursor = &after
	}
	query := "updated_at:>='" + since.UTC().Format(time.RFC3339) + "'"
	var resp *adminapi.ChangedCustomersResponse
	meta, err := a.call(ctx, "ChangedCustomers", func(m *shopify.Meta) (err error) {
		resp, err = adminapi.ChangedCustomers(ctx, a.client.Call(m, a.priority), first, cursor, query)
		return err
	})
	switch {
	case err != nil:
		return changedPage{}, err
	case len(meta.SearchWarnings) > 0: // then everybody is listed
		return changedPage{}, fmt.Errorf("%w: Shopify did not understand the list's filter", ErrIncomplete)
	case resp.Customers.Nodes == nil || len(meta.FieldErrors) > 0:
		return changedPage{}, fmt.Errorf("%w: Shopify answered without the list of customers", ErrIncomplete)
	}
	p := changedPage{more: resp.Customers.PageInfo.HasNextPage, at: meta.ObservedAt}
	if p.more {
		p.next = resp.Customers.PageInfo.EndCursor
	}
	for _, node := range resp.Customers.Nodes {
		id, err := ParseCustomerID(node.Id)
		if err != nil {
			return changedPage{}, &APIError{Op: "ChangedCustomers", RequestID: meta.RequestID, Err: err}
		}
		p.rows = append(p.rows, changedCustomer{id, node.UpdatedAt})
	}
	return p, nil
}

// byID reads customers by their ids, at most maxPage. gone are those that
// Shopify no longer has: null without an error at or above its path.
func (a *admin) byID(ctx context.Context, ids []CustomerID) (found []observed, gone []CustomerID, at time.Time, err error) {
	gids := make([]string, len(ids))
	for i, id := range ids {
		gids[i] = id.GID()
	}
	lacking := a.lacking()
	var nodes []*v2026_07.Customer
	meta, err := a.call(ctx, "CustomersByID", func(m *shopify.Meta) error {
		client := a.client.Call(m, a.priority)
		if !lacking.Has(FieldWhatsAppConsent) {
			resp, err := v2026_07.CustomersByID(ctx, client, gids)
			if err == nil {
				nodes = resp.Nodes
			}
			return err
		}
		resp, err := adminapi.CustomersByID(ctx, client, gids)
		if err != nil {
			return err
		}
		nodes = make([]*v2026_07.Customer, len(resp.Nodes))
		for i, node := range resp.Nodes {
			switch n := node.(type) {
			case nil:
			case *adminapi.CustomersByIDNodesCustomer:
				nodes[i] = &v2026_07.Customer{CustomerFields: n.CustomerFields}
			default: // no customer has that id
				nodes[i] = new(v2026_07.Customer)
			}
		}
		return nil
	})
	masks := pathMasks(meta.FieldErrors, "nodes")
	if raw := undecoded(err); raw != nil {
		var data struct{ Nodes []json.RawMessage }
		if json.Unmarshal(raw, &data) != nil || len(data.Nodes) != len(ids) {
			return nil, nil, time.Time{}, err
		}
		for i, node := range data.Nodes {
			if string(node) == "null" {
				if !coversNode(meta.FieldErrors, i) {
					gone = append(gone, ids[i])
				}
				continue
			}
			o, _ := a.observeRaw(node, a.without|masks.of(i), lacking, meta.ObservedAt)
			if o.customer.ID != 0 && o.customer.ID != ids[i] {
				return nil, nil, time.Time{}, otherIDs(meta)
			}
			o.customer.ID = ids[i]
			found = append(found, o)
		}
		return found, gone, meta.ObservedAt, nil
	}
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	if len(nodes) != len(ids) {
		return nil, nil, time.Time{}, otherIDs(meta)
	}
	for i, node := range nodes {
		switch {
		case node == nil && !coversNode(meta.FieldErrors, i):
			gone = append(gone, ids[i])
		case node == nil: // refused
		case node.Id != ids[i].GID():
			return nil, nil, time.Time{}, otherIDs(meta)
		default:
			found = append(found, observe(node, a.without|masks.of(i), lacking, meta.ObservedAt))
		}
	}
	return found, gone, meta.ObservedAt, nil
}

func otherIDs(meta shopify.Meta) error {
	return &APIError{Op: "CustomersByID", RequestID: meta.RequestID, Err: errors.New("the answer is not for the ids that were asked: try again")}
}

// coversNode reports whether an error stands at the i-th node or below it, or
// does not say at which: a field that is refused but may not be null makes its
// whole parent null
// (https://spec.graphql.org/October2021/#sec-Handling-Field-Errors).
func coversNode(errs []shopify.FieldError, i int) bool {
	return slices.ContainsFunc(errs, func(e shopify.FieldError) bool {
		if len(e.Path) < 2 || e.Path[0] != "nodes" {
			return false
		}
		index, ok := e.Path[1].(int)
		return !ok || index == i
	})
}

// observe takes a customer of an answer: masked fields were refused or left out,
// lacking ones are not in the version served.
func observe(c *v2026_07.Customer, masked, lacking FieldSet, at time.Time) observed {
	customer, err := customerFromAdmin(c, masked|lacking)
	if err != nil {
		customer.ID, _ = ParseCustomerID(c.Id) // 0 if that is what is wrong
	}
	return observed{customer: customer, lacking: lacking, version: Version{UpdatedAt: c.UpdatedAt, ObservedAt: at}, err: err}
}

// observeRaw reads a record that the typed decoding stumbled over, or a line
// of a bulk file.
func (a *admin) observeRaw(raw []byte, masked, lacking FieldSet, at time.Time) (o observed, child bool) {
	var c v2026_07.Customer
	object, err := bulk.Decode(raw, &c)
	if err != nil {
		o := observed{version: Version{ObservedAt: at}, err: err}
		var line *bulk.LineError
		if errors.As(err, &line) {
			o.customer.ID = CustomerID(line.CustomerID)
		}
		return o, object.Child
	}
	if object.Child {
		return observed{}, true
	}
	return observe(&c, masked, lacking, at), false
}

// undecoded returns the data of an answer that had another shape than asked
// for, if that is what err says.
func undecoded(err error) []byte {
	var e *shopify.DecodeError
	if errors.As(err, &e) {
		return e.Data
	}
	return nil
}

// recordMasks tell which fields of which record were refused.
type recordMasks map[int]FieldSet

// everyRecord stands for a refusal that names a field and no record.
const everyRecord = -1

func (m recordMasks) of(i int) FieldSet { return m[i] | m[everyRecord] }

// pathMasks reads the masks of errors whose path is prefix, index, field; an
// index may be lacking.
func pathMasks(errs []shopify.FieldError, prefix ...string) recordMasks {
	var masks recordMasks
next:
	for _, e := range errs {
		if len(e.Path) <= len(prefix) {
			continue
		}
		for i, name := range prefix {
			if e.Path[i] != name {
				continue next
			}
		}
		index, ok := e.Path[len(prefix)].(int)
		if !ok {
			index = everyRecord
		}
		if field, ok := fieldsOfPath(e.Path[len(prefix):]); ok {
			if masks == nil {
				masks = make(recordMasks)
			}
			masks[index] |= field
		}
	}
	return masks
}

// count returns how many customers the store has, or false if the served
// version cannot tell.
func (a *admin) count(ctx context.Context) (int64, bool, error) {
	if a.served < v2025_07.MinVersion && a.served != "unstable" {
		return 0, false, nil
	}
	var resp *v2025_07.CustomersCountResponse
	_, err := a.call(ctx, "CustomersCount", func(m *shopify.Meta) (err error) {
		resp, err = v2025_07.CustomersCount(ctx, a.client.Call(m, a.priority))
		return err
	})
	if err != nil {
		return 0, false, err
	}
	return int64(resp.CustomersCount.Count), resp.CustomersCount.Precision == v2025_07.CountPrecisionExact, nil
}

// shop reads what Shopify says of the store.
func (a *admin) shop(ctx context.Context) (ShopInfo, error) {
	var resp *adminapi.ShopResponse
	meta, err := a.call(ctx, "Shop", func(m *shopify.Meta) (err error) {
		resp, err = adminapi.Shop(ctx, a.client.Call(m, a.priority))
		return err
	})
	if err != nil {
		return ShopInfo{}, err
	}
	got := resp.Shop
	if got.Id == "" || got.MyshopifyDomain == "" {
		return ShopInfo{}, &APIError{Op: "Shop", RequestID: meta.RequestID, Err: errors.New("the answer does not say which store it is for: try again")}
	}
	return ShopInfo{
		ID: got.Id, Name: got.Name, Domain: Shop(strings.ToLower(got.MyshopifyDomain)),
		Plan: got.Plan.DisplayName, Plus: got.Plan.ShopifyPlus, Test: got.Plan.PartnerDevelopment,
		Currency: got.CurrencyCode, TimeZone: got.IanaTimezone,
	}, nil
}

// checkShop makes sure that the store which answers is the one named, and the
// one that the connection has always been of.
func (a *admin) checkShop(ctx context.Context) (ShopInfo, error) {
	info, err := a.shop(ctx)
	switch {
	case err != nil:
		return info, err
	case a.shopID != "" && info.ID != a.shopID:
		return info, &APIError{Op: "Shop", Err: ErrAnotherStore}
	case info.Domain != a.conn.Shop:
		return info, &APIError{Op: "Shop", Err: ErrShopMoved}
	}
	a.shopID = info.ID
	a.s.sharedOf(a.conn.ID).confirmed.Store(&a.conn.Shop)
	return info, nil
}

// confirmed reports whether checkShop has nothing to find out: this process
// knows that the shop named is the connection's store, and the version served.
// A host may save another shop under a connection's ID, without Connect.
func (a *admin) confirmed() bool {
	shop := a.s.sharedOf(a.conn.ID).confirmed.Load()
	return a.shopID != "" && a.version() != "" && shop != nil && *shop == a.conn.Shop
}

// confirmShop is checkShop when it has something to find out: for the first
// call of a connection, of a process, or after the shop was changed.
func (a *admin) confirmShop(ctx context.Context) error {
	if a.confirmed() {
		return nil
	}
	if _, err := a.checkShop(ctx); err != nil {
		return err
	}
	_, err := a.s.changeState(ctx, a.conn.ID, func(st *ConnectionState) bool {
		if st.ShopID != "" {
			return false
		}
		st.ShopID = a.shopID
		return true
	})
	return err
}

// explainDenied turns a refusal to read customers into the error that says
// why: a missing scope is listed by name.
func (a *admin) explainDenied(ctx context.Context, denied error) error {
	if !errors.Is(denied, ErrScopeMissing) {
		return denied
	}
	scopes, err := a.scopes(ctx)
	if err != nil {
		return denied
	}
	if mayRead(scopes, scopeCustomers) {
		return fmt.Errorf("%w (%w)", ErrProtectedData, denied)
	}
	return fmt.Errorf("%w (%w)", &MissingScopesError{Missing: []string{scopeCustomers}}, denied)
}

// A bulkOperation is what the run needs to know of one.
type bulkOperation struct {
	id          string
	status      string
	errorCode   string
	query       string
	createdAt   time.Time
	url         string
	objects     int64
	rootObjects int64
	fileSize    int64
}

func (b *bulkOperation) ended() bool {
	switch b.status {
	case "COMPLETED", "FAILED", "CANCELED", "EXPIRED":
		return true
	}
	return false
}

func bulkFrom(f adminapi.BulkOperationFields) *bulkOperation {
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return -1 // agrees with no count
		}
		return n
	}
	return &bulkOperation{
		id: f.Id, status: string(f.Status), errorCode: string(f.ErrorCode), query: f.Query,
		createdAt: f.CreatedAt, url: f.Url,
		objects: number(string(f.ObjectCount)), rootObjects: number(string(f.RootObjectCount)),
		fileSize: number(string(f.FileSize)),
	}
}

// bulkQuery is the text handed to Shopify: genqlient's own operation for the
// version served, less the fields left out.
func (a *admin) bulkQuery() string {
	query := v2026_07.BulkCustomers_Operation
	if a.lacking().Has(FieldWhatsAppConsent) {
		query = adminapi.BulkCustomers_Operation
	}
	return adminapi.Without(query, a.without.adminFields()...)
}

// bulkQueries are the texts that bulkQuery may return: a run that was begun
// with others is not gone on with.
func (a *admin) bulkQueries() string {
	out := a.without.adminFields()
	return adminapi.Without(adminapi.BulkCustomers_Operation, out...) + adminapi.Without(v2026_07.BulkCustomers_Operation, out...)
}

// lacking tells which fields were not asked for in the operation.
func (b *bulkOperation) lacking() FieldSet {
	if strings.Contains(b.query, "whatsAppMarketingConsent") {
		return 0
	}
	return FieldWhatsAppConsent
}

// errBulkBusy: Shopify takes no further bulk operation at the moment.
var errBulkBusy = errors.New("no further bulk operation is taken by Shopify at the moment")

// startBulk starts the bulk operation. If Shopify's answer was lost, it looks
// whether the operation runs after all. One that was begun before notBefore,
// by Shopify's clock, is not taken: its rows are too old.
func (a *admin) startBulk(ctx context.Context, notBefore time.Time) (*bulkOperation, error) {
	query := a.bulkQuery()
	var resp *adminapi.RunBulkQueryResponse
	_, err := a.call(ctx, "RunBulkQuery", func(m *shopify.Meta) (err error) {
		resp, err = adminapi.RunBulkQuery(ctx, a.client.Call(m, a.priority), query)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil && resp.BulkOperationRunQuery.BulkOperation != nil:
		return bulkFrom(*resp.BulkOperationRunQuery.BulkOperation), nil
	case err != nil && !errors.Is(err, ErrUnavailable):
		return nil, err
	}
	current, lookErr := a.currentBulk(ctx)
	if lookErr == nil && current != nil && current.query == query && !current.createdAt.Before(notBefore) &&
		(current.status == "CREATED" || current.status == "RUNNING" || current.status == "COMPLETED") {
		return current, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, errBulkBusy
}

func (a *admin) currentBulk(ctx context.Context) (*bulkOperation, error) {
	var resp *adminapi.CurrentBulkOperationResponse
	_, err := a.call(ctx, "CurrentBulkOperation", func(m *shopify.Meta) (err error) {
		resp, err = adminapi.CurrentBulkOperation(ctx, a.client.Call(m, a.priority))
		return err
	})
	if err != nil || resp.CurrentBulkOperation == nil {
		return nil, err
	}
	return bulkFrom(*resp.CurrentBulkOperation), nil
}

// pollBulk asks how the operation is; nil if Shopify does not know it.
func (a *admin) pollBulk(ctx context.Context, id string) (*bulkOperation, error) {
	var resp *adminapi.PollBulkOperationResponse
	_, err := a.call(ctx, "PollBulkOperation", func(m *shopify.Meta) (err error) {
		resp, err = adminapi.PollBulkOperation(ctx, a.client.Call(m, a.priority), id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if op, ok := resp.Node.(*adminapi.PollBulkOperationNodeBulkOperation); ok {
		return bulkFrom(op.BulkOperationFields), nil
	}
	return nil, nil
}

// cancelBulk is a courtesy: an operation nobody waits for holds a slot.
func (a *admin) cancelBulk(ctx context.Context, id string) error {
	_, err := a.call(ctx, "CancelBulkOperation", func(m *shopify.Meta) error {
		_, err := adminapi.CancelBulkOperation(ctx, a.client.Call(m, a.priority), id)
		return err
	})
	return err
}
