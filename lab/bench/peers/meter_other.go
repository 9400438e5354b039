//go:build !linux

package peers

// used cannot be told here without the system's help; the report says that it is not known.
func used(int) usage { return usage{} }
