package shopifytest

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseFilter(t *testing.T) {
	taipei, err := time.LoadLocation("Asia/Taipei")
	if err != nil {
		t.Fatal(err)
	}
	const noon = 1_704_110_400 // 2024-01-01T12:00:00Z
	day := bounds{1_704_038_400, 1_704_124_799}
	unknown := func(field string) searchWarning {
		return searchWarning{field, "Invalid search field for this query.", "invalid_field"}
	}
	for _, tt := range []struct {
		query    string
		want     filter
		warnings []searchWarning
	}{
		{"", noFilter, nil},
		{"id:7", filter{bounds{7, 7}, unbounded, unbounded}, nil},
		{"id:>7", filter{bounds{8, math.MaxInt64}, unbounded, unbounded}, nil},
		{"id:>=7 id:<10", filter{bounds{7, 9}, unbounded, unbounded}, nil},
		{"id:>=7 AND id:<=10", filter{bounds{7, 10}, unbounded, unbounded}, nil},
		{"updated_at:>='2024-01-01T12:00:00Z'", filter{unbounded, unbounded, bounds{noon, math.MaxInt64}}, nil},
		{`updated_at:>"2024-01-01T12:00:00Z"`, filter{unbounded, unbounded, bounds{noon + 1, math.MaxInt64}}, nil},
		{"updated_at:<'2024-01-01T20:00:00+08:00'", filter{unbounded, unbounded, bounds{math.MinInt64, noon - 1}}, nil},
		{"updated_at:'2024-01-01T20:00:00'", filter{unbounded, unbounded, bounds{noon, noon}}, nil},
		{"updated_at:>='2024-01-01T11:59:59.5Z'", filter{unbounded, unbounded, bounds{noon, math.MaxInt64}}, nil},
		{"updated_at:2024-01-01", filter{unbounded, unbounded, day}, nil},
		{"updated_at:<=2024-01-01", filter{unbounded, unbounded, bounds{math.MinInt64, day.high}}, nil},
		{"updated_at:>2024-01-01", filter{unbounded, unbounded, bounds{day.high + 1, math.MaxInt64}}, nil},
		{"updated_at:<now", filter{unbounded, unbounded, bounds{math.MinInt64, noon - 1}}, nil},
		{"customer_date:2024-01-01", filter{unbounded, day, unbounded}, nil},
		{"created_at:2024-01-01", noFilter, []searchWarning{unknown("created_at")}},
		{"email:a@example.com id:7", filter{bounds{7, 7}, unbounded, unbounded}, []searchWarning{unknown("email")}},
		{"ann", noFilter, []searchWarning{unknown("default")}},
		// A time that is not quoted breaks at its colons.
		{"updated_at:>=2024-01-01T12:34:56Z", noFilter, []searchWarning{unknown("34")}},
		{"updated_at:>='yesterday'", noFilter, []searchWarning{{"updated_at", "Input `yesterday` is not an accepted value.", "invalid_value"}}},
		{"id:abc", noFilter, []searchWarning{{"id", "Input `abc` is not an accepted value.", "invalid_value"}}},
	} {
		t.Run(tt.query, func(t *testing.T) {
			got, _, warnings := parseFilter(tt.query, "customer_date", time.Unix(noon, 0), taipei)
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever the text, a term is either applied or warned about: silence would
// look like a filter that was honoured.
func FuzzQueryFilter(f *testing.F) {
	for _, seed := range []string{
		"", "id:7", "updated_at:>='2024-01-01T00:00:00Z' AND updated_at:<now", `id:"7" tag:x`, "updated_at:>=2024-01-01T12:34:56Z",
		"id:>9223372036854775807", "id:<-9223372036854775808", "'", "a:'b", ":", "::", "updated_at:", "AND AND", "id:>=1 id:<=0",
	} {
		f.Add(seed)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, query string) {
		got, terms, warnings := parseFilter(query, "created_at", now, time.UTC)
		if len(warnings) > len(terms) {
			t.Errorf("%d warnings for %d terms", len(warnings), len(terms))
		}
		if len(warnings) == len(terms) && got != noFilter {
			t.Errorf("every term was ignored, and yet the filter is %v", got)
		}
		if strings.ContainsAny(query, `'"`) {
			return // a quote that is open takes in what follows
		}
		if again, _, _ := parseFilter(query+" "+query, "created_at", now, time.UTC); again != got {
			t.Errorf("twice the same is %v, once %v", again, got)
		}
	})
}
