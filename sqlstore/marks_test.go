package sqlstore

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
)

// A mark cleared and put again within one tick of the clock must differ.
func TestGenerationsDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock stands still
		s := new(Store)
		seen := make(map[int64]bool)
		for range 1000 {
			g := s.newGeneration(1)
			if seen[g] || g&255 != 1 {
				t.Fatalf("generation %x: seen before, or not one put", g)
			}
			seen[g] = true
		}
		if g := s.newGeneration(1000); g&255 != 255 {
			t.Errorf("generation %x of 1,000 puts", g)
		}
	})
}

func TestFoldMarks(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	given := []shopifysync.Mark{
		{CustomerID: 9, NotBefore: at(5)},
		{CustomerID: 7, NotBefore: at(5), Floor: at(1), Reason: "first", Attempts: 2},
		{CustomerID: 7, NotBefore: at(3), Floor: at(4), MergedInto: 8},
		{CustomerID: 7, NotBefore: at(4), Floor: at(2), Reason: "last"},
		{CustomerID: 5, Reason: "customers/delete", Attempts: 2},
		{CustomerID: 5, Reason: "customers/update", Attempts: 1},
	}
	want := []shopifysync.Mark{
		{CustomerID: 5, Generation: 2, Reason: "customers/delete", Attempts: 1},
		{CustomerID: 7, Generation: 3, NotBefore: at(3), Floor: at(4), Reason: "last", MergedInto: 8},
		{CustomerID: 9, Generation: 1, NotBefore: at(5)},
	}
	if diff := cmp.Diff(want, foldMarks(given)); diff != "" {
		t.Errorf("foldMarks (-want +got):\n%s", diff)
	}
	if given[0].CustomerID != 9 || given[1].Generation != 0 {
		t.Error("the caller's marks were changed")
	}
}
