package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// The answer to the standard introspection query
// (https://spec.graphql.org/October2021/#sec-Schema-Introspection), without
// descriptions.
type (
	introspection struct {
		QueryType        *typeRef
		MutationType     *typeRef
		SubscriptionType *typeRef
		Types            []fullType
		Directives       []directive
	}
	fullType struct {
		Kind          ast.DefinitionKind
		Name          string
		Fields        []field
		InputFields   []inputValue
		Interfaces    []typeRef
		EnumValues    []enumValue
		PossibleTypes []typeRef
		IsOneOf       bool
	}
	field struct {
		Name string
		Args []inputValue
		Type typeRef
		deprecation
	}
	inputValue struct {
		Name         string
		Type         typeRef
		DefaultValue *string // a GraphQL literal
		deprecation
	}
	enumValue struct {
		Name string
		deprecation
	}
	directive struct {
		Name         string
		Args         []inputValue
		Locations    []string
		IsRepeatable bool
	}
	typeRef struct {
		Kind   string
		Name   string
		OfType *typeRef
	}
	deprecation struct {
		IsDeprecated      bool
		DeprecationReason string
	}
)

// parseIntrospection turns an introspection result, with or without the
// surrounding "data", into a schema.
func parseIntrospection(text []byte) (*ast.Schema, error) {
	type answer struct {
		Schema *introspection `json:"__schema"`
	}
	var result struct {
		Data answer
		answer
	}
	if err := json.Unmarshal(text, &result); err != nil {
		return nil, err
	}
	found := result.Data.Schema
	if found == nil {
		found = result.Schema
	}
	if found == nil || found.QueryType == nil {
		return nil, errors.New("not an introspection result: no __schema with a query type")
	}
	return gqlparser.LoadSchema(&ast.Source{Name: "introspection", Input: found.sdl()})
}

// sdl writes the schema in the schema definition language, for gqlparser.
func (s *introspection) sdl() string {
	var b bytes.Buffer
	b.WriteString("schema {\n")
	for _, root := range []struct {
		operation ast.Operation
		ref       *typeRef
	}{
		{ast.Query, s.QueryType},
		{ast.Mutation, s.MutationType},
		{ast.Subscription, s.SubscriptionType},
	} {
		if root.ref != nil {
			fmt.Fprintf(&b, "\t%s: %s\n", root.operation, root.ref)
		}
	}
	b.WriteString("}\n")
	for _, d := range s.Directives {
		repeatable := ""
		if d.IsRepeatable {
			repeatable = " repeatable"
		}
		fmt.Fprintf(&b, "directive @%s%s%s on %s\n", d.Name, arguments(d.Args), repeatable, strings.Join(d.Locations, " | "))
	}
	for _, t := range s.Types {
		if !builtIn(t.Name) {
			t.write(&b)
		}
	}
	return b.String()
}

// builtIn tells the types that gqlparser declares by itself.
func builtIn(name string) bool {
	return strings.HasPrefix(name, "__") || slices.Contains([]string{"Boolean", "Float", "ID", "Int", "String"}, name)
}

func (t fullType) write(b *bytes.Buffer) {
	switch t.Kind {
	case ast.Scalar:
		fmt.Fprintf(b, "scalar %s\n", t.Name)
	case ast.Union:
		fmt.Fprintf(b, "union %s = %s\n", t.Name, names(t.PossibleTypes, " | "))
	case ast.Enum:
		fmt.Fprintf(b, "enum %s {\n", t.Name)
		for _, v := range t.EnumValues {
			fmt.Fprintf(b, "\t%s%s\n", v.Name, v.deprecation)
		}
		b.WriteString("}\n")
	case ast.InputObject:
		oneOf := ""
		if t.IsOneOf {
			oneOf = " @oneOf"
		}
		fmt.Fprintf(b, "input %s%s {\n", t.Name, oneOf)
		for _, f := range t.InputFields {
			fmt.Fprintf(b, "\t%s\n", f)
		}
		b.WriteString("}\n")
	case ast.Object, ast.Interface:
		keyword := "type"
		if t.Kind == ast.Interface {
			keyword = "interface"
		}
		implements := ""
		if len(t.Interfaces) > 0 {
			implements = " implements " + names(t.Interfaces, " & ")
		}
		fmt.Fprintf(b, "%s %s%s {\n", keyword, t.Name, implements)
		for _, f := range t.Fields {
			fmt.Fprintf(b, "\t%s%s: %s%s\n", f.Name, arguments(f.Args), f.Type, f.deprecation)
		}
		b.WriteString("}\n")
	default:
		// Not SDL: an unknown kind has to be an error, not a missing type.
		fmt.Fprintf(b, "%s %s\n", t.Kind, t.Name)
	}
}

func arguments(args []inputValue) string {
	if len(args) == 0 {
		return ""
	}
	texts := make([]string, len(args))
	for i, a := range args {
		texts[i] = a.String()
	}
	return "(" + strings.Join(texts, ", ") + ")"
}

func (v inputValue) String() string {
	text := v.Name + ": " + v.Type.String()
	if v.DefaultValue != nil {
		text += " = " + *v.DefaultValue
	}
	return text + v.deprecation.String()
}

func (d deprecation) String() string {
	if !d.IsDeprecated {
		return ""
	}
	reason, _ := json.Marshal(d.DeprecationReason) // a JSON string is a GraphQL string
	return fmt.Sprintf(" @deprecated(reason: %s)", reason)
}

// String writes the reference as SDL. A wrapper around nothing, from an
// introspection query that did not ask deep enough, gives no valid SDL.
func (r typeRef) String() string {
	inner := ""
	if r.OfType != nil {
		inner = r.OfType.String()
	}
	switch r.Kind {
	case "LIST":
		return "[" + inner + "]"
	case "NON_NULL":
		return inner + "!"
	default:
		return r.Name
	}
}

func names(refs []typeRef, separator string) string {
	texts := make([]string, len(refs))
	for i, r := range refs {
		texts[i] = r.Name
	}
	return strings.Join(texts, separator)
}
