package shopifytest

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// filter is what is understood of a search query: every term must hold, and
// every term is a range of one value, so there is one range for each value.
//
// Syntax: https://shopify.dev/docs/api/usage/search-syntax
type filter struct {
	id, created, updated bounds
}

// bounds is an inclusive range.
type bounds struct{ low, high int64 }

var unbounded = bounds{math.MinInt64, math.MaxInt64}

func (b bounds) narrow(c bounds) bounds { return bounds{max(b.low, c.low), min(b.high, c.high)} }

func (b bounds) contains(v int64) bool { return b.low <= v && v <= b.high }

// start is the place just before the first one inside, in the direction of a
// scan; nil where the range has no end.
func (b bounds) start(reverse bool) *entry {
	switch {
	case !reverse && b.low > math.MinInt64:
		return &entry{b.low, math.MinInt64}
	case reverse && b.high < math.MaxInt64:
		return &entry{b.high, math.MaxInt64}
	}
	return nil
}

// beyond reports whether a scan that met v has left the range for good.
func (b bounds) beyond(v int64, reverse bool) bool {
	if reverse {
		return v < b.low
	}
	return v > b.high
}

var noFilter = filter{unbounded, unbounded, unbounded}

func (f filter) matches(id, created, updated int64) bool {
	return f.id.contains(id) && f.created.contains(created) && f.updated.contains(updated)
}

func (f filter) bounds(key sortKey) bounds {
	switch key {
	case byCreatedAt:
		return f.created
	case byUpdatedAt:
		return f.updated
	}
	return f.id
}

// searchWarning is an entry of extensions.search[].warnings: the term was
// ignored, and everything came back.
type searchWarning struct {
	Field   string `json:"field"`
	Message string `json:"message"`
	Code    string `json:"code"`
}

// searchTerm is an entry of extensions.search[].parsed.
type searchTerm struct {
	field, operator, value string
}

// parseFilter understands id, updated_at and the name given for the creation
// time, with : :> :>= :< and :<=, quoted values, and terms joined by spaces or
// AND. What it does not understand is ignored with a warning, as at Shopify.
// Dates without a time are days in zone.
func parseFilter(query, createdField string, now time.Time, zone *time.Location) (filter, []searchTerm, []searchWarning) {
	f := noFilter
	var terms []searchTerm
	var warnings []searchWarning
	for _, word := range searchWords(query) {
		term := parseTerm(word)
		terms = append(terms, term)
		var target *bounds
		value := parseSearchTime
		switch term.field {
		case "id":
			target, value = &f.id, parseSearchID
		case "updated_at":
			target = &f.updated
		case createdField:
			target = &f.created
		default:
			warnings = append(warnings, searchWarning{term.field, "Invalid search field for this query.", "invalid_field"})
			continue
		}
		equal, ok := value(term.value, now, zone)
		if !ok {
			warnings = append(warnings, searchWarning{term.field, "Input `" + term.value + "` is not an accepted value.", "invalid_value"})
			continue
		}
		*target = target.narrow(equal.compared(term.operator))
	}
	return f, terms, warnings
}

// compared turns the range that equals a value into the range that the
// operator means.
func (b bounds) compared(operator string) bounds {
	switch operator {
	case ">":
		return bounds{saturatingAdd(b.high, 1), math.MaxInt64}
	case ">=":
		return bounds{b.low, math.MaxInt64}
	case "<":
		return bounds{math.MinInt64, saturatingAdd(b.low, -1)}
	case "<=":
		return bounds{math.MinInt64, b.high}
	}
	return b
}

func saturatingAdd(v, d int64) int64 {
	if sum := v + d; (sum > v) == (d > 0) {
		return sum
	}
	return v
}

// searchWords splits a query at spaces outside quotes and drops AND.
func searchWords(query string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	flush := func() {
		if w := word.String(); w != "" && w != "AND" {
			words = append(words, w)
		}
		word.Reset()
	}
	for _, r := range query {
		switch {
		case quote != 0:
			word.WriteRune(r)
			if r == quote {
				quote = 0
			}
		case r == '\'' || r == '"':
			quote = r
			word.WriteRune(r)
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			flush()
		default:
			word.WriteRune(r)
		}
	}
	flush()
	return words
}

func parseTerm(word string) searchTerm {
	field, rest, found := strings.Cut(word, ":")
	if !found {
		return searchTerm{field: "default", value: unquote(word)}
	}
	term := searchTerm{field: field}
	for _, operator := range []string{">=", "<=", ">", "<"} {
		if after, ok := strings.CutPrefix(rest, operator); ok {
			term.operator, rest = operator, after
			break
		}
	}
	if term.value = unquote(rest); term.value == rest && strings.Contains(rest, ":") {
		// An unquoted time breaks at its colons: Shopify reads what follows
		// the hour as a term of its own, with the minutes for its field.
		_, rest, _ = strings.Cut(rest, ":")
		term = searchTerm{}
		term.field, term.value, _ = strings.Cut(rest, ":")
	}
	return term
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

func parseSearchID(value string, _ time.Time, _ *time.Location) (bounds, bool) {
	id, err := strconv.ParseInt(value, 10, 64)
	return bounds{id, id}, err == nil
}

// parseSearchTime returns the second of a time, or the day of a date.
func parseSearchTime(value string, now time.Time, zone *time.Location) (bounds, bool) {
	if value == "now" {
		return bounds{now.Unix(), now.Unix()}, true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, value, zone); err == nil {
			if t.Nanosecond() > 0 { // between two values: equal to neither
				return bounds{t.Unix() + 1, t.Unix()}, true
			}
			return bounds{t.Unix(), t.Unix()}, true
		}
	}
	if t, err := time.ParseInLocation(time.DateOnly, value, zone); err == nil {
		return bounds{t.Unix(), t.AddDate(0, 0, 1).Unix() - 1}, true
	}
	return bounds{}, false
}
