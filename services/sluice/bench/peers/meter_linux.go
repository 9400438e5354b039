package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc, the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// used sums up the process with the id and everything below it. What has ended meanwhile counts
// with its parent.
func used(pid int) usage {
	var u usage
	var shared int64
	for all := []int{pid}; len(all) > 0; all = all[1:] {
		dir := fmt.Sprintf("/proc/%d/", all[0])
		text, err := os.ReadFile(dir + "stat")
		if err != nil {
			continue
		}
		u.cpu += cpuOf(string(text))
		resident, common := memoryOf(dir)
		u.memory += resident - common
		shared = max(shared, common)
		all = append(all, childrenOf(dir)...)
	}
	u.memory += shared
	return u
}

// childrenOf names the processes that the threads of one have started.
func childrenOf(dir string) []int {
	lists, err := filepath.Glob(dir + "task/*/children")
	if err != nil {
		return nil
	}
	var pids []int
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// cpuOf reads the CPU time in /proc/…/stat: user and system, the process's own and that of
// children that have ended. The name before is in parentheses and may hold any.
func cpuOf(stat string) time.Duration {
	_, after, _ := cutLast(stat, ") ")
	fields := strings.Fields(after)
	if len(fields) < 15 {
		return 0
	}
	var sum time.Duration
	for _, field := range fields[11:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		sum += time.Duration(n) * tick
	}
	return sum
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// memoryOf is what is resident of a process, and what of that it has in common with others:
// files and shared memory.
func memoryOf(dir string) (resident, common int64) {
	text, err := os.ReadFile(dir + "statm")
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
