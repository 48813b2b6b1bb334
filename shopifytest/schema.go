package shopifytest

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/omnichat/shopifysync/internal/adminapi"
	"github.com/omnichat/shopifysync/internal/adminapi/v2025_07"
	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
)

// schemaParts are the schemas of this module, each with the first version
// that has it.
var schemaParts = []struct{ since, text string }{
	{adminapi.MinVersion, adminapi.Schema},
	{v2025_07.MinVersion, v2025_07.Schema},
	{v2026_07.MinVersion, v2026_07.Schema},
	{"2024-07", laterTopics("CUSTOMER_ACCOUNT_SETTINGS_UPDATE")},
	{"2024-10", laterTopics("APP_SCOPES_UPDATE")},
	{"2025-01", laterTopics("CUSTOMERS_PURCHASING_SUMMARY", "CUSTOMER_JOINED_SEGMENT", "CUSTOMER_LEFT_SEGMENT")},
	{"2026-07", laterTopics("CUSTOMERS_WHATS_APP_MARKETING_CONSENT_UPDATE")},
}

// Versions returns the stable versions of the Admin API that this server can
// serve and make payloads of, oldest first: 2024-04 to 2026-10, with those that
// Shopify no longer serves.
func Versions() []string {
	var list []string
	for year := 2024; year <= 2026; year++ {
		for month := 1; month <= 10; month += 3 {
			if v := fmt.Sprintf("%d-%02d", year, month); v >= adminapi.MinVersion {
				list = append(list, v)
			}
		}
	}
	return list
}

// laterTopics are webhook topics that came after the first version; clients
// pass them as text.
func laterTopics(topics ...string) string {
	return "enum WebhookSubscriptionTopic { " + strings.Join(topics, " ") + " }"
}

var schemas sync.Map // version -> *ast.Schema

// schemaFor returns the schema that a version serves.
func schemaFor(version string) *ast.Schema {
	if s, ok := schemas.Load(version); ok {
		return s.(*ast.Schema)
	}
	merged, err := parser.ParseSchema(validator.Prelude)
	if err != nil {
		panic(err) // never: a constant of gqlparser
	}
	for _, part := range schemaParts {
		if part.since > version {
			continue
		}
		doc, err := parser.ParseSchema(&ast.Source{Input: part.text})
		if err != nil {
			panic("shopifytest: schema of " + part.since + ": " + err.Error())
		}
		mergeSchema(merged, doc)
	}
	schema, err := validator.ValidateSchemaDocument(merged)
	if err != nil {
		panic("shopifytest: schema of " + version + ": " + err.Error())
	}
	schemas.Store(version, schema)
	return schema
}

// mergeSchema adds the types of doc, and to types that are there already
// their new fields and values.
func mergeSchema(into, doc *ast.SchemaDocument) {
	if len(into.Schema) == 0 {
		into.Schema = doc.Schema
	}
	for _, def := range doc.Definitions {
		known := into.Definitions.ForName(def.Name)
		if known == nil {
			into.Definitions = append(into.Definitions, def)
			continue
		}
		for _, field := range def.Fields {
			if i := slices.IndexFunc(known.Fields, func(f *ast.FieldDefinition) bool { return f.Name == field.Name }); i >= 0 {
				known.Fields[i] = field
			} else {
				known.Fields = append(known.Fields, field)
			}
		}
		for _, value := range def.EnumValues {
			if known.EnumValues.ForName(value.Name) == nil {
				known.EnumValues = append(known.EnumValues, value)
			}
		}
	}
}
