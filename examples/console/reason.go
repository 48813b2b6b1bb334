package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/omnichat/shopifysync"
)

// A reason is what the library says of a record, a subscription or a
// connection. It speaks English; Lang is set where the page does not.
type reason struct{ Text, Lang string }

// ReasonLabel puts a reason into the page's language, or leaves it as it is.
func (t *texts) ReasonLabel(s string) reason {
	if t != &traditionalChinese {
		return reason{Text: s}
	}
	if text, ok := hant(s); ok {
		return reason{Text: text}
	}
	return reason{Text: s, Lang: english.Lang}
}

// hant says a text of the library's in Traditional Chinese.
func hant(s string) (string, bool) {
	if text, ok := hantWhole[s]; ok {
		return text, true
	}
	if m := attributeReason.FindStringSubmatch(s); m != nil {
		predicate, ok := hantPredicates[m[2]]
		return "「" + shopifysync.AttributeKey(m[1]).Label(traditionalChinese.Lang) + "」" + predicate, ok
	}
	for _, one := range hantSubjects {
		if rest, ok := strings.CutPrefix(s, one.english+" "); ok {
			if predicate, ok := hantPredicates[rest]; ok {
				return one.hant + predicate, true
			}
		}
	}
	for _, form := range hantForms {
		m := form.english.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		var parts []any
		for _, part := range m[1:] {
			if strings.Contains(part, " ") && !form.quotes { // else it is a name
				text, ok := hant(part)
				if !ok {
					return "", false
				}
				part = text
			}
			parts = append(parts, part)
		}
		return fmt.Sprintf(form.hant, parts...), true
	}
	p := problemOfText(&traditionalChinese, s)
	return p.Text, p.Key != "unknown"
}

var attributeReason = regexp.MustCompile(`^the attribute (\S+) (.+)$`)

// hantSubjects are what may be wrong with a contact's field, and hantPredicates
// how.
var hantSubjects = []struct{ english, hant string }{
	{"the name", "姓名"}, {"the first name", "名字"}, {"the last name", "姓氏"}, {"the e-mail", "Email "}, {"the phone", "電話"},
	{"the phone's source", "電話來源"}, {"a tag", "標籤"}, {"an attribute's key", "屬性代碼"}, {"an attribute", "屬性"},
	{"the WhatsApp contact", "WhatsApp 聯絡人"},
}

var hantPredicates = map[string]string{
	"holds a NUL character or is not valid UTF-8":                "含有無法儲存的字元",
	"has more than 512 characters":                               "超過 512 個字元",
	"has more than 255 bytes":                                    "超過 255 個位元組",
	"is no decimal number of at most 31 digits before the point": "不是有效的數字，或整數部分超過 31 位",
	"is of an unknown kind":                                      "屬於未知的類型",
	"has no key":                                                 "沒有代碼",
}

var hantWhole = map[string]string{
	// Of a contact.
	"the contact belongs to another connection":                                            "聯絡人屬於另一個連接",
	"the contact has no customer id":                                                       "聯絡人沒有會員編號",
	"a contact is removed by RemoveContacts":                                               "聯絡人須以 RemoveContacts 移除",
	"the WhatsApp contact holds a NUL character, invalid UTF-8 or a text that is too long": "WhatsApp 聯絡人含有無法儲存的字元，或文字過長",
	"tags and attributes have more than 4 MiB":                                             "標籤與屬性合計超過 4 MiB",
	"the number of orders is not a number":                                                 "訂單數不是數字",
	"the amount spent is not a number":                                                     "消費金額不是數字",
	"the contact store failed on this record: see its log":                                 "聯絡人資料庫無法儲存這筆資料，請查看程式紀錄",
	"left out":                           "依規則略過",
	"other":                              "其他",
	"it panicked":                        "程式發生錯誤",
	"Shopify did not show the customer":  "Shopify 未提供這位顧客的資料",
	"a lookup did not find the customer": "查詢時，Shopify 找不到這位顧客",
	"catch-up":                           "補抓變更時發現有更新，但 Shopify 尚未提供新資料",
	"the customer has no id":             "顧客沒有編號",
	"the customer has two ids":           "顧客有兩個編號",
	// Of a subscription.
	"the API version that Shopify serves does not know this topic":                                                            "Shopify 實際提供的 API 版本沒有這個主題",
	"the connection has no client secret, so that webhooks could not be verified: enter the API secret key and connect again": "連接沒有 API 密鑰，無法驗證 Webhook：請填寫 API 密鑰，再連接一次",
	"there was not enough time":                                      "時間不足，尚未完成",
	"Shopify refuses the address: it must be a public https address": "Shopify 不接受這個網址：必須是公開的 https 網址",
	"Shopify refused it":                                             "Shopify 拒絕這項訂閱",
	"Shopify has the same subscription already":                      "Shopify 已有相同的訂閱",
	"Shopify no longer has the subscription":                         "Shopify 已沒有這項訂閱",
	"the app may not subscribe to this topic":                        "應用程式無權訂閱這個主題",
	"Shopify's list of them does not end":                            "Shopify 的訂閱清單沒有結尾",
}

// hantForms are texts with something in them, which is put into the page's
// language too; with quotes it is somebody else's words, and stays.
var hantForms = []struct {
	english *regexp.Regexp
	hant    string
	quotes  bool
}{
	{english: regexp.MustCompile(`^refused by the contact store: (.+)$`), hant: "聯絡人資料庫不接受：%s"},
	{english: regexp.MustCompile(`^mapper: (.+)$`), hant: "資料轉換失敗：%s"},
	{english: regexp.MustCompile(`^the host's erasure: (.+)$`), hant: "客服資料刪除失敗：%s"},
	{english: regexp.MustCompile(`^bulk: (.+): read the customer by its id$`), hant: "Shopify 檔案裡的這筆資料有誤：%s"},
	{english: regexp.MustCompile(`^the line is not one JSON object \(byte (\d+)\)$`), hant: "不是完整的 JSON 物件（第 %s 位元組）"},
	{english: regexp.MustCompile(`^(\w+) is not (?:an?|that) .+$`), hant: "%s 的格式不正確"},
	{english: regexp.MustCompile(`^a (\S+), whose text may hold personal data and is not repeated: let the host log it$`), hant: "發生 %s 錯誤；內容可能含有個人資料，因此不顯示，請查看程式紀錄"},
	{english: regexp.MustCompile(`^(customers?[\w]*[/.]\w+)$`), hant: "收到 %s 通知，但 Shopify 尚未提供新資料"},
	{english: regexp.MustCompile(`^the app lacks the access scope (\S+)$`), hant: "應用程式缺少 %s 權限"},
	// Warnings.
	{english: regexp.MustCompile(`^webhooks (\S+) are not subscribed to: (.+)$`), hant: "未訂閱 %s：%s"},
	{english: regexp.MustCompile(`^Shopify answers API version (\S+) with (\S+): it no longer serves the one asked for$`), hant: "Shopify 已不再提供 API 版本 %s，改以 %s 回應。"},
	{english: regexp.MustCompile(`^Shopify calls something deprecated that is asked of API version (\S+): (.+)$`), hant: "Shopify 表示 API 版本 %s 的部分功能即將停用：%s", quotes: true},
	{english: regexp.MustCompile(`^nobody can become a WhatsApp contact by consent: Shopify shows the WhatsApp consent from API version (\S+) on$`), hant: "目前無法依行銷同意新增 WhatsApp 聯絡人：Shopify 自 API 版本 %s 起才提供 WhatsApp 行銷同意。"},
	{english: regexp.MustCompile(`^catch-ups do not work: Shopify does not understand the filter of their list in API version (\S+)$`), hant: "無法補抓變更：Shopify 的 API 版本 %s 不支援所需的篩選條件。"},
	{english: regexp.MustCompile(`^Shopify does not show the app all fields of customers: (\S+)$`), hant: "Shopify 未提供部分顧客欄位：%s"},
}
