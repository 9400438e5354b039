//go:build race

package chunk_test

// Cutting is a pure function that starts nothing, so that the race detector only makes it ten
// times slower; make test runs all of it without as well.
const share = 10 // of the documents, one in so many
