//go:build race

package clienttest

// The race detector makes a schedule ten times slower and cannot show whether a read returns the right rows; make
// test also runs them without it.
const (
	defaultSchedules = 100
	variants         = 1 // of each fault on each read
)
