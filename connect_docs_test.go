package shopifysync_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The troubleshooting pages hold the text of every sentinel error, and one
// that is added without an explanation is found.
func TestTroubleshootingPages(t *testing.T) {
	sentinels := map[string]string{}
	for _, pattern := range []string{"*.go", "sqlstore/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if !strings.HasSuffix(name, "_test.go") {
				collectSentinels(t, name, sentinels)
			}
		}
	}
	if len(sentinels) < 30 {
		t.Fatalf("only %d sentinel errors were found", len(sentinels))
	}
	for _, page := range []string{"docs/troubleshooting.md", "docs/troubleshooting.zh-Hant.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for name, says := range sentinels {
			if !strings.Contains(string(text), "| `"+says+"` (`"+name+"`) |") {
				t.Errorf("%s does not explain %s: %q", page, name, says)
			}
		}
		if rows := strings.Count(string(text), "(`Err"); rows != len(sentinels) {
			t.Errorf("%s explains %d errors, and there are %d", page, rows, len(sentinels))
		}
	}
}

// collectSentinels finds the exported package variables made by errors.New.
func collectSentinels(t *testing.T, file string, into map[string]string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range parsed.Decls {
		vars, ok := decl.(*ast.GenDecl)
		if !ok || vars.Tok != token.VAR {
			continue
		}
		for _, spec := range vars.Specs {
			value := spec.(*ast.ValueSpec)
			if len(value.Names) != 1 || len(value.Values) != 1 || !value.Names[0].IsExported() {
				continue
			}
			call, ok := value.Values[0].(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				continue
			}
			text, ok := call.Args[0].(*ast.BasicLit)
			if !ok || !strings.HasPrefix(value.Names[0].Name, "Err") {
				continue
			}
			if into[value.Names[0].Name], err = strconv.Unquote(text.Value); err != nil {
				t.Fatal(err)
			}
		}
	}
}
