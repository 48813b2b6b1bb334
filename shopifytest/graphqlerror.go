package shopifytest

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
)

// GraphQLError is an entry of "errors" in an answer of the Admin API.
type GraphQLError struct {
	Message    string         `json:"message"`
	Locations  []Location     `json:"locations,omitempty"`
	Path       []any          `json:"path,omitempty"` // strings and list indexes
	Extensions map[string]any `json:"extensions,omitempty"`
}

// Location is a place in a query text, counted from 1.
type Location struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

func locate(p *ast.Position) []Location {
	if p == nil {
		return nil
	}
	return []Location{{p.Line, p.Column}}
}

func graphQLError(p *ast.Position, code, format string, args ...any) GraphQLError {
	e := GraphQLError{Message: fmt.Sprintf(format, args...), Locations: locate(p)}
	if code != "" {
		e.Extensions = map[string]any{"code": code}
	}
	return e
}

// with adds extensions, given as names and values by turns.
func (e GraphQLError) with(extensions ...any) GraphQLError {
	for i := 0; i+1 < len(extensions); i += 2 {
		e.Extensions[extensions[i].(string)] = extensions[i+1]
	}
	return e
}

const (
	accessScopesPage  = "https://shopify.dev/api/usage/access-scopes"
	protectedDataPage = "https://shopify.dev/docs/apps/launch/protected-customer-data"
	rateLimitsPage    = "https://shopify.dev/api/usage/rate-limits"
)
