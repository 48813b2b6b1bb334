package sqlstore

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
)

func TestRefusal(t *testing.T) {
	const bad = "\xff"
	tests := map[string]struct {
		change func(c *shopifysync.Contact)
		want   string
	}{
		"nothing": {func(*shopifysync.Contact) {}, ""},
		"another connection": {func(c *shopifysync.Contact) { c.Connection = "other" },
			"the contact belongs to another connection"},
		"no id":     {func(c *shopifysync.Contact) { c.CustomerID = 0 }, "the contact has no customer id"},
		"tombstone": {func(c *shopifysync.Contact) { c.Removed = shopifysync.RemovedDeleted }, "a contact is removed by RemoveContacts"},
		"NUL in the name": {func(c *shopifysync.Contact) { c.Name = "a\x00b" },
			"the name holds a NUL character or is not valid UTF-8"},
		"broken first name": {func(c *shopifysync.Contact) { c.FirstName = bad },
			"the first name holds a NUL character or is not valid UTF-8"},
		"512 characters":      {func(c *shopifysync.Contact) { c.LastName = strings.Repeat("王", 512) }, ""},
		"513 characters":      {func(c *shopifysync.Contact) { c.LastName = strings.Repeat("王", 513) }, "the last name has more than 512 characters"},
		"long e-mail":         {func(c *shopifysync.Contact) { c.Email = strings.Repeat("a", 513) }, "the e-mail has more than 512 characters"},
		"long phone":          {func(c *shopifysync.Contact) { c.Phone = strings.Repeat("1", 513) }, "the phone has more than 512 characters"},
		"long phone source":   {func(c *shopifysync.Contact) { c.PhoneSource = shopifysync.PhoneSource(strings.Repeat("1", 256)) }, "the phone's source has more than 255 bytes"},
		"broken tag":          {func(c *shopifysync.Contact) { c.Tags = []string{"a", bad} }, "a tag holds a NUL character or is not valid UTF-8"},
		"WhatsApp user":       {func(c *shopifysync.Contact) { c.WhatsApp = &shopifysync.WhatsAppContact{UserID: "\x00"} }, "the WhatsApp contact holds a NUL character, invalid UTF-8 or a text that is too long"},
		"attribute, no key":   {attribute(shopifysync.TextAttribute("", "x")), "an attribute has no key"},
		"attribute, long key": {attribute(shopifysync.TextAttribute(shopifysync.AttributeKey(strings.Repeat("k", 256)), "x")), "an attribute's key has more than 255 bytes"},
		"attribute, text":     {attribute(shopifysync.TextAttribute("note", "\x00")), "the attribute note holds a NUL character or is not valid UTF-8"},
		"attribute, number":   {attribute(shopifysync.NumberAttribute("n", "1e5")), "the attribute n is no decimal number of at most 31 digits before the point"},
		"attribute, consent": {attribute(shopifysync.ConsentAttribute("c", shopifysync.Consent{Level: bad})),
			"the attribute c holds a NUL character or is not valid UTF-8"},
		"attribute, consent's address": {attribute(shopifysync.ConsentAttribute("c", shopifysync.Consent{Address: bad})),
			"the attribute c holds a NUL character or is not valid UTF-8"},
		"attribute, kind": {attribute(shopifysync.Attribute{Key: "k", Kind: "colour"}), "the attribute k is of an unknown kind"},
		"too much":        {attribute(shopifysync.TextAttribute("note", strings.Repeat("x", maxContent+1))), "tags and attributes have more than 4 MiB"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := shopifysync.Contact{Connection: "c1", CustomerID: 7}
			tt.change(&c)
			if got := refusal("c1", &c); got != tt.want {
				t.Errorf("refusal: %q, want %q", got, tt.want)
			}
		})
	}
}

func attribute(a shopifysync.Attribute) func(*shopifysync.Contact) {
	return func(c *shopifysync.Contact) { c.Attributes = []shopifysync.Attribute{a} }
}

func TestDecimal(t *testing.T) {
	tests := map[string]bool{
		"0": true, "-1": true, "007": true, "11884.9": true, "-0.50": true,
		strings.Repeat("9", 31): true, strings.Repeat("9", 31) + ".5": true, "0." + strings.Repeat("1", 200): true,
		"": false, "-": false, ".": false, ".5": false, "5.": false, "-.5": false, "+1": false, "1e5": false,
		"1,5": false, "1.2.3": false, " 1": false, "１": false, "NaN": false, "--1": false,
		strings.Repeat("9", 32): false, strings.Repeat("9", 32) + ".5": false, "0." + strings.Repeat("1", 300): false,
	}
	for s, want := range tests {
		if got := decimal(s); got != want {
			t.Errorf("decimal(%q) = %t, want %t", s, got, want)
		}
	}
}

func TestNormalizeLeavesTheCallersSlicesAlone(t *testing.T) {
	precise := time.Date(2024, 1, 2, 3, 4, 5, 123456789, time.FixedZone("", 3600))
	whole := time.Date(2024, 1, 2, 2, 4, 5, 123e6, time.UTC)
	given := func() shopifysync.Contact {
		return shopifysync.Contact{
			Version: shopifysync.Version{UpdatedAt: precise, ObservedAt: precise},
			Tags:    []string{"b", "a", "b"},
			Attributes: []shopifysync.Attribute{
				shopifysync.ConsentAttribute("c", shopifysync.Consent{State: "PENDING", UpdatedAt: precise}),
				{Key: "n", Kind: shopifysync.KindNumber, Number: "1", Text: "stray"},
				{Key: "z", Text: "stray"},
			},
		}
	}
	in := given()
	c := in
	normalize(&c)
	want := shopifysync.Contact{
		Version: shopifysync.Version{UpdatedAt: whole, ObservedAt: whole},
		Tags:    []string{"a", "b"},
		Attributes: []shopifysync.Attribute{
			shopifysync.ConsentAttribute("c", shopifysync.Consent{State: "PENDING", UpdatedAt: whole}),
			shopifysync.NumberAttribute("n", "1"),
			shopifysync.NullAttribute("z"),
		},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("normalize (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(given(), in); diff != "" {
		t.Errorf("the caller's contact was changed (-want +got):\n%s", diff)
	}
}

func TestZeroTimeSurvives(t *testing.T) {
	if got := fromMillis(time.Time{}.UnixMilli()); got != (time.Time{}) {
		t.Errorf("the zero time came back as %v", got)
	}
}
