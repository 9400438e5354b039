// Package figure turns what was measured several times into what is said of it.
package figure

import (
	"math"
	"slices"
	"time"
)

// Spread is a median between the least and the most of what was measured.
type Spread struct {
	Median, Min, Max float64
	N                int // measurements; 0: nothing was measured
}

// Of gives the spread of values, which it leaves as they are.
func Of(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return Spread{Median: Percentile(sorted, 50), Min: sorted[0], Max: sorted[len(sorted)-1], N: len(sorted)}
}

// Over gives the spread of one figure of each item.
func Over[T any](items []T, one func(T) float64) Spread {
	values := make([]float64, len(items))
	for i, item := range items {
		values[i] = one(item)
	}
	return Of(values)
}

// Percentile is the value that p of a hundred stay under, between two values in proportion. The
// values are sorted, ascending; of none it is 0.
func Percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	place := p / 100 * float64(len(sorted)-1)
	low := int(math.Floor(place))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (place-float64(low))*(sorted[high]-sorted[low])
}

// Tail is how a distribution ends.
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

// Ratio is a through b, and 0 where there is no b.
func Ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
