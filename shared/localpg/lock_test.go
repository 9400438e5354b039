//go:build unix

package localpg

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A process that is being started at this moment, for whatever purpose, has every file that this
// one has open, and with them the lock.
func TestAGivenBackLockIsFreeWhileAnotherProcessStarts(t *testing.T) {
	data := filepath.Join(t.TempDir(), "postgres")
	hold, err := lockCluster(t.Context(), data, time.Second)
	require.NoError(t, err)
	starting, err := syscall.Dup(int(hold.owner.Fd()))
	require.NoError(t, err)
	defer func() { _ = syscall.Close(starting) }()
	hold.release()

	hold, err = lockCluster(t.Context(), data, time.Second)
	require.NoError(t, err)
	hold.release()
}
