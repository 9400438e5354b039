// Package proc reads Linux's data about processes and the machine under /proc.
package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in a stat file. Linux reports hundredths of a second on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// Stat is the content of /proc/PID/stat.
type Stat struct {
	PID, Parent int
	CPU         time.Duration // user and system time of the process
	Reaped      time.Duration // the same of its children that have ended and were waited for
}

// ParseStat reads a stat file.
func ParseStat(text []byte) (Stat, error) {
	// "pid (name) state parent …"; the name may contain anything, so its end is searched from the end of
	// the text.
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return Stat{}, fmt.Errorf("a stat file without a name: %q", text)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:open])))
	if err != nil {
		return Stat{}, fmt.Errorf("read a stat file: %w", err)
	}
	fields := strings.Fields(string(text[end+1:]))
	const parent, utime, stime, cutime, cstime = 1, 11, 12, 13, 14 // counted from the state
	if len(fields) <= cstime {
		return Stat{}, fmt.Errorf("a stat file of %d fields after the name", len(fields))
	}
	var n [cstime + 1]int64
	for _, i := range []int{parent, utime, stime, cutime, cstime} {
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return Stat{}, fmt.Errorf("read a stat file: %w", err)
		}
	}
	return Stat{
		PID: pid, Parent: int(n[parent]),
		CPU: time.Duration(n[utime]+n[stime]) * tick, Reaped: time.Duration(n[cutime]+n[cstime]) * tick,
	}, nil
}

// Memory is the memory in /proc/PID/status, in bytes.
type Memory struct {
	Peak   int64 // the most that was resident
	Own    int64 // resident now and not shared
	Shared int64 // resident now of memory shared with other processes, such as Postgres's buffers
}

// ParseMemory reads a status file. A process that has no memory of its own gives zeros.
func ParseMemory(text []byte) (Memory, error) {
	var m Memory
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		into := map[string]*int64{"VmHWM": &m.Peak, "RssAnon": &m.Own, "RssShmem": &m.Shared}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil {
			return m, fmt.Errorf("read %s of a status file: %w", name, err)
		}
		*into = kib << 10
	}
	return m, nil
}

// Usage is the resources of a process, including its children where they are counted.
type Usage struct {
	CPU    time.Duration
	Memory int64 // bytes: the peak of a process alone; the present memory of a process with its children
}

// Of returns the usage of one process; it is zero if there is no such process, or no /proc.
func Of(pid int) Usage {
	s, err := stat(pid)
	if err != nil {
		return Usage{}
	}
	m, err := memory(pid)
	if err != nil {
		return Usage{}
	}
	return Usage{CPU: s.CPU, Memory: m.Peak}
}

// OfFamily returns the usage of a process and of its living children, and the CPU time of the ended
// ones. It counts shared memory once.
func OfFamily(pid int) Usage {
	var u Usage
	var shared int64
	for _, one := range append(Children(pid), pid) {
		s, err := stat(one)
		if err != nil {
			continue // it has ended
		}
		u.CPU += s.CPU
		if s.PID == pid {
			u.CPU += s.Reaped
		}
		if m, err := memory(s.PID); err == nil {
			u.Memory += m.Own
			shared = max(shared, m.Shared)
		}
	}
	u.Memory += shared
	return u
}

// Children lists the living children of a process.
func Children(pid int) []int {
	var list []int
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range threads {
		text, err := os.ReadFile(name) //nolint:gosec // below /proc
		if err != nil {
			continue // the thread has ended
		}
		for f := range strings.FieldsSeq(string(text)) {
			if id, err := strconv.Atoi(f); err == nil {
				list = append(list, id)
			}
		}
	}
	if len(threads) > 0 {
		return list
	}
	// The kernel has no such lists: read every process's parent.
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range files {
		if text, err := os.ReadFile(name); err == nil { //nolint:gosec // below /proc
			if s, err := ParseStat(text); err == nil && s.Parent == pid {
				list = append(list, s.PID)
			}
		}
	}
	return list
}

func stat(pid int) (Stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Stat{}, err
	}
	return ParseStat(text)
}

func memory(pid int) (Memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, err
	}
	return ParseMemory(text)
}
