package shopifytest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/omnichat/shopifysync/shopifytest"
)

func (a *app) token24(contentType, body string) answer {
	a.t.Helper()
	r, err := http.NewRequest(http.MethodPost, "https://"+a.host+"/admin/oauth/access_token", strings.NewReader(body))
	check(a.t, err)
	r.Header.Set("Content-Type", contentType)
	got, err := a.try(r)
	check(a.t, err)
	return got
}

const (
	formType = "application/x-www-form-urlencoded"
	form     = "grant_type=client_credentials&client_id=client-id&client_secret=client-secret"
)

func TestClientCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, store, app := start(t, shopifytest.StoreConfig{Scopes: []string{"read_customers", "read_products"}})
		for _, request := range [][2]string{
			{formType, form},
			{"application/json", `{"grant_type":"client_credentials","client_id":"client-id","client_secret":"client-secret"}`},
		} {
			got := app.token24(request[0], request[1])
			var body struct {
				AccessToken string `json:"access_token"`
				Scope       string `json:"scope"`
				ExpiresIn   int    `json:"expires_in"`
			}
			check(t, json.Unmarshal([]byte(got.Body), &body))
			if got.Status != 200 || body.Scope != "read_customers,read_products" || body.ExpiresIn != 86399 || body.AccessToken == "" {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			app.token = body.AccessToken
		}
		time.Sleep(86398 * time.Second)
		if got := app.do("{ shop { id } }", nil); got.Status != 200 {
			t.Errorf("before the end: %d", got.Status)
		}
		time.Sleep(time.Second)
		if got := app.do("{ shop { id } }", nil); got.Status != 401 {
			t.Errorf("after the end: %d", got.Status)
		}
		app.token = store.IssueToken(time.Hour)
		app.data("{ shop { id } }", nil)
		store.RevokeTokens()
		if got := app.do("{ shop { id } }", nil); got.Status != 401 {
			t.Errorf("revoked: %d", got.Status)
		}
		if srv.Count(shopifytest.OpToken) != 2 {
			t.Errorf("%v", srv.Counts())
		}
	})
}

func TestClientCredentialsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		change     func(*shopifytest.StoreConfig)
		host       string
		status     int
		code       any
	}{
		{"wrong secret", strings.Replace(form, "client-secret", "wrong", 1), nil, domain, 400, "invalid_client"},
		{"wrong id", strings.Replace(form, "client-id", "wrong", 1), nil, domain, 400, "invalid_client"},
		{"another grant", strings.Replace(form, "client_credentials", "password", 1), nil, domain, 400, "unsupported_grant_type"},
		{"malformed", "%zz", nil, domain, 400, "invalid_request"},
		{"another organisation", form, func(c *shopifytest.StoreConfig) { c.NotPermitted = true }, domain, 400, "shop_not_permitted"},
		{"not installed", form, func(c *shopifytest.StoreConfig) { c.State = shopifytest.Uninstalled }, domain, 400, "app_not_installed"},
		{"frozen", form, func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen }, domain, 402, nil},
		{"locked", form, func(c *shopifytest.StoreConfig) { c.State = shopifytest.Locked }, domain, 423, nil},
		{"unknown store", form, nil, "nobody.myshopify.com", 404, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, store, app := start(t, shopifytest.StoreConfig{})
			if tt.change != nil {
				store.Configure(tt.change)
			}
			app.host = tt.host
			got := app.token24(formType, tt.body)
			var body map[string]any
			_ = json.Unmarshal([]byte(got.Body), &body)
			if got.Status != tt.status || body["error"] != tt.code {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			if html := strings.Contains(got.Header.Get("Content-Type"), "html"); html != (tt.status == 404) {
				t.Errorf("content type %s", got.Header.Get("Content-Type"))
			}
		})
	}
}

func TestUninstallEndsTokens(t *testing.T) {
	_, store, app := start(t, shopifytest.StoreConfig{})
	temporary := store.IssueToken(time.Hour)
	store.Uninstall()
	for _, token := range []string{"shpat_test", temporary} {
		app.token = token
		if got := app.do("{ shop { id } }", nil); got.Status != 401 {
			t.Errorf("%s: %d", token, got.Status)
		}
	}
	store.Reinstall("shpat_new")
	for token, want := range map[string]int{"shpat_test": 401, temporary: 401, "shpat_new": 200} {
		app.token = token
		if got := app.do("{ shop { id } }", nil); got.Status != want {
			t.Errorf("%s: %d", token, got.Status)
		}
	}
}
