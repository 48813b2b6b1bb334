package shopifytest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// problem is what is wrong inside the value of a variable.
type problem struct {
	Path        []any  `json:"path"`
	Explanation string `json:"explanation"`
}

// coerceVariables checks the variables of an operation and fills defaults.
// given was decoded with json.Number.
func coerceVariables(schema *ast.Schema, op *ast.OperationDefinition, given map[string]any) (map[string]any, []GraphQLError) {
	values := map[string]any{}
	var errs []GraphQLError
	for _, def := range op.VariableDefinitions {
		value, ok := given[def.Variable]
		if !ok && def.DefaultValue != nil {
			value, _ = def.DefaultValue.Value(nil)
			values[def.Variable] = value
			continue
		}
		if !ok && !def.Type.NonNull {
			continue
		}
		coerced, problems := coerce(schema, def.Type, value, nil)
		if len(problems) > 0 {
			errs = append(errs, invalidVariable(def, value, problems))
			continue
		}
		values[def.Variable] = coerced
	}
	return values, errs
}

func invalidVariable(def *ast.VariableDefinition, value any, problems []problem) GraphQLError {
	message := fmt.Sprintf("Variable $%s of type %s was provided invalid value", def.Variable, def.Type)
	var inner []string
	for _, p := range problems {
		if len(p.Path) > 0 {
			inner = append(inner, fmt.Sprintf("%s (%s)", strings.Trim(fmt.Sprint(p.Path...), "[]"), p.Explanation))
		}
	}
	if len(inner) > 0 {
		message += " for " + strings.Join(inner, ", ")
	}
	return graphQLError(def.Position, "INVALID_VARIABLE", "%s", message).with("value", value, "problems", problems)
}

func coerce(schema *ast.Schema, t *ast.Type, value any, path []any) (any, []problem) {
	fail := func(format string, args ...any) (any, []problem) {
		return nil, []problem{{Path: append([]any{}, path...), Explanation: fmt.Sprintf(format, args...)}}
	}
	if value == nil {
		if t.NonNull {
			return fail("Expected value to not be null")
		}
		return nil, nil
	}
	if t.Elem != nil {
		return coerceList(schema, t, value, path)
	}
	def := schema.Types[t.NamedType]
	text, isText := value.(string)
	switch {
	case def.Kind == ast.InputObject:
		object, ok := value.(map[string]any)
		if !ok {
			return fail("Expected %s to be a key-value object.", quote(value))
		}
		return coerceObject(schema, def, object, path)
	case def.Kind == ast.Enum:
		if !isText || def.EnumValues.ForName(text) == nil {
			var names []string
			for _, v := range def.EnumValues {
				names = append(names, v.Name)
			}
			return fail("Expected %s to be one of: %s", quote(value), strings.Join(names, ", "))
		}
		return text, nil
	case def.Name == "Int":
		number, ok := value.(json.Number)
		n, err := strconv.ParseInt(string(number), 10, 64)
		if !ok || err != nil || n < math.MinInt32 || n > math.MaxInt32 {
			return fail("Could not coerce value %s to Int", quote(value))
		}
		return n, nil
	case def.Name == "Boolean":
		if b, ok := value.(bool); ok {
			return b, nil
		}
		return fail("Could not coerce value %s to Boolean", quote(value))
	case def.Name == "ID":
		if _, _, ok := parseGID(text); !ok {
			return fail("Invalid global id '%s'", strings.Trim(quote(value), `"`))
		}
	case def.Name == "URL" && isText && !strings.Contains(text, "://"):
		return fail("Invalid url '%s', missing scheme", text)
	}
	if !isText {
		return fail("Could not coerce value %s to %s", quote(value), def.Name)
	}
	return text, nil
}

func coerceList(schema *ast.Schema, t *ast.Type, value any, path []any) (any, []problem) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value} // GraphQL: a single value is a list of one
	}
	coerced := make([]any, len(list))
	var problems []problem
	for i, v := range list {
		c, p := coerce(schema, t.Elem, v, append(path[:len(path):len(path)], i))
		coerced[i] = c
		problems = append(problems, p...)
	}
	return coerced, problems
}

func coerceObject(schema *ast.Schema, def *ast.Definition, object map[string]any, path []any) (any, []problem) {
	coerced := map[string]any{}
	var problems []problem
	var unknown []string
	for name := range object {
		if def.Fields.ForName(name) == nil {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		problems = append(problems, problem{append(path[:len(path):len(path)], name), "Field is not defined on " + def.Name})
	}
	for _, f := range def.Fields {
		v, ok := object[f.Name]
		if !ok && !f.Type.NonNull {
			continue
		}
		c, p := coerce(schema, f.Type, v, append(path[:len(path):len(path)], f.Name))
		coerced[f.Name] = c
		problems = append(problems, p...)
	}
	return coerced, problems
}

func quote(value any) string {
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(b)
}
