package bert

// kernel computes a tile: c = a × b, with k columns of a and a panel b. It checks no bounds.
func kernel(k int, a []float32, lda int, b, c []float32, ldc int) {
	kernelNEON(k, &a[0], lda, &b[0], &c[0], ldc)
}

//go:noescape
func kernelNEON(k int, a *float32, lda int, b, c *float32, ldc int)
