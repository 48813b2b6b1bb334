package scalar

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNumber(t *testing.T) {
	tests := []struct {
		json string
		want Number
	}{
		{`"13"`, "13"},
		{`"11884.9"`, "11884.9"},
		{`"\u0031\u0033"`, "13"},
		{`""`, ""},
		{`null`, ""},
		{`13`, "13"},
		{`-0.50`, "-0.50"},
		{`1e3`, "1e3"},
		{`9007199254740993`, "9007199254740993"}, // 2^53 + 1: a float64 would round it
		{`"18446744073709551615"`, "18446744073709551615"},
		{` 13 `, "13"},
	}
	for _, tt := range tests {
		got := Number("before")
		if err := json.Unmarshal([]byte(tt.json), &got); err != nil {
			t.Errorf("%s: %v", tt.json, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.json, diff)
		}
	}
}

func TestNumberErrors(t *testing.T) {
	tests := []struct{ json, want string }{
		{`true`, "scalar: a number or its text is wanted, not a JSON boolean"},
		{`false`, "scalar: a number or its text is wanted, not a JSON boolean"},
		{`{"geheim":1}`, "scalar: a number or its text is wanted, not a JSON object"},
		{`["geheim"]`, "scalar: a number or its text is wanted, not a JSON array"},
	}
	for _, tt := range tests {
		var n Number
		err := json.Unmarshal([]byte(tt.json), &n)
		if err == nil || err.Error() != tt.want || n != "" {
			t.Errorf("%s: %q, %v; want the error %s", tt.json, n, err, tt.want)
		}
	}
	for _, direct := range []string{"", "geheim", `"`} {
		var n Number
		if err := n.UnmarshalJSON([]byte(direct)); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("UnmarshalJSON(%q): %q, %v", direct, n, err)
		}
	}
}

// TestNumberWithin: a struct's field, as generated code has it.
func TestNumberWithin(t *testing.T) {
	var got struct{ Amount, Missing, Null Number }
	got.Null = "before"
	if err := json.Unmarshal([]byte(`{"amount":"0.1","null":null}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.Amount != "0.1" || got.Missing != "" || got.Null != "" {
		t.Errorf("got %+v", got)
	}
	text, err := json.Marshal(got.Amount)
	if err != nil || string(text) != `"0.1"` {
		t.Errorf("written as %s, %v", text, err)
	}
}

// FuzzNumber: a string or a number keeps its text, null is empty, and nothing
// else is a Number.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{`"13"`, `13`, `-0.5e+7`, `null`, `true`, `{}`, `[1]`, `"\u0031\n"`, `"\"`, "\"\xff\"", ` "1"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Number("before")
		err := json.Unmarshal(b, &got)
		var want any
		dec := json.NewDecoder(strings.NewReader(string(b)))
		dec.UseNumber()
		if !json.Valid(b) || dec.Decode(&want) != nil {
			if err == nil {
				t.Fatalf("%q is no JSON, but became %q", b, got)
			}
			return
		}
		switch want := want.(type) {
		case nil:
			if err != nil || got != "" {
				t.Fatalf("null became %q, %v", got, err)
			}
		case json.Number:
			if err != nil || string(got) != want.String() {
				t.Fatalf("%s became %q, %v", b, got, err)
			}
		case string:
			// Bytes that are not UTF-8 may stay as they are.
			if err != nil || string([]rune(string(got))) != string([]rune(want)) {
				t.Fatalf("%q became %q, %v", b, got, err)
			}
		default:
			if err == nil {
				t.Fatalf("%s became %q", b, got)
			}
		}
	})
}
