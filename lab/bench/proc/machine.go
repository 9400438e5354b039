package proc

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Machine is the machine of a benchmark. An unknown field is "" or 0.
type Machine struct {
	CPU        string // the model
	Cores      int    // that this process may use
	Memory     int64  // bytes
	Kernel     string
	FileSystem string // of the folder that the servers keep their data in
}

// ThisMachine describes the machine; dir is the folder whose file system counts.
func ThisMachine(dir string) Machine {
	m := Machine{Cores: runtime.GOMAXPROCS(0)}
	m.CPU = field("/proc/cpuinfo", "model name")
	if kib, err := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.Memory = kib << 10
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = runtime.GOOS + " " + strings.TrimSpace(string(text))
	}
	if text, err := os.ReadFile("/proc/self/mounts"); err == nil {
		if abs, err := filepath.Abs(dir); err == nil {
			m.FileSystem = ParseMount(string(text), abs)
		}
	}
	return m
}

func field(file, name string) string {
	text, err := os.ReadFile(file) //nolint:gosec // below /proc
	if err != nil {
		return ""
	}
	return ParseField(string(text), name)
}

// ParseField returns the first value of a file of lines "name : value".
func ParseField(text, name string) string {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// ParseMount returns the type of the file system that dir lies on, by a list of mounts.
func ParseMount(mounts, dir string) string {
	best, kind := -1, ""
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		at := strings.ReplaceAll(f[1], `\040`, " ")
		if at != "/" && dir != at && !strings.HasPrefix(dir, at+"/") {
			continue
		}
		if len(at) >= best { // a later mount at the same place hides the earlier one
			best, kind = len(at), f[2]
		}
	}
	return kind
}
