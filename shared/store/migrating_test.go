package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/migrations"
)

// Migration 052 builds both of its indexes before it stops searches, and says what to do if it and a search wait for
// each other.
func TestIndexesAreBuiltBeforeSearchesStop(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	ctx := t.Context()
	other, err := pgx.ConnectConfig(ctx, conn.Config())
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Close(context.WithoutCancel(ctx)) })
	waiting := conn.Config()
	waiting.RuntimeParams["deadlock_timeout"] = "300ms"
	db := stdlib.OpenDB(*waiting)
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, migrations.DownTo(ctx, db, 51))

	_, err = conn.Exec(ctx, `SET deadlock_timeout = '1min'`)
	require.NoError(t, err)
	search, err := conn.Begin(ctx)
	require.NoError(t, err)
	_, err = search.Exec(ctx, `SELECT FROM confluence_chunk_words`)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := migrations.Up(ctx, db)
		ended <- err
	}()
	require.Eventually(t, func() bool {
		return number(t, other, `SELECT count(*) FROM pg_locks WHERE relation = 'confluence_chunk_words'::regclass AND NOT granted`) > 0
	}, 10*time.Second, 5*time.Millisecond)
	require.Positive(t, number(t, other, `SELECT count(*) FROM pg_locks WHERE relation = 'confluence_chunk_texts'::regclass AND granted AND mode = 'ShareLock'`),
		"the index of texts is there before the first lock that stops a search")
	_, err = search.Exec(ctx, `SELECT FROM confluence_chunk_texts`)
	require.NoError(t, err, "which waits for the migration, as the migration waits for it")
	require.ErrorContains(t, <-ended, "run sluice migrate up again")
	require.NoError(t, search.Commit(ctx))
	_, err = s.Migrate(ctx)
	require.NoError(t, err)
}
