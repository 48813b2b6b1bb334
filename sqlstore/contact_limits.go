package sqlstore

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/omnichat/shopifysync"
)

// What the columns and their indexes hold in every database. An index entry of
// PostgreSQL has at most 2,704 bytes, one of InnoDB 3,072.
const (
	maxName      = 512     // characters: names, e-mail, phone
	maxToken     = 255     // bytes: keys, codes, states
	maxContent   = 4 << 20 // bytes: tags and attributes
	maxIntDigits = 31      // of a number, before the point: MySQL's columns have 32, and round what follows
)

// refusal tells why a contact can never be stored, or returns "". Nothing in
// it is personal.
func refusal(connection shopifysync.ConnectionID, c *shopifysync.Contact) string {
	switch {
	case c.Connection != connection:
		return "the contact belongs to another connection"
	case c.CustomerID <= 0:
		return "the contact has no customer id"
	case c.Removed != "":
		return "a contact is removed by RemoveContacts"
	}
	if why := refuseName(c.Name); why != "" {
		return "the name " + why
	}
	if why := refuseName(c.FirstName); why != "" {
		return "the first name " + why
	}
	if why := refuseName(c.LastName); why != "" {
		return "the last name " + why
	}
	if why := refuseName(c.Email); why != "" {
		return "the e-mail " + why
	}
	if why := refuseName(c.Phone); why != "" {
		return "the phone " + why
	}
	if why := refuseToken(string(c.PhoneSource)); why != "" {
		return "the phone's source " + why
	}
	if w := c.WhatsApp; w != nil {
		if refuseToken(w.Account) != "" || refuseToken(w.UserID) != "" || refuseName(w.Name) != "" {
			return "the WhatsApp contact holds a NUL character, invalid UTF-8 or a text that is too long"
		}
	}
	size := 0
	for _, t := range c.Tags {
		if !storable(t) {
			return "a tag " + unstorable
		}
		size += len(t)
	}
	for i := range c.Attributes {
		a := &c.Attributes[i]
		if why := refuseAttribute(a); why != "" {
			return why
		}
		size += len(a.Text) + len(a.Consent.Address)
	}
	if size > maxContent {
		return "tags and attributes have more than 4 MiB"
	}
	return ""
}

func refuseAttribute(a *shopifysync.Attribute) string {
	if a.Key == "" {
		return "an attribute has no key"
	}
	if why := refuseToken(string(a.Key)); why != "" {
		return "an attribute's key " + why
	}
	why := ""
	switch a.Kind {
	case shopifysync.KindNull:
	case shopifysync.KindNumber, shopifysync.KindMoney:
		if why = refuseToken(a.Currency); !decimal(a.Number) {
			why = "is no decimal number of at most 31 digits before the point"
		}
	case shopifysync.KindText:
		if !storable(a.Text) {
			why = unstorable
		}
	case shopifysync.KindConsent:
		for _, t := range []string{string(a.Consent.State), string(a.Consent.Level), a.Consent.CollectedFrom} {
			if w := refuseToken(t); w != "" {
				why = w
			}
		}
		if !storable(a.Consent.Address) {
			why = unstorable
		}
	default:
		why = "is of an unknown kind"
	}
	if why != "" {
		return "the attribute " + string(a.Key) + " " + why
	}
	return ""
}

const unstorable = "holds a NUL character or is not valid UTF-8"

func refuseName(s string) string {
	switch {
	case !storable(s):
		return unstorable
	case len(s) > maxName && utf8.RuneCountInString(s) > maxName:
		return "has more than 512 characters"
	}
	return ""
}

func refuseToken(s string) string {
	switch {
	case !storable(s):
		return unstorable
	case len(s) > maxToken:
		return "has more than 255 bytes"
	}
	return ""
}

// decimal reports whether s is an optional "-", digits, and optionally "." and
// digits, of which every database can make a number.
func decimal(s string) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	digits, point := 0, -1
	for i := range len(s) {
		switch {
		case '0' <= s[i] && s[i] <= '9':
			digits++
		case s[i] == '.' && point < 0 && i > 0:
			point = i
		default:
			return false
		}
	}
	switch {
	case len(s) > maxToken || digits == 0:
		return false
	case point < 0:
		return len(s) <= maxIntDigits
	}
	return point <= maxIntDigits && point < len(s)-1
}

// normalize brings a contact into the form that a read gives back, so that what
// is stored and what comes in compare equal: times in whole milliseconds of
// UTC, tags sorted, attributes without what their kind does not hold. It does
// not change what c shares with the caller.
func normalize(c *shopifysync.Contact) {
	c.Version.UpdatedAt = milliseconds(c.Version.UpdatedAt)
	c.Version.ObservedAt = milliseconds(c.Version.ObservedAt)
	for i := 1; i < len(c.Tags); i++ {
		if c.Tags[i-1] >= c.Tags[i] {
			c.Tags = slices.Compact(slices.Sorted(slices.Values(c.Tags)))
			break
		}
	}
	shared := true
	for i := range c.Attributes {
		plain := normalAttribute(&c.Attributes[i])
		if plain == c.Attributes[i] {
			continue
		}
		if shared {
			c.Attributes, shared = slices.Clone(c.Attributes), false
		}
		c.Attributes[i] = plain
	}
}

func normalAttribute(a *shopifysync.Attribute) shopifysync.Attribute {
	switch a.Kind {
	case shopifysync.KindNumber:
		return shopifysync.NumberAttribute(a.Key, a.Number)
	case shopifysync.KindMoney:
		return shopifysync.MoneyAttribute(a.Key, shopifysync.Money{Amount: a.Number, Currency: a.Currency})
	case shopifysync.KindText:
		return shopifysync.TextAttribute(a.Key, a.Text)
	case shopifysync.KindConsent:
		consent := a.Consent
		consent.UpdatedAt = milliseconds(consent.UpdatedAt)
		return shopifysync.ConsentAttribute(a.Key, consent)
	}
	return shopifysync.NullAttribute(a.Key)
}

func milliseconds(t time.Time) time.Time { return fromMillis(t.UnixMilli()) }

// fromMillis is the inverse of [time.Time.UnixMilli]; the zero time stays zero.
func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
