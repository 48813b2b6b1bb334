package shopifysync

import (
	"strings"
	"unicode"
)

// A NameOrder tells how first and last name make one name. One part alone
// stands as it is, and a customer without either has no name: never Shopify's
// displayName, which falls back to the e-mail or phone.
type NameOrder int

// The name orders. East Asian means that both parts are written in Han, Kana
// or Hangul only.
const (
	NameAuto        NameOrder = iota // East Asian: last + first without a space (王小明); else "first last"
	NameGivenFirst                   // always "first last"
	NameFamilyFirst                  // always last before first, with a space unless East Asian
)

func (o NameOrder) join(first, last string) string {
	first, last = trimSpaces(first), trimSpaces(last)
	switch {
	case first == "":
		return last
	case last == "":
		return first
	case o == NameGivenFirst:
		return first + " " + last
	case eastAsian(first) && eastAsian(last):
		return last + first
	case o == NameFamilyFirst:
		return last + " " + first
	}
	return first + " " + last
}

// trimSpaces takes surrounding white space away, the ideographic space
// included, and makes each run of it inside one space.
func trimSpaces(s string) string {
	if strings.IndexFunc(s, unicode.IsSpace) < 0 {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// eastAsian reports whether s is written in Han, Kana or Hangul only. Marks
// (voiced sound marks, variation selectors), spaces and the signs that belong
// to names in these scripts may be among the letters.
func eastAsian(s string) bool {
	letters := false
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			letters = true
		case strings.ContainsRune(eastAsianSigns, r), unicode.Is(unicode.Mn, r):
		default:
			return false
		}
	}
	return letters
}

// eastAsianSigns belong to no script of their own in Unicode: the prolonged
// sound marks, the closing mark 〆 (as in 〆木), half-width voiced sound marks,
// middle dots between the parts of a transliterated name, and the space.
const eastAsianSigns = "ーｰ〆ﾞﾟ・･· "
