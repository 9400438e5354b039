package peers

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCPUIsReadWhateverTheName(t *testing.T) {
	line := "12 (a) b (c) S 1 12 12 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5 6 7"
	require.Equal(t, 1270*time.Millisecond, cpuOf(line))
	require.Zero(t, cpuOf("12 (short) S 1"))
	require.Zero(t, cpuOf(""))
}

func TestATreeIsMeasuredAsAWhole(t *testing.T) {
	c, err := begin(t.Context(), os.Environ(), "sh", "-c", "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo worked; read x' & wait")
	require.NoError(t, err)
	m := measure(c.cmd.Process.Pid)
	_, err = c.hear("worked")
	require.NoError(t, err)
	cpu, peak := m.stop()
	require.Positive(t, cpu, "the child's child did the work")
	alone, shared := memoryOf("/proc/self/")
	require.Greater(t, alone, shared)
	require.Positive(t, peak)
	require.NoError(t, c.cmd.Process.Kill())
	c.end()
}
