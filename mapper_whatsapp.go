package shopifysync

import (
	"context"
	"strings"
)

// A WhatsAppResult tells whether a customer has become a WhatsApp contact, and
// if not, why.
type WhatsAppResult string

// The results. With WhatsAppNotSeen what was linked stays linked, unless the
// number is another one now; with all others but WhatsAppLinked it is unlinked.
const (
	WhatsAppLinked        WhatsAppResult = "linked"
	WhatsAppNoPhone       WhatsAppResult = "no phone"            // of the customer's own
	WhatsAppNoNumber      WhatsAppResult = "not a phone number"  // or one in national format of an unknown country
	WhatsAppNotMobile     WhatsAppResult = "not a mobile number" // by [WithWhatsAppNumbers]
	WhatsAppNotSubscribed WhatsAppResult = "not subscribed"      // policy [WhatsAppSubscribed]
	WhatsAppNobody        WhatsAppResult = "nobody is added"     // policy [WhatsAppNone]
	WhatsAppNotSeen       WhatsAppResult = "not seen"            // Shopify did not show the phone, the address that may tell its country, or the consent that the policy asks for
)

// unusable reports whether the merchant should look at the customer's phone.
func (r WhatsAppResult) unusable() bool { return r == WhatsAppNoNumber || r == WhatsAppNotMobile }

// A whatsAppMapper makes WhatsApp contacts of customers.
type whatsAppMapper struct {
	normalize PhoneNormalizer
	mobile    func(e164 string) bool // nil: every number may be WhatsApp's
}

// contact returns the WhatsApp contact of a customer, by the rules of
// [Contact.WhatsApp]: nil when nothing is to change, one without a user id to
// unlink. Only the customer's own phone counts: an address's may be a
// recipient's, who never asked for a message. No marketing consent is granted by
// it.
func (m whatsAppMapper) contact(settings *WhatsAppSettings, c Customer, name string) (*WhatsAppContact, WhatsAppResult) {
	switch {
	case settings == nil:
		return nil, ""
	case settings.Policy == WhatsAppNone:
		return &WhatsAppContact{}, WhatsAppNobody
	case c.Masked.Has(FieldPhone):
		return nil, WhatsAppNotSeen
	}
	userID, result := m.userID(c)
	switch {
	case result != WhatsAppLinked || settings.Policy != WhatsAppSubscribed:
	case c.Masked.Has(FieldWhatsAppConsent):
		result = WhatsAppNotSeen
	case c.WhatsAppConsent == nil || c.WhatsAppConsent.State != ConsentSubscribed:
		result = WhatsAppNotSubscribed
	}
	switch result {
	case WhatsAppLinked:
		return &WhatsAppContact{Account: settings.AccountID, UserID: userID, Name: name}, result
	case WhatsAppNotSeen:
		return nil, result
	}
	return &WhatsAppContact{}, result
}

// userID makes a WhatsApp user id of the customer's phone: its digits in E.164.
func (m whatsAppMapper) userID(c Customer) (string, WhatsAppResult) {
	phone := strings.TrimSpace(c.Phone)
	if phone == "" {
		return "", WhatsAppNoPhone
	}
	e164, ok := m.normalize(phone, c.PhoneCountry)
	switch {
	case !ok && c.Masked.Has(FieldAddress): // which may have told the country
		return "", WhatsAppNotSeen
	case !ok:
		return "", WhatsAppNoNumber
	case m.mobile != nil && !m.mobile(e164):
		return "", WhatsAppNotMobile
	}
	return strings.TrimPrefix(e164, "+"), WhatsAppLinked
}

// noteShared reports customers who have one WhatsApp contact between them. The
// run is not spoilt if that cannot be told.
func (r *run) noteShared(ctx context.Context) {
	sharer, ok := r.s.contacts.(WhatsAppSharer)
	if !ok || r.conn.WhatsApp == nil || r.dryRun {
		return
	}
	got, err := sharer.SharedWhatsApp(ctx, SharedWhatsAppParams{
		Connection: r.conn.ID, Account: r.conn.WhatsApp.AccountID, Limit: MaxFailures,
	})
	if err != nil {
		r.s.logger.WarnContext(ctx, "it is not known which customers share a WhatsApp contact", "connection", string(r.conn.ID),
			"error", storeError("find shared WhatsApp contacts", err))
		return
	}
	for _, shared := range got.Shared {
		r.record.Report.WhatsAppShared = append(r.record.Report.WhatsAppShared, shared.Customers)
	}
}
