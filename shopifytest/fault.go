package shopifytest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Always makes a fault happen every time.
const Always = -1

// OpBulkRun is the start of a bulk operation, for [Fault.Bulk].
const OpBulkRun = "bulk run"

// Drop is when a connection breaks.
type Drop int

// Moments at which a connection breaks.
const (
	NoDrop      Drop = iota
	DropRequest      // before the request is carried out
	DropAnswer       // after it was carried out, before the answer
	DropMidBody      // in the middle of the answer's body
)

// Fault is trouble for some requests of a store. All that it says happens, in
// the order of its fields.
type Fault struct {
	// Operation is the name of a GraphQL operation or of one of its root
	// fields, or OpToken, OpBulkDownload, OpBulkRun, OpWebhook, or the topic
	// of a webhook such as "customers/update". Empty: every GraphQL request.
	Operation string
	After     int // so many such requests pass first
	Times     int // then so many are hit; 0 means one, Always all
	Percent   int // of those, so many of a hundred, by chance; 0 means all

	Delay time.Duration // before anything else
	Hang  bool          // no answer until the client gives up
	Drop  Drop

	Status int         // answer with this instead; the body is Shopify's for it unless Body is set
	Header http.Header // added to the answer
	Body   string

	// ReadLag makes node and nodes see customers as they were so long ago: a
	// read from a replica that is behind, as in [StoreConfig.ReadLag].
	ReadLag time.Duration

	Errors []GraphQLError       // answer 200 with these errors and no data
	Edit   func(map[string]any) // change the answer, decoded with json.Number

	Bulk *BulkFailure // with OpBulkRun: how the operation ends

	// With OpBulkDownload:
	TruncateAt       int64 // the file ends after so many bytes, as if that were all
	OmitFinalNewline bool

	// With OpWebhook or a topic, Delay comes before the attempt that is hit,
	// whose body stays what it was; Status counts as the receiver's answer,
	// DropRequest means never sent, and:
	Copies  int           // so many more deliveries of the same
	Shuffle time.Duration // each delivery and each copy is later by less than this, by chance
}

type activeFault struct {
	Fault
	seen, hit int
}

// Inject adds a fault. Faults are looked at in the order in which they came;
// the first one that fits a request hits it.
func (st *Store) Inject(f Fault) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.faults = append(st.faults, &activeFault{Fault: f})
}

// ClearFaults removes all faults.
func (st *Store) ClearFaults() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.faults = nil
}

// faultLag is the greatest ReadLag of a fault, under st.mu.
func (st *Store) faultLag() time.Duration {
	lag := time.Duration(0)
	for _, f := range st.faults {
		lag = max(lag, f.ReadLag)
	}
	return lag
}

// fault finds the fault that hits a request known by names. graphQL tells
// whether an empty Operation fits.
func (st *Store) fault(names []string, graphQL bool) *Fault {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, f := range st.faults {
		if !slices.Contains(names, f.Operation) && (f.Operation != "" || !graphQL) {
			continue
		}
		if f.Times != Always && f.hit >= max(1, f.Times) {
			continue
		}
		if f.seen++; f.seen <= f.After {
			continue
		}
		if f.Percent > 0 && !st.chance.chance(f.Percent) {
			continue
		}
		f.hit++
		hit := f.Fault
		return &hit
	}
	return nil
}

// intervene carries out what a fault does instead of an answer, and reports
// whether the request is over.
func (s *Server) intervene(w http.ResponseWriter, r *http.Request, f *Fault) bool {
	if f == nil {
		return false
	}
	s.hold(r, f.Delay)
	if f.Hang {
		select {
		case <-r.Context().Done():
		case <-s.closing:
		}
		panic(http.ErrAbortHandler)
	}
	if f.Drop == DropRequest {
		panic(http.ErrAbortHandler)
	}
	for name, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	switch {
	case f.Status != 0 && f.Body == "":
		sendStatus(w, f.Status)
	case f.Status != 0 || f.Body != "":
		if f.Status == 0 {
			f.Status = http.StatusOK
		}
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
		}
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
	case f.Errors != nil:
		s.sendAnswer(w, http.StatusOK, graphQLAnswer{errors: f.Errors}, nil)
	default:
		return false
	}
	return true
}

// rewrite applies Edit to an answer.
func (f *Fault) rewrite(body []byte) []byte {
	if f == nil || f.Edit == nil {
		return body
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var answer map[string]any
	if err := decoder.Decode(&answer); err != nil {
		panic("shopifytest: " + err.Error())
	}
	f.Edit(answer)
	edited, err := json.Marshal(answer)
	if err != nil {
		panic("shopifytest: Fault.Edit left an answer that is not JSON: " + err.Error())
	}
	return edited
}

func (f *Fault) dropAfter() {
	if f != nil && f.Drop == DropAnswer {
		panic(http.ErrAbortHandler)
	}
}

func (f *Fault) sendBody(w http.ResponseWriter, body []byte) {
	if f != nil && f.Drop == DropMidBody {
		_, _ = w.Write(body[:len(body)/2])
		flushResponse(w)
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

// fileSize is the size that a bulk file pretends to have.
func (f *Fault) fileSize(size int64) int64 {
	switch {
	case f != nil && f.TruncateAt > 0:
		return min(size, f.TruncateAt)
	case f != nil && f.OmitFinalNewline:
		return size - 1
	}
	return size
}

// ThrottledErrors is what a throttled request is answered with, for
// [Fault.Errors] of a request that had points left.
func ThrottledErrors() []GraphQLError {
	return []GraphQLError{{
		Message:    "Throttled",
		Extensions: map[string]any{"code": "THROTTLED", "documentation": rateLimitsPage},
	}}
}

// The following are for [Fault.Edit].

// RepeatCursor makes every page after the first end with the first page's
// cursor, with more to come.
func RepeatCursor() func(map[string]any) {
	var first any
	return func(answer map[string]any) {
		eachPage(answer, func(connection, pageInfo map[string]any) {
			if first == nil {
				first = pageInfo["endCursor"]
			}
			pageInfo["endCursor"], pageInfo["hasNextPage"] = first, true
		})
	}
}

// EndlessPages says that there is a next page, whatever comes.
func EndlessPages(answer map[string]any) {
	eachPage(answer, func(_, pageInfo map[string]any) { pageInfo["hasNextPage"] = true })
}

// OmitNode leaves out the node at an index of each page.
func OmitNode(index int) func(map[string]any) {
	return func(answer map[string]any) {
		eachPage(answer, func(connection, _ map[string]any) {
			for _, name := range []string{"nodes", "edges"} {
				if list, ok := connection[name].([]any); ok && index < len(list) {
					connection[name] = slices.Delete(list, index, index+1)
				}
			}
		})
	}
}

// NullErrors adds "errors": null beside the data.
func NullErrors(answer map[string]any) { answer["errors"] = nil }

// ThrottleStatus replaces what the answer says about the bucket, for example
// by more points than the bucket holds or a restore rate of zero.
func ThrottleStatus(maximum, currently, restoreRate float64) func(map[string]any) {
	return func(answer map[string]any) {
		extensions, _ := answer["extensions"].(map[string]any)
		cost, ok := extensions["cost"].(map[string]any)
		if !ok {
			return
		}
		cost["throttleStatus"] = map[string]any{
			"maximumAvailable": maximum, "currentlyAvailable": currently, "restoreRate": restoreRate,
		}
	}
}

// eachPage finds the connections of an answer.
func eachPage(value any, visit func(connection, pageInfo map[string]any)) {
	switch v := value.(type) {
	case map[string]any:
		if pageInfo, ok := v["pageInfo"].(map[string]any); ok {
			visit(v, pageInfo)
		}
		for _, child := range v {
			eachPage(child, visit)
		}
	case []any:
		for _, child := range v {
			eachPage(child, visit)
		}
	}
}

// retryAfterHeader is a Retry-After header of so many seconds.
func retryAfterHeader(seconds int) http.Header {
	return http.Header{"Retry-After": {strconv.Itoa(seconds)}}
}

// TooManyRequests is a fault that answers requests for an operation with 429
// and Retry-After.
func TooManyRequests(operation string, times, retryAfterSeconds int) Fault {
	return Fault{Operation: operation, Times: times, Status: http.StatusTooManyRequests, Header: retryAfterHeader(retryAfterSeconds)}
}
