package sqlstore

import "testing"

func TestPhoneDigits(t *testing.T) {
	tests := map[string]string{
		"0912-345 678": "912345678", "+886 912": "886912", "(02) 2345": "22345",
		"12": "", "007": "", "": "", "ann 123": "", "123x": "", "１２３": "",
	}
	for in, want := range tests {
		if got := phoneDigits(in); got != want {
			t.Errorf("phoneDigits(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPlainText(t *testing.T) {
	tests := []struct {
		in   string
		max  int
		want string
	}{
		{"a\x00b\xffc", 10, "a?b?c"}, {"王小明", 7, "王小"}, {"abc", 3, "abc"}, {"abcd", 3, "abc"},
	}
	for _, tt := range tests {
		if got := plainText(tt.in, tt.max); got != tt.want {
			t.Errorf("plainText(%q, %d) = %q, want %q", tt.in, tt.max, got, tt.want)
		}
	}
}
