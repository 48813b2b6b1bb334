package shopifysync

import (
	"strings"
	"unicode"
)

// A PhoneNormalizer returns a phone number as E.164 ("+886912345678"), or
// false if it cannot tell. The country is the ISO 3166-1 alpha-2 code of where
// a number in national format belongs, or empty. It must be pure and safe for
// concurrent use. See [NormalizePhone] for the default.
type PhoneNormalizer func(raw, country string) (e164 string, ok bool)

// NormalizePhone is the default [PhoneNormalizer]. It knows no country's
// numbering plan, and takes only numbers that name their country: "+", then 8 to
// 15 digits of which the first is not 0 (ITU-T E.164). Spaces, hyphens, dots,
// parentheses, full-width digits and signs, and invisible marks among them are
// fine. Letters, extensions, several numbers and the ambiguous "(0)" are
// refused, as is "+886 0912 345 678": in Taiwan and its neighbours the 0 is
// dialled within the country only.
//
// What is dialled in place of "+" is refused as well. It is 00 in much of the
// world, but 001 in Hong Kong, Singapore and Thailand, 002 in Taiwan, 010 in
// Japan: 001 852 9123 4567 is not a number of the United States. The country is
// not used.
//
// For national formats such as 0912-345-678 use a library that knows them:
//
//	import "github.com/nyaruka/phonenumbers"
//
//	func normalize(raw, country string) (string, bool) {
//		if e164, ok := shopifysync.NormalizePhone(raw, country); ok {
//			return e164, true
//		}
//		n, err := phonenumbers.Parse(raw, country)
//		if err != nil || !phonenumbers.IsValidNumber(n) {
//			return "", false
//		}
//		return phonenumbers.Format(n, phonenumbers.E164), true
//	}
func NormalizePhone(raw, country string) (e164 string, ok bool) {
	const maxDigits = 15
	var (
		digits [maxDigits]byte
		n      int
		plus   bool
		opened int // how many digits stood before the last parenthesis
	)
	raw = strings.TrimSpace(raw)
	for _, r := range raw {
		if r >= '！' && r <= '～' {
			r -= '！' - '!' // full-width forms of ASCII
		}
		switch {
		case r >= '0' && r <= '9':
			if n == len(digits) {
				return "", false
			}
			digits[n] = byte(r)
			n++
		case r == '+':
			if plus || n > 0 {
				return "", false
			}
			plus = true
		case r == '(':
			opened = n
		case r == ')':
			if string(digits[opened:n]) == "0" {
				return "", false // the 0 is dialled within the country only: whether it counts depends on the plan
			}
		case r == '.', r == '−', unicode.Is(unicode.Pd, r), unicode.Is(unicode.Zs, r), unicode.Is(unicode.Cf, r):
		default:
			return "", false
		}
	}
	number := digits[:n]
	if !plus || n < 8 || number[0] == '0' || hasTrunkZero(number) {
		return "", false
	}
	if raw[1:] == string(number) {
		return raw, true // as it mostly comes: nothing to copy
	}
	return "+" + string(number), true
}

// hasTrunkZero reports whether a 0 follows the code of a country in which no
// number begins with it. Elsewhere one may: in Italy most do.
func hasTrunkZero(number []byte) bool {
	for _, code := range [...]string{"886", "852", "853", "86", "65", "60", "66", "62", "63", "84", "81", "82"} {
		if len(number) > len(code) && string(number[:len(code)]) == code {
			return number[len(code)] == '0'
		}
	}
	return false
}

func isE164(phone string) bool { return strings.HasPrefix(phone, "+") && allDigits(phone[1:]) }

// mayBe reports whether a number in national format may be that one in E.164:
// it ends in its digits, but for a zero in front. Of fewer than six nobody can
// tell.
func mayBe(e164, national string) bool {
	var digits []byte
	for _, r := range national {
		if r >= '０' && r <= '９' {
			r -= '０' - '0'
		}
		if r >= '0' && r <= '9' && (r > '0' || len(digits) > 0) {
			digits = append(digits, byte(r))
		}
	}
	return len(digits) >= 6 && isE164(e164) && strings.HasSuffix(e164, string(digits))
}
