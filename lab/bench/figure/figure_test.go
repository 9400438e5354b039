package figure_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/figure"
)

func TestSpread(t *testing.T) {
	values := []float64{3, 1, 2}
	require.Equal(t, figure.Spread{Median: 2, Min: 1, Max: 3, N: 3}, figure.Of(values))
	require.Equal(t, []float64{3, 1, 2}, values, "the order of the rounds is kept")
	require.Equal(t, figure.Spread{Median: 1.5, Min: 1, Max: 2, N: 2}, figure.Of([]float64{2, 1}))
	require.Equal(t, figure.Spread{Median: 7, Min: 7, Max: 7, N: 1}, figure.Of([]float64{7}))
	require.Zero(t, figure.Of(nil))
	require.Equal(t, figure.Spread{Median: 4, Min: 2, Max: 6, N: 3},
		figure.Over([]int{3, 1, 2}, func(n int) float64 { return 2 * float64(n) }))
}

func TestPercentiles(t *testing.T) {
	for _, tc := range []struct {
		p, want float64
	}{{0, 10}, {50, 30}, {25, 20}, {90, 46}, {100, 50}} {
		require.InDelta(t, tc.want, figure.Percentile([]float64{10, 20, 30, 40, 50}, tc.p), 1e-9)
	}
	require.Zero(t, figure.Percentile(nil, 50))
	require.InDelta(t, 5, figure.Percentile([]float64{5}, 99), 1e-9)

	var times []time.Duration
	for i := 100; i >= 0; i-- {
		times = append(times, time.Duration(i)*time.Millisecond)
	}
	require.Equal(t, figure.Tail{P50: 50, P95: 95, P99: 99, N: 101}, figure.TailOf(times))
	require.Zero(t, figure.TailOf(nil))
}

func TestRatio(t *testing.T) {
	require.InDelta(t, 1.5, figure.Ratio(3, 2), 1e-9)
	require.Zero(t, figure.Ratio(3, 0))
}

func TestFiguresAreShort(t *testing.T) {
	for want, got := range map[string]string{
		"1,234,568": figure.Number(1234567.8), "-1,000": figure.Thousands(-1000), "999": figure.Number(999.4),
		"12.3": figure.Number(12.34), "2": figure.Number(2), "0.05": figure.Number(0.051),
	} {
		require.Equal(t, want, got)
	}
}
