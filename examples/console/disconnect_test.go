package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// A page that is closed while its store is disconnected ends nothing.
func TestDisconnectOutlivesPage(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 300})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	ming := c.demo.store("demo-shop").Newest(1)[0].ID
	c.post(storePath(id, "/chat"), "member", fmt.Sprint(ming), "say", "canary-message", "as", "member")
	ctx, leave := context.WithCancel(t.Context())
	c.demo.store("demo-shop").Inject(shopifytest.Fault{Operation: "DeleteWebhookSubscription", Edit: func(map[string]any) { leave() }})
	form := url.Values{"contacts": {"remove"}, "sure": {"yes"}}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+storePath(id, "/disconnect"), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c.handler().ServeHTTP(httptest.NewRecorder(), r)
	if ctx.Err() == nil {
		t.Fatal("the page was not closed meanwhile")
	}
	c.jobs.wg.Wait()
	if resp, _ := c.get(storePath(id, "")); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the connection is still there: %s", resp.Status)
	}
	if got, err := c.store.ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: id, Limit: 10}); err != nil || len(got.IDs) > 0 {
		t.Errorf("contacts are left: %v, %v", got.IDs, err)
	}
	var n int
	if err := c.db.QueryRow(`SELECT COUNT(*) FROM console_messages`).Scan(&n); err != nil || n > 0 {
		t.Errorf("%d messages are left: %v", n, err)
	}
}

// A removal that failed, or was not asked for at first, is finished by clicking.
func TestDisconnectAgain(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 20})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	path := storePath(id, "/disconnect")
	_, body := c.post(path, "contacts", "keep", "sure", "yes")
	if !strings.Contains(body, english.Done["disconnected"]) || !strings.Contains(body, `href="`+path+`"`) {
		t.Fatalf("a disconnected store's page offers no removal:\n%s", body)
	}
	if _, body = c.get(path); strings.Contains(body, english.DisconnectKeep) || !strings.Contains(body, english.RemoveSure) {
		t.Errorf("the question:\n%s", body)
	}
	if _, err := c.db.Exec(`ALTER TABLE console_tags RENAME TO away`); err != nil {
		t.Fatal(err)
	}
	resp, body := c.post(path, "contacts", "remove", "sure", "yes")
	if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, english.Problems["unknown"].Text) {
		t.Errorf("a removal that fails: %s\n%s", resp.Status, body)
	}
	if !strings.Contains(c.logged.errors(), "console_tags") {
		t.Error("the log does not say why")
	}
	if _, err := c.db.Exec(`ALTER TABLE away RENAME TO console_tags`); err != nil {
		t.Fatal(err)
	}
	if _, body = c.post(path, "contacts", "remove", "sure", "yes"); !strings.Contains(body, english.Done["removed"]) {
		t.Errorf("once more:\n%s", body)
	}
	if _, err := c.store.Connection(t.Context(), id); err == nil {
		t.Error("the connection is left")
	}
}

// What the pages of a disconnected store say of secrets and conversations is so.
func TestDisconnectedStore(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 3})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	ming := fmt.Sprint(c.demo.store("demo-shop").Newest(1)[0].ID)
	c.post(storePath(id, "/chat"), "member", ming, "say", "canary-message", "as", "member")
	c.post(storePath(id, "/disconnect"), "contacts", "keep", "sure", "yes")
	if _, body := c.get(storePath(id, "")); strings.Contains(body, english.SecretsKept) || !strings.Contains(body, htmlText(english.SecretsGone)) {
		t.Errorf("the overview:\n%s", body)
	}
	if resp, body := c.get(storePath(id, "/chat?member="+ming)); resp.StatusCode != http.StatusOK || !strings.Contains(body, "canary-message") {
		t.Errorf("the conversation: %s\n%s", resp.Status, body)
	}
	_, body := c.get(storePath(id, "/edit"))
	if n := strings.Count(body, english.SecretSaved); n != 1 { // the secret key
		t.Errorf("%d fields are said to be saved:\n%s", n, body)
	}
	cfg := c.demo.store("demo-shop").Config()
	values := []string{"shop", cfg.Domain, "api_key", cfg.ClientID}
	resp, body := c.post(storePath(id, "/edit"), values...)
	if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, english.Problems["no token"].Text) {
		t.Errorf("without a token: %s\n%s", resp.Status, body)
	}
	if _, body = c.post(storePath(id, "/edit"), append(values, "token", cfg.AccessToken)...); !strings.Contains(body, english.Done["connected"]) {
		t.Errorf("with one:\n%s", body)
	}
}

// A secret that was replaced counts until the next edit, not for ever.
func TestRotatedSecret(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 3})
	id := c.connectDemo("demo-shop")
	st := c.demo.store("demo-shop")
	first := st.Config().ClientSecret
	for _, test := range []struct{ secret, previous string }{{"second", first}, {"", ""}, {"third", "second"}} {
		cfg := st.Config()
		c.post(storePath(id, "/edit"), "shop", cfg.Domain, "api_key", cfg.ClientID, "api_secret", test.secret)
		got, err := c.store.Connection(t.Context(), id)
		if err != nil || got.Credentials.PreviousClientSecret.Reveal() != test.previous {
			t.Errorf("after an edit with the secret %q the one before is %q, want %q: %v", test.secret, got.Credentials.PreviousClientSecret.Reveal(), test.previous, err)
		}
	}
}

// Requests that are under way are answered when the program is told to stop,
// and pages that listen for changes do not hold it up.
func TestShutdown(t *testing.T) {
	c := startConsole(t, demoConfig{customers: 3})
	c.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/events", nil)
	stream, err := c.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	st := c.demo.store("demo-shop")
	st.Inject(shopifytest.Fault{Operation: "AccessScopes", Edit: func(map[string]any) {
		c.stop()
		<-c.streams.Done() // the shutdown has begun
	}})
	cfg := st.Config()
	resp, body := c.post("/connect", "shop", cfg.Domain, "api_key", cfg.ClientID, "api_secret", cfg.ClientSecret, "token", cfg.AccessToken)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/stores/demo-shop?done=connected" {
		t.Errorf("a request under way: %s\n%s", resp.Status, body)
	}
	if rest, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream ends %q with %v", rest, err)
	}
}
