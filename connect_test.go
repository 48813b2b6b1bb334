package shopifysync_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

const hookURL = "https://hooks.example.com/shopify/{connection}"

// secretWorld gives the world's connection a client secret, so that it
// subscribes, and returns a connection store without any connection.
func (w *world) connectable() shopifysync.ConnectionStore {
	w.conn.Credentials.ClientSecret = shopifysync.NewSecret("client-secret")
	return shopifysync.StaticConnections()
}

func (w *world) syncerWith(conns shopifysync.Connections, opts ...shopifysync.Option) *shopifysync.Syncer {
	w.t.Helper()
	opts = append([]shopifysync.Option{
		shopifysync.WithHTTPClient(w.server.Client()), shopifysync.WithStateStore(w.store), shopifysync.WithWebhookURL(hookURL),
	}, opts...)
	s, err := shopifysync.New(w.store, conns, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) connect(s *shopifysync.Syncer) *shopifysync.Health {
	w.t.Helper()
	h, err := s.Connect(w.t.Context(), w.conn)
	if err != nil {
		w.t.Fatalf("Connect: %v", err)
	}
	return h
}

func TestConnect(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		conns := w.connectable()
		s := w.syncerWith(conns)
		h := w.connect(s)
		if h.State != shopifysync.HealthOK || h.Message != "" || h.CheckedAt.IsZero() || h.PersonalData != shopifysync.DataReadable ||
			h.AskedVersion != "2024-04" || h.ServedVersion != "2026-01" || h.Shop.Domain != w.conn.Shop || h.Shop.ID == "" ||
			h.Shop.Currency != "TWD" || h.Shop.TimeZone != "Asia/Taipei" || h.Shop.Plan != "Basic" {
			t.Errorf("%+v", h)
		}
		if diff := cmp.Diff([]string{"read_customer_merge", "read_customers"}, h.Scopes); diff != "" {
			t.Error(diff)
		}
		if len(h.Warnings) != 1 || !strings.Contains(h.Warnings[0], "2026-01") {
			t.Errorf("warnings %q", h.Warnings)
		}
		saved, err := conns.Connection(t.Context(), connID)
		if diff := cmp.Diff(w.conn, saved); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		st := w.state()
		if st.ShopID != h.Shop.ID || st.ConnectedAt.IsZero() || st.Pause != nil || st.Disconnected != nil || st.CheckDue {
			t.Errorf("%+v", st)
		}
		if diff := cmp.Diff(*h, st.Health); diff != "" {
			t.Errorf("the health saved (-returned +saved):\n%s", diff)
		}
		w.sync(s)
		w.mirrors()
	})
}

func TestConnectErrors(t *testing.T) {
	config := func(change func(*shopifytest.StoreConfig)) func(*world) {
		return func(w *world) { w.shop.Configure(change) }
	}
	fault := func(f shopifytest.Fault) func(*world) {
		return func(w *world) { f.Times = shopifytest.Always; w.shop.Inject(f) }
	}
	byClient := func(w *world) {
		w.conn.Credentials = shopifysync.Credentials{ClientID: "client-id", ClientSecret: shopifysync.NewSecret("client-secret")}
	}
	tests := map[string]struct {
		world func(*world)
		want  error
		text  string // what the error says to do next
		state shopifysync.HealthState
	}{
		"custom domain":   {func(w *world) { w.conn.Shop = "www.example.com" }, shopifysync.ErrInvalidShop, "Settings, Domains", ""},
		"no credentials":  {func(w *world) { w.conn.Credentials = shopifysync.Credentials{} }, shopifysync.ErrInvalidConnection, "access token", ""},
		"no such store":   {func(w *world) { w.conn.Shop = "nobody.myshopify.com" }, shopifysync.ErrShopNotFound, "check the spelling", shopifysync.HealthNotFound},
		"no such version": {func(w *world) { w.conn.APIVersion = "2031-01" }, shopifysync.ErrInvalidConnection, "no API version 2031-01", ""},
		"wrong token":     {config(func(c *shopifytest.StoreConfig) { c.AccessToken = "another" }), shopifysync.ErrUnauthorized, "check the access token", shopifysync.HealthReauthorise},
		"wrong client":    {func(w *world) { byClient(w); w.conn.Credentials.ClientID = "other" }, shopifysync.ErrUnauthorized, "client ID and secret", shopifysync.HealthReauthorise},
		"not installed":   {func(w *world) { byClient(w); w.shop.Uninstall() }, shopifysync.ErrAppNotInstalled, "install it", shopifysync.HealthUninstalled},
		"other organisation": {func(w *world) {
			byClient(w)
			w.shop.Configure(func(c *shopifytest.StoreConfig) { c.NotPermitted = true })
		}, shopifysync.ErrOtherOrganization, "own organisation", shopifysync.HealthOtherOrg},
		"frozen":  {config(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Frozen }), shopifysync.ErrShopFrozen, "unpaid bill", shopifysync.HealthFrozen},
		"locked":  {config(func(c *shopifytest.StoreConfig) { c.State = shopifytest.Locked }), shopifysync.ErrShopLocked, "Shopify's support", shopifysync.HealthLocked},
		"renamed": {func(w *world) { w.shop.Rename("renamed.myshopify.com") }, shopifysync.ErrShopMoved, "edit the connection", shopifysync.HealthMoved},
		"answers under another name": {fault(shopifytest.Fault{Operation: "Shop", Edit: func(m map[string]any) {
			m["data"].(map[string]any)["shop"].(map[string]any)["myshopifyDomain"] = "other.myshopify.com"
		}}), shopifysync.ErrShopMoved, "edit the connection", shopifysync.HealthMoved},
		"another store": {func(w *world) {
			st := w.state()
			st.ShopID = "gid://shopify/Shop/1"
			if _, err := w.store.SaveConnectionState(w.t.Context(), shopifysync.SaveConnectionStateParams{State: st}); err != nil {
				w.t.Fatal(err)
			}
		}, shopifysync.ErrAnotherStore, "a connection of its own", shopifysync.HealthMoved},
		"no scope":         {config(func(c *shopifytest.StoreConfig) { c.Scopes = []string{"read_products"} }), shopifysync.ErrScopeMissing, "lacks the access scopes read_customers", shopifysync.HealthScopeMissing},
		"no personal data": {config(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoPersonalData }), shopifysync.ErrProtectedData, "Dev Dashboard app", shopifysync.HealthProtectedData},
		"no customer data": {config(func(c *shopifytest.StoreConfig) { c.Access = shopifytest.NoCustomerData }), shopifysync.ErrProtectedData, "Dev Dashboard app", shopifysync.HealthProtectedData},
		"access denied": {fault(shopifytest.Fault{Operation: "CustomersPage", Errors: []shopifytest.GraphQLError{{
			Message: "Access denied", Extensions: map[string]any{"code": "ACCESS_DENIED"},
		}}}), shopifysync.ErrProtectedData, "Dev Dashboard app", shopifysync.HealthProtectedData},
		"outage": {fault(shopifytest.Fault{Operation: "Shop", Status: 501}), shopifysync.ErrUnavailable, "try again later", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 30, func(t *testing.T, w *world) {
				conns := w.connectable()
				test.world(w)
				before := w.state()
				h, err := w.syncerWith(conns).Connect(t.Context(), w.conn)
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
					t.Errorf("error %v\nwant %v, with %q", err, test.want, test.text)
				}
				if h != nil && (h.State != test.state || h.State != "" && (h.Message == "" || !strings.Contains(err.Error(), h.Message))) {
					t.Errorf("state %q, message %q; want %q", h.State, h.Message, test.state)
				}
				w.nothingSaved(conns, before)
			})
		})
	}
}

// nothingSaved checks that a Connect has left no trace.
func (w *world) nothingSaved(conns shopifysync.ConnectionStore, before shopifysync.ConnectionState) {
	w.t.Helper()
	if c, err := conns.Connection(context.Background(), connID); !errors.Is(err, shopifysync.ErrNotConnected) {
		w.t.Errorf("saved: %+v, %v", c, err)
	}
	if diff := cmp.Diff(before, w.state()); diff != "" {
		w.t.Errorf("the state changed:\n%s", diff)
	}
	if subs := w.shop.Subscriptions(); len(subs) > 0 {
		w.t.Errorf("subscribed: %v", subs)
	}
}
