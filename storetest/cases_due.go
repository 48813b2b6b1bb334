package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/omnichat/shopifysync"
)

func (c *check) postpone(marks ...shopifysync.Mark) int64 {
	c.Helper()
	before := slices.Clone(marks)
	result, err := c.state.PostponeMarks(c.ctx, shopifysync.PostponeMarksParams{Connection: tenant, Marks: marks})
	c.noError("PostponeMarks", err)
	kept(c, "PostponeMarks", before, marks)
	return result.Postponed
}

// dueConnections lists them by pages.
func (c *check) dueConnections(dueBy time.Time, limit int) []shopifysync.ConnectionID {
	c.Helper()
	var all []shopifysync.ConnectionID
	p := shopifysync.DueConnectionsParams{DueBy: dueBy, Limit: limit}
	for {
		result, err := c.state.DueConnections(c.ctx, p)
		c.noError("DueConnections", err)
		if len(result.Connections) > limit {
			c.fatalf("DueConnections returned %d connections, the limit is %d", len(result.Connections), limit)
		}
		for _, id := range result.Connections {
			if id <= p.After {
				c.fatalf("DueConnections after %q returned %q", p.After, id)
			}
			p.After = id
		}
		all = append(all, result.Connections...)
		if len(result.Connections) < limit {
			return all
		}
	}
}

func (c *check) expectDue(dueBy time.Time, want ...shopifysync.ConnectionID) {
	c.Helper()
	want = slices.Sorted(slices.Values(want))
	for _, limit := range []int{1, 3, 100} {
		if got := c.dueConnections(dueBy, limit); !slices.Equal(got, want) {
			c.fatalf("the connections due, in pages of %d: got %q, want %q", limit, got, want)
		}
	}
}

func dueCases() []testCase {
	return []testCase{
		{
			name: "Postpone/Replaces",
			rule: "Postponing replaces NotBefore (by an earlier one, too), Attempts and Reason, and leaves generation, Floor and MergedInto.",
			run: func(c *check) {
				m := shopifysync.Mark{
					Connection: tenant, CustomerID: 9007199254740993, NotBefore: observedAt(10), Attempts: 3,
					Reason: "first", Floor: observedAt(5), MergedInto: 9007199254740995,
				}
				c.putMarks(tenant, m, mark(1))
				generation, other := c.mark(m.CustomerID).Generation, c.mark(1)
				for _, change := range []func(){
					func() { m.NotBefore, m.Attempts, m.Reason = observedAt(20), 4, "Shopify asked to wait 稍後" },
					func() { m.NotBefore = observedAt(15) },
					func() { m.NotBefore, m.Attempts, m.Reason = time.Time{}, 0, "" },
				} {
					change()
					given := m
					given.Generation, given.Floor, given.MergedInto = generation, observedAt(99), 0
					if got := c.postpone(given); got != 1 {
						c.fatalf("PostponeMarks counted %d, want 1", got)
					}
					if got := c.expectMark(m); got != generation {
						c.fatalf("postponing took the generation from %d to %d", generation, got)
					}
				}
				if got := c.expectMark(mark(1)); got != other.Generation {
					c.fatalf("the mark of another customer was touched")
				}
				if got := c.clearMarks(tenant, shopifysync.Mark{CustomerID: m.CustomerID, Generation: generation}); got != 1 {
					c.fatalf("a postponed mark is not cleared by its generation")
				}
			},
		},
		{
			name: "Postpone/PutDuringFetch",
			rule: "A mark put again since it was read is not postponed: it keeps the NotBefore that it was put with. One that is gone does not come back.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1), mark(2), mark(3))
				var read []shopifysync.Mark
				for _, m := range c.marks(tenant, time.Time{}, 10) {
					m.NotBefore, m.Attempts, m.Reason = observedAt(60), 1, "failed"
					read = append(read, m)
				}
				again := mark(1)
				again.Reason, again.NotBefore = "customers/update", observedAt(1)
				c.putMarks(tenant, again)
				c.clearMarks(tenant, read[2])
				if got := c.postpone(read...); got != 1 {
					c.fatalf("PostponeMarks counted %d of one mark put again, one as it was, and one cleared; want 1", got)
				}
				c.expectMark(with2(mark(1), func(m *shopifysync.Mark) { m.Reason = "customers/update" }))
				c.expectMark(with2(mark(2), func(m *shopifysync.Mark) { m.NotBefore, m.Attempts, m.Reason = observedAt(60), 1, "failed" }))
				if got := c.open(tenant); got != 2 {
					c.fatalf("%d marks are open, want 2", got)
				}
				for _, generation := range []int64{0, read[0].Generation} {
					unknown := read[0]
					unknown.CustomerID, unknown.Generation = 99, generation
					if got := c.postpone(unknown); got != 0 || c.open(tenant) != 2 {
						c.fatalf("PostponeMarks counted %d for a customer without a mark, and %d marks are open", got, c.open(tenant))
					}
				}
				if got := c.postpone(); got != 0 {
					c.fatalf("PostponeMarks counted %d for no marks", got)
				}
			},
		},
		{
			name: "Postpone/PutAfterwards",
			rule: "A mark put while it is postponed is due when it is put, for NotBefore becomes the earlier.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1))
				m := c.mark(1)
				m.NotBefore = observedAt(60)
				c.postpone(m)
				again := mark(1)
				again.NotBefore = observedAt(2)
				c.putMarks(tenant, again)
				if got := c.expectMark(again); got != m.Generation+1 {
					c.fatalf("the generation went from %d to %d", m.Generation, got)
				}
			},
		},
		{
			name: "Postpone/Many",
			rule: "A whole batch is postponed at once, each mark to its own time.",
			run: func(c *check) {
				const n = 500
				var put []shopifysync.Mark
				for i := range n {
					put = append(put, mark(shopifysync.CustomerID(i+1)))
				}
				c.putMarks(tenant, put...)
				c.putMarks("tenant-2", mark(1))
				read := c.marks(tenant, time.Time{}, 1000)
				for i := range read {
					read[i].NotBefore, read[i].Attempts, read[i].Reason = observedAt(1000-i), i, fmt.Sprintf("reason %d", i)
				}
				slices.Reverse(read)
				if got := c.postpone(read...); got != n {
					c.fatalf("PostponeMarks counted %d, want %d", got, n)
				}
				slices.Reverse(read)
				got := c.marks(tenant, time.Time{}, 1000)
				for i := range got {
					if when(got[i].NotBefore) != when(read[i].NotBefore) || got[i].Attempts != i || got[i].Reason != read[i].Reason {
						c.fatalf("mark %d of the batch:\n  got %+v\n want %+v", i+1, got[i], read[i])
					}
				}
				if due := c.markIDs("tenant-2", observedAt(0), 10); len(due) != 1 {
					c.fatalf("a mark of another connection was postponed")
				}
			},
		},
		{
			name: "Postpone/Cancelled",
			rule: "A call whose context has ended returns an error and stores nothing.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1))
				m := c.mark(1)
				m.NotBefore = observedAt(60)
				_, err := c.state.PostponeMarks(c.ended(), shopifysync.PostponeMarksParams{Connection: tenant, Marks: []shopifysync.Mark{m}})
				c.cancelled("PostponeMarks", err)
				c.expectMark(mark(1))
			},
		},
		{
			name: "Due/Connections",
			rule: "Due are the connections with a mark whose NotBefore is not later than DueBy, each once, by ascending ID (byte order), those after After, at most Limit.",
			run: func(c *check) {
				c.expectDue(observedAt(1000))
				ids := append(lookalikeConnections(), tenant)
				var later []shopifysync.ConnectionID
				for i, id := range ids {
					first, second := mark(1), mark(2)
					first.NotBefore, second.NotBefore = observedAt(100), observedAt(i)
					c.putMarks(id, first, second, mark(3)) // the one due comes neither first nor last
					c.clearMarks(id, c.marks(id, time.Time{}, 10)[2])
					if i > 2 {
						later = append(later, id)
					}
				}
				c.expectDue(observedAt(2), ids[:3]...)
				c.expectDue(observedAt(2).Add(-time.Millisecond), ids[:2]...)
				c.expectDue(observedAt(-1))
				c.expectDue(observedAt(1000), ids...)

				for _, id := range ids[:3] {
					c.clearMarks(id, c.marks(id, time.Time{}, 10)...)
				}
				c.expectDue(observedAt(1000), later...)
			},
		},
		{
			name: "Due/Postponed",
			rule: "A connection all of whose marks are postponed is not due until then; without a NotBefore a mark is due at any time.",
			run: func(c *check) {
				c.putMarks(tenant, mark(1), mark(2))
				c.putMarks("tenant-2", mark(1))
				c.expectDue(time.Time{}, tenant, "tenant-2")
				marks := c.marks(tenant, time.Time{}, 10)
				for i := range marks {
					marks[i].NotBefore = observedAt(10 + i)
				}
				c.postpone(marks[0])
				c.expectDue(observedAt(0), tenant, "tenant-2")
				c.postpone(marks[1])
				c.expectDue(observedAt(0), "tenant-2")
				c.expectDue(observedAt(10), tenant, "tenant-2")
				again := mark(2)
				again.NotBefore = observedAt(0)
				c.putMarks(tenant, again)
				c.expectDue(observedAt(0), tenant, "tenant-2")
			},
		},
		{
			name: "Due/Cancelled",
			rule: "A call whose context has ended returns an error.",
			run: func(c *check) {
				_, err := c.state.DueConnections(c.ended(), shopifysync.DueConnectionsParams{Limit: 1})
				c.cancelled("DueConnections", err)
			},
		},
	}
}
