package shopifytest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// bulkOperation is a BulkOperation. Its state follows from the clock: nothing
// runs in the background but the measuring of its file.
type bulkOperation struct {
	store     *Store
	id        int64
	query     string
	createdAt time.Time
	total     int // rows of the whole result
	speed     int // rows per second
	failure   *BulkFailure
	whole     *bulkFile
	partial   *bulkFile

	canceledAt time.Time // guarded by the store's lock
}

// BulkFailure makes a bulk operation end badly.
type BulkFailure struct {
	Status    string // FAILED when empty; or CANCELED: Shopify cancels stalled operations
	ErrorCode string // ACCESS_DENIED, INTERNAL_SERVER_ERROR or TIMEOUT; null when empty
	AfterRows int    // how far it comes
	// PartialData publishes the rows up to there at partialDataUrl, PartialAfter
	// after the failure.
	PartialData  bool
	PartialAfter time.Duration
}

// Times of bulk operations, from Shopify's documentation.
const (
	bulkURLLife    = 7 * 24 * time.Hour
	bulkCancelTime = time.Second // how long CANCELING takes here
)

// bulkView is a bulk operation at a moment.
type bulkView struct {
	*bulkOperation
	status      string
	errorCode   string
	rows        int
	completedAt time.Time
	fileSize    int64 // -1 for null
	url         string
	partialURL  string
}

// view returns the state at a moment. For a completed operation it waits
// until the file is measured.
func (op *bulkOperation) view(now time.Time) *bulkView {
	canceledAt := op.wasCanceled()
	v := &bulkView{bulkOperation: op, fileSize: -1}
	end, rows := op.createdAt.Add(op.duration(op.total)), op.total
	if op.failure != nil {
		rows = min(op.failure.AfterRows, op.total)
		end = op.createdAt.Add(op.duration(rows))
	}
	switch {
	case !canceledAt.IsZero():
		v.status, v.rows = "CANCELING", op.progress(canceledAt)
		if !now.Before(canceledAt.Add(bulkCancelTime)) {
			v.status = "CANCELED"
			v.partialURL = op.publishPartial(v.rows, canceledAt)
		}
	case now.Before(end):
		if v.status = "RUNNING"; !now.After(op.createdAt) {
			v.status = "CREATED"
		}
		v.rows = op.progress(now)
	case op.failure != nil:
		v.status, v.errorCode, v.rows = op.failure.Status, op.failure.ErrorCode, rows
		if v.status == "" {
			v.status = "FAILED"
		}
		if op.failure.PartialData && !now.Before(end.Add(op.failure.PartialAfter)) {
			v.partialURL = op.publishPartial(rows, end)
		}
	default:
		v.status, v.rows, v.completedAt = "COMPLETED", op.total, wholeSecond(end)
		if op.total > 0 {
			v.url = op.whole.publish(op.total, end)
			v.fileSize = op.whole.measure()
		}
		if now.After(end.Add(bulkURLLife)) {
			v.status, v.url = "EXPIRED", ""
		}
	}
	return v
}

// wasCanceled returns when a client canceled it, or zero.
func (op *bulkOperation) wasCanceled() time.Time {
	op.store.mu.Lock()
	defer op.store.mu.Unlock()
	return op.canceledAt
}

func (op *bulkOperation) publishPartial(rows int, at time.Time) string {
	if rows == 0 {
		return ""
	}
	return op.partial.publish(rows, at)
}

func (op *bulkOperation) duration(rows int) time.Duration {
	if op.speed <= 0 {
		return 0
	}
	return time.Duration(float64(rows) / float64(op.speed) * float64(time.Second))
}

func (op *bulkOperation) progress(now time.Time) int {
	if op.speed <= 0 {
		return op.total
	}
	return min(op.total, int(now.Sub(op.createdAt).Seconds()*float64(op.speed)))
}

func (v *bulkView) occupiesSlot() bool {
	return v.status == "CREATED" || v.status == "RUNNING" || v.status == "CANCELING"
}

func (st *Store) findBulk(id int64) *bulkOperation {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, op := range st.bulk {
		if op.id == id {
			return op
		}
	}
	return nil
}

// bulkPayload is what the bulk mutations return.
type bulkPayload struct {
	operation *bulkView
	errors    []userError
}

func bulkOperationRunQuery(x *execution, dst []byte, _ any, f *field) []byte {
	payload := x.call.runBulk(f.args["query"].(string))
	return x.object(dst, strings.TrimSuffix(f.def.Type.Name(), "!"), payload, f)
}

func (c *call) runBulk(query string) bulkPayload {
	doc, op, errs := checkBulk(schemaFor(c.version), query)
	if errs != nil {
		return bulkPayload{errors: errs}
	}
	st := c.store
	st.bulkMu.Lock() // from counting the slots to taking one
	defer st.bulkMu.Unlock()
	if running := st.runningBulk(c.now); len(running) >= c.bulkSlots() {
		return bulkPayload{errors: []userError{{
			message: "A bulk query operation for this app and shop is already in progress: " + strings.Join(running, ", ") + ".",
		}}}
	}
	made := &bulkOperation{
		store: st, id: c.server.nextID(), query: query, createdAt: wholeSecond(c.now), speed: c.cfg.BulkSpeed,
	}
	content := &bulkContent{store: st, doc: doc, op: op, access: c.cfg.access(), now: c.now}
	st.mu.Lock()
	content.people = st.people.snapshot()
	st.mu.Unlock()
	made.total = content.count()
	made.whole, made.partial = newBulkFile(c.server, made.id, "", content), newBulkFile(c.server, made.id, "-partial", content)
	if f := st.fault([]string{OpBulkRun}, false); f != nil && f.Bulk != nil {
		failure := *f.Bulk
		made.failure = &failure
	} else if !c.hasScope("read_customers") || c.cfg.Access == NoCustomerData {
		made.failure = &BulkFailure{ErrorCode: "ACCESS_DENIED"}
	}
	st.mu.Lock()
	st.bulk = append(st.bulk, made)
	st.mu.Unlock()
	if made.failure == nil {
		c.server.background(func() { made.whole.measure() })
	}
	st.announceFinish(made)
	// The answer to the mutation always says CREATED.
	return bulkPayload{operation: &bulkView{bulkOperation: made, status: "CREATED", fileSize: -1}}
}

func (c *call) bulkSlots() int {
	if c.cfg.BulkSlots > 0 {
		return c.cfg.BulkSlots
	}
	if c.version >= "2026-01" {
		return 5
	}
	return 1
}

// runningBulk lists the operations that occupy a slot.
func (st *Store) runningBulk(now time.Time) []string {
	st.mu.Lock()
	ops := slices.Clone(st.bulk)
	st.mu.Unlock()
	var running []string
	for _, op := range ops {
		if op.view(now).occupiesSlot() {
			running = append(running, fmt.Sprintf("gid://shopify/BulkOperation/%d", op.id))
		}
	}
	return running
}

// checkBulk is Shopify's validation of bulk queries. The schema has no nested
// connections, so there is nothing to say about their depth.
// https://shopify.dev/docs/api/usage/bulk-operations/queries
func checkBulk(schema *ast.Schema, query string) (*document, *ast.OperationDefinition, []userError) {
	invalid := func(format string, args ...any) userError {
		return userError{field: []string{"query"}, message: fmt.Sprintf(format, args...)}
	}
	doc, errs := parseDocument(schema, query)
	if errs != nil {
		return nil, nil, []userError{invalid("Invalid bulk query: %s", errs[0].Message)}
	}
	op := doc.Operations[0]
	if op.Operation != ast.Query {
		return nil, nil, []userError{invalid("Invalid operation type. Only `query` operations are supported.")}
	}
	var found []userError
	if len(op.VariableDefinitions) > 0 {
		found = append(found, invalid("Invalid bulk query: variables are not supported."))
	}
	x := &execution{doc: doc}
	connections := 0
	var withoutEdges []string
	for _, f := range x.collect(schema.Query, op.SelectionSet) {
		switch name := f.name(); {
		case name == "node" || name == "nodes":
			found = append(found, invalid("Bulk queries cannot contain a top level `%s` field.", name))
		case f.def != nil && strings.HasSuffix(f.def.Type.Name(), "Connection"):
			connections++
			if x.bulkNode(f) == nil || x.selects(f, "nodes") {
				withoutEdges = append(withoutEdges, name)
			}
		}
	}
	if len(withoutEdges) > 0 {
		found = append(found, invalid("All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: '%s { edges { node {'. "+
			"Selecting via 'nodes' is not supported. Invalid connection fields: '%s'.", withoutEdges[0], strings.Join(withoutEdges, "', '")))
	}
	if connections == 0 {
		found = append(found, invalid("Bulk queries must contain at least one connection."))
	}
	if connections > 5 {
		found = append(found, invalid("Bulk queries cannot contain more than 5 connections."))
	}
	if found != nil {
		return nil, nil, found
	}
	return doc, op, nil
}

func (x *execution) selects(f *field, name string) bool {
	return slices.ContainsFunc(x.planOf(f, f.def.Type.Name()), func(child *field) bool { return child.name() == name })
}

// bulkNode returns the node field of a connection's edges, or nil.
func (x *execution) bulkNode(connection *field) *field {
	for _, edges := range x.planOf(connection, connection.def.Type.Name()) {
		if edges.name() != "edges" {
			continue
		}
		for _, node := range x.planOf(edges, edges.def.Type.Name()) {
			if node.name() == "node" {
				return node
			}
		}
	}
	return nil
}

func bulkOperationCancel(x *execution, dst []byte, _ any, f *field) []byte {
	_, id, _ := parseGID(f.args["id"].(string))
	return x.object(dst, f.def.Type.Name(), x.call.cancelBulk(id), f)
}

func (c *call) cancelBulk(id int64) bulkPayload {
	op := c.store.findBulk(id)
	if op == nil {
		return bulkPayload{errors: []userError{{field: []string{"id"}, message: "Bulk operation does not exist"}}}
	}
	v := op.view(c.now)
	if !v.occupiesSlot() {
		return bulkPayload{operation: v, errors: []userError{{
			message: "A bulk operation cannot be canceled when it is " + strings.ToLower(v.status),
		}}}
	}
	c.store.mu.Lock()
	first := op.canceledAt.IsZero()
	if first {
		op.canceledAt = c.now
	}
	c.store.mu.Unlock()
	if first {
		c.store.announceCancel(op)
	}
	return bulkPayload{operation: op.view(c.now)}
}

func currentBulkOperation(x *execution, dst []byte, _ any, f *field) []byte {
	x.store.mu.Lock()
	var last *bulkOperation
	if n := len(x.store.bulk); n > 0 && f.args["type"] != "MUTATION" {
		last = x.store.bulk[n-1]
	}
	x.store.mu.Unlock()
	if last == nil {
		return append(dst, "null"...)
	}
	return x.object(dst, "BulkOperation", last.view(x.call.now), f)
}

var bulkPayloadResolvers = map[string]resolver{
	"bulkOperation": func(x *execution, dst []byte, obj any, f *field) []byte {
		if v := obj.(bulkPayload).operation; v != nil {
			return x.object(dst, "BulkOperation", v, f)
		}
		return append(dst, "null"...)
	},
	"userErrors": func(x *execution, dst []byte, obj any, f *field) []byte {
		return x.userErrors(dst, obj.(bulkPayload).errors, f)
	},
}

var bulkOperationResolvers = map[string]resolver{
	"id": func(x *execution, dst []byte, obj any, _ *field) []byte {
		return x.gid(dst, "BulkOperation", obj.(*bulkView).id)
	},
	"status":      bulkText(func(v *bulkView) string { return v.status }),
	"errorCode":   bulkText(func(v *bulkView) string { return v.errorCode }),
	"type":        bulkText(func(*bulkView) string { return "QUERY" }),
	"query":       bulkText(func(v *bulkView) string { return v.query }),
	"url":         bulkText(func(v *bulkView) string { return v.url }),
	"createdAt":   bulkTime(func(v *bulkView) time.Time { return v.createdAt }),
	"completedAt": bulkTime(func(v *bulkView) time.Time { return v.completedAt }),
	"partialDataUrl": bulkText(func(v *bulkView) string {
		return v.partialURL
	}),
	"objectCount":     bulkRows,
	"rootObjectCount": bulkRows, // there are no nested connections
	"fileSize": func(_ *execution, dst []byte, obj any, _ *field) []byte {
		if size := obj.(*bulkView).fileSize; size >= 0 {
			return number(dst, uint64(size))
		}
		return append(dst, "null"...)
	},
}

func bulkRows(_ *execution, dst []byte, obj any, _ *field) []byte {
	return number(dst, uint64(obj.(*bulkView).rows))
}

func bulkText(get func(*bulkView) string) resolver {
	return func(x *execution, dst []byte, obj any, _ *field) []byte { return x.optional(dst, get(obj.(*bulkView))) }
}

func bulkTime(get func(*bulkView) time.Time) resolver {
	return func(_ *execution, dst []byte, obj any, _ *field) []byte { return moment(dst, get(obj.(*bulkView))) }
}
