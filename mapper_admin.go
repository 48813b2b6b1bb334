package shopifysync

import (
	"errors"
	"time"

	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
)

// adminFieldSets names, for each field of a customer in the Admin API, the set
// that leaves it out or masks it. The fields id and updatedAt are not here:
// without them there is no contact.
var adminFieldSets = []struct {
	name string
	set  FieldSet
}{
	{"firstName", FieldName},
	{"lastName", FieldName},
	{"email", FieldEmail},
	{"phone", FieldPhone},
	{"tags", FieldTags},
	{"note", FieldNote},
	{"numberOfOrders", FieldOrders},
	{"amountSpent", FieldSpent},
	{"emailMarketingConsent", FieldEmailConsent},
	{"smsMarketingConsent", FieldSMSConsent},
	{"defaultAddress", FieldAddress},
	{"locale", FieldLocale},
	{"state", FieldState},
	{"verifiedEmail", FieldVerifiedEmail},
	{"createdAt", FieldCreatedAt},
	{"defaultPhoneNumber", FieldWhatsAppConsent}, // of it, only that is read
}

// adminFields returns the names that the fields of s have in the Admin API,
// for [adminapi.Without].
func (s FieldSet) adminFields() []string {
	var names []string
	for _, f := range adminFieldSets {
		if s.Has(f.set) {
			names = append(names, f.name)
		}
	}
	return names
}

// fieldsOfPath returns which fields of a customer the path of a GraphQL error
// means, such as customers, nodes, 3, defaultAddress, phone. It is false for a
// path that ends above the fields (the whole customer is refused), and for
// fields that cannot be masked.
func fieldsOfPath(path []any) (FieldSet, bool) {
	for _, step := range path {
		name, ok := step.(string)
		if !ok {
			continue // an index
		}
		switch name {
		case "customers", "customer", "edges", "nodes", "node":
			continue // the way to a customer
		}
		for _, f := range adminFieldSets {
			if f.name == name {
				return f.set, true
			}
		}
		return 0, false
	}
	return 0, false
}

// customerFromAdmin makes a Customer of what the Admin API sent. Fields in
// masked are zero in the result whatever was sent. The tags are shared with c.
// The errors hold no value of the record.
func customerFromAdmin(c *v2026_07.Customer, masked FieldSet) (Customer, error) {
	id, err := ParseCustomerID(c.Id)
	if err != nil {
		return Customer{}, err
	}
	if c.UpdatedAt.IsZero() {
		return Customer{}, errors.New("shopifysync: the customer has no updatedAt")
	}
	out := Customer{
		ID:             id,
		FirstName:      c.FirstName,
		LastName:       c.LastName,
		Email:          c.Email,
		Phone:          c.Phone,
		Locale:         c.Locale,
		Note:           c.Note,
		Tags:           c.Tags,
		State:          string(c.State),
		VerifiedEmail:  c.VerifiedEmail,
		NumberOfOrders: string(c.NumberOfOrders),
		AmountSpent:    Money{Amount: string(c.AmountSpent.Amount), Currency: c.AmountSpent.CurrencyCode},
		CreatedAt:      c.CreatedAt,
		UpdatedAt:      c.UpdatedAt,
		Masked:         masked,
	}
	if consent := c.EmailMarketingConsent; consent != nil {
		out.EmailConsent = &Consent{
			State:     ConsentState(consent.MarketingState),
			Level:     ConsentLevel(consent.MarketingOptInLevel),
			UpdatedAt: consent.ConsentUpdatedAt,
			Address:   c.Email,
		}
	}
	if consent := c.SmsMarketingConsent; consent != nil {
		out.SMSConsent = &Consent{
			State:         ConsentState(consent.MarketingState),
			Level:         ConsentLevel(consent.MarketingOptInLevel),
			UpdatedAt:     consent.ConsentUpdatedAt,
			CollectedFrom: string(consent.ConsentCollectedFrom),
			Address:       c.Phone,
		}
	}
	if phone := c.DefaultPhoneNumber; phone != nil && phone.WhatsAppMarketingConsent.State != "" {
		consent := phone.WhatsAppMarketingConsent
		out.WhatsAppConsent = &Consent{
			State:         ConsentState(consent.State),
			Level:         ConsentLevel(consent.OptInLevel),
			UpdatedAt:     consent.UpdatedAt,
			CollectedFrom: consent.CollectedFrom,
			Address:       c.Phone,
		}
	}
	if address := c.DefaultAddress; address != nil {
		out.DefaultAddress = &Address{
			Address1: address.Address1,
			Address2: address.Address2,
			City:     address.City,
			Province: address.Province,
			Zip:      address.Zip,
			Country:  address.CountryCodeV2,
			Phone:    address.Phone,
		}
	}
	if masked != 0 {
		out.mask(masked)
	}
	return out, nil
}

// mask zeroes the fields of masked, so that nothing is taken for their value.
func (c *Customer) mask(masked FieldSet) {
	if masked.Has(FieldName) {
		c.FirstName, c.LastName = "", ""
	}
	if masked.Has(FieldEmail) {
		c.Email = ""
		if c.EmailConsent != nil {
			c.EmailConsent.Address = ""
		}
	}
	if masked.Has(FieldPhone) {
		c.Phone = ""
		if c.SMSConsent != nil {
			c.SMSConsent.Address = ""
		}
		if c.WhatsAppConsent != nil {
			c.WhatsAppConsent.Address = ""
		}
	}
	if masked.Has(FieldTags) {
		c.Tags = nil
	}
	if masked.Has(FieldNote) {
		c.Note = ""
	}
	if masked.Has(FieldOrders) {
		c.NumberOfOrders = ""
	}
	if masked.Has(FieldSpent) {
		c.AmountSpent = Money{}
	}
	if masked.Has(FieldEmailConsent) {
		c.EmailConsent = nil
	}
	if masked.Has(FieldSMSConsent) {
		c.SMSConsent = nil
	}
	if masked.Has(FieldAddress) {
		c.DefaultAddress = nil
	}
	if masked.Has(FieldLocale) {
		c.Locale = ""
	}
	if masked.Has(FieldState) {
		c.State = ""
	}
	if masked.Has(FieldVerifiedEmail) {
		c.VerifiedEmail = false
	}
	if masked.Has(FieldCreatedAt) {
		c.CreatedAt = time.Time{}
	}
	if masked.Has(FieldWhatsAppConsent) {
		c.WhatsAppConsent = nil
	}
}
