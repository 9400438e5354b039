package sandbox

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBuiltinPagesAreWellFormed(t *testing.T) {
	files, err := builtinFiles()
	require.NoError(t, err)
	for _, f := range files {
		require.NoError(t, checkStorage(f.body), f.name)
	}
}
