package main

import (
	"fmt"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// report is the outcome of one package in one official version.
type report struct {
	version    string
	pkg        apiPackage
	problems   []finding
	deprecated []finding
}

// finding is something said about an operation ("operation Shop") or a part of
// the schema ("Customer.email").
type finding struct{ where, what string }

func (f finding) String() string { return f.where + ": " + f.what }

// check holds pkg against the official schema of one version.
func check(pkg apiPackage, version string, theirs *ast.Schema) report {
	r := report{version: version, pkg: pkg}
	for _, op := range pkg.operations {
		for _, what := range checkOperation(op, theirs) {
			r.problems = append(r.problems, finding{"operation " + op.Name, what})
		}
	}
	problems, deprecated := compare(pkg.schema, theirs)
	r.problems = append(r.problems, problems...)
	r.deprecated = deprecated
	return r
}

// checkOperation validates one operation by gqlparser's default rules, those of
// the GraphQL specification, and a valid bulk operation by Shopify's as well.
func checkOperation(op operation, schema *ast.Schema) (problems []string) {
	doc, errs := gqlparser.LoadQueryWithRules(schema, op.Query, rules.NewDefaultRules())
	for _, err := range errs {
		problem := err.Message
		if len(err.Locations) > 0 {
			problem = fmt.Sprintf("line %d: %s", err.Locations[0].Line, problem)
		}
		problems = append(problems, problem)
	}
	if len(problems) == 0 && op.bulk() {
		problems = bulkProblems(doc)
	}
	return problems
}
