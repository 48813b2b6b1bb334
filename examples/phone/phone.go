// Package phone teaches shopifysync the world's numbering plans, for merchants
// whose customers type 0912-345-678 or 9123 4567. The library itself takes
// numbers in international format only, so that it need not carry the plans.
package phone

import (
	"github.com/nyaruka/phonenumbers"

	"github.com/omnichat/shopifysync"
)

// Options are what a Syncer needs to know: Normalize and Mobile.
func Options() []shopifysync.Option {
	return []shopifysync.Option{
		shopifysync.WithPhoneNormalizer(Normalize),
		shopifysync.WithWhatsAppNumbers(Mobile),
	}
}

// Normalize is a [shopifysync.PhoneNormalizer]: a number that is valid in its
// own country or, in national format, in the country given becomes E.164. What
// cannot be dialled is refused even if it looks international.
func Normalize(raw, country string) (string, bool) {
	if e164, ok := shopifysync.NormalizePhone(raw, country); ok {
		raw, country = e164, "" // full-width digits
	}
	n, err := phonenumbers.Parse(raw, country)
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return "", false
	}
	return phonenumbers.Format(n, phonenumbers.E164), true
}

// Mobile reports whether a number in E.164 can be a mobile phone's. In some
// countries, as in the United States, that cannot be told from the number; it
// is then taken for one.
func Mobile(e164 string) bool {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return false
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return true
	}
	return false
}
