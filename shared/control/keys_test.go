package control_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestKeysOfTheAPI(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	k, token, err := w.CreateKey(ctx, everyone, control.NewKey{Name: "ci", Role: apikey.Operate, Sources: []string{"hr", "docs", "hr"}})
	require.NoError(t, err)
	require.Equal(t, []string{"docs", "hr"}, k.Sources)
	stored, err := w.store.Vault().APIKey(ctx, k.ID)
	require.NoError(t, err)
	_, text, ok := apikey.Parse(token.Reveal())
	require.True(t, ok)
	require.True(t, apikey.Matches(stored.Hash, k.ID, text))

	var wrong *control.InvalidError
	for field, n := range map[string]control.NewKey{
		"name":    {Name: " ", Role: apikey.Read},
		"role":    {Name: "x", Role: "owner"},
		"act_as":  {Name: "x", Role: apikey.Read, Account: "557058:a", ActAs: true},
		"account": {Name: "x", Role: apikey.Read, Account: "no account"},
	} {
		_, _, err := w.CreateKey(ctx, everyone, n)
		require.ErrorAs(t, err, &wrong, field)
		require.Equal(t, field, wrong.Field)
	}
	_, _, err = w.CreateKey(ctx, everyone, control.NewKey{Name: strings.Repeat("x", 201), Role: apikey.Read})
	require.ErrorAs(t, err, &wrong)
	var unknown *control.UnknownSourceError
	_, _, err = w.CreateKey(ctx, everyone, control.NewKey{Name: "x", Role: apikey.Read, Sources: []string{"nowhere"}})
	require.ErrorAs(t, err, &unknown)

	list, err := w.APIKeys(ctx, everyone)
	require.NoError(t, err)
	require.Len(t, list, 1, "nothing that was refused is stored")
	require.Equal(t, k.ID, list[0].ID)
	for range 2 { // by its whole text, and again
		k, err = w.RevokeKey(ctx, everyone, token.Reveal())
		require.NoError(t, err)
		require.False(t, k.RevokedAt.IsZero())
	}
	var noKey *control.UnknownKeyError
	_, err = w.RevokeKey(ctx, everyone, "nobody")
	require.ErrorAs(t, err, &noKey)
}

func TestStoredTokensOfSourcesAndSites(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	given := func(token string) credential.GivenToken {
		return credential.GivenToken{Token: secret.New(token), Email: "reader@acme.com"}
	}
	list, err := w.Secrets(ctx, everyone)
	require.NoError(t, err)
	require.NotNil(t, list)
	require.Empty(t, list)
	for name, as := range map[string]string{"docs": "docs", "ACME.atlassian.net": "acme.atlassian.net", "https://other.atlassian.net/wiki": "other.atlassian.net"} {
		stored, err := w.SetSecret(ctx, everyone, name, given("token of "+as), false)
		require.NoError(t, err, name)
		require.Equal(t, as, stored.Name)
	}
	list, err = w.Secrets(ctx, everyone)
	require.NoError(t, err)
	require.Len(t, list, 3)
	for _, kept := range list {
		require.Equal(t, "current", kept.Key)
	}
	var wrong *control.InvalidError
	for _, name := range []string{"evil.example", "", "a b", "https://api.atlassian.com"} {
		_, err := w.SetSecret(ctx, everyone, name, given("t"), false)
		require.ErrorAs(t, err, &wrong, name)
		require.Equal(t, "name", wrong.Field)
	}
	var unknown *control.UnknownSourceError
	_, err = w.SetSecret(ctx, everyone, "nowhere", given("t"), false)
	require.ErrorAs(t, err, &unknown)

	name, err := w.RemoveSecret(ctx, everyone, "Other.atlassian.net")
	require.NoError(t, err)
	require.Equal(t, "other.atlassian.net", name)
	var none *control.UnknownSecretError
	_, err = w.RemoveSecret(ctx, everyone, "other.atlassian.net")
	require.ErrorAs(t, err, &none)
}

// Keys and the tokens of sites open every source: who sees some sources only gets none of them.
func TestOnlyWhoSeesEverySourceHasKeysAndTokens(t *testing.T) {
	w := newWorld(t)
	ctx, some := t.Context(), viewer.OfSources("docs")
	_, _, create := w.CreateKey(ctx, some, control.NewKey{Name: "x", Role: apikey.Read, Sources: []string{"docs"}})
	_, list := w.APIKeys(ctx, some)
	_, revoke := w.RevokeKey(ctx, some, "x")
	_, secrets := w.Secrets(ctx, some)
	_, remove := w.RemoveSecret(ctx, some, "docs")
	token := credential.GivenToken{Token: secret.New("t"), Email: "reader@acme.com"}
	_, site := w.SetSecret(ctx, some, "acme.atlassian.net", token, false)
	for _, err := range []error{create, list, revoke, secrets, remove, site} {
		require.ErrorIs(t, err, control.ErrNotOperator)
	}
	_, err := w.SetSecret(ctx, some, "docs", token, false)
	require.NoError(t, err, "a source's own token is the source's")
	var unknown *control.UnknownSourceError
	_, err = w.SetSecret(ctx, some, "hr", token, false)
	require.ErrorAs(t, err, &unknown)
}
