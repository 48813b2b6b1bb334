// Package idset holds sets of customer ids in little more memory than the ids
// themselves take.
package idset

import (
	"iter"
	"slices"
)

const (
	// leafSize ids are the most a leaf holds: inserting moves at most 4 KiB.
	leafSize = 512
	// leafStep ids are how much a leaf grows at once: 1 KiB, so that a leaf
	// wastes half of that on average.
	leafStep = 128
)

// Set is a set of int64 ids. It takes close to 8 bytes an id if the ids come in
// ascending or descending order, or in several such sequences mixed, and about
// 10 bytes in random order. The zero Set is empty and ready to use. It is for
// one goroutine at a time.
type Set struct {
	leaves [][]int64 // sorted, none empty; all ids of one below those of the next
	len    int
}

// Len returns the number of ids in the set.
func (s *Set) Len() int { return s.len }

// Has reports whether id is in the set.
func (s *Set) Has(id int64) bool {
	i := s.leafFor(id)
	if i < 0 {
		return false
	}
	_, found := slices.BinarySearch(s.leaves[i], id)
	return found
}

// All returns the ids in ascending order. The set must not change meanwhile.
func (s *Set) All() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for _, leaf := range s.leaves {
			for _, id := range leaf {
				if !yield(id) {
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
		leaf := s.leaves[i]
		at, found := slices.BinarySearch(leaf, id)
		if found {
			return false
		}
		if at < len(leaf) {
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
	i, found := slices.BinarySearchFunc(s.leaves, id, func(leaf []int64, id int64) int {
		switch {
		case leaf[0] < id:
			return -1
		case leaf[0] > id:
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
	if leaf := s.leaves[i]; len(leaf) == leafSize {
		const half = leafSize / 2
		upper := slices.Clone(leaf[half:])
		s.leaves[i] = slices.Clone(leaf[:half])
		s.leaves = slices.Insert(s.leaves, i+1, upper)
		if at > half {
			i, at = i+1, at-half
		}
	}
	s.leaves[i] = insert(s.leaves[i], at, id)
}

// insertBetween puts id behind all ids of leaf i and before all of leaf i+1. It
// joins the nearer leaf, so that the end of a rising or falling sequence fills
// its leaf up; a full one is not split but followed by a new one.
func (s *Set) insertBetween(i int, id int64) {
	below, above := i >= 0, i+1 < len(s.leaves)
	if below && above {
		last, first := s.leaves[i][len(s.leaves[i])-1], s.leaves[i+1][0]
		below = uint64(id)-uint64(last) <= uint64(first)-uint64(id)
		above = !below
	}
	switch {
	case below && len(s.leaves[i]) < leafSize:
		s.leaves[i] = insert(s.leaves[i], len(s.leaves[i]), id)
	case above && len(s.leaves[i+1]) < leafSize:
		s.leaves[i+1] = insert(s.leaves[i+1], 0, id)
	default:
		s.leaves = slices.Insert(s.leaves, i+1, insert(nil, 0, id))
	}
}

// insert is [slices.Insert] of one id with a capacity that grows by steps.
func insert(leaf []int64, at int, id int64) []int64 {
	if len(leaf) == cap(leaf) {
		grown := make([]int64, len(leaf), len(leaf)+leafStep)
		copy(grown, leaf)
		leaf = grown
	}
	return slices.Insert(leaf, at, id)
}
