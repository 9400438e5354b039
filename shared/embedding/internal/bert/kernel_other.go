//go:build !amd64 && !arm64

package bert

// kernel computes a tile: c = a × b, with k columns of a and a panel b.
func kernel(k int, a []float32, lda int, b, c []float32, ldc int) {
	kernelGo(k, a, lda, b, c, ldc)
}
