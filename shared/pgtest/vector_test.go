package pgtest

import (
	"crypto/sha256"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestTheVectorServerHasTheExtension(t *testing.T) {
	address := VectorURL(t)
	require.Equal(t, 1, scan[int](t, address, `SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'`))
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `CREATE EXTENSION vector`)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	require.InDelta(t, 5.0, scan[float64](t, address, `SELECT '[3,0]'::vector <-> '[0,4]'::vector`), 1e-9)
}

func TestEveryWheelIsPinned(t *testing.T) {
	require.Len(t, wheels, 4)
	for platform, w := range wheels {
		require.Len(t, w.sha256, 2*sha256.Size, platform)
		require.Contains(t, w.path, wheelPrefix, platform)
	}
}
