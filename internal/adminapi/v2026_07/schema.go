package v2026_07

import _ "embed"

// Schema is the text of schema.graphql.
//
//go:embed schema.graphql
var Schema string
