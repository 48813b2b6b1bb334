package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bulkSDL has connections at every place where a bulk query may not have one.
const bulkSDL = `
schema {
  query: QueryRoot
  mutation: Mutation
}
type QueryRoot {
  customers(first: Int, query: String): CustomerConnection!
  node(id: ID!): Node
  nodes(ids: [ID!]!): [Node]!
  shop: Shop!
}
type Mutation { merge: Customer }
interface Node { id: ID! }
type Shop { name: String! }
type CustomerConnection {
  edges: [CustomerEdge!]!
  nodes: [Customer!]!
  pageInfo: PageInfo!
}
type CustomerEdge { cursor: String! node: Customer! }
type PageInfo { hasNextPage: Boolean! }
type Customer implements Node {
  id: ID!
  email: String
  tags: [String!]!
  address: Address
  addresses: [Address!]!
  friends: CustomerConnection!
}
type Address { city: String residents: CustomerConnection! }
`

func TestCheckOperationBulk(t *testing.T) {
	tests := []struct {
		name, query string
		want        []string
	}{
		{
			name:  "as it should be",
			query: `{ customers { edges { node { id ...Fields } } } } fragment Fields on Customer { email tags addresses { city } }`,
		},
		{
			name:  "ignored selections",
			query: `{ customers(first: 1) { __typename edges { cursor node { email } } pageInfo { hasNextPage } } }`,
		},
		{
			name:  "two nested levels, five connections",
			query: `{ shop { name } customers { edges { node { id a: friends { edges { node { id friends { edges { node { email } } } } } } b: friends { edges { node { email } } } address { residents { edges { node { email } } } } } } } }`,
		},
		{
			name:  "id by a fragment",
			query: `{ customers { edges { node { ... on Node { ...ID } friends { edges { node { email } } } } } } } fragment ID on Node { id }`,
		},
		{
			name:  "not valid at all",
			query: "{\n customers { edges { node { mail } } } }",
			want:  []string{`line 2: Cannot query field "mail" on type "Customer". Did you mean "email"?`},
		},
		{
			name:  "mutation",
			query: `mutation { merge { id friends { edges { node { id } } } } }`,
			want:  []string{"bulk: a mutation cannot be run as a bulk query"},
		},
		{
			name:  "variables",
			query: `query ($query: String) { customers(query: $query) { edges { node { id } } } }`,
			want:  []string{"bulk: no variables can be passed, it declares $query"},
		},
		{
			name:  "no connection",
			query: `{ shop { name } }`,
			want:  []string{"bulk: there is no connection"},
		},
		{
			name:  "six connections",
			query: `{ a: customers { ...C } b: customers { ...C } c: customers { ...C } d: customers { ...C } e: customers { ...C } f: customers { ...C } } fragment C on CustomerConnection { edges { node { id } } }`,
			want:  []string{"bulk: 6 connections, at most 5 are allowed"},
		},
		{
			name:  "three nested levels",
			query: `{ customers { edges { node { id friends { edges { node { id friends { edges { node { id friends { edges { node { email } } } } } } } } } } } } }`,
			want:  []string{"bulk: connection friends lies within 3 others, at most 2 are allowed"},
		},
		{
			name:  "nodes",
			query: `{ customers { nodes { id } } }`,
			want: []string{
				"bulk: connection customers selects nodes, only edges { node { ... } } is supported",
				"bulk: connection customers does not select edges { node { ... } }",
			},
		},
		{
			name:  "nodes beside edges, by a fragment",
			query: `{ customers { edges { node { id } } ... { nodes { id } } } }`,
			want:  []string{"bulk: connection customers selects nodes, only edges { node { ... } } is supported"},
		},
		{
			name:  "nodes under an alias",
			query: `{ customers { edges { node { id } } all: nodes { id } } }`,
			want:  []string{"bulk: connection customers selects nodes, only edges { node { ... } } is supported"},
		},
		{
			name:  "edges without node",
			query: `{ customers { edges { cursor } } }`,
			want:  []string{"bulk: connection customers does not select edges { node { ... } }"},
		},
		{
			name:  "top-level node",
			query: `{ node(id: "1") { id } customers { edges { node { id } } } }`,
			want:  []string{"bulk: node cannot be a top-level field"},
		},
		{
			name:  "top-level nodes, under an alias and in a fragment",
			query: `{ ... { some: nodes(ids: []) { id } } customers { edges { node { id } } } }`,
			want:  []string{"bulk: nodes cannot be a top-level field"},
		},
		{
			name:  "parent without id",
			query: `{ customers { edges { node { email friends { edges { node { id } } } } } } }`,
			want:  []string{"bulk: the node around connection friends has to select id, without an alias"},
		},
		{
			name:  "parent's id under an alias",
			query: `{ customers { edges { node { gid: id friends { edges { node { id } } } } } } }`,
			want:  []string{"bulk: the node around connection friends has to select id, without an alias"},
		},
		{
			name:  "parent without id, an object in between",
			query: `{ customers { edges { node { address { residents { edges { node { id } } } } } } } }`,
			want:  []string{"bulk: the node around connection residents has to select id, without an alias"},
		},
		{
			name:  "connection within a list",
			query: `{ customers { edges { node { id addresses { residents { edges { node { id } } } } } } } }`,
			want:  []string{"bulk: connection residents lies within the list addresses"},
		},
		{
			name:  "connection within a list, another within it: said once",
			query: `{ customers { edges { node { id addresses { residents { edges { node { id friends { edges { node { id } } } } } } } } } } }`,
			want:  []string{"bulk: connection residents lies within the list addresses"},
		},
	}
	schema := parseSDL(t, bulkSDL)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := checkOperation(operation{Name: "BulkCustomers", Query: tt.query}, schema)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// The rules are for bulk operations only: any other may use nodes.
func TestCheckOperationOther(t *testing.T) {
	got := checkOperation(operation{Name: "CustomersPage", Query: `{ customers { nodes { id } } }`}, parseSDL(t, bulkSDL))
	if got != nil {
		t.Errorf("problems: %q", got)
	}
}
