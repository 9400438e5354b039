//go:build !race

package clienttest

const (
	defaultSchedules = 2000
	variants         = 4 // of each fault on each read
)
