package storetest

import (
	"context"
	"maps"
	"slices"

	"github.com/omnichat/shopifysync"
)

// sharing overrides SharedWhatsApp.
func sharing(change func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.shared = func(ctx context.Context, p shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error) {
			return change(ctx, s.MemoryStore, p)
		}
	})
}

// sharedBy is SharedWhatsApp of a store that groups contacts its own way; those
// of no group are left out.
func sharedBy(group func(p shopifysync.SharedWhatsAppParams, c contact) string, least, most int) func() shopifysync.ContactStore {
	return func() shopifysync.ContactStore {
		store := newPlain(nil)
		return override(func(s *overridden) {
			s.upsert, s.remove, s.look, s.ids = store.UpsertContacts, store.RemoveContacts, store.Contacts, store.ContactIDs
			s.shared = func(_ context.Context, p shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error) {
				store.mu.Lock()
				defer store.mu.Unlock()
				groups := make(map[string][]customer)
				for _, contacts := range store.contacts {
					for id, c := range contacts {
						if user := group(p, *c); user != "" && user > p.After {
							groups[user] = append(groups[user], id)
						}
					}
				}
				var result shopifysync.SharedWhatsAppResult
				for _, user := range slices.Sorted(maps.Keys(groups)) {
					if ids := groups[user]; len(ids) >= least && len(result.Shared) < p.Limit {
						slices.Sort(ids)
						result.Shared = append(result.Shared, shopifysync.SharedWhatsApp{UserID: user, Customers: ids[:min(len(ids), most)]})
					}
				}
				return result, nil
			}
		})
	}
}

func sharerDefects() []defect {
	user := func(c contact) string {
		if c.WhatsApp == nil {
			return ""
		}
		return c.WhatsApp.UserID
	}
	mine := func(p shopifysync.SharedWhatsAppParams, c contact) string {
		if c.Connection != p.Connection || c.WhatsApp == nil || c.WhatsApp.Account != p.Account {
			return ""
		}
		return user(c)
	}
	return []defect{
		{"lists those of one customer", "Sharer/Shared", "SharedWhatsApp of account", sharedBy(mine, 1, shopifysync.MaxSharers)},
		{"looks at every connection", "Sharer/Shared", "SharedWhatsApp of account", sharedBy(func(p shopifysync.SharedWhatsAppParams, c contact) string {
			p.Connection = c.Connection
			return mine(p, c)
		}, 2, shopifysync.MaxSharers)},
		{"looks at every account", "Sharer/Shared", "SharedWhatsApp of account", sharedBy(func(p shopifysync.SharedWhatsAppParams, c contact) string {
			if c.Connection != p.Connection {
				return ""
			}
			return user(c)
		}, 2, shopifysync.MaxSharers)},
		{"ignores After", "Sharer/Shared", "SharedWhatsApp after", sharing(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error) {
			p.After = ""
			return m.SharedWhatsApp(ctx, p)
		})},
		{"ignores Limit", "Sharer/Shared", "the limit is", sharing(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error) {
			p.Limit = 100
			return m.SharedWhatsApp(ctx, p)
		})},
		{"keeps the links of the removed", "Sharer/NoMore", "SharedWhatsApp of account", sharedBy(func(p shopifysync.SharedWhatsAppParams, c contact) string {
			if c.Removed != "" {
				return "8860" // what the case's removed customer was linked to
			}
			return mine(p, c)
		}, 2, shopifysync.MaxSharers)},
		{"lists all who share one", "Sharer/Many", "SharedWhatsApp of account", sharedBy(mine, 2, 1000)},
		{"ignores the context", "Sharer/Cancelled", "returned no error though its context", sharing(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.SharedWhatsAppParams) (shopifysync.SharedWhatsAppResult, error) {
			return m.SharedWhatsApp(context.WithoutCancel(ctx), p)
		})},
	}
}
