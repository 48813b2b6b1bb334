package shopifysync

import "testing"

func TestNameOrder(t *testing.T) {
	tests := []struct {
		about, first, last            string
		auto, givenFirst, familyFirst string
	}{
		{"Chinese", "小明", "王", "王小明", "小明 王", "王小明"},
		{"Japanese", "太郎", "山田", "山田太郎", "太郎 山田", "山田太郎"},
		{"Kana", "タロー", "やまだ", "やまだタロー", "タロー やまだ", "やまだタロー"},
		{"half-width Kana", "ﾀﾛｰ", "ﾔﾏﾀﾞ", "ﾔﾏﾀﾞﾀﾛｰ", "ﾀﾛｰ ﾔﾏﾀﾞ", "ﾔﾏﾀﾞﾀﾛｰ"},
		{"iteration and closing marks", "奈々", "〆木", "〆木奈々", "奈々 〆木", "〆木奈々"},
		{"Korean", "민준", "김", "김민준", "민준 김", "김민준"},
		{"Korean, decomposed", "\u1106\u1175\u11ab\u110c\u116e\u11ab", "\u1100\u1175\u11b7", "\u1100\u1175\u11b7\u1106\u1175\u11ab\u110c\u116e\u11ab", "\u1106\u1175\u11ab\u110c\u116e\u11ab \u1100\u1175\u11b7", "\u1100\u1175\u11b7\u1106\u1175\u11ab\u110c\u116e\u11ab"},
		{"beyond the BMP", "太郎", "𠮷野", "𠮷野太郎", "太郎 𠮷野", "𠮷野太郎"},
		{"variation selector", "太郎", "辻\U000e0100", "辻\U000e0100太郎", "太郎 辻\U000e0100", "辻\U000e0100太郎"},
		{"combining voiced mark", "か\u3099く", "山田", "山田か\u3099く", "か\u3099く 山田", "山田か\u3099く"},
		{"transliterated with middle dot", "約翰·保羅", "史密斯", "史密斯約翰·保羅", "約翰·保羅 史密斯", "史密斯約翰·保羅"},
		{"space inside", "小 明", "王", "王小 明", "小 明 王", "王小 明"},
		{"Latin", "Ada", "Lovelace", "Ada Lovelace", "Ada Lovelace", "Lovelace Ada"},
		{"Latin, combining mark", "Jose\u0301", "Núñez", "Jose\u0301 Núñez", "Jose\u0301 Núñez", "Núñez Jose\u0301"},
		{"Thai", "สมชาย", "ใจดี", "สมชาย ใจดี", "สมชาย ใจดี", "ใจดี สมชาย"},
		{"mixed parts", "Peter", "陳", "Peter 陳", "Peter 陳", "陳 Peter"},
		{"mixed within a part", "小明 Peter", "王", "小明 Peter 王", "小明 Peter 王", "王 小明 Peter"},
		{"emoji", "小明😀", "王", "小明😀 王", "小明😀 王", "王 小明😀"},
		{"emoji only", "😀", "👩‍👩‍👧", "😀 👩‍👩‍👧", "😀 👩‍👩‍👧", "👩‍👩‍👧 😀"},
		{"signs only", "・", "ー", "・ ー", "・ ー", "ー ・"},
		{"digits", "2", "王", "2 王", "2 王", "王 2"},
		{"first only", "小明", "", "小明", "小明", "小明"},
		{"last only", "", "Lovelace", "Lovelace", "Lovelace", "Lovelace"},
		{"blank last", "小明", " \u3000\t", "小明", "小明", "小明"},
		{"none", "", "", "", "", ""},
		{"blank", " ", "\u3000", "", "", ""},
		{"ideographic spaces", "\u3000小明\u3000", "\u3000王", "王小明", "小明 王", "王小明"},
		{"runs of space", " Ada  B. ", "\u00a0Love\u3000lace\n", "Ada B. Love lace", "Ada B. Love lace", "Love lace Ada B."},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			for order, want := range map[NameOrder]string{NameAuto: tt.auto, NameGivenFirst: tt.givenFirst, NameFamilyFirst: tt.familyFirst} {
				if got := order.join(tt.first, tt.last); got != want {
					t.Errorf("order %d: %q, want %q", order, got, want)
				}
			}
		})
	}
}
