package main

import (
	"slices"
	"time"
)

// median returns the middle of the values, the lower one of two.
func median[T float64 | int64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// medianRatio returns the median of a[i] / b[i]: each ratio is of two times
// taken in one round, under the same load.
func medianRatio(a, b []time.Duration) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i].Seconds() / b[i].Seconds()
	}
	return median(ratios)
}
