package shopify

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"regexp"
	"strings"

	"github.com/omnichat/shopifysync/internal/throttle"
)

// answer is the body of a GraphQL response.
type answer struct {
	data     json.RawMessage
	errors   []graphqlError
	cost     *cost    // nil if Shopify did not say
	warnings []string // extensions.search[].warnings
}

// cost is extensions.cost.
type cost struct {
	requested, actual float64
	status            *throttle.Status // nil if it did not say
}

// graphqlError is an entry of errors. Its zero value is one that could not be
// read, and still is an error.
type graphqlError struct {
	path       []any // string or int
	code       string
	message    string // never printed: it may quote a variable
	extensions errorExtensions
}

type errorExtensions struct {
	RequiredAccess string  `json:"requiredAccess"`
	TypeName       string  `json:"typeName"`
	FieldName      string  `json:"fieldName"`
	Cost           float64 `json:"cost"`
	MaxCost        float64 `json:"maxCost"`
}

// parseAnswer reads a body. Only what is not JSON, or has neither data nor
// errors, is refused; everything else may have any shape.
func parseAnswer(body []byte) (*answer, error) {
	var envelope struct {
		Data       json.RawMessage `json:"data"`
		Errors     json.RawMessage `json:"errors"`
		Extensions json.RawMessage `json:"extensions"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, err
	}
	a := &answer{data: envelope.Data, errors: parseErrors(envelope.Errors)}
	if !a.hasData() && len(a.errors) == 0 {
		return nil, errors.New("neither data nor errors")
	}
	var extensions struct {
		Cost   json.RawMessage `json:"cost"`
		Search json.RawMessage `json:"search"`
	}
	if !isNull(envelope.Extensions) && json.Unmarshal(envelope.Extensions, &extensions) == nil {
		a.cost = parseCost(extensions.Cost)
		a.warnings = parseWarnings(extensions.Search)
	}
	return a, nil
}

func (a *answer) hasData() bool { return a != nil && !isNull(a.data) }

// withoutData is what may be used of the answer with an HTTP error.
func (a *answer) withoutData() *answer {
	if a != nil {
		a.data = nil
	}
	return a
}

func isNull(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || string(raw) == "null"
}

// parseErrors reads errors: a list, or, from the parts of Shopify that come
// before GraphQL, a text or an object.
func parseErrors(raw json.RawMessage) []graphqlError {
	if isNull(raw) {
		return nil
	}
	var entries []json.RawMessage
	if json.Unmarshal(raw, &entries) != nil {
		entries = []json.RawMessage{raw}
	}
	list := make([]graphqlError, 0, len(entries))
	for _, entry := range entries {
		list = append(list, parseError(entry))
	}
	return list
}

func parseError(raw json.RawMessage) graphqlError {
	var e graphqlError
	if json.Unmarshal(raw, &e.message) == nil {
		return e
	}
	var fields struct {
		Message    json.RawMessage `json:"message"`
		Path       json.RawMessage `json:"path"`
		Extensions json.RawMessage `json:"extensions"`
	}
	if json.Unmarshal(raw, &fields) != nil {
		return e
	}
	// Each part by itself: one of an unexpected type must not hide the others.
	_ = json.Unmarshal(fields.Message, &e.message)
	e.path = parsePath(fields.Path)
	var extensions map[string]json.RawMessage
	if json.Unmarshal(fields.Extensions, &extensions) == nil {
		var code string
		_ = json.Unmarshal(extensions["code"], &code)
		if identifier.MatchString(code) {
			e.code = code
		}
		_ = json.Unmarshal(fields.Extensions, &e.extensions)
	}
	return e
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// parsePath reads a path of names and indexes; a path of anything else is none.
func parsePath(raw json.RawMessage) []any {
	var parts []json.RawMessage
	if isNull(raw) || json.Unmarshal(raw, &parts) != nil {
		return nil
	}
	path := make([]any, 0, len(parts))
	for _, part := range parts {
		var (
			name  string
			index int
		)
		switch {
		case isNull(part):
			return nil
		case json.Unmarshal(part, &name) == nil:
			path = append(path, name)
		case json.Unmarshal(part, &index) == nil:
			path = append(path, index)
		default:
			return nil
		}
	}
	return path
}

func parseCost(raw json.RawMessage) *cost {
	var c struct {
		Requested *float64 `json:"requestedQueryCost"`
		Actual    *float64 `json:"actualQueryCost"` // null when throttled
		Status    *struct {
			Maximum     *float64 `json:"maximumAvailable"`
			Available   *float64 `json:"currentlyAvailable"`
			RestoreRate *float64 `json:"restoreRate"`
		} `json:"throttleStatus"`
	}
	if isNull(raw) || json.Unmarshal(raw, &c) != nil || c.Requested == nil {
		return nil
	}
	out := &cost{requested: *c.Requested}
	if c.Actual != nil {
		out.actual = *c.Actual
	}
	if s := c.Status; s != nil && s.Maximum != nil && s.Available != nil && s.RestoreRate != nil {
		out.status = &throttle.Status{Maximum: *s.Maximum, Available: *s.Available, RestoreRate: *s.RestoreRate}
	}
	return out
}

// unreadable stands for a search warning that has another shape: not knowing
// which part of a search was ignored is no reason to trust its result.
const unreadable = "unreadable warning"

// parseWarnings reads what Shopify ignored of a search
// (https://shopify.dev/docs/api/usage/search-syntax). The "field" may be a
// piece of a value that was not quoted, and is left out then.
func parseWarnings(raw json.RawMessage) []string {
	if isNull(raw) {
		return nil
	}
	var searches []struct {
		Warnings json.RawMessage `json:"warnings"`
	}
	if json.Unmarshal(raw, &searches) != nil {
		return []string{unreadable}
	}
	var texts []string
	for _, search := range searches {
		if isNull(search.Warnings) {
			continue
		}
		var warnings []json.RawMessage
		if json.Unmarshal(search.Warnings, &warnings) != nil {
			texts = append(texts, unreadable)
			continue
		}
		for _, warning := range warnings {
			texts = append(texts, warningText(warning))
		}
	}
	return texts
}

var searchField = regexp.MustCompile(`^[a-z][a-z_]{0,63}$`)

func warningText(raw json.RawMessage) string {
	var w struct{ Field, Code string }
	if json.Unmarshal(raw, &w) != nil {
		return unreadable
	}
	if !searchField.MatchString(w.Field) {
		w.Field = "?"
	}
	if !identifier.MatchString(w.Code) {
		w.Code = "ignored"
	}
	return w.Field + " " + w.Code
}

// failure is what the errors amount to: nil if there are none but refused
// fields within good data, else the weightiest of the others.
func (a *answer) failure() *failure {
	var (
		worst *failure
		rank  int
		roots = a.roots()
	)
	for _, e := range a.errors {
		if e.isFieldRefused(roots) {
			continue
		}
		if fail, r := e.failure(); worst == nil || r > rank {
			worst, rank = fail, r
		}
	}
	return worst
}

// fieldErrors are the refused fields within good data.
func (a *answer) fieldErrors() []FieldError {
	var list []FieldError
	roots := a.roots()
	for _, e := range a.errors {
		if e.isFieldRefused(roots) {
			list = append(list, FieldError{Path: e.path, Code: e.code, Message: e.message})
		}
	}
	return list
}

// roots are the fields of the operation itself, as far as they are needed.
func (a *answer) roots() map[string]json.RawMessage {
	if len(a.errors) == 0 || !a.hasData() {
		return nil
	}
	var roots map[string]json.RawMessage
	if json.Unmarshal(a.data, &roots) != nil {
		return nil
	}
	return roots
}

// isFieldRefused reports whether only a part of the data was refused: a field
// below a root field that is there.
func (e *graphqlError) isFieldRefused(roots map[string]json.RawMessage) bool {
	if len(e.path) < 2 || !e.isRefusal() {
		return false
	}
	root, ok := e.path[0].(string)
	return ok && !isNull(roots[root])
}

const codeAccessDenied = "ACCESS_DENIED"

func (e *graphqlError) isRefusal() bool { return e.code == codeAccessDenied || e.isProtectedData() }

// isProtectedData recognises Shopify's refusal by its words: it has no code of
// its own, and often none at all.
// https://shopify.dev/docs/apps/launch/protected-customer-data
func (e *graphqlError) isProtectedData() bool {
	for _, words := range []string{"is not approved to access the", "is not approved to use the", "protected-customer-data", "protected customer data"} {
		if strings.Contains(strings.ToLower(e.message), words) {
			return true
		}
	}
	return false
}

// needsPlan recognises the refusal that a higher plan would lift: "... is only
// available on Shopify, Advanced, and Plus plans".
func (e *graphqlError) needsPlan() bool {
	return strings.Contains(e.message, "only available on") && strings.Contains(e.message, "plan")
}

// failure explains one error, and how much it weighs among others.
func (e *graphqlError) failure() (*failure, int) {
	err := &Error{Code: e.code}
	fail := &failure{err: err}
	switch {
	case e.code == "THROTTLED":
		err.Kind, fail.retry = Throttled, byBucket
		return fail, 5
	case e.code == "INTERNAL_SERVER_ERROR", e.code == "TIMEOUT":
		err.Kind, fail.retry = Server, unlessMutation
		return fail, 4
	case e.code == "MAX_COST_EXCEEDED":
		err.Kind = MaxCost
		if x := e.extensions; x.Cost > 0 && x.MaxCost > 0 && !math.IsInf(x.Cost, 0) {
			err.Detail = fmt.Sprintf("cost %g, allowed %g", x.Cost, x.MaxCost)
		}
		return fail, 3
	case e.code == "SHOP_INACTIVE":
		err.Kind = Frozen
		return fail, 3
	case e.isProtectedData():
		err.Kind = ProtectedData
		if e.needsPlan() {
			err.Detail = detailPlan
		}
		return fail, 2
	case e.code == codeAccessDenied:
		err.Kind = AccessDenied
		err.Detail = cmp.Or(printable(e.extensions.RequiredAccess, 200), pathText(e.path))
		return fail, 2
	}
	err.Kind = InvalidQuery
	if x := e.extensions; identifier.MatchString(x.TypeName) && identifier.MatchString(x.FieldName) {
		err.Detail = x.TypeName + "." + x.FieldName
	}
	return fail, 1
}

// detailPlan is the Detail of a ProtectedData error that another kind of app,
// or a higher plan, would lift.
const detailPlan = "it is not part of the store's plan for an app made in the store's admin"

// pathText writes a path as "customers.nodes.3.email"; it holds names of the
// query only.
func pathText(path []any) string {
	parts := make([]string, 0, len(path))
	for _, part := range path {
		if name, ok := part.(string); ok && !identifier.MatchString(name) {
			return ""
		}
		parts = append(parts, fmt.Sprint(part))
	}
	return strings.Join(parts, ".")
}

// decodeData decodes into the type that genqlient generated.
func decodeData(data json.RawMessage, into any) error {
	if into == nil {
		return nil
	}
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	// The cause is not kept: its text quotes the value.
	out := &DecodeError{Data: data}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		out.Field, out.Type = mismatch.Field, mismatch.Type.String()
	}
	return out
}

// isCut reports whether the JSON ends too early.
func isCut(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax) && strings.HasPrefix(syntax.Error(), "unexpected end")
}

// describeBody says what a body is that is no answer, without quoting it.
func describeBody(h http.Header, body []byte) string {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case len(body) == 0:
		return "it is empty"
	case kind == "text/html" || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")):
		return "it is a web page"
	case json.Valid(body):
		return "it has neither data nor errors"
	}
	return "it is not complete JSON"
}
