// Package figure summarizes repeated measurements.
package figure

import (
	"math"
	"slices"
	"time"
)

// Spread is a median with the smallest and the largest measurement.
type Spread struct {
	Median, Min, Max float64
	N                int // measurements; 0: nothing was measured
}

// Of returns the spread of values; it does not change values.
func Of(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return Spread{Median: Percentile(sorted, 50), Min: sorted[0], Max: sorted[len(sorted)-1], N: len(sorted)}
}

// Over returns the spread of one figure of each item.
func Over[T any](items []T, one func(T) float64) Spread {
	values := make([]float64, len(items))
	for i, item := range items {
		values[i] = one(item)
	}
	return Of(values)
}

// Percentile returns the value below which p percent of the values are, interpolated. The values are
// sorted, ascending; without values it is 0.
func Percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	place := p / 100 * float64(len(sorted)-1)
	low := int(math.Floor(place))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (place-float64(low))*(sorted[high]-sorted[low])
}

// Tail describes the upper end of a distribution.
type Tail struct {
	P50, P95, P99 float64
	N             int
}

// TailOf gives the percentiles of durations in milliseconds.
func TailOf(times []time.Duration) Tail {
	ms := make([]float64, len(times))
	for i, t := range times {
		ms[i] = float64(t) / float64(time.Millisecond)
	}
	slices.Sort(ms)
	return Tail{P50: Percentile(ms, 50), P95: Percentile(ms, 95), P99: Percentile(ms, 99), N: len(ms)}
}

// Ratio is a divided by b, and 0 if b is 0.
func Ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
