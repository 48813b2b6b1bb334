package main

import (
	"slices"
	"syscall"
	"time"
)

// A lap is how long something took: by the clock on the wall, and by the
// processor, all threads of this process together. On a machine that does
// other things at the same time the second one is the steadier.
type lap struct{ wall, processor time.Duration }

// A stopwatch began at some moment.
type stopwatch struct {
	wall      time.Time
	processor time.Duration
}

func startWatch() stopwatch { return stopwatch{time.Now(), processorTime()} }

func (s stopwatch) lap() lap {
	return lap{time.Since(s.wall), processorTime() - s.processor}
}

func (l lap) plus(o lap) lap { return lap{l.wall + o.wall, l.processor + o.processor} }

// processorTime is what this process has used so far; 0 if the system does not
// tell.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// median returns the middle of the values, the lower one of two.
func median[T float64 | int64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

func wall(l lap) float64      { return l.wall.Seconds() }
func processor(l lap) float64 { return l.processor.Seconds() }

// medianOf returns the median of one time of the laps, in seconds.
func medianOf(laps []lap, of func(lap) float64) float64 {
	values := make([]float64, len(laps))
	for i, l := range laps {
		values[i] = of(l)
	}
	return median(values)
}

// medianRatio returns the median of a[i] / b[i]: each ratio is of two laps of
// one round, under the same load.
func medianRatio(a, b []lap, of func(lap) float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = of(a[i]) / of(b[i])
	}
	return median(ratios)
}
