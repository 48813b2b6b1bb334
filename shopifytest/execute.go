package shopifytest

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// execution carries out one operation. Answers are written straight as JSON.
type execution struct {
	store *Store
	call  *call // nil while the lines of a bulk operation are written
	doc   *document
	vars  map[string]any

	escapeSlash bool // as Shopify does in JSONL
	access      dataAccess

	path   []any
	errors []GraphQLError
	// nulled is set when a field that may not be null could not be answered:
	// the whole of data is null then.
	nulled bool
	search []searchNote
}

// resolver appends the value of a field of obj to dst.
type resolver func(x *execution, dst []byte, obj any, f *field) []byte

// field is a field of an operation, ready to be resolved.
type field struct {
	node     *ast.Field
	key      string // the alias, or the name
	keyJSON  []byte // `"key":`
	def      *ast.FieldDefinition
	args     map[string]any
	resolve  resolver
	children map[string]plan // by the concrete type of the value
	rows     int             // of a connection or a list: how many came
	set      ast.SelectionSet
}

func (f *field) name() string { return f.node.Name }

// plan is what is selected of one concrete type.
type plan []*field

// collect makes the plan of a selection set for a concrete type: fragments
// are spread, equal fields merged, @skip and @include obeyed.
func (x *execution) collect(def *ast.Definition, set ast.SelectionSet) plan {
	var p plan
	x.collectInto(&p, def, set)
	for _, f := range p {
		f.children = map[string]plan{}
		f.keyJSON = append(appendString(nil, f.key, false), ':')
	}
	return p
}

func (x *execution) collectInto(p *plan, def *ast.Definition, set ast.SelectionSet) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if !x.included(s.Directives) {
				continue
			}
			if i := slices.IndexFunc(*p, func(f *field) bool { return f.key == s.Alias }); i >= 0 {
				f := (*p)[i]
				f.set = append(f.set[:len(f.set):len(f.set)], s.SelectionSet...)
				continue
			}
			*p = append(*p, x.newField(def, s))
		case *ast.InlineFragment:
			if x.included(s.Directives) && x.applies(s.TypeCondition, def) {
				x.collectInto(p, def, s.SelectionSet)
			}
		case *ast.FragmentSpread:
			fragment := x.doc.Fragments.ForName(s.Name)
			if x.included(s.Directives) && x.applies(fragment.TypeCondition, def) {
				x.collectInto(p, def, fragment.SelectionSet)
			}
		}
	}
}

func (x *execution) newField(def *ast.Definition, node *ast.Field) *field {
	f := &field{node: node, key: node.Alias, set: node.SelectionSet}
	if node.Name == "__typename" {
		f.resolve = typename(def.Name)
		return f
	}
	f.def = def.Fields.ForName(node.Name)
	f.args = node.ArgumentMap(x.vars)
	for _, arg := range f.def.Arguments { // a single value is a list of one
		value := f.args[arg.Name]
		if _, isList := value.([]any); arg.Type.Elem != nil && value != nil && !isList {
			f.args[arg.Name] = []any{value}
		}
	}
	f.resolve = resolvers[def.Name][node.Name]
	if def.Name == "Customer" && x.access.denies(node.Name) {
		f.resolve = deniedField
	}
	return f
}

func typename(name string) resolver {
	return func(_ *execution, dst []byte, _ any, _ *field) []byte { return appendString(dst, name, false) }
}

// applies reports whether a fragment on the named type covers def.
func (x *execution) applies(condition string, def *ast.Definition) bool {
	if condition == "" || condition == def.Name {
		return true
	}
	return slices.Contains(x.doc.schema.PossibleTypes[condition], def)
}

func (x *execution) included(directives ast.DirectiveList) bool {
	if d := directives.ForName("skip"); d != nil && d.ArgumentMap(x.vars)["if"] == true {
		return false
	}
	if d := directives.ForName("include"); d != nil && d.ArgumentMap(x.vars)["if"] == false {
		return false
	}
	return true
}

func (x *execution) planOf(f *field, typeName string) plan {
	if p, ok := f.children[typeName]; ok {
		return p
	}
	p := x.collect(x.doc.schema.Types[typeName], f.set)
	f.children[typeName] = p
	return p
}

// object appends obj, a value of the named type, as f selects it.
func (x *execution) object(dst []byte, typeName string, obj any, f *field) []byte {
	x.path = append(x.path, f.key)
	dst = x.fields(dst, x.planOf(f, typeName), obj)
	x.path = x.path[:len(x.path)-1]
	return dst
}

// item is object for the elements of a list, whose path has their index.
func (x *execution) item(dst []byte, index int, typeName string, obj any, f *field) []byte {
	x.path = append(x.path, f.key, index)
	dst = x.fields(dst, x.planOf(f, typeName), obj)
	x.path = x.path[:len(x.path)-2]
	return dst
}

func (x *execution) fields(dst []byte, p plan, obj any) []byte {
	dst = append(dst, '{')
	for i, f := range p {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, f.keyJSON...)
		dst = f.resolve(x, dst, obj, f)
	}
	return append(dst, '}')
}

// fail answers f with null and says why. path continues the place of f.
func (x *execution) fail(dst []byte, f *field, e GraphQLError, path ...any) []byte {
	if x.call == nil { // bulk lines have no place for errors
		return append(dst, "null"...)
	}
	e.Locations = locate(f.node.Position)
	e.Path = append(append(slices.Clone(x.path), f.key), path...)
	x.errors = append(x.errors, e)
	if len(path) == 0 && f.def != nil && f.def.Type.NonNull {
		x.nulled = true
	}
	return append(dst, "null"...)
}

func deniedField(x *execution, dst []byte, _ any, f *field) []byte {
	return x.fail(dst, f, graphQLError(nil, "ACCESS_DENIED",
		"This app is not approved to use the %s field. See %s for more details.", f.name(), protectedDataPage).
		with("documentation", protectedDataPage))
}

func deniedCustomer() GraphQLError {
	return graphQLError(nil, "ACCESS_DENIED",
		"This app is not approved to access the Customer object. See %s for more details.", protectedDataPage).
		with("documentation", protectedDataPage)
}

func deniedScope(fieldName, scope string) GraphQLError {
	required := "`" + scope + "` access scope."
	return graphQLError(nil, "ACCESS_DENIED", "Access denied for %s field. Required access: %s", fieldName, required).
		with("documentation", accessScopesPage, "requiredAccess", required)
}
