package shopifysync

import "strings"

// A label is a text in the languages of this library.
type label struct{ hant, english string }

func (l label) in(language string) string {
	if traditionalChinese(language) {
		return l.hant
	}
	return l.english
}

var attributeLabels = map[AttributeKey]label{
	AttrOrdersCount:     {"Shopify - 累積訂單數", "Shopify - Orders count"},
	AttrTotalSpent:      {"Shopify - 累積消費金額", "Shopify - Total spent"},
	AttrNote:            {"Shopify - 備註", "Shopify - Note"},
	AttrEmailConsent:    {"Shopify - Email 行銷同意", "Shopify - Email marketing consent"},
	AttrSMSConsent:      {"Shopify - SMS 行銷同意", "Shopify - SMS marketing consent"},
	AttrWhatsAppConsent: {"Shopify - WhatsApp 行銷同意", "Shopify - WhatsApp marketing consent"},
}

// Label returns the name to show for the attribute. The language is a BCP 47
// tag; its case, and "_" for "-", do not matter. Traditional Chinese is for zh-TW,
// zh-HK, zh-MO, zh-Hant with any region, and zh alone; English for everything
// else, Simplified Chinese (zh-CN, zh-SG, zh-Hans) included. The label of an
// unknown key is the key itself.
func (k AttributeKey) Label(language string) string {
	if l, ok := attributeLabels[k]; ok {
		return l.in(language)
	}
	return string(k)
}

var consentStateLabels = map[ConsentState]label{
	ConsentSubscribed:      {"已訂閱", "Subscribed"},
	ConsentNotSubscribed:   {"未曾訂閱", "Not subscribed"},
	ConsentNeverSubscribed: {"未曾訂閱", "Never subscribed"},
	ConsentPending:         {"待確認", "Pending"},
	ConsentUnsubscribed:    {"已取消", "Unsubscribed"},
	ConsentInvalid:         {"無效", "Invalid"},
	ConsentRedacted:        {"已清除個資", "Redacted"},
}

// Label returns the name to show for the state, in the languages of
// [AttributeKey.Label]. A state that this library does not know, or none, is
// unknown: never taken for a yes or a no.
func (s ConsentState) Label(language string) string {
	if l, ok := consentStateLabels[s]; ok {
		return l.in(language)
	}
	return label{"未知", "Unknown"}.in(language)
}

// NoConsentLabel returns what to show where a contact has no such consent: a
// customer without an e-mail address or phone number has none to give. It is
// empty for a key that is not a consent's.
func NoConsentLabel(k AttributeKey, language string) string {
	switch k {
	case AttrEmailConsent:
		return label{"無 Email", "No email"}.in(language)
	case AttrSMSConsent, AttrWhatsAppConsent:
		return label{"無電話號碼", "No phone number"}.in(language)
	}
	return ""
}

// traditionalChinese reports whether a reader of that language is shown
// Traditional Chinese. A script in the tag decides over a region.
func traditionalChinese(language string) bool {
	tag := strings.FieldsFunc(strings.ToLower(language), func(r rune) bool {
		return r == '-' || r == '_' || r == '.' // ".": as in the POSIX locale zh_TW.UTF-8
	})
	if len(tag) == 0 || tag[0] != "zh" {
		return false
	}
	hant := true
	for _, part := range tag[1:] {
		switch part {
		case "hant":
			return true
		case "hans":
			return false
		case "cn", "sg":
			hant = false
		}
	}
	return hant
}
