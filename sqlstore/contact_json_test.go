package sqlstore

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
)

func TestAttributesJSON(t *testing.T) {
	at := time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)
	tests := map[string]struct {
		attribute shopifysync.Attribute
		want      string
	}{
		"number": {shopifysync.NumberAttribute("n", "007.50"), `{"n":{"number":"007.50"}}`},
		"money": {shopifysync.MoneyAttribute("m", shopifysync.Money{Amount: "11884.9", Currency: "TWD"}),
			`{"m":{"number":"11884.9","currency":"TWD"}}`},
		"money without a currency": {shopifysync.MoneyAttribute("m", shopifysync.Money{Amount: "1"}),
			`{"m":{"number":"1","currency":""}}`},
		"text":       {shopifysync.TextAttribute("t", "a\"b\\c\nd\x01é王"), `{"t":{"text":"a\"b\\c\nd\u0001é王"}}`},
		"empty text": {shopifysync.TextAttribute("t", ""), `{"t":{"text":""}}`},
		"consent": {
			shopifysync.ConsentAttribute("c", shopifysync.Consent{
				State: "SUBSCRIBED", Level: "UNKNOWN", UpdatedAt: at, CollectedFrom: "OTHER", Address: "+1",
			}),
			`{"c":{"state":"SUBSCRIBED","level":"UNKNOWN","updated_at":1714979289123,"collected_from":"OTHER","address":"+1"}}`,
		},
		"empty consent": {shopifysync.ConsentAttribute("c", shopifysync.Consent{}), `{"c":{"state":""}}`},
		"consent at the epoch": {shopifysync.ConsentAttribute("c", shopifysync.Consent{UpdatedAt: time.Unix(0, 0).UTC()}),
			`{"c":{"state":"","updated_at":0}}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := []shopifysync.Attribute{tt.attribute}
			got := attributesJSON(in)
			if got != tt.want {
				t.Errorf("attributesJSON: %s, want %s", got, tt.want)
			}
			back, err := parseAttributes(got)
			if diff := cmp.Diff(in, back); err != nil || diff != "" {
				t.Errorf("parseAttributes: %v, differs (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestAttributesAreReadSorted(t *testing.T) {
	got, err := parseAttributes(`{"b":{"text":"2"},"c":{"text":"3"},"a":{"text":"1"}}`)
	want := []shopifysync.Attribute{
		shopifysync.TextAttribute("a", "1"), shopifysync.TextAttribute("b", "2"), shopifysync.TextAttribute("c", "3"),
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("parseAttributes: %v, differs (-want +got):\n%s", err, diff)
	}
}

func TestForeignJSONIsRefused(t *testing.T) {
	if _, err := parseAttributes(`{"note":"jane@example.com`); err == nil || !isOwn(err) {
		t.Errorf("parseAttributes: %v, want an error of this package", err)
	}
	if _, err := parseTags(`["vip"`); err == nil || !isOwn(err) {
		t.Errorf("parseTags: %v, want an error of this package", err)
	}
}

func FuzzTagsJSON(f *testing.F) {
	for _, seed := range []string{"vip", `a"b`, `a\`, "a,b", "王 小明", "\x00\x1f\u2028", `"],["`} {
		f.Add(seed, "other")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) {
			t.Skip("only valid UTF-8 is stored")
		}
		in := []string{a, b}
		text := tagsJSON(in)
		if !json.Valid([]byte(text)) {
			t.Fatalf("tagsJSON(%q) is no JSON: %s", in, text)
		}
		got, err := parseTags(text)
		if diff := cmp.Diff(in, got); err != nil || diff != "" {
			t.Errorf("parseTags: %v, differs (-want +got):\n%s", err, diff)
		}
	})
}

// FuzzTagInText checks that the texts looked for in a JSON array are there if,
// and only if, the array has the tag.
func FuzzTagInText(f *testing.F) {
	f.Add("vip", "vip", "x")
	f.Add("vip", `x","vip`, `x,"vip`)
	f.Add("vip", `["vip"`, `x\`)
	f.Add("", "", "a")
	f.Add(`"`, `\"`, `,""`)
	f.Fuzz(func(t *testing.T, wanted, a, b string) {
		if !utf8.ValidString(wanted + a + b) {
			t.Skip("only valid UTF-8 is stored")
		}
		text := tagsJSON([]string{a, b})
		_, needles := tagInText(wanted)
		found := false
		for _, n := range needles {
			found = found || strings.Contains(text, n.(string))
		}
		if has := wanted == a || wanted == b; found != has {
			t.Errorf("tag %q in %s: found %t, want %t", wanted, text, found, has)
		}
	})
}

func FuzzParseAttributes(f *testing.F) {
	f.Add(`{"a":{"number":"1"}}`)
	f.Add(`{"a":{"number":"1","currency":""},"b":{"text":"x"},"c":{"state":"","updated_at":-1}}`)
	f.Add(`{"a":null}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, s string) {
		first, err := parseAttributes(s)
		if err != nil {
			return
		}
		var kept []shopifysync.Attribute
		for _, a := range first {
			if a.Kind != shopifysync.KindNull {
				kept = append(kept, a)
			}
		}
		second, err := parseAttributes(attributesJSON(kept))
		if diff := cmp.Diff(kept, second); err != nil || diff != "" {
			t.Errorf("what was read does not survive writing: %v (-want +got):\n%s", err, diff)
		}
	})
}
