package shopifysync

import (
	"strings"
	"testing"
)

func TestNormalizePhone(t *testing.T) {
	tests := []struct{ raw, want string }{ // want "": refused
		{"+886912345678", "+886912345678"},
		{"+85291234567", "+85291234567"},
		{"+6591234567", "+6591234567"},
		{"+12345678", "+12345678"},
		{"+123456789012345", "+123456789012345"},
		{"  +886912345678\n", "+886912345678"},
		{"+886 912 345 678", "+886912345678"},
		{"+886\u00a0912\u202f345\u3000678", "+886912345678"},
		{"+886-912-345-678", "+886912345678"},
		{"+886‐912‑345–678", "+886912345678"},
		{"+886−912－345678", "+886912345678"},
		{"+886.912.345.678", "+886912345678"},
		{"+1 (212) 555-0123", "+12125550123"},
		{"(+1) 212 555 0123", "+12125550123"},
		{"+１（２１２）５５５－０１２３", "+12125550123"},
		{"＋８８６９１２３４５６７８", "+886912345678"},
		{"+390612345678", "+390612345678"}, // Italy's 0 is dialled from abroad
		{"+2250712345678", "+2250712345678"},
		{"\u200e+886912345678\u200f", "+886912345678"},
		{"\u202a+886912345678\u202c", "+886912345678"},
		{"\ufeff+886912\u00ad345678", "+886912345678"},

		// National formats: which country they belong to is not in them.
		{"0912345678", ""},
		{"912345678", ""},
		{"9123 4567", ""},
		{"(02) 2345-6789", ""},
		{"886912345678", ""},
		{"011 886 912345678", ""},

		// What stands for "+" depends on where it is dialled.
		{"00886912345678", ""},
		{"00 886 912 345 678", ""},
		{"０0886912345678", ""},
		{"001 852 9123 4567", ""}, // Hong Kong's prefix, not a number of +1
		{"002 886 912345678", ""},
		{"010 886 912345678", ""},

		// A 0 that is dialled within the country only.
		{"+886 0912 345 678", ""},
		{"+852 0912 34567", ""},
		{"+60 012-345 6789", ""},
		{"+81 090-1234-5678", ""},

		{"", ""},
		{" ", ""},
		{"+", ""},
		{"00", ""},
		{"0", ""},
		{"+1234567", ""},          // too short
		{"+1234567890123456", ""}, // too long
		{"+" + strings.Repeat("1", 1000), ""},
		{"+0912345678", ""}, // no country code begins with 0
		{"+00886912345678", ""},
		{"0000886912345678", ""},
		{"++886912345678", ""},
		{"+886+912345678", ""},
		{"886912345678+", ""},
		{"00+886912345678", ""},
		{"+44 (0)20 7946 0958", ""},  // the 0 is not dialled from abroad
		{"+44（０）2079460958", ""},     // the same, full-width
		{"+886 2 2345 6789 #12", ""}, // extensions
		{"+886223456789 ext. 12", ""},
		{"+886223456789x12", ""},
		{"+886223456789;ext=12", ""},
		{"+886223456789,,12", ""},
		{"+886912345678/+886987654321", ""}, // several numbers
		{"+886912345678 / 0987654321", ""},
		{"+886912345678, 0987654321", ""},
		{"+8869123\n45678", ""},
		{"+1-800-FLOWERS", ""},
		{"tel:+886912345678", ""},
		{"+886９12345678９", "+8869123456789"},
		{"+٨٨٦٩١٢٣٤٥٦٧٨", ""},
		{"+886912345678\x00", ""},
		{"+88691234\xff5678", ""},
		{"家：+886912345678", ""},
	}
	for _, tt := range tests {
		got, ok := NormalizePhone(tt.raw, "TW")
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("NormalizePhone(%q) = %q, %v; want %q", tt.raw, got, ok, tt.want)
		}
	}
	if allocs := testing.AllocsPerRun(100, func() { NormalizePhone("+886912345678", "") }); allocs > 0 {
		t.Errorf("a number that is E.164 already costs %v allocations", allocs)
	}
}

func FuzzNormalizePhone(f *testing.F) {
	for _, seed := range []string{
		"+886912345678", "00 886 912-345-678", "(+1) 212.555.0123", "＋８８６９１２３４５６７８", "0912345678",
		"+44 (0)20 7946 0958", "\u200e+886912345678", "+886223456789 ext 1", ")(", "+\xff", "",
	} {
		f.Add(seed, "TW")
	}
	f.Fuzz(func(t *testing.T, raw, country string) {
		got, ok := NormalizePhone(raw, country)
		if !ok {
			if got != "" {
				t.Fatalf("refused, and yet %q", got)
			}
			return
		}
		digits, plus := strings.CutPrefix(got, "+")
		if !plus || len(digits) < 8 || len(digits) > 15 || digits[0] == '0' || !allDigits(digits) {
			t.Fatalf("%q became %q, which is not E.164", raw, got)
		}
		if again, ok := NormalizePhone(got, ""); !ok || again != got {
			t.Fatalf("%q became %q, and that %q, %v", raw, got, again, ok)
		}
	})
}
