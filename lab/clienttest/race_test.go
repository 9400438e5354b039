//go:build race

package clienttest

// The race detector makes a schedule ten times slower and proves nothing about what a read
// returns; make test runs them without it as well.
const (
	defaultSchedules = 100
	variants         = 1 // of each fault on each read
)
