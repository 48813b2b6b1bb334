package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Shopify's limits for one bulk query. A connection within another one, and one
// within that, is as deep as it may go.
// https://shopify.dev/docs/api/usage/bulk-operations/queries#operation-restrictions
const (
	maxBulkConnections = 5
	maxBulkNesting     = 2
)

// bulkProblems lists which of Shopify's rules for bulk queries a validated
// document breaks. Shopify answers most of them with userErrors when the bulk
// operation is to start, long after the text was written.
func bulkProblems(doc *ast.QueryDocument) []string {
	b := &bulkCheck{}
	for _, op := range doc.Operations {
		if op.Operation != ast.Query {
			b.problem("bulk: a %s cannot be run as a bulk query", op.Operation)
		}
		if len(op.VariableDefinitions) > 0 {
			b.problem("bulk: no variables can be passed, it declares $%s", op.VariableDefinitions[0].Variable)
		}
		for _, f := range fields(op.SelectionSet) {
			if f.Name == "node" || f.Name == "nodes" {
				b.problem("bulk: %s cannot be a top-level field", f.Name)
			}
		}
		b.selection(op.SelectionSet, enclosing{})
	}
	if b.connections == 0 {
		b.problem("bulk: there is no connection")
	}
	if b.connections > maxBulkConnections {
		b.problem("bulk: %d connections, at most %d are allowed", b.connections, maxBulkConnections)
	}
	return b.problems
}

type bulkCheck struct {
	connections int
	problems    []string
}

// enclosing is what surrounds a selection.
type enclosing struct {
	connections int        // how many
	node        *ast.Field // of the innermost connection, nil outside
	list        *ast.Field // a list within that node, nil outside
}

func (b *bulkCheck) problem(format string, args ...any) {
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

func (b *bulkCheck) selection(set ast.SelectionSet, around enclosing) {
	for _, f := range fields(set) {
		inner := around
		switch {
		case isConnection(f.Definition.Type.Name()):
			b.connection(f, around)
			inner.connections++
			inner.list = nil
		case isConnection(f.ObjectDefinition.Name):
			// Its own lists, edges and nodes, are not what a connection must not be in.
		case f.Name == "node" && strings.HasSuffix(f.ObjectDefinition.Name, "Edge"):
			inner.node = f
		case f.Definition.Type.Elem != nil:
			inner.list = f
		}
		b.selection(f.SelectionSet, inner)
	}
}

func (b *bulkCheck) connection(f *ast.Field, around enclosing) {
	b.connections++
	if around.connections > maxBulkNesting {
		b.problem("bulk: connection %s lies within %d others, at most %d are allowed", f.Name, around.connections, maxBulkNesting)
	}
	if around.list != nil {
		b.problem("bulk: connection %s lies within the list %s", f.Name, around.list.Name)
	}
	// Rows of a nested connection name their parent by its id.
	if around.node != nil && !selectsID(around.node) {
		b.problem("bulk: the node around connection %s has to select id, without an alias", f.Name)
	}
	if len(named(f.SelectionSet, "nodes")) > 0 {
		b.problem("bulk: connection %s selects nodes, only edges { node { ... } } is supported", f.Name)
	}
	if !selectsNode(f) {
		b.problem("bulk: connection %s does not select edges { node { ... } }", f.Name)
	}
}

func selectsID(node *ast.Field) bool {
	return slices.ContainsFunc(named(node.SelectionSet, "id"), func(f *ast.Field) bool { return f.Alias == "id" })
}

func selectsNode(connection *ast.Field) bool {
	return slices.ContainsFunc(named(connection.SelectionSet, "edges"), func(edges *ast.Field) bool {
		return len(named(edges.SelectionSet, "node")) > 0
	})
}

// isConnection: the suffix is reserved for connections
// (https://relay.dev/graphql/connections.htm#sec-Reserved-Types).
func isConnection(typeName string) bool { return strings.HasSuffix(typeName, "Connection") }

// named is every selection of one field, whatever its alias.
func named(set ast.SelectionSet, name string) []*ast.Field {
	return slices.DeleteFunc(fields(set), func(f *ast.Field) bool { return f.Name != name })
}

// fields is the set with its fragments spread out.
func fields(set ast.SelectionSet) []*ast.Field {
	var all []*ast.Field
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			all = append(all, s)
		case *ast.InlineFragment:
			all = append(all, fields(s.SelectionSet)...)
		case *ast.FragmentSpread:
			all = append(all, fields(s.Definition.SelectionSet)...)
		}
	}
	return all
}
