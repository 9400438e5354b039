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

func TestASessionReadsForItsKeyUntilEitherEnds(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	v := s.Vault()
	id, _, hash := apikey.New()
	require.NoError(t, v.AddAPIKey(t.Context(), vault.APIKey{Key: apikey.Key{ID: id, Name: "laptop", Role: apikey.Operate, Sources: []string{"docs"}, ActAs: true}, Hash: hash}))
	add := func(secret, key string, lasts time.Duration) {
		require.NoError(t, v.AddSession(t.Context(), []byte(secret), key, lasts))
	}
	gone := func(secret string) {
		_, err := v.Session(t.Context(), []byte(secret))
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	gone("one")
	add("over", id, -time.Second)
	gone("over")
	add("one", id, time.Hour)
	add("two", id, time.Hour)
	add("file", "local", time.Hour)
	key, err := v.Session(t.Context(), []byte("one"))
	require.NoError(t, err)
	require.Equal(t, apikey.Key{ID: id, Name: "laptop", Role: apikey.Operate, Sources: []string{"docs"}, ActAs: true, CreatedAt: key.CreatedAt}, key)
	require.NoError(t, v.EndSession(t.Context(), []byte("two")))
	require.NoError(t, v.EndSession(t.Context(), []byte("two")))
	gone("two")
	_, err = v.RevokeAPIKey(t.Context(), id)
	require.NoError(t, err)
	gone("one")
	key, err = v.Session(t.Context(), []byte("file"))
	require.NoError(t, err)
	require.Equal(t, "local", key.ID)
	require.False(t, key.Role.Valid(), "who has no key in the database gets a role from whoever knows the key, or none")
}
