//go:build !linux && !darwin

package local

import "errors"

// Free is not known on this system.
func Free(string) (uint64, error) {
	return 0, errors.New("the room on the disk is not known on this system")
}
