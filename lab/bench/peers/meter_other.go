//go:build !linux

package peers

// used cannot be determined here; the report says that it is unknown.
func used(...int) usage { return usage{} }
