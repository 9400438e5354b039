package proc_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/proc"
)

func TestAStatFileWithAnAwkwardName(t *testing.T) {
	s, err := proc.ParseStat([]byte("4711 (a) b (c) S 42 4711 4711 0 -1 4194560 1 2 3 4 120 30 500 7 20 0 9 0 99 1 2 3\n"))
	require.NoError(t, err)
	require.Equal(t, proc.Stat{PID: 4711, Parent: 42, CPU: 1500 * time.Millisecond, Reaped: 5070 * time.Millisecond}, s)
	for _, bad := range []string{"", "1 2 3", "x (a) S 1", "1 (a) S 1 2", "1 (a) S 42 1 1 0 -1 4 1 2 3 4 many 30 500 7"} {
		_, err := proc.ParseStat([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestAStatusFile(t *testing.T) {
	m, err := proc.ParseMemory([]byte("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 9 kB\nRssAnon:\t    1024 kB\nRssShmem:\t       4 kB\n"))
	require.NoError(t, err)
	require.Equal(t, proc.Memory{Peak: 2 << 20, Own: 1 << 20, Shared: 4 << 10}, m)
	m, err = proc.ParseMemory([]byte("Name:\tkthreadd\n"))
	require.NoError(t, err)
	require.Zero(t, m)
	_, err = proc.ParseMemory([]byte("VmHWM:\tmuch kB\n"))
	require.Error(t, err)
}

func TestMounts(t *testing.T) {
	mounts := "overlay / overlay rw 0 0\n/dev/a /data ext4 rw 0 0\ntmpfs /data/fast tmpfs rw 0 0\nx /my\\040disk xfs rw 0 0\nshort\n"
	for dir, want := range map[string]string{
		"/tmp/x": "overlay", "/data": "ext4", "/data/slow": "ext4", "/data/fast/deep": "tmpfs", "/datafile": "overlay", "/my disk/a": "xfs",
	} {
		require.Equal(t, want, proc.ParseMount(mounts, dir), dir)
	}
	require.Empty(t, proc.ParseMount("", "/"))
}

func TestFields(t *testing.T) {
	require.Equal(t, "Some CPU @ 3 GHz", proc.ParseField("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nmodel name\t: another\n", "model name"))
	require.Empty(t, proc.ParseField("processor\t: 0\n", "model name"))
}

func TestThisProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		require.Zero(t, proc.Of(os.Getpid()), "without /proc nothing is said")
		return
	}
	began := time.Now()
	for proc.Of(os.Getpid()).CPU == 0 {
		require.Less(t, time.Since(began), time.Minute, "a process that works uses time")
	}
	require.Greater(t, proc.Of(os.Getpid()).Memory, int64(1<<20))
	require.Greater(t, proc.OfFamily(os.Getpid()).Memory, int64(1<<20))
	sleeper := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, sleeper.Start())
	own := func() int64 { return proc.OfFamily(os.Getpid()).Memory - proc.OfFamily(sleeper.Process.Pid).Memory }
	require.Eventually(t, func() bool { return proc.OfFamily(sleeper.Process.Pid).Memory > 0 && own() > 0 }, time.Minute, time.Millisecond)
	require.NoError(t, sleeper.Process.Kill())
	require.Error(t, sleeper.Wait())
	require.Zero(t, proc.Of(sleeper.Process.Pid), "who is gone uses nothing")
	require.Positive(t, proc.ThisMachine(".").Cores)
}
