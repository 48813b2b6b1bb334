package storetest

import (
	"time"

	"github.com/omnichat/shopifysync"
)

const (
	created   = shopifysync.Created
	updated   = shopifysync.Updated
	unchanged = shopifysync.Unchanged
	stale     = shopifysync.Stale
	removed   = shopifysync.Removed
)

func versionCases() []testCase {
	return []testCase{
		{
			name: "Version/Created",
			rule: "A customer never seen is created, with every field as given.",
			run:  func(c *check) { c.upsert(created, sample(1, version(1, 1))) },
		},
		{
			name: "Version/NewerUpdatedAt",
			rule: "A newer UpdatedAt with other content is updated, whichever was observed later.",
			run: func(c *check) {
				c.upsert(created, named(1, "first", version(1, 5)))
				c.upsert(updated, named(1, "second", version(2, 6)))
				c.upsert(updated, named(1, "third", version(3, 2)))
			},
		},
		{
			name: "Version/OlderUpdatedAt",
			rule: "An older UpdatedAt is stale, even if it was observed later.",
			run: func(c *check) {
				c.upsert(created, named(1, "new", version(2, 1)))
				c.upsert(stale, named(1, "old", version(1, 9)))
				c.upsert(stale, named(1, "new", version(1, 9)))
				c.touch(stale, named(1, "old", version(1, 9)))
			},
		},
		{
			name: "Version/NewerObservedAt",
			rule: "With the same UpdatedAt the later observed content is stored.",
			run: func(c *check) {
				c.upsert(created, named(1, "first", version(1, 1)))
				c.upsert(updated, named(1, "second", version(1, 2)))
			},
		},
		{
			name: "Version/OlderObservedAt",
			rule: "With the same UpdatedAt an earlier observation is stale.",
			run: func(c *check) {
				c.upsert(created, named(1, "new", version(1, 2)))
				c.upsert(stale, named(1, "old", version(1, 1)))
				c.touch(stale, named(1, "new", version(1, 1)))
			},
		},
		{
			name: "Version/Tie",
			rule: "The stored version again is unchanged if it says what is stored, and stale if it says anything else.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(1, 1)))
				c.upsert(unchanged, sample(1, version(1, 1)))
				c.touch(unchanged, sample(1, version(1, 1)))
				c.upsert(stale, with(sample(1, version(1, 1)), func(c *shopifysync.Contact) { c.Name = "other" }))
			},
		},
		{
			name: "Version/Milliseconds",
			rule: "Times are kept, and compared, to the millisecond.",
			run: func(c *check) {
				at := func(ms int) shopifysync.Version {
					return shopifysync.Version{UpdatedAt: epoch, ObservedAt: epoch.Add(time.Duration(ms) * time.Millisecond)}
				}
				c.upsert(created, named(1, "at 500", at(500)))
				c.upsert(stale, named(1, "at 499", at(499)))
				c.upsert(updated, named(1, "at 501", at(501)))
			},
		},
		{
			name: "Version/UnchangedAdvances",
			rule: "A newer UpdatedAt with the same content is unchanged, but its version is stored.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(1, 1)))
				c.upsert(unchanged, sample(1, version(2, 2)))
				c.upsert(stale, with(sample(1, version(1, 9)), func(c *shopifysync.Contact) { c.Name = "old" }))
			},
		},
		{
			name: "Version/Touch",
			rule: "With Touch the version of an unchanged contact advances though UpdatedAt is the same; without it that may be left out.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(1, 1)))
				c.upsert(unchanged, sample(1, version(1, 2)))
				c.touch(unchanged, sample(1, version(1, 5)))
				c.upsert(stale, with(sample(1, version(1, 4)), func(c *shopifysync.Contact) { c.Name = "older than the touch" }))
			},
		},
		{
			name: "Version/TimeZones",
			rule: "A version is an instant: the time zone that it is written in means nothing.",
			run: func(c *check) {
				taipei := time.FixedZone("UTC+8", 8*60*60)
				v := version(1, 1)
				c.upsert(created, named(1, "Ann", v))
				c.upsert(unchanged, named(1, "Ann", shopifysync.Version{UpdatedAt: v.UpdatedAt.In(taipei), ObservedAt: v.ObservedAt.In(taipei)}))
				c.upsert(updated, named(1, "Bob", shopifysync.Version{UpdatedAt: updatedAt(2).In(taipei), ObservedAt: observedAt(2).In(taipei)}))
				c.upsert(stale, named(1, "Old", version(1, 3)))
			},
		},
		{
			name: "Version/FarTimes",
			rule: "Versions long ago and far ahead are kept and compared too.",
			run: func(c *check) {
				past := time.Date(1969, time.December, 31, 23, 59, 58, 999e6, time.UTC)
				c.upsert(created, named(1, "past", shopifysync.Version{UpdatedAt: past, ObservedAt: past}))
				c.upsert(updated, named(1, "a millisecond later", shopifysync.Version{UpdatedAt: past, ObservedAt: past.Add(time.Millisecond)}))
				c.upsert(updated, named(1, "at 0", shopifysync.Version{UpdatedAt: time.Unix(0, 0), ObservedAt: time.Unix(0, 0)}))
				future := time.Date(9999, time.December, 31, 23, 59, 59, 999e6, time.UTC)
				c.upsert(updated, named(1, "future", shopifysync.Version{UpdatedAt: future, ObservedAt: future}))
				c.upsert(stale, named(1, "now", version(1, 1)))
			},
		},
	}
}
