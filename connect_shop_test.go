package shopifysync

import (
	"flag"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

var hostileShops = flag.Int("shops", 10_000, "how many hostile shop strings TestHostileShops generates")

// exactShop says, in other words than ParseShop, what is taken of what people
// paste: the one host, or the admin's address of the store.
var exactShop = regexp.MustCompile(`^ *(?i:https://)?(?:(?i:admin\.shopify\.com/store/)([A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)|([A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(?i:\.myshopify\.com))/? *$`)

// Thousands of strings made of what attacks are made of: only exact ones pass,
// and become nothing but their own store's host. A failing list is repeated by
// the seed that it prints.
func TestHostileShops(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	names := []string{"demo", "demo", "demo", "a", "7", "d-e-m-o", "DEMO", "-demo", "demo-", "de_mo", "d\u0435mo", "\u212Aing", "dem\u00f6", "xn--dem-vna", "", strings.Repeat("a", 63), strings.Repeat("a", 64), "a.b", "127.0.0.1", "[::1]", "localhost", "demo%2e", "demo\x00", "evil.com"}
	suffixes := []string{".myshopify.com", ".myshopify.com", ".myshopify.com", ".myshopify.com", ".MyShopify.com", ".myshopify.com.", ".myshopify.com.evil.com", ".myshopify.io", ".shopify.com", "myshopify.com", ".myshopify.com:443", ".myshopify.com:8443", ".mysh\u043Epify.com", ".myshopify\u3002com", ".myshopify.com\u200b", ".myshopify.c\u043Em", "%2emyshopify.com", ".myshopify.com%00", ".com"}
	befores := []string{"", "", "", "https://", "HTTPS://", "http://", "//", "https:/", "https://https://", "ftp://", "javascript:", "user@", "user:pw@", "https://user@", "https://evil.com@", "https://evil.com/", "https://evil.com#", "https://evil.com?", "https://evil.com\\", "https://evil.com%2f", "admin.shopify.com/store/", "https://admin.shopify.com/store/", "admin.shopify.com/", "evil.com/admin.shopify.com/store/", " ", "\t", "\n", "\ufeff", "\u200b"}
	afters := []string{"", "", "", "/", "//", " ", "\n", "\r\n", "\t", "/admin", "?x=1", "#", "@evil.com", ":80", "\\evil.com", "/..", "\x00", ";", ",other.myshopify.com", "%0d%0aX: y"}
	junk := []rune("aZ09-._~:/?#[]@!$&'()*+,;=%\\ \t\n\x00\u0430\u212A\u3002\uff0e\u200b\u202e\ufeff")
	passed := 0
	for range *hostileShops {
		s := pick(befores) + pick(names) + pick(suffixes) + pick(afters)
		switch random.IntN(4) {
		case 0: // one character more, fewer or otherwise
			runes := []rune(s)
			at := random.IntN(len(runes) + 1)
			switch {
			case at == len(runes) || random.IntN(3) == 0:
				s = string(runes[:at]) + string(junk[random.IntN(len(junk))]) + string(runes[at:])
			case random.IntN(2) == 0:
				s = string(runes[:at]) + string(runes[at+1:])
			default:
				runes[at] = junk[random.IntN(len(junk))]
				s = string(runes)
			}
		case 1:
			s = strings.TrimSuffix(s, pick(suffixes))
		}
		want := Shop("")
		if m := exactShop.FindStringSubmatch(s); m != nil {
			want = Shop(strings.ToLower(m[1]+m[2]) + ".myshopify.com")
			passed++
		}
		got, err := ParseShop(s)
		if got != want || (err == nil) != (want != "") {
			t.Fatalf("seed %d: ParseShop(%q) = %q, %v; want %q", seed, s, got, err, want)
		}
		// Whoever does without ParseShop gets no further with it.
		if exact := Shop(s); exact.valid() && exact != want {
			t.Fatalf("seed %d: %q counts as a store's host", seed, s)
		}
	}
	if passed < *hostileShops/1000 {
		t.Errorf("seed %d: only %d of them are exact: the others prove little", seed, passed)
	}
}
