package storetest

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
)

func mark(id shopifysync.CustomerID) shopifysync.Mark {
	return shopifysync.Mark{Connection: tenant, CustomerID: id}
}

func (c *check) putMarks(id shopifysync.ConnectionID, marks ...shopifysync.Mark) {
	c.Helper()
	for i := range marks {
		marks[i].Connection = id
	}
	before := slices.Clone(marks)
	_, err := c.state.PutMarks(c.ctx, shopifysync.PutMarksParams{Connection: id, Marks: marks})
	c.noError("PutMarks", err)
	kept(c, "PutMarks", before, marks)
}

func (c *check) clearMarks(id shopifysync.ConnectionID, marks ...shopifysync.Mark) int64 {
	c.Helper()
	before := slices.Clone(marks)
	result, err := c.state.ClearMarks(c.ctx, shopifysync.ClearMarksParams{Connection: id, Marks: marks})
	c.noError("ClearMarks", err)
	kept(c, "ClearMarks", before, marks)
	return result.Cleared
}

// marks lists marks by pages.
func (c *check) marks(id shopifysync.ConnectionID, dueBy time.Time, limit int) []shopifysync.Mark {
	c.Helper()
	var all []shopifysync.Mark
	p := shopifysync.MarksParams{Connection: id, DueBy: dueBy, Limit: limit}
	for {
		result, err := c.state.Marks(c.ctx, p)
		c.noError("Marks", err)
		if len(result.Marks) > limit {
			c.fatalf("Marks returned %d marks, the limit is %d", len(result.Marks), limit)
		}
		for _, m := range result.Marks {
			if m.Connection != id || m.CustomerID <= p.After {
				c.fatalf("Marks of connection %q after customer %d returned customer %d of connection %q", id, p.After, m.CustomerID, m.Connection)
			}
			p.After = m.CustomerID
		}
		all = append(all, result.Marks...)
		if len(result.Marks) < limit {
			return all
		}
	}
}

func (c *check) markIDs(id shopifysync.ConnectionID, dueBy time.Time, limit int) []shopifysync.CustomerID {
	c.Helper()
	var ids []shopifysync.CustomerID
	for _, m := range c.marks(id, dueBy, limit) {
		ids = append(ids, m.CustomerID)
	}
	return ids
}

// mark returns the mark of a customer, which must be there.
func (c *check) mark(id shopifysync.CustomerID) shopifysync.Mark {
	c.Helper()
	for _, m := range c.marks(tenant, time.Time{}, 100) {
		if m.CustomerID == id {
			return m
		}
	}
	c.fatalf("customer %d has no mark", id)
	return shopifysync.Mark{}
}

// expectMark compares all of a mark but its generation, which it returns.
func (c *check) expectMark(want shopifysync.Mark) (generation int64) {
	c.Helper()
	got := c.mark(want.CustomerID)
	generation = got.Generation
	same := when(got.NotBefore) == when(want.NotBefore) && when(got.Floor) == when(want.Floor)
	plain := func(m shopifysync.Mark) shopifysync.Mark {
		m.Generation, m.NotBefore, m.Floor = 0, time.Time{}, time.Time{}
		return m
	}
	if !same || plain(got) != plain(want) {
		c.fatalf("the mark of customer %d:\n  got %+v\n want %+v", want.CustomerID, got, want)
	}
	return generation
}

func (c *check) open(id shopifysync.ConnectionID) int64 {
	c.Helper()
	result, err := c.state.Marks(c.ctx, shopifysync.MarksParams{Connection: id, DueBy: observedAt(-1000), Limit: 1})
	c.noError("Marks", err)
	return result.Open
}

func markCases() []testCase {
	return []testCase{
		{
			name: "Mark/RoundTrip",
			rule: "A mark comes back as it was put, with a generation.",
			run: func(c *check) {
				full := shopifysync.Mark{
					Connection: tenant, CustomerID: 9007199254740993, NotBefore: observedAt(3), Attempts: 4,
					Reason: strings.Repeat("會", 85), Floor: observedAt(5), MergedInto: 9007199254740995,
				}
				c.putMarks(tenant, full, mark(1))
				c.expectMark(full)
				c.expectMark(mark(1))
			},
		},
		{
			name: "Mark/Again",
			rule: "A customer has one mark. Put again its generation grows by one, NotBefore becomes the earlier, Floor the later, Attempts the one given, and Reason and MergedInto those given unless zero.",
			run: func(c *check) {
				m := shopifysync.Mark{
					Connection: tenant, CustomerID: 1, NotBefore: observedAt(10), Floor: observedAt(10),
					Attempts: 3, Reason: "first", MergedInto: 7,
				}
				c.putMarks(tenant, m)
				generation := c.expectMark(m)
				again := func(put, want shopifysync.Mark) {
					c.Helper()
					c.putMarks(tenant, put)
					next := c.expectMark(want)
					if next != generation+1 {
						c.fatalf("the generation went from %d to %d", generation, next)
					}
					generation = next
				}
				again(with2(m, func(m *shopifysync.Mark) { m.NotBefore, m.Floor = observedAt(11), observedAt(9) }), m)
				m.NotBefore, m.Floor = observedAt(8), observedAt(12)
				again(m, m)
				given := with2(m, func(m *shopifysync.Mark) { m.Attempts, m.Reason, m.MergedInto, m.Floor = 0, "", 0, time.Time{} })
				m.Attempts = 0
				again(given, m)
				m.Attempts, m.Reason, m.MergedInto = 1, "second", 6
				again(m, m)
				m.NotBefore, m.Attempts = time.Time{}, 0
				again(mark(1), m)
				again(with2(mark(1), func(m *shopifysync.Mark) { m.NotBefore = observedAt(1) }), m)
			},
		},
		{
			name: "Mark/Deleted",
			rule: "The reason that a customer was deleted stays, whatever is put later.",
			run: func(c *check) {
				because := func(id shopifysync.CustomerID, reason string) shopifysync.Mark {
					return with2(mark(id), func(m *shopifysync.Mark) { m.Reason = reason })
				}
				const deleted = "customers/delete"
				c.putMarks(tenant, because(1, "customers/update"), because(2, deleted))
				c.putMarks(tenant, because(1, deleted), because(2, "customers/update"), because(3, deleted), because(3, "customers/update"))
				for id := range shopifysync.CustomerID(3) {
					c.expectMark(because(id+1, deleted))
				}
				c.putMarks(tenant, mark(1))
				c.expectMark(because(1, deleted))
			},
		},
		{
			name: "Mark/Twice",
			rule: "A customer may occur twice in one call; that is as good as two calls.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1))
				before := c.mark(1).Generation
				m := mark(1)
				m.Reason, m.Floor, m.Attempts = "first", observedAt(9), 5
				second := mark(1)
				second.Attempts, second.Floor = 2, observedAt(3)
				c.putMarks(tenant, m, mark(2), second)
				m.Attempts = 2
				if got := c.expectMark(m); got != before+2 {
					c.fatalf("the generation went from %d to %d, want %d", before, got, before+2)
				}
				if got := c.open(tenant); got != 2 {
					c.fatalf("%d marks are open, want 2", got)
				}
			},
		},
		{
			name: "Mark/Cleared",
			rule: "Clearing deletes the marks of that customer and generation, and counts them.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1), mark(2), mark(3))
				one, two := c.mark(1), c.mark(2)
				unknown := mark(99)
				unknown.Generation = one.Generation
				if got := c.clearMarks(tenant, one, two, unknown, mark(98)); got != 2 {
					c.fatalf("ClearMarks counted %d, want 2", got)
				}
				if got := c.markIDs(tenant, time.Time{}, 10); !slices.Equal(got, []shopifysync.CustomerID{3}) {
					c.fatalf("the marks left are %d, want [3]", got)
				}
				if got := c.clearMarks(tenant, one); got != 0 {
					c.fatalf("ClearMarks counted %d for a mark that is gone", got)
				}
				if got := c.clearMarks(tenant); got != 0 {
					c.fatalf("ClearMarks counted %d for no marks", got)
				}
			},
		},
		{
			name: "Mark/PutDuringFetch",
			rule: "A mark put again while its customer was fetched survives the clearing, for the fetch may have been too early.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1), mark(2))
				fetched, other := c.mark(1), c.mark(2)
				c.putMarks(tenant, mark(1))
				if got := c.clearMarks(tenant, fetched, other); got != 1 {
					c.fatalf("ClearMarks counted %d, want 1", got)
				}
				if got := c.clearMarks(tenant, c.mark(1)); got != 1 {
					c.fatalf("ClearMarks with the new generation counted %d, want 1", got)
				}
			},
		},
		{
			name: "Mark/PutAfterClearing",
			rule: "The generation grows each time a mark is put, also over a clearing: a slow drain that read the earlier mark must not clear the later one.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1))
				slow := c.mark(1)
				for range 5 {
					c.clearMarks(tenant, c.mark(1))
					c.putMarks(tenant, mark(1))
					if got := c.clearMarks(tenant, slow); got != 0 {
						c.fatalf("the mark put after a clearing was cleared by the earlier one's generation, %d", slow.Generation)
					}
				}
			},
		},
		{
			name: "Mark/Due",
			rule: "With DueBy set only marks whose NotBefore is not later are returned; Open counts them all.",
			run: func(c *check) {
				for n := range 5 {
					m := mark(shopifysync.CustomerID(10 - n))
					m.NotBefore = observedAt(n)
					c.putMarks(tenant, m)
				}
				c.putMarks(tenant, mark(1)) // at once
				for _, limit := range []int{1, 2, 10} {
					if got := c.markIDs(tenant, observedAt(2), limit); !slices.Equal(got, []shopifysync.CustomerID{1, 8, 9, 10}) {
						c.fatalf("due by then, in pages of %d: %d, want [1 8 9 10]", limit, got)
					}
					if got := c.markIDs(tenant, observedAt(2).Add(-time.Millisecond), limit); !slices.Equal(got, []shopifysync.CustomerID{1, 9, 10}) {
						c.fatalf("due a millisecond earlier, in pages of %d: %d, want [1 9 10]", limit, got)
					}
					if got := c.markIDs(tenant, time.Time{}, limit); !slices.Equal(got, []shopifysync.CustomerID{1, 6, 7, 8, 9, 10}) {
						c.fatalf("all, in pages of %d: %d, want [1 6 7 8 9 10]", limit, got)
					}
				}
				if got := c.open(tenant); got != 6 {
					c.fatalf("%d marks are open, want 6", got)
				}
			},
		},
		{
			name: "Mark/Many",
			rule: "Marks come by ascending customer id, those after After, at most Limit.",
			run: func(c *check) {
				var marks []shopifysync.Mark
				var want []shopifysync.CustomerID
				for n := range 1200 {
					marks = append(marks, mark(shopifysync.CustomerID(9007199254740993+7919*n%1201)))
				}
				for _, m := range marks {
					want = append(want, m.CustomerID)
				}
				slices.Sort(want)
				for chunk := range slices.Chunk(marks, 500) {
					c.putMarks(tenant, chunk...)
				}
				if got := c.markIDs(tenant, time.Time{}, 97); !slices.Equal(got, want) {
					c.fatalf("got %d marks that are not the %d put, in order", len(got), len(want))
				}
				all := c.marks(tenant, time.Time{}, 1000)
				if got := c.clearMarks(tenant, all[:600]...); got != 600 {
					c.fatalf("ClearMarks counted %d, want 600", got)
				}
				if got := c.markIDs(tenant, time.Time{}, 97); !slices.Equal(got, want[600:]) {
					c.fatalf("after clearing 600: got %d marks that are not the %d left, in order", len(got), len(want)-600)
				}
			},
		},
		{
			name: "Mark/Apart",
			rule: "Marks belong to their connection.",
			run: func(c *check) {
				ids := append(lookalikeConnections(), tenant)
				for i, id := range ids {
					c.putMarks(id, mark(1), mark(shopifysync.CustomerID(i+2)))
				}
				for i, id := range ids {
					if got, want := c.markIDs(id, time.Time{}, 10), []shopifysync.CustomerID{1, shopifysync.CustomerID(i + 2)}; !slices.Equal(got, want) {
						c.fatalf("connection %q has the marks %d, want %d", id, got, want)
					}
					if got := c.open(id); got != 2 {
						c.fatalf("connection %q has %d open marks, want 2", id, got)
					}
				}
				c.clearMarks(ids[0], c.marks(ids[0], time.Time{}, 10)...)
				for _, id := range ids[1:] {
					if got := c.open(id); got != 2 {
						c.fatalf("clearing the marks of connection %q left %d of connection %q, want 2", ids[0], got, id)
					}
				}
			},
		},
		{
			name: "Mark/Concurrent",
			rule: "Marks put at once all count: the generation grows by one for each.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1), mark(2))
				before := c.mark(1).Generation
				const each = 5
				together(writers, func(i int) {
					for n := range each {
						marks := []shopifysync.Mark{mark(1), mark(2), mark(shopifysync.CustomerID(100 + i*each + n))}
						if i%2 == 0 {
							slices.Reverse(marks)
						}
						c.insist("PutMarks", func() error {
							_, err := c.state.PutMarks(c.ctx, shopifysync.PutMarksParams{Connection: tenant, Marks: marks})
							return err
						})
					}
				})
				if got, want := c.mark(1).Generation, before+writers*each; got != want {
					c.fatalf("the generation went from %d to %d, want %d", before, got, want)
				}
				if got := c.open(tenant); got != 2+writers*each {
					c.fatalf("%d marks are open, want %d", got, 2+writers*each)
				}
			},
		},
		{
			name: "Mark/ClearedOnce",
			rule: "Of several that clear the same mark at once one does.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1))
				m := c.mark(1)
				var mu sync.Mutex
				var cleared int64
				together(writers, func(int) {
					c.insist("ClearMarks", func() error {
						result, err := c.state.ClearMarks(c.ctx, shopifysync.ClearMarksParams{Connection: tenant, Marks: []shopifysync.Mark{m}})
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							cleared += result.Cleared
						}
						return err
					})
				})
				if cleared != 1 {
					c.fatalf("the mark was cleared %d times", cleared)
				}
			},
		},
		{
			name: "Mark/Cancelled",
			rule: "A call whose context has ended returns an error and stores nothing.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1))
				before := c.mark(1)
				_, err := c.state.PutMarks(c.ended(), shopifysync.PutMarksParams{Connection: tenant, Marks: []shopifysync.Mark{mark(1), mark(2)}})
				c.cancelled("PutMarks", err)
				_, err = c.state.ClearMarks(c.ended(), shopifysync.ClearMarksParams{Connection: tenant, Marks: []shopifysync.Mark{before}})
				c.cancelled("ClearMarks", err)
				_, err = c.state.Marks(c.ended(), shopifysync.MarksParams{Connection: tenant, Limit: 1})
				c.cancelled("Marks", err)
				if got := c.mark(1); got.Generation != before.Generation || c.open(tenant) != 1 {
					c.fatalf("a cancelled call changed the marks")
				}
			},
		},
	}
}

func with2(m shopifysync.Mark, change func(*shopifysync.Mark)) shopifysync.Mark {
	change(&m)
	return m
}
