package shopifysync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// Trouble at any request of Connect leaves nothing half-saved: either it is an
// error and nothing is saved, or only subscriptions are missing.
func TestConnectSavesAllOrNothing(t *testing.T) {
	faults := map[string]shopifytest.Fault{
		"refused":   {Status: 401},
		"frozen":    {Status: 402},
		"forbidden": {Status: 403},
		"moved":     {Status: 301},
		"failing":   {Status: 501},
		"cut":       {Drop: shopifytest.DropMidBody},
		"lost":      {Drop: shopifytest.DropAnswer},
		"odd":       {Status: 200, Body: "<html>"},
		"errors":    {Errors: []shopifytest.GraphQLError{{Message: "no", Extensions: map[string]any{"code": "ACCESS_DENIED"}}}},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			connected := false
			for after := 0; !connected || after < 5; after++ {
				if after > 30 {
					t.Fatal("Connect never succeeded")
				}
				inWorld(t, 5, func(t *testing.T, w *world) {
					conns := w.connectable()
					f := fault
					f.After, f.Times = after, shopifytest.Always
					w.shop.Inject(f)
					_, err := w.syncerWith(conns).Connect(t.Context(), w.conn)
					connected = err == nil
					if err != nil {
						w.nothingSaved(conns, shopifysync.ConnectionState{Connection: connID})
						return
					}
					if _, err := conns.Connection(t.Context(), connID); err != nil || w.state().ShopID == "" {
						t.Errorf("after %d: %v, %+v", after, err, w.state())
					}
				})
			}
		})
	}
}

// failingConnections fail to save, to delete, or to be looked up.
type failingConnections struct {
	shopifysync.ConnectionStore
	look, save error
}

func (f *failingConnections) Connection(ctx context.Context, id shopifysync.ConnectionID) (shopifysync.Connection, error) {
	if f.look != nil {
		return shopifysync.Connection{}, f.look
	}
	return f.ConnectionStore.Connection(ctx, id)
}

func (f *failingConnections) SaveConnection(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
	if f.save != nil {
		return shopifysync.SaveConnectionResult{}, f.save
	}
	return f.ConnectionStore.SaveConnection(ctx, p)
}

// failingState fails to save a connection's state.
type failingState struct {
	*shopifysync.MemoryStore
	save func() error
}

func (f *failingState) SaveConnectionState(ctx context.Context, p shopifysync.SaveConnectionStateParams) (shopifysync.SaveConnectionStateResult, error) {
	if err := f.save(); err != nil {
		return shopifysync.SaveConnectionStateResult{}, err
	}
	return f.MemoryStore.SaveConnectionState(ctx, p)
}

func TestConnectWithFailingStores(t *testing.T) {
	broken := errors.New("broken")
	t.Run("look-up", func(t *testing.T) {
		inWorld(t, 1, func(t *testing.T, w *world) {
			conns := w.connectable()
			if _, err := w.syncerWith(&failingConnections{conns, broken, nil}).Connect(t.Context(), w.conn); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			w.nothingSaved(conns, shopifysync.ConnectionState{Connection: connID})
		})
	})
	t.Run("save", func(t *testing.T) {
		inWorld(t, 1, func(t *testing.T, w *world) {
			conns := w.connectable()
			if _, err := w.syncerWith(&failingConnections{conns, nil, broken}).Connect(t.Context(), w.conn); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			w.nothingSaved(conns, shopifysync.ConnectionState{Connection: connID})
		})
	})
	t.Run("state", func(t *testing.T) {
		inWorld(t, 1, func(t *testing.T, w *world) {
			conns := w.connectable()
			s := w.syncerWith(conns, shopifysync.WithStateStore(&failingState{w.store, func() error { return broken }}))
			if _, err := s.Connect(t.Context(), w.conn); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			w.nothingSaved(conns, shopifysync.ConnectionState{Connection: connID})
		})
	})
	t.Run("state, of an edit", func(t *testing.T) {
		inWorld(t, 1, func(t *testing.T, w *world) {
			conns := w.connectable()
			w.connect(w.syncerWith(conns))
			edited := w.conn
			edited.Credentials.ClientSecret = shopifysync.NewSecret("newer")
			s := w.syncerWith(conns, shopifysync.WithStateStore(&failingState{w.store, func() error { return broken }}))
			if _, err := s.Connect(t.Context(), edited); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			saved, err := conns.Connection(t.Context(), connID)
			if diff := cmp.Diff(w.conn, saved); err != nil || diff != "" {
				t.Errorf("what was saved before is not there: %v\n%s", err, diff)
			}
		})
	})
	t.Run("state, after the subscriptions", func(t *testing.T) {
		inWorld(t, 1, func(t *testing.T, w *world) {
			conns, saves := w.connectable(), 0
			s := w.syncerWith(conns, shopifysync.WithStateStore(&failingState{w.store, func() error {
				if saves++; saves > 1 {
					return broken
				}
				return nil
			}}))
			w.connect(s)
			if st := w.state(); !st.CheckDue || st.Health.State != shopifysync.HealthOK {
				t.Errorf("%+v", st)
			}
		})
	})
}

// Cancelled at any moment, Connect saves all or nothing, and returns at once.
func TestConnectCancelled(t *testing.T) {
	for after := time.Duration(5); after < 400; after += 10 {
		inWorld(t, 5, func(t *testing.T, w *world) {
			conns := w.connectable()
			ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
			defer cancel()
			_, err := w.syncerWith(conns).Connect(ctx, w.conn)
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %d ms: %v", after, err)
			}
			if err != nil {
				w.nothingSaved(conns, shopifysync.ConnectionState{Connection: connID})
			} else if _, err := conns.Connection(t.Context(), connID); err != nil || w.state().ShopID == "" {
				t.Errorf("after %d ms: %v", after, err)
			}
		})
	}
}

// A renamed store is the same one once the connection is edited to its name;
// contacts, marks and history stay.
func TestConnectRenamed(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		w.connect(s)
		w.sync(s)
		w.mark(shopifysync.Mark{CustomerID: 7, Reason: "mine"})
		before, connected := w.contacts(), w.state().ConnectedAt
		w.shop.Rename("renamed.myshopify.com")
		if h, err := s.Check(t.Context(), connID); !errors.Is(err, shopifysync.ErrShopMoved) || h.State != shopifysync.HealthMoved {
			t.Errorf("%v %+v", err, h)
		}
		if p := w.state().Pause; p == nil || p.State != shopifysync.HealthMoved {
			t.Errorf("%+v", p)
		}
		if _, err := s.Connect(t.Context(), w.conn); !errors.Is(err, shopifysync.ErrShopMoved) {
			t.Errorf("error %v", err)
		}
		w.conn.Shop = "renamed.myshopify.com"
		w.connect(s)
		if st := w.state(); st.Pause != nil || !st.ConnectedAt.Equal(connected) {
			t.Errorf("%+v", st)
		}
		if diff := cmp.Diff(before, w.contacts()); diff != "" || len(w.openMarks()) != 1 {
			t.Errorf("%d marks\n%s", len(w.openMarks()), diff)
		}
		status, err := s.Status(t.Context(), connID)
		if err != nil || len(status.Runs) != 1 {
			t.Errorf("%v %+v", err, status)
		}
		if r := w.sync(s); r.Created != 0 {
			t.Errorf("%+v", r)
		}
		w.mirrors()
	})
}

// A connection never becomes another store's.
func TestConnectAnotherStore(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		w.server.AddStore(shopifytest.StoreConfig{Domain: "other.myshopify.com", AccessToken: "canary-token-1"})
		conns := w.connectable()
		s := w.syncerWith(conns)
		w.connect(s)
		edited := w.conn
		edited.Shop = "other.myshopify.com"
		if _, err := s.Connect(t.Context(), edited); !errors.Is(err, shopifysync.ErrAnotherStore) {
			t.Errorf("error %v", err)
		}
		if saved, _ := conns.Connection(t.Context(), connID); saved.Shop != w.conn.Shop {
			t.Errorf("%+v", saved)
		}
	})
}

func TestOneConnectionPerShop(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		conns := w.connectable()
		s := w.syncerWith(conns, shopifysync.WithOneConnectionPerShop())
		w.connect(s)
		w.connect(s) // an edit
		second := w.conn
		second.ID = "tenant-2"
		if _, err := s.Connect(t.Context(), second); !errors.Is(err, shopifysync.ErrShopTaken) || !strings.Contains(err.Error(), "disconnect that one first") {
			t.Errorf("error %v", err)
		}
		// By default two tenants may connect one store.
		if _, err := w.syncerWith(conns).Connect(t.Context(), second); err != nil {
			t.Error(err)
		}
		for _, id := range []shopifysync.ConnectionID{connID, "tenant-2"} {
			if _, err := s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: id}); err != nil {
				t.Fatal(err)
			}
		}
		w.connect(s) // one that was disconnected takes nobody's place
	})
}

// When an edit brings a new client secret, the old one stays as the previous.
func TestConnectRotates(t *testing.T) {
	secret := shopifysync.NewSecret
	creds := func(c, p string) shopifysync.Credentials {
		return shopifysync.Credentials{AccessToken: secret("canary-token-1"), ClientSecret: secret(c), PreviousClientSecret: secret(p)}
	}
	inWorld(t, 1, func(t *testing.T, w *world) {
		conns := w.connectable()
		s := w.syncerWith(conns)
		for i, step := range []struct{ given, want shopifysync.Credentials }{
			{creds("a", ""), creds("a", "")},
			{creds("b", ""), creds("b", "a")},
			{creds("c", "x"), creds("c", "x")},
			{creds("d", ""), creds("d", "c")},
			{creds("d", ""), creds("d", "")}, // to drop it
			{creds("", ""), creds("", "d")},
		} {
			w.conn.Credentials = step.given
			w.connect(s)
			saved, err := conns.Connection(t.Context(), connID)
			if diff := cmp.Diff(step.want, saved.Credentials); err != nil || diff != "" {
				t.Errorf("step %d: %v\n%s", i, err, diff)
			}
		}
	})
}

// The credentials given are proved, not those that were saved before.
func TestConnectProvesWhatIsGiven(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		conns := w.connectable()
		s := w.syncerWith(conns)
		w.connect(s)
		good := w.conn
		w.conn.Credentials.AccessToken = shopifysync.NewSecret("wrong")
		if _, err := s.Connect(t.Context(), w.conn); !errors.Is(err, shopifysync.ErrUnauthorized) {
			t.Errorf("a wrong token, with a good one saved: %v", err)
		}
		if saved, _ := conns.Connection(t.Context(), connID); cmp.Diff(good, saved) != "" {
			t.Error("the good one is not saved any more")
		}
		// From a permanent token to client credentials, whose token is used on.
		w.conn.Credentials = shopifysync.Credentials{ClientID: "client-id", ClientSecret: shopifysync.NewSecret("client-secret")}
		w.connect(s)
		w.sync(s)
		if n := w.server.Count(shopifytest.OpToken); n != 1 {
			t.Errorf("%d tokens were asked for", n)
		}
		w.conn.Credentials.ClientSecret = shopifysync.NewSecret("wrong")
		if _, err := s.Connect(t.Context(), w.conn); !errors.Is(err, shopifysync.ErrUnauthorized) {
			t.Errorf("a wrong secret, with a good token in the cache: %v", err)
		}
	})
}

// An uninstalled connection goes on where it was when it is connected anew.
func TestReinstalled(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		s := w.syncerWith(w.connectable())
		w.connect(s)
		w.sync(s)
		before := w.contacts()
		w.shop.Uninstall()
		st := w.state()
		st.Pause = &shopifysync.Pause{State: shopifysync.HealthUninstalled, Since: time.Now()}
		if _, err := w.store.SaveConnectionState(t.Context(), shopifysync.SaveConnectionStateParams{State: st}); err != nil {
			t.Fatal(err)
		}
		requests := len(w.server.Requests())
		h, err := s.Check(t.Context(), connID)
		if !errors.Is(err, shopifysync.ErrUninstalled) || h == nil || len(w.server.Requests()) != requests {
			t.Errorf("%v %+v", err, h)
		}
		w.shop.Reinstall("canary-token-2")
		w.conn.Credentials.AccessToken = shopifysync.NewSecret("canary-token-2")
		w.connect(s)
		if diff := cmp.Diff(topicsOf("2026-01"), w.subscribed(ourURL)); diff != "" {
			t.Error(diff)
		}
		if r := w.sync(s); r.Created != 0 || len(before) != len(w.contacts()) {
			t.Errorf("%+v", r)
		}
	})
}

// readOnly hides that a connection store can save.
type readOnly struct{ shopifysync.Connections }

// With read-only connections Connect verifies and remembers, and the host saves.
func TestConnectReadOnly(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		conns := w.connectable()
		s := w.syncerWith(readOnly{conns})
		w.connect(s)
		if _, err := conns.Connection(t.Context(), connID); !errors.Is(err, shopifysync.ErrNotConnected) || w.state().ShopID == "" {
			t.Errorf("%v %+v", err, w.state())
		}
		if _, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID}); !errors.Is(err, shopifysync.ErrNotConnected) {
			t.Errorf("error %v", err)
		}
		if _, err := conns.SaveConnection(t.Context(), shopifysync.SaveConnectionParams{Connection: w.conn}); err != nil {
			t.Fatal(err)
		}
		w.sync(s)
		if _, err := s.Disconnect(t.Context(), shopifysync.DisconnectParams{Connection: connID}); err != nil {
			t.Fatal(err)
		}
		// The state is the authority: the host has not deleted it yet.
		if _, err := s.Sync(t.Context(), shopifysync.SyncParams{Connection: connID}); !errors.Is(err, shopifysync.ErrNotConnected) {
			t.Errorf("error %v", err)
		}
	})
}

// 32 Connects of one connection at once, in two processes, end well.
func TestConnectAtOnce(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		conns := w.connectable()
		syncers := []*shopifysync.Syncer{w.syncerWith(conns), w.syncerWith(conns)}
		errs := make([]error, 32)
		var wait sync.WaitGroup
		for i := range errs {
			wait.Go(func() { _, errs[i] = syncers[i%2].Connect(t.Context(), w.conn) })
		}
		wait.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(topicsOf("2026-01"), w.subscribed(ourURL)); diff != "" {
			t.Error(diff)
		}
		if st := w.state(); st.CheckDue || st.Health.State != shopifysync.HealthOK {
			t.Errorf("%+v", st)
		}
	})
}

// Of Connects of one ID to two stores at once one store wins, and what is saved
// agrees.
func TestConnectTwoStoresAtOnce(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		w.server.AddStore(shopifytest.StoreConfig{Domain: "other.myshopify.com", AccessToken: "canary-token-1"})
		conns := w.connectable()
		s := w.syncerWith(conns)
		other := w.conn
		other.Shop = "other.myshopify.com"
		errs := make([]error, 8)
		var wait sync.WaitGroup
		for i := range errs {
			wait.Go(func() { _, errs[i] = s.Connect(t.Context(), []shopifysync.Connection{w.conn, other}[i%2]) })
		}
		wait.Wait()
		ok := 0
		for _, err := range errs {
			if err == nil {
				ok++
			} else if !errors.Is(err, shopifysync.ErrAnotherStore) {
				t.Errorf("error %v", err)
			}
		}
		saved, err := conns.Connection(t.Context(), connID)
		if ok != 4 || err != nil || w.state().Health.Shop.Domain != saved.Shop {
			t.Errorf("%d succeeded, %v: %s is saved, %s in the state", ok, err, saved.Shop, w.state().Health.Shop.Domain)
		}
	})
}

func ExampleSyncer_Connect() {
	server := shopifytest.NewServer()
	defer server.Close()
	store := server.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com", Scopes: []string{"read_products"}})

	syncer, err := shopifysync.New(shopifysync.NewMemoryStore(), shopifysync.StaticConnections(),
		shopifysync.WithHTTPClient(server.Client()),
		shopifysync.WithWebhookURL("https://hooks.example.com/shopify/{connection}"))
	if err != nil {
		fmt.Println(err)
		return
	}
	shop, _ := shopifysync.ParseShop("https://demo.myshopify.com/")
	conn := shopifysync.Connection{ID: "tenant-1", Shop: shop, Credentials: shopifysync.Credentials{
		AccessToken: shopifysync.NewSecret("shpat_test"), ClientSecret: shopifysync.NewSecret("client-secret"),
	}}
	_, err = syncer.Connect(context.Background(), conn)
	fmt.Println(err)

	store.Configure(func(c *shopifytest.StoreConfig) { c.Scopes = []string{"read_customers"} })
	health, err := syncer.Connect(context.Background(), conn)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(health.State, health.Shop.Name, health.Shop.Currency)
	for _, warning := range health.Warnings {
		fmt.Println("-", warning)
	}
	// Output:
	// shopifysync: the app lacks the access scopes read_customers: grant them, reinstall the app and connect again
	// ok demo TWD
	// - Shopify answers API version 2024-04 with 2026-01: it no longer serves the one asked for
	// - webhooks customers/merge are not subscribed to: the app lacks the access scope read_customer_merge
}
