package storetest

import (
	"fmt"
	"slices"

	"github.com/omnichat/shopifysync"
)

// expectShared lists the shared WhatsApp contacts of an account by pages of any
// size.
func (c *check) expectShared(id shopifysync.ConnectionID, account string, want ...shopifysync.SharedWhatsApp) {
	c.Helper()
	for _, limit := range []int{1, 2, 100} {
		var got []shopifysync.SharedWhatsApp
		p := shopifysync.SharedWhatsAppParams{Connection: id, Account: account, Limit: limit}
		for {
			result, err := c.sharer.SharedWhatsApp(c.ctx, p)
			c.noError("SharedWhatsApp", err)
			if len(result.Shared) > limit {
				c.fatalf("SharedWhatsApp returned %d, the limit is %d", len(result.Shared), limit)
			}
			for _, s := range result.Shared {
				if s.UserID <= p.After {
					c.fatalf("SharedWhatsApp after %q returned %q", p.After, s.UserID)
				}
				p.After = s.UserID
			}
			got = append(got, result.Shared...)
			if len(result.Shared) < limit {
				break
			}
		}
		same := slices.EqualFunc(got, want, func(a, b shopifysync.SharedWhatsApp) bool {
			return a.UserID == b.UserID && slices.Equal(a.Customers, b.Customers)
		})
		if !same {
			c.fatalf("SharedWhatsApp of account %q, in pages of %d: got %+v, want %+v", account, limit, got, want)
		}
	}
}

func sharerCases() []testCase {
	on := func(id shopifysync.CustomerID, observed int, account, user string) shopifysync.Contact {
		return linked(id, observed, &shopifysync.WhatsAppContact{Account: account, UserID: user})
	}
	shared := func(user string, customers ...shopifysync.CustomerID) shopifysync.SharedWhatsApp {
		return shopifysync.SharedWhatsApp{UserID: user, Customers: customers}
	}
	return []testCase{
		{
			name: "Sharer/Shared",
			rule: "SharedWhatsApp lists the WhatsApp contacts of the account that more than one live contact of the connection is linked to, by ascending user id, with the customers by ascending id.",
			run: func(c *check) {
				c.expectShared(tenant, "wa-1")
				c.batch(tenant, false,
					on(10, 1, "wa-1", "8869"), on(9, 1, "wa-1", "8869"), on(100, 1, "wa-1", "8869"),
					on(1, 1, "wa-1", "88610"), on(2, 1, "wa-1", "88610"),
					on(3, 1, "wa-1", "8861"), on(4, 1, "wa-2", "8861"), on(5, 1, "WA-1", "8861"), // not shared
					on(6, 1, "wa-2", "8862"), on(7, 1, "wa-2", "8862"),
					linked(11, 1, nil), linked(12, 1, nil))
				c.upsert(created, under("tenant-2", on(13, 1, "wa-1", "8861")))
				c.expectShared(tenant, "wa-1", shared("88610", 1, 2), shared("8869", 9, 10, 100))
				c.expectShared(tenant, "wa-2", shared("8862", 6, 7))
				c.expectShared(tenant, "wa-3")
				c.expectShared("tenant-2", "wa-1")
			},
		},
		{
			name: "Sharer/NoMore",
			rule: "Who was removed, unlinked, or linked to another one shares no more.",
			run: func(c *check) {
				var batch []shopifysync.Contact
				for id := range shopifysync.CustomerID(8) {
					batch = append(batch, on(id+1, 1, "wa-1", fmt.Sprint("886", id/2)))
				}
				c.batch(tenant, false, batch...)
				c.remove(removed, tenant, shopifysync.RemovedDeleted, observedAt(2), removal(2))
				c.upsert(updated, on(4, 2, "wa-1", ""))
				c.upsert(updated, on(6, 2, "wa-2", "8862"))
				c.expectShared(tenant, "wa-1", shared("8863", 7, 8))
				c.upsert(updated, on(8, 2, "wa-1", "8860"))
				c.expectShared(tenant, "wa-1", shared("8860", 1, 8))
			},
		},
		{
			name: "Sharer/Many",
			rule: "Of many customers that share one, the first shopifysync.MaxSharers are listed.",
			run: func(c *check) {
				var batch []shopifysync.Contact
				var first []shopifysync.CustomerID
				for id := range shopifysync.CustomerID(shopifysync.MaxSharers + 5) {
					batch = append(batch, on(1000-id, 1, "wa-1", "886"))
					if id < shopifysync.MaxSharers {
						first = append(first, 1000-shopifysync.MaxSharers-4+id)
					}
				}
				c.batch(tenant, false, batch...)
				c.expectShared(tenant, "wa-1", shared("886", first...))
			},
		},
		{
			name: "Sharer/Cancelled",
			rule: "A call whose context has ended returns an error, not an empty answer.",
			run: func(c *check) {
				_, err := c.sharer.SharedWhatsApp(c.ended(), shopifysync.SharedWhatsAppParams{Connection: tenant, Account: "wa-1", Limit: 1})
				c.cancelled("SharedWhatsApp", err)
			},
		},
	}
}
