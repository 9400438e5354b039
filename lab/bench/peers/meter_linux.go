package peers

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/lab/bench/proc"
)

// used sums up the processes with the ids and their descendants. Ended processes count with their parent.
func used(pids ...int) usage {
	var u usage
	var shared int64
	for all := slices.Clone(pids); len(all) > 0; all = all[1:] {
		dir := fmt.Sprintf("/proc/%d/", all[0])
		text, err := os.ReadFile(dir + "stat") //nolint:gosec // below /proc
		if err != nil {
			continue
		}
		stat, err := proc.ParseStat(text)
		if err != nil {
			continue
		}
		u.cpu += stat.CPU + stat.Reaped
		resident, common := memoryOf(dir)
		u.memory += resident - common
		shared = max(shared, common)
		all = append(all, proc.Children(all[0])...)
	}
	u.memory += shared
	return u
}

// memoryOf is the resident memory of a process, and the part of it shared with others: files and shared
// memory.
func memoryOf(dir string) (resident, common int64) {
	text, err := os.ReadFile(dir + "statm") //nolint:gosec // below /proc
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 3 {
		return 0, 0
	}
	pages := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0
		}
		return n * int64(os.Getpagesize())
	}
	return pages(fields[1]), pages(fields[2])
}
