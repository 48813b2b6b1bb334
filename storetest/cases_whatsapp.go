package storetest

import "github.com/omnichat/shopifysync"

func linked(id shopifysync.CustomerID, observed int, w *shopifysync.WhatsAppContact) shopifysync.Contact {
	c := named(id, "Ann", version(1, observed))
	c.WhatsApp = w
	return c
}

func whatsAppCases() []testCase {
	type contact = shopifysync.WhatsAppContact
	return []testCase{
		{
			name: "WhatsApp/Link",
			rule: "A WhatsApp contact links; nil is untouched; another one replaces it; one without a user id unlinks.",
			run: func(c *check) {
				c.upsert(created, linked(1, 1, nil))
				c.upsert(unchanged, linked(1, 2, &contact{}))
				c.upsert(updated, linked(1, 3, &contact{Account: "wa-1", UserID: "886912345678", Name: "Ann"}))
				c.upsert(unchanged, linked(1, 4, nil))
				c.upsert(updated, linked(1, 5, &contact{Account: "wa-1", UserID: "886912345679", Name: "Ann"}))
				c.upsert(updated, linked(1, 6, &contact{Account: "wa-2", UserID: "886912345679", Name: "Ann"}))
				c.upsert(updated, linked(1, 7, &contact{Account: "wa-2", UserID: "886912345679", Name: "安"}))
				c.upsert(updated, linked(1, 8, &contact{Account: "wa-2"}))
				c.upsert(updated, linked(1, 9, &contact{Account: "WA-2", UserID: "0", Name: ""}))
			},
		},
		{
			name: "WhatsApp/MaskedName",
			rule: "While the name is masked, a WhatsApp contact keeps the name stored with it.",
			run: func(c *check) {
				c.upsert(created, linked(1, 1, &contact{Account: "wa-1", UserID: "886912345678", Name: "Ann"}))
				in := linked(1, 2, &contact{Account: "wa-1", UserID: "886912345678"})
				in.Masked = shopifysync.FieldName
				c.upsert(unchanged, in)
				in.Version, in.WhatsApp = version(1, 3), &contact{Account: "wa-1", UserID: "886912345679"}
				c.upsert(updated, in)
			},
		},
		{
			name: "WhatsApp/Shared",
			rule: "Several customers may be linked to one WhatsApp contact; each has its own link, with the name it came with.",
			run: func(c *check) {
				shared := func(name string) *contact { return &contact{Account: "wa-1", UserID: "886912345678", Name: name} }
				c.batch(tenant, false, linked(1, 1, shared("Ann")), linked(2, 1, shared("Ann")), linked(3, 1, shared("Bob")))
				c.verifyAll()
				c.upsert(updated, linked(2, 2, &contact{}))
				c.verifyAll()
				c.remove(removed, tenant, shopifysync.RemovedDeleted, observedAt(3), shopifysync.Removal{CustomerID: 1})
				c.verifyAll()
				other := under("tenant-2", linked(1, 1, shared("Eve")))
				c.upsert(created, other)
				c.verifyAll()
			},
		},
		{
			name: "WhatsApp/Removal",
			rule: "A removal drops the link, and a contact that comes back without one has none.",
			run: func(c *check) {
				c.upsert(created, linked(1, 1, &contact{Account: "wa-1", UserID: "886912345678", Name: "Ann"}))
				c.remove(removed, tenant, shopifysync.RemovedDeleted, observedAt(2), shopifysync.Removal{CustomerID: 1})
				c.upsert(created, linked(1, 3, nil))
				c.upsert(updated, linked(1, 4, &contact{Account: "wa-1", UserID: "886912345678", Name: "Ann"}))
			},
		},
	}
}
