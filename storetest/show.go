package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

// A field is one value of a contact, written out for comparing and showing.
type field struct{ name, value string }

// fields writes a contact out. Times count to the millisecond, and nil and
// empty slices are the same.
func fields(c shopifysync.Contact) []field {
	out := []field{
		{"connection", quote(string(c.Connection))},
		{"customer id", c.CustomerID.String()},
		{"updated at", when(c.Version.UpdatedAt)},
		{"observed at", when(c.Version.ObservedAt)},
		{"name", quote(c.Name)},
		{"first name", quote(c.FirstName)},
		{"last name", quote(c.LastName)},
		{"email", quote(c.Email)},
		{"phone", quote(c.Phone)},
		{"phone source", quote(string(c.PhoneSource))},
		{"tags", list(c.Tags, quote)},
		{"attributes", list(c.Attributes, attribute)},
	}
	whatsApp := "none"
	if w := c.WhatsApp; w != nil {
		whatsApp = fmt.Sprintf("account %q, user %q, name %q", w.Account, w.UserID, w.Name)
	}
	return append(out,
		field{"WhatsApp contact", whatsApp},
		field{"masked fields", quote(c.Masked.String())},
		field{"removed", quote(string(c.Removed))},
		field{"merged into", c.MergedInto.String()},
	)
}

// difference lists the fields in which two contacts differ; "" means in none.
func difference(want, got shopifysync.Contact) string {
	var b strings.Builder
	gotFields := fields(got)
	for i, w := range fields(want) {
		if g := gotFields[i]; g != w {
			a, b1 := excerpt(w.value, g.value)
			fmt.Fprintf(&b, "  %s: got %s, want %s\n", w.name, b1, a)
		}
	}
	return b.String()
}

// show writes out the fields of a contact that are not empty.
func show(c shopifysync.Contact) string {
	var b strings.Builder
	for _, f := range fields(c) {
		if f.value == `""` || f.value == "none" || f.value == "0" {
			continue
		}
		text, _ := excerpt(f.value, "")
		fmt.Fprintf(&b, "\n  %s: %s", f.name, text)
	}
	return b.String()
}

const excerptLength = 200

// excerpt cuts two long texts so that where they begin to differ is seen.
func excerpt(a, b string) (string, string) {
	if len(a) <= excerptLength && len(b) <= excerptLength {
		return a, b
	}
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	from := max(0, same-excerptLength/4)
	cut := func(s string) string {
		end := min(len(s), from+excerptLength)
		return fmt.Sprintf("(%d bytes) ...%q...", len(s), s[min(from, end):end])
	}
	return cut(a), cut(b)
}

func quote(s string) string { return fmt.Sprintf("%+q", s) }

func when(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
}

func list[T any](values []T, text func(T) string) string {
	if len(values) == 0 {
		return "none"
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = text(v)
	}
	return strings.Join(texts, " ")
}

func attribute(a shopifysync.Attribute) string {
	c := a.Consent
	return fmt.Sprintf("{%+q %s number=%+q currency=%+q text=%+q consent={%+q %+q %s %+q %+q}}",
		a.Key, a.Kind, a.Number, a.Currency, a.Text, c.State, c.Level, when(c.UpdatedAt), c.CollectedFrom, c.Address)
}

// A text is a text of a contact.
type text struct {
	name     string
	value    string
	personal bool // must not occur in a reason or a tombstone
}

// texts returns every text of a contact.
func texts(c shopifysync.Contact) []text {
	all := []text{
		{"name", c.Name, true}, {"first name", c.FirstName, true}, {"last name", c.LastName, true},
		{"email", c.Email, true}, {"phone", c.Phone, true}, {"phone source", string(c.PhoneSource), false},
	}
	for _, t := range c.Tags {
		all = append(all, text{"tag", t, true})
	}
	for _, a := range c.Attributes {
		all = append(all,
			text{"attribute key", string(a.Key), false}, text{"number", a.Number, true},
			text{"currency", a.Currency, false}, text{"text", a.Text, true},
			text{"consent state", string(a.Consent.State), false}, text{"consent level", string(a.Consent.Level), false},
			text{"consent source", a.Consent.CollectedFrom, false}, text{"consent address", a.Consent.Address, true})
	}
	if w := c.WhatsApp; w != nil {
		all = append(all, text{"WhatsApp account", w.Account, false}, text{"WhatsApp user", w.UserID, true},
			text{"WhatsApp name", w.Name, true})
	}
	return all
}

func hasNUL(c shopifysync.Contact) bool {
	for _, t := range texts(c) {
		if strings.ContainsRune(t.value, 0) {
			return true
		}
	}
	return false
}
