package vault_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vault"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const canary = "ATATT-canary-5d41402abc4b2a76"

func masterKey(t *testing.T, fill byte) seal.Key {
	t.Helper()
	k, err := seal.ParseKey(secret.New(strings.Repeat(fmt.Sprintf("%02x", fill), seal.KeySize)))
	require.NoError(t, err)
	return k
}

func credential(token string) vault.Credential {
	return vault.Credential{Site: storetest.Site, Email: "reader@acme.com", Token: secret.New(token), Scoped: true}
}

func TestASecretIsKeptSealed(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	ring := seal.NewRing(masterKey(t, 1))
	_, err := s.Vault().Secret(t.Context(), ring, "docs")
	require.ErrorIs(t, err, store.ErrNotFound)
	same, err := s.Vault().SetSecret(t.Context(), ring, "docs", credential(canary))
	require.NoError(t, err)
	require.False(t, same)
	got, err := s.Vault().Secret(t.Context(), ring, "docs")
	require.NoError(t, err)
	require.Equal(t, credential(canary), got)

	// Archon ignores the row: it is encrypted and in a category of its own, and its unencrypted part reveals nothing.
	var value, text, category, row string
	var encrypted bool
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT value, encrypted_value, category, is_encrypted, s::text
		FROM archon_settings s WHERE key = 'confluence_token:docs'`).Scan(&value, &text, &category, &encrypted, &row))
	require.True(t, encrypted)
	require.Equal(t, "confluence", category)
	require.Regexp(t, `^bcrypt-sha256:\$2a\$`, value)
	require.Regexp(t, `^v1\.[0-9a-f]{12}\.`, text)
	for _, hidden := range []string{canary, "reader@acme.com", "atlassian"} {
		require.NotContains(t, row, hidden)
	}
}

func TestTheSameTokenIsKnownAgain(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	ring := seal.NewRing(masterKey(t, 1))
	_, err := s.Vault().SameToken(t.Context(), "docs", secret.New(canary))
	require.ErrorIs(t, err, store.ErrNotFound)
	for i, token := range []string{canary, canary, canary + "x", canary} {
		is, _ := s.Vault().SameToken(t.Context(), "docs", secret.New(token))
		same, err := s.Vault().SetSecret(t.Context(), ring, "docs", credential(token))
		require.NoError(t, err)
		require.Equal(t, i == 1, same, token)
		require.Equal(t, same, is, "also without the key")
	}
	// The same token with another address is still written.
	c := credential(canary)
	c.Email = "other@acme.com"
	same, err := s.Vault().SetSecret(t.Context(), ring, "docs", c)
	require.NoError(t, err)
	require.True(t, same)
	got, err := s.Vault().Secret(t.Context(), ring, "docs")
	require.NoError(t, err)
	require.Equal(t, c, got)
}

func TestTheFirstNameThatHasASecretCounts(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	ring := seal.NewRing(masterKey(t, 1))
	_, err := s.Vault().SetSecret(t.Context(), ring, "acme.atlassian.net", credential("of-the-site"))
	require.NoError(t, err)
	token := func(names ...string) string {
		c, err := s.Vault().Secret(t.Context(), ring, names...)
		require.NoError(t, err)
		return c.Token.Reveal()
	}
	require.Equal(t, "of-the-site", token("docs", "acme.atlassian.net"))
	_, err = s.Vault().SetSecret(t.Context(), ring, "docs", credential("of-the-source"))
	require.NoError(t, err)
	require.Equal(t, "of-the-source", token("docs", "acme.atlassian.net"))
	require.Equal(t, "of-the-site", token("acme.atlassian.net", "docs"))
	// A secret that cannot be opened is not skipped in favor of the next one.
	_, err = conn.Exec(t.Context(), `UPDATE archon_settings SET encrypted_value = 'v2.x' WHERE key = 'confluence_token:docs'`)
	require.NoError(t, err)
	_, err = s.Vault().Secret(t.Context(), ring, "docs", "acme.atlassian.net")
	require.ErrorIs(t, err, seal.ErrMalformed)
}

// Whatever is wrong with the key or a row, there is a clear error, and every row stays unchanged.
func TestASecretThatCannotBeOpenedIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	right, wrong := seal.NewRing(masterKey(t, 1)), seal.NewRing(masterKey(t, 2))
	for _, name := range []string{"docs", "hr"} {
		_, err := s.Vault().SetSecret(t.Context(), right, name, credential(canary+name))
		require.NoError(t, err)
	}
	rows := func() (all string) {
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT string_agg(s::text, E'\n' ORDER BY key) FROM archon_settings s`).Scan(&all))
		return all
	}
	before := rows()
	refused := func(ring *seal.Ring, want any) {
		t.Helper()
		_, reading := s.Vault().Secret(t.Context(), ring, "docs")
		_, setting := s.Vault().SetSecret(t.Context(), ring, "docs", credential("new"))
		_, rotating := s.Vault().RotateSecrets(t.Context(), ring)
		for _, err := range []error{reading, setting, rotating} {
			require.Error(t, err)
			require.NotContains(t, err.Error(), canary)
			var sealed *vault.SealedError
			require.ErrorAs(t, err, &sealed)
			require.Equal(t, "docs", sealed.Name)
			if target, ok := want.(error); ok {
				require.ErrorIs(t, err, target)
			} else {
				require.ErrorAs(t, err, want)
			}
		}
	}
	var missing *seal.KeyError
	refused(wrong, &missing)
	require.Equal(t, right.Current(), missing.ID)
	require.Equal(t, before, rows())
	_, err := s.Vault().SetSecret(t.Context(), wrong, "new", credential("new"))
	require.ErrorAs(t, err, &missing, "no secret with a wrong key beside the others")
	for _, none := range []*seal.Ring{nil, {}} {
		_, err = s.Vault().SetSecret(t.Context(), none, "new", credential("new"))
		require.ErrorIs(t, err, seal.ErrNoKey)
		_, err = s.Vault().RotateSecrets(t.Context(), none)
		require.ErrorIs(t, err, seal.ErrNoKey)
		_, err = s.Vault().Secret(t.Context(), none, "docs")
		require.ErrorAs(t, err, &missing)
	}
	require.Equal(t, before, rows())

	// The contents of two rows are swapped.
	swap := `UPDATE archon_settings a SET encrypted_value = b.encrypted_value FROM archon_settings b
		WHERE starts_with(a.key, 'confluence_token:') AND starts_with(b.key, 'confluence_token:') AND a.key <> b.key`
	_, err = conn.Exec(t.Context(), swap)
	require.NoError(t, err)
	swapped := rows()
	refused(right, seal.ErrForged)
	require.Equal(t, swapped, rows())
	_, err = conn.Exec(t.Context(), swap)
	require.NoError(t, err)

	// The contents are changed.
	_, err = conn.Exec(t.Context(), `UPDATE archon_settings SET encrypted_value = overlay(encrypted_value
		placing CASE substr(encrypted_value, 30, 1) WHEN 'A' THEN 'B' ELSE 'A' END from 30) WHERE key = 'confluence_token:docs'`)
	require.NoError(t, err)
	refused(right, seal.ErrForged)
	// A secret that cannot be opened can be removed without a key, and set again.
	require.NoError(t, s.Vault().DeleteSecret(t.Context(), "docs"))
	require.ErrorIs(t, s.Vault().DeleteSecret(t.Context(), "docs"), store.ErrNotFound)
	_, err = s.Vault().SetSecret(t.Context(), right, "docs", credential("new"))
	require.NoError(t, err)
}

func TestRotationIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	one, two := masterKey(t, 1), masterKey(t, 2)
	for _, name := range []string{"docs", "hr", "acme.atlassian.net"} {
		_, err := s.Vault().SetSecret(t.Context(), seal.NewRing(one), name, credential(canary+name))
		require.NoError(t, err)
	}
	keyIDs := func() (ids []string) {
		list, err := s.Vault().Secrets(t.Context())
		require.NoError(t, err)
		for _, info := range list {
			ids = append(ids, info.Name+" "+info.KeyID)
			require.WithinDuration(t, time.Now(), info.Created, time.Hour)
			require.WithinDuration(t, time.Now(), info.Updated, time.Hour)
		}
		return ids
	}
	all := func(k seal.Key) []string {
		return []string{"acme.atlassian.net " + k.ID(), "docs " + k.ID(), "hr " + k.ID()}
	}
	require.Equal(t, all(one), keyIDs())
	both := seal.NewRing(two, one)
	// One damaged secret stops the whole rotation.
	damage := `UPDATE archon_settings SET encrypted_value = $1 || substr(encrypted_value, length($1) + 1) WHERE key = 'confluence_token:hr'`
	_, err := conn.Exec(t.Context(), damage, "v1."+two.ID())
	require.NoError(t, err)
	_, err = s.Vault().RotateSecrets(t.Context(), both)
	require.ErrorIs(t, err, seal.ErrForged)
	require.Equal(t, []string{"acme.atlassian.net " + one.ID(), "docs " + one.ID(), "hr " + two.ID()}, keyIDs())
	_, err = conn.Exec(t.Context(), damage, "v1."+one.ID())
	require.NoError(t, err)

	n, err := s.Vault().RotateSecrets(t.Context(), both)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, all(two), keyIDs())
	n, err = s.Vault().RotateSecrets(t.Context(), both)
	require.NoError(t, err)
	require.Zero(t, n, "a second rotation changes nothing")
	for _, name := range []string{"docs", "hr", "acme.atlassian.net"} {
		c, err := s.Vault().Secret(t.Context(), seal.NewRing(two), name)
		require.NoError(t, err)
		require.Equal(t, credential(canary+name), c, "the old key is no longer needed")
		same, err := s.Vault().SameToken(t.Context(), name, secret.New(canary+name))
		require.NoError(t, err)
		require.True(t, same)
	}
}

func TestASourceTakesItsSecretAlong(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	ring := seal.NewRing(masterKey(t, 1))
	storetest.AddSource(t, s, "docs")
	// Archon's own rows, one of them with a name like Sluice's.
	_, err := conn.Exec(t.Context(), `INSERT INTO archon_settings (key, encrypted_value, is_encrypted, category) VALUES
		('OPENAI_API_KEY', 'gAAAAA', true, 'api_keys'), ('confluence_token:of_archon', 'gAAAAA', true, 'api_keys')`)
	require.NoError(t, err)
	for _, name := range []string{"docs", "docs2", "acme.atlassian.net"} {
		_, err := s.Vault().SetSecret(t.Context(), ring, name, credential(canary))
		require.NoError(t, err)
	}
	require.NoError(t, s.RemoveSource(t.Context(), "docs"))
	list, err := s.Vault().Secrets(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2, "only Sluice's own rows, none of Archon's")
	_, err = s.Vault().RotateSecrets(t.Context(), seal.NewRing(masterKey(t, 2), masterKey(t, 1)))
	require.NoError(t, err)
	require.ErrorIs(t, s.Vault().DeleteSecret(t.Context(), "of_archon"), store.ErrNotFound)
	_, err = s.Vault().SetSecret(t.Context(), seal.NewRing(masterKey(t, 2)), "of_archon", credential(canary))
	require.ErrorContains(t, err, "another program")
	var theirs int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM archon_settings WHERE encrypted_value = 'gAAAAA'`).Scan(&theirs))
	require.Equal(t, 2, theirs)
}

// Archon's policies let any signed-in user delete a row of archon_settings. A source that had a token must not
// continue with another one.
func TestATokenThatVanishedIsMissed(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	ring := seal.NewRing(masterKey(t, 1))
	vanish := func(sql string) {
		t.Helper()
		for _, name := range []string{"acme.atlassian.net", "docs"} {
			_, err := s.Vault().SetSecret(t.Context(), ring, name, credential(canary+name))
			require.NoError(t, err)
		}
		_, err := conn.Exec(t.Context(), sql+` WHERE key = 'confluence_token:docs'`)
		require.NoError(t, err)
		_, err = s.Vault().Secret(t.Context(), ring, "docs", "acme.atlassian.net")
		require.ErrorIs(t, err, vault.ErrVanished)
		require.ErrorContains(t, err, "the secret of docs")
		list, err := s.Vault().Secrets(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.False(t, list[0].Vanished)
		require.Equal(t, "docs", list[1].Name)
		require.True(t, list[1].Vanished)
		require.Empty(t, list[1].KeyID)
	}
	readWith := func(token string) {
		t.Helper()
		c, err := s.Vault().Secret(t.Context(), ring, "docs", "acme.atlassian.net")
		require.NoError(t, err)
		require.Equal(t, canary+token, c.Token.Reveal())
	}
	// The operator decides: another token, or none.
	vanish(`DELETE FROM archon_settings`)
	_, err := s.Vault().SetSecret(t.Context(), ring, "docs", credential(canary+"docs"))
	require.NoError(t, err)
	readWith("docs")
	vanish(`UPDATE archon_settings SET key = 'x'`)
	require.NoError(t, s.Vault().DeleteSecret(t.Context(), "docs"))
	readWith("acme.atlassian.net")
	require.ErrorIs(t, s.Vault().DeleteSecret(t.Context(), "docs"), store.ErrNotFound)
}

// Archon deletes a source without its token.
func TestTheTokenOfASourceThatIsGoneIsSwept(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	ring := seal.NewRing(masterKey(t, 1))
	storetest.AddSource(t, s, "docs")
	storetest.AddSource(t, s, "hr")
	for _, name := range []string{"docs", "hr", "acme.atlassian.net"} {
		_, err := s.Vault().SetSecret(t.Context(), ring, name, credential(canary))
		require.NoError(t, err)
	}
	_, err := conn.Exec(t.Context(), `DELETE FROM archon_sources WHERE source_id = 'hr'`)
	require.NoError(t, err)
	swept, err := s.SweepTokens(t.Context())
	require.NoError(t, err)
	require.Empty(t, swept, "its source may be added in a moment")
	swept, err = s.Vault().Sweep(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, []string{"hr"}, swept)
	var left string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT string_agg(key, ' ' ORDER BY key) FROM archon_settings WHERE key LIKE 'confluence_token:%'`).Scan(&left))
	require.Equal(t, "confluence_token:acme.atlassian.net confluence_token:docs", left)
}

func TestTheSaltStays(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	salts := make(chan string, 8)
	for range cap(salts) {
		go func() {
			salt, err := s.Vault().MasterSalt(t.Context())
			if err != nil {
				salt = err.Error()
			}
			salts <- salt
		}()
	}
	first := <-salts
	_, err := seal.Derive(secret.New("correct horse battery"), first)
	require.NoError(t, err)
	for range cap(salts) - 1 {
		require.Equal(t, first, <-salts, "for all callers, also concurrent ones")
	}
	list, err := s.Vault().Secrets(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestWhenATokenExpiresIsKeptWithIt(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	ring := seal.NewRing(masterKey(t, 1))
	march, may := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		token         string
		expires, then time.Time
		why           string
	}{
		{"one", march, march, "as it is said"},
		{"one", time.Time{}, march, "the same token still expires then"},
		{"one", may, may, "it is said anew"},
		{"two", time.Time{}, time.Time{}, "nobody knows when another token expires"},
	} {
		given := credential(c.token)
		given.Expires = c.expires
		_, err := s.Vault().SetSecret(t.Context(), ring, "docs", given)
		require.NoError(t, err)
		list, err := s.Vault().Secrets(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, c.then, list[0].Expires, c.why)
	}
}
