package peers

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATreeIsMeasuredAsAWhole(t *testing.T) {
	// Not in the background, where it has nothing to read from: it would end, and might be reaped just
	// between a look at its parent and one at itself.
	c, err := begin(t.Context(), os.Environ(), "sh", "-c", "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo worked; read x'; :")
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
