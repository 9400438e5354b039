package bert

import "testing"

// Processors without the newest instructions compute the same.
func TestProductsOfOlderProcessors(t *testing.T) {
	defer func(f, a bool) { hasFMA, hasAVX512 = f, a }(hasFMA, hasAVX512)
	hasAVX512 = false
	t.Run("AVX2", TestProducts)
	hasFMA = false
	t.Run("none", TestProducts)
}
