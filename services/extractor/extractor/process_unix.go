//go:build unix

package extractor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// handsOver says that a process can get a file from the one that starts it.
const handsOver = true

// handOver makes the file the child's first one after its three streams.
func handOver(cmd *exec.Cmd, file *os.File) { cmd.ExtraFiles = []*os.File{file} }

// handed is the file that the parent handed over.
func handed() (*os.File, error) {
	const first = 3
	file := os.NewFile(first, "file")
	if file == nil {
		return nil, errors.New("no file was handed over")
	}
	return file, nil
}

// limitMemory limits the memory that the process can write to. The address space may be larger: Go and WebAssembly reserve
// much that they never use.
func limitMemory(most int64) error {
	if raced {
		return nil
	}
	limit := syscall.Rlimit{Cur: uint64(most), Max: uint64(most)} //nolint:gosec // checked with the settings
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &limit); err != nil {
		return fmt.Errorf("limit the memory of a process that reads files: %w", err)
	}
	return nil
}
