//go:build unix

package localpg

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A process that is just being started, for whatever purpose, has every file of this process open, and
// so holds the lock.
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
