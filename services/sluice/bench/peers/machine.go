package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
)

// thisMachine says what the figures were measured on.
func thisMachine(ctx context.Context) string {
	parts := []string{fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindSubmatch(text); m != nil {
			parts = append(parts, strings.TrimSpace(string(m[1])))
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kb int64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kb); err == nil {
			parts = append(parts, fmt.Sprintf("%d GiB of memory", (kb+1<<19)>>20))
		}
	}
	parts = append(parts, runtime.Version())
	for _, c := range [][]string{{"python3", "--version"}, {"node", "--version"}, {"postgres", "--version"}} {
		said, err := exec.CommandContext(ctx, c[0], c[1:]...).Output()
		if err != nil {
			continue // it is not there, and what needs it says so
		}
		line := strings.TrimSpace(string(said))
		if !strings.HasPrefix(strings.ToLower(line), c[0][:4]) {
			line = c[0] + " " + line
		}
		parts = append(parts, line)
	}
	return strings.Join(parts, "; ")
}
