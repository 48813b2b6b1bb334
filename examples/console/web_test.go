package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

var manyContacts = flag.Int("contacts", 0, "`number` of contacts with which the list is timed; default: 2,000, and not timed")

// Every page is whole in both languages: no template fails, no text is missing,
// and the headers are there.
func TestPages(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 120})
	id := c.connectDemo("demo-shop", "whatsapp", "yes", "account", "wa-tw", "country", "TW")
	c.sync(id)
	ming := c.demo.store("demo-shop").Newest(1)[0].ID
	c.post(fmt.Sprintf("/stores/%s/contacts/%d/tags", id, ming), "add", "老客戶")
	c.post(fmt.Sprintf("/stores/%s/chat", id), "member", fmt.Sprint(ming), "say", "您好", "as", "member")
	_, history := c.get("/stores/demo-shop/history")
	run := regexp.MustCompile(`/runs/[^"]+`).FindString(history)
	for _, lang := range languages {
		for path, wants := range map[string][]string{
			"/":                            {lang.HomeTitle, lang.OpenStore},
			"/connect":                     {lang.ConnectTitle, lang.VersionHint},
			"/connect?demo=big-shop":       {"https://big-shop.myshopify.com"},
			"/stores/demo-shop":            {lang.NavOverview, "127", lang.Health[shopifysync.HealthOK], "Omnichat 台灣"},
			"/stores/demo-shop/edit":       {lang.EditTitle, lang.SecretSaved},
			"/stores/demo-shop/disconnect": {lang.DisconnectTitle, fmt.Sprintf(lang.Parens, "127")},
			"/stores/demo-shop/sync":       {lang.SyncResult, "127", lang.Skip["tagged no-sync"]},
			"/stores/demo-shop/history":    {lang.Runs, lang.NoFailures},
			"/stores/demo-shop" + run:      {lang.SyncResult},
			"/stores/demo-shop/contacts":   {"王小明", "15,880 TWD"},
			fmt.Sprintf("/stores/demo-shop/contacts/%d", ming):    {"王小明", "老客戶", lang.PhoneOfCustomer, "886912345678", shopifysync.AttrSMSConsent.Label(lang.Lang)},
			fmt.Sprintf("/stores/demo-shop/chat?member=%d", ming): {"王小明", "老客戶", "您好"},
			"/stores/demo-shop/chat":                              {lang.LoggedInHint},
			"/stores/demo-shop/privacy":                           {lang.PrivacyLead},
			fmt.Sprintf("/shopify/demo-shop?customer=%d", ming):   {lang.ShopifyTitle, "shpss_demo", lang.ActRedact},
		} {
			resp, body := c.get(path, func(r *http.Request) { r.Header.Set("Accept-Language", lang.Lang) })
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", path, resp.Status)
			}
			for _, want := range append(wants, `lang="`+lang.Lang+`"`, "<h1") {
				if !strings.Contains(body, htmlText(want)) && !strings.Contains(body, want) {
					t.Errorf("%s (%s) lacks %q:\n%s", path, lang.Lang, want, body)
				}
			}
			if halfWidth := regexp.MustCompile(`[^\n>]*\p{Han} ?[:(!?][^\n<]*`).FindString(body); lang == &traditionalChinese && halfWidth != "" && !strings.Contains(halfWidth, "Omnichat") {
				t.Errorf("%s has punctuation of half the width: %q", path, halfWidth)
			}
			if !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
				t.Errorf("%s is cut off", path)
			}
			if i := strings.Index(body, "%!"); i >= 0 || strings.Contains(body, "ZgotmplZ") {
				t.Errorf("%s: a format went wrong", path)
			}
			if regexp.MustCompile(`(?i)<[^>]*\s(style|on[a-z]+)=|<style|<script>|https?://[^" ]*\.(js|css)`).MatchString(body) {
				t.Errorf("%s has inline script or style, or something from elsewhere", path)
			}
		}
	}
	if log := c.logged.errors(); log != "" {
		t.Error(log)
	}
}

// htmlText is a text as a template writes it.
func htmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(s)
}

func TestHeaders(t *testing.T) {
	c := startConsole(t, demoConfig{})
	for _, path := range []string{"/", "/no-such-page", "/static/console.css", "/static/console.js"} {
		resp, _ := c.get(path)
		want := map[string]string{
			"X-Content-Type-Options": "nosniff",
			"X-Frame-Options":        "DENY",
			"Referrer-Policy":        "same-origin",
		}
		for name, value := range want {
			if got := resp.Header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		csp := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy lacks %s: %s", path, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
	}
	resp, _ := c.post("/language", "to", "en", "back", "/")
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	u, _ := url.Parse(c.base)
	if cookies := c.client.Jar.Cookies(u); len(cookies) != 1 || cookies[0].Value != "en" {
		t.Errorf("cookies %v", cookies)
	}
}

// The cookie's marks, and where the switch may lead.
func TestLanguage(t *testing.T) {
	c := startConsole(t, demoConfig{})
	c.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for back, want := range map[string]string{
		"/connect?demo=x": "/connect?demo=x", "//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", "https://evil.example/": "/", "": "/", "connect": "/", "javascript:alert(1)": "/",
	} {
		resp, _ := c.post("/language", "to", "en", "back", back)
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("back %q leads to %q, want %q", back, got, want)
		}
		if cookie := resp.Header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
			t.Errorf("cookie %q", cookie)
		}
	}
	for header, want := range map[string]string{
		"": "zh-Hant-TW", "en-GB,en;q=0.9": "en", "zh-TW,zh;q=0.9,en;q=0.8": "zh-Hant-TW", "fr,en;q=0.5,zh;q=0.7": "zh-Hant-TW",
		"fr": "zh-Hant-TW", "de,en;q=0.1": "en", "en;q=0,zh;q=0.1": "zh-Hant-TW", ";;;,,q=": "zh-Hant-TW",
	} {
		r, _ := http.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Language", header)
		if got := language(r).Lang; got != want {
			t.Errorf("Accept-Language %q gives %s, want %s", header, got, want)
		}
		r.AddCookie(&http.Cookie{Name: languageCookie, Value: "en"})
		if got := language(r).Lang; got != "en" {
			t.Errorf("the cookie does not win over %q", header)
		}
	}
}

// Another site cannot make this browser act here.
func TestCrossOrigin(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 3})
	id := c.connectDemo("demo-shop")
	form := url.Values{"contacts": {"remove"}, "sure": {"yes"}}
	for name, change := range map[string]func(*http.Request){
		"cross-site":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"same-site":    func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"other origin": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") },
		"null origin":  func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") },
	} {
		resp, _ := c.do(http.MethodPost, storePath(id, "/disconnect"), form, change)
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if _, err := c.store.Connection(t.Context(), id); err != nil {
		t.Errorf("the connection: %v", err)
	}
	for _, host := range []string{"evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080", "10.0.0.1", ""} {
		resp, body := c.get("/", func(r *http.Request) { r.Host = host })
		if host != "" && resp.StatusCode != http.StatusMisdirectedRequest || strings.Contains(body, "demo-shop") && host != "" {
			t.Errorf("host %q: %s", host, resp.Status)
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:8080", "127.3.2.1:1"} {
		if resp, _ := c.get("/", func(r *http.Request) { r.Host = host }); resp.StatusCode != http.StatusOK {
			t.Errorf("host %q: %s", host, resp.Status)
		}
	}
	resp, _ := c.do(http.MethodPost, "/connect", url.Values{"shop": {strings.Repeat("x", 100_000)}})
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a form without end: %s", resp.Status)
	}
	for _, path := range []string{"/stores/demo-shop/sync", "/stores/demo-shop/disconnect", "/shopify/demo-shop"} {
		if resp, _ := c.do(http.MethodPut, path, url.Values{}); resp.StatusCode < 400 {
			t.Errorf("PUT %s: %s", path, resp.Status)
		}
	}
	for _, path := range []string{"/nothing", "/stores/unknown", "/stores/unknown/contacts", "/stores/demo-shop/contacts/1", "/stores/demo-shop/contacts/x", "/stores/demo-shop/runs/x", "/shopify/unknown", "/stores/demo-shop/contacts?after=x"} {
		if resp, body := c.get(path); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, english.NotFound) {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// Every mistake of the form is told beside its field, with the next click, and
// no secret comes back.
func TestConnectErrors(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 3})
	st := c.demo.store("demo-shop")
	good := func() url.Values {
		cfg := st.Config()
		return url.Values{"shop": {cfg.Domain}, "api_key": {cfg.ClientID}, "api_secret": {cfg.ClientSecret}, "token": {cfg.AccessToken}}
	}
	open := func(cfg *shopifytest.StoreConfig) {
		cfg.State, cfg.Access, cfg.NotPermitted = shopifytest.Open, shopifytest.FullAccess, false
		cfg.Scopes = []string{"read_customers", "read_customer_merge"}
	}
	tests := map[string]struct {
		form  func(url.Values)
		store func(*shopifytest.StoreConfig)
		field string // empty: above the form
	}{
		"invalid shop":       {form: func(f url.Values) { f.Set("shop", "https://www.example.com") }, field: "shop"},
		"shop not found":     {form: func(f url.Values) { f.Set("shop", "no-such-shop.myshopify.com") }, field: "shop"},
		"unauthorized":       {form: func(f url.Values) { f.Set("token", "shpat_wrong") }, field: "token"},
		"no api key":         {form: func(f url.Values) { f.Set("api_key", " ") }, field: "api_key"},
		"no secret":          {form: func(f url.Values) { f.Del("api_secret") }, field: "api_secret"},
		"no token":           {form: func(f url.Values) { f.Del("token") }, field: "token"},
		"scope missing":      {store: func(cfg *shopifytest.StoreConfig) { cfg.Scopes = []string{"read_products"} }, field: "token"},
		"protected data":     {store: func(cfg *shopifytest.StoreConfig) { cfg.Access = shopifytest.NoPersonalData }, field: "token"},
		"frozen":             {store: func(cfg *shopifytest.StoreConfig) { cfg.State = shopifytest.Frozen }},
		"locked":             {store: func(cfg *shopifytest.StoreConfig) { cfg.State = shopifytest.Locked }},
		"other organisation": {form: func(f url.Values) { f.Set("no_token", "yes") }, store: func(cfg *shopifytest.StoreConfig) { cfg.NotPermitted = true }, field: "api_key"},
	}
	for key, test := range tests {
		t.Run(key, func(t *testing.T) {
			st.Configure(open)
			form := good()
			if test.form != nil {
				test.form(form)
			}
			if test.store != nil {
				st.Configure(test.store)
			}
			resp, body := c.do(http.MethodPost, "/connect", form)
			if resp.StatusCode != http.StatusUnprocessableEntity {
				t.Fatalf("%s\n%s", resp.Status, body)
			}
			text := english.Problems[key]
			if !strings.Contains(body, htmlText(text.Text)) || !strings.Contains(body, htmlText(text.Next)) {
				t.Errorf("the page does not say %q and %q:\n%s", text.Text, text.Next, body)
			}
			if beside := strings.Contains(body, `id="`+test.field+`-problem"`); beside != (test.field != "") {
				t.Errorf("the error stands elsewhere than beside %q:\n%s", test.field, body)
			}
			for _, secret := range []string{form.Get("api_secret"), form.Get("token")} {
				if secret != "" && strings.Contains(body, secret) {
					t.Error("a secret comes back")
				}
			}
			got, err := c.store.ListConnections(t.Context(), shopifysync.ListConnectionsParams{Limit: 1})
			if err != nil || len(got.Connections) > 0 {
				t.Errorf("saved all the same: %v %v", got.Connections, err)
			}
			// What was typed before the error need not be typed again.
			st.Configure(open)
			typed := regexp.MustCompile(`name="typed" value="([^"]*)"`).FindStringSubmatch(body)[1]
			if key != "invalid shop" {
				return
			}
			again := url.Values{"shop": {st.Config().Domain}, "api_key": {st.Config().ClientID}, "typed": {typed}}
			resp, body = c.do(http.MethodPost, "/connect", again)
			if !strings.HasPrefix(resp.Request.URL.Path, "/stores/") {
				t.Fatalf("with what was typed before: %s\n%s", resp.Status, body)
			}
			if _, err := c.syncer.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: "demo-shop", RemoveContacts: true}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Secrets are in the database encrypted, and nowhere else.
func TestSecretsStayIn(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 20})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	cfg := c.demo.store("demo-shop").Config()
	for _, path := range []string{"", "/edit", "/sync", "/history", "/disconnect"} {
		_, body := c.get(storePath(id, path))
		for _, secret := range []string{cfg.AccessToken, cfg.ClientSecret} {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows a secret", path)
			}
		}
	}
	var kept, path string
	if err := c.db.QueryRow(`SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&path); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		kept += string(b)
	}
	if !strings.Contains(kept, cfg.ClientID) {
		t.Fatal("the file read is not the database")
	}
	for _, secret := range []string{cfg.AccessToken, cfg.ClientSecret} {
		if strings.Contains(kept, secret) || strings.Contains(c.logged.String(), secret) {
			t.Error("a secret is in the database or the log")
		}
	}
	for _, suffix := range []string{"", "-wal", ".key"} {
		if info, err := os.Stat(path + suffix); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file with suffix %q: %v %v", suffix, info, err)
		}
	}
}

func TestKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db.key")
	if _, err := encryptionKey(file); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := encryptionKey(file); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(file); !cmp.Equal(first, again) {
		t.Error("the key changed at the second start")
	}
	if err := os.WriteFile(file, first[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := encryptionKey(file); err == nil {
		t.Error("half a key is taken")
	}
}

// Names of people who mean harm are text.
func TestEscaping(t *testing.T) {
	c := startConsole(t, demoConfig{})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	var hostile int64
	for _, one := range c.demo.store("demo-shop").Newest(20) {
		if one.Email == "hostile@example.com" {
			hostile = one.ID
		}
	}
	c.post(fmt.Sprintf("/stores/demo-shop/contacts/%d/tags", hostile), "add", `"><script>alert(2)</script>`)
	c.post("/stores/demo-shop/chat", "member", fmt.Sprint(hostile), "say", `<img src=x onerror=alert(3)>`, "as", "member")
	for _, path := range []string{
		"/stores/demo-shop/contacts", fmt.Sprintf("/stores/demo-shop/contacts/%d", hostile), fmt.Sprintf("/stores/demo-shop/chat?member=%d", hostile),
		"/stores/demo-shop/contacts?q=" + url.QueryEscape(`"><script>alert(4)</script>`), fmt.Sprintf("/shopify/demo-shop?customer=%d", hostile),
		"/?done=" + url.QueryEscape("<script>alert(5)</script>"), "/connect?demo=" + url.QueryEscape("<script>"),
	} {
		_, body := c.get(path)
		if regexp.MustCompile(`<script>|<img src=x|<i>tag`).MatchString(body) {
			t.Errorf("%s takes a text for markup:\n%s", path, body)
		}
	}
	_, body := c.post("/stores/demo-shop/privacy", "by", "email", "who", "hostile@example.com", "do", "export")
	if !strings.Contains(body, "&lt;script&gt;") || strings.Contains(body, "<script>alert") {
		t.Errorf("the export:\n%s", body)
	}
	resp, body := c.post("/stores/demo-shop/privacy", "by", "email", "who", "hostile@example.com", "do", "download")
	if got := resp.Header.Get("Content-Type"); got != "application/json" || strings.Contains(body, "<script>") {
		t.Errorf("the download: %s\n%s", got, body)
	}
	if !strings.Contains(body, "alert(2)") || !strings.Contains(body, "alert(3)") {
		t.Errorf("the download lacks what the host itself keeps:\n%s", body)
	}
}

// An erasure takes what the host keeps along, and nothing is kept anew.
func TestErase(t *testing.T) {
	c := startConsole(t, demoConfig{})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	ming := c.demo.store("demo-shop").Newest(1)[0]
	tags, chat := fmt.Sprintf("/stores/demo-shop/contacts/%d/tags", ming.ID), "/stores/demo-shop/chat"
	write := func() {
		c.post(tags, "add", "canary-tag")
		c.post(chat, "member", fmt.Sprint(ming.ID), "say", "canary-message", "as", "member")
	}
	write()
	_, body := c.post("/stores/demo-shop/privacy", "by", "phone", "who", "+886 912-345-678", "do", "erase")
	if !strings.Contains(body, english.EraseNotSure) || strings.Contains(body, english.Erased) {
		t.Errorf("erased without confirmation:\n%s", body)
	}
	_, body = c.post("/stores/demo-shop/privacy", "by", "id", "who", fmt.Sprint(ming.ID), "do", "erase", "sure", "yes")
	if !strings.Contains(body, english.Erased) || strings.Contains(body, ming.Email) {
		t.Errorf("the receipt:\n%s", body)
	}
	write() // as from a page that was open all the time
	for _, table := range []string{"console_tags", "console_messages"} {
		var n int
		if err := c.db.QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&n); err != nil || n > 0 {
			t.Errorf("%s has %d rows: %v", table, n, err)
		}
	}
	c.sync(id)
	if _, body = c.get("/stores/demo-shop/contacts?q=xiaoming"); !strings.Contains(body, english.NothingFound) {
		t.Error("the person is back")
	}
	if got := c.logged.String(); strings.Contains(got, ming.Email) || strings.Contains(got, "canary") {
		t.Error("the log has personal data")
	}
}

// Paging shows everybody once, with any filter, and the numbers fit.
func TestContactsPaging(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 173})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	ids := regexp.MustCompile(`/stores/demo-shop/contacts/(\d+)`)
	next := regexp.MustCompile(`href="([^"]+)" rel="next"`)
	seen := map[string]int{}
	path, pages := "/stores/demo-shop/contacts", 0
	for path != "" {
		_, body := c.get(path)
		for _, m := range ids.FindAllStringSubmatch(body, -1) {
			seen[m[1]]++
		}
		path = ""
		if m := next.FindStringSubmatch(body); m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
		if pages++; pages > 10 {
			t.Fatal("the pages do not end")
		}
	}
	if len(seen) != 180 || pages != 4 {
		t.Errorf("%d contacts on %d pages, want 180 on 4", len(seen), pages)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("contact %s is listed %d times", id, n)
		}
	}
	for query, want := range map[string]string{
		"tag=VIP&spent=15%2C000&email_consent=SUBSCRIBED": "王小明",
		"q=%20xiaoming":      "王小明",
		"q=0912345678":       "林志豪",
		"orders=many":        english.NotANumber,
		"spent=-1":           english.NotANumber,
		"spent=1e5":          english.NotANumber,
		"spent=.5":           english.NotANumber,
		"q=%25":              english.NothingFound,
		"q=%00":              english.NothingFound,
		"email_consent=NONE": english.NothingFound,
	} {
		resp, body := c.get("/stores/demo-shop/contacts?" + query)
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %s, lacks %q", query, resp.Status, want)
		}
	}
}

// Pages of a long list, searches and filters find what they should. With
// -contacts 100000 each must also be answered within 100 ms, by the quickest of
// some answers: the machine may be busy.
func TestManyContacts(t *testing.T) {
	const limit = 100 * time.Millisecond
	many := *manyContacts
	if many == 0 {
		many = 2000
	}
	c := startConsole(t, demoConfig{})
	id := c.connectDemo("demo-shop")
	now := time.Now().UTC().Truncate(time.Second)
	for n := 0; n < many; n += 1000 {
		p := shopifysync.UpsertContactsParams{Connection: id}
		for i := n; i < n+1000; i++ {
			p.Contacts = append(p.Contacts, shopifysync.Contact{
				Connection: id, CustomerID: shopifysync.CustomerID(8_000_000_000_000 + i), Version: shopifysync.Version{UpdatedAt: now, ObservedAt: now},
				Name: fmt.Sprintf("王小明%d", i), Email: fmt.Sprintf("member%d@example.com", i), Phone: fmt.Sprintf("+8869%08d", i), PhoneSource: shopifysync.PhoneCustomer,
				Tags: []string{"VIP", fmt.Sprintf("第%d批", i/1000)},
				Attributes: []shopifysync.Attribute{
					shopifysync.ConsentAttribute(shopifysync.AttrEmailConsent, shopifysync.Consent{State: shopifysync.ConsentSubscribed}),
					shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, fmt.Sprint(i%50)),
				},
			})
		}
		if _, err := c.store.UpsertContacts(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	last := shopifysync.CustomerID(8_000_000_000_000 + many/2)
	for _, query := range []string{
		"", "q=member9", fmt.Sprintf("q=member%d%%40", many-1), "q=" + url.QueryEscape("小明123"), "q=nobody", "tag=VIP&orders=49&email_consent=SUBSCRIBED",
		"q=0912", "after=" + last.String(), "q=member&after=" + last.String(),
	} {
		best := time.Hour
		for range 7 {
			began := time.Now()
			resp, body := c.get("/stores/demo-shop/contacts?" + query)
			best = min(best, time.Since(began))
			want := "王小明"
			if query == "q=nobody" {
				want = english.NothingFound
			}
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, want) {
				t.Fatalf("%q: %s, lacks %q", query, resp.Status, want)
			}
			if *manyContacts == 0 {
				break
			}
		}
		t.Logf("%d contacts, %q: %v", many, query, best.Round(time.Millisecond/10))
		if *manyContacts > 0 && best > limit {
			t.Errorf("%d contacts, %q: %v, more than %v", many, query, best, limit)
		}
	}
}

// A sync that a page started goes on without the page, and ends with the process.
func TestJobs(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 5000, slow: true})
	id := c.connectDemo("demo-shop")
	_, body := c.post("/stores/demo-shop/sync")
	if !strings.Contains(body, english.SyncRunning) || !strings.Contains(body, `<meta http-equiv="refresh"`) {
		t.Fatalf("the page does not show the progress, or only with JavaScript:\n%s", body)
	}
	first := c.jobs.of(id)
	c.post("/stores/demo-shop/sync")
	if c.jobs.of(id) != first {
		t.Error("a second sync was begun beside the first")
	}
	_, body = c.post("/stores/demo-shop/cancel")
	if first.running() || !strings.Contains(body, english.RunState[shopifysync.RunCancelled]) || !strings.Contains(body, english.ResumeSync) {
		t.Errorf("after the cancellation:\n%s", body)
	}
	c.demo.store("demo-shop").Configure(func(cfg *shopifytest.StoreConfig) { cfg.Latency = 0 })
	body = c.sync(id)
	if !strings.Contains(body, english.RunState[shopifysync.RunCompleted]) || !strings.Contains(body, "5,008 customers") {
		t.Errorf("after it was resumed:\n%s", body)
	}
}

// Who asks for a sync while Serve is at one is shown that one, not a failure.
func TestSyncInProgress(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 30})
	id := c.connectDemo("demo-shop")
	var during, overview string
	c.demo.store("demo-shop").Inject(shopifytest.Fault{Operation: "CustomersPage", Edit: func(map[string]any) {
		_, during = c.post(storePath(id, "/sync"))
		_, overview = c.get(storePath(id, ""))
	}})
	if _, err := c.syncer.Sync(t.Context(), shopifysync.SyncParams{Connection: id}); err != nil { // as Serve does
		t.Fatal(err)
	}
	if wrong := english.Problems["in progress"].Text; !strings.Contains(during, english.SyncRunning) || strings.Contains(during, wrong) {
		t.Errorf("while it runs:\n%s", during)
	}
	if strings.Contains(overview, ">"+english.SyncNow+"<") || strings.Contains(overview, ">"+english.Preview+"<") {
		t.Errorf("the overview offers another sync meanwhile:\n%s", overview)
	}
	if _, body := c.get(storePath(id, "/sync")); !strings.Contains(body, english.RunState[shopifysync.RunCompleted]) {
		t.Errorf("afterwards:\n%s", body)
	}
	if _, body := c.get(storePath(id, "")); !strings.Contains(body, ">"+english.SyncNow+"<") {
		t.Errorf("the overview offers no sync afterwards:\n%s", body)
	}
}

// What failed is not announced as done, and the log has what the page cannot say.
func TestFailuresAreTold(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 3})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	st := c.demo.store("demo-shop")
	for path, done := range map[string]string{"/check": "checked", "/catch-up": "caught-up"} {
		for key, trouble := range map[string]shopifytest.Fault{
			"":        {Operation: "none"},
			"frozen":  {Times: shopifytest.Always, Status: http.StatusPaymentRequired},
			"unknown": {Times: shopifytest.Always, Errors: []shopifytest.GraphQLError{{Message: "a canary"}}},
		} {
			st.Inject(trouble)
			_, body := c.post(storePath(id, path))
			st.ClearFaults()
			if got := strings.Contains(body, english.Done[done]); got != (key == "") {
				t.Errorf("%s, %q: announced as done: %v\n%s", path, key, got, body)
			}
			if key != "" && !strings.Contains(body, htmlText(english.Problems[key].Text)) {
				t.Errorf("%s: the page does not say what is wrong (%s):\n%s", path, key, body)
			}
			if logged := c.logged.errors() != ""; logged != (key == "unknown") {
				t.Errorf("%s, %q: logged: %v\n%s", path, key, logged, c.logged.errors())
			}
			c.logged.reset()
			if _, err := c.syncer.Check(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	trouble := shopifytest.Fault{Times: shopifytest.Always, Errors: []shopifytest.GraphQLError{{Message: "a canary"}}}
	cfg := st.Config()
	for name, ask := range map[string]func() (*http.Response, string){
		"edit": func() (*http.Response, string) {
			return c.post(storePath(id, "/edit"), "shop", cfg.Domain, "api_key", cfg.ClientID)
		},
		"chat": func() (*http.Response, string) { return c.get(storePath(id, "/chat?member=987654321")) },
	} {
		st.Inject(trouble)
		_, body := ask()
		st.ClearFaults()
		if !strings.Contains(body, english.Problems["unknown"].Text) || c.logged.errors() == "" {
			t.Errorf("%s: the log has nothing of\n%s", name, body)
		}
		c.logged.reset()
	}
}

// A run that Serve began is cancelled from its page as well.
func TestCancelServesRun(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 30})
	id := c.connectDemo("demo-shop")
	c.demo.store("demo-shop").Inject(shopifytest.Fault{Operation: "CustomersPage", Hang: true})
	ended := make(chan error, 1)
	go func() {
		_, err := c.syncer.Sync(t.Context(), shopifysync.SyncParams{Connection: id}) // as Serve does
		ended <- err
	}()
	var body string
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(body, english.CancelSync); pause(t.Context(), 10*time.Millisecond) {
		if _, body = c.get(storePath(id, "/sync")); time.Now().After(deadline) {
			t.Fatalf("no run to cancel:\n%s", body)
		}
	}
	if _, body = c.post(storePath(id, "/cancel")); !strings.Contains(body, english.RunState[shopifysync.RunCancelled]) || !strings.Contains(body, english.ResumeSync) {
		t.Errorf("afterwards:\n%s", body)
	}
	if err := <-ended; !errors.Is(err, shopifysync.ErrCancelled) || c.runs.any() {
		t.Errorf("error %v, a run is left: %v", err, c.runs.any())
	}
}

// Whoever closed a sync's page is told of its end on every page of the store,
// until the result was seen.
func TestToldAtTheEnd(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 30})
	id := c.connectDemo("demo-shop")
	done := fmt.Sprintf(english.SyncDone, "37", "0", "0")
	frozen := fmt.Sprintf(english.SyncFailed, english.Problems["frozen"].Text)
	for _, test := range []struct {
		name, want string
		fault      shopifytest.Fault
		by         func() // runs a sync and waits for its end, without its page
	}{
		{"a page's", done, shopifytest.Fault{Operation: "none"}, func() { <-c.jobs.start(shopifysync.SyncParams{Connection: id}).done }},
		{"Serve's own", "", shopifytest.Fault{Operation: "none"}, func() { c.syncer.Sync(t.Context(), shopifysync.SyncParams{Connection: id}) }},
		{"a preview", "", shopifytest.Fault{Operation: "none"}, func() { <-c.jobs.start(shopifysync.SyncParams{Connection: id, DryRun: true}).done }},
		{"one that fails", frozen, shopifytest.Fault{Operation: "CustomersPage", Times: shopifytest.Always, Status: http.StatusPaymentRequired}, func() { <-c.jobs.start(shopifysync.SyncParams{Connection: id}).done }},
	} {
		c.demo.store("demo-shop").Inject(test.fault)
		test.by()
		c.demo.store("demo-shop").ClearFaults()
		for _, path := range []string{"/contacts", "/history", ""} {
			_, body := c.get(storePath(id, path))
			if told := strings.Contains(body, htmlText(done)) || strings.Contains(body, htmlText(frozen)); told != (test.want != "") || !strings.Contains(body, htmlText(test.want)) {
				t.Errorf("%s: %q says of its end: %v, want %q\n%s", test.name, path, told, test.want, body)
			}
		}
		c.get(storePath(id, "/sync"))
		if _, body := c.get(storePath(id, "/contacts")); strings.Contains(body, htmlText(english.OpenSync)) {
			t.Errorf("%s: told of once more after it was seen:\n%s", test.name, body)
		}
	}
}

// With the policy that asks for it the WhatsApp marketing consent is read, shown,
// and decides.
func TestWhatsAppConsent(t *testing.T) {
	c := startConsole(t, demoConfig{})
	whatsApp := []string{"whatsapp", "yes", "account", "wa-tw", "country", "TW"}
	id := c.connectDemo("demo-shop", append(whatsApp, "policy", "subscribed")...)
	c.sync(id)
	if _, body := c.get(storePath(id, "")); !strings.Contains(body, "asked 2026-07 · served 2026-07") {
		t.Errorf("the overview:\n%s", body)
	}
	newest := c.demo.store("demo-shop").Newest(3)
	label := shopifysync.AttrWhatsAppConsent.Label("en")
	for i, want := range map[int]struct {
		state shopifysync.ConsentState
		is    bool
	}{0: {shopifysync.ConsentSubscribed, true}, 2: {shopifysync.ConsentUnsubscribed, false}} {
		_, body := c.get(storePath(id, fmt.Sprintf("/contacts/%d", newest[i].ID)))
		row := regexp.MustCompile(`<th scope="row">` + label + `</th>.*`).FindString(body)
		if !strings.Contains(row, want.state.Label("en")) || !strings.Contains(row, english.Origins["OTHER"]) {
			t.Errorf("%s %s: %s", newest[i].LastName, newest[i].FirstName, row)
		}
		if is := strings.Contains(body, "Omnichat 台灣"); is != want.is {
			t.Errorf("%s %s is a WhatsApp contact: %v", newest[i].LastName, newest[i].FirstName, is)
		}
	}
	cfg := c.demo.store("demo-shop").Config()
	c.post(storePath(id, "/edit"), append(whatsApp, "shop", cfg.Domain, "api_key", cfg.ClientID)...)
	if conn, err := c.store.Connection(t.Context(), id); err != nil || conn.APIVersion != "" {
		t.Errorf("without the policy API version %q is asked for: %v", conn.APIVersion, err)
	}
}

// A mass removal is confirmed for the number that was shown, and on the last
// run's page alone.
func TestMassRemoval(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 400})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	st := c.demo.store("demo-shop")
	st.drop(true)
	remove := func(n int) {
		for one := range st.All() {
			if n--; n < 0 {
				break
			}
			if err := st.Delete(one.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	confirm := regexp.MustCompile(`name="confirm" value="([^"]+)"`)
	remove(100)
	body := c.sync(id)
	first := confirm.FindStringSubmatch(body)
	if first == nil || !strings.Contains(body, "At most 100 of the 407 contacts") || !strings.Contains(body, "up to 100 customers") {
		t.Fatalf("the question:\n%s", body)
	}
	remove(50) // more than was shown
	body = c.sync(id, "confirm", first[1], "sure", "yes")
	second := confirm.FindStringSubmatch(body)
	if second == nil || !strings.Contains(body, "At most 150 of the 407 contacts") {
		t.Fatalf("more than was confirmed:\n%s", body)
	}
	if _, body = c.get(storePath(id, "/runs/"+first[1])); confirm.MatchString(body) || !strings.Contains(body, "At most 100") {
		t.Errorf("an old run asks once more:\n%s", body)
	}
	if body = c.sync(id, "confirm", first[1], "sure", "yes"); !strings.Contains(body, english.Problems["mass removal"].Text) {
		t.Errorf("an old answer counts:\n%s", body)
	}
	last := confirm.FindStringSubmatch(body)
	if body = c.sync(id, "confirm", last[1], "sure", "yes"); !strings.Contains(body, english.RunState[shopifysync.RunCompleted]) {
		t.Errorf("confirmed:\n%s", body)
	}
}

// The stream tells of changes, and ends with the server.
func TestEvents(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/events", nil)
	resp, err := c.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	read := func() string {
		b := make([]byte, 512)
		n, err := resp.Body.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	if got := read(); got != "retry: 2000\n\n" {
		t.Errorf("the stream begins %q", got)
	}
	c.signal.tell()
	if got := read(); got != "data: changed\n\n" {
		t.Errorf("after a change: %q", got)
	}
}

// simplified are characters that Traditional Chinese does not use.
const simplified = "们个这为国对会时来学发经点现没样电话过还进实关务动简体户顾联邮设应错误请输选择开启闭单认连结网页订阅导删编显说员区签码费货币历记录数读写传统讯测试" +
	"验证处级种类组织权仅转换许项风险护营销见长门问间让变贴轻载较违适逻遗态状询软优标题图热线价紧络总览从与内并兴决减别剂则办劳势协参双听围园场坏块坚声备够头奖妇宝审宽将层岁帐库废张归忆怀战扩抢报担拥拨挥损据摆旧术机杂条构枪树桥检横欢"

// Both languages have every text, with the same formats.
func TestTexts(t *testing.T) {
	verbs := regexp.MustCompile(`%[.\d]*[a-z]`)
	var compare func(path string, a, b reflect.Value)
	compare = func(path string, a, b reflect.Value) {
		switch a.Kind() {
		case reflect.String:
			if empty := path == `Levels[""]`; !empty && (strings.TrimSpace(a.String()) == "" || strings.TrimSpace(b.String()) == "") {
				t.Errorf("%s is empty in a language", path)
			}
			if i := strings.IndexAny(a.String(), simplified); i >= 0 {
				t.Errorf("%s has Simplified characters: %q", path, a.String()[i:])
			}
			if diff := cmp.Diff(verbs.FindAllString(a.String(), -1), verbs.FindAllString(b.String(), -1)); diff != "" {
				t.Errorf("%s: other formats (-zh-Hant +en):\n%s", path, diff)
			}
		case reflect.Struct:
			for i := range a.NumField() {
				compare(strings.TrimPrefix(path+"."+a.Type().Field(i).Name, "."), a.Field(i), b.Field(i))
			}
		case reflect.Slice:
			if a.Len() != b.Len() || a.Len() == 0 {
				t.Errorf("%s has %d and %d texts", path, a.Len(), b.Len())
				return
			}
			for i := range a.Len() {
				compare(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i))
			}
		case reflect.Map:
			if a.Len() == 0 {
				t.Errorf("%s is empty", path)
			}
			for _, pair := range [][2]reflect.Value{{a, b}, {b, a}} {
				for _, key := range pair[0].MapKeys() {
					at := fmt.Sprintf("%s[%q]", path, key.String())
					if other := pair[1].MapIndex(key); !other.IsValid() {
						t.Errorf("%s is in one language only", at)
					} else {
						compare(at, pair[0].MapIndex(key), other)
					}
				}
			}
		default:
			t.Errorf("%s: a %s", path, a.Kind())
		}
	}
	compare("", reflect.ValueOf(traditionalChinese), reflect.ValueOf(english))
	for _, k := range known {
		if english.Problems[k.key].Text == "" {
			t.Errorf("no text for %v", k.err)
		}
	}
}

// The program starts, says where it is, keeps what it has over a restart, and
// stops when it is told to.
func TestRun(t *testing.T) {
	db := filepath.Join(t.TempDir(), "a name? 100%#.db")
	for round := range 2 {
		c, stop := runProgram(t, "-db", db)
		_, body := c.get("/")
		if connected := strings.Contains(body, english.ConnectedStores); connected != (round == 1) {
			t.Errorf("round %d: %s", round, body)
		}
		resp, body := c.post("/connect", "shop", "demo-shop.myshopify.com", "api_key", "demo-api-key-11111111", "api_secret", "shpss_demo11111111", "token", "shpat_demo11111111")
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, english.Done["connected"]) {
			t.Errorf("round %d: %s\n%s", round, resp.Status, body)
		}
		if err := stop(); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
}

// runProgram runs the program until stop is called.
func runProgram(t *testing.T, args ...string) (c *testConsole, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := new(syncBuffer)
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, append([]string{"-addr", "127.0.0.1:0", "-customers", "5", "-many", "5"}, args...), out, out)
	}()
	var base string
	for deadline := time.Now().Add(20 * time.Second); base == "" && time.Now().Before(deadline); pause(t.Context(), 10*time.Millisecond) {
		base = strings.TrimSuffix(regexp.MustCompile(`http://\S+/`).FindString(out.String()), "/")
	}
	c = &testConsole{t: t, base: base, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	return c, func() error { cancel(); return <-ended }
}

// The demonstration begins anew each time, as its stores do, and leaves nothing.
func TestRunDemo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("HOME", dir)
	for range 2 {
		c, stop := runProgram(t)
		if _, body := c.get("/"); strings.Contains(body, english.ConnectedStores) || !strings.Contains(body, english.DemoStores) {
			t.Errorf("the first page:\n%s", body)
		}
		if _, body := c.post("/connect", "shop", "demo-shop.myshopify.com", "api_key", "demo-api-key-11111111", "api_secret", "shpss_demo11111111", "token", "shpat_demo11111111"); !strings.Contains(body, english.Done["connected"]) {
			t.Errorf("connect:\n%s", body)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// For real stores there is no demonstration, and from outside only webhooks
// are let in.
func TestReal(t *testing.T) {
	cfg, err := parse([]string{"-real", "-public", "https://console.example.com/", "-webhooks", "127.0.0.1:8081"})
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, cfg)
	if _, body := c.get("/"); !strings.Contains(body, english.NoStores) || strings.Contains(body, english.DemoStores) {
		t.Errorf("the first page:\n%s", body)
	}
	for _, path := range []string{"/shopify", "/shopify/demo-shop"} {
		if resp, _ := c.get(path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	// Whatever name a proxy gives the host.
	outside := *c
	outside.base = c.hooks
	for _, host := range []string{"console.example.com", "127.0.0.1"} {
		as := func(r *http.Request) { r.Host = host; r.Header.Del("Sec-Fetch-Site") }
		for path, want := range map[string]int{
			webhookPath: http.StatusUnauthorized, webhookPath + "/x": http.StatusUnauthorized, // without a signature
			"/": http.StatusNotFound, "/connect": http.StatusNotFound, "/static/console.js": http.StatusNotFound, "/events": http.StatusNotFound,
			webhookPath + "x": http.StatusNotFound, webhookPath + "/../../connect": http.StatusNotFound,
		} {
			if resp, _ := outside.do(http.MethodPost, path, url.Values{}, as); resp.StatusCode != want {
				t.Errorf("POST %s from outside as %s: %s, want %d", path, host, resp.Status, want)
			}
		}
		if resp, body := outside.do(http.MethodGet, "/", nil, as); resp.StatusCode != http.StatusNotFound {
			t.Errorf("the first page from outside as %s: %s\n%s", host, resp.Status, body)
		}
	}
	for _, host := range []string{"console.example.com", "localhost"} { // and the pages take no webhooks
		resp, _ := c.do(http.MethodPost, webhookPath, url.Values{}, func(r *http.Request) { r.Host = host })
		if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("a webhook to the pages' address as %s: %s", host, resp.Status)
		}
	}
}

func TestFlags(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown":         {"-frobnicate"},
		"argument":        {"x"},
		"all interfaces":  {"-addr", ":8080"},
		"another machine": {"-addr", "192.0.2.1:80"},
		"by name":         {"-addr", "example.com:80"},
		"without a port":  {"-addr", "127.0.0.1"},
		"too many":        {"-customers", "100000000"},
		"public, demo":    {"-public", "https://console.example.com", "-webhooks", "127.0.0.1:8081"},
		"public, http":    {"-real", "-public", "http://console.example.com", "-webhooks", "127.0.0.1:8081"},
		"public, a path":  {"-real", "-public", "https://console.example.com/x", "-webhooks", "127.0.0.1:8081"},
		"public, pages":   {"-real", "-public", "https://console.example.com"},
		"webhooks, same":  {"-real", "-public", "https://console.example.com", "-webhooks", "127.0.0.1:8080"},
		"webhooks, all":   {"-real", "-public", "https://console.example.com", "-webhooks", ":8081"},
		"webhooks, alone": {"-real", "-webhooks", "127.0.0.1:8081"},
	} {
		if _, err := parse(args); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, args := range [][]string{nil, {"-addr", "localhost:0"}, {"-addr", "[::1]:8080"}, {"-real", "-public", "https://console.example.com", "-webhooks", "127.0.0.1:8081"}} {
		if _, err := parse(args); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}
