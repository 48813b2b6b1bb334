package shopifysync

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewMapper(t *testing.T) {
	nulls := func(except ...Attribute) []Attribute {
		attributes := []Attribute{
			NullAttribute(AttrEmailConsent), NullAttribute(AttrNote), NullAttribute(AttrOrdersCount),
			NullAttribute(AttrSMSConsent), NullAttribute(AttrTotalSpent), NullAttribute(AttrWhatsAppConsent),
		}
		for _, a := range except {
			i := slices.IndexFunc(attributes, func(b Attribute) bool { return a.Key == b.Key })
			attributes[i] = a
		}
		return attributes
	}
	full := fullCustomer()
	emailConsent, smsConsent, whatsAppConsent := *full.EmailConsent, *full.SMSConsent, *full.WhatsAppConsent

	tests := []struct {
		name     string
		options  MapperOptions
		customer Customer
		want     Contact
	}{
		{
			name:     "full",
			customer: full,
			want: Contact{
				Name: "王小明", FirstName: "小明", LastName: "王", Email: "Ming@example.com",
				Phone: "+886912345678", PhoneSource: PhoneCustomer, Tags: []string{"a", "b"},
				Attributes: []Attribute{
					ConsentAttribute(AttrEmailConsent, emailConsent),
					TextAttribute(AttrNote, "VIP"),
					NumberAttribute(AttrOrdersCount, "13"),
					ConsentAttribute(AttrSMSConsent, smsConsent),
					MoneyAttribute(AttrTotalSpent, Money{"11884.9", "TWD"}),
					ConsentAttribute(AttrWhatsAppConsent, whatsAppConsent),
				},
			},
		},
		{
			name: "nothing: cleared, and the e-mail or phone is not the name",
			want: Contact{Attributes: nulls()},
		},
		{
			name:     "only an e-mail and a phone",
			customer: Customer{Email: "a@example.com", Phone: "+85291234567"},
			want:     Contact{Email: "a@example.com", Phone: "+85291234567", PhoneSource: PhoneCustomer, Attributes: nulls()},
		},
		{
			name:     "WhatsApp consent not to be had: not listed",
			customer: Customer{Masked: FieldWhatsAppConsent},
			want:     Contact{Attributes: nulls()[:5]},
		},
		{
			name:     "name order",
			options:  MapperOptions{NameOrder: NameFamilyFirst},
			customer: Customer{FirstName: "Ada", LastName: "Lovelace"},
			want:     Contact{Name: "Lovelace Ada", FirstName: "Ada", LastName: "Lovelace", Attributes: nulls()},
		},
		{
			name:     "tags sorted, each once",
			customer: Customer{Tags: []string{"vip", "b", "VIP", "b", "a"}},
			want:     Contact{Tags: []string{"VIP", "a", "b", "vip"}, Attributes: nulls()},
		},
		{
			name:     "zero is a value",
			customer: Customer{NumberOfOrders: "0", AmountSpent: Money{"0.0", "JPY"}},
			want: Contact{Attributes: nulls(
				NumberAttribute(AttrOrdersCount, "0"), MoneyAttribute(AttrTotalSpent, Money{"0.0", "JPY"}))},
		},
		{
			name:     "refunds",
			customer: Customer{AmountSpent: Money{"-12.50", "USD"}},
			want:     Contact{Attributes: nulls(MoneyAttribute(AttrTotalSpent, Money{"-12.50", "USD"}))},
		},
		{
			name:     "punctuated phone, and the consent for it",
			customer: Customer{Phone: " +886 912-345-678 ", SMSConsent: &Consent{State: ConsentPending, Address: "+886 912-345-678"}},
			want: Contact{Phone: "+886912345678", PhoneSource: PhoneCustomer, Attributes: nulls(
				ConsentAttribute(AttrSMSConsent, Consent{State: ConsentPending, Address: "+886912345678"}))},
		},
		{
			name:     "national phone stays as it is",
			customer: Customer{Phone: " 0912345678 ", PhoneCountry: "TW"},
			want:     Contact{Phone: "0912345678", PhoneSource: PhoneCustomer, Attributes: nulls()},
		},
		{
			name: "own normalizer gets the country",
			options: MapperOptions{Phone: func(raw, country string) (string, bool) {
				return country + "/" + raw, true
			}},
			customer: Customer{Phone: "0912345678", PhoneCountry: "TW"},
			want:     Contact{Phone: "TW/0912345678", PhoneSource: PhoneCustomer, Attributes: nulls()},
		},
		{
			name:     "address's phone is not asked for",
			customer: Customer{DefaultAddress: &Address{Phone: "+886912345678"}},
			want:     Contact{Attributes: nulls()},
		},
		{
			name:    "address's phone, whose consent is not the customer's",
			options: MapperOptions{AddressPhone: true},
			customer: Customer{
				DefaultAddress: &Address{Phone: "+886 912345678"}, SMSConsent: &Consent{State: ConsentSubscribed},
			},
			want: Contact{Phone: "+886912345678", PhoneSource: PhoneAddress, Attributes: nulls(
				ConsentAttribute(AttrSMSConsent, Consent{State: ConsentSubscribed}))},
		},
		{
			name:     "own phone before the address's",
			options:  MapperOptions{AddressPhone: true},
			customer: Customer{Phone: "0912345678", DefaultAddress: &Address{Phone: "+886900000000"}},
			want:     Contact{Phone: "0912345678", PhoneSource: PhoneCustomer, Attributes: nulls()},
		},
		{
			name:     "address without a phone",
			options:  MapperOptions{AddressPhone: true},
			customer: Customer{DefaultAddress: &Address{Phone: " "}},
			want:     Contact{Attributes: nulls()},
		},
		{
			name:     "no address",
			options:  MapperOptions{AddressPhone: true},
			customer: Customer{},
			want:     Contact{Attributes: nulls()},
		},
		{
			name:     "address not seen: nor is the phone",
			options:  MapperOptions{AddressPhone: true},
			customer: Customer{Masked: FieldAddress},
			want:     Contact{Masked: FieldPhone, Attributes: nulls()},
		},
		{
			name:     "address not seen, own phone is",
			options:  MapperOptions{AddressPhone: true},
			customer: Customer{Phone: "+886912345678", Masked: FieldAddress},
			want:     Contact{Phone: "+886912345678", PhoneSource: PhoneCustomer, Attributes: nulls()},
		},
		{
			name:     "address not seen, nor asked for",
			customer: Customer{Masked: FieldAddress},
			want:     Contact{Attributes: nulls()},
		},
		{
			name:     "own phone not seen: the address's is no substitute",
			options:  MapperOptions{AddressPhone: true},
			customer: Customer{Masked: FieldPhone, DefaultAddress: &Address{Phone: "+886912345678"}},
			want:     Contact{Attributes: nulls()},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tags := slices.Clone(tt.customer.Tags)
			got, err := NewMapper(tt.options)("tenant", tt.customer)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("contact (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tags, tt.customer.Tags); diff != "" {
				t.Errorf("the customer's own tags were changed (-want +got):\n%s", diff)
			}
			if !slices.IsSortedFunc(got.Attributes, func(a, b Attribute) int { return strings.Compare(string(a.Key), string(b.Key)) }) {
				t.Error("the attributes are not sorted by key")
			}
		})
	}
}

// TestNewMapperNumbers: what is no decimal text never becomes a number, and
// the error does not quote it.
func TestNewMapperNumbers(t *testing.T) {
	mapper := NewMapper(MapperOptions{})
	for text, ok := range map[string]bool{
		"": true, "0": true, "-1": true, "12.50": true, "9223372036854775808": true,
		"1e3": false, "+1": false, ".5": false, "5.": false, "-": false, "1.2.3": false, "NaN": false, "1,000": false, " 1": false, "--1": false, "１": false,
	} {
		for _, c := range []Customer{{NumberOfOrders: text}, {AmountSpent: Money{Amount: text, Currency: "TWD"}}} {
			_, err := mapper("tenant", c)
			if (err == nil) != ok {
				t.Errorf("%q: error %v, want accepted %v", text, err, ok)
			}
			if err != nil && len(text) > 1 && strings.Contains(err.Error(), text) {
				t.Errorf("the error quotes the value: %v", err)
			}
		}
	}
}

// TestMapperAllocations keeps making a contact cheap: a million customers are
// mapped on every full run.
func TestMapperAllocations(t *testing.T) {
	mapper := NewMapper(MapperOptions{})
	admin := decodeAdmin(t, adminCustomer)
	allocs := testing.AllocsPerRun(100, func() {
		c, err := customerFromAdmin(admin, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mapper("tenant", c); err != nil {
			t.Fatal(err)
		}
	})
	// Three consents and an address; a name, the tags, the attributes.
	if allocs > 7 {
		t.Errorf("%v allocations a customer, want at most 7", allocs)
	}
}

func BenchmarkMapper(b *testing.B) {
	mapper := NewMapper(MapperOptions{})
	admin := decodeAdmin(b, adminCustomer)
	b.ReportAllocs()
	for b.Loop() {
		c, err := customerFromAdmin(admin, 0)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := mapper("tenant", c); err != nil {
			b.Fatal(err)
		}
	}
}
