package shopifysync

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatsAppMapper(t *testing.T) {
	settings := func(policy WhatsAppPolicy) *WhatsAppSettings {
		return &WhatsAppSettings{AccountID: "wa-1", Country: "HK", Policy: policy}
	}
	all := settings(WhatsAppAll)
	linked := func(user string) *WhatsAppContact {
		return &WhatsAppContact{Account: "wa-1", UserID: user, Name: "王小明"}
	}
	unlinked := &WhatsAppContact{}
	plain := whatsAppMapper{normalize: NormalizePhone}
	// national knows the mobile numbers of two countries, and one's landlines.
	national := whatsAppMapper{
		normalize: func(raw, country string) (string, bool) {
			switch {
			case country == "TW" && raw == "0912345678":
				return "+886912345678", true
			case country == "TW" && raw == "0223456789":
				return "+886223456789", true
			case country == "HK" && raw == "91234567":
				return "+85291234567", true
			}
			return NormalizePhone(raw, country)
		},
		mobile: func(e164 string) bool { return !strings.HasPrefix(e164, "+8862") },
	}
	own := Customer{Phone: "+886912345678"}
	consent := func(state ConsentState) Customer {
		return Customer{Phone: own.Phone, WhatsAppConsent: &Consent{State: state}}
	}
	tests := []struct {
		name     string
		mapper   whatsAppMapper
		settings *WhatsAppSettings
		customer Customer
		want     *WhatsAppContact
		result   WhatsAppResult
	}{
		{"not wanted", plain, nil, own, nil, ""},
		{"E.164", plain, all, own, linked("886912345678"), WhatsAppLinked},
		{"punctuation", plain, all, Customer{Phone: " +886 912-345-678"}, linked("886912345678"), WhatsAppLinked},
		{"none", plain, all, Customer{}, unlinked, WhatsAppNoPhone},
		{"blank", plain, all, Customer{Phone: " "}, unlinked, WhatsAppNoPhone},
		{"no number", plain, all, Customer{Phone: "0912345678"}, unlinked, WhatsAppNoNumber},
		{"phone not seen", plain, all, Customer{Masked: FieldPhone}, nil, WhatsAppNotSeen},
		{"another field not seen", plain, all, Customer{Phone: own.Phone, Masked: FieldEmail | FieldWhatsAppConsent}, linked("886912345678"), WhatsAppLinked},
		{"never the address's", plain, all, Customer{DefaultAddress: &Address{Phone: own.Phone}}, unlinked, WhatsAppNoPhone},
		{"national, of a country", national, all, Customer{Phone: "0912345678", PhoneCountry: "TW"}, linked("886912345678"), WhatsAppLinked},
		{"national, of another one", national, all, Customer{Phone: "91234567", PhoneCountry: "TW"}, unlinked, WhatsAppNoNumber},
		{"national, country not seen", plain, all, Customer{Phone: "0912345678", Masked: FieldAddress}, nil, WhatsAppNotSeen},
		{"E.164, country not seen", plain, all, Customer{Phone: own.Phone, Masked: FieldAddress}, linked("886912345678"), WhatsAppLinked},
		{"landline", national, all, Customer{Phone: "0223456789", PhoneCountry: "TW"}, unlinked, WhatsAppNotMobile},

		{"subscribed", plain, settings(WhatsAppSubscribed), consent(ConsentSubscribed), linked("886912345678"), WhatsAppLinked},
		{"pending", plain, settings(WhatsAppSubscribed), consent(ConsentPending), unlinked, WhatsAppNotSubscribed},
		{"never subscribed", plain, settings(WhatsAppSubscribed), consent(ConsentNeverSubscribed), unlinked, WhatsAppNotSubscribed},
		{"a state to come", plain, settings(WhatsAppSubscribed), consent("MAYBE"), unlinked, WhatsAppNotSubscribed},
		{"no consent", plain, settings(WhatsAppSubscribed), own, unlinked, WhatsAppNotSubscribed},
		{"consent not seen", plain, settings(WhatsAppSubscribed), Customer{Phone: own.Phone, Masked: FieldWhatsAppConsent}, nil, WhatsAppNotSeen},
		{"consent not seen, and no phone", plain, settings(WhatsAppSubscribed), Customer{Masked: FieldWhatsAppConsent}, unlinked, WhatsAppNoPhone},
		{"subscribed, unusable", plain, settings(WhatsAppSubscribed), Customer{Phone: "1", WhatsAppConsent: &Consent{State: ConsentSubscribed}}, unlinked, WhatsAppNoNumber},
		{"all: consent does not matter", plain, all, consent("UNSUBSCRIBED"), linked("886912345678"), WhatsAppLinked},

		{"nobody", plain, settings(WhatsAppNone), consent(ConsentSubscribed), unlinked, WhatsAppNobody},
		{"nobody, not seen", plain, settings(WhatsAppNone), Customer{Masked: FieldPhone}, unlinked, WhatsAppNobody},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, result := tt.mapper.contact(tt.settings, tt.customer, "王小明")
			if diff := cmp.Diff(tt.want, got); diff != "" || result != tt.result {
				t.Errorf("%q, want %q; WhatsApp contact (-want +got):\n%s", result, tt.result, diff)
			}
		})
	}
}

func TestPhoneCountry(t *testing.T) {
	hongKong := Connection{WhatsApp: &WhatsAppSettings{Country: "HK"}}
	for _, tt := range []struct {
		name    string
		conn    Connection
		address *Address
		want    string
	}{
		{"address", hongKong, &Address{Country: "TW"}, "TW"},
		{"no address", hongKong, nil, "HK"},
		{"address without a country", hongKong, &Address{}, "HK"},
		{"no settings", Connection{}, nil, ""},
		{"address alone", Connection{}, &Address{Country: "TW"}, "TW"},
	} {
		if got := tt.conn.phoneCountry(tt.address); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWhatsAppSettings(t *testing.T) {
	c := Connection{ID: "c", Shop: "demo.myshopify.com", Credentials: Credentials{AccessToken: NewSecret("t")}}
	for _, tt := range []struct {
		settings *WhatsAppSettings
		ok       bool
	}{
		{nil, true}, {&WhatsAppSettings{AccountID: "wa"}, true}, {&WhatsAppSettings{AccountID: "wa", Policy: WhatsAppNone}, true},
		{&WhatsAppSettings{}, false}, {&WhatsAppSettings{AccountID: "wa", Policy: "some"}, false},
	} {
		c.WhatsApp = tt.settings
		if err := c.validate(nil); (err == nil) != tt.ok {
			t.Errorf("%+v: error %v", tt.settings, err)
		}
	}
}
