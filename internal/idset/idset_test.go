package idset

import (
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// check compares s with its model and looks at the promises of its fields.
func check(t *testing.T, s *Set, model map[int64]struct{}) {
	t.Helper()
	want := slices.Sorted(maps.Keys(model))
	if diff := cmp.Diff(want, slices.Collect(s.All())); diff != "" {
		t.Fatalf("All: %s", diff)
	}
	if s.Len() != len(model) {
		t.Fatalf("Len is %d, want %d", s.Len(), len(model))
	}
	for _, leaf := range s.leaves {
		if len(leaf.ids) == 0 || len(leaf.ids) > leafSize {
			t.Fatalf("a leaf has %d ids", len(leaf.ids))
		}
	}
}

// orders are ways to give the ids 0, 32768, 2 * 32768 ... of n customers.
var orders = map[string]func(n int) []int64{
	"ascending":  ascending,
	"descending": descending,
	"random":     random,
	"newest first, then from the oldest on": func(n int) []int64 {
		ids := ascending(n)
		slices.Reverse(ids[n/2:])
		return append(ids[n/2:], ids[:n/2]...)
	},
	"newest first, and everything from the oldest on at the same time": func(n int) []int64 {
		up, down := ascending(n), descending(n)
		var ids []int64
		for i := range n {
			ids = append(ids, up[i], down[i])
		}
		return ids
	},
	"in eight rising parts at the same time": func(n int) []int64 {
		up := ascending(n)
		var ids []int64
		for i := range n / 8 {
			for part := range 8 {
				ids = append(ids, up[part*(n/8)+i])
			}
		}
		return ids
	},
	"in eight falling parts at the same time": func(n int) []int64 {
		up := ascending(n)
		var ids []int64
		for i := range n / 8 {
			for part := range 8 {
				ids = append(ids, up[part*(n/8)+n/8-1-i])
			}
		}
		return ids
	},
}

func ascending(n int) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = int64(i) * 32768
	}
	return ids
}

func descending(n int) []int64 {
	ids := ascending(n)
	slices.Reverse(ids)
	return ids
}

func random(n int) []int64 {
	ids := ascending(n)
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(n, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids
}

func TestOrders(t *testing.T) {
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			var s Set
			model := map[int64]struct{}{}
			for _, id := range order(10_000) {
				_, there := model[id]
				model[id] = struct{}{}
				if s.Has(id) != there || s.Add(id) == there || !s.Has(id) {
					t.Fatalf("id %d was there: %t", id, there)
				}
				if s.Has(id+1) || s.Has(id-1) {
					t.Fatalf("a neighbour of %d is there", id)
				}
			}
			check(t, &s, model)
		})
	}
}

func TestExtremes(t *testing.T) {
	ids := []int64{0, math.MinInt64, math.MaxInt64, -1, 1, math.MinInt64 + 1, math.MaxInt64 - 1}
	var s Set
	model := map[int64]struct{}{}
	for range 2 {
		for _, id := range ids {
			_, there := model[id]
			if s.Add(id) == there {
				t.Errorf("Add(%d) = %t", id, there)
			}
			model[id] = struct{}{}
		}
	}
	check(t, &s, model)
}

func TestEmpty(t *testing.T) {
	var s Set
	if s.Has(0) || s.Len() != 0 {
		t.Error("the zero Set is not empty")
	}
	check(t, &s, nil)
}

func TestAllStops(t *testing.T) {
	var s Set
	for _, id := range ascending(2000) {
		s.Add(id)
	}
	n := 0
	for range s.All() {
		if n++; n == 700 {
			break
		}
	}
	if n != 700 {
		t.Errorf("%d ids", n)
	}
}

// Ids far apart still are a set, of at most 64 bytes an id and what the list of
// leaves takes to grow.
func TestSparse(t *testing.T) {
	const n = 20_000
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = math.MinInt64 + int64(i)*(1<<33)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	var s Set
	model := map[int64]struct{}{}
	before := heap()
	for _, id := range ids {
		s.Add(id)
	}
	if each := float64(heap()-before) / n; each > 64+48 {
		t.Errorf("%.2f bytes an id", each)
	}
	for _, id := range ids {
		model[id] = struct{}{}
	}
	check(t, &s, model)
}

// The ends of what a leaf can hold.
func TestFarNeighbours(t *testing.T) {
	for _, first := range []int64{0, 7_000_000_000_000, math.MaxInt64 - 1<<33, math.MinInt64 + 1<<33} {
		var s Set
		model := map[int64]struct{}{}
		for _, d := range []int64{0, math.MaxInt32, math.MaxInt32 + 1, math.MinInt32, math.MinInt32 - 1, 1 << 32, -1 << 32, 1<<32 + 1, 5, -5, math.MaxInt32 - 1, math.MinInt32 + 1} {
			if !s.Add(first+d) || s.Add(first+d) || !s.Has(first+d) {
				t.Errorf("%d %+d", first, d)
			}
			model[first+d] = struct{}{}
		}
		check(t, &s, model)
	}
}

// FuzzSet adds runs of ids: each byte pair says where a run begins and how it
// goes.
func FuzzSet(f *testing.F) {
	f.Add([]byte{0, 1, 0, 129, 7, 3, 200, 255})
	f.Add([]byte{1, 1, 2, 2, 3, 3, 4, 4, 1, 200, 2, 201})
	f.Fuzz(func(t *testing.T, runs []byte) {
		var s Set
		model := map[int64]struct{}{}
		for ; len(runs) > 1 && len(model) < 20_000; runs = runs[2:] {
			id, step := int64(runs[0])*300, int64(int8(runs[1]))
			for range 600 {
				_, there := model[id]
				if s.Add(id) == there {
					t.Fatalf("Add(%d) = %t", id, there)
				}
				model[id] = struct{}{}
				id += step
			}
		}
		check(t, &s, model)
		for id := range model {
			if _, there := model[id+1]; s.Has(id+1) != there {
				t.Fatalf("Has(%d) = %t", id+1, !there)
			}
		}
	})
}

func TestMemory(t *testing.T) {
	const n = 1_000_000
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			ids := order(n)
			var s Set
			before := heap()
			for _, id := range ids {
				s.Add(id)
			}
			each := float64(heap()-before) / n
			most := 4.4
			if name == "random" {
				most = 6.5
			}
			if s.Len() != n || each > most {
				t.Errorf("%.2f bytes an id for %d ids, want at most %.1f", each, s.Len(), most)
			}
			t.Logf("%.2f bytes an id", each)
			runtime.KeepAlive(ids)
		})
	}
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkAdd(b *testing.B) {
	for _, name := range []string{"ascending", "descending", "random"} {
		b.Run(name, func(b *testing.B) {
			ids := orders[name](1_000_000)
			b.ReportAllocs()
			var s Set
			for i := 0; b.Loop(); i++ {
				if i%len(ids) == 0 {
					s = Set{}
				}
				s.Add(ids[i%len(ids)])
			}
		})
	}
}

func BenchmarkHas(b *testing.B) {
	var s Set
	ids := random(1_000_000)
	for _, id := range ids {
		s.Add(id)
	}
	for i := 0; b.Loop(); i++ {
		if !s.Has(ids[i%len(ids)]) {
			b.Fatal("lost")
		}
	}
}
