package shopifytest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// document is a query text that is valid for a schema.
type document struct {
	schema *ast.Schema
	*ast.QueryDocument
}

// parseDocument parses and validates a query, and says what is wrong with it
// in Shopify's words.
func parseDocument(schema *ast.Schema, text string) (*document, []GraphQLError) {
	parsed, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, 20_000)
	if err != nil {
		var e *gqlerror.Error
		if errors.As(err, &e) && len(e.Locations) > 0 {
			at := e.Locations[0]
			return nil, []GraphQLError{{
				Message:   fmt.Sprintf("syntax error, %s at [%d, %d]", e.Message, at.Line, at.Column),
				Locations: []Location{{at.Line, at.Column}},
			}}
		}
		return nil, []GraphQLError{{Message: "syntax error, " + err.Error()}}
	}
	if len(parsed.Operations) == 0 {
		return nil, []GraphQLError{{Message: "No query string was present"}}
	}
	v := &validation{schema: schema, fragments: parsed.Fragments}
	for _, op := range parsed.Operations {
		root := rootType(schema, op.Operation)
		if root == nil {
			v.add(op.Position, "missingOperation", nil, "Schema is not configured for %ss", op.Operation)
			continue
		}
		v.selections(root, op.SelectionSet, []any{strings.TrimSpace(string(op.Operation) + " " + op.Name)})
	}
	for _, fragment := range parsed.Fragments {
		if def := schema.Types[fragment.TypeCondition]; def != nil {
			v.selections(def, fragment.SelectionSet, []any{"fragment " + fragment.Name})
		}
	}
	if len(v.errors) > 0 {
		return nil, v.errors
	}
	// What is left is rarer: the words are gqlparser's, the codes Shopify's.
	for _, e := range validator.ValidateWithRules(schema, parsed, rules.NewDefaultRules()) {
		v.errors = append(v.errors, translate(e))
	}
	if len(v.errors) > 0 {
		return nil, v.errors
	}
	return &document{schema: schema, QueryDocument: parsed}, nil
}

func rootType(schema *ast.Schema, operation ast.Operation) *ast.Definition {
	switch operation {
	case ast.Query:
		return schema.Query
	case ast.Mutation:
		return schema.Mutation
	}
	return nil
}

// ruleCodes are Shopify's codes for what gqlparser's rules find.
var ruleCodes = map[string]string{
	"FragmentsOnCompositeTypes":    "fragmentOnNonCompositeType",
	"KnownDirectives":              "undefinedDirective",
	"KnownFragmentNames":           "useAndDefineFragment",
	"KnownTypeNames":               "undefinedType",
	"LoneAnonymousOperation":       "uniquelyNamedOperations",
	"NoFragmentCycles":             "infiniteLoop",
	"NoUndefinedVariables":         "variableNotDefined",
	"NoUnusedFragments":            "useAndDefineFragment",
	"NoUnusedVariables":            "variableNotUsed",
	"OverlappingFieldsCanBeMerged": "fieldConflict",
	"PossibleFragmentSpreads":      "cannotSpreadFragment",
	"UniqueArgumentNames":          "argumentNotUnique",
	"UniqueFragmentNames":          "fragmentNotUnique",
	"UniqueInputFieldNames":        "inputFieldNotUnique",
	"UniqueOperationNames":         "uniquelyNamedOperations",
	"UniqueVariableNames":          "variableNotUnique",
	"ValuesOfCorrectType":          "argumentLiteralsIncompatible",
	"VariablesAreInputTypes":       "variableRequiresValidType",
	"VariablesInAllowedPosition":   "variableMismatch",
}

func translate(e *gqlerror.Error) GraphQLError {
	code := ruleCodes[e.Rule]
	if code == "" {
		code = "invalidQuery"
	}
	translated := GraphQLError{Message: e.Message, Extensions: map[string]any{"code": code}}
	for _, l := range e.Locations {
		translated.Locations = append(translated.Locations, Location{l.Line, l.Column})
	}
	return translated
}

// validation finds the mistakes that Shopify's users make most, and words them
// as Shopify does.
type validation struct {
	schema    *ast.Schema
	fragments ast.FragmentDefinitionList
	errors    []GraphQLError
}

func (v *validation) add(at *ast.Position, code string, path []any, format string, args ...any) *GraphQLError {
	e := graphQLError(at, code, format, args...)
	e.Path = append([]any(nil), path...)
	v.errors = append(v.errors, e)
	return &v.errors[len(v.errors)-1]
}

func (v *validation) selections(parent *ast.Definition, set ast.SelectionSet, path []any) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			v.field(parent, s, append(path[:len(path):len(path)], s.Alias))
		case *ast.InlineFragment:
			def := parent
			if s.TypeCondition != "" {
				def = v.schema.Types[s.TypeCondition]
			}
			if def != nil && def.IsCompositeType() {
				v.selections(def, s.SelectionSet, append(path[:len(path):len(path)], "... on "+def.Name))
			}
		}
	}
}

func (v *validation) field(parent *ast.Definition, f *ast.Field, path []any) {
	if f.Name == "__typename" {
		return
	}
	def := parent.Fields.ForName(f.Name)
	if def == nil || strings.HasPrefix(f.Name, "__") { // no introspection here
		v.add(f.Position, "undefinedField", path, "Field '%s' doesn't exist on type '%s'", f.Name, parent.Name).
			with("typeName", parent.Name, "fieldName", f.Name)
		return
	}
	v.arguments(f, def, path)
	result := v.schema.Types[def.Type.Name()]
	switch {
	case result.IsCompositeType() && len(f.SelectionSet) == 0:
		v.add(f.Position, "selectionMismatch", path,
			"Field must have selections (field '%[1]s' returns %[2]s but has no selections. Did you mean '%[1]s { ... }'?)", f.Name, result.Name).
			with("nodeName", "field '"+f.Name+"'", "typeName", result.Name)
	case result.IsLeafType() && len(f.SelectionSet) > 0:
		v.add(f.Position, "selectionMismatch", path,
			"Selections can't be made on scalars (field '%s' returns %s but has selections)", f.Name, result.Name).
			with("nodeName", "field '"+f.Name+"'", "typeName", result.Name)
	default:
		v.selections(result, f.SelectionSet, path)
	}
}

func (v *validation) arguments(f *ast.Field, def *ast.FieldDefinition, path []any) {
	for _, arg := range f.Arguments {
		argDef := def.Arguments.ForName(arg.Name)
		if argDef == nil {
			v.add(arg.Position, "argumentNotAccepted", append(path[:len(path):len(path)], arg.Name),
				"Field '%s' doesn't accept argument '%s'", f.Name, arg.Name).
				with("name", f.Name, "typeName", "Field", "argumentName", arg.Name)
			continue
		}
		v.argument(f, arg, argDef, append(path[:len(path):len(path)], arg.Name))
	}
	var missing []string
	for _, argDef := range def.Arguments {
		if argDef.Type.NonNull && argDef.DefaultValue == nil && f.Arguments.ForName(argDef.Name) == nil {
			missing = append(missing, argDef.Name)
		}
	}
	if len(missing) > 0 {
		names := strings.Join(missing, ", ")
		v.add(f.Position, "missingRequiredArguments", path, "Field '%s' is missing required arguments: %s", f.Name, names).
			with("className", "Field", "name", f.Name, "arguments", names)
	}
}

func (v *validation) argument(f *ast.Field, arg *ast.Argument, def *ast.ArgumentDefinition, path []any) {
	input := v.schema.Types[def.Type.Name()]
	if arg.Value.Kind == ast.ObjectValue && input.Kind == ast.InputObject {
		for _, child := range arg.Value.Children {
			if input.Fields.ForName(child.Name) == nil {
				v.add(child.Position, "argumentNotAccepted", append(path[:len(path):len(path)], child.Name),
					"InputObject '%s' doesn't accept argument '%s'", input.Name, child.Name).
					with("name", input.Name, "typeName", "InputObject", "argumentName", child.Name)
			}
		}
		return
	}
	if input.Name == "ID" {
		for _, id := range literals(arg.Value) {
			if _, _, ok := parseGID(id); !ok {
				v.add(f.Position, "argumentLiteralsIncompatible", path, "Invalid global id '%s'", id).with("typeName", "CoercionError")
			}
		}
	}
	if !literalFits(arg.Value, def.Type, input) {
		v.add(f.Position, "argumentLiteralsIncompatible", path,
			"Argument '%s' on Field '%s' has an invalid value (%s). Expected type '%s'.", arg.Name, f.Name, arg.Value, def.Type).
			with("typeName", "Field", "argumentName", arg.Name)
	}
}

// literals lists the texts and numbers that are written out in a value.
func literals(value *ast.Value) []string {
	switch value.Kind {
	case ast.StringValue, ast.BlockValue, ast.IntValue:
		return []string{value.Raw}
	}
	var texts []string
	for _, child := range value.Children {
		texts = append(texts, literals(child.Value)...)
	}
	return texts
}

// literalFits checks what is written out; variables are checked by their
// types, and lists and objects by gqlparser.
func literalFits(value *ast.Value, t *ast.Type, def *ast.Definition) bool {
	switch value.Kind {
	case ast.NullValue:
		return !t.NonNull
	case ast.Variable, ast.ListValue, ast.ObjectValue:
		return true
	}
	switch {
	case def.Kind == ast.Enum:
		return value.Kind == ast.EnumValue && def.EnumValues.ForName(value.Raw) != nil
	case def.Name == "Int":
		return value.Kind == ast.IntValue
	case def.Name == "Boolean":
		return value.Kind == ast.BooleanValue
	case def.Name == "ID":
		return value.Kind == ast.StringValue || value.Kind == ast.BlockValue || value.Kind == ast.IntValue
	}
	return value.Kind == ast.StringValue || value.Kind == ast.BlockValue
}
