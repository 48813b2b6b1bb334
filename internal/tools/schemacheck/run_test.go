package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const bulkText = `query BulkCustomers { customers { edges { node { id email } } } }`

// world is a folder with our packages (ours/) and official schemas (theirs/).
type world map[string]string

func newWorld(t *testing.T) world {
	return world{
		"ours/schema.graphql":  ourSDL,
		"ours/operations.json": operationsJSON(t, operation{"BulkCustomers", bulkText}, operation{"Owner", `{ owner { __typename } }`}),

		"ours/v2025_07/schema.graphql":  "schema { query: QueryRoot }\ntype QueryRoot { owner: Owner }\ntype Shop { id: ID! }\nunion Owner = Shop\n",
		"ours/v2025_07/operations.json": operationsJSON(t, operation{"Owner", `{ owner { ... on Shop { id } } }`}),

		"theirs/admin_2024-01.json.gz":  "older than what we support: not even read",
		"theirs/admin_2024-04.json.gz":  officialJSON,
		"theirs/admin_2025-07.json.gz":  officialJSON,
		"theirs/admin_unstable.json.gz": "left alone",
	}
}

func operationsJSON(t *testing.T, operations ...operation) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"operations": operations})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (w world) run(t *testing.T) (out string, ok bool, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range w {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		content := []byte(text)
		if strings.HasSuffix(name, ".gz") {
			content = zipped(t, text)
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	ok, err = run(&b, filepath.Join(dir, "ours"), filepath.Join(dir, "theirs"))
	return strings.ReplaceAll(b.String(), dir+string(filepath.Separator), ""), ok, err
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRun(t *testing.T) {
	const deprecated = "2025-07 ours: deprecated: Customer.email: Use `defaultEmailAddress` \"instead\".\n"
	tests := []struct {
		name   string
		change func(t *testing.T, w world)
		ok     bool
		want   string
	}{
		{
			name: "all well", ok: true,
			want: "2024-04 ours: 2 operations, 10 types ok\n" +
				"2025-07 ours: 2 operations, 10 types ok\n" +
				"2025-07 v2025_07: 1 operation, 3 types ok\n" + deprecated,
		},
		{
			name: "a field goes in a later version",
			change: func(t *testing.T, w world) {
				w["theirs/admin_2025-07.json.gz"] = change(t, officialJSON, `"name": "email"`, `"name": "mail"`)
			},
			want: "2024-04 ours: 2 operations, 10 types ok\n" +
				"2025-07 ours: 2 operations, 10 types, 2 problems\n" +
				"2025-07 ours: operation BulkCustomers: line 1: Cannot query field \"email\" on type \"Customer\". Did you mean \"mail\"?\n" +
				"2025-07 ours: Customer.email: no such field there\n" +
				"2025-07 v2025_07: 1 operation, 3 types ok\n",
		},
		{
			name: "a field is missing before the minimum version",
			change: func(t *testing.T, w world) {
				w["theirs/admin_2024-04.json.gz"] = change(t, officialJSON, `, {"kind": "OBJECT", "name": "Shop"}]`, `]`)
			},
			ok: true,
			want: "2024-04 ours: 2 operations, 10 types ok\n" +
				"2025-07 ours: 2 operations, 10 types ok\n" +
				"2025-07 v2025_07: 1 operation, 3 types ok\n" + deprecated,
		},
		{
			name: "a version folder breaks",
			change: func(t *testing.T, w world) {
				w["theirs/admin_2025-07.json.gz"] = change(t, officialJSON, `, {"kind": "OBJECT", "name": "Shop"}]`, `]`)
			},
			want: "2024-04 ours: 2 operations, 10 types ok\n" +
				"2025-07 ours: 2 operations, 10 types ok\n" +
				"2025-07 v2025_07: 1 operation, 3 types, 2 problems\n" +
				"2025-07 v2025_07: operation Owner: line 1: Fragment cannot be spread here as objects of type \"Owner\" can never be of type \"Shop\".\n" +
				"2025-07 v2025_07: Owner: Shop is no member of the union there\n" + deprecated,
		},
		{
			name: "a bulk rule",
			change: func(t *testing.T, w world) {
				delete(w, "theirs/admin_2024-04.json.gz")
				w["ours/operations.json"] = operationsJSON(t, operation{"BulkCustomers", `{ customers { nodes { id } edges { node { id } } } }`})
			},
			want: "2025-07 ours: 1 operation, 10 types, 1 problem\n" +
				"2025-07 ours: operation BulkCustomers: bulk: connection customers selects nodes, only edges { node { ... } } is supported\n" +
				"2025-07 v2025_07: 1 operation, 3 types ok\n" + deprecated,
		},
		{
			name: "a folder is newer than every official schema",
			change: func(t *testing.T, w world) {
				w["ours/v2026_01/schema.graphql"] = w["ours/v2025_07/schema.graphql"]
				w["ours/v2026_01/operations.json"] = w["ours/v2025_07/operations.json"]
			},
			want: "2024-04 ours: 2 operations, 10 types ok\n" +
				"2025-07 ours: 2 operations, 10 types ok\n" +
				"2025-07 v2025_07: 1 operation, 3 types ok\n" + deprecated +
				"v2026_01: no official schema from 2026-01 on; add admin_2026-01.json.gz to theirs\n",
		},
		{
			name: "no folder of official schemas",
			change: func(t *testing.T, w world) {
				for name := range w {
					if strings.HasPrefix(name, "theirs/") {
						delete(w, name)
					}
				}
			},
			ok:   true,
			want: "schemacheck: no official schemas at theirs; skipped\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.change != nil {
				tt.change(t, w)
			}
			got, ok, err := w.run(t)
			if err != nil {
				t.Fatal(err)
			}
			if ok != tt.ok {
				t.Errorf("ok is %t, want %t", ok, tt.ok)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

// What cannot be read is an error, never a pass.
func TestRunErrors(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, w world)
		want   string
	}{
		{"no schema", func(t *testing.T, w world) { delete(w, "ours/schema.graphql") }, "schema.graphql"},
		{"broken schema", func(t *testing.T, w world) { w["ours/schema.graphql"] += "type" }, "schema.graphql"},
		{"no operations.json", func(t *testing.T, w world) { delete(w, "ours/v2025_07/operations.json") }, "operations.json"},
		{"broken operations.json", func(t *testing.T, w world) { w["ours/operations.json"] = "{" }, "operations.json"},
		{"no operations", func(t *testing.T, w world) { w["ours/v2025_07/operations.json"] = "{}" }, "go generate"},
		{"bulk operation renamed", func(t *testing.T, w world) {
			w["ours/operations.json"] = operationsJSON(t, operation{"AllCustomers", bulkText})
		}, "no operation BulkCustomers"},
		{"operations in a folder without a version", func(t *testing.T, w world) { w["ours/next/operations.graphql"] = "" }, "name the folder"},
		{"official schema is no JSON", func(t *testing.T, w world) { w["theirs/admin_2025-07.json.gz"] = "<html>" }, "admin_2025-07.json.gz"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.change(t, w)
			_, ok, err := w.run(t)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if ok {
				t.Error("ok in spite of the error")
			}
		})
	}
}

// A file cut short is found by gzip's own length and checksum.
func TestLoadOfficialTruncated(t *testing.T) {
	whole := zipped(t, officialJSON)
	for name, content := range map[string][]byte{"no gzip": []byte(officialJSON), "cut": whole[:len(whole)-1]} {
		file := filepath.Join(t.TempDir(), "admin_2024-04.json.gz")
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := (official{"2024-04", file}).load(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
