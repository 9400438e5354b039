package pgtest

import (
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
