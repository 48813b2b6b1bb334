package shopifysync

import "testing"

func TestMayMarket(t *testing.T) {
	const number = "+886912345678"
	contact := func(state ConsentState, address string) Contact {
		return Contact{Attributes: []Attribute{
			ConsentAttribute(AttrEmailConsent, Consent{State: ConsentSubscribed, Address: "ann@example.com"}),
			ConsentAttribute(AttrWhatsAppConsent, Consent{State: state, Address: address}),
		}}
	}
	subscribed := contact(ConsentSubscribed, number)
	gone := subscribed
	gone.Removed = RemovedDeleted
	tests := []struct {
		name     string
		contact  Contact
		key      AttributeKey
		address  string
		optedOut bool
		want     bool
	}{
		{"subscribed", subscribed, AttrWhatsAppConsent, number, false, true},
		{"another channel, its own", subscribed, AttrEmailConsent, "ann@example.com", false, true},
		{"opted out in the chat", subscribed, AttrWhatsAppConsent, number, true, false},
		{"another number", subscribed, AttrWhatsAppConsent, "+886987654321", false, false},
		{"no number", subscribed, AttrWhatsAppConsent, "", false, false},
		{"another channel's consent", subscribed, AttrSMSConsent, number, false, false},
		{"another channel's address", subscribed, AttrEmailConsent, number, false, false},
		{"no consent's key", subscribed, AttrNote, number, false, false},
		{"pending", contact(ConsentPending, number), AttrWhatsAppConsent, number, false, false},
		{"unsubscribed", contact(ConsentUnsubscribed, number), AttrWhatsAppConsent, number, false, false},
		{"never subscribed", contact(ConsentNeverSubscribed, number), AttrWhatsAppConsent, number, false, false},
		{"a state to come", contact("MAYBE", number), AttrWhatsAppConsent, number, false, false},
		{"number not seen", contact(ConsentSubscribed, ""), AttrWhatsAppConsent, "", false, false},
		{"cleared", Contact{Attributes: []Attribute{NullAttribute(AttrWhatsAppConsent)}}, AttrWhatsAppConsent, number, false, false},
		{"a text", Contact{Attributes: []Attribute{{
			Key: AttrWhatsAppConsent, Kind: KindText, Consent: Consent{State: ConsentSubscribed, Address: number},
		}}}, AttrWhatsAppConsent, number, false, false},
		{"nothing known", Contact{}, AttrWhatsAppConsent, number, false, false},
		{"removed", gone, AttrWhatsAppConsent, number, false, false},
	}
	for _, tt := range tests {
		if got := tt.contact.MayMarket(tt.key, tt.address, tt.optedOut); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A customer who changes the number takes the consent along to none but it.
func TestMayMarketFollowsTheNumber(t *testing.T) {
	mapped := func(phone string) Contact {
		c, err := NewMapper(MapperOptions{})("tenant", Customer{
			Phone: phone, SMSConsent: &Consent{State: ConsentSubscribed, Address: phone},
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, _ := Apply(nil, mapped("+886 912 345 678"))
	in := mapped("+886987654321")
	in.Version = applyVersion(2, 2)
	second, _ := Apply(&first, in)
	for _, tt := range []struct {
		contact Contact
		number  string
		want    bool
	}{
		{first, "+886912345678", true}, {first, "+886987654321", false},
		{second, "+886912345678", false}, {second, "+886987654321", true},
	} {
		if got := tt.contact.MayMarket(AttrSMSConsent, tt.number, false); got != tt.want {
			t.Errorf("%s, asked for %s: %v", tt.contact.Phone, tt.number, got)
		}
	}
}
