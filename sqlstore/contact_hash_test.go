package sqlstore

import (
	"slices"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
)

func hashed() shopifysync.Contact {
	return shopifysync.Contact{
		Connection: "c1", CustomerID: 7,
		Version: shopifysync.Version{UpdatedAt: time.Unix(1, 0), ObservedAt: time.Unix(2, 0)},
		Name:    "n", FirstName: "f", LastName: "l", Email: "e", Phone: "p", PhoneSource: "s",
		Tags: []string{"a", "b"},
		Attributes: []shopifysync.Attribute{
			shopifysync.ConsentAttribute("c", shopifysync.Consent{State: "S", Level: "L", UpdatedAt: time.Unix(3, 0), CollectedFrom: "F", Address: "A"}),
			shopifysync.MoneyAttribute("m", shopifysync.Money{Amount: "1", Currency: "C"}),
			shopifysync.TextAttribute("t", "x"),
		},
		WhatsApp: &shopifysync.WhatsAppContact{Account: "a", UserID: "u", Name: "w"},
		Masked:   shopifysync.FieldNote,
	}
}

// The hash must change with every part of the content, or an update is lost.
func TestContentHashSeesEverything(t *testing.T) {
	changes := map[string]func(c *shopifysync.Contact){
		"name":                func(c *shopifysync.Contact) { c.Name = "" },
		"first name":          func(c *shopifysync.Contact) { c.FirstName = "F" },
		"last name":           func(c *shopifysync.Contact) { c.LastName = "L" },
		"moved text":          func(c *shopifysync.Contact) { c.FirstName, c.LastName = "fl", "" },
		"e-mail":              func(c *shopifysync.Contact) { c.Email = "E" },
		"phone":               func(c *shopifysync.Contact) { c.Phone = "P" },
		"phone source":        func(c *shopifysync.Contact) { c.PhoneSource = "" },
		"tags":                func(c *shopifysync.Contact) { c.Tags = []string{"a"} },
		"tag boundary":        func(c *shopifysync.Contact) { c.Tags = []string{"ab"} },
		"masked":              func(c *shopifysync.Contact) { c.Masked = 0 },
		"WhatsApp link":       func(c *shopifysync.Contact) { c.WhatsApp = nil },
		"WhatsApp account":    func(c *shopifysync.Contact) { c.WhatsApp.Account = "x" },
		"WhatsApp user":       func(c *shopifysync.Contact) { c.WhatsApp.UserID = "x" },
		"WhatsApp name":       func(c *shopifysync.Contact) { c.WhatsApp.Name = "x" },
		"attribute gone":      func(c *shopifysync.Contact) { c.Attributes = c.Attributes[:2] },
		"attribute key":       func(c *shopifysync.Contact) { c.Attributes[2].Key = "u" },
		"attribute kind":      func(c *shopifysync.Contact) { c.Attributes[2] = shopifysync.NumberAttribute("t", "x") },
		"number":              func(c *shopifysync.Contact) { c.Attributes[1].Number = "1.0" },
		"currency":            func(c *shopifysync.Contact) { c.Attributes[1].Currency = "D" },
		"text":                func(c *shopifysync.Contact) { c.Attributes[2].Text = "y" },
		"consent state":       func(c *shopifysync.Contact) { c.Attributes[0].Consent.State = "T" },
		"consent level":       func(c *shopifysync.Contact) { c.Attributes[0].Consent.Level = "M" },
		"consent time":        func(c *shopifysync.Contact) { c.Attributes[0].Consent.UpdatedAt = time.Unix(4, 0) },
		"consent source":      func(c *shopifysync.Contact) { c.Attributes[0].Consent.CollectedFrom = "" },
		"consent address":     func(c *shopifysync.Contact) { c.Attributes[0].Consent.Address = "" },
		"null becomes a text": func(c *shopifysync.Contact) { c.Attributes = append(c.Attributes, shopifysync.TextAttribute("u", "")) },
	}
	var scratch []byte
	base := hashed()
	seen := map[string]string{contentHash(&base, &scratch): "unchanged"}
	for name, change := range changes {
		c := hashed()
		change(&c)
		h := contentHash(&c, &scratch)
		if other, ok := seen[h]; ok {
			t.Errorf("%s: the same hash as %s", name, other)
		}
		seen[h] = name
	}
}

func TestContentHashSeesNothingElse(t *testing.T) {
	var scratch []byte
	base := hashed()
	want := contentHash(&base, &scratch)
	changes := map[string]func(c *shopifysync.Contact){
		"connection": func(c *shopifysync.Contact) { c.Connection = "c2" },
		"customer":   func(c *shopifysync.Contact) { c.CustomerID = 8 },
		"version":    func(c *shopifysync.Contact) { c.Version = shopifysync.Version{} },
		"null attribute": func(c *shopifysync.Contact) {
			c.Attributes = append(slices.Clip(c.Attributes), shopifysync.NullAttribute("u"))
		},
	}
	for name, change := range changes {
		c := hashed()
		change(&c)
		if got := contentHash(&c, &scratch); got != want {
			t.Errorf("%s: another hash", name)
		}
	}
	if len(want) != 22 {
		t.Errorf("the hash has %d characters, want 22", len(want))
	}
}
