package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store/storetest"
)

func TestHealthOfTheDatabase(t *testing.T) {
	t.Parallel()
	s, db := storetest.Open(t)
	h, err := s.Health(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, h.Version)
	list, err := s.Migrations(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, h.Schema, len(list))
	require.Positive(t, h.Bytes)
	require.Positive(t, h.Sessions)
	require.GreaterOrEqual(t, h.MostOpen, h.Sessions)
	require.Len(t, h.Tables, 8)
	for i, table := range h.Tables[1:] {
		before := h.Tables[i]
		require.GreaterOrEqual(t, before.Bytes+before.Indexes, table.Bytes+table.Indexes, table.Name)
	}
	require.Empty(t, h.Broken)
	// As CREATE INDEX CONCURRENTLY leaves it when it is interrupted.
	_, err = db.Exec(t.Context(), `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'confluence_sync_runs_pkey'::regclass`)
	require.NoError(t, err)
	h, err = s.Health(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"confluence_sync_runs_pkey"}, h.Broken)
}
