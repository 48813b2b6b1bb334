package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/vektah/gqlparser/v2/ast"
)

// official is one of Shopify's own schemas, not yet read.
type official struct {
	version string // as in 2024-04
	file    string
}

var officialName = regexp.MustCompile(`^admin_(\d{4}-\d{2})\.json\.gz$`)

// listOfficial finds the official schemas in dir, the oldest version first.
// Other files, such as one of the unstable version, are left alone.
func listOfficial(dir string) ([]official, error) {
	entries, err := os.ReadDir(dir) // sorted by name, hence by version
	if err != nil {
		return nil, err
	}
	var found []official
	for _, e := range entries {
		if name := officialName.FindStringSubmatch(e.Name()); name != nil {
			found = append(found, official{version: name[1], file: filepath.Join(dir, e.Name())})
		}
	}
	return found, nil
}

func (o official) load() (*ast.Schema, error) {
	f, err := os.Open(o.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.file, err)
	}
	var text bytes.Buffer
	if _, err := io.Copy(&text, unzipped); err != nil {
		return nil, fmt.Errorf("%s: %w", o.file, err)
	}
	schema, err := parseIntrospection(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.file, err)
	}
	return schema, nil
}
