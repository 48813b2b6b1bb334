// Schemacheck proves that what this library sends to Shopify's Admin API is
// understood by every version that may answer it. Shopify serves an old version
// as the oldest one it still supports, so one text has to fit them all
// (https://shopify.dev/docs/api/usage/versioning).
//
//	go -C internal/tools run ./schemacheck [-schemas DIR]
//
// DIR holds Shopify's own schemas as gzipped introspection results, one a
// version: admin_2024-04.json.gz and so on. Relative paths count from
// internal/tools. Without the folder there is nothing to compare with, and the
// check is skipped.
//
// For internal/adminapi and each version folder in it, against every official
// schema from its minimum version up:
//
//   - every operation in operations.json is valid;
//   - schema.graphql is a subset: what it declares is declared there alike;
//   - the bulk operations keep Shopify's rules for bulk queries.
//
// The exit status is 1 when anything does not hold. What the latest version
// calls deprecated is listed and changes nothing.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	schemas := flag.String("schemas", "../../../shared/schemas", "folder of Shopify's gzipped introspection results")
	flag.Parse()

	ok, err := run(os.Stdout, "../adminapi", *schemas)
	if err != nil {
		fmt.Fprintln(os.Stderr, "schemacheck:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}
