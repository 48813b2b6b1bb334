package shopify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

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

var protectedDataWords = []string{
	"is not approved to access the",
	"is not approved to use the",
	"protected-customer-data",
	"protected customer data",
}

// isProtectedData recognises Shopify's refusal by its words: it has no code of
// its own, and often none at all.
// https://shopify.dev/docs/apps/launch/protected-customer-data
func (e *graphqlError) isProtectedData() bool {
	message := strings.ToLower(e.message)
	return slices.ContainsFunc(protectedDataWords, func(words string) bool { return strings.Contains(message, words) })
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
		if x := e.extensions; x.Cost > 0 && x.MaxCost > 0 {
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
	return printable(strings.Join(parts, "."), 200)
}
