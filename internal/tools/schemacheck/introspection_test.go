package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSDL(t *testing.T) {
	tests := []struct {
		name, schema, want string
	}{
		{
			"roots",
			`{"queryType": {"name": "Q"}, "mutationType": {"name": "M"}, "subscriptionType": {"name": "S"}}`,
			"schema {\n\tquery: Q\n\tmutation: M\n\tsubscription: S\n}\n",
		},
		{
			"scalars, built-in types left out",
			`{"types": [{"kind": "SCALAR", "name": "URL", "description": "d"}, {"kind": "SCALAR", "name": "Int"}, {"kind": "OBJECT", "name": "__Type"}]}`,
			"schema {\n}\nscalar URL\n",
		},
		{
			"object with interfaces, arguments, wrapped types",
			`{"types": [{"kind": "OBJECT", "name": "T", "interfaces": [{"name": "A"}, {"name": "B"}], "fields": [
				{"name": "f", "description": "d", "type": {"kind": "NON_NULL", "ofType": {"kind": "LIST", "ofType": {"kind": "NON_NULL", "ofType": {"kind": "SCALAR", "name": "Int"}}}},
				 "args": [{"name": "a", "type": {"kind": "SCALAR", "name": "Int"}, "defaultValue": "1"}, {"name": "b", "type": {"kind": "LIST", "ofType": {"name": "E"}}, "defaultValue": "[X]"}]}
			]}]}`,
			"schema {\n}\ntype T implements A & B {\n\tf(a: Int = 1, b: [E] = [X]): [Int!]!\n}\n",
		},
		{
			"interface",
			`{"types": [{"kind": "INTERFACE", "name": "I", "fields": [{"name": "f", "args": [], "type": {"name": "ID"}}]}]}`,
			"schema {\n}\ninterface I {\n\tf: ID\n}\n",
		},
		{
			"union",
			`{"types": [{"kind": "UNION", "name": "U", "possibleTypes": [{"name": "A"}, {"name": "B"}]}]}`,
			"schema {\n}\nunion U = A | B\n",
		},
		{
			"enum, deprecated member",
			`{"types": [{"kind": "ENUM", "name": "E", "enumValues": [{"name": "A"}, {"name": "B", "isDeprecated": true, "deprecationReason": "say \"A\"\nnow <>"}]}]}`,
			"schema {\n}\nenum E {\n\tA\n\tB @deprecated(reason: \"say \\\"A\\\"\\nnow \\u003c\\u003e\")\n}\n",
		},
		{
			"input objects",
			`{"types": [{"kind": "INPUT_OBJECT", "name": "I", "inputFields": [{"name": "f", "type": {"name": "Int"}, "defaultValue": "1", "isDeprecated": true}]},
				{"kind": "INPUT_OBJECT", "name": "J", "isOneOf": true, "inputFields": [{"name": "f", "type": {"name": "Int"}}]}]}`,
			"schema {\n}\ninput I {\n\tf: Int = 1 @deprecated(reason: \"\")\n}\ninput J @oneOf {\n\tf: Int\n}\n",
		},
		{
			"directives",
			`{"directives": [{"name": "d", "locations": ["FIELD", "QUERY"], "isRepeatable": true, "args": [{"name": "a", "type": {"name": "Int"}, "defaultValue": "null"}]}]}`,
			"schema {\n}\ndirective @d(a: Int = null) repeatable on FIELD | QUERY\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s introspection
			if err := json.Unmarshal([]byte(tt.schema), &s); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, s.sdl()); diff != "" {
				t.Errorf("SDL (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseIntrospection(t *testing.T) {
	_, bare, _ := strings.Cut(officialJSON, `"data": `)
	bare = strings.TrimSuffix(strings.TrimSpace(bare), "}")
	for name, text := range map[string]string{"with data": officialJSON, "without": bare} {
		schema := parseJSON(t, text)
		if schema.Query.Name != "QueryRoot" || schema.Mutation.Name != "Mutation" || schema.Subscription != nil {
			t.Errorf("%s: roots %v, %v, %v", name, schema.Query, schema.Mutation, schema.Subscription)
		}
		if got := len(ownTypes(schema)); got != 11 {
			t.Errorf("%s: %d types, want 11", name, got)
		}
	}
}

// What is not a whole schema is an error: a part that went missing on the way
// would otherwise be reported as a part that Shopify does not have.
func TestParseIntrospectionErrors(t *testing.T) {
	const email = `"type": {"kind": "SCALAR", "name": "String"}, "isDeprecated": true, "deprecationReason": "Use`
	tests := []struct{ name, text, want string }{
		{"no JSON", `<html>`, "invalid character"},
		{"an error answer", `{"errors": "Not Found"}`, "not an introspection result"},
		{"no query type", `{"data": {"__schema": {"types": []}}}`, "not an introspection result"},
		{"unknown kind", change(t, officialJSON, `"kind": "SCALAR", "name": "URL", "d`, `"kind": "STRUCT", "name": "URL", "d`), "STRUCT"},
		{"unknown type", change(t, officialJSON, `"kind": "UNION", "name": "Owner"}`, `"kind": "UNION", "name": "Landlord"}`), "Landlord"},
		{"introspected not deep enough", change(t, officialJSON, email, strings.Replace(email, `"SCALAR", "name": "String"`, `"LIST", "ofType": {"kind": "NON_NULL"}`, 1)), "Expected Name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseIntrospection([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// FuzzParseIntrospection: whatever is read, is read without a panic; and a
// schema that was read is a subset of itself.
func FuzzParseIntrospection(f *testing.F) {
	f.Add([]byte(officialJSON))
	f.Add([]byte(`{"__schema": {"queryType": {"name": "Q"}, "types": [{"kind": "OBJECT", "name": "Q", "fields": [{"name": "f", "type": {"kind": "SCALAR", "name": "Int"}}]}]}}`))
	f.Add([]byte(`{"__schema": {"queryType": {"kind": "LIST"}, "types": [{"kind": "ENUM", "name": "E"}, {}]}}`))
	f.Add([]byte(`{"data": null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		schema, err := parseIntrospection(text)
		if err != nil {
			return
		}
		if problems, _ := compare(schema, schema); len(problems) > 0 {
			t.Errorf("differs from itself: %v", problems)
		}
	})
}
