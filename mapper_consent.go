package shopifysync

// MayMarket reports whether a marketing message may be sent to that address by
// what is known: the customer's consent is SUBSCRIBED, it was given for exactly
// this e-mail address or phone number, and the person has not opted out at the
// host's, as in the chat. An opt-out there beats whatever Shopify says, also
// what it says later: only the host can lift it.
//
// The key is that of the channel: [AttrEmailConsent], [AttrSMSConsent] or
// [AttrWhatsAppConsent]; no consent stands for another one's. A phone number is
// in E.164: of a [WhatsAppContact], "+" and the UserID. What is not known is no
// consent: a state never seen, one whose address was not shown, a contact that
// was removed.
func (c Contact) MayMarket(key AttributeKey, address string, optedOut bool) bool {
	if optedOut || address == "" || c.Removed != "" {
		return false
	}
	for _, a := range c.Attributes {
		if a.Key == key {
			return a.Kind == KindConsent && a.Consent.State == ConsentSubscribed && a.Consent.Address == address
		}
	}
	return false
}
