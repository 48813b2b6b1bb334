package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
)

// A whatsAppAccount is an account that the host has at WhatsApp.
type whatsAppAccount struct{ ID, Name string }

// whatsAppAccounts are those of the team that uses this console. A service of
// your own lists its tenant's.
var whatsAppAccounts = []whatsAppAccount{
	{"wa-tw", "Omnichat 台灣 (+886 2 7755 0000)"},
	{"wa-hk", "Omnichat Hong Kong (+852 5800 0000)"},
}

// countries are those whose phone numbers in national format are understood.
var countries = []string{"TW", "HK", "SG", "MY", "TH"}

// policies say who becomes a WhatsApp contact. None grants a marketing permission.
var policies = []shopifysync.WhatsAppPolicy{shopifysync.WhatsAppAll, shopifysync.WhatsAppSubscribed}

// consentVersion is the first API version that has WhatsApp marketing consents.
const consentVersion = "2026-07"

// A connectBody is the form of S1 to S5.
type connectBody struct {
	ShopField, KeyField, SecretField, TokenField field
	Typed                                        string // names the secrets that were typed before an error
	NoToken, WhatsApp                            bool
	Account, Country                             string
	Policy                                       shopifysync.WhatsAppPolicy
	Policies                                     []shopifysync.WhatsAppPolicy
	Accounts                                     []whatsAppAccount
	Countries                                    []string
	Editing                                      bool
	Action, Back                                 string
}

// A field is a text field with its hint and, beside it, what is wrong with it.
type field struct {
	Name, Label, Hint, Value, Type, Placeholder string
	Required                                    bool
	Problem                                     *problem
}

// connectInput is what the form sends.
type connectInput struct {
	shop, apiKey, secret, token string
	noToken                     bool // a Dev Dashboard app, which has none
	whatsApp                    bool
	account, country            string
	policy                      shopifysync.WhatsAppPolicy
}

// readConnect reads the form, with the secrets that were typed before an error.
func (c *console) readConnect(r *http.Request) connectInput {
	text := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	in := connectInput{
		shop: text("shop"), apiKey: text("api_key"), secret: text("api_secret"), token: text("token"),
		noToken: r.PostFormValue("no_token") != "", whatsApp: r.PostFormValue("whatsapp") != "", account: text("account"), country: text("country"),
		policy: shopifysync.WhatsAppPolicy(text("policy")),
	}
	secret, token := c.typed.get(text("typed"))
	in.secret, in.token = cmp.Or(in.secret, secret), cmp.Or(in.token, token)
	return in
}

func (c *console) connectForm(w http.ResponseWriter, r *http.Request) error {
	in := connectInput{country: "TW"}
	if c.demo != nil {
		if st := c.demo.store(r.FormValue("demo")); st != nil {
			cfg := st.Config()
			in.shop, in.apiKey, in.token = "https://"+cfg.Domain, cfg.ClientID, cfg.AccessToken
			in.secret = cfg.ClientSecret
		}
	}
	p := c.page(r, "connect")
	return c.showConnect(w, r, p, in, nil, nil)
}

func (c *console) connect(w http.ResponseWriter, r *http.Request) error {
	in := c.readConnect(r)
	p := c.page(r, "connect")
	shop, err := shopifysync.ParseShop(in.shop)
	if err != nil {
		return c.showConnect(w, r, p, in, c.problem(p.T, err), nil)
	}
	id, err := c.idFor(r, shop)
	if err != nil {
		return err
	}
	return c.tryConnect(w, r, p, in, shopifysync.Connection{ID: id, Shop: shop}, nil)
}

// idFor chooses a connection's ID: the one that the store already has here, so
// that its contacts are adopted, else the store's name. A service of your own
// has a tenant in it.
func (c *console) idFor(r *http.Request, shop shopifysync.Shop) (shopifysync.ConnectionID, error) {
	same, err := c.store.ConnectionsByShop(r.Context(), shop)
	if err != nil {
		return "", err
	}
	if len(same) > 0 {
		return same[0].ID, nil
	}
	for n := 1; ; n++ { // a store that was renamed keeps its ID, and another may bear its name now
		id := shopifysync.ConnectionID(shop.Name())
		if n > 1 {
			id += shopifysync.ConnectionID(fmt.Sprintf("-%d", n))
		}
		switch _, err := c.store.Connection(r.Context(), id); {
		case errors.Is(err, shopifysync.ErrNotConnected):
			return id, nil
		case err != nil:
			return "", err
		}
	}
}

func (c *console) editForm(w http.ResponseWriter, r *http.Request) error {
	p, conn, _, err := c.storePage(r, "edit")
	if err != nil {
		return err
	}
	in := connectInput{shop: "https://" + string(conn.Shop), apiKey: conn.Credentials.ClientID, country: "TW"}
	in.noToken = in.apiKey != "" && conn.Credentials.AccessToken.IsZero() // a disconnected store has neither
	if w := conn.WhatsApp; w != nil {
		in.whatsApp, in.account, in.country, in.policy = true, w.AccountID, w.Country, w.Policy
	}
	return c.showConnect(w, r, p, in, nil, &conn)
}

func (c *console) edit(w http.ResponseWriter, r *http.Request) error {
	p, conn, _, err := c.storePage(r, "edit")
	if err != nil {
		return err
	}
	in := c.readConnect(r)
	shop, err := shopifysync.ParseShop(in.shop)
	if err != nil {
		return c.showConnect(w, r, p, in, c.problem(p.T, err), &conn)
	}
	saved := conn
	conn.Shop = shop
	return c.tryConnect(w, r, p, in, conn, &saved)
}

// tryConnect fills the connection with what was typed and gives it to the
// library, which verifies everything before it saves anything. A connection that
// is edited is saved as it was.
func (c *console) tryConnect(w http.ResponseWriter, r *http.Request, p *page, in connectInput, conn shopifysync.Connection, saved *shopifysync.Connection) error {
	// A secret field that is left empty keeps what is saved; of a secret that is
	// replaced the library keeps what Shopify may still sign with.
	conn.Credentials.ClientID, conn.Credentials.PreviousClientSecret = in.apiKey, shopifysync.Secret{}
	if in.secret != "" {
		conn.Credentials.ClientSecret = shopifysync.NewSecret(in.secret)
	}
	switch {
	case in.noToken: // 24-hour tokens of a Dev Dashboard app
		conn.Credentials.AccessToken = shopifysync.Secret{}
	case in.token != "":
		conn.Credentials.AccessToken = shopifysync.NewSecret(in.token)
	}
	for _, missing := range []struct {
		empty      bool
		key, field string
	}{
		{in.apiKey == "", "no api key", "api_key"},
		{conn.Credentials.ClientSecret.IsZero(), "no secret", "api_secret"},
		{conn.Credentials.AccessToken.IsZero() && !in.noToken, "no token", "token"},
	} {
		if missing.empty {
			return c.showConnect(w, r, p, in, newProblem(p.T, missing.key, missing.field), saved)
		}
	}
	conn.WhatsApp, conn.APIVersion = nil, ""
	if in.whatsApp {
		known := slices.ContainsFunc(whatsAppAccounts, func(a whatsAppAccount) bool { return a.ID == in.account })
		if !known || !slices.Contains(countries, in.country) || !slices.Contains(policies, in.policy) {
			return errNotFound // not from this form
		}
		conn.WhatsApp = &shopifysync.WhatsAppSettings{AccountID: in.account, Policy: in.policy, Country: in.country}
		if in.policy == shopifysync.WhatsAppSubscribed {
			conn.APIVersion = consentVersion
		}
	}
	if _, err := c.syncer.Connect(r.Context(), conn); err != nil {
		return c.showConnect(w, r, p, in, c.problem(p.T, err), saved)
	}
	done := "connected"
	if saved != nil && saved.Credentials.ClientID != "" { // else it was disconnected
		done = "edited"
	}
	return seeOther(w, r, storePath(conn.ID, "?done="+done))
}

// showConnect shows the form; secrets are never in it.
func (c *console) showConnect(w http.ResponseWriter, r *http.Request, p *page, in connectInput, wrong *problem, saved *shopifysync.Connection) error {
	t := p.T
	var kept shopifysync.Credentials
	if saved != nil {
		kept = saved.Credentials
	}
	b := connectBody{
		NoToken: in.noToken, WhatsApp: in.whatsApp, Account: in.account, Country: in.country, Policy: in.policy,
		Policies: policies, Accounts: whatsAppAccounts, Countries: countries, Action: "/connect", Back: "/",
	}
	p.Title = t.ConnectTitle
	if b.Editing = saved != nil; b.Editing {
		p.Title, b.Action, b.Back = t.EditTitle, storePath(saved.ID, "/edit"), storePath(saved.ID, "")
	}
	if p.Problem = wrong; wrong != nil && wrong.Key == "another store" && !b.Editing {
		p.Problem.Field = "shop"
	}
	b.ShopField = field{Name: "shop", Label: t.StoreURL, Hint: t.StoreURLHint, Value: in.shop, Type: "text", Placeholder: "https://your-store.myshopify.com", Required: true}
	b.KeyField = field{Name: "api_key", Label: t.APIKey, Hint: t.APIKeyHint, Value: in.apiKey, Type: "text", Required: true}
	b.SecretField = field{Name: "api_secret", Label: t.APISecret, Hint: t.APISecretHint, Type: "password"}
	b.TokenField = field{Name: "token", Label: t.AccessToken, Hint: t.AccessTokenHint, Type: "password"}
	if wrong != nil {
		b.Typed = c.typed.keep(in.secret, in.token)
	}
	if demo := r.FormValue("demo"); demo != "" && r.Method == http.MethodGet && c.demo != nil && c.demo.store(demo) != nil {
		// A demonstration store's values stand on its own page for everybody to see.
		b.SecretField.Value, b.TokenField.Value = in.secret, in.token
	}
	for _, s := range []struct {
		f     *field
		typed bool
		saved shopifysync.Secret
	}{{&b.SecretField, wrong != nil && in.secret != "", kept.ClientSecret}, {&b.TokenField, wrong != nil && in.token != "", kept.AccessToken}} {
		switch {
		case s.typed:
			s.f.Placeholder = t.SecretTyped
		case !s.saved.IsZero():
			s.f.Placeholder = t.SecretSaved
		}
	}
	for _, f := range []*field{&b.ShopField, &b.KeyField, &b.SecretField, &b.TokenField} {
		if wrong != nil && wrong.Field == f.Name {
			f.Problem = wrong
		}
	}
	b.SecretField.Required = kept.ClientSecret.IsZero() && (wrong == nil || in.secret == "")
	p.Body = b
	status := http.StatusOK
	if wrong != nil {
		status = http.StatusUnprocessableEntity
	}
	c.render(w, r, status, "connect", p)
	return nil
}

// typedSecrets keeps secrets of a form that came back with an error, so that
// they need not be pasted again, and are never sent back to the browser.
type typedSecrets struct {
	mu   sync.Mutex
	kept map[string]typedPair
}

type typedPair struct {
	secret, token shopifysync.Secret
	until         time.Time
}

const (
	typedFor = 10 * time.Minute
	maxTyped = 100
)

// keep returns a name for the secrets, "" if there are none.
func (t *typedSecrets) keep(secret, token string) string {
	if secret == "" && token == "" {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for name, pair := range t.kept {
		if now.After(pair.until) || len(t.kept) >= maxTyped {
			delete(t.kept, name)
		}
	}
	if t.kept == nil {
		t.kept = make(map[string]typedPair)
	}
	name := rand.Text()
	t.kept[name] = typedPair{shopifysync.NewSecret(secret), shopifysync.NewSecret(token), now.Add(typedFor)}
	return name
}

func (t *typedSecrets) get(name string) (secret, token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pair, ok := t.kept[name]
	if !ok || time.Now().After(pair.until) {
		return "", ""
	}
	return pair.secret.Reveal(), pair.token.Reveal()
}

func (c *console) disconnectForm(w http.ResponseWriter, r *http.Request) error {
	return c.showDisconnect(w, r, nil)
}

func (c *console) showDisconnect(w http.ResponseWriter, r *http.Request, wrong error) error {
	p, conn, _, err := c.storePage(r, "disconnect")
	if err != nil {
		return err
	}
	if p.Body, err = c.count(r, conn.ID); err != nil {
		return err
	}
	p.Title = p.T.DisconnectTitle
	if p.Store.Gone {
		p.Title = p.T.DisconnectRemove
	}
	status := http.StatusOK
	if wrong != nil {
		p.Problem, status = problemOf(p.T, wrong), http.StatusUnprocessableEntity
	}
	c.render(w, r, status, "disconnect", p)
	return nil
}

func (c *console) disconnect(w http.ResponseWriter, r *http.Request) error {
	conn, err := c.storeOf(r)
	if err != nil {
		return err
	}
	remove := r.PostFormValue("contacts") == "remove"
	if r.PostFormValue("sure") == "" {
		return seeOther(w, r, storePath(conn.ID, "/disconnect"))
	}
	end := c.jobs.end(conn.ID, func(ctx context.Context) error { return c.endConnection(ctx, conn.ID, remove) })
	switch end.wait(r.Context(), patient); {
	case end.running():
		return seeOther(w, r, storePath(conn.ID, "")) // which says so
	case end.err != nil:
		return c.showDisconnect(w, r, end.err)
	case remove:
		c.jobs.forget(conn.ID)
		return seeOther(w, r, "/?"+url.Values{"done": {"removed"}}.Encode())
	}
	c.jobs.forget(conn.ID)
	return seeOther(w, r, storePath(conn.ID, "?done=disconnected"))
}

// patient is how long a page waits for a disconnection before it leaves it
// alone. The server waits longer.
const patient = time.Minute

// endConnection disconnects a store, and takes along what the host itself keeps
// of its people. After an error it can be done again: the connection goes last.
func (c *console) endConnection(ctx context.Context, id shopifysync.ConnectionID, remove bool) (err error) {
	defer func() {
		if err != nil {
			c.log.Error("a store was not disconnected", "connection", string(id), "error", err)
		}
	}()
	if remove {
		if err := c.agents.forget(ctx, id); err != nil {
			return err
		}
		c.runs.seen(id)
	}
	if _, err := c.syncer.Disconnect(ctx, shopifysync.DisconnectParams{Connection: id, RemoveContacts: remove}); err != nil || !remove {
		return err
	}
	return c.agents.forget(ctx, id) // what was written meanwhile
}
