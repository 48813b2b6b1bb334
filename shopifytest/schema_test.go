package shopifytest

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// Every field of every version's schema has a resolver, and every topic a
// name: a schema that grows must not make the server panic in a test of
// somebody else.
func TestEverythingInTheSchemaIsAnswered(t *testing.T) {
	for _, version := range []string{"2024-04", "2024-07", "2025-01", "2025-07", "2026-07", "2026-10"} {
		schema := schemaFor(version)
		for _, def := range schema.Types {
			if def.BuiltIn || def.Kind != ast.Object {
				continue
			}
			for _, field := range def.Fields {
				if field.Name[:1] != "_" && resolvers[def.Name][field.Name] == nil {
					t.Errorf("%s: no resolver for %s.%s", version, def.Name, field.Name)
				}
			}
		}
		for _, topic := range schema.Types["WebhookSubscriptionTopic"].EnumValues {
			if topics[topic.Name] == "" {
				t.Errorf("%s: no name for topic %s", version, topic.Name)
			}
		}
	}
}

func TestSchemaGrowsWithTheVersion(t *testing.T) {
	for _, tt := range []struct {
		version, topic string
		topicKnown     bool
		counts         bool
	}{
		{"2024-04", "CUSTOMERS_UPDATE", true, false},
		{"2024-10", "CUSTOMERS_PURCHASING_SUMMARY", false, false},
		{"2025-01", "CUSTOMERS_PURCHASING_SUMMARY", true, false},
		{"2026-04", "CUSTOMERS_WHATS_APP_MARKETING_CONSENT_UPDATE", false, true},
		{"2026-07", "CUSTOMERS_WHATS_APP_MARKETING_CONSENT_UPDATE", true, true},
		{"2026-10", "CUSTOMERS_REDACT", false, true}, // no privacy topics in any version
	} {
		schema := schemaFor(tt.version)
		if got := schema.Types["WebhookSubscriptionTopic"].EnumValues.ForName(tt.topic) != nil; got != tt.topicKnown {
			t.Errorf("%s knows %s: %v", tt.version, tt.topic, got)
		}
		if got := schema.Query.Fields.ForName("customersCount") != nil; got != tt.counts {
			t.Errorf("%s has customersCount: %v", tt.version, got)
		}
	}
}

// All operations of this module are valid for the versions that have them.
func TestServesTheOperationsOfThisModule(t *testing.T) {
	for _, tt := range []struct {
		file     string
		versions []string
	}{
		{"../internal/adminapi/operations.json", []string{"2024-04", "2025-07", "2026-10"}},
		{"../internal/adminapi/v2025_07/operations.json", []string{"2025-07", "2026-10"}},
		{"../internal/adminapi/v2026_07/operations.json", []string{"2026-07", "2026-10"}},
	} {
		text, err := os.ReadFile(tt.file)
		if err != nil {
			t.Fatal(err)
		}
		var exported struct {
			Operations []struct{ OperationName, Query string }
		}
		if err := json.Unmarshal(text, &exported); err != nil || len(exported.Operations) == 0 {
			t.Fatalf("%s: %d operations, %v", tt.file, len(exported.Operations), err)
		}
		for _, version := range tt.versions {
			for _, op := range exported.Operations {
				if _, errs := parseDocument(schemaFor(version), op.Query); errs != nil {
					t.Errorf("%s in %s: %v", op.OperationName, version, errs)
				}
			}
		}
	}
}
