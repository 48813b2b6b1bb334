package shopifysync_test

import (
	"fmt"
	"slices"

	"github.com/omnichat/shopifysync"
)

// A host's own mapper that builds on the default one: wholesale customers are
// left out, and the language becomes an attribute.
func ExampleNewMapper() {
	base := shopifysync.NewMapper(shopifysync.MapperOptions{})
	own := func(id shopifysync.ConnectionID, c shopifysync.Customer) (shopifysync.Contact, error) {
		if slices.Contains(c.Tags, "wholesale") {
			return shopifysync.Contact{}, fmt.Errorf("wholesale: %w", shopifysync.ErrSkip)
		}
		contact, err := base(id, c)
		contact.Attributes = append(contact.Attributes, shopifysync.TextAttribute("my.language", c.Locale))
		return contact, err
	}

	contact, err := own("tenant-1", shopifysync.Customer{
		FirstName: "小明", LastName: "王", Phone: "+886 912 345 678", Locale: "zh-TW", NumberOfOrders: "3",
	})
	fmt.Println(contact.Name, contact.Phone, err)
	for _, a := range contact.Attributes {
		fmt.Printf("%s %q\n", a.Key, a.Number+a.Text)
	}

	_, err = own("tenant-1", shopifysync.Customer{Tags: []string{"wholesale"}})
	fmt.Println(err)
	// Output:
	// 王小明 +886912345678 <nil>
	// shopify.email_marketing_consent ""
	// shopify.note ""
	// shopify.orders_count "3"
	// shopify.sms_marketing_consent ""
	// shopify.total_spent ""
	// shopify.whatsapp_marketing_consent ""
	// my.language "zh-TW"
	// wholesale: skip
}

func ExampleNormalizePhone() {
	for _, raw := range []string{"+886 912-345-678", "+852 9123 4567", "0912345678"} {
		fmt.Println(shopifysync.NormalizePhone(raw, "TW"))
	}
	// Output:
	// +886912345678 true
	// +85291234567 true
	//  false
}

func ExampleAttributeKey_Label() {
	for _, key := range []shopifysync.AttributeKey{shopifysync.AttrOrdersCount, shopifysync.AttrTotalSpent, shopifysync.AttrNote, shopifysync.AttrEmailConsent, shopifysync.AttrSMSConsent, shopifysync.AttrWhatsAppConsent} {
		fmt.Println(key.Label("zh-TW"), "|", key.Label("en"))
	}
	fmt.Println(shopifysync.AttributeKey("my.own").Label("zh-TW"))
	// Output:
	// Shopify - 累積訂單數 | Shopify - Orders count
	// Shopify - 累積消費金額 | Shopify - Total spent
	// Shopify - 備註 | Shopify - Note
	// Shopify - Email 行銷同意 | Shopify - Email marketing consent
	// Shopify - SMS 行銷同意 | Shopify - SMS marketing consent
	// Shopify - WhatsApp 行銷同意 | Shopify - WhatsApp marketing consent
	// my.own
}

func ExampleConsentState_Label() {
	for _, state := range []shopifysync.ConsentState{
		shopifysync.ConsentSubscribed, shopifysync.ConsentNotSubscribed, shopifysync.ConsentNeverSubscribed, shopifysync.ConsentPending, shopifysync.ConsentUnsubscribed, shopifysync.ConsentInvalid, shopifysync.ConsentRedacted, "SOMETHING_NEW", "",
	} {
		fmt.Println(state.Label("zh-HK"), "|", state.Label("en-GB"))
	}
	// Output:
	// 已訂閱 | Subscribed
	// 未曾訂閱 | Not subscribed
	// 未曾訂閱 | Never subscribed
	// 待確認 | Pending
	// 已取消 | Unsubscribed
	// 無效 | Invalid
	// 已清除個資 | Redacted
	// 未知 | Unknown
	// 未知 | Unknown
}

func ExampleNoConsentLabel() {
	fmt.Println(shopifysync.NoConsentLabel(shopifysync.AttrEmailConsent, "zh-TW"), "|", shopifysync.NoConsentLabel(shopifysync.AttrEmailConsent, "en"))
	fmt.Println(shopifysync.NoConsentLabel(shopifysync.AttrSMSConsent, "zh-TW"), "|", shopifysync.NoConsentLabel(shopifysync.AttrSMSConsent, "en"))
	fmt.Printf("%q\n", shopifysync.NoConsentLabel(shopifysync.AttrNote, "en"))
	// Output:
	// 無 Email | No email
	// 無電話號碼 | No phone number
	// ""
}
