package storetest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

// postponing overrides PostponeMarks; f is called for each mark with the one
// that is there, nil if none, and returns the one to be there instead.
func postponing(f func(old *shopifysync.Mark, in shopifysync.Mark) (*shopifysync.Mark, bool)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		m := s.MemoryStore
		s.postpone = func(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
			var result shopifysync.PostponeMarksResult
			for _, in := range p.Marks {
				var old *shopifysync.Mark
				found, err := m.Marks(ctx, shopifysync.MarksParams{Connection: p.Connection, After: in.CustomerID - 1, Limit: 1})
				if err != nil {
					return shopifysync.PostponeMarksResult{}, err
				}
				if len(found.Marks) > 0 && found.Marks[0].CustomerID == in.CustomerID {
					old = &found.Marks[0]
				}
				next, counted := f(old, in)
				if counted {
					result.Postponed++
				}
				if next == nil {
					continue
				}
				if old == nil {
					if _, err := m.PutMarks(ctx, shopifysync.PutMarksParams{Connection: p.Connection, Marks: []shopifysync.Mark{*next}}); err != nil {
						return result, err
					}
				}
				current, err := m.Marks(ctx, shopifysync.MarksParams{Connection: p.Connection, After: in.CustomerID - 1, Limit: 1})
				if err != nil {
					return result, err
				}
				next.Generation = current.Marks[0].Generation
				if _, err := m.PostponeMarks(ctx, shopifysync.PostponeMarksParams{Connection: p.Connection, Marks: []shopifysync.Mark{*next}}); err != nil {
					return result, err
				}
			}
			return result, nil
		}
	})
}

// sameGeneration makes what is sound of postponing with what is not left to change.
func sameGeneration(change func(old, in shopifysync.Mark) shopifysync.Mark) func() shopifysync.ContactStore {
	return postponing(func(old *shopifysync.Mark, in shopifysync.Mark) (*shopifysync.Mark, bool) {
		if old == nil || old.Generation != in.Generation {
			return nil, false
		}
		next := change(*old, in)
		return &next, true
	})
}

func listingDue(change func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.DueConnectionsParams) ([]connID, error)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.due = func(ctx context.Context, p shopifysync.DueConnectionsParams) (shopifysync.DueConnectionsResult, error) {
			ids, err := change(ctx, s.MemoryStore, p)
			return shopifysync.DueConnectionsResult{Connections: ids}, err
		}
	})
}

func dueDefects() []defect {
	return []defect{
		{"postpones to later only", "Postpone/Replaces", "the mark of customer", sameGeneration(func(old, in shopifysync.Mark) shopifysync.Mark {
			if in.NotBefore.Before(old.NotBefore) {
				in.NotBefore = old.NotBefore
			}
			return in
		})},
		{"keeps attempts and reason unless given", "Postpone/Replaces", "the mark of customer", sameGeneration(func(old, in shopifysync.Mark) shopifysync.Mark {
			if in.Attempts == 0 {
				in.Attempts, in.Reason = old.Attempts, old.Reason
			}
			return in
		})},
		{"sorts the marks to postpone", "Postpone/Many", "PostponeMarks changed the values passed in", overriding(func(s *overridden) {
			m := s.MemoryStore
			s.postpone = func(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
				result, err := m.PostponeMarks(ctx, p)
				slices.Reverse(p.Marks)
				return result, err
			}
		})},
		{"postpones by putting again", "Postpone/Replaces", "the generation from", overriding(func(s *overridden) {
			s.postpone = func(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
				result, err := s.MemoryStore.PostponeMarks(ctx, p)
				var again []shopifysync.Mark
				for _, m := range p.Marks {
					again = append(again, shopifysync.Mark{Connection: p.Connection, CustomerID: m.CustomerID, NotBefore: m.NotBefore, Attempts: m.Attempts})
				}
				_, _ = s.MemoryStore.PutMarks(ctx, shopifysync.PutMarksParams{Connection: p.Connection, Marks: again})
				return result, err
			}
		})},
		{"replaces the whole mark", "Postpone/Replaces", "the mark of customer", overriding(func(s *overridden) {
			s.postpone = func(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
				result, err := s.MemoryStore.PostponeMarks(ctx, p)
				if err == nil && p.Marks[0].MergedInto == 0 {
					m := p.Marks[0]
					dropMark(s.MemoryStore, &m)
					_, _ = s.MemoryStore.PutMarks(ctx, shopifysync.PutMarksParams{Connection: p.Connection, Marks: []shopifysync.Mark{m}})
				}
				return result, err
			}
		})},
		{"postpones whatever the generation", "Postpone/PutDuringFetch", "PostponeMarks counted 2", postponing(func(old *shopifysync.Mark, in shopifysync.Mark) (*shopifysync.Mark, bool) {
			if old == nil {
				return nil, false
			}
			return &in, true
		})},
		{"postpones what is gone", "Postpone/PutDuringFetch", "marks are open, want 2", postponing(func(old *shopifysync.Mark, in shopifysync.Mark) (*shopifysync.Mark, bool) {
			if old != nil && old.Generation != in.Generation {
				return nil, false
			}
			return &in, old != nil
		})},
		{"a postponed mark stays so", "Postpone/PutAfterwards", "the mark of customer", putting(func(_ *shopifysync.MemoryStore, old, in *shopifysync.Mark) {
			if old != nil && !old.NotBefore.IsZero() {
				in.NotBefore = old.NotBefore
			}
		})},
		{"one time for all of a batch", "Postpone/Many", "of the batch", overriding(func(s *overridden) {
			s.postpone = func(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
				p.Marks = slices.Clone(p.Marks)
				for i := range p.Marks {
					p.Marks[i].NotBefore = p.Marks[0].NotBefore
				}
				return s.MemoryStore.PostponeMarks(ctx, p)
			}
		})},
		{"postpones at most 100", "Postpone/Many", "PostponeMarks counted 100", overriding(func(s *overridden) {
			s.postpone = func(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
				p.Marks = p.Marks[:min(len(p.Marks), 100)]
				return s.MemoryStore.PostponeMarks(ctx, p)
			}
		})},
		{"ignores the context when postponing", "Postpone/Cancelled", "returned no error though its context", overriding(func(s *overridden) {
			s.postpone = func(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
				return s.MemoryStore.PostponeMarks(context.WithoutCancel(ctx), p)
			}
		})},
		{"due without looking at the time", "Due/Connections", "the connections due", listingDue(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.DueConnectionsParams) ([]connID, error) {
			p.DueBy = observedAt(10_000)
			result, err := m.DueConnections(ctx, p)
			return result.Connections, err
		})},
		{"due a moment late", "Due/Connections", "the connections due", listingDue(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.DueConnectionsParams) ([]connID, error) {
			p.DueBy = p.DueBy.Add(-time.Nanosecond)
			result, err := m.DueConnections(ctx, p)
			return result.Connections, err
		})},
		{"due in the order of a dictionary", "Due/Connections", "DueConnections after", listingDue(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.DueConnectionsParams) ([]connID, error) {
			result, err := m.DueConnections(ctx, p)
			slices.SortFunc(result.Connections, func(a, b connID) int {
				return strings.Compare(strings.ToLower(string(a)), strings.ToLower(string(b)))
			})
			return result.Connections, err
		})},
		{"due ids fold their case", "Due/Connections", "the connections due", listingDue(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.DueConnectionsParams) ([]connID, error) {
			result, err := m.DueConnections(ctx, p)
			return slices.CompactFunc(result.Connections, func(a, b connID) bool { return strings.EqualFold(string(a), string(b)) }), err
		})},
		{"due once for each mark", "Due/Connections", "DueConnections", listingDue(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.DueConnectionsParams) ([]connID, error) {
			result, err := m.DueConnections(ctx, p)
			return slices.Repeat(result.Connections, 2), err
		})},
		{"a page too long", "Due/Connections", "the limit is 1", listingDue(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.DueConnectionsParams) ([]connID, error) {
			p.Limit++
			result, err := m.DueConnections(ctx, p)
			return result.Connections, err
		})},
		{"due after a clearing", "Due/Connections", "the connections due", func() shopifysync.ContactStore {
			var known []connID
			return override(func(s *overridden) {
				s.putMarks = func(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
					known = append(known, p.Connection)
					return s.MemoryStore.PutMarks(ctx, p)
				}
				s.due = func(ctx context.Context, p shopifysync.DueConnectionsParams) (shopifysync.DueConnectionsResult, error) {
					if !p.DueBy.Equal(observedAt(1000)) {
						return s.MemoryStore.DueConnections(ctx, p)
					}
					slices.Sort(known)
					known = slices.Compact(known)
					i, found := slices.BinarySearch(known, p.After)
					if found {
						i++
					}
					return shopifysync.DueConnectionsResult{Connections: known[i:min(len(known), i+p.Limit)]}, nil
				}
			})
		}},
		{"postponed and due all the same", "Due/Postponed", "the connections due", overriding(func(s *overridden) {
			s.postpone = func(ctx context.Context, p shopifysync.PostponeMarksParams) (shopifysync.PostponeMarksResult, error) {
				return shopifysync.PostponeMarksResult{Postponed: int64(len(p.Marks))}, nil
			}
		})},
		{"a mark without a time is never due", "Due/Postponed", "the connections due", listingDue(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.DueConnectionsParams) ([]connID, error) {
			if p.DueBy.IsZero() {
				return nil, nil
			}
			result, err := m.DueConnections(ctx, p)
			return result.Connections, err
		})},
		{"ignores the context when listing due ones", "Due/Cancelled", "returned no error though its context", listingDue(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.DueConnectionsParams) ([]connID, error) {
			result, err := m.DueConnections(context.WithoutCancel(ctx), p)
			return result.Connections, err
		})},
	}
}
