//go:build !race

package chunk_test

const share = 1 // of the documents, one in so many
