//go:build race

package chunk_test

// Cutting is a pure function without goroutines, so the race detector only makes it ten times
// slower; make test also runs all of it without the detector.
const share = 10 // test every n-th document
