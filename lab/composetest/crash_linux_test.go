// Package composetest runs docker-compose.yml on a Docker engine (make compose-test).
package composetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The process that crash.sh kills belongs to the container; any other is left alone, whatever number the engine says.
func TestOnlyTheProcessOfTheContainerIsKilled(t *testing.T) {
	t.Parallel()
	groups, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	ours, _, _ := strings.Cut(string(groups), "\n") // a container's names the container
	const theirs = "4f9c1d7e0b52a6384f9c1d7e0b52a638"
	for name, c := range map[string]struct {
		pid  func(victim string) string // what the engine says at its first answer; later it says the victim
		id   string
		dies bool
		says string
	}{
		"the container's":           {func(v string) string { return v }, ours, true, ""},
		"the container is starting": {func(string) string { return "0" }, ours, true, ""},
		"the engine did not answer": {func(string) string { return "" }, ours, true, ""},
		"the number of init":        {func(string) string { return "1" }, ours, true, ""},
		"of a virtual machine":      {func(v string) string { return v }, theirs, false, "needs a Docker engine that runs here"},
		"nobody's here":             {func(string) string { return "99999999" }, theirs, false, "was not killed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			victim := exec.CommandContext(t.Context(), "sleep", "600")
			require.NoError(t, victim.Start())
			ended := make(chan error, 1)
			go func() { ended <- victim.Wait() }()
			t.Cleanup(func() { _ = victim.Process.Kill() })

			bin, pid := t.TempDir(), strconv.Itoa(victim.Process.Pid)
			engine := "#!/bin/sh\nif [ -e $0.asked ]; then pid=" + pid + "; else pid=" + c.pid(pid) + "; : >$0.asked; fi\n[ -z \"$pid\" ] || echo \"$pid $ID\"\n"
			require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte(engine), 0o700))
			crash := exec.CommandContext(t.Context(), "bash", "crash.sh", "web-1")
			crash.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "ID="+c.id)
			crash.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a kill of process 0 must not end this test
			said, err := crash.CombinedOutput()
			if c.dies {
				require.NoError(t, err, string(said))
				require.ErrorContains(t, <-ended, "killed")
				return
			}
			require.Error(t, err)
			require.Contains(t, string(said), c.says)
			require.NoError(t, victim.Process.Signal(syscall.Signal(0)), "it lives")
		})
	}
}
