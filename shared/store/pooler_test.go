package store_test

import (
	"encoding/base64"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Everything works through a pooler that gives every transaction to another session of the server: migrating,
// syncing, searching, storing tokens. The store's whole test suite also passes that way: see pgtest.PoolerVariable.
func TestEverythingWorksThroughAPooler(t *testing.T) {
	t.Parallel()
	address := pgtest.Pooled(t, pgtest.URL(t))
	s, err := store.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	// Several programs start together: one migrates and the others wait.
	var all errgroup.Group
	for range 3 {
		all.Go(func() error {
			_, err := s.Migrate(t.Context())
			return err
		})
	}
	require.NoError(t, all.Wait())
	require.NoError(t, s.Ready(t.Context()))
	server, err := s.Server(t.Context())
	require.NoError(t, err)
	require.True(t, server.Pooled)
	require.Equal(t, "cache_describe", server.Mode)

	addSource(t, s, "docs")
	for _, id := range []string{"r1", "r2", "r3"} { // the first run describes the statements, the later ones reuse that
		run := fullRun(t, s, "docs", id, listed("1", 1, "Keys"), listed("2", 1, "Backup"))
		refs, err := s.PendingPages(t.Context(), id, "", 10)
		require.NoError(t, err)
		for _, ref := range refs {
			_, err := s.WritePage(t.Context(), storetest.Page("docs", id, ref.ID, 1, map[string]string{"1": "Keys", "2": "Backup"}[ref.ID], "Rotating the signing keys of the broker "+ref.ID))
			require.NoError(t, err)
		}
		require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	}
	for _, query := range []string{"rotating keys", `"signing keys"`, "rotatnig"} {
		hits, err := s.Searcher().Explain(t.Context(), viewer.All(), query, search.Filter{SourceID: "docs"})
		require.NoError(t, err)
		require.NotEmpty(t, hits.Hits, query)
	}
	filtered, err := s.Searcher().Explain(t.Context(), viewer.All(), "keys", search.Filter{Under: "1"})
	require.NoError(t, err)
	require.NotEmpty(t, filtered.Hits)

	key, err := seal.ParseKey(secret.New(base64.StdEncoding.EncodeToString(make([]byte, 32))))
	require.NoError(t, err)
	_, err = s.Vault().SetSecret(t.Context(), seal.NewRing(key), "docs", vault.Credential{Site: storetest.Site, Email: "reader@acme.com", Token: secret.New("token")})
	require.NoError(t, err)
	require.NoError(t, s.RemoveSource(t.Context(), "docs"))
	require.NoError(t, s.MigrateDown(t.Context()))
}

// Without a pooler, statements are prepared; a setting in the address has priority.
func TestHowStatementsAreSent(t *testing.T) {
	t.Parallel()
	address := pgtest.MigratedURL(t)
	in := func(address, mode string) string {
		return changed(t, address, func(u *url.URL) {
			q := u.Query()
			q.Set("default_query_exec_mode", mode)
			u.RawQuery = q.Encode()
		})
	}
	for url, want := range map[string]store.Server{
		address:             {Mode: "cache_statement"},
		in(address, "exec"): {Mode: "exec"},
		in(pgtest.Pooled(t, address), "simple_protocol"): {Pooled: true, Mode: "simple_protocol"},
	} {
		s, err := store.Open(t.Context(), url)
		require.NoError(t, err)
		got, err := s.Server(t.Context())
		s.Close()
		require.NoError(t, err)
		require.Equal(t, []any{want.Pooled, want.Mode}, []any{got.Pooled, got.Mode})
	}
}
