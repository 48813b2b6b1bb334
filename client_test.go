package shopifysync

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseShop(t *testing.T) {
	long := strings.Repeat("a", 63)
	tests := map[string]string{
		"demo.myshopify.com":                            "demo.myshopify.com",
		"https://demo.myshopify.com":                    "demo.myshopify.com",
		"https://demo.myshopify.com/":                   "demo.myshopify.com",
		"HTTPS://DEMO.MyShopify.com/":                   "demo.myshopify.com",
		"  demo.myshopify.com ":                         "demo.myshopify.com",
		"d-e-mo2.myshopify.com":                         "d-e-mo2.myshopify.com",
		"7.myshopify.com":                               "7.myshopify.com",
		"admin.shopify.com/store/demo":                  "demo.myshopify.com",
		"https://admin.shopify.com/store/Demo/":         "demo.myshopify.com",
		long + ".myshopify.com":                         long + ".myshopify.com",
		long + "a.myshopify.com":                        "",
		"":                                              "",
		"demo":                                          "",
		"www.demo.com":                                  "",
		"demo.com":                                      "",
		"http://demo.myshopify.com":                     "",
		"https://https://demo.myshopify.com":            "",
		"demo.myshopify.com//":                          "",
		"demo.myshopify.com.":                           "",
		"demo.myshopify.com\n":                          "",
		"demo.myshopify.com\x00":                        "",
		"\tdemo.myshopify.com":                          "",
		"demo.myshopify.com:443":                        "",
		"demo.myshopify.com:8080":                       "",
		"user@demo.myshopify.com":                       "",
		"attacker.example#.myshopify.com":               "",
		"attacker.example?.myshopify.com":               "",
		"attacker.example/.myshopify.com":               "",
		"attacker.example\\.myshopify.com":              "",
		"foo.myshopify.com.attacker.example":            "",
		"evil.com/myshopify.com":                        "",
		"evil.com%2f.myshopify.com":                     "",
		"evil.com@demo.myshopify.com":                   "",
		"a.b.myshopify.com":                             "",
		"-demo.myshopify.com":                           "",
		"demo-.myshopify.com":                           "",
		"de_mo.myshopify.com":                           "",
		".myshopify.com":                                "",
		"myshopify.com":                                 "",
		"demo.myshopify.io":                             "",
		"demo.shopify.com":                              "",
		"admin.shopify.com":                             "",
		"admin.shopify.com/store/":                      "",
		"admin.shopify.com/store/demo/products":         "",
		"admin.shopify.com/store/evil.com/":             "",
		"admin.shopify.com/store/../demo":               "",
		"https://admin.shopify.com/store/demo?x=1":      "",
		"d\u0435mo.myshopify.com":                       "", // Cyrillic
		"\u212Aing.myshopify.com":                       "", // Kelvin sign, which lowers to k
		"demo.mysh\u043Epify.com":                       "",
		"demo.myshopify\u3002com":                       "", // ideographic full stop
		"demo\u200b.myshopify.com":                      "",
		"demo.myshopify.com/" + strings.Repeat("a", 99): "",
		strings.Repeat("a", 100_000) + ".myshopify.com": "",
	}
	for in, want := range tests {
		shop, err := ParseShop(in)
		if string(shop) != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, ErrInvalidShop) {
			t.Errorf("ParseShop(%.60q) = %q, %v; want %q", in, shop, err, want)
		}
	}
	if _, err := ParseShop("www.example.com"); !strings.Contains(err.Error(), "Settings, Domains") {
		t.Errorf("the error does not say where to look: %v", err)
	}
	if Shop("demo.myshopify.com").Name() != "demo" {
		t.Error("Name")
	}
}

func FuzzParseShop(f *testing.F) {
	for _, s := range []string{"demo.myshopify.com", "https://Demo.myshopify.com/", "admin.shopify.com/store/demo", "a@b.myshopify.com", "\u212A.myshopify.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shop, err := ParseShop(s)
		if err != nil {
			if shop != "" || err != ErrInvalidShop { // its text is fixed and quotes nothing
				t.Fatalf("%q, %v", shop, err)
			}
			return
		}
		name, found := strings.CutSuffix(string(shop), ".myshopify.com")
		if !found || name == "" || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || name[0] == '-' || name[len(name)-1] == '-' {
			t.Fatalf("%q became %q", s, shop)
		}
		if again, err := ParseShop(string(shop)); err != nil || again != shop {
			t.Fatalf("%q is not stable: %q, %v", shop, again, err)
		}
		if !strings.Contains(strings.ToLower(s), name) {
			t.Fatalf("%q became %q", s, shop)
		}
	})
}

func TestSecretDoesNotPrint(t *testing.T) {
	const canary = "canary-4711"
	type inner struct {
		Token  Secret
		hidden Secret
	}
	type outer struct {
		Creds Credentials
		In    inner
		Ptr   *Secret
		Map   map[string]Secret
		List  []Secret
	}
	s := NewSecret(canary)
	v := outer{
		Creds: Credentials{AccessToken: s, ClientSecret: s, PreviousClientSecret: s},
		In:    inner{s, s}, Ptr: &s, Map: map[string]Secret{"k": s}, List: []Secret{s},
	}
	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		fmt.Fprintf(&printed, verb+"\n", s)
		fmt.Fprintf(&printed, verb+"\n", &s)
		fmt.Fprintf(&printed, verb+"\n", v)
		fmt.Fprintf(&printed, verb+"\n", &v)
	}
	fmt.Fprintln(&printed, s, v, errors.New(s.String()))
	js, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(js)
	var logged bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(h).Info("m", "secret", s, "struct", v, "ptr", &v, slog.Group("g", "s", s))
	}
	printed.WriteString(logged.String())
	printed.WriteString(cmp.Diff(s, NewSecret("other")))
	printed.WriteString(cmp.Diff(Credentials{AccessToken: s}, Credentials{AccessToken: NewSecret("other")}))
	hex := fmt.Sprintf("%x", canary)
	if out := printed.String(); strings.Contains(out, canary) || strings.Contains(strings.ToLower(out), hex) {
		t.Errorf("a secret was printed:\n%s", out)
	} else if !strings.Contains(out, "REDACTED") {
		t.Error("nothing was printed at all")
	}
}

func TestSecret(t *testing.T) {
	if s := NewSecret(" shpat_1\n"); s.Reveal() != "shpat_1" {
		t.Errorf("pasted white space stays: %q", s.Reveal())
	}
	var zero Secret
	if !zero.IsZero() || zero.Reveal() != "" || zero.String() != "" || !NewSecret("  ").IsZero() {
		t.Error("the zero Secret is not empty")
	}
	if !NewSecret("a").Equal(NewSecret("a")) || NewSecret("a").Equal(NewSecret("b")) || NewSecret("a").Equal(zero) {
		t.Error("Equal")
	}
	var c Credentials
	if err := json.Unmarshal([]byte(`{"AccessToken":"shpat_2","ClientSecret":""}`), &c); err != nil || c.AccessToken.Reveal() != "shpat_2" || !c.ClientSecret.IsZero() {
		t.Errorf("unmarshal: %v", err)
	}
	for _, bad := range []string{`"REDACTED"`, `7`, `{}`} {
		if err := json.Unmarshal([]byte(bad), &zero); err == nil {
			t.Errorf("%s is taken for a secret", bad)
		}
	}
	if err := zero.UnmarshalText([]byte("REDACTED")); err == nil {
		t.Error("a redacted text is taken for a secret")
	}
}

func TestCustomerID(t *testing.T) {
	tests := map[string]CustomerID{
		"706405506930370084":                        706405506930370084,
		"gid://shopify/Customer/706405506930370084": 706405506930370084,
		"1":                       1,
		"0":                       0,
		"":                        0,
		"-1":                      0,
		"+1":                      0,
		"1.0":                     0,
		"gid://shopify/Order/1":   0,
		"gid://shopify/Customer/": 0,
		"9223372036854775808":     0,
		" 1":                      0,
	}
	for in, want := range tests {
		got, err := ParseCustomerID(in)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("ParseCustomerID(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	const id = CustomerID(706405506930370084) // no float64 holds it
	js, _ := json.Marshal(map[string]CustomerID{"id": id})
	if string(js) != `{"id":"706405506930370084"}` {
		t.Errorf("JSON %s", js)
	}
	var back map[string]CustomerID
	if err := json.Unmarshal(js, &back); err != nil || back["id"] != id {
		t.Errorf("%v, %v", back, err)
	}
	if got, err := ParseCustomerID(id.GID()); err != nil || got != id {
		t.Errorf("%d, %v", got, err)
	}
}

func TestConnectionIsChecked(t *testing.T) {
	good := Connection{ID: "t", Shop: "demo.myshopify.com", Credentials: Credentials{AccessToken: NewSecret("x")}}
	if err := good.validate(nil); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Connection){
		"no id":             func(c *Connection) { c.ID = "" },
		"a NUL in the id":   func(c *Connection) { c.ID = "a\x00b" },
		"a long id":         func(c *Connection) { c.ID = ConnectionID(strings.Repeat("x", 256)) },
		"a custom domain":   func(c *Connection) { c.Shop = "www.demo.com" },
		"upper case":        func(c *Connection) { c.Shop = "Demo.myshopify.com" },
		"no credentials":    func(c *Connection) { c.Credentials = Credentials{} },
		"half credentials":  func(c *Connection) { c.Credentials = Credentials{ClientID: "x"} },
		"an odd version":    func(c *Connection) { c.APIVersion = "2024-05" },
		"a version path":    func(c *Connection) { c.APIVersion = "../2024-04" },
		"an empty WhatsApp": func(c *Connection) { c.WhatsApp = &WhatsAppSettings{} },
	} {
		c := good
		change(&c)
		if err := c.validate(nil); !errors.Is(err, ErrInvalidConnection) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, v := range []string{"2024-04", "2026-10", "unstable", ""} {
		c := good
		if c.APIVersion = v; c.validate(nil) != nil {
			t.Errorf("version %q is refused", v)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	err := fmt.Errorf("sync: %w", &APIError{Op: "CustomersPage", Code: "THROTTLED", StatusCode: 429, RequestID: "r1", RetryAfter: 2 * time.Second, Err: ErrThrottled})
	if d, ok := RetryAfter(err); !ok || d != 2*time.Second || !errors.Is(err, ErrThrottled) {
		t.Errorf("%v, %v", d, ok)
	}
	if _, ok := RetryAfter(ErrThrottled); ok {
		t.Error("a bare sentinel says nothing")
	}
	want := "sync: shopify CustomersPage: HTTP 429: THROTTLED: " + ErrThrottled.Error() + " (request r1)"
	if err.Error() != want {
		t.Errorf("%q", err)
	}
}
