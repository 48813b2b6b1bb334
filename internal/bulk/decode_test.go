package bulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/internal/adminapi"
	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
	"github.com/omnichat/shopifysync/internal/scalar"
)

// full is a customer with everything, written the way Shopify writes a line.
const full = `{"id":"gid:\/\/shopify\/Customer\/7706405506930370084","firstName":"\u5c0f\u660e","lastName":"王",` +
	`"email":"Ming@Example.com","phone":"+886912345678","locale":"zh-TW","note":"a \"note\"\n\ud83d\ude00\u2028 😀 \\ \u0000",` +
	`"tags":["VIP","新客"],"state":"ENABLED","verifiedEmail":true,"numberOfOrders":"13",` +
	`"amountSpent":{"amount":"11884.9","currencyCode":"TWD"},"createdAt":"2021-12-31T23:59:59Z","updatedAt":"2026-02-28T08:30:00.5+08:00",` +
	`"emailMarketingConsent":{"marketingState":"SUBSCRIBED","marketingOptInLevel":"SINGLE_OPT_IN","consentUpdatedAt":"2024-02-29T01:02:03Z"},` +
	`"smsMarketingConsent":{"marketingState":"NOT_SUBSCRIBED","marketingOptInLevel":"UNKNOWN","consentUpdatedAt":null,"consentCollectedFrom":"OTHER"},` +
	`"defaultAddress":{"address1":"信義路五段7號","address2":null,"city":"台北市","province":null,"zip":"110","countryCodeV2":"TW","phone":"+886223456789"},` +
	`"defaultPhoneNumber":{"phoneNumber":"+886912345678","whatsAppMarketingConsent":{"state":"SUBSCRIBED","optInLevel":"CONFIRMED_OPT_IN","updatedAt":"2026-07-01T09:02:03+08:00","collectedFrom":"SHOPIFY","x":{"y":[]}}}}`

func fullCustomer() v2026_07.Customer {
	return v2026_07.Customer{CustomerFields: adminapi.CustomerFields{
		Id: "gid://shopify/Customer/7706405506930370084", FirstName: "小明", LastName: "王",
		Email: "Ming@Example.com", Phone: "+886912345678", Locale: "zh-TW", Note: "a \"note\"\n😀\u2028 😀 \\ \x00",
		Tags: []string{"VIP", "新客"}, State: adminapi.CustomerStateEnabled, VerifiedEmail: true, NumberOfOrders: "13",
		AmountSpent: adminapi.Money{Amount: "11884.9", CurrencyCode: "TWD"},
		CreatedAt:   time.Date(2021, 12, 31, 23, 59, 59, 0, time.UTC), UpdatedAt: time.Date(2026, 2, 28, 0, 30, 0, 5e8, time.UTC),
		EmailMarketingConsent: &adminapi.EmailConsent{MarketingState: "SUBSCRIBED", MarketingOptInLevel: "SINGLE_OPT_IN", ConsentUpdatedAt: time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)},
		SmsMarketingConsent:   &adminapi.SMSConsent{MarketingState: "NOT_SUBSCRIBED", MarketingOptInLevel: "UNKNOWN", ConsentCollectedFrom: "OTHER"},
		DefaultAddress:        &adminapi.Address{Address1: "信義路五段7號", City: "台北市", Zip: "110", CountryCodeV2: "TW", Phone: "+886223456789"},
	}, DefaultPhoneNumber: &v2026_07.PhoneNumber{WhatsAppMarketingConsent: v2026_07.WhatsAppConsent{
		State: "SUBSCRIBED", OptInLevel: "CONFIRMED_OPT_IN", UpdatedAt: time.Date(2026, 7, 1, 1, 2, 3, 0, time.UTC), CollectedFrom: "SHOPIFY",
	}}}
}

func TestDecodeWhole(t *testing.T) {
	line := []byte(full)
	c := v2026_07.Customer{
		CustomerFields:     adminapi.CustomerFields{Note: "of the customer before", Tags: []string{"old"}, DefaultAddress: &adminapi.Address{Zip: "1"}},
		DefaultPhoneNumber: new(v2026_07.PhoneNumber),
	}
	object, err := Decode(line, &c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range line {
		line[i] = 'x' // the reader uses its buffer again
	}
	if diff := cmp.Diff(Object{CustomerID: 7706405506930370084}, object); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(fullCustomer(), c); diff != "" {
		t.Error(diff)
	}
	if c.UpdatedAt.Location() != time.UTC {
		t.Errorf("updatedAt is in %v, want UTC", c.UpdatedAt.Location())
	}
}

// TestDecodeField decodes a customer with one more member.
func TestDecodeField(t *testing.T) {
	march := time.Date(2024, 3, 31, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, member string
		want         adminapi.CustomerFields
	}{
		{"null texts", `"firstName":null,"email":null,"tags":null,"state":null,"locale":null`, adminapi.CustomerFields{}},
		{"null values", `"verifiedEmail":null,"numberOfOrders":null,"amountSpent":null,"createdAt":null,"updatedAt":null`, adminapi.CustomerFields{}},
		{"null objects", `"emailMarketingConsent":null,"smsMarketingConsent":null,"defaultAddress":null`, adminapi.CustomerFields{}},
		{"number as text", `"firstName":12,"phone":886912345678,"note":-1.50e3`, adminapi.CustomerFields{FirstName: "12", Phone: "886912345678", Note: "-1.50e3"}},
		{"boolean as text", `"note":true,"lastName":false`, adminapi.CustomerFields{Note: "true", LastName: "false"}},
		{"number as number", `"numberOfOrders":9007199254740993,"amountSpent":{"amount":0.10,"currencyCode":1}`, adminapi.CustomerFields{NumberOfOrders: "9007199254740993", AmountSpent: adminapi.Money{Amount: "0.10", CurrencyCode: "1"}}},
		{"text as boolean", `"verifiedEmail":"true"`, adminapi.CustomerFields{VerifiedEmail: true}},
		{"no tags", `"tags":[]`, adminapi.CustomerFields{Tags: []string{}}},
		{"odd tags", `"tags":["a",null,1,""]`, adminapi.CustomerFields{Tags: []string{"a", "", "1", ""}}},
		{"unknown enum", `"state":"HIBERNATING"`, adminapi.CustomerFields{State: "HIBERNATING"}},
		{"unknown keys", `"displayName":"x","addresses":[{"a":[1,-0.5e+7,{}]},[],true,null],"":{}`, adminapi.CustomerFields{}},
		{"unknown keys within", `"amountSpent":{"x":{}},"defaultAddress":{"x":[]},"emailMarketingConsent":{"sourceLocation":{}},"smsMarketingConsent":{"sourceLocation":null}`,
			adminapi.CustomerFields{DefaultAddress: &adminapi.Address{}, EmailMarketingConsent: &adminapi.EmailConsent{}, SmsMarketingConsent: &adminapi.SMSConsent{}}},
		{"other case is another key", `"ID":2,"Id":"gid://shopify/Customer/2","EMAIL":"a","Note":"b","__ParentId":"c"`, adminapi.CustomerFields{}},
		{"escaped key", `"\u006eote":"b"`, adminapi.CustomerFields{Note: "b"}},
		{"white space", " \"note\" :\t\"b\" ,\r \"tags\" : [ \"c\" , \"d\" ] ", adminapi.CustomerFields{Note: "b", Tags: []string{"c", "d"}}},
		{"escapes", `"note":"\"\\\/\b\f\n\r\t\u00e9\u4E2D"`, adminapi.CustomerFields{Note: "\"\\/\b\f\n\r\té中"}},
		{"surrogate pair", `"note":"\ud83d\ude00"`, adminapi.CustomerFields{Note: "😀"}},
		{"lone surrogates", `"note":"\ud83d \ude00\ud83d\u0041\ud83d\ud83d\ude00"`, adminapi.CustomerFields{Note: "\ufffd \ufffd\ufffdA\ufffd😀"}},
		{"NUL and line separators", `"note":"\u0000\u2028\u2029"`, adminapi.CustomerFields{Note: "\x00\u2028\u2029"}},
		{"invalid UTF-8", "\"note\":\"a\xff\xe4\xb8b\",\"email\":\"\xc0\\n\"", adminapi.CustomerFields{Note: "a\ufffd\ufffd\ufffdb", Email: "\ufffd\n"}},
		{"last of two", `"note":"a","note":"b","email":"a","email":null,"tags":["a"],"tags":["b","c"]`, adminapi.CustomerFields{Note: "b", Tags: []string{"b", "c"}}},
		{"last of two values", `"verifiedEmail":true,"verifiedEmail":null,"createdAt":"2024-03-31T12:00:00Z","createdAt":null`, adminapi.CustomerFields{}},
		{"last of two amounts", `"amountSpent":{"amount":"1"},"amountSpent":{"currencyCode":"TWD"}`, adminapi.CustomerFields{AmountSpent: adminapi.Money{CurrencyCode: "TWD"}}},
		{"last of two currencies", `"amountSpent":{"currencyCode":"TWD"},"amountSpent":{"amount":"1"}`, adminapi.CustomerFields{AmountSpent: adminapi.Money{Amount: "1"}}},
		{"last of two objects", `"defaultAddress":{"zip":"1"},"defaultAddress":{"city":"2"},"smsMarketingConsent":{},"smsMarketingConsent":null`, adminapi.CustomerFields{DefaultAddress: &adminapi.Address{City: "2"}}},
		{"the same id again", `"id":"gid:\/\/shopify\/Customer\/1"`, adminapi.CustomerFields{}},
		{"no parent", `"__parentId":null`, adminapi.CustomerFields{}},
		{"time in UTC", `"updatedAt":"2024-03-31T12:00:00Z"`, adminapi.CustomerFields{UpdatedAt: march}},
		{"time with offset", `"updatedAt":"2024-03-31T20:00:00+08:00"`, adminapi.CustomerFields{UpdatedAt: march}},
		{"time with fraction", `"createdAt":"2024-03-31T12:00:00.000000Z"`, adminapi.CustomerFields{CreatedAt: march}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, line := range []string{
				`{"id":"gid://shopify/Customer/1",` + tt.member + `}`,
				`{` + tt.member + `,"id":"gid://shopify/Customer/1"}`,
			} {
				c := fullCustomer() // of the line before
				object, err := Decode([]byte(line), &c)
				if err != nil {
					t.Fatal(err)
				}
				want := tt.want
				want.Id = "gid://shopify/Customer/1"
				if diff := cmp.Diff(v2026_07.Customer{CustomerFields: want}, c); diff != "" {
					t.Error(diff)
				}
				if object != (Object{CustomerID: 1}) {
					t.Errorf("object is %+v", object)
				}
			}
		})
	}
}

// What 2026-07 added follows the same rules.
func TestDecodePhoneNumber(t *testing.T) {
	consent := func(c v2026_07.WhatsAppConsent) *v2026_07.PhoneNumber {
		return &v2026_07.PhoneNumber{WhatsAppMarketingConsent: c}
	}
	tests := []struct {
		value string
		want  *v2026_07.PhoneNumber
	}{
		{`null`, nil},
		{`{}`, consent(v2026_07.WhatsAppConsent{})},
		{`{"whatsAppMarketingConsent":null,"phoneNumber":"+886912345678"}`, consent(v2026_07.WhatsAppConsent{})},
		{`{"whatsAppMarketingConsent":{"state":"PENDING","optInLevel":null,"updatedAt":null,"collectedFrom":null}}`, consent(v2026_07.WhatsAppConsent{State: "PENDING"})},
		{`{"whatsAppMarketingConsent":{"state":"PENDING","updatedAt":"2026-07-01T00:00:00Z"},"whatsAppMarketingConsent":{"optInLevel":"UNKNOWN"}}`, consent(v2026_07.WhatsAppConsent{OptInLevel: "UNKNOWN"})},
		{`{"whatsAppMarketingConsent":{"state":"PENDING"}},"defaultPhoneNumber":null`, nil},
	}
	for _, tt := range tests {
		c := fullCustomer()
		_, err := Decode([]byte(`{"id":"gid://shopify/Customer/1","defaultPhoneNumber":`+tt.value+`}`), &c)
		if diff := cmp.Diff(tt.want, c.DefaultPhoneNumber); diff != "" || err != nil {
			t.Errorf("%s: %v %s", tt.value, err, diff)
		}
	}
	for value, reason := range map[string]string{
		`7`:                                      "defaultPhoneNumber",
		`{"whatsAppMarketingConsent":"PENDING"}`: "defaultPhoneNumber.whatsAppMarketingConsent",
		`{"whatsAppMarketingConsent":{"state":{}}}`:              "whatsAppMarketingConsent.state",
		`{"whatsAppMarketingConsent":{"updatedAt":"yesterday"}}`: "whatsAppMarketingConsent.updatedAt",
	} {
		_, err := Decode([]byte(`{"id":"gid://shopify/Customer/1","defaultPhoneNumber":`+value+`}`), new(v2026_07.Customer))
		if err == nil || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "yesterday") {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	const id = `"id":"gid://shopify/Customer/7"`
	tests := []struct {
		name, line string
		want       LineError
	}{
		{"empty", ``, LineError{0, "the line is not one JSON object (byte 1)"}},
		{"null", `null`, LineError{0, "the line is not one JSON object (byte 1)"}},
		{"list", `[{` + id + `}]`, LineError{0, "the line is not one JSON object (byte 1)"}},
		{"two objects", `{` + id + `}{` + id + `}`, LineError{7, "the line is not one JSON object (byte 34)"}},
		{"cut", `{` + id + `,"note":"ab`, LineError{7, "the line is not one JSON object (byte 42)"}},
		{"no colon", `{` + id + `,"note" "ab"}`, LineError{7, "the line is not one JSON object (byte 42)"}},
		{"comma at the end", `{` + id + `,}`, LineError{7, "the line is not one JSON object (byte 34)"}},
		{"byte order mark", "\ufeff{" + id + "}", LineError{0, "the line is not one JSON object (byte 1)"}},
		{"no id", `{"note":"a"}`, LineError{0, "the customer has no id"}},
		{"null id", `{"id":null}`, LineError{0, "id is not a text"}},
		{"number id", `{"id":7}`, LineError{0, "id is not a text"}},
		{"id of another type", `{"id":"gid://shopify/Order/7"}`, LineError{0, "id is not that of a customer"}},
		{"two ids", `{` + id + `,"id":"gid://shopify/Customer/8",` + id + `}`, LineError{0, "the customer has two ids"}},
		{"a time that is none", `{"createdAt":"yesterday",` + id + `}`, LineError{7, "createdAt is not an RFC 3339 time"}},
		{"31 April", `{"updatedAt":"2024-04-31T00:00:00Z",` + id + `}`, LineError{7, "updatedAt is not an RFC 3339 time"}},
		{"empty time", `{"updatedAt":"",` + id + `}`, LineError{7, "updatedAt is not an RFC 3339 time"}},
		{"number as time", `{"updatedAt":1711886400,` + id + `}`, LineError{7, "updatedAt is not a time"}},
		{"object as text", `{"note":{"a":[]},` + id + `}`, LineError{7, "note is not a text"}},
		{"list as text", `{"note":[],` + id + `}`, LineError{7, "note is not a text"}},
		{"object as tag", `{"tags":[{}],` + id + `}`, LineError{7, "tags is not a text"}},
		{"text as tags", `{"tags":"a, b",` + id + `}`, LineError{7, "tags is not a list"}},
		{"boolean as number", `{"numberOfOrders":true,` + id + `}`, LineError{7, "numberOfOrders is not a number"}},
		{"text as object", `{"defaultAddress":"a",` + id + `}`, LineError{7, "defaultAddress is not an object"}},
		{"number as boolean", `{"verifiedEmail":1,` + id + `}`, LineError{7, "verifiedEmail is not a boolean"}},
		{"odd boolean", `{"verifiedEmail":"yes",` + id + `}`, LineError{7, "verifiedEmail is not a boolean"}},
		{"the first fault counts", `{"note":{},"tags":1,` + id + `}`, LineError{7, "note is not a text"}},
		{"too deep", `{` + id + `,"x":` + strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6) + `}`, LineError{7, "the line is not one JSON object (byte 138)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := v2026_07.Customer{CustomerFields: adminapi.CustomerFields{Note: "before"}}
			object, err := Decode([]byte(tt.line), &c)
			got, ok := errors.AsType[*LineError](err)
			if !ok {
				t.Fatalf("got %+v, %v; want a LineError", object, err)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(v2026_07.Customer{}, c); diff != "" {
				t.Errorf("something was left behind: %s", diff)
			}
		})
	}
}

// TestSyntax: what is JSON and what is not is encoding/json's to say.
func TestSyntax(t *testing.T) {
	values := []string{
		`0`, `-0`, `01`, `-01`, `-`, `+1`, `.5`, `1.`, `1.5`, `1.e1`, `1e`, `1e+`, `1E-05`, `1e5.0`, `0x1`, `1_0`, `NaN`, `1 2`,
		`nul`, `null`, `nullx`, `True`, `true`, `fals`, `false`, `'a'`, `a`, ``, `,`, `:`,
		`"`, `"\"`, `"\x"`, `"\'"`, `"\u12"`, `"\u12g4"`, `"\u12G4"`, `"\u00e9\u00E9"`, `"\ud83d"`, `"\u"`, `"\ud83d\u"`, "\"\t\"", "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\xff\"",
		`[]`, `[ ]`, `[1]`, `[1,]`, `[,1]`, `[1 2]`, `[1,,2]`, `[1`, `[`, `]`, `[}`, `[1}`, `[[],[[]]]`, `["a":1]`,
		`{}`, `{ }`, `{"a":1}`, `{"a":1,}`, `{,"a":1}`, `{"a" 1}`, `{"a":}`, `{"a"}`, `{a:1}`, `{1:1}`, `{"a":1 "b":2}`, `{"a":1`, `{`, `}`, `{]`, `{"a":{"b":{}}}`,
		"\x00", "1\x00", "\u00a01", "1\v", `/**/1`,
	}
	for _, value := range values {
		for _, format := range []string{
			`{"x":%s,"id":"gid://shopify/Customer/1"}`, `{"id":"gid://shopify/Customer/1","x":%s}`, `{"id":"gid://shopify/Customer/1","x":[{"y":%s}]}`,
			`{"id":"gid://shopify/Customer/1","note":%s}`, `{"id":"gid://shopify/Customer/1"}%s`, `%s{"id":"gid://shopify/Customer/1"}`, `{"id":"gid://shopify/Customer/1"%s`,
		} {
			line := fmt.Sprintf(format, value)
			_, err := Decode([]byte(line), new(v2026_07.Customer))
			noJSON := err != nil && strings.Contains(err.Error(), "JSON")
			if _, errID := DecodeID([]byte(line)); noJSON == json.Valid([]byte(line)) || (errID != nil) != noJSON {
				t.Errorf("%q is JSON: %t, but Decode has %v and DecodeID %v", line, json.Valid([]byte(line)), err, errID)
			}
		}
	}
}

func TestDecodeKeepsValuesOutOfErrors(t *testing.T) {
	const secret = "geheim"
	for _, line := range []string{
		`{"id":"geheim"}`, `{"id":"gid://shopify/Customer/1","createdAt":"geheim"}`, `{"geheim":geheim}`,
		`{"note":{"geheim":"geheim"},"id":"gid://shopify/Customer/1"}`, `geheim`, `{"tags":"geheim","id":"gid://shopify/Customer/1"}`,
	} {
		_, err := Decode([]byte(line), new(v2026_07.Customer))
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
			t.Errorf("the error of %s is %#v", line, err)
		}
	}
}

func TestChildren(t *testing.T) {
	for _, line := range []string{
		`{"id":"gid://shopify/Order/1","__parentId":"gid://shopify/Customer/1"}`,
		`{"__parentId":"gid://shopify/Customer/1","id":"gid://shopify/Customer/2"}`,
		`{"tags":{},"createdAt":1,"note":[],"__parentId":"gid:\/\/shopify\/Customer\/1"}`,
		`{"address1":"x","\u005f_parentId":"gid://shopify/Customer/1"}`,
	} {
		var c v2026_07.Customer
		object, err := Decode([]byte(line), &c)
		if want := (Object{Child: true}); object != want || err != nil {
			t.Errorf("Decode(%s) = %+v, %v; want %+v", line, object, err, want)
		}
		if diff := cmp.Diff(v2026_07.Customer{}, c); diff != "" {
			t.Errorf("something of a child was read: %s", diff)
		}
		if object, err = DecodeID([]byte(line)); object != (Object{Child: true}) || err != nil {
			t.Errorf("DecodeID(%s) = %+v, %v", line, object, err)
		}
	}
}

func TestParseGID(t *testing.T) {
	tests := []struct {
		gid string
		id  int64
	}{
		{"gid://shopify/Customer/1", 1},
		{"gid://shopify/Customer/9007199254740993", 9007199254740993}, // 2^53 + 1
		{"gid://shopify/Customer/9223372036854775807", 9223372036854775807},
		{"gid://shopify/Customer/9223372036854775808", 0},
		{"gid://shopify/Customer/9999999999999999999", 0},
		{"gid://shopify/Customer/18446744073709551617", 0},
		{"gid://shopify/Customer/0", 0},
		{"gid://shopify/Customer/01", 0},
		{"gid://shopify/Customer/-1", 0},
		{"gid://shopify/Customer/+1", 0},
		{"gid://shopify/Customer/1 ", 0},
		{"gid://shopify/Customer/1?a=b", 0},
		{"gid://shopify/Customer/１", 0},
		{"gid://shopify/Customer/", 0},
		{"gid://shopify/customer/1", 0},
		{"gid://shopify/CustomerSegment/1", 0},
		{"gid://shopify/Order/1", 0},
		{"1", 0},
		{"", 0},
	}
	for _, tt := range tests {
		id, ok := parseGID([]byte(tt.gid))
		if ok != (tt.id != 0) || ok && id != tt.id {
			t.Errorf("parseGID(%q) = %d, %t; want %d", tt.gid, id, ok, tt.id)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2024-04-01T08:30:00Z", "2024-02-29T23:59:59Z", "2023-02-29T00:00:00Z", "2024-04-01T08:30:60Z", "2024-04-01T24:00:00Z",
		"2024-04-01T08:30:00.123456789+08:00", "2024-04-01t08:30:00z", "0000-01-01T00:00:00Z", "2024-13-01T00:00:00Z", "2024-0:-01T00:00:00Z", "2024-00-01T00:00:00Z", "2024-01-00T00:00:00Z", "2024-04-01T08:60:00Z", "2024-04-31T08:30:00Z",
		"2024/04-01T08:30:00Z", "2024-04/01T08:30:00Z", "2024-04-01 08:30:00Z", "2024-04-01T08.30:00Z", "2024-04-01T08:30.00Z", "2024-04-01T08:30:00z", "2024-04-01T08:30:00-05:00", "２"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want time.Time
		err := want.UnmarshalText([]byte(s))
		got, ok := parseTime([]byte(s))
		if ok != (err == nil) || ok && !got.Equal(want) {
			t.Errorf("parseTime(%q) = %v, %t; time.Time has %v, %v", s, got, ok, want, err)
		}
	})
}

// FuzzDecode compares with encoding/json. Whatever that refuses as JSON is
// refused; whatever it makes a customer of becomes the same customer.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"id":"gid://shopify/Customer/1","note":"\ud83d\ude00\ud83d\u0000\/\u2028","tags":["a",null]}`))
	f.Add([]byte(`{"id":"gid://shopify/Customer/1","updatedAt":"2024-04-01T08:30:00.5-05:00","numberOfOrders":12,"x":[1e5,-0.1,{"y":false}]}`))
	f.Add([]byte(`{"__parentId":"gid://shopify/Customer/1","id":"gid://shopify/Order/1"}`))
	f.Add([]byte("{\"id\":\"gid://shopify/Customer/1\",\"note\":\"\xff\xe4\xb8\"}"))
	f.Add([]byte(`{"id":"gid://shopify/Customer/1","ID":2,"i\u0064":"gid://shopify/Customer/2"}`))
	for line := range lines(20) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var got v2026_07.Customer
		object, err := Decode(line, &got)
		byID, errID := DecodeID(line)
		if err == nil && (errID != nil || byID != object) {
			t.Fatalf("Decode: %+v, DecodeID: %+v, %v", object, byID, errID)
		}
		if lineErr, ok := errors.AsType[*LineError](err); err != nil && (!ok || object != Object{} || lineErr.CustomerID < 0) {
			t.Fatalf("%+v with the error %v", object, err)
		}
		if !json.Valid(line) {
			if err == nil || errID == nil {
				t.Fatal("no JSON, but accepted")
			}
			return
		}
		var want v2026_07.Customer
		if json.Unmarshal(line, &want) != nil || !plainKeys(line) {
			return
		}
		if _, ok := parseGID([]byte(want.Id)); !ok && !object.Child {
			if err == nil {
				t.Fatalf("accepted with the id %q", want.Id)
			}
			return
		}
		if err != nil {
			if depth(line) > maxDepth {
				return
			}
			t.Fatalf("encoding/json reads it, but: %v", err)
		}
		if object.Child {
			return
		}
		// scalar.Number keeps invalid UTF-8, which JSON cannot have.
		for _, n := range []*scalar.Number{&want.NumberOfOrders, &want.AmountSpent.Amount} {
			*n = scalar.Number(string([]rune(string(*n))))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// plainKeys reports whether the rules about keys leave nothing to choose: no
// key comes twice, in whatever case; and all are written exactly.
func plainKeys(line []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(line))
	type level struct {
		keys map[string]bool // nil in an array
		key  bool            // a key comes next
	}
	stack := []level{{}}
	for {
		token, err := dec.Token()
		if err != nil {
			return true
		}
		top := &stack[len(stack)-1]
		if s, ok := token.(string); ok && top.key {
			top.key = false
			if folded := strings.ToLower(s); top.keys[folded] || !exactKey(s) {
				return false
			}
			top.keys[strings.ToLower(s)] = true
			continue
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{map[string]bool{}, true})
			continue
		case json.Delim('['):
			stack = append(stack, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
			top = &stack[len(stack)-1]
		}
		top.key = top.keys != nil
	}
}

var knownKeys = strings.Fields(`__parentId id firstName lastName email phone locale note tags state verifiedEmail numberOfOrders amountSpent
	amount currencyCode createdAt updatedAt emailMarketingConsent smsMarketingConsent marketingState marketingOptInLevel consentUpdatedAt
	consentCollectedFrom defaultPhoneNumber whatsAppMarketingConsent optInLevel collectedFrom defaultAddress address1 address2 city province zip countryCodeV2`)

func exactKey(s string) bool {
	for _, k := range knownKeys {
		if s != k && strings.EqualFold(s, k) {
			return false
		}
	}
	return true
}

// depth is at least how deep the values of a line nest.
func depth(line []byte) int { return bytes.Count(line, []byte("[")) + bytes.Count(line, []byte("{")) }

func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	n := 0
	for line := range lines(5000) {
		var got, want v2026_07.Customer
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(line, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		n += len(line)
	}
	if mean := n / 5000; mean < 650 || mean > 780 {
		t.Errorf("a line has %d bytes on average, a real one 715", mean)
	}
}

func TestDecodeAllocations(t *testing.T) {
	line := []byte(full)
	var c v2026_07.Customer
	var d decoder
	// The texts, the tags, two consents, an address and a phone number.
	if n := testing.AllocsPerRun(1000, func() { d.decode(line, &c) }); n > 6 {
		t.Errorf("Decode allocates %v times", n)
	}
	if n := testing.AllocsPerRun(1000, func() { d.decodeID(line) }); n > 0 {
		t.Errorf("DecodeID allocates %v times", n)
	}
}

// TestDecoderForgets: a decoder at rest must not keep customers alive.
func TestDecoderForgets(t *testing.T) {
	var d decoder
	if _, err := d.decode([]byte(full), new(v2026_07.Customer)); err != nil {
		t.Fatal(err)
	}
	d.reset(nil)
	for _, text := range d.texts[:cap(d.texts)] {
		if text.field != nil {
			t.Fatal("it points into the last customer")
		}
	}
}

// lines yields n realistic lines, the same ones every time.
func lines(n int) func(yield func([]byte) bool) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	or := func(share float64, s string) any {
		if r.Float64() < share {
			return s
		}
		return nil
	}
	moment := func() string {
		return time.Date(2019+r.IntN(7), time.Month(1+r.IntN(12)), 1+r.IntN(31), r.IntN(24), r.IntN(60), r.IntN(60), 0, time.UTC).Format(time.RFC3339)
	}
	type object = map[string]any
	consent := func() object {
		return object{
			"marketingState": pick("SUBSCRIBED", "NOT_SUBSCRIBED", "UNSUBSCRIBED"), "marketingOptInLevel": pick("SINGLE_OPT_IN", "UNKNOWN"),
			"consentUpdatedAt": or(0.6, moment()),
		}
	}
	return func(yield func([]byte) bool) {
		for i := range n {
			first, last := pick("小明", "美玲", "志豪", "Mei", "Aroon"), pick("王", "陳", "林", "Chan", "O'Brien")
			tags := make([]string, r.IntN(4)*r.IntN(4)*r.IntN(3))
			for i := range tags {
				tags[i] = pick("VIP", "newsletter", "生日月", "LINE好友", "store-"+fmt.Sprint(r.IntN(90)))
			}
			c := object{
				"id": fmt.Sprint("gid://shopify/Customer/", 7_000_000_000_000+int64(i)*32768), "firstName": or(0.95, first), "lastName": or(0.95, last),
				"email": or(0.9, fmt.Sprintf("customer%d@example.com", i)), "phone": or(0.6, fmt.Sprintf("+8869%08d", r.IntN(1e8))),
				"locale": pick("zh-TW", "zh-HK", "en"), "tags": tags, "state": pick("DISABLED", "ENABLED", "INVITED"), "verifiedEmail": r.IntN(2) == 0,
				"note":           or(0.15, strings.Repeat(pick("尺寸 M\n", "說\"謝謝\"/", "line\\one\t", "\u2028😀"), 1+r.IntN(20))),
				"numberOfOrders": fmt.Sprint(r.IntN(40)), "amountSpent": object{"amount": fmt.Sprintf("%.1f", r.Float64()*1e5), "currencyCode": "TWD"},
				"createdAt": moment(), "updatedAt": moment(), "emailMarketingConsent": nil, "smsMarketingConsent": nil, "defaultAddress": nil,
			}
			if c["email"] != nil {
				c["emailMarketingConsent"] = consent()
			}
			if c["phone"] != nil {
				sms := consent()
				sms["consentCollectedFrom"] = "SHOPIFY"
				c["smsMarketingConsent"] = sms
			}
			if r.IntN(4) > 0 {
				c["defaultAddress"] = object{
					"address1": fmt.Sprintf("信義路%d段%d號", 1+r.IntN(6), r.IntN(400)), "address2": or(0.3, "12樓之3"), "city": pick("台北市", "Hong Kong", "Bangkok"),
					"province": or(0.3, "Kowloon"), "zip": or(0.7, "110"), "countryCodeV2": pick("TW", "HK", "TH"), "phone": or(0.5, "+886223456789"),
				}
			}
			line, err := json.Marshal(c)
			if err != nil {
				panic(err)
			}
			if !yield(bytes.ReplaceAll(line, []byte("/"), []byte(`\/`))) {
				return
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	var all [][]byte
	size := 0
	for line := range lines(1000) {
		all = append(all, line)
		size += len(line)
	}
	run := func(name string, decode func(line []byte) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size / len(all)))
			for i := 0; b.Loop(); i++ {
				if err := decode(all[i%len(all)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("ours", func(line []byte) error {
		var c v2026_07.Customer
		_, err := Decode(line, &c)
		return err
	})
	run("id-only", func(line []byte) error {
		_, err := DecodeID(line)
		return err
	})
	run("encoding-json", func(line []byte) error {
		var c v2026_07.Customer
		return json.Unmarshal(line, &c)
	})

	file := bytes.Join(all, []byte("\n"))
	b.Run("line-scan", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(size / len(all)))
		rest := file
		for b.Loop() {
			_, after, found := bytes.Cut(rest, []byte("\n"))
			if rest = after; !found {
				rest = file
			}
		}
	})
}
