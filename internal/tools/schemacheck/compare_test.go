package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCompare changes one snippet of what Shopify declares, or of what we do.
func TestCompare(t *testing.T) {
	const (
		emailField  = `{"name": "email", "args": [], "type": {"kind": "SCALAR", "name": "String"}`
		reverseType = `{"name": "reverse", "type": {"kind": "SCALAR", "name": "Boolean"}`
		extraType   = `{"name": "extra", "type": {"kind": "SCALAR", "name": "String"}, "defaultValue": null}`
		filterType  = `{"name": "filter", "type": {"kind": "SCALAR", "name": "String"}, "defaultValue": null}`
		urlField    = `{"name": "url", "type": {"kind": "SCALAR", "name": "URL"}`
		required    = `"type": {"kind": "NON_NULL", "ofType": {"kind": "SCALAR", "name": "String"}}`
		customerIs  = `"name": "Customer", "interfaces": [{"kind": "INTERFACE", "name": "Node"}]`
	)
	tests := []struct {
		name string

		old, new       string // in what Shopify declares
		ourOld, ourNew string // in what we declare

		want []string
	}{
		{name: "nothing"},
		{
			name: "type gone", ourOld: "scalar URL", ourNew: "scalar URL scalar Link",
			want: []string{"Link: no such type there"},
		},
		{
			name: "other kind",
			old:  `{"kind": "SCALAR", "name": "URL", "description": "An \"RFC 3986\" address.\n"}`,
			new:  `{"kind": "ENUM", "name": "URL", "enumValues": [{"name": "HOME"}]}`,
			want: []string{"URL: kind is SCALAR here, ENUM there"},
		},
		{
			name: "query root renamed",
			old:  `"queryType": {"name": "QueryRoot"}`, new: `"queryType": {"name": "Shop"}`,
			want: []string{"QueryRoot: query root is QueryRoot here, Shop there"},
		},
		{
			name: "mutation root gone",
			old:  `"mutationType": {"name": "Mutation"}`, new: `"mutationType": null`,
			want: []string{"Mutation: there is no mutation root there"},
		},
		{
			name: "field gone",
			old:  emailField, new: `{"name": "mail", "args": [], "type": {"kind": "SCALAR", "name": "String"}`,
			want: []string{"Customer.email: no such field there"},
		},
		{
			name: "field of another type",
			old:  emailField, new: `{"name": "email", "args": [], "type": {"kind": "SCALAR", "name": "URL"}`,
			want: []string{"Customer.email: type is String here, URL there"},
		},
		{
			name: "field not null there",
			old:  emailField, new: `{"name": "email", "args": [], ` + required,
			want: []string{"Customer.email: type is String here, String! there"},
		},
		{
			name: "field not null here", ourOld: "email: String", ourNew: "email: String!",
			want: []string{"Customer.email: type is String! here, String there"},
		},
		{
			name: "list members not null here", ourOld: "nodes: [Customer!]!", ourNew: "nodes: [Customer]!",
			want: []string{"CustomerConnection.nodes: type is [Customer]! here, [Customer!]! there"},
		},
		{
			name: "argument gone",
			old:  reverseType, new: `{"name": "backwards", "type": {"kind": "SCALAR", "name": "Boolean"}`,
			want: []string{"QueryRoot.customers(reverse:): no such argument there"},
		},
		{
			name: "argument of another type",
			old:  `{"name": "first", "type": {"kind": "SCALAR", "name": "Int"}`, new: `{"name": "first", "type": {"kind": "SCALAR", "name": "String"}`,
			want: []string{"QueryRoot.customers(first:): type is Int here, String there"},
		},
		{
			name: "argument's default changed",
			old:  `"defaultValue": "false"`, new: `"defaultValue": "true"`,
			want: []string{"QueryRoot.customers(reverse:): default value is false here, true there"},
		},
		{
			name: "argument's default gone",
			old:  `"defaultValue": "ID"`, new: `"defaultValue": null`,
			want: []string{"QueryRoot.customers(sortKey:): default value is ID here, none there"},
		},
		{
			name: "argument that we lack is required",
			old:  extraType, new: `{"name": "extra", ` + required + `}`,
			want: []string{"QueryRoot.customers: argument extra: String! is missing here and required there"},
		},
		{
			name: "argument that we lack has a default",
			old:  extraType, new: `{"name": "extra", ` + required + `, "defaultValue": "\"\""}`,
		},
		{
			name: "input field gone",
			old:  urlField, new: `{"name": "uri", "type": {"kind": "SCALAR", "name": "URL"}`,
			want: []string{"SubscribeInput.url: no such field there"},
		},
		{
			name: "input field of another type",
			old:  urlField, new: `{"name": "url", "type": {"kind": "SCALAR", "name": "String"}`,
			want: []string{"SubscribeInput.url: type is URL here, String there"},
		},
		{
			name: "input field's default changed",
			old:  `"\"JSON\""`, new: `"\"XML\""`,
			want: []string{`SubscribeInput.format: default value is "JSON" here, "XML" there`},
		},
		{
			name: "input field that we lack is required",
			old:  filterType, new: `{"name": "filter", ` + required + `}`,
			want: []string{"SubscribeInput: input field filter: String! is missing here and required there"},
		},
		{
			name: "enum member gone",
			old:  `{"name": "UPDATED_AT"}`, new: `{"name": "CHANGED_AT"}`,
			want: []string{"SortKey: UPDATED_AT is no member of the enum there"},
		},
		{
			name: "interface no longer implemented",
			old:  customerIs, new: `"name": "Customer", "interfaces": []`,
			want: []string{"Customer: does not implement Node there"},
		},
		{
			name: "union member gone",
			old:  `"possibleTypes": [{"kind": "OBJECT", "name": "Customer"}, `, new: `"possibleTypes": [`,
			want: []string{"Owner: Customer is no member of the union there"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ours, theirs := ourSDL, officialJSON
			if tt.old != "" {
				theirs = change(t, theirs, tt.old, tt.new)
			}
			if tt.ourOld != "" {
				ours = change(t, ours, tt.ourOld, tt.ourNew)
			}
			problems, _ := compare(parseSDL(t, ours), parseJSON(t, theirs))
			if diff := cmp.Diff(tt.want, texts(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompareDeprecated(t *testing.T) {
	theirs := officialJSON
	theirs = change(t, theirs, `{"name": "UPDATED_AT"}`, `{"name": "UPDATED_AT", "isDeprecated": true, "deprecationReason": "a"}`)
	theirs = change(t, theirs, `{"name": "NAME"}`, `{"name": "NAME", "isDeprecated": true, "deprecationReason": "not ours"}`)
	theirs = change(t, theirs, `"defaultValue": "false"`, `"defaultValue": "false", "isDeprecated": true, "deprecationReason": "b"`)
	theirs = change(t, theirs, `"name": "URL"}, "defaultValue": null`, `"name": "URL"}, "isDeprecated": true, "deprecationReason": null`)

	problems, deprecated := compare(parseSDL(t, ourSDL), parseJSON(t, theirs))
	if problems != nil {
		t.Errorf("problems: %v", problems)
	}
	want := []string{
		"Customer.email: Use `defaultEmailAddress` \"instead\".",
		"QueryRoot.customers(reverse:): b",
		"SortKey.UPDATED_AT: a",
		"SubscribeInput.url: no reason given",
	}
	if diff := cmp.Diff(want, texts(deprecated)); diff != "" {
		t.Errorf("deprecated (-want +got):\n%s", diff)
	}
}

// A type that was renamed is compared part by part.
func TestCompareRenamed(t *testing.T) {
	const ours = `
		type Query { node: String }
		type UserError { field: [String!] message: String! }
		type BulkOperationRunQueryPayload { userErrors: [UserError!]! }`
	const theirs = `
		type Query { node: String }
		type UserError { field: [String!] message: String! }
		type BulkOperationUserError { field: [String!] message: String! code: String }
		type BulkOperationRunQueryPayload { userErrors: [BulkOperationUserError!]! }`
	tests := []struct {
		name, old, new string
		want           []string
	}{
		{name: "the parts are alike"},
		{
			name: "a part is gone", old: "message: String! code", new: "text: String! code",
			want: []string{"UserError.message: no such field there"},
		},
		{
			name: "no list any more", old: "[BulkOperationUserError!]!", new: "BulkOperationUserError!",
			want: []string{"BulkOperationRunQueryPayload.userErrors: type is [BulkOperationUserError!]! here, BulkOperationUserError! there"},
		},
		{
			name: "another name", old: "userErrors: [BulkOperationUserError!]!", new: "userErrors: [UserErrors!]!",
			want: []string{"BulkOperationRunQueryPayload.userErrors: type is [UserError!]! here, [UserErrors!]! there"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed := theirs
			if tt.old != "" {
				changed = change(t, theirs, tt.old, tt.new)
			}
			if tt.name == "another name" {
				changed += ` type UserErrors { message: String! }`
			}
			problems, _ := compare(parseSDL(t, ours), parseSDL(t, changed))
			if diff := cmp.Diff(tt.want, texts(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
