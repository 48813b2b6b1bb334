package main

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// officialJSON is an invented introspection result. The tests change one
// snippet of it at a time.
//
//go:embed testdata/official.json
var officialJSON string

// ourSDL is a subset of it.
const ourSDL = `
schema {
  query: QueryRoot
  mutation: Mutation
}
scalar URL
type QueryRoot {
  customers(first: Int, reverse: Boolean = false, sortKey: SortKey = ID): CustomerConnection!
  node(id: ID!): Node
  owner: Owner
}
type Mutation { subscribe(input: SubscribeInput!): Boolean }
type CustomerConnection {
  edges: [CustomerEdge!]!
  nodes: [Customer!]!
}
type CustomerEdge { node: Customer! }
interface Node { id: ID! }
type Customer implements Node {
  id: ID!
  email: String
}
union Owner = Customer
enum SortKey { ID UPDATED_AT }
input SubscribeInput {
  format: String = "JSON"
  url: URL
}
`

// change replaces the one occurrence of old.
func change(t *testing.T, text, old, new string) string {
	t.Helper()
	if n := strings.Count(text, old); n != 1 {
		t.Fatalf("%q occurs %d times, want once", old, n)
	}
	return strings.Replace(text, old, new, 1)
}

func parseSDL(t *testing.T, sdl string) *ast.Schema {
	t.Helper()
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: sdl})
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func parseJSON(t *testing.T, text string) *ast.Schema {
	t.Helper()
	schema, err := parseIntrospection([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func texts(findings []finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, f.String())
	}
	return all
}
