package credential

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vault"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestMasterKeys(t *testing.T) {
	s, _ := storetest.Open(t)
	key := secret.New("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	old := secret.New("202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f")
	phrase := secret.New("correct horse battery staple")

	ring, err := Keys(t.Context(), config.Master{}, s)
	require.NoError(t, err)
	require.Empty(t, ring.Current(), "no key is a choice")
	id := func(m config.Master) string {
		ring, err := Keys(t.Context(), m, s)
		require.NoError(t, err)
		require.True(t, ring.Has(ring.Current()))
		return ring.Current()
	}
	byKey, byPhrase := id(config.Master{MasterKey: key}), id(config.Master{MasterPassphrase: phrase})
	require.NotEqual(t, byKey, byPhrase)
	require.Equal(t, byPhrase, id(config.Master{MasterPassphrase: phrase, MasterKeysOld: old}), "the salt is kept")
	require.Equal(t, byKey, id(config.Master{MasterKey: key, MasterPassphrase: phrase}))

	// From a passphrase to a key and on to another passphrase, and nothing is lost.
	c := vault.Credential{Site: acme, Email: "reader@acme.com", Token: secret.New("token")}
	ring, err = Keys(t.Context(), config.Master{MasterPassphrase: phrase}, s)
	require.NoError(t, err)
	_, err = s.Vault().SetSecret(t.Context(), ring, "docs", c)
	require.NoError(t, err)
	for _, m := range []config.Master{
		{MasterKey: key, MasterPassphrase: phrase},
		{MasterKey: old, MasterKeysOld: key},
		{MasterPassphrase: secret.New("another long passphrase"), MasterKeysOld: old},
	} {
		ring, err = Keys(t.Context(), m, s)
		require.NoError(t, err)
		n, err := s.Vault().RotateSecrets(t.Context(), ring)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	got, err := s.Vault().Secret(t.Context(), ring, "docs")
	require.NoError(t, err)
	require.Equal(t, c, got)
}
