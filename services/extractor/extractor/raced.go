//go:build race

package extractor

// raced says that the race detector runs, which needs more memory than a process that reads files may have.
const raced = true
