package pgtest

import (
	"database/sql"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/migrations"
)

func connect(t *testing.T, address string) *sql.DB {
	t.Helper()
	cfg, err := pgx.ParseConfig(address)
	require.NoError(t, err)
	db := stdlib.OpenDB(*cfg)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestAMigratedDatabaseIsWhatMigratingMakes(t *testing.T) {
	address := URL(t)
	_, err := migrations.Up(t.Context(), connect(t, address))
	require.NoError(t, err)
	want, err := Schema(t.Context(), address)
	require.NoError(t, err)
	require.NotEmpty(t, want)

	copied := MigratedURL(t)
	got, err := Schema(t.Context(), copied)
	require.NoError(t, err)
	require.Equal(t, want, got)
	db := connect(t, copied)
	require.NoError(t, migrations.Verify(t.Context(), db))
	again, err := migrations.Up(t.Context(), db)
	require.NoError(t, err)
	require.Empty(t, again, "nothing is left to apply")
}

func TestEveryTestHasItsOwnMigratedDatabase(t *testing.T) {
	a, b := MigratedURL(t), MigratedURL(t)
	_, err := connect(t, a).ExecContext(t.Context(), `INSERT INTO archon_sources (source_id) VALUES ('mine')`)
	require.NoError(t, err)
	const sources = `SELECT count(*) FROM archon_sources`
	require.Equal(t, 1, scan[int](t, a, sources))
	require.Equal(t, 0, scan[int](t, b, sources))
	require.Equal(t, 0, scan[int](t, MigratedURL(t), sources))
}
