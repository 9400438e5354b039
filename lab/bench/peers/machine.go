package peers

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"github.com/sluicehq/sluice/lab/bench/proc"
)

// thisMachine describes the machine of the measurements.
func thisMachine(ctx context.Context) string {
	parts := []string{fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())}
	m := proc.ThisMachine(".")
	if m.CPU != "" {
		parts = append(parts, m.CPU)
	}
	if m.Memory > 0 {
		parts = append(parts, fmt.Sprintf("%d GiB of memory", (m.Memory+1<<29)>>30))
	}
	parts = append(parts, runtime.Version())
	for _, c := range [][]string{{"python3", "--version"}, {"node", "--version"}, {"postgres", "--version"}} {
		said, err := exec.CommandContext(ctx, c[0], c[1:]...).Output() //nolint:gosec // three programs of the list above
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
