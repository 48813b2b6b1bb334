package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/omnichat/shopifysync"
)

func connection(id shopifysync.ConnectionID) shopifysync.Connection {
	return shopifysync.Connection{
		ID: id, Shop: "my-shop.myshopify.com", APIVersion: "2024-07",
		Credentials: shopifysync.Credentials{
			AccessToken: shopifysync.NewSecret("shpat_" + string(id)), ClientID: "client",
			ClientSecret: shopifysync.NewSecret("secret 密碼 😀 \x01\"'\\"), PreviousClientSecret: shopifysync.NewSecret("previous"),
		},
		WhatsApp: &shopifysync.WhatsAppSettings{AccountID: "wa-1", Policy: shopifysync.WhatsAppSubscribed, Country: "TW"},
		Labels:   map[string]string{"plan": "gold", "名": "值", "": ""},
	}
}

func (c *check) saveConnection(conn shopifysync.Connection, wantCreated bool) {
	c.Helper()
	result, err := c.connections.SaveConnection(c.ctx, shopifysync.SaveConnectionParams{Connection: conn})
	c.noError("SaveConnection", err)
	if result.Created != wantCreated {
		c.fatalf("SaveConnection of %q: Created is %t, want %t", conn.ID, result.Created, wantCreated)
	}
	c.expectConnection(conn)
}

func (c *check) expectConnection(want shopifysync.Connection) {
	c.Helper()
	got, err := c.connections.Connection(c.ctx, want.ID)
	c.noError("Connection", err)
	if d := connectionDifference(want, got); d != "" {
		c.fatalf("connection %q is not as it was saved: %s differ", want.ID, d)
	}
}

// connectionDifference names what differs; it shows no secret.
func connectionDifference(want, got shopifysync.Connection) string {
	w, g := want.Credentials, got.Credentials
	var names []string
	for _, part := range []struct {
		name string
		same bool
	}{
		{"ID", want.ID == got.ID},
		{"Shop", want.Shop == got.Shop},
		{"APIVersion", want.APIVersion == got.APIVersion},
		{"AccessToken", w.AccessToken.Reveal() == g.AccessToken.Reveal()},
		{"ClientID", w.ClientID == g.ClientID},
		{"ClientSecret", w.ClientSecret.Reveal() == g.ClientSecret.Reveal()},
		{"PreviousClientSecret", w.PreviousClientSecret.Reveal() == g.PreviousClientSecret.Reveal()},
		{"WhatsApp", (want.WhatsApp == nil) == (got.WhatsApp == nil) && (want.WhatsApp == nil || *want.WhatsApp == *got.WhatsApp)},
		{"Labels", maps.Equal(want.Labels, got.Labels)},
	} {
		if !part.same {
			names = append(names, part.name)
		}
	}
	return strings.Join(names, ", ")
}

func (c *check) listConnections(limit int) []shopifysync.ConnectionID {
	c.Helper()
	var ids []shopifysync.ConnectionID
	p := shopifysync.ListConnectionsParams{Limit: limit}
	for {
		result, err := c.connections.ListConnections(c.ctx, p)
		c.noError("ListConnections", err)
		if len(result.Connections) > limit {
			c.fatalf("ListConnections returned %d connections, the limit is %d", len(result.Connections), limit)
		}
		for _, conn := range result.Connections {
			if conn.ID <= p.After {
				c.fatalf("ListConnections returned %q after %q", conn.ID, p.After)
			}
			p.After = conn.ID
			ids = append(ids, conn.ID)
		}
		if len(result.Connections) < limit {
			return ids
		}
	}
}

func connectionCases() []testCase {
	return []testCase{
		{
			name: "Connection/RoundTrip",
			rule: "A connection comes back as it was saved: secrets, WhatsApp settings and labels exactly.",
			run: func(c *check) {
				c.saveConnection(connection("tenant-1"), true)
				c.saveConnection(shopifysync.Connection{
					ID: "tenant-2", Shop: "my-shop.myshopify.com",
					Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret("shpat_2")},
				}, true)
				long := connection("tenant-3")
				long.Credentials.AccessToken = shopifysync.NewSecret(strings.Repeat("t😀", 500))
				c.saveConnection(long, true)
			},
		},
		{
			name: "Connection/Replace",
			rule: "Saving replaces all of the connection of that id.",
			run: func(c *check) {
				c.saveConnection(connection("tenant-1"), true)
				edited := connection("tenant-1")
				edited.Shop = "renamed.myshopify.com"
				edited.Credentials.AccessToken = shopifysync.NewSecret("rotated")
				edited.Labels = map[string]string{"plan": "silver"}
				c.saveConnection(edited, false)
				c.saveConnection(shopifysync.Connection{
					ID: "tenant-1", Shop: "renamed.myshopify.com",
					Credentials: shopifysync.Credentials{ClientID: "id", ClientSecret: shopifysync.NewSecret("only")},
				}, false)
			},
		},
		{
			name: "Connection/NotConnected",
			rule: "The error for an unknown id matches ErrNotConnected.",
			run: func(c *check) {
				_, err := c.connections.Connection(c.ctx, "nobody")
				c.errorIs("Connection", err, shopifysync.ErrNotConnected)
			},
		},
		{
			name: "Connection/Delete",
			rule: "A deleted connection is gone; deleting an unknown one is no error.",
			run: func(c *check) {
				c.saveConnection(connection("tenant-1"), true)
				c.saveConnection(connection("tenant-2"), true)
				for i, want := range []bool{true, false} {
					result, err := c.connections.DeleteConnection(c.ctx, shopifysync.DeleteConnectionParams{Connection: "tenant-1"})
					c.noError("DeleteConnection", err)
					if result.Deleted != want {
						c.fatalf("DeleteConnection, call %d: Deleted is %t, want %t", i+1, result.Deleted, want)
					}
				}
				_, err := c.connections.Connection(c.ctx, "tenant-1")
				c.errorIs("Connection", err, shopifysync.ErrNotConnected)
				if got := c.listConnections(10); !slices.Equal(got, []shopifysync.ConnectionID{"tenant-2"}) {
					c.fatalf("ListConnections: got %q", got)
				}
				c.byShop("my-shop.myshopify.com", "tenant-2")
				c.saveConnection(connection("tenant-1"), true)
			},
		},
		{
			name: "Connection/ByShop",
			rule: "ConnectionsByShop returns every connection of the shop and no other; none is no error.",
			run: func(c *check) {
				for i, shop := range []shopifysync.Shop{"a.myshopify.com", "b.myshopify.com", "a.myshopify.com", "aa.myshopify.com"} {
					conn := connection(shopifysync.ConnectionID(fmt.Sprintf("tenant-%d", i)))
					conn.Shop = shop
					c.saveConnection(conn, true)
				}
				c.byShop("a.myshopify.com", "tenant-0", "tenant-2")
				c.byShop("nobody.myshopify.com")
				moved := connection("tenant-0")
				moved.Shop = "b.myshopify.com"
				c.saveConnection(moved, false)
				c.byShop("a.myshopify.com", "tenant-2")
				c.byShop("b.myshopify.com", "tenant-0", "tenant-1")
			},
		},
		{
			name: "Connection/List",
			rule: "ListConnections returns connections whole, by ascending ID in byte order, those after After, at most Limit.",
			run: func(c *check) {
				ids := lookalikeConnections()
				for _, id := range ids {
					c.saveConnection(connection(id), true)
				}
				slices.Sort(ids)
				for _, limit := range []int{1, 3, len(ids) - 1, len(ids), len(ids) + 1} {
					if got := c.listConnections(limit); !slices.Equal(got, ids) {
						c.fatalf("pages of %d: got %q, want %q", limit, got, ids)
					}
				}
				result, err := c.connections.ListConnections(c.ctx, shopifysync.ListConnectionsParams{Limit: 100})
				c.noError("ListConnections", err)
				for _, got := range result.Connections {
					if d := connectionDifference(connection(got.ID), got); d != "" {
						c.fatalf("connection %q is listed otherwise than it was saved: %s differ", got.ID, d)
					}
				}
			},
		},
		{
			name: "Connection/ByteExactIDs",
			rule: "Connection ids are compared byte for byte; one with a NUL in it is refused.",
			run: func(c *check) {
				for _, id := range lookalikeConnections() {
					c.saveConnection(connection(id), true)
				}
				for _, id := range lookalikeConnections() {
					c.expectConnection(connection(id))
				}
				_, err := c.connections.SaveConnection(c.ctx, shopifysync.SaveConnectionParams{Connection: connection("cafe\x00")})
				c.wantError("SaveConnection of an id with a NUL", err)
				_, err = c.connections.Connection(c.ctx, "cafe\x00")
				c.wantError("Connection of an id with a NUL", err)
				c.expectConnection(connection("cafe"))
			},
		},
		{
			name: "Connection/NotShared",
			rule: "A call keeps none of the memory passed in, and returns memory of the caller's own.",
			run: func(c *check) {
				saved := connection("tenant-1")
				c.saveConnection(saved, true)
				scribbleConnection(saved)
				c.expectConnection(connection("tenant-1"))
				got, err := c.connections.Connection(c.ctx, "tenant-1")
				c.noError("Connection", err)
				scribbleConnection(got)
				c.expectConnection(connection("tenant-1"))
			},
		},
		{
			name: "Connection/Concurrent",
			rule: "Of several that save one connection at once one creates it.",
			run: func(c *check) {
				creations := make([]bool, writers)
				together(writers, func(i int) {
					c.insist("SaveConnection", func() error {
						result, err := c.connections.SaveConnection(c.ctx, shopifysync.SaveConnectionParams{Connection: connection("tenant-1")})
						creations[i] = result.Created
						return err
					})
				})
				n := 0
				for _, created := range creations {
					if created {
						n++
					}
				}
				if n != 1 {
					c.fatalf("%d say that they created it, want 1", n)
				}
			},
		},
		{
			name: "Connection/Cancelled",
			rule: "A call whose context has ended returns an error and stores nothing.",
			run: func(c *check) {
				c.saveConnection(connection("tenant-1"), true)
				_, err := c.connections.SaveConnection(c.ended(), shopifysync.SaveConnectionParams{Connection: connection("tenant-2")})
				c.cancelled("SaveConnection", err)
				_, err = c.connections.DeleteConnection(c.ended(), shopifysync.DeleteConnectionParams{Connection: "tenant-1"})
				c.cancelled("DeleteConnection", err)
				_, err = c.connections.Connection(c.ended(), "tenant-1")
				c.cancelled("Connection", err)
				if errors.Is(err, shopifysync.ErrNotConnected) {
					c.fatalf("a cancelled Connection says that there is none")
				}
				_, err = c.connections.ConnectionsByShop(c.ended(), "my-shop.myshopify.com")
				c.cancelled("ConnectionsByShop", err)
				_, err = c.connections.ListConnections(c.ended(), shopifysync.ListConnectionsParams{Limit: 1})
				c.cancelled("ListConnections", err)
				if got := c.listConnections(10); !slices.Equal(got, []shopifysync.ConnectionID{"tenant-1"}) {
					c.fatalf("ListConnections: got %q", got)
				}
			},
		},
	}
}

// byShop compares the ids of a shop's connections, in no particular order.
func (c *check) byShop(shop shopifysync.Shop, want ...shopifysync.ConnectionID) {
	c.Helper()
	conns, err := c.connections.ConnectionsByShop(c.ctx, shop)
	c.noError("ConnectionsByShop", err)
	var got []shopifysync.ConnectionID
	for _, conn := range conns {
		got = append(got, conn.ID)
		if conn.Shop != shop || conn.Credentials.AccessToken.Reveal() != "shpat_"+string(conn.ID) {
			c.fatalf("ConnectionsByShop returned connection %q otherwise than it was saved", conn.ID)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		c.fatalf("ConnectionsByShop(%q): got %q, want %q", shop, got, want)
	}
}

func scribbleConnection(conn shopifysync.Connection) {
	conn.WhatsApp.AccountID = "scribbled"
	conn.Labels["plan"] = "scribbled"
}
