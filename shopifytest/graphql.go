package shopifytest

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// call is a GraphQL request on its way.
type call struct {
	server  *Server
	store   *Store
	cfg     StoreConfig
	version string // served
	op      *ast.OperationDefinition
	now     time.Time
	readLag time.Duration // how old what node and nodes see is
}

type graphQLRequest struct {
	Query         string          `json:"query"`
	Variables     json.RawMessage `json:"variables"`
	OperationName string          `json:"operationName"`
}

// graphQLAnswer is the body of an answer.
type graphQLAnswer struct {
	data       []byte // JSON; left out when nil
	errors     []GraphQLError
	extensions *extensions
}

// encode writes the body in Shopify's order. The data is JSON already:
// encoding/json would look at each of its bytes again.
func (a graphQLAnswer) encode() []byte {
	body := append(make([]byte, 0, len(a.data)+512), '{')
	member := func(name string, value []byte) {
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = append(appendString(body, name, false), ':')
		body = append(body, value...)
	}
	if a.data != nil {
		member("data", a.data)
	}
	if len(a.errors) > 0 {
		member("errors", mustMarshal(a.errors))
	}
	if a.extensions != nil {
		member("extensions", mustMarshal(a.extensions))
	}
	return append(body, '}')
}

type extensions struct {
	Cost   *costReport  `json:"cost,omitempty"`
	Search []searchNote `json:"search,omitempty"`
}

// maxBody bounds a request.
const maxBody = 2 << 20

func (s *Server) serveGraphQL(w http.ResponseWriter, r *http.Request, st *Store, version string, entry *logEntry) {
	request, ok := readGraphQL(w, r)
	if !ok {
		return
	}
	names := operationNames(request)
	entry.update(func(r *Request) { r.Query, r.Variables = request.Query, request.Variables })
	if len(names) > 0 {
		entry.is(names[0])
	}
	fault := st.fault(names, true)
	if s.intervene(w, r, fault) {
		return
	}
	s.hold(r, st.Config().Latency)
	cfg := st.Config()
	if !st.admits(w, r, cfg) {
		return
	}
	served, ok := cfg.served(version)
	if !ok {
		sendStatus(w, http.StatusNotFound)
		return
	}
	w.Header().Set("X-Shopify-API-Version", served)
	if cfg.DeprecatedReason != "" {
		w.Header().Set("X-Shopify-API-Deprecated-Reason", cfg.DeprecatedReason)
	}
	c := &call{server: s, store: st, cfg: cfg, version: served, now: s.now(), readLag: cfg.ReadLag}
	if fault != nil {
		c.readLag = max(c.readLag, fault.ReadLag)
	}
	answer, status := c.run(request, r.Header, fault, entry)
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", c.retryAfter(answer))
	}
	s.sendAnswer(w, status, answer, fault)
}

// admits checks the state of the store and the token.
func (st *Store) admits(w http.ResponseWriter, r *http.Request, cfg StoreConfig) bool {
	status := http.StatusOK
	switch {
	case cfg.State == Frozen:
		status = http.StatusPaymentRequired
	case cfg.State == Locked:
		status = http.StatusLocked
	case cfg.State == Uninstalled, !st.validToken(r.Header.Get("X-Shopify-Access-Token")):
		status = http.StatusUnauthorized
	}
	if status != http.StatusOK {
		sendStatus(w, status)
		return false
	}
	return true
}

func readGraphQL(w http.ResponseWriter, r *http.Request) (graphQLRequest, bool) {
	var request graphQLRequest
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		sendErrors(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return request, false
	}
	switch mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType {
	case "application/json":
		if err := json.Unmarshal(body, &request); err != nil {
			sendErrors(w, http.StatusBadRequest, "Bad Request")
			return request, false
		}
	case "application/graphql":
		request.Query = string(body)
	default:
		sendErrors(w, http.StatusNotAcceptable, "Not Acceptable")
		return request, false
	}
	return request, true
}

// operationNames returns the name of the operation, if it has one, and its
// root fields.
func operationNames(request graphQLRequest) []string {
	doc, err := parser.ParseQuery(&ast.Source{Input: request.Query})
	if err != nil {
		return nil
	}
	op := chooseOperation(doc, request.OperationName)
	if op == nil {
		return nil
	}
	var names []string
	if op.Name != "" {
		names = append(names, op.Name)
	}
	for _, selection := range op.SelectionSet {
		if f, ok := selection.(*ast.Field); ok {
			names = append(names, f.Name)
		}
	}
	return names
}

func chooseOperation(doc *ast.QueryDocument, name string) *ast.OperationDefinition {
	if name == "" && len(doc.Operations) == 1 {
		return doc.Operations[0]
	}
	if name == "" {
		return nil
	}
	return doc.Operations.ForName(name)
}

// run validates, pays for and executes a request.
func (c *call) run(request graphQLRequest, header http.Header, fault *Fault, entry *logEntry) (graphQLAnswer, int) {
	refuse := func(errs ...GraphQLError) (graphQLAnswer, int) { return graphQLAnswer{errors: errs}, http.StatusOK }
	if strings.TrimSpace(request.Query) == "" {
		return refuse(GraphQLError{Message: "No query string was present"})
	}
	doc, errs := parseDocument(schemaFor(c.version), request.Query)
	if errs != nil {
		return refuse(errs...)
	}
	if c.op = chooseOperation(doc.QueryDocument, request.OperationName); c.op == nil {
		if request.OperationName != "" {
			return refuse(GraphQLError{Message: "No operation named \"" + request.OperationName + "\""})
		}
		return refuse(GraphQLError{Message: "An operation name is required"})
	}
	var given map[string]any
	if len(request.Variables) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(request.Variables))
		decoder.UseNumber()
		if err := decoder.Decode(&given); err != nil {
			return refuse(graphQLError(nil, "BAD_REQUEST", "Variables must be a JSON object"))
		}
	}
	vars, errs := coerceVariables(doc.schema, c.op, given)
	if errs != nil {
		return refuse(errs...)
	}
	x := &execution{store: c.store, call: c, doc: doc, vars: vars, access: c.cfg.access()}
	root := x.collect(rootType(doc.schema, c.op.Operation), c.op.SelectionSet)
	if e := tooMany(root); e != nil {
		return refuse(*e)
	}
	requested := x.cost(root, c.cfg.CostModel, false)
	if requested > maxQueryCost {
		return refuse(GraphQLError{
			Message: "Query cost is " + strconv.Itoa(requested) + ", which exceeds the single query max cost limit (1000).\n\n" +
				"See https://shopify.dev/concepts/about-apis/rate-limits for more information on how the\ncost of a query is calculated.",
			Extensions: map[string]any{"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": maxQueryCost, "documentation": rateLimitsPage},
		})
	}
	report := &costReport{Requested: requested}
	left, ok := c.store.charge(float64(requested), c.cfg, c.now)
	report.Throttle = throttleStatus{decimal(c.cfg.BucketSize), int(left), decimal(c.cfg.RestoreRate)}
	if !ok {
		return c.throttled(report)
	}
	data := x.fields(nil, root, nil)
	if x.nulled {
		data = []byte("null")
	}
	actual := min(x.cost(root, c.cfg.CostModel, true), requested)
	left = c.store.refund(float64(requested-actual), c.cfg)
	report.Actual, report.Throttle.Currently = &actual, int(left)
	entry.update(func(r *Request) { r.Cost = actual })
	answer := graphQLAnswer{data: data, errors: x.errors, extensions: &extensions{Cost: report}}
	for _, note := range x.search {
		if len(note.Warnings) > 0 || header.Get("Shopify-Search-Query-Debug") == "1" {
			answer.extensions.Search = append(answer.extensions.Search, note)
		}
	}
	return answer, http.StatusOK
}

func (c *call) throttled(report *costReport) (graphQLAnswer, int) {
	status := http.StatusOK
	if c.cfg.Throttle429 {
		status = http.StatusTooManyRequests
	}
	return graphQLAnswer{
		errors:     ThrottledErrors(),
		extensions: &extensions{Cost: report},
	}, status
}

// retryAfter is when the bucket has the points that were asked for, in
// seconds.
func (c *call) retryAfter(answer graphQLAnswer) string {
	report := answer.extensions.Cost
	missing := float64(report.Requested - report.Throttle.Currently)
	seconds := max(1, int(missing/c.cfg.RestoreRate)+1)
	return strconv.Itoa(seconds) + ".0"
}

// maxInput is the most elements that a list argument may have.
const maxInput = 250

func tooMany(root plan) *GraphQLError {
	for _, f := range root {
		for name, value := range f.args {
			if list, ok := value.([]any); ok && len(list) > maxInput {
				e := graphQLError(f.node.Position, "MAX_INPUT_SIZE_EXCEEDED",
					"The input array size of %d is greater than the maximum allowed of %d.", len(list), maxInput)
				e.Path = []any{f.key, name}
				return &e
			}
		}
	}
	return nil
}

func (st *Store) charge(points float64, cfg StoreConfig, now time.Time) (float64, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.bucket.take(points, cfg.BucketSize, cfg.RestoreRate, now)
}

func (st *Store) refund(points float64, cfg StoreConfig) float64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.bucket.available = min(st.bucket.available+points, cfg.BucketSize)
	return st.bucket.available
}

// Drain takes points out of the store's bucket, as another program with the
// same token would.
func (st *Store) Drain(points float64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.bucket.refill(st.cfg.BucketSize, st.cfg.RestoreRate, st.server.now())
	st.bucket.available = max(0, st.bucket.available-points)
}

func (s *Server) sendAnswer(w http.ResponseWriter, status int, answer graphQLAnswer, fault *Fault) {
	b := fault.rewrite(answer.encode())
	fault.dropAfter()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	fault.sendBody(w, b)
}

// searchNote is an entry of extensions.search.
type searchNote struct {
	Path     []any           `json:"path"`
	Query    string          `json:"query"`
	Parsed   any             `json:"parsed"`
	Warnings []searchWarning `json:"warnings,omitempty"`
}

// filterFor parses the query argument of f and notes what came of it.
func (x *execution) filterFor(f *field, createdField string, now time.Time, cfg StoreConfig) (filter, bool) {
	query, _ := f.args["query"].(string)
	if strings.TrimSpace(query) == "" {
		return noFilter, false
	}
	parsed, terms, warnings := parseFilter(query, createdField, now, cfg.location())
	note := searchNote{Path: append(append([]any{}, x.path...), f.key), Query: query, Warnings: warnings}
	var list []any
	for _, t := range terms {
		operator := map[string]string{"": "match_all", ">": "range_gt", ">=": "range_gte", "<": "range_lt", "<=": "range_lte"}[t.operator]
		list = append(list, map[string]any{"field": t.field, operator: t.value})
	}
	if note.Parsed = any(map[string]any{"and": list}); len(list) == 1 {
		note.Parsed = list[0]
	}
	x.search = append(x.search, note)
	return parsed, true
}

// parseGID reads a global id such as gid://shopify/Customer/1.
func parseGID(text string) (kind string, id int64, ok bool) {
	rest, found := strings.CutPrefix(text, "gid://shopify/")
	kind, number, _ := strings.Cut(rest, "/")
	id, err := strconv.ParseInt(number, 10, 64)
	return kind, id, found && kind != "" && err == nil && id >= 0
}
