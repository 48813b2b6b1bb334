package storetest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/omnichat/shopifysync"
)

// skippedToo leaves a tombstone for a customer left out and never seen.
type skippedToo struct{ *plain }

func (s skippedToo) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	var result shopifysync.RemoveContactsResult
	for _, r := range p.Removals {
		outcome, _ := s.apply(contact{
			Connection: p.Connection, CustomerID: r.CustomerID, Removed: p.Reason,
			Version: shopifysync.Version{ObservedAt: p.ObservedAt},
		}, false)
		result.Outcomes = append(result.Outcomes, outcome)
	}
	return result, ctx.Err()
}

// allLive removes, when it is to remove all, the live contacts only.
type allLive struct{ *plain }

func (s allLive) RemoveContacts(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
	if p.All {
		live, err := s.ContactIDs(ctx, shopifysync.ContactIDsParams{Connection: p.Connection, Limit: 1 << 30})
		if err != nil {
			return shopifysync.RemoveContactsResult{}, err
		}
		p.All = false
		for _, id := range live.IDs {
			p.Removals = append(p.Removals, removal(id))
		}
		result, err := s.plain.RemoveContacts(ctx, p)
		result.Outcomes = nil
		return result, err
	}
	return s.plain.RemoveContacts(ctx, p)
}

func upserting(change func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.upsert = func(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			p.Contacts = slices.Clone(p.Contacts)
			return change(ctx, s, p)
		}
	})
}

func removing(change func(ctx context.Context, s *overridden, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.remove = func(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			return change(ctx, s, p)
		}
	})
}

func listing(change func(ctx context.Context, s *overridden, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.ids = func(ctx context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			return change(ctx, s, p)
		}
	})
}

func looking(change func(ctx context.Context, s *overridden, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.look = func(ctx context.Context, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
			return change(ctx, s, p)
		}
	})
}

func keyed(key func(string) string) func() shopifysync.ContactStore {
	return func() shopifysync.ContactStore {
		return byID(func(id connID) connID { return connID(key(string(id))) })
	}
}

func batchDefects() []defect {
	var errStore = errors.New("the store's own error")
	return []defect{
		// Batches.
		{"refuses an empty batch", "Batch/Empty", "UpsertContacts failed", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			if len(p.Contacts) == 0 {
				return shopifysync.UpsertContactsResult{}, errStore
			}
			return s.MemoryStore.UpsertContacts(ctx, p)
		})},
		{"outcomes in the order of ids", "Batch/Outcomes", "the outcome is", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			slices.SortStableFunc(p.Contacts, func(a, b contact) int { return cmp.Compare(a.CustomerID, b.CustomerID) })
			return s.MemoryStore.UpsertContacts(ctx, p)
		})},
		{"one outcome too few", "Batch/Outcomes", "results for", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			result, err := s.MemoryStore.UpsertContacts(ctx, p)
			if len(result.Results) > 3 {
				result.Results = result.Results[1:]
			}
			return result, err
		})},
		{"the last of duplicates only", "Batch/Duplicates", "the outcome is", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			last := make(map[customer]contact)
			for _, c := range p.Contacts {
				last[c.CustomerID] = c
			}
			for i, c := range p.Contacts {
				p.Contacts[i] = last[c.CustomerID]
			}
			return s.MemoryStore.UpsertContacts(ctx, p)
		})},
		{"the newest of duplicates only", "Batch/DuplicateAttributes", "attributes: got", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			newest := make(map[customer]contact)
			for _, c := range p.Contacts {
				if n, twice := newest[c.CustomerID]; !twice || c.Version.Compare(n.Version) > 0 {
					newest[c.CustomerID] = c
				}
			}
			seen := make(map[customer]bool)
			var result shopifysync.UpsertContactsResult
			for _, c := range p.Contacts {
				if seen[c.CustomerID] {
					result.Results = append(result.Results, shopifysync.UpsertResult{Outcome: updated})
					continue
				}
				seen[c.CustomerID] = true
				p.Contacts = []contact{newest[c.CustomerID]}
				one, err := s.MemoryStore.UpsertContacts(ctx, p)
				if err != nil {
					return result, err
				}
				result.Results = append(result.Results, one.Results...)
			}
			return result, nil
		})},
		{"stores the first 500 of a batch", "Batch/Large", "is not stored", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			rest := max(0, len(p.Contacts)-500)
			p.Contacts = p.Contacts[:len(p.Contacts)-rest]
			result, err := s.MemoryStore.UpsertContacts(ctx, p)
			for range rest {
				result.Results = append(result.Results, shopifysync.UpsertResult{Outcome: created})
			}
			return result, err
		})},
		{"stops at a refused contact", "Batch/Refused", "the outcome is", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			all := p.Contacts
			if i := slices.IndexFunc(all, hasNUL); i >= 0 {
				p.Contacts = all[:i+1]
			}
			result, err := s.MemoryStore.UpsertContacts(ctx, p)
			for len(result.Results) < len(all) {
				result.Results = append(result.Results, shopifysync.UpsertResult{Outcome: shopifysync.Refused, Reason: "one before it was refused"})
			}
			return result, err
		})},
		{"an error for a refused contact", "Batch/Refused", "UpsertContacts failed", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			if slices.ContainsFunc(p.Contacts, hasNUL) {
				return shopifysync.UpsertContactsResult{}, errStore
			}
			return s.MemoryStore.UpsertContacts(ctx, p)
		})},
		{"stores a text up to its NUL", "Batch/Refused", "holds a NUL character: the outcome is", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			for i := range p.Contacts {
				p.Contacts[i].Name, _, _ = strings.Cut(p.Contacts[i].Name, "\x00")
			}
			return s.MemoryStore.UpsertContacts(ctx, p)
		})},
		{"gives the text away that it refused", "Batch/Refused", "gives the contact's name away", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			result, err := s.MemoryStore.UpsertContacts(ctx, p)
			for i := range result.Results {
				if result.Results[i].Outcome == shopifysync.Refused {
					result.Results[i].Reason += ": " + p.Contacts[i].Name
				}
			}
			return result, err
		})},
		{"gives no reason", "Batch/Refused", "without a reason", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			result, err := s.MemoryStore.UpsertContacts(ctx, p)
			for i := range result.Results {
				result.Results[i].Reason = ""
			}
			return result, err
		})},
		{"refuses the customer, not the contact", "Batch/RefusedDuplicate", "the outcome is", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			for i, c := range p.Contacts {
				if slices.ContainsFunc(p.Contacts, func(o contact) bool { return o.CustomerID == c.CustomerID && hasNUL(o) }) {
					p.Contacts[i].Name = "\x00"
				}
			}
			return s.MemoryStore.UpsertContacts(ctx, p)
		})},
		{"ignores the context", "Context/Cancelled", "returned no error though its context", overriding(func(s *overridden) {
			m := s.MemoryStore
			s.upsert = func(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
				return m.UpsertContacts(context.WithoutCancel(ctx), p)
			}
		})},
		{"looks at the context too late", "Context/Cancelled", "is not stored as Apply says", overriding(func(s *overridden) {
			m := s.MemoryStore
			s.upsert = func(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
				result, err := m.UpsertContacts(context.WithoutCancel(ctx), p)
				return result, errors.Join(err, ctx.Err())
			}
		})},
		{"ignores the context of removals", "Context/Cancelled", "RemoveContacts returned no error", overriding(func(s *overridden) {
			m := s.MemoryStore
			s.remove = func(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
				return m.RemoveContacts(context.WithoutCancel(ctx), p)
			}
		})},
		{"writes row by row without a transaction", "Context/CancelledMidway", "is not stored as Apply says", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			var result shopifysync.UpsertContactsResult
			for _, c := range p.Contacts {
				patient()
				p.Contacts = []contact{c}
				one, err := s.MemoryStore.UpsertContacts(ctx, p)
				if err != nil {
					return result, err
				}
				result.Results = append(result.Results, one.Results...)
			}
			return result, nil
		})},
		{"removes row by row without a transaction", "Context/CancelledMidway", "is not stored as Apply says", removing(func(ctx context.Context, s *overridden, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			var result shopifysync.RemoveContactsResult
			for _, r := range p.Removals {
				patient()
				p.Removals = []shopifysync.Removal{r}
				one, err := s.MemoryStore.RemoveContacts(ctx, p)
				if err != nil {
					return result, err
				}
				result.Removed += one.Removed
				result.Outcomes = append(result.Outcomes, one.Outcomes...)
			}
			return result, nil
		})},
		{"commits after its context has ended, and fails", "Context/CancelledMidway", "is not stored as Apply says", upserting(func(ctx context.Context, s *overridden, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
			if err := ctx.Err(); err != nil {
				return shopifysync.UpsertContactsResult{}, err
			}
			patient()
			result, err := s.MemoryStore.UpsertContacts(context.WithoutCancel(ctx), p)
			return result, errors.Join(err, ctx.Err())
		})},
		{"is of no use after a call that was cancelled", "Context/CancelledMidway", "UpsertContacts failed", func() shopifysync.ContactStore {
			open := false // a transaction
			return override(func(s *overridden) {
				m := s.MemoryStore
				s.upsert = func(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
					patient()
					if open = open || ctx.Err() != nil; open {
						return shopifysync.UpsertContactsResult{}, errStore
					}
					return m.UpsertContacts(ctx, p)
				}
			})
		}},
		{"deadlocks for good", "Concurrency/OtherContacts", "UpsertContacts failed 20 times", func() shopifysync.ContactStore {
			var mu sync.Mutex
			busy := make(map[connID]bool)
			return override(func(s *overridden) {
				m := s.MemoryStore
				s.upsert = func(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
					mu.Lock()
					conflict := busy[p.Connection]
					busy[p.Connection] = true
					mu.Unlock()
					if conflict {
						return shopifysync.UpsertContactsResult{}, errStore
					}
					return m.UpsertContacts(ctx, p)
				}
			})
		}},

		{"sorts the batch passed in", "Batch/Outcomes", "changed the values passed in", overriding(func(s *overridden) {
			m := s.MemoryStore
			s.upsert = func(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
				result, err := m.UpsertContacts(ctx, p)
				slices.SortFunc(p.Contacts, func(a, b contact) int { return cmp.Compare(a.CustomerID, b.CustomerID) })
				return result, err
			}
		})},
		{"sorts the ids passed in", "Batch/Outcomes", "Contacts changed the values passed in", looking(func(ctx context.Context, s *overridden, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
			slices.Reverse(p.IDs)
			return s.MemoryStore.Contacts(ctx, p)
		})},

		// Removals.
		{"sorts the removals passed in", "Removal/Outcomes", "changed the values passed in", removing(func(ctx context.Context, s *overridden, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			result, err := s.MemoryStore.RemoveContacts(ctx, p)
			slices.SortFunc(p.Removals, func(a, b shopifysync.Removal) int { return cmp.Compare(a.CustomerID, b.CustomerID) })
			return result, err
		})},
		{"removes without a reason", "Removal/NoReason", "RemoveContacts without a reason returned no error", removing(func(ctx context.Context, s *overridden, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			if !p.All {
				p.Reason = cmp.Or(p.Reason, shopifysync.RemovedDeleted)
			}
			return s.MemoryStore.RemoveContacts(ctx, p)
		})},
		{"removes all without a reason", "Removal/NoReason", "RemoveContacts with All without a reason returned no error", removing(func(ctx context.Context, s *overridden, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			if p.All {
				p.Reason = cmp.Or(p.Reason, shopifysync.RemovedDisconnected)
			}
			return s.MemoryStore.RemoveContacts(ctx, p)
		})},
		{"fails without a reason, and removes", "Removal/NoReason", "is not stored as Apply says", removing(func(ctx context.Context, s *overridden, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			if p.Reason != "" {
				return s.MemoryStore.RemoveContacts(ctx, p)
			}
			p.Reason = shopifysync.RemovedDeleted
			_, err := s.MemoryStore.RemoveContacts(ctx, p)
			return shopifysync.RemoveContactsResult{}, cmp.Or(err, errStore)
		})},
		{"outcomes of removals in the order of ids", "Removal/Outcomes", "the outcome is", removing(func(ctx context.Context, s *overridden, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			p.Removals = slices.Clone(p.Removals)
			slices.SortFunc(p.Removals, func(a, b shopifysync.Removal) int { return cmp.Compare(a.CustomerID, b.CustomerID) })
			return s.MemoryStore.RemoveContacts(ctx, p)
		})},
		{"counts tombstones of those never seen", "Removal/Outcomes", "live contacts removed", removing(func(ctx context.Context, s *overridden, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			result, err := s.MemoryStore.RemoveContacts(ctx, p)
			result.Removed = 0
			for _, outcome := range result.Outcomes {
				if outcome == removed {
					result.Removed++
				}
			}
			return result, err
		})},
		{"removes the first 1,000 of all", "Removal/AllMany", "live contacts removed", removing(func(ctx context.Context, s *overridden, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
			if !p.All {
				return s.MemoryStore.RemoveContacts(ctx, p)
			}
			live, err := s.MemoryStore.ContactIDs(ctx, shopifysync.ContactIDsParams{Connection: p.Connection, Limit: 1000})
			if err != nil {
				return shopifysync.RemoveContactsResult{}, err
			}
			p.All = false
			for _, id := range live.IDs {
				p.Removals = append(p.Removals, removal(id))
			}
			result, err := s.MemoryStore.RemoveContacts(ctx, p)
			result.Outcomes = nil
			return result, err
		})},

		// Look-up and listing.
		{"an empty contact for an unknown id", "Contacts/UnknownIDs", "want 1 and 3", looking(func(ctx context.Context, s *overridden, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
			result, err := s.MemoryStore.Contacts(ctx, p)
			for _, id := range p.IDs {
				if !slices.ContainsFunc(result.Contacts, func(c contact) bool { return c.CustomerID == id }) && len(p.IDs) > 1 {
					result.Contacts = append(result.Contacts, contact{Connection: p.Connection, CustomerID: id})
				}
			}
			return result, err
		})},
		{"leaves tombstones out", "Contacts/UnknownIDs", "is not stored, want", looking(func(ctx context.Context, s *overridden, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
			result, err := s.MemoryStore.Contacts(ctx, p)
			result.Contacts = slices.DeleteFunc(result.Contacts, func(c contact) bool { return c.Removed != "" })
			return result, err
		})},
		{"999 ids at most", "Contacts/1000", "Contacts of 1,000 ids returned", looking(func(ctx context.Context, s *overridden, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
			p.IDs = p.IDs[:min(len(p.IDs), 999-1)]
			return s.MemoryStore.Contacts(ctx, p)
		})},
		{"ids as text", "ContactIDs/Order", "not ascending", listing(func(ctx context.Context, s *overridden, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			result, err := s.MemoryStore.ContactIDs(ctx, p)
			slices.SortFunc(result.IDs, func(a, b customer) int { return strings.Compare(a.String(), b.String()) })
			return result, err
		})},
		{"ids as floats", "ContactIDs/Order", "", listing(func(ctx context.Context, s *overridden, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			result, err := s.MemoryStore.ContactIDs(ctx, p)
			for i := range result.IDs {
				f, _ := strconv.ParseFloat(result.IDs[i].String(), 64)
				result.IDs[i] = customer(f)
			}
			return result, err
		})},
		{"After is included", "ContactIDs/Order", "not ascending", listing(func(ctx context.Context, s *overridden, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			if p.After > 0 {
				p.After--
			}
			return s.MemoryStore.ContactIDs(ctx, p)
		})},
		{"one more than Limit", "ContactIDs/Order", "the limit is", listing(func(ctx context.Context, s *overridden, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			p.Limit++
			return s.MemoryStore.ContactIDs(ctx, p)
		})},
		{"skips one after each page", "ContactIDs/Order", "want", listing(func(ctx context.Context, s *overridden, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			if p.After > 0 && p.After < 1<<62 {
				p.After++
			}
			return s.MemoryStore.ContactIDs(ctx, p)
		})},
		{"lists tombstones", "ContactIDs/LiveOnly", "want", func() shopifysync.ContactStore {
			var known []customer
			return override(func(s *overridden) {
				m := s.MemoryStore
				s.upsert = func(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
					for _, c := range p.Contacts {
						known = append(known, c.CustomerID)
					}
					return m.UpsertContacts(ctx, p)
				}
				s.ids = func(_ context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
					var ids []customer
					for _, id := range slices.Compact(slices.Sorted(slices.Values(known))) {
						if id > p.After && len(ids) < p.Limit {
							ids = append(ids, id)
						}
					}
					return shopifysync.ContactIDsResult{IDs: ids}, nil
				}
			})
		}},
		{"takes tombstones out of full pages", "ContactIDs/LiveOnly", "want", func() shopifysync.ContactStore {
			return override(func(s *overridden) {
				m := s.MemoryStore
				s.ids = func(ctx context.Context, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
					result, err := m.ContactIDs(ctx, p)
					result.IDs = slices.DeleteFunc(result.IDs, func(id customer) bool { return id > p.After+customer(p.Limit) })
					return result, err
				}
			})
		}},
		{"an error for no ids", "ContactIDs/Empty", "ContactIDs failed", listing(func(ctx context.Context, s *overridden, p shopifysync.ContactIDsParams) (shopifysync.ContactIDsResult, error) {
			result, err := s.MemoryStore.ContactIDs(ctx, p)
			if len(result.IDs) == 0 {
				err = errStore
			}
			return result, err
		})},

		// Tenants.
		{"one connection for all", "Tenancy/SameCustomer", "the outcome is", keyed(func(string) string { return "all" })},
		{"forgets the connection when looking contacts up", "Tenancy/Lookup", "want customer 2 alone", func() shopifysync.ContactStore {
			known := make(map[connID]bool)
			return override(func(s *overridden) {
				m := s.MemoryStore
				s.upsert = func(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
					known[p.Connection] = true
					return m.UpsertContacts(ctx, p)
				}
				s.look = func(ctx context.Context, p shopifysync.ContactsParams) (shopifysync.ContactsResult, error) {
					found := make(map[customer]contact)
					for id := range known {
						result, err := m.Contacts(ctx, shopifysync.ContactsParams{Connection: id, IDs: p.IDs})
						if err != nil {
							return result, err
						}
						for _, c := range result.Contacts {
							c.Connection = p.Connection
							found[c.CustomerID] = c
						}
					}
					return shopifysync.ContactsResult{Contacts: slices.Collect(maps.Values(found))}, nil
				}
			})
		}},
		{"removes all of all connections", "Tenancy/Removal", "is not stored as Apply says", func() shopifysync.ContactStore {
			return override(func(s *overridden) {
				m := s.MemoryStore
				s.remove = func(ctx context.Context, p shopifysync.RemoveContactsParams) (shopifysync.RemoveContactsResult, error) {
					if p.All {
						other := p
						other.Connection = "tenant-2"
						if _, err := m.RemoveContacts(ctx, other); err != nil {
							return shopifysync.RemoveContactsResult{}, err
						}
					}
					return m.RemoveContacts(ctx, p)
				}
			})
		}},
		{"folds the case of connection ids", "Tenancy/ByteExactIDs", "the outcome is", keyed(strings.ToLower)},
		{"trims connection ids", "Tenancy/ByteExactIDs", "the outcome is", keyed(func(id string) string { return strings.TrimRight(id, " ") })},
		{"cuts connection ids at 254 bytes", "Tenancy/ByteExactIDs", "the outcome is", keyed(func(id string) string {
			if len(id) == 255 && id[0] == 'x' {
				return id[:254]
			}
			return id
		})},
		{"composes connection ids", "Tenancy/ByteExactIDs", "the outcome is", keyed(func(id string) string {
			return strings.ReplaceAll(id, "e\u0301", "é")
		})},
		{"cuts connection ids at a NUL", "Tenancy/NULRefused", "UpsertContacts returned no error", keyed(func(id string) string {
			id, _, _ = strings.Cut(id, "\x00")
			return id
		})},
	}
}

func finding(change func(p shopifysync.FindContactsParams, found []contact) []contact) func() shopifysync.ContactStore {
	// Every contact ever upserted, live or not.
	return func() shopifysync.ContactStore {
		known := make(map[customer]contact)
		return override(func(s *overridden) {
			m := s.MemoryStore
			s.upsert = func(ctx context.Context, p shopifysync.UpsertContactsParams) (shopifysync.UpsertContactsResult, error) {
				for _, c := range p.Contacts {
					if _, twice := known[c.CustomerID]; !twice {
						known[c.CustomerID] = c
					}
				}
				return m.UpsertContacts(ctx, p)
			}
			s.find = func(_ context.Context, p shopifysync.FindContactsParams) (shopifysync.FindContactsResult, error) {
				var all []contact
				for _, id := range slices.Sorted(maps.Keys(known)) {
					all = append(all, known[id])
				}
				return shopifysync.FindContactsResult{Contacts: change(p, all)}, nil
			}
		})
	}
}

func finderDefects() []defect {
	where := func(matches func(p shopifysync.FindContactsParams, c contact) bool) func(shopifysync.FindContactsParams, []contact) []contact {
		return func(p shopifysync.FindContactsParams, all []contact) []contact {
			return slices.DeleteFunc(all, func(c contact) bool { return !matches(p, c) })
		}
	}
	return []defect{
		{"finds by e-mail and phone", "Finder/EmailOrPhone", "FindContacts of e-mail", finding(where(func(p shopifysync.FindContactsParams, c contact) bool {
			return c.Email == p.Email && c.Phone == p.Phone
		}))},
		{"finds everybody who has no e-mail", "Finder/EmailOrPhone", "FindContacts of e-mail", finding(where(func(p shopifysync.FindContactsParams, c contact) bool {
			return c.Email == p.Email || c.Phone == p.Phone
		}))},
		{"finds parts of an address", "Finder/EmailOrPhone", "FindContacts of e-mail", finding(where(func(p shopifysync.FindContactsParams, c contact) bool {
			return p.Email != "" && strings.Contains(c.Email, p.Email) || p.Phone != "" && c.Phone == p.Phone
		}))},
		{"finds the latest first", "Finder/EmailOrPhone", "FindContacts of e-mail", overriding(func(s *overridden) {
			s.find = func(ctx context.Context, p shopifysync.FindContactsParams) (shopifysync.FindContactsResult, error) {
				result, err := s.MemoryStore.FindContacts(ctx, p)
				slices.Reverse(result.Contacts)
				return result, err
			}
		})},
		{"folds the case of all letters", "Finder/Exact", "FindContacts of e-mail", finding(where(func(p shopifysync.FindContactsParams, c contact) bool {
			return strings.EqualFold(c.Email, p.Email)
		}))},
		{"folds no case", "Finder/Exact", "FindContacts of e-mail", finding(where(func(p shopifysync.FindContactsParams, c contact) bool {
			return p.Email != "" && c.Email == p.Email
		}))},
		{"finds whom was removed", "Finder/LiveOnly", "", finding(where(func(p shopifysync.FindContactsParams, c contact) bool {
			return c.Connection == p.Connection && (c.Email == p.Email || c.Phone == p.Phone)
		}))},
		{"ignores the context", "Finder/Cancelled", "returned no error though its context", overriding(func(s *overridden) {
			s.find = func(ctx context.Context, p shopifysync.FindContactsParams) (shopifysync.FindContactsResult, error) {
				return s.MemoryStore.FindContacts(context.WithoutCancel(ctx), p)
			}
		})},
	}
}
