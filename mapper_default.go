package shopifysync

import (
	"slices"
	"strings"
)

// MapperOptions choose how [NewMapper] makes contacts. The zero value is the
// default.
type MapperOptions struct {
	// NameOrder is how first and last name make one name.
	NameOrder NameOrder
	// PhoneNormalizer makes phone numbers E.164; nil means [NormalizePhone].
	Phone PhoneNormalizer
	// AddressPhone takes the default address's phone for a customer who has
	// none. It may be a recipient's; it never makes a WhatsApp contact.
	AddressPhone bool
}

// NewMapper returns the mapper of this library: name, e-mail, phone, tags and
// the attributes [AttrOrdersCount], [AttrTotalSpent], [AttrNote],
// [AttrEmailConsent], [AttrSMSConsent] and, where it is shown,
// [AttrWhatsAppConsent]. What Shopify reports as empty is cleared: a null
// attribute, an empty field.
//
// A host's own mapper may call it and go on from its result; see the example.
//
// The contact's Masked is set only where it goes beyond the customer's: the
// phone, when it would come from an address that was not seen.
func NewMapper(opts MapperOptions) Mapper {
	if opts.Phone == nil {
		opts.Phone = NormalizePhone
	}
	return opts.contact
}

func (o MapperOptions) contact(_ ConnectionID, c Customer) (Contact, error) {
	if !decimalOrEmpty(c.NumberOfOrders) {
		return Contact{}, Reason("the number of orders is not a number")
	}
	if !decimalOrEmpty(c.AmountSpent.Amount) {
		return Contact{}, Reason("the amount spent is not a number")
	}
	own := o.phone(c.Phone, c.PhoneCountry)
	out := Contact{
		Name:      o.NameOrder.join(c.FirstName, c.LastName),
		FirstName: c.FirstName,
		LastName:  c.LastName,
		Email:     c.Email,
		Phone:     own,
		Tags:      sortedTags(c.Tags),
		Attributes: []Attribute{ // sorted by key
			consentAttribute(AttrEmailConsent, c.EmailConsent, c.Email),
			textOrNull(AttrNote, c.Note),
			numberOrNull(AttrOrdersCount, c.NumberOfOrders),
			consentAttribute(AttrSMSConsent, c.SMSConsent, own),
			moneyOrNull(AttrTotalSpent, c.AmountSpent),
			consentAttribute(AttrWhatsAppConsent, c.WhatsAppConsent, own),
		},
	}
	if c.Masked.Has(FieldWhatsAppConsent) {
		out.Attributes = out.Attributes[:len(out.Attributes)-1]
	}
	switch {
	case own != "":
		out.PhoneSource = PhoneCustomer
	case !o.AddressPhone || c.Masked.Has(FieldPhone):
	case c.Masked.Has(FieldAddress):
		out.Masked = FieldPhone
	case c.DefaultAddress != nil:
		if out.Phone = o.phone(c.DefaultAddress.Phone, c.PhoneCountry); out.Phone != "" {
			out.PhoneSource = PhoneAddress
		}
	}
	return out, nil
}

// phone returns the number as E.164 if that can be told, else as it is.
func (o MapperOptions) phone(raw, country string) string {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return ""
	}
	if e164, ok := o.Phone(raw, country); ok {
		return e164
	}
	return raw
}

// sortedTags returns the tags in order, each once: the slice itself if it is
// like that already.
func sortedTags(tags []string) []string {
	ascending := true
	for i := 1; i < len(tags) && ascending; i++ {
		ascending = tags[i-1] < tags[i]
	}
	if ascending {
		return tags
	}
	tags = slices.Clone(tags)
	slices.Sort(tags)
	return slices.Compact(tags)
}

func textOrNull(key AttributeKey, text string) Attribute {
	if text == "" {
		return NullAttribute(key)
	}
	return TextAttribute(key, text)
}

func numberOrNull(key AttributeKey, number string) Attribute {
	if number == "" {
		return NullAttribute(key)
	}
	return NumberAttribute(key, number)
}

func moneyOrNull(key AttributeKey, m Money) Attribute {
	if m.Amount == "" {
		return NullAttribute(key)
	}
	return MoneyAttribute(key, m)
}

// consentAttribute ties the consent to the address it belongs to: a number
// that the customer gives up takes its consent along.
func consentAttribute(key AttributeKey, c *Consent, address string) Attribute {
	if c == nil {
		return NullAttribute(key)
	}
	consent := *c
	consent.Address = address
	return ConsentAttribute(key, consent)
}

// decimalOrEmpty reports whether s is empty or a number in the form that
// [Attribute.Number] has.
func decimalOrEmpty(s string) bool {
	if s == "" {
		return true
	}
	whole, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	return allDigits(whole) && (!point || allDigits(fraction))
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
