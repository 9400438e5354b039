//go:build !race

package chunk_test

const share = 1 // test every n-th document
