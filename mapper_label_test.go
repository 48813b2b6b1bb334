package shopifysync

import "testing"

func TestLabelLanguage(t *testing.T) {
	const hant, english = "已訂閱", "Subscribed"
	tests := []struct{ language, want string }{
		{"zh-TW", hant}, {"zh-HK", hant}, {"zh-MO", hant}, {"zh", hant},
		{"zh-Hant", hant}, {"zh-Hant-TW", hant}, {"zh-Hant-CN", hant},
		{"ZH-tw", hant}, {"zh_TW", hant}, {"zh_hant_hk", hant}, {"zh_TW.UTF-8", hant},
		{"zh-CN", english}, {"zh-SG", english}, {"zh_cn.UTF-8", english}, {"zh-Hans", english}, {"zh-Hans-TW", english},
		{"en", english}, {"en-TW", english}, {"ja", english}, {"th-TH", english}, {"", english}, {"-", english}, {"zho", english}, {"not a tag", english},
	}
	for _, tt := range tests {
		if got := ConsentSubscribed.Label(tt.language); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.language, got, tt.want)
		}
	}
}
