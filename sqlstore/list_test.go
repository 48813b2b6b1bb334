package sqlstore

import (
	"testing"

	"github.com/omnichat/shopifysync"
)

// What a filter looks at decides which index it is read by: in SQLite that has
// all but whole attributes and WhatsApp contacts, in MySQL the search alone.
func TestFilterReads(t *testing.T) {
	attributes := func(a ...AttributeFilter) ListParams { return ListParams{Attributes: a} }
	spent := AttributeFilter{Key: shopifysync.AttrTotalSpent, Min: "1", Max: "2", Currency: "TWD"}
	tests := map[string]struct {
		p    ListParams
		want width
	}{
		"all":                  {ListParams{}, readsSearch},
		"search":               {ListParams{Search: "ann"}, readsSearch},
		"tag":                  {ListParams{Search: "ann", Tag: "VIP"}, readsColumns},
		"amount":               {attributes(spent), readsColumns},
		"consent":              {attributes(AttributeFilter{Key: shopifysync.AttrSMSConsent, State: shopifysync.ConsentSubscribed}), readsColumns},
		"text":                 {attributes(AttributeFilter{Key: shopifysync.AttrNote, Text: "x"}), readsRow},
		"another attribute":    {attributes(AttributeFilter{Key: "custom", Min: "1"}), readsRow},
		"amount and attribute": {attributes(AttributeFilter{Key: "custom", Min: "1"}, spent), readsRow},
		"WhatsApp and tag":     {ListParams{WhatsApp: &shopifysync.WhatsAppContact{Account: "wa", UserID: "1"}, Tag: "VIP"}, readsRow},
	}
	indexed := map[Dialect]width{SQLite: readsColumns, MySQL: readsSearch}
	for name, tt := range tests {
		for d, most := range indexed {
			s := &Store{dialect: dialects[d]}
			f, err := s.filter(tt.p)
			if err != nil || f.reads != tt.want {
				t.Errorf("%s, %s: reads %d, %v; want %d", name, d, f.reads, err, tt.want)
			}
			if byIndex := s.dialect.from(f.reads) != "{contacts}"; byIndex != (tt.want <= most) {
				t.Errorf("%s, %s: by the index: %t", name, d, byIndex)
			}
		}
	}
}

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
