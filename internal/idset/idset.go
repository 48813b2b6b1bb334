// Package idset holds sets of customer ids in less memory than the ids
// themselves take.
package idset

import (
	"iter"
	"math"
	"slices"
)

const (
	// leafSize ids are the most a leaf holds: inserting moves at most 2 KiB.
	leafSize = 512
	// A leaf doubles from leafStart ids until it grows by leafStep at once: half
	// a KiB, of which it wastes half on average.
	leafStart, leafStep = 8, 128
)

// Set is a set of int64 ids. Neighbours share what their ids have in common: it
// takes close to 4 bytes an id if the ids come in ascending or descending
// order, or in several such sequences mixed, and about 5 bytes in random order.
// Ids that are further apart than 2^31 / 512 on average take more, at worst 64
// bytes. The zero Set is empty and ready to use. It is for one goroutine at a
// time.
type Set struct {
	leaves []leaf // none empty; all ids of one below those of the next
	len    int
}

// A leaf holds ids as their distances from an anchor, in ascending order.
type leaf struct {
	anchor int64
	ids    []int32
}

func (l *leaf) first() int64 { return l.anchor + int64(l.ids[0]) }

func (l *leaf) last() int64 { return l.anchor + int64(l.ids[len(l.ids)-1]) }

// fits reports whether id is near enough to the anchor. The subtractions are
// of uint64, which may wrap around and still tell the distance.
func (l *leaf) fits(id int64) bool {
	if id >= l.anchor {
		return uint64(id)-uint64(l.anchor) <= math.MaxInt32
	}
	return uint64(l.anchor)-uint64(id) <= -math.MinInt32
}

// search returns where id, not less than the first one, is or would be.
func (l *leaf) search(id int64) (at int, found bool) {
	if !l.fits(id) {
		return len(l.ids), false
	}
	return slices.BinarySearch(l.ids, int32(id-l.anchor))
}

// insert puts id, which fits, at its place. The capacity grows by steps.
func (l *leaf) insert(at int, id int64) {
	if len(l.ids) == cap(l.ids) {
		grown := make([]int32, len(l.ids), len(l.ids)+min(max(len(l.ids), leafStart), leafStep))
		copy(grown, l.ids)
		l.ids = grown
	}
	l.ids = slices.Insert(l.ids, at, int32(id-l.anchor))
}

// Len returns the number of ids in the set.
func (s *Set) Len() int { return s.len }

// Has reports whether id is in the set.
func (s *Set) Has(id int64) bool {
	i := s.leafFor(id)
	if i < 0 {
		return false
	}
	_, found := s.leaves[i].search(id)
	return found
}

// All returns the ids in ascending order. The set must not change meanwhile.
func (s *Set) All() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for _, l := range s.leaves {
			for _, id := range l.ids {
				if !yield(l.anchor + int64(id)) {
					return
				}
			}
		}
	}
}

// Add puts id into the set and reports whether it was not there before.
func (s *Set) Add(id int64) (added bool) {
	i := s.leafFor(id)
	if i >= 0 {
		l := &s.leaves[i]
		at, found := l.search(id)
		if found {
			return false
		}
		if at < len(l.ids) {
			s.insertWithin(i, at, id)
			s.len++
			return true
		}
	}
	s.insertBetween(i, id)
	s.len++
	return true
}

// leafFor returns the last leaf whose first id is at most id, or -1.
func (s *Set) leafFor(id int64) int {
	i, found := slices.BinarySearchFunc(s.leaves, id, func(l leaf, id int64) int {
		switch first := l.first(); {
		case first < id:
			return -1
		case first > id:
			return 1
		}
		return 0
	})
	if found {
		return i
	}
	return i - 1
}

// insertWithin puts id between two ids of leaf i, splitting a full leaf.
func (s *Set) insertWithin(i, at int, id int64) {
	if l := s.leaves[i]; len(l.ids) == leafSize {
		const half = leafSize / 2
		upper := leaf{l.anchor, slices.Clone(l.ids[half:])}
		s.leaves[i].ids = slices.Clone(l.ids[:half])
		s.leaves = slices.Insert(s.leaves, i+1, upper)
		if at > half {
			i, at = i+1, at-half
		}
	}
	s.leaves[i].insert(at, id)
}

// insertBetween puts id behind all ids of leaf i and before all of leaf i+1. It
// joins the nearer leaf, so that the end of a rising or falling sequence fills
// its leaf up; a full one, or one too far away, is not split but followed by a
// new one.
func (s *Set) insertBetween(i int, id int64) {
	below, above := i >= 0, i+1 < len(s.leaves)
	if below && above {
		last, first := s.leaves[i].last(), s.leaves[i+1].first()
		below = uint64(id)-uint64(last) <= uint64(first)-uint64(id)
		above = !below
	}
	room := func(l *leaf) bool { return len(l.ids) < leafSize && l.fits(id) }
	switch {
	case below && room(&s.leaves[i]):
		s.leaves[i].insert(len(s.leaves[i].ids), id)
	case above && room(&s.leaves[i+1]):
		s.leaves[i+1].insert(0, id)
	default:
		alone := leaf{anchor: id}
		alone.insert(0, id)
		s.leaves = slices.Insert(s.leaves, i+1, alone)
	}
}
