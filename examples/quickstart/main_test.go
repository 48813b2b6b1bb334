package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

func none(string) string { return "" }

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// runs runs the program with -json and returns what it printed.
func runs(t *testing.T, getenv func(string) string, args ...string) []map[string]any {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), append(args, "-json"), getenv, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Runs []map[string]any `json:"runs"`
	}
	decoder := json.NewDecoder(&stdout)
	if err := decoder.Decode(&out); err != nil {
		t.Fatalf("%v in %s", err, stdout.String())
	}
	if decoder.More() {
		t.Error("there is more than one JSON value")
	}
	return out.Runs
}

func TestDemo(t *testing.T) {
	db := filepath.Join(t.TempDir(), "demo.db")
	got := runs(t, none, "-customers", "1500", "-db", db)
	want := []map[string]any{
		{"seen": 1500., "created": 1500., "updated": 0., "unchanged": 0., "stale": 0., "skipped": 0., "failed": 0., "removed": 0., "complete": true, "resumed": false},
		{"seen": 1501., "created": 2., "updated": 3., "unchanged": 1496., "stale": 0., "skipped": 0., "failed": 0., "removed": 1., "complete": true, "resumed": false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

func TestDemoOfFewCustomers(t *testing.T) {
	for _, n := range []string{"0", "1", "4"} {
		got := runs(t, none, "-customers", n, "-db", filepath.Join(t.TempDir(), "demo.db"))
		if len(got) != 2 || got[1]["created"] != 2. || got[1]["complete"] != true {
			t.Errorf("-customers %s: %v", n, got)
		}
	}
}

func TestDemoText(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-customers", "300"}, none, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"300 customers", "300 new", "Shopify - 累積訂單數", "王小明", "2 new, 3 updated", "1 removed", "陳美玲"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, stdout.String())
		}
	}
	if stderr.Len() > 0 {
		t.Errorf("standard error: %s", stderr.String())
	}
	dirs, err := filepath.Glob(filepath.Join(tmp, "shopifysync-quickstart-*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("directories %v, %v", dirs, err)
	}
	private(t, dirs[0], 0o700)
	private(t, filepath.Join(dirs[0], "contacts.db"), 0o600)
}

// private checks that nobody else may read a file.
func private(t *testing.T, file string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != want {
		t.Errorf("%s has mode %v, want %v", filepath.Base(file), mode, want)
	}
}

// A store that hides fields is told of, and a file's name is taken as it is.
func TestRealStore(t *testing.T) {
	fake := shopifytest.NewServer()
	defer fake.Close()
	store := fake.AddStore(shopifytest.StoreConfig{Domain: "real.myshopify.com", AccessToken: "t0ken", DeniedFields: []string{"note"}})
	store.Generate(10, 3)
	server := httptest.NewServer(fake.Handler())
	defer server.Close()
	db := filepath.Join(t.TempDir(), "100% 會員?#.db")
	var stdout, stderr bytes.Buffer
	args := []string{"-shop", "real.myshopify.com", "-endpoint", server.URL, "-db", db}
	if err := run(t.Context(), args, env("SHOPIFY_ACCESS_TOKEN", "t0ken"), &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stdout.String(), "Shopify did not show the app: note.") {
		t.Errorf("the output does not say what was hidden:\n%s", stdout.String())
	}
	private(t, db, 0o600)
	if got := runs(t, env("SHOPIFY_ACCESS_TOKEN", "t0ken"), args...); len(got) != 1 || got[0]["masked"] != "note" || got[0]["created"] != 0. {
		t.Errorf("once more: %v", got)
	}
}

// With -endpoint every request goes to one address, bulk file included, and
// keeps the host that it named.
func TestEndpoint(t *testing.T) {
	fake := shopifytest.NewServer()
	defer fake.Close()
	store := fake.AddStore(shopifytest.StoreConfig{Domain: "real.myshopify.com", AccessToken: "t0ken", BulkSpeed: shopifytest.Unlimited})
	store.Generate(12_000, 3)
	server := httptest.NewServer(fake.Handler())
	defer server.Close()

	got := runs(t, env("SHOPIFY_ACCESS_TOKEN", "t0ken"), "-shop", "https://Real.myshopify.com/", "-endpoint", server.URL, "-db", filepath.Join(t.TempDir(), "real.db"))
	if len(got) != 1 || got[0]["seen"] != 12_000. || got[0]["complete"] != true {
		t.Errorf("%v", got)
	}
	if fake.Count(shopifytest.OpBulkDownload) == 0 {
		t.Error("the bulk file was not fetched")
	}

	got = runs(t, env("SHOPIFY_CLIENT_ID", "client-id", "SHOPIFY_CLIENT_SECRET", "client-secret"), "-shop", "real.myshopify.com", "-endpoint", server.URL, "-db", filepath.Join(t.TempDir(), "real.db"))
	if len(got) != 1 || got[0]["complete"] != true {
		t.Errorf("with client credentials: %v", got)
	}
}

func TestWrongInput(t *testing.T) {
	token := env("SHOPIFY_ACCESS_TOKEN", "t0ken")
	tests := map[string]struct {
		args   []string
		getenv func(string) string
	}{
		"unknown flag":                  {[]string{"-frobnicate"}, none},
		"an argument":                   {[]string{"demo.myshopify.com"}, none},
		"a number that is none":         {[]string{"-customers", "many"}, none},
		"a negative number":             {[]string{"-customers", "-1"}, none},
		"a custom domain":               {[]string{"-shop", "www.example.com"}, token},
		"no token":                      {[]string{"-shop", "demo.myshopify.com"}, none},
		"a client id alone":             {[]string{"-shop", "demo.myshopify.com"}, env("SHOPIFY_CLIENT_ID", "x")},
		"an endpoint without shop":      {[]string{"-endpoint", "http://127.0.0.1:8080"}, token},
		"an endpoint elsewhere":         {[]string{"-shop", "demo.myshopify.com", "-endpoint", "http://192.0.2.1:80"}, token},
		"an endpoint by name":           {[]string{"-shop", "demo.myshopify.com", "-endpoint", "http://example.com:80"}, token},
		"an endpoint without port":      {[]string{"-shop", "demo.myshopify.com", "-endpoint", "http://127.0.0.1"}, token},
		"an endpoint with https":        {[]string{"-shop", "demo.myshopify.com", "-endpoint", "https://127.0.0.1:1"}, token},
		"a place to serve that is none": {[]string{"-serve", "8080"}, none},
		"serving without a secret":      {[]string{"-shop", "demo.myshopify.com", "-serve", "127.0.0.1:0"}, token},
		"a webhook address alone":       {[]string{"-webhook-url", "https://x.example.com/{connection}"}, none},
		"a negative time":               {[]string{"-every", "-1s"}, none},
		"an endpoint with a path":       {[]string{"-shop", "demo.myshopify.com", "-endpoint", "http://127.0.0.1:1/x"}, token},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := run(t.Context(), test.args, test.getenv, &stdout, &stderr)
			var usage usageError
			if !errors.As(err, &usage) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "t0ken") {
				t.Errorf("error %v", err)
			}
			if stdout.Len() > 0 {
				t.Errorf("output %q", stdout.String())
			}
		})
	}
}

func TestSyncFails(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	var stdout, stderr bytes.Buffer
	err := run(context.Background(), []string{"-shop", "gone.myshopify.com", "-endpoint", server.URL, "-db", filepath.Join(t.TempDir(), "x.db")}, env("SHOPIFY_ACCESS_TOKEN", "t0ken"), &stdout, &stderr)
	var usage usageError
	if err == nil || errors.As(err, &usage) || !strings.Contains(err.Error(), "no Shopify store has this name") {
		t.Errorf("error %v", err)
	}
}
