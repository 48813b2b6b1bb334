package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync/shopifytest"
)

// console is a process that controls the store.
type console struct {
	t       *testing.T
	routes  http.Handler
	store   *shopifytest.Store
	control *control

	mu  sync.Mutex
	got []string // topics of the webhooks that came
}

func newConsole(t *testing.T) *console {
	c := &console{t: t}
	fake := shopifytest.NewServer(shopifytest.WithWebhookHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, r.Header.Get("X-Shopify-Topic"))
	})))
	t.Cleanup(fake.Close)
	c.store = fake.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com", AppWebhookURL: "https://host.example/app"})
	c.control = newControl(fake, c.store, 1)
	c.routes = c.control.routes()
	return c
}

func (c *console) ask(method, path string) (int, string) {
	w := httptest.NewRecorder()
	c.routes.ServeHTTP(w, httptest.NewRequest(method, "http://demo.myshopify.com/_fake/"+path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

// do is for requests without a mistake.
func (c *console) do(method, path string) string {
	c.t.Helper()
	status, body := c.ask(method, path)
	if status != http.StatusOK {
		c.t.Fatalf("%s: %d: %s", path, status, body)
	}
	return body
}

func (c *console) create(query string) int64 {
	c.t.Helper()
	var made struct{ IDs []int64 }
	if err := json.Unmarshal([]byte(c.do("POST", "create?"+query)), &made); err != nil || len(made.IDs) != 1 {
		c.t.Fatal(made, err)
	}
	return made.IDs[0]
}

func (c *console) read(id int64) shopifytest.Customer {
	c.t.Helper()
	var customer shopifytest.Customer
	if err := json.Unmarshal([]byte(c.do("GET", "customer?id="+strconv.FormatInt(id, 10))), &customer); err != nil {
		c.t.Fatal(err)
	}
	return customer
}

func TestControl(t *testing.T) {
	c := newConsole(t)
	ann := c.create("first_name=Ann&email=ann@example.com&phone=%2B886912345678")
	ben := c.create("first_name=Ben")
	a, b := strconv.FormatInt(ann, 10), strconv.FormatInt(ben, 10)

	c.do("POST", "update?id="+a+"&last_name=Lee&whatsapp_consent=SUBSCRIBED&sms_consent=PENDING&email_consent=UNSUBSCRIBED&state=ENABLED")
	c.do("POST", "tag?id="+a+"&add=VIP&add=new&remove=new")
	c.do("POST", "order?id="+a+"&spent=12.5")
	got := c.read(ann)
	if got.LastName != "Lee" || got.WhatsAppConsent.State != "SUBSCRIBED" || got.SMSConsent.State != "PENDING" ||
		got.EmailConsent.State != "UNSUBSCRIBED" || got.State != "ENABLED" || len(got.Tags) != 1 || got.NumberOfOrders != 1 || got.AmountSpent.Amount != "12.5" {
		t.Errorf("%+v", got)
	}
	if answer := c.do("POST", "update?count=1&note=hello"); answer != `{"ids":[`+b+`]}` || c.read(ben).Note != "hello" {
		t.Error(answer)
	}
	c.do("POST", "update?random=1")
	if strings.HasPrefix(c.read(ann).Note, "edit ") == strings.HasPrefix(c.read(ben).Note, "edit ") {
		t.Errorf("not one of them was edited: %q, %q", c.read(ann).Note, c.read(ben).Note)
	}

	lines := c.do("GET", "customers")
	if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, `"FirstName":"Ben"`) {
		t.Error(lines)
	}
	if lines := c.do("GET", "customers?limit=5&after="+a); strings.Contains(lines, "\n") || !strings.Contains(lines, `"FirstName":"Ben"`) {
		t.Error(lines)
	}

	c.do("POST", "merge?kept="+a+"&gone="+b+"&status=failed")
	if c.store.Count() != 2 {
		t.Error("a failed merge merged")
	}
	c.do("POST", "merge?kept="+a+"&gone="+b)
	if status, _ := c.ask("GET", "customer?id="+b); status != http.StatusNotFound || c.store.Count() != 1 {
		t.Error("not merged", status)
	}
	c.do("POST", "redact?id="+a)
	if got := c.read(ann); got.FirstName != "" || got.EmailConsent.State != "REDACTED" {
		t.Errorf("%+v", got)
	}
	c.do("POST", "delete?id="+a)
	if c.store.Count() != 0 {
		t.Error("not deleted")
	}

	var stats struct{ Customers, Edits int }
	if err := json.Unmarshal([]byte(c.do("GET", "stats")), &stats); err != nil || stats.Customers != 0 || stats.Edits != 10 {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestControlOfTheStore(t *testing.T) {
	c := newConsole(t)
	c.do("POST", "configure?scopes=read_customers&versions=2025-07,2026-10&access=level1&latency=5ms&index-lag=1m&read-lag=2s&secret=new")
	cfg := c.store.Config()
	want := shopifytest.StoreConfig{
		Scopes: []string{"read_customers"}, APIVersions: []string{"2025-07", "2026-10"}, Access: shopifytest.NoPersonalData,
		Latency: 5 * time.Millisecond, IndexLag: time.Minute, ReadLag: 2 * time.Second, ClientSecret: "new",
	}
	got := shopifytest.StoreConfig{
		Scopes: cfg.Scopes, APIVersions: cfg.APIVersions, Access: cfg.Access,
		Latency: cfg.Latency, IndexLag: cfg.IndexLag, ReadLag: cfg.ReadLag, ClientSecret: cfg.ClientSecret,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct {
		name string
		want shopifytest.State
	}{
		{"frozen", shopifytest.Frozen}, {"locked", shopifytest.Locked}, {"open", shopifytest.Open},
		{"uninstalled", shopifytest.Uninstalled}, {"reinstalled", shopifytest.Open},
	} {
		c.do("POST", "state?state="+tt.name)
		if got := c.store.Config().State; got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// The token of an app that was uninstalled never works again.
func TestControlOfTheApp(t *testing.T) {
	c := newConsole(t)
	old := c.store.Config().AccessToken
	c.do("POST", "state?state=uninstalled")
	for _, state := range []string{"open", "frozen", "locked"} {
		if status, _ := c.ask("POST", "state?state="+state); status != http.StatusBadRequest || c.store.Config().State != shopifytest.Uninstalled {
			t.Errorf("%s after uninstalled: status %d, state %v", state, status, c.store.Config().State)
		}
	}
	_, body := c.ask("POST", "state?state=reinstalled")
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	if cfg := c.store.Config(); answer.Token == "" || answer.Token == old || cfg.AccessToken != answer.Token {
		t.Errorf("the token was %q, the answer %q, and it is %q", old, answer.Token, cfg.AccessToken)
	}
}

// Nothing of a request with a mistake is done.
func TestControlRefuses(t *testing.T) {
	c := newConsole(t)
	for _, path := range []string{
		"create?count=0", "create?count=x", "update?id=x", "update?id=4", "update?random=-1", "tag", "tag?id=1&id=2", "tag?id=0",
		"order?id=1&spent=x", "order?spent=1", "delete?id=9", "delete", "merge?kept=1", "merge?kept=1&gone=2", "merge?status=failed", "redact", "redact?id=5",
		"notify?topic=orders/create", "notify?topic=customers/merge&id=1", "notify?id=x", "changes", "changes?rate=-1", "webhooks?lost=101",
		"webhooks?shuffle=soon", "webhooks?copies=-1", "state?state=asleep", "configure?versions=2020-01&latency=1s", "configure?versions=2026-04,2026-01",
		"configure?access=some", "configure?latency=soon&secret=new",
	} {
		if status, body := c.ask("POST", path); status != http.StatusBadRequest || body == "" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"customers?limit=0", "customer", "customer?id=-1"} {
		if status, _ := c.ask("GET", path); status != http.StatusBadRequest {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := c.ask("GET", "delete?id=1"); status == http.StatusOK {
		t.Error("a GET changed something")
	}
	if cfg := c.store.Config(); cfg.ClientSecret != "client-secret" || cfg.Latency != 0 || c.store.Count() != 0 {
		t.Error("half of a request was done")
	}
}

func TestControlOfWebhooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsole(t)
		send := func(want ...string) {
			t.Helper()
			c.got = nil
			c.do("POST", "notify?topic=shop/redact")
			synctest.Wait()
			if diff := cmp.Diff(want, c.got); diff != "" {
				t.Error(diff)
			}
		}
		send("shop/redact")
		c.do("POST", "webhooks?lost=100")
		send()
		c.do("POST", "webhooks?copies=2")
		send("shop/redact", "shop/redact", "shop/redact")
		c.do("POST", "webhooks?shuffle=1h")
		send()
		if got := c.store.WebhookCounts(); got.Pending != 1 || got.Lost != 1 {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Hour)
		c.do("POST", "webhooks")
		send("shop/redact")
		if got := c.store.WebhookCounts(); got != (shopifytest.WebhookCounts{Attempts: 6, Taken: 6, Lost: 1}) {
			t.Errorf("%+v", got)
		}
		c.do("POST", "drop-subscriptions")
	})
}

func TestRandomEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsole(t)
		go c.control.edits(t.Context())
		c.do("POST", "changes?rate=50")
		time.Sleep(10 * time.Second) // the store is empty
		c.store.Generate(100, 1)
		time.Sleep(10 * time.Second)
		if n := c.control.edited(); n < 495 || n > 505 {
			t.Errorf("%d edits in ten seconds", n)
		}
		notes, tags := 0, 0
		for customer := range c.store.All() {
			if strings.HasPrefix(customer.Note, "edit ") {
				notes++
			}
			if len(customer.Tags) > 0 && strings.HasPrefix(customer.Tags[len(customer.Tags)-1], "edit ") {
				tags++
			}
		}
		if notes < 50 || tags == 0 {
			t.Errorf("%d customers with a new note, %d with a new tag", notes, tags)
		}
		c.do("POST", "changes?rate=0")
		before := c.control.edited()
		time.Sleep(time.Minute)
		if after := c.control.edited(); after != before+1 {
			t.Errorf("%d edits after the end", after-before-1)
		}
	})
}

func TestFlags(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end() // who is not refused does not serve either
	for _, args := range [][]string{
		{"-webhooks", "https://host.example"}, {"-webhooks", "http://192.0.2.1:80"}, {"-webhooks", "http://127.0.0.1:80/path"}, {"-webhooks", ":"},
		{"-versions", "2019-01"}, {"-versions", "2026-04,2026-01"}, {"-plan", "free"}, {"-access", "some"}, {"-unknown"},
	} {
		if err := run(ended, args, io.Discard, io.Discard); err == nil || err == flag.ErrHelp {
			t.Errorf("%v: no error", args)
		}
	}
	var cfg shopifytest.StoreConfig
	for _, err := range []error{setPlan(&cfg, "plus"), setVersions(&cfg, "2024-04"), setAccess(&cfg, "none")} {
		if err != nil {
			t.Error(err)
		}
	}
	want := shopifytest.StoreConfig{
		Plan: "Shopify Plus", Plus: true, RestoreRate: 1000, BucketSize: 20_000, APIVersions: []string{"2024-04"}, Access: shopifytest.NoCustomerData,
	}
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Error(diff)
	}
}
