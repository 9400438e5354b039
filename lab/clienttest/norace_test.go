//go:build !race

package clienttest

const (
	defaultSchedules = 1500
	variants         = 4 // of each fault on each read
)
