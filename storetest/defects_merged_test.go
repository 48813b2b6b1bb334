package storetest

import (
	"context"
	"slices"

	"github.com/omnichat/shopifysync"
)

// A mergedStore answers who was merged in a way of its own.
type mergedStore struct {
	*shopifysync.MemoryStore
	find func(context.Context, *shopifysync.MemoryStore, shopifysync.MergedCustomersParams) ([]shopifysync.CustomerID, error)
}

func (s mergedStore) MergedCustomers(ctx context.Context, p shopifysync.MergedCustomersParams) (shopifysync.MergedCustomersResult, error) {
	found, err := s.find(ctx, s.MemoryStore, p)
	return shopifysync.MergedCustomersResult{Customers: found}, err
}

func mergedDefects() []defect {
	finding := func(find func(context.Context, *shopifysync.MemoryStore, shopifysync.MergedCustomersParams) ([]shopifysync.CustomerID, error)) func() shopifysync.ContactStore {
		return func() shopifysync.ContactStore { return mergedStore{shopifysync.NewMemoryStore(), find} }
	}
	return []defect{
		{"finds nobody who was merged", "Merged/Into", "MergedCustomers into customer 1", finding(
			func(context.Context, *shopifysync.MemoryStore, shopifysync.MergedCustomersParams) ([]shopifysync.CustomerID, error) {
				return nil, nil
			})},
		{"finds the latest merged first", "Merged/Into", "MergedCustomers into customer 1", finding(
			func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.MergedCustomersParams) ([]shopifysync.CustomerID, error) {
				got, err := m.MergedCustomers(ctx, p)
				slices.Reverse(got.Customers)
				return got.Customers, err
			})},
		{"finds those merged into nobody", "Merged/Into", "MergedCustomers into customer 0", finding(
			func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.MergedCustomersParams) ([]shopifysync.CustomerID, error) {
				if p.Into == 0 {
					return []shopifysync.CustomerID{5}, nil
				}
				got, err := m.MergedCustomers(ctx, p)
				return got.Customers, err
			})},
		{"finds those merged in another connection", "Merged/Into", "MergedCustomers into customer 1", finding(
			func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.MergedCustomersParams) ([]shopifysync.CustomerID, error) {
				got, err := m.MergedCustomers(ctx, p)
				p.Connection = "tenant-2"
				other, _ := m.MergedCustomers(ctx, p)
				return slices.Sorted(slices.Values(append(got.Customers, other.Customers...))), err
			})},
	}
}

// MergedCustomers answers from the contacts that the rule made.
func (s *plain) MergedCustomers(_ context.Context, p shopifysync.MergedCustomersParams) (shopifysync.MergedCustomersResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []shopifysync.CustomerID
	for id, c := range s.contacts[p.Connection] {
		if c.MergedInto != 0 && c.MergedInto == p.Into {
			found = append(found, id)
		}
	}
	slices.Sort(found)
	return shopifysync.MergedCustomersResult{Customers: found}, nil
}
