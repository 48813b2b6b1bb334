package shopifysync_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
)

// loggedInCustomer returns the member number of a request that came through the
// shop's app proxy: empty if nobody is logged in, false if Shopify did not sign
// it for that shop a moment ago. The secret is the app's client secret.
func loggedInCustomer(q url.Values, shop shopifysync.Shop, secret string, now time.Time) (number string, ok bool) {
	var signed []string
	for key, values := range q {
		if key != "signature" {
			signed = append(signed, key+"="+strings.Join(values, ","))
		}
	}
	slices.Sort(signed)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(strings.Join(signed, "")))
	signature, err := hex.DecodeString(q.Get("signature"))
	if err != nil || !hmac.Equal(signature, mac.Sum(nil)) {
		return "", false
	}
	sent, err := strconv.ParseInt(q.Get("timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(sent, 0)).Abs() > 5*time.Minute || q.Get("shop") != string(shop) {
		return "", false
	}
	customer := q["logged_in_customer_id"] // once: a visitor may send some of their own
	if len(customer) != 1 {
		return "", false
	}
	if _, err := shopifysync.ParseCustomerID(customer[0]); err != nil && customer[0] != "" {
		return "", false
	}
	return customer[0], true
}

// The shop's page asks the host who is logged in, through the app proxy: only
// Shopify can sign that.
func ExampleSyncer_Member_appProxy() {
	// As Shopify's documentation has it.
	q, _ := url.ParseQuery("extra=1&extra=2&shop=shop-name.myshopify.com&logged_in_customer_id=1" +
		"&path_prefix=%2Fapps%2Fawesome_reviews&timestamp=1317327555" +
		"&signature=4c68c8624d737112c91818c11017d24d334b524cb5c2b8ba08daa056f7395ddb")
	now := time.Unix(1317327560, 0)
	number, ok := loggedInCustomer(q, "shop-name.myshopify.com", "hush", now)
	fmt.Println(number, ok) // for Syncer.Member

	q.Set("logged_in_customer_id", "2")
	fmt.Println(loggedInCustomer(q, "shop-name.myshopify.com", "hush", now))
	// Output:
	// 1 true
	//  false
}

func TestLoggedInCustomer(t *testing.T) {
	const shop, secret = "demo.myshopify.com", "hush"
	now := time.Unix(1_800_000_000, 0)
	query := func(pairs ...string) url.Values {
		q := url.Values{"shop": {shop}, "timestamp": {fmt.Sprint(now.Unix())}, "path_prefix": {"/apps/chat"}}
		for i := 0; i < len(pairs); i += 2 {
			q.Add(pairs[i], pairs[i+1])
		}
		return q
	}
	// signed signs as Shopify does: no separator, values by a comma, in order.
	signed := func(q url.Values, text string) url.Values {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(text))
		q.Set("signature", hex.EncodeToString(mac.Sum(nil)))
		return q
	}
	const rest = "path_prefix=/apps/chatshop=demo.myshopify.comtimestamp=1800000000"
	tests := map[string]struct {
		query url.Values
		now   time.Time
		want  string
		ok    bool
	}{
		"logged in":                 {signed(query("logged_in_customer_id", "7"), "logged_in_customer_id=7"+rest), now, "7", true},
		"nobody is":                 {signed(query("logged_in_customer_id", ""), "logged_in_customer_id="+rest), now, "", true},
		"a visitor's own, repeated": {signed(query("logged_in_customer_id", "7", "a", "2", "a", "1", "a-b", ""), "a-b=a=2,1logged_in_customer_id=7"+rest), now, "7", true},
		"two customers":             {signed(query("logged_in_customer_id", "7", "logged_in_customer_id", "8"), "logged_in_customer_id=7,8"+rest), now, "", false},
		"no such parameter":         {signed(query(), rest), now, "", false},
		"no number":                 {signed(query("logged_in_customer_id", "7logged_in_customer_id="), "logged_in_customer_id=7logged_in_customer_id="+rest), now, "", false},
		"no signature":              {query("logged_in_customer_id", "7"), now, "", false},
		"another customer":          {signed(query("logged_in_customer_id", "8"), "logged_in_customer_id=7"+rest), now, "", false},
		"old":                       {signed(query("logged_in_customer_id", "7"), "logged_in_customer_id=7"+rest), now.Add(time.Hour), "", false},
		"of the future":             {signed(query("logged_in_customer_id", "7"), "logged_in_customer_id=7"+rest), now.Add(-time.Hour), "", false},
		"another shop": {signed(url.Values{"shop": {"other.myshopify.com"}, "timestamp": {"1800000000"}, "logged_in_customer_id": {"7"}},
			"logged_in_customer_id=7shop=other.myshopify.comtimestamp=1800000000"), now, "", false},
	}
	for name, tt := range tests {
		if got, ok := loggedInCustomer(tt.query, shop, secret, tt.now); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %q, %v; want %q, %v", name, got, ok, tt.want, tt.ok)
		}
	}
	if _, ok := loggedInCustomer(tests["logged in"].query, shop, "another", now); ok {
		t.Error("another secret is taken")
	}
}

// What docs/operations.md shows is what is compiled and tested here.
func TestLoggedInCustomerIsDocumented(t *testing.T) {
	source, err := os.ReadFile("member_example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "```go\nfunc loggedInCustomer(")
	shown, _, _ = strings.Cut(shown, "```")
	if shown == "" || !strings.Contains(string(source), "\nfunc loggedInCustomer("+shown) {
		t.Error("docs/operations.md does not show loggedInCustomer as it is")
	}
}
