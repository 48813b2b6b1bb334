package main

import (
	"net/http"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/sqlstore"
)

type homeBody struct {
	Stores []homeStore
	Demos  []demoLink
}

type homeStore struct {
	Head     *storeHead
	Contacts int64
	InStep   time.Time
}

// A demoLink is a demonstration store, and the connection to it, if there is one.
type demoLink struct {
	Key, Name string
	Shop      string
	Connected shopifysync.ConnectionID
}

// maxStores is how many connections the first page lists.
const maxStores = 100

func (c *console) home(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	listed, err := c.store.ListConnections(ctx, shopifysync.ListConnectionsParams{Limit: maxStores})
	if err != nil {
		return err
	}
	var body homeBody
	for _, conn := range listed.Connections {
		status, err := c.syncer.Status(ctx, conn.ID)
		if err != nil {
			return err
		}
		n, err := c.count(r, conn.ID)
		if err != nil {
			return err
		}
		body.Stores = append(body.Stores, homeStore{headOf(conn, status), n, status.InStepAsOf})
	}
	if c.demo != nil {
		body.Demos = c.demo.links(listed.Connections)
	}
	p := c.page(r, "home")
	p.Title, p.Body = p.T.HomeTitle, body
	return c.show(w, r, "home", p)
}

// count returns how many contacts a connection has.
func (c *console) count(r *http.Request, id shopifysync.ConnectionID) (int64, error) {
	got, err := c.store.List(r.Context(), sqlstore.ListParams{Connection: id, Limit: 1})
	return got.Total, err
}
