package vault_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vault"
)

func TestAPIKeysAreKeptListedAndRevoked(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	has, err := s.Vault().HasAPIKeys(t.Context())
	require.NoError(t, err)
	require.False(t, has)
	id, token, hash := apikey.New()
	key := vault.APIKey{Key: apikey.Key{ID: id, Name: "it's me", Role: apikey.Operate, Sources: []string{"docs", "hr"}}, Hash: hash}
	require.NoError(t, s.Vault().AddAPIKey(t.Context(), key))
	require.Error(t, s.Vault().AddAPIKey(t.Context(), key), "an id is unique")
	require.Error(t, s.Vault().AddAPIKey(t.Context(), vault.APIKey{Key: apikey.Key{ID: "other", Name: "x", Role: "owner"}, Hash: hash}))

	there, err := s.Vault().APIKey(t.Context(), id)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), there.CreatedAt, time.Minute)
	there.CreatedAt = time.Time{}
	require.Equal(t, key, there)
	_, err = s.Vault().APIKey(t.Context(), "nobody")
	require.ErrorIs(t, err, store.ErrNotFound)
	has, err = s.Vault().HasAPIKeys(t.Context())
	require.NoError(t, err)
	require.True(t, has)

	first, err := s.Vault().RevokeAPIKey(t.Context(), id)
	require.NoError(t, err)
	again, err := s.Vault().RevokeAPIKey(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, first.RevokedAt, again.RevokedAt)
	_, err = s.Vault().RevokeAPIKey(t.Context(), "nobody")
	require.ErrorIs(t, err, store.ErrNotFound)
	has, err = s.Vault().HasAPIKeys(t.Context())
	require.NoError(t, err)
	require.False(t, has)
	list, err := s.Vault().APIKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)

	var row string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT row_to_json(k)::text FROM confluence_api_keys k`).Scan(&row))
	_, text, _ := apikey.Parse(token.Reveal())
	require.NotContains(t, row, text)
}
