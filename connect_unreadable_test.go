package shopifysync_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
)

// unreadable is a store of connections that cannot decrypt the secrets of one,
// until it is saved anew.
type unreadable struct {
	shopifysync.ConnectionStore
	id shopifysync.ConnectionID
}

func (u *unreadable) strip(conns []shopifysync.Connection) []shopifysync.Connection {
	for i := range conns {
		if conns[i].ID == u.id {
			conns[i].Credentials = shopifysync.Credentials{}
		}
	}
	return conns
}

func (u *unreadable) Connection(ctx context.Context, id shopifysync.ConnectionID) (shopifysync.Connection, error) {
	if id == u.id {
		return shopifysync.Connection{}, fmt.Errorf("%w: its key is lost", shopifysync.ErrInvalidConnection)
	}
	return u.ConnectionStore.Connection(ctx, id)
}

func (u *unreadable) ConnectionsByShop(ctx context.Context, shop shopifysync.Shop) ([]shopifysync.Connection, error) {
	conns, err := u.ConnectionStore.ConnectionsByShop(ctx, shop)
	return u.strip(conns), err
}

func (u *unreadable) ListConnections(ctx context.Context, p shopifysync.ListConnectionsParams) (shopifysync.ListConnectionsResult, error) {
	listed, err := u.ConnectionStore.ListConnections(ctx, p)
	return shopifysync.ListConnectionsResult{Connections: u.strip(listed.Connections)}, err
}

func (u *unreadable) SaveConnection(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
	if p.Connection.ID == u.id {
		u.id = ""
	}
	return u.ConnectionStore.SaveConnection(ctx, p)
}

func TestUnreadableConnection(t *testing.T) {
	t.Run("connect", func(t *testing.T) {
		inWorld(t, 5, func(t *testing.T, w *world) {
			conns := w.connectable()
			w.connect(w.syncerWith(conns))
			s := w.syncerWith(&unreadable{conns, connID})
			w.connect(s)
			w.sync(s)
			w.mirrors()
		})
	})
	for name, remove := range map[string]bool{"disconnect, keeping": false, "disconnect, removing": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 5, func(t *testing.T, w *world) {
				conns := w.connectable()
				s := w.syncerWith(conns)
				w.connect(s)
				w.sync(s)
				s = w.syncerWith(&unreadable{conns, connID})
				if got := w.disconnect(s, remove); (got.Removed == 0) == remove {
					t.Errorf("removed %d contacts", got.Removed)
				}
				w.refusesAll(s)
			})
		})
	}
	t.Run("serve", func(t *testing.T) {
		inFleet(t, func(t *testing.T, fl *fleet) {
			fl.add("bad", 10, nil)
			fl.add("good", 10, nil)
			fl.conns = &unreadable{fl.conns, "bad"}
			stop := serve(t, fl.syncer())
			time.Sleep(time.Hour)
			fl.mirrors("good")
			fl.between("run", "bad", 0, 0)
			fl.connect("bad")
			time.Sleep(time.Hour)
			fl.mirrors("bad")
			stop()
		})
	})
	t.Run("webhook of the shop", func(t *testing.T) {
		inWorld(t, 5, func(t *testing.T, w *world) {
			w.signs()
			other := w.conn
			other.ID = "bad"
			conns := shopifysync.StaticConnections(w.conn, other)
			s := w.syncerWith(&unreadable{conns, "bad"}, shopifysync.WithStateStore(durable{w.store}))
			r := w.delivery("customers/update", w.ids()[0])
			r.URL.Path = "/webhooks/shopify"
			if got := status(mount(s), r); got != http.StatusOK || len(w.openMarks()) != 1 {
				t.Errorf("status %d, %d marks", got, len(w.openMarks()))
			}
		})
	})
}
