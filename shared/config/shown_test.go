package config

import (
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// What .env.example and the documentation show, everybody knows. In whatever way it is written, it
// encrypts nothing.
func TestAMasterKeyThatIsShownIsRefused(t *testing.T) {
	load := func(env map[string]string) error {
		env["DATABASE_URL"] = "postgres://localhost/db"
		_, err := Load[Sluice](from(env))
		return err
	}
	const other = "VGhpcyBvbmUgaXMgaW4gbm8gZG9jdW1lbnRhdGlvbiE="
	require.NoError(t, load(map[string]string{"SLUICE_MASTER_KEY": other}))
	for _, name := range []string{"SLUICE_MASTER_KEY", "SLUICE_MASTER_KEYS_OLD"} {
		shown := example(Master{}, name)
		raw, err := base64.StdEncoding.DecodeString(shown)
		require.NoError(t, err)
		for _, text := range []string{shown, hex.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw)} {
			p := problems(t, load(map[string]string{"SLUICE_MASTER_KEY": text}))
			require.Contains(t, p["SLUICE_MASTER_KEY"].Is, "which everybody knows")
			require.NoError(t, load(map[string]string{"SLUICE_MASTER_KEY": other, "SLUICE_MASTER_KEYS_OLD": text}), "what it encrypted is read, to be encrypted anew")
		}
	}
	phrase := example(Master{}, "SLUICE_MASTER_PASSPHRASE")
	p := problems(t, load(map[string]string{"SLUICE_MASTER_PASSPHRASE": phrase}))
	require.Contains(t, p["SLUICE_MASTER_PASSPHRASE"].Is, "which everybody knows")
	require.NoError(t, load(map[string]string{"SLUICE_MASTER_KEY": other, "SLUICE_MASTER_PASSPHRASE": phrase}))
}
