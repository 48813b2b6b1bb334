package shopifysync_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/omnichat/shopifysync"

// thirdParty lists which packages from elsewhere the non-test files below a
// folder may import. What is not listed may import none.
var thirdParty = map[string][]string{
	"internal/adminapi": {"github.com/Khan/genqlient/graphql"},
	"internal/shopify":  {"github.com/Khan/genqlient/graphql"},
	"internal/throttle": {"golang.org/x/time/rate"},
	"shopifytest":       {"github.com/vektah/gqlparser/v2"},
}

// TestImports keeps the core free of dependencies: its own files import the
// standard library and this module, and only genqlient's runtime and
// x/time/rate stand behind internal packages.
func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || isModule(name)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if !allowed(filepath.ToSlash(name), imported) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("only %d files were looked at", files)
	}
}

func isModule(dir string) bool {
	found, _ := filepath.Glob(filepath.Join(dir, "go.mod"))
	return len(found) > 0
}

func allowed(file, imported string) bool {
	own := imported == module || strings.HasPrefix(imported, module+"/")
	switch {
	case own:
		// The fake and the suite stand beside the core, not in it.
		testing := strings.HasPrefix(imported, module+"/shopifytest") || strings.HasPrefix(imported, module+"/storetest")
		return !testing || strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "shopifytest/")
	case !strings.Contains(strings.SplitN(imported, "/", 2)[0], "."):
		return true // standard library
	case strings.HasSuffix(file, "_test.go") && strings.HasPrefix(imported, "github.com/google/go-cmp/"):
		return true
	}
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		for _, prefix := range thirdParty[dir] {
			if imported == prefix || strings.HasPrefix(imported, prefix+"/") {
				return true
			}
		}
		if dir == "." {
			return false
		}
	}
}

// TestImporterCompiles lists what an importer of the core compiles.
func TestImporterCompiles(t *testing.T) {
	want := map[string]bool{
		"github.com/Khan/genqlient/graphql":       true,
		"github.com/google/uuid":                  true, // genqlient's
		"github.com/vektah/gqlparser/v2/gqlerror": true, // genqlient's
		"github.com/vektah/gqlparser/v2/ast":      true, // genqlient's
		"golang.org/x/time/rate":                  true,
	}
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if dep == module || strings.HasPrefix(dep, module+"/internal/") || want[dep] {
			delete(want, dep)
			continue
		}
		t.Errorf("an importer compiles %s", dep)
	}
	for dep := range want {
		t.Errorf("%s is no longer compiled: shorten the list", dep)
	}
}

// TestNoThirdPartyTypes keeps other modules' types out of the public API.
func TestNoThirdPartyTypes(t *testing.T) {
	for _, pkg := range []string{".", "./sqlstore", "./storetest", "./shopifytest"} {
		cmd := exec.Command("go", "doc", "-all", pkg)
		cmd.Env = append(cmd.Environ(), "GOWORK=off")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go doc %s: %v", pkg, err)
		}
		for _, name := range []string{"graphql.Client", "graphql.Request", "rate.Limiter", "gqlerror.Error", "ast.Schema", "ast.Document", "adminapi."} {
			if strings.Contains(string(out), name) {
				t.Errorf("go doc %s names %s", pkg, name)
			}
		}
	}
}
