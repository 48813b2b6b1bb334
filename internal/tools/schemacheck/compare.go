package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// compare reports where ours is not a subset of theirs: whatever ours declares
// has to be declared there alike, and what ours leaves out has to be optional
// there. Enums and unions of ours may have fewer members. It also reports what
// ours declares and theirs calls deprecated, with Shopify's reason.
func compare(ours, theirs *ast.Schema) (problems, deprecated []finding) {
	c := &comparison{ours: ours, theirs: theirs}
	c.root("query", ours.Query, theirs.Query)
	c.root("mutation", ours.Mutation, theirs.Mutation)
	for _, def := range ownTypes(ours) {
		c.definition(def, theirs.Types[def.Name])
	}
	return c.problems, c.deprecated
}

// ownTypes are the types that the schema itself declares, sorted by name.
func ownTypes(schema *ast.Schema) []*ast.Definition {
	var own []*ast.Definition
	for _, def := range schema.Types {
		if !def.BuiltIn {
			own = append(own, def)
		}
	}
	slices.SortFunc(own, func(a, b *ast.Definition) int { return strings.Compare(a.Name, b.Name) })
	return own
}

// renamed are fields whose object type has another name in some versions. No
// operation names it, so the texts stay valid as long as its parts are alike.
var renamed = map[string]string{
	"BulkOperationRunQueryPayload.userErrors": "BulkOperationUserError", // UserError before 2025-01
}

type comparison struct {
	ours, theirs         *ast.Schema
	problems, deprecated []finding
}

func (c *comparison) problem(where, format string, args ...any) {
	c.problems = append(c.problems, finding{where, fmt.Sprintf(format, args...)})
}

// same reports two texts that differ.
func (c *comparison) same(where, what, ours, theirs string) {
	if ours != theirs {
		c.problem(where, "%s is %s here, %s there", what, ours, theirs)
	}
}

func (c *comparison) root(operation string, ours, theirs *ast.Definition) {
	switch {
	case ours == nil:
	case theirs == nil:
		c.problem(ours.Name, "there is no %s root there", operation)
	default:
		c.same(ours.Name, operation+" root", ours.Name, theirs.Name)
	}
}

func (c *comparison) definition(ours, theirs *ast.Definition) {
	if theirs == nil {
		c.problem(ours.Name, "no such type there")
		return
	}
	c.same(ours.Name, "kind", string(ours.Kind), string(theirs.Kind))
	if ours.Kind != theirs.Kind {
		return // every part would differ as well
	}
	for _, name := range ours.Interfaces {
		if !slices.Contains(theirs.Interfaces, name) {
			c.problem(ours.Name, "does not implement %s there", name)
		}
	}
	for _, name := range ours.Types {
		if !slices.Contains(theirs.Types, name) {
			c.problem(ours.Name, "%s is no member of the union there", name)
		}
	}
	for _, v := range ours.EnumValues {
		if other := theirs.EnumValues.ForName(v.Name); other != nil {
			c.deprecation(ours.Name+"."+v.Name, other.Directives)
		} else {
			c.problem(ours.Name, "%s is no member of the enum there", v.Name)
		}
	}
	c.fields(ours, theirs)
}

// fields compares those of objects, interfaces and input objects.
func (c *comparison) fields(ours, theirs *ast.Definition) {
	for _, f := range ours.Fields {
		if strings.HasPrefix(f.Name, "__") {
			continue // gqlparser's own additions to the query root
		}
		where := ours.Name + "." + f.Name
		other := theirs.Fields.ForName(f.Name)
		if other == nil {
			c.problem(where, "no such field there")
			continue
		}
		if name := other.Type.Name(); renamed[where] == name {
			// Compared as if it still had our name, part by part.
			c.fields(c.ours.Types[f.Type.Name()], c.theirs.Types[name])
			c.same(where, "type", strings.Replace(f.Type.String(), f.Type.Name(), name, 1), other.Type.String())
		} else {
			c.same(where, "type", f.Type.String(), other.Type.String())
		}
		c.same(where, "default value", literal(f.DefaultValue), literal(other.DefaultValue))
		c.deprecation(where, other.Directives)
		c.arguments(where, f, other)
	}
	if ours.Kind != ast.InputObject {
		return
	}
	for _, f := range theirs.Fields {
		if ours.Fields.ForName(f.Name) == nil && required(f.Type, f.DefaultValue) {
			c.problem(ours.Name, "input field %s: %s is missing here and required there", f.Name, f.Type)
		}
	}
}

func (c *comparison) arguments(where string, ours, theirs *ast.FieldDefinition) {
	for _, a := range ours.Arguments {
		where := fmt.Sprintf("%s(%s:)", where, a.Name)
		other := theirs.Arguments.ForName(a.Name)
		if other == nil {
			c.problem(where, "no such argument there")
			continue
		}
		c.same(where, "type", a.Type.String(), other.Type.String())
		c.same(where, "default value", literal(a.DefaultValue), literal(other.DefaultValue))
		c.deprecation(where, other.Directives)
	}
	for _, a := range theirs.Arguments {
		if ours.Arguments.ForName(a.Name) == nil && required(a.Type, a.DefaultValue) {
			c.problem(where, "argument %s: %s is missing here and required there", a.Name, a.Type)
		}
	}
}

func (c *comparison) deprecation(where string, directives ast.DirectiveList) {
	d := directives.ForName("deprecated")
	if d == nil {
		return
	}
	reason := "no reason given"
	if a := d.Arguments.ForName("reason"); a != nil && a.Value.Raw != "" {
		reason = strings.Join(strings.Fields(a.Value.Raw), " ")
	}
	c.deprecated = append(c.deprecated, finding{where, reason})
}

// required: https://spec.graphql.org/October2021/#sec-Required-Arguments
func required(t *ast.Type, defaultValue *ast.Value) bool {
	return t.NonNull && defaultValue == nil
}

func literal(v *ast.Value) string {
	if v == nil {
		return "none"
	}
	return v.String()
}
