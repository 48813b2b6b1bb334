package main

import (
	"testing"
	"time"
)

func TestMedianRatio(t *testing.T) {
	seconds := func(values ...int) (laps []lap) {
		for _, v := range values {
			laps = append(laps, lap{wall: time.Duration(v) * time.Second, processor: time.Second})
		}
		return laps
	}
	tests := []struct {
		name string
		a, b []lap
		of   func(lap) float64
		want float64
	}{
		{"one round", seconds(6), seconds(3), wall, 2},
		{"each round by itself", seconds(1, 20, 300), seconds(1, 10, 100), wall, 2},
		{"an outlier", seconds(2, 2, 99), seconds(1, 1, 1), wall, 2},
		{"the lower of two", seconds(2, 3), seconds(1, 1), wall, 2},
		{"processor", seconds(9, 9), seconds(1, 1), processor, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := medianRatio(tt.a, tt.b, tt.of); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// The numbers are read from what the go command prints.
func TestBenchmarkLine(t *testing.T) {
	const out = `goos: linux
BenchmarkDecodeMap/library         	   48322	      4557 ns/op	 164.13 MB/s	    1940 B/op	       9 allocs/op
BenchmarkDecodeMap/encoding-json-2 	   10000	     11440.5 ns/op	    2414 B/op	      35 allocs/op
PASS
`
	got := benchmarkLine.FindAllStringSubmatch(out, -1)
	if len(got) != 2 || got[0][1] != "library" || got[0][2] != "4557" || got[0][3] != "9" ||
		got[1][1] != "encoding-json" || got[1][2] != "11440.5" || got[1][3] != "35" {
		t.Errorf("got %q", got)
	}
}
