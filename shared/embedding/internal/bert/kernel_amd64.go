package bert

import "golang.org/x/sys/cpu"

var (
	hasFMA    = cpu.X86.HasAVX2 && cpu.X86.HasFMA
	hasAVX512 = cpu.X86.HasAVX512F
)

// kernel computes a tile: c = a × b, with k columns of a and a panel b. It checks no bounds.
func kernel(k int, a []float32, lda int, b, c []float32, ldc int) {
	switch {
	case hasAVX512:
		kernelAVX512(k, &a[0], lda, &b[0], &c[0], ldc)
	case hasFMA:
		kernelFMA(k, &a[0], lda, &b[0], &c[0], ldc)
	default:
		kernelGo(k, a, lda, b, c, ldc)
	}
}

//go:noescape
func kernelFMA(k int, a *float32, lda int, b, c *float32, ldc int)

//go:noescape
func kernelAVX512(k int, a *float32, lda int, b, c *float32, ldc int)
