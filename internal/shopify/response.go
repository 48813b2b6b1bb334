package shopify

import (
	"bytes"
	"encoding/json"
	"errors"
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
