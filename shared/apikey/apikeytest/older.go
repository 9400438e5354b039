// Package apikeytest makes keys as earlier releases stored them.
package apikeytest

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/sluicehq/sluice/shared/apikey"
)

// OlderHash is the hash that an earlier release stored for a key: of bcrypt, here at its lowest cost.
func OlderHash(t testing.TB, token string) string {
	t.Helper()
	id, text, ok := apikey.Parse(token)
	require.True(t, ok)
	sum := sha256.Sum256([]byte("sluice\x00" + id + "\x00" + text))
	hash, err := bcrypt.GenerateFromPassword([]byte(base64.StdEncoding.EncodeToString(sum[:])), bcrypt.MinCost)
	require.NoError(t, err)
	return string(hash)
}
