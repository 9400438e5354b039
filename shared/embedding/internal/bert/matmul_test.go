package bert

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The processor's kernel and the plain one agree, for every shape of a rest.
func TestProducts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fill := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = random.Float32() - 0.5
		}
		return v
	}
	for _, shape := range [][3]int{{1, 1, 1}, {1, 16, 16}, {5, 3, 17}, {6, 32, 31}, {7, 33, 48}, {13, 100, 5}, {12, 384, 96}} {
		n, k, cols := shape[0], shape[1], shape[2]
		lda, ldo := k+3, upTo(cols, tileCols)+2
		a, weights := fill(upTo(n, tileRows)*lda), fill(cols*k)
		m := transposed(weights, cols, k)
		out := make([]float32, upTo(n, tileRows)*ldo)
		m.multiply(out, ldo, a, lda, n)
		plain := make([]float32, tileRows*ldo)
		for r := range n {
			for c := range cols {
				var want float64
				for i := range k {
					want += float64(a[r*lda+i]) * float64(weights[c*k+i])
				}
				require.InDelta(t, want, out[r*ldo+c], 1e-4, "%v: %d, %d", shape, r, c)
			}
		}
		kernelGo(k, a, lda, m.panels[:k*tileCols], plain, ldo)
		for r := range min(n, tileRows) {
			require.InDeltaSlice(t, plain[r*ldo:][:min(cols, tileCols)], out[r*ldo:][:min(cols, tileCols)], 1e-4)
		}
		byRow := newMatrix(k, cols)
		for i := range k {
			values := make([]float32, cols)
			for c := range values {
				values[c] = weights[c*k+i]
			}
			byRow.row(i, values)
		}
		require.Equal(t, m, byRow)
	}
	require.NotPanics(t, func() { newMatrix(4, 4).multiply(nil, 4, nil, 4, 0) })
	require.Panics(t, func() { newMatrix(4, 4).multiply(make([]float32, 64), 16, make([]float32, 24), 4, 6) }, "room is checked before a kernel runs")
}

func BenchmarkProduct(b *testing.B) {
	for _, shape := range [][3]int{{258, 384, 1536}, {258, 1536, 384}, {258, 32, 256}, {258, 256, 32}} {
		n, k, cols := shape[0], shape[1], shape[2]
		a, out, m := make([]float32, n*k), make([]float32, n*cols), newMatrix(k, cols)
		for _, plain := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d×%d×%d,plain=%t", n, k, cols, plain), func(b *testing.B) {
				for b.Loop() {
					if plain {
						kernelGo(k, a, k, m.panels, out, cols)
					} else {
						m.multiply(out, cols, a, k, n)
					}
				}
				flops := 2 * float64(n) * float64(k) * float64(cols)
				if plain {
					flops = 2 * tileRows * tileCols * float64(k)
				}
				b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
			})
		}
	}
}
