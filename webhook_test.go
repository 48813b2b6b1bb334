package shopifysync

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var webhookSecret = NewSecret("shpss_0123456789abcdef0123456789abcdef")

func signWebhook(body []byte, secret Secret) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func signedHeader(topic string, body []byte, secret Secret) http.Header {
	header := http.Header{}
	header.Set("X-Shopify-Topic", topic)
	header.Set("X-Shopify-Hmac-Sha256", signWebhook(body, secret))
	return header
}

// customerUpdateBody is a customers/update of API 2026-07: about 1.3 KB.
const customerUpdateBody = `{"id":706405506930370084,"created_at":"2021-12-31T19:00:00-05:00","updated_at":"2021-12-31T19:00:00-05:00",` +
	`"first_name":"Bob","last_name":"Biller","state":"disabled","note":"This customer loves ice cream {\"id\":1} \\","verified_email":true,` +
	`"multipass_identifier":null,"tax_exempt":false,"email":"bob@biller.com","phone":null,"currency":"USD","addresses":[{"id":1,` +
	`"customer_id":2,"first_name":"Bob","last_name":"Biller","company":"\u738b\u5c0f\u660e","address1":"151 O'Connor Street",` +
	`"address2":"]}","city":"Ottawa","province":"Ontario","country":"Canada","zip":"K2P 2L8","phone":"555-555-5555","name":"Bob Biller",` +
	`"province_code":"ON","country_code":"CA","country_name":"Canada","default":true}],"tax_exemptions":[],` +
	`"admin_graphql_api_id":"gid:\/\/shopify\/Customer\/706405506930370084","default_address":{"id":12321,"customer_id":706405506930370084,` +
	`"first_name":"Bob","last_name":"Biller","company":null,"address1":"151 O'Connor Street","address2":null,"city":"Ottawa",` +
	`"province":"Ontario","country":"Canada","zip":"K2P 2L8","phone":"555-555-5555","name":"Bob Biller","province_code":"ON",` +
	`"country_code":"CA","country_name":"Canada","default":true}}`

func TestParseWebhookTopics(t *testing.T) {
	const id = CustomerID(706405506930370084)
	updated := time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
	one := func(topic string) Event { return Event{Topic: topic, Customers: []CustomerID{id}} }
	withFloor := func(topic string) Event {
		ev := one(topic)
		ev.UpdatedAt = updated
		return ev
	}
	const redactShop = `{"shop_id":954889,"shop_domain":"my-shop.myshopify.com"`
	shop := PrivacyRequest{ShopID: 954889, ShopDomain: "my-shop.myshopify.com"}
	person := func(r PrivacyRequest, email, phone string) *PrivacyRequest {
		r.Email, r.Phone = NewSecret(email), NewSecret(phone)
		return &r
	}
	dataRequest := shop
	dataRequest.DataRequestID = 9999

	tests := []struct {
		name, body string
		want       Event
	}{
		{"update", customerUpdateBody, withFloor("customers/update")},
		{"create", customerUpdateBody, withFloor("customers/create")},
		{"enable", customerUpdateBody, withFloor("customers/enable")},
		{"disable", customerUpdateBody, withFloor("customers/disable")},
		{"delete", `{"id":706405506930370084,"tax_exemptions":[],"admin_graphql_api_id":"gid://shopify/Customer/706405506930370084"}`, one("customers/delete")},
		{"id as text", `{"id":"706405506930370084"}`, one("customers/update")},
		{"id as global id", `{"id":"gid:\/\/shopify\/Customer\/706405506930370084"}`, one("customers/update")},
		{"greatest id", `{"id":9223372036854775807}`, Event{Topic: "customers/update", Customers: []CustomerID{9223372036854775807}}},
		{"exact keys", `{"ID":1,"Id":2,"id":706405506930370084,"iD":3,"UPDATED_AT":"2030-01-01T00:00:00Z"}`, one("customers/update")},
		{"ids of something else", `{"default_address":{"id":1},"addresses":[{"id":2}],"note":"\"id\":3,","id":706405506930370084}`, one("customers/update")},
		{"white space", "\r\n {\t\"updated_at\" : \"2022-01-01T00:00:00Z\" ,\n \"a\" : [ ] , \"id\" : 706405506930370084 \n} \n", withFloor("customers/update")},
		{"time unreadable", `{"id":706405506930370084,"updated_at":"yesterday"}`, one("customers/update")},
		{"time null", `{"id":706405506930370084,"updated_at":null}`, one("customers/update")},
		{"SMS consent", `{"id":706405506930370084,"phone":null,"sms_marketing_consent":{"state":"not_subscribed","opt_in_level":"single_opt_in","consent_updated_at":"2021-12-31T19:00:00-05:00","consent_collected_from":"other"}}`, one("customers_marketing_consent/update")},
		{"e-mail consent", `{"customer_id":706405506930370084,"email_address":"a@example.com","email_marketing_consent":{"state":"subscribed","opt_in_level":null,"consent_updated_at":null}}`, one("customers_email_marketing_consent/update")},
		{"WhatsApp consent", `{"customer_id":706405506930370084,"phone_number":null,"whats_app_marketing_consent":{"state":"subscribed"}}`, one("customers_whats_app_marketing_consent/update")},
		{"tags added", `{"customerId":"gid:\/\/shopify\/Customer\/706405506930370084","tags":["a"],"occurredAt":"2022-01-01T00:00:00Z"}`, one("customer.tags_added")},
		{"tags removed", `{"customerId":"gid://shopify/Customer/706405506930370084","tags":["a"],"occurredAt":"2022-01-01T00:00:00Z"}`, one("customer.tags_removed")},
		{"purchasing summary", `{"customerId":"gid://shopify/Customer/706405506930370084","numberOfOrders":1,"amountSpent":{"amount":"1.0","currencyCode":"TWD"},"lastOrderId":"gid://shopify/Order/1","occurredAt":"2022-01-01T00:00:00Z"}`, one("customers/purchasing_summary")},

		{
			"merge", `{"admin_graphql_api_customer_kept_id":"gid://shopify/Customer/1","admin_graphql_api_customer_deleted_id":"gid://shopify/Customer/2","admin_graphql_api_job_id":null,"status":"completed","errors":[]}`,
			Event{Topic: "customers/merge", Customers: []CustomerID{2, 1}, MergedInto: 1, Status: "completed"},
		},
		{
			"failed merge", `{"admin_graphql_api_customer_kept_id":"gid://shopify/Customer/1","admin_graphql_api_customer_deleted_id":"gid://shopify/Customer/2","admin_graphql_api_job_id":null,"status":"failed","errors":[{"customer_ids":[1],"field":"merge_in_progress","message":"is being merged"}]}`,
			Event{Topic: "customers/merge", Customers: []CustomerID{2, 1}, Status: "failed"},
		},
		{
			"data request", redactShop + `,"orders_requested":[1],"customer":{"id":191167,"email":"john@example.com","phone":"555-625-1199"},"data_request":{"id":9999}}`,
			Event{Topic: "customers/data_request", Customers: []CustomerID{191167}, Privacy: person(dataRequest, "john@example.com", "555-625-1199")},
		},
		{
			"redact", redactShop + `,"customer":{"id":191167,"email":"john@example.com","phone":"555-625-1199"},"orders_to_redact":[1,2]}`,
			Event{Topic: "customers/redact", Customers: []CustomerID{191167}, Privacy: person(shop, "john@example.com", "555-625-1199")},
		},
		{
			"redact by e-mail only", redactShop + `,"customer":{"email":"j\u00f6hn@example.com"},"orders_to_redact":[]}`,
			Event{Topic: "customers/redact", Privacy: person(shop, "jöhn@example.com", "")},
		},
		{
			"redact by phone only", redactShop + `,"customer":{"id":null,"email":null,"phone":"+886912345678"},"orders_to_redact":[]}`,
			Event{Topic: "customers/redact", Privacy: person(shop, "", "+886912345678")},
		},
		{
			"redact an e-mail that is no UTF-8", redactShop + `,"customer":{"email":"j` + "\xff" + `hn@example.com"},"orders_to_redact":[]}`,
			Event{Topic: "customers/redact", Privacy: person(shop, "j\ufffdhn@example.com", "")},
		},
		{"redact shop", redactShop + `}`, Event{Topic: "shop/redact", Privacy: &shop}},

		{"uninstalled", `{"id":548380009,"name":"Super Toys","email":"super@supertoys.com","domain":null,"myshopify_domain":null}`, Event{Topic: "app/uninstalled"}},
		{"bulk operation", `{"admin_graphql_api_id":"gid://shopify/BulkOperation/1","status":"completed"}`, Event{Topic: "bulk_operations/finish"}},
		{"unknown topic", `{"id":1}`, Event{Topic: "orders/create"}},
		{"unknown topic, no JSON", `<xml/>`, Event{Topic: "products/update"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := []byte(tt.body)
			got, err := ParseWebhook(signedHeader(tt.want.Topic, body, webhookSecret), body, webhookSecret)
			if err != nil {
				t.Fatal(err)
			}
			// Secrets print alike whatever they hold, so they are compared by value.
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(Secret.Equal)); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseWebhookInvalidBody(t *testing.T) {
	const (
		update, merge = "customers/update", "customers/merge"
		request       = "customers/data_request"
		redact, gone  = "customers/redact", "shop/redact"
		shop          = `"shop_id":1,"shop_domain":"a.myshopify.com"`
		customer      = `"customer":{"id":1,"email":"john@example.com","phone":"5556251199"}`
	)
	tests := []struct{ name, topic, body string }{
		{"no topic", "", `{"id":1}`},
		{"empty", update, ``},
		{"no JSON", update, `id=1`},
		{"cut off", update, `{"id":1`},
		{"trailing data", update, `{"id":1}{"id":2}`},
		{"no object", update, `[{"id":1}]`},
		{"null", update, `null`},
		{"no id", update, `{"customer_id":1}`},
		{"no exact id", update, `{"ID":1}`},
		{"null id", update, `{"id":null}`},
		{"empty id", update, `{"id":""}`},
		{"id of another kind", update, `{"id":"gid://shopify/Order/1"}`},
		{"id as an object", update, `{"id":{"id":1}}`},
		{"id as a list", update, `{"id":[1]}`},
		{"id as a boolean", update, `{"id":true}`},
		{"zero", update, `{"id":0}`},
		{"negative", update, `{"id":-1}`},
		{"fraction", update, `{"id":1.5}`},
		{"exponent", update, `{"id":1e3}`},
		{"too great", update, `{"id":9223372036854775808}`},
		{"NUL", update, `{"id":"1\u0000"}`},
		{"time as a list", update, `{"id":1,"updated_at":[]}`},
		{"nested without end", update, `{"id":1,"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`},
		{"id elsewhere", "customers_email_marketing_consent/update", `{"id":1}`},
		{"id elsewhere, tags", "customer.tags_added", `{"id":1,"customer_id":1}`},

		{"merge of one", merge, `{"admin_graphql_api_customer_kept_id":"gid://shopify/Customer/1","status":"failed"}`},
		{"merge into nobody", merge, `{"admin_graphql_api_customer_deleted_id":"gid://shopify/Customer/1"}`},
		{"merge into itself", merge, `{"admin_graphql_api_customer_deleted_id":"gid://shopify/Customer/1","admin_graphql_api_customer_kept_id":"gid://shopify/Customer/1"}`},
		{"merge with another status", merge, `{"admin_graphql_api_customer_kept_id":"gid://shopify/Customer/1","admin_graphql_api_customer_deleted_id":"gid://shopify/Customer/2","status":{}}`},

		// Genuine bodies of one topic under another.
		{"update as redact", redact, customerUpdateBody},
		{"update as request", request, customerUpdateBody},
		{"update as end of shop", gone, customerUpdateBody},
		{"request as redact", redact, `{` + shop + `,` + customer + `,"orders_requested":[],"data_request":{"id":1}}`},
		{"redact as request", request, `{` + shop + `,` + customer + `,"orders_to_redact":[]}`},
		{"redact as end of shop", gone, `{` + shop + `,` + customer + `,"orders_to_redact":[]}`},
		{"request as end of shop", gone, `{` + shop + `,` + customer + `,"orders_requested":[],"data_request":{"id":1}}`},
		{"end of shop as redact", redact, `{` + shop + `}`},
		{"end of shop as request", request, `{` + shop + `}`},
		{"end of shop as update", update, `{` + shop + `}`},

		{"redact null", redact, `{` + shop + `,` + customer + `,"orders_to_redact":null}`},
		{"request null", request, `{` + shop + `,` + customer + `,"data_request":null}`},
		{"request without a shop", request, `{` + customer + `,"data_request":{"id":1}}`},
		{"request of a malformed id", request, `{` + shop + `,` + customer + `,"data_request":{"id":"john"}}`},
		{"redact without a shop", redact, `{` + customer + `,"orders_to_redact":[]}`},
		{"redact nobody", redact, `{` + shop + `,"customer":{"id":null,"email":"","phone":null},"orders_to_redact":[]}`},
		{"redact no customer", redact, `{` + shop + `,"orders_to_redact":[]}`},
		{"redact a malformed id", redact, `{` + shop + `,"customer":{"id":"john@example.com"},"orders_to_redact":[]}`},
		{"redact a malformed e-mail", redact, `{` + shop + `,"customer":{"id":1,"email":{}},"orders_to_redact":[]}`},
		{"redact an e-mail with NUL", redact, `{` + shop + `,"customer":{"id":1,"email":"a\u0000@example.com"},"orders_to_redact":[]}`},
		{"redact a malformed phone", redact, `{` + shop + `,"customer":{"id":1,"phone":[]},"orders_to_redact":[]}`},
		{"end of shop, without id", gone, `{"shop_domain":"a.myshopify.com"}`},
		{"end of shop, without domain", gone, `{"shop_id":1}`},
		{"end of shop, negative id", gone, `{"shop_id":-1,"shop_domain":"a.myshopify.com"}`},
		{"end of shop, malformed id", gone, `{"shop_id":"a.myshopify.com","shop_domain":"a.myshopify.com"}`},
		{"end of shop, foreign domain", gone, `{"shop_id":1,"shop_domain":"a.example.com"}`},
		{"end of shop, domain as a list", gone, `{"shop_id":1,"shop_domain":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := []byte(tt.body)
			header := signedHeader(tt.topic, body, webhookSecret)
			got, err := ParseWebhook(header, body, webhookSecret)
			if !errors.Is(err, ErrInvalidWebhook) {
				t.Fatalf("error %v, want ErrInvalidWebhook", err)
			}
			if diff := cmp.Diff(Event{}, got); diff != "" {
				t.Errorf("an event came with the error (-want +got):\n%s", diff)
			}
			for _, leak := range []string{"john", "555", "example.com", "gid://", header.Get("X-Shopify-Hmac-Sha256")} {
				if strings.Contains(err.Error(), leak) {
					t.Errorf("the error shows %q: %v", leak, err)
				}
			}
		})
	}
}

func TestParseWebhookHeader(t *testing.T) {
	body := []byte(`{"id":1}`)
	want := Event{
		Topic: "customers/update", DeliveryID: "delivery", EventID: "event", APIVersion: "2026-01", Shop: "my-shop.myshopify.com",
		TriggeredAt: time.Date(2025, 7, 10, 16, 15, 47, 123456000, time.UTC), Customers: []CustomerID{1},
	}
	values := map[string]string{
		"Topic": want.Topic, "Hmac-Sha256": signWebhook(body, webhookSecret), "Shop-Domain": "My-Shop.myshopify.com",
		"API-Version": "2026-01", "Webhook-Id": "delivery", "Event-Id": "event", "Triggered-At": "2025-07-11T00:15:47.123456+08:00",
	}
	for _, prefix := range []string{"X-Shopify-", "x-shopify-", "shopify-", "Shopify-"} {
		t.Run(prefix, func(t *testing.T) {
			header := http.Header{}
			for name, value := range values {
				header.Set(prefix+name, value)
			}
			got, err := ParseWebhook(header, body, webhookSecret)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			if got.TriggeredAt.Location() != time.UTC {
				t.Errorf("TriggeredAt is in %v, want UTC", got.TriggeredAt.Location())
			}
		})
	}
	t.Run("hints that cannot be read", func(t *testing.T) {
		header := signedHeader("customers/update", body, webhookSecret)
		header.Set("X-Shopify-Shop-Domain", "my-shop.myshopify.com.example.com")
		header.Set("X-Shopify-Triggered-At", "now")
		got, err := ParseWebhook(header, body, webhookSecret)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Event{Topic: "customers/update", Customers: []CustomerID{1}}, got); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	})
}

func TestParseWebhookSignature(t *testing.T) {
	body := []byte(customerUpdateBody)
	old, other, none := NewSecret("old"), NewSecret("other"), NewSecret(" ")
	mac := signWebhook(body, webhookSecret)
	empty := hmac.New(sha256.New, nil)
	empty.Write(body)
	signedWithNothing := base64.StdEncoding.EncodeToString(empty.Sum(nil))

	tests := []struct {
		name    string
		mac     string
		secrets []Secret
		ok      bool
	}{
		{"signed", mac, []Secret{webhookSecret}, true},
		{"rotated, new secret", mac, []Secret{webhookSecret, old}, true},
		{"rotated, old secret", signWebhook(body, old), []Secret{webhookSecret, old}, true},
		{"an empty slot before", mac, []Secret{none, webhookSecret}, true},
		{"another secret", mac, []Secret{other}, false},
		{"no secret", mac, nil, false},
		{"empty secret", signedWithNothing, []Secret{none}, false},
		{"empty secrets", signedWithNothing, []Secret{{}, none}, false},
		{"empty secret beside a real one", signedWithNothing, []Secret{webhookSecret, none}, false},
		{"no header", "", []Secret{webhookSecret}, false},
		{"no base64", "!" + mac[1:], []Secret{webhookSecret}, false},
		{"hexadecimal", fmt.Sprintf("%x", mac), []Secret{webhookSecret}, false},
		{"prefix", mac[:40], []Secret{webhookSecret}, false},
		{"twice", mac + mac, []Secret{webhookSecret}, false},
		{"without padding", strings.TrimRight(mac, "="), []Secret{webhookSecret}, false},
		{"other case", strings.ToLower(mac), []Secret{webhookSecret}, false},
		{"unused bits set", unusedBitsSet(mac), []Secret{webhookSecret}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{"X-Shopify-Topic": {"customers/update"}}
			if tt.mac != "" {
				header.Set("X-Shopify-Hmac-Sha256", tt.mac)
			}
			ev, err := ParseWebhook(header, body, tt.secrets...)
			if tt.ok {
				if err != nil || len(ev.Customers) != 1 {
					t.Fatalf("%v, %v; want a customer", ev, err)
				}
				return
			}
			if !errors.Is(err, ErrInvalidSignature) {
				t.Fatalf("error %v, want ErrInvalidSignature", err)
			}
			if diff := cmp.Diff(Event{}, ev); diff != "" {
				t.Errorf("an event came with the error (-want +got):\n%s", diff)
			}
			for _, leak := range []string{mac, signedWithNothing, "bob@", "706405506930370084", "shpss"} {
				if strings.Contains(err.Error(), leak) {
					t.Errorf("the error shows %q: %v", leak, err)
				}
			}
		})
	}
}

// unusedBitsSet changes the bits of the last character that base64 has no use
// for: 32 bytes leave two over.
func unusedBitsSet(mac string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(mac) - 2 // before the padding
	return mac[:last] + string(alphabet[strings.IndexByte(alphabet, mac[last])|1]) + mac[last+1:]
}

// TestParseWebhookNoSecret: the merchant's side of it can be put right only if
// the error says that the secret is missing.
func TestParseWebhookNoSecret(t *testing.T) {
	body := []byte(customerUpdateBody)
	_, err := ParseWebhook(signedHeader("customers/update", body, webhookSecret), body, Secret{})
	if want := "there is no client secret"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that says %q", err, want)
	}
}

// TestParseWebhookEveryBit: no bit of a signed body can be changed, nor one of
// its signature.
func TestParseWebhookEveryBit(t *testing.T) {
	body := []byte(customerUpdateBody)
	header := signedHeader("customers/update", body, webhookSecret)
	for i := range len(body) * 8 {
		body[i/8] ^= 1 << (i % 8)
		if _, err := ParseWebhook(header, body, webhookSecret); !errors.Is(err, ErrInvalidSignature) {
			t.Errorf("bit %d of the body flipped: error %v, want ErrInvalidSignature", i, err)
		}
		body[i/8] ^= 1 << (i % 8)
	}
	mac := []byte(header.Get("X-Shopify-Hmac-Sha256"))
	for i := range len(mac) * 8 {
		mac[i/8] ^= 1 << (i % 8)
		header.Set("X-Shopify-Hmac-Sha256", string(mac))
		if _, err := ParseWebhook(header, body, webhookSecret); !errors.Is(err, ErrInvalidSignature) {
			t.Errorf("bit %d of the signature flipped: error %v, want ErrInvalidSignature", i, err)
		}
		mac[i/8] ^= 1 << (i % 8)
	}
}

// TestEventPrintsNoPerson: the person of a privacy request does not print, and
// an event that lost it on its way through JSON cannot be read back.
func TestEventPrintsNoPerson(t *testing.T) {
	body := []byte(`{"shop_id":1,"shop_domain":"a.myshopify.com","customer":{"id":1,"email":"john@example.com","phone":"+15556251199"},"orders_to_redact":[]}`)
	ev, err := ParseWebhook(signedHeader("customers/redact", body, webhookSecret), body, webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	if got := ev.Privacy.Email.Reveal(); got != "john@example.com" {
		t.Fatalf("e-mail %q", got)
	}
	text, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("webhook", "event", ev, "privacy", ev.Privacy, "value", *ev.Privacy)
	}
	printed := string(text) + log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed += fmt.Sprintf(verb, ev) + fmt.Sprintf(verb, ev.Privacy) + fmt.Sprintf(verb, *ev.Privacy)
	}
	for _, person := range []string{"john", "5556251199", fmt.Sprintf("%x", "john")} {
		if strings.Contains(printed, person) {
			t.Errorf("%q is in %s", person, printed)
		}
	}
	if err := json.Unmarshal(text, new(Event)); err == nil {
		t.Error("an event that lost its person was read back: the request would be lost")
	}
}

// TestParseWebhookCost keeps a burst of webhooks cheap: few allocations, and
// memory that does not grow with the body.
func TestParseWebhookCost(t *testing.T) {
	note := strings.Repeat("note ", 1<<20/5)
	large := []byte(strings.Replace(customerUpdateBody, "This customer", note+"This customer", 1))
	for name, body := range map[string][]byte{"1.3 KB": []byte(customerUpdateBody), "1 MiB": large} {
		t.Run(name, func(t *testing.T) {
			header := signedHeader("customers/update", body, webhookSecret)
			header.Set("X-Shopify-Shop-Domain", "my-shop.myshopify.com")
			header.Set("X-Shopify-Triggered-At", "2025-07-10T16:15:47.123456Z")
			parse := func() {
				if _, err := ParseWebhook(header, body, webhookSecret); err != nil {
					t.Fatal(err)
				}
			}
			allocs := testing.AllocsPerRun(20, parse)
			size := uint64(1 << 62)
			for range 20 { // the least: other goroutines allocate too
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				parse()
				runtime.ReadMemStats(&after)
				size = min(size, after.TotalAlloc-before.TotalAlloc)
			}
			t.Logf("%v allocations, %d bytes", allocs, size)
			most := 12.0
			if underRace {
				most = 16
			}
			if allocs > most {
				t.Errorf("%v allocations, want at most %v", allocs, most)
			}
			if size > 1024 {
				t.Errorf("%d bytes beside the body, want at most 1024", size)
			}
		})
	}
}

func BenchmarkParseWebhook(b *testing.B) {
	body := []byte(customerUpdateBody)
	header := signedHeader("customers/update", body, webhookSecret)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseWebhook(header, body, webhookSecret); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzParseWebhook(f *testing.F) {
	for topic := range webhookReaders {
		f.Add(topic, []byte(customerUpdateBody))
		f.Add(topic, []byte(`{"customerId":"gid:\/\/shopify\/Customer\/1","customer_id":1}`))
		f.Add(topic, []byte(`{"admin_graphql_api_customer_kept_id":"1","admin_graphql_api_customer_deleted_id":"2","status":"failed"}`))
		f.Add(topic, []byte(`{"shop_id":1,"shop_domain":"a.myshopify.com"}`))
		f.Add(topic, []byte(`{"shop_id":1,"shop_domain":"a.myshopify.com","customer":{"id":1,"email":"a","phone":"1"},"orders_to_redact":[],"data_request":{"id":1}}`))
	}
	f.Add("customers/update", []byte(" {\"\\\"\":\"\\\\\",\"\xff\":[{}],\"id\":1 }"))
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		header := signedHeader(topic, body, webhookSecret)
		ev, err := ParseWebhook(header, body, webhookSecret)
		if err != nil {
			if !errors.Is(err, ErrInvalidWebhook) {
				t.Fatalf("error %v, want ErrInvalidWebhook", err)
			}
			return
		}
		for _, id := range ev.Customers {
			if id <= 0 {
				t.Fatalf("customer id %d", id)
			}
		}
		if _, known := webhookReaders[topic]; !known {
			return
		}
		// encoding/json must see the same members.
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("accepted, but encoding/json says: %v", err)
		}
		for key, value := range jsonValue(body).members() {
			var name string
			if err := json.Unmarshal([]byte(`"`+string(key)+`"`), &name); err != nil {
				t.Fatalf("key %q: %v", key, err)
			}
			if _, ok := want[name]; !ok {
				t.Fatalf("there is no member %q", name)
			}
			if !json.Valid(value) {
				t.Fatalf("member %q has the value %q", name, value)
			}
			delete(want, name)
			want[name] = json.RawMessage(value) // a key may come twice
		}
		if _, err := ParseWebhook(header, append(body, ' '), webhookSecret); !errors.Is(err, ErrInvalidSignature) {
			t.Fatalf("a changed body: error %v, want ErrInvalidSignature", err)
		}
	})
}
