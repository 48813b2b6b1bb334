package sqlstore

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/omnichat/shopifysync"
)

// The JSON of tags is an array of strings, that of attributes an object by key.
// The members of a value tell its kind:
//
//	{"number":"3"}                               number
//	{"number":"11884.9","currency":"TWD"}        money
//	{"text":"..."}                               text
//	{"state":"SUBSCRIBED","level":"SINGLE_OPT_IN",
//	 "updated_at":1700000000000,"collected_from":"OTHER",
//	 "address":"..."}                            consent; all but state may be left out
//
// Numbers are strings, for some databases would round them. None at all are []
// and {}: MySQL's columns also allow NULL, which only somebody else writes, and
// which reads the same.

func tagsJSON(tags []string) string {
	if len(tags) == 0 {
		return "[]"
	}
	b := append(make([]byte, 0, 16*len(tags)), '[')
	for i, t := range tags {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, t)
	}
	return string(append(b, ']'))
}

func parseTags(s string) ([]string, error) {
	if s == "" || s == "[]" {
		return nil, nil
	}
	var tags []string
	if err := json.Unmarshal([]byte(s), &tags); err != nil {
		return nil, ownf("a contact's tags are not what this package writes: synchronise the customer anew")
	}
	return tags, nil
}

func attributesJSON(attributes []shopifysync.Attribute) string {
	if len(attributes) == 0 {
		return "{}"
	}
	size := 64 * len(attributes)
	for i := range attributes {
		size += len(attributes[i].Text) + len(attributes[i].Consent.Address)
	}
	b := append(make([]byte, 0, size), '{')
	for i := range attributes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendAttribute(b, &attributes[i])
	}
	return string(append(b, '}'))
}

func appendAttribute(b []byte, a *shopifysync.Attribute) []byte {
	b = append(appendJSON(b, string(a.Key)), ':')
	switch a.Kind {
	case shopifysync.KindNumber:
		b = appendJSON(append(b, `{"number":`...), a.Number)
	case shopifysync.KindMoney:
		b = appendJSON(append(b, `{"number":`...), a.Number)
		b = appendJSON(append(b, `,"currency":`...), a.Currency)
	case shopifysync.KindText:
		b = appendJSON(append(b, `{"text":`...), a.Text)
	case shopifysync.KindConsent:
		c := &a.Consent
		b = appendJSON(append(b, `{"state":`...), string(c.State))
		if c.Level != "" {
			b = appendJSON(append(b, `,"level":`...), string(c.Level))
		}
		if !c.UpdatedAt.IsZero() {
			b = strconv.AppendInt(append(b, `,"updated_at":`...), c.UpdatedAt.UnixMilli(), 10)
		}
		if c.CollectedFrom != "" {
			b = appendJSON(append(b, `,"collected_from":`...), c.CollectedFrom)
		}
		if c.Address != "" {
			b = appendJSON(append(b, `,"address":`...), c.Address)
		}
	}
	return append(b, '}')
}

// An attributeValue is an attribute without its key, as JSON has it.
type attributeValue struct {
	Number        *string                   `json:"number"`
	Currency      *string                   `json:"currency"`
	Text          *string                   `json:"text"`
	State         *shopifysync.ConsentState `json:"state"`
	Level         shopifysync.ConsentLevel  `json:"level"`
	UpdatedAt     *int64                    `json:"updated_at"`
	CollectedFrom string                    `json:"collected_from"`
	Address       string                    `json:"address"`
}

func parseAttributes(s string) ([]shopifysync.Attribute, error) {
	if s == "" || s == "{}" {
		return nil, nil
	}
	var values map[shopifysync.AttributeKey]attributeValue
	if err := json.Unmarshal([]byte(s), &values); err != nil {
		return nil, ownf("a contact's attributes are not what this package writes: synchronise the customer anew")
	}
	attributes := make([]shopifysync.Attribute, 0, len(values))
	for key, v := range values {
		attributes = append(attributes, v.attribute(key))
	}
	slices.SortFunc(attributes, func(a, b shopifysync.Attribute) int { return cmp.Compare(a.Key, b.Key) })
	return attributes, nil
}

func (v *attributeValue) attribute(key shopifysync.AttributeKey) shopifysync.Attribute {
	switch {
	case v.Currency != nil && v.Number != nil:
		return shopifysync.MoneyAttribute(key, shopifysync.Money{Amount: *v.Number, Currency: *v.Currency})
	case v.Number != nil:
		return shopifysync.NumberAttribute(key, *v.Number)
	case v.Text != nil:
		return shopifysync.TextAttribute(key, *v.Text)
	case v.State != nil:
		c := shopifysync.Consent{State: *v.State, Level: v.Level, CollectedFrom: v.CollectedFrom, Address: v.Address}
		if v.UpdatedAt != nil {
			c.UpdatedAt = fromMillis(*v.UpdatedAt)
		}
		return shopifysync.ConsentAttribute(key, c)
	}
	return shopifysync.NullAttribute(key)
}

const hexDigits = "0123456789abcdef"

// appendJSON appends valid UTF-8 as a JSON string, escaping only what RFC 8259
// (section 7) wants escaped.
func appendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		from = i + 1
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}
