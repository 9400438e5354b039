package localpg

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryWheelIsPinned(t *testing.T) {
	require.Len(t, vectorWheels, 4)
	for platform, w := range vectorWheels {
		require.Len(t, w.sha256, 2*sha256.Size, platform)
		require.Contains(t, w.path, wheelPrefix, platform)
	}
}
