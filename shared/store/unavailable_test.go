package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestUnavailableIsWhatOnlyTimeMends(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	_, err := s.Run(t.Context(), "none")
	require.Error(t, err)
	require.False(t, store.Unavailable(err), "%v", err)

	// The backend of a running query ends.
	ended := make(chan error, 1)
	require.NoError(t, s.Ping(t.Context()))
	_, err = conn.Exec(t.Context(), `BEGIN; LOCK TABLE archon_sources IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	go func() {
		_, err := s.Reader().Sources(context.WithoutCancel(t.Context()), viewer.All(), store.Whole())
		ended <- err
	}()
	require.Eventually(t, func() bool {
		var killed int
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock') k`).Scan(&killed)
		return err == nil && killed > 0
	}, 10*time.Second, 10*time.Millisecond)
	err = <-ended
	require.Error(t, err)
	require.True(t, store.Unavailable(err), "%v", err)

	// A server that does not exist.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // a busy machine takes a while to say no
	defer cancel()
	_, err = store.Open(ctx, "postgres://nobody@127.0.0.1:1/none?connect_timeout=1")
	require.Error(t, err)
	require.True(t, store.Unavailable(err), "%v", err)
}
