package seal_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
)

const (
	row   = "confluence_token:docs"
	token = "ATATT-canary-5d41402abc4b2a76"
)

func key(t testing.TB, fill byte) seal.Key {
	t.Helper()
	k, err := seal.ParseKey(secret.New(strings.Repeat(fmt.Sprintf("%02x", fill), seal.KeySize)))
	require.NoError(t, err)
	return k
}

func sealed(t testing.TB, r *seal.Ring) string {
	t.Helper()
	text, err := r.Seal(secret.New(token), row)
	require.NoError(t, err)
	return text
}

func TestASealedTextOpensUnderItsNameAlone(t *testing.T) {
	r := seal.NewRing(key(t, 1))
	text := sealed(t, r)
	require.Regexp(t, `^v1\.[0-9a-f]{12}\.[A-Za-z0-9_-]+$`, text)
	require.NotEqual(t, text, sealed(t, r), "sealing twice gives two texts")
	plain, err := r.Open(text, row)
	require.NoError(t, err)
	require.Equal(t, token, plain.Reveal())
	id, err := seal.KeyID(text)
	require.NoError(t, err)
	require.Equal(t, r.Current(), id)

	for _, other := range []string{"confluence_token:hr", "", row + " ", row + "\x00"} {
		_, err := r.Open(text, other)
		require.ErrorIs(t, err, seal.ErrForged, "%q", other)
	}
}

func TestAnotherKeyIsNamed(t *testing.T) {
	one, two := key(t, 1), key(t, 2)
	text := sealed(t, seal.NewRing(one))
	var missing *seal.KeyError
	_, err := seal.NewRing(two).Open(text, row)
	require.ErrorAs(t, err, &missing)
	require.Equal(t, seal.KeyError{ID: one.ID(), Have: []string{two.ID()}}, *missing)
	require.ErrorContains(t, err, one.ID())
	for _, none := range []*seal.Ring{nil, {}} {
		_, err = none.Open(text, row)
		require.ErrorAs(t, err, &missing)
		require.Empty(t, missing.Have)
		_, err = none.Seal(secret.New(token), row)
		require.ErrorIs(t, err, seal.ErrNoKey)
	}

	both := seal.NewRing(two, one, two)
	plain, err := both.Open(text, row)
	require.NoError(t, err, "an older key opens")
	require.Equal(t, token, plain.Reveal())
	id, err := seal.KeyID(sealed(t, both))
	require.NoError(t, err)
	require.Equal(t, two.ID(), id, "and the current one seals")

	// The key id in the text is authenticated too: an attacker cannot choose the key.
	forged := strings.Replace(text, one.ID(), two.ID(), 1)
	_, err = both.Open(forged, row)
	require.ErrorIs(t, err, seal.ErrForged)
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	r := seal.NewRing(key(t, 1), key(t, 2))
	text := sealed(t, r)
	for i := range len(text) * 8 {
		b := []byte(text)
		b[i/8] ^= 1 << (i % 8)
		_, err := r.Open(string(b), row)
		require.Error(t, err, "bit %d", i)
		require.NotContains(t, err.Error(), token)
	}
	// Every bit of the bytes inside counts too.
	head, box := text[:strings.LastIndex(text, ".")+1], text[strings.LastIndex(text, ".")+1:]
	data, err := base64.RawURLEncoding.DecodeString(box)
	require.NoError(t, err)
	for i := range len(data) * 8 {
		data[i/8] ^= 1 << (i % 8)
		_, err := r.Open(head+base64.RawURLEncoding.EncodeToString(data), row)
		require.ErrorIs(t, err, seal.ErrForged, "bit %d", i)
		data[i/8] ^= 1 << (i % 8)
	}
	for cut := range len(text) {
		_, err := r.Open(text[:cut], row)
		require.Error(t, err, "cut at %d", cut)
	}
}

func TestWhatIsNoSealedText(t *testing.T) {
	r := seal.NewRing(key(t, 1))
	text := sealed(t, r)
	for _, bad := range []string{
		"", "v1", "v1..", token, "v2" + text[2:], text + "=", text + "\n", "v1\n" + text[2:], text[:20] + "\n" + text[20:],
		"v1." + r.Current() + ".", "v1." + r.Current() + ".AAAA", strings.ToUpper(text[:16]) + text[16:],
	} {
		_, err := r.Open(bad, row)
		require.ErrorIs(t, err, seal.ErrMalformed, "%q", bad)
	}
	_, err := seal.KeyID(token)
	require.ErrorIs(t, err, seal.ErrMalformed)
}

func TestKeysAreReadAsHexAndBase64(t *testing.T) {
	raw := make([]byte, seal.KeySize)
	for i := range raw {
		raw[i] = byte(255 - i) // has both of the characters in which the alphabets differ
	}
	var ids []string
	for _, text := range []string{
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), base64.StdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw), " " + base64.RawURLEncoding.EncodeToString(raw) + "\n",
	} {
		k, err := seal.ParseKey(secret.New(text))
		require.NoError(t, err, text)
		ids = append(ids, k.ID())
		require.Contains(t, fmt.Sprintf("%v %+v %#v", k, k, &k), secret.Redacted)
		for _, verb := range []string{"%x", "%+v", "%#v", "%s"} {
			out := fmt.Sprintf(verb, []any{k, &k, seal.NewRing(k), *seal.NewRing(k)})
			require.NotContains(t, out, hex.EncodeToString(raw[:8]))
			require.NotContains(t, out, "255 254 253")
			require.NotContains(t, out, "0xff, 0xfe, 0xfd")
		}
	}
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	for _, bad := range []string{"", "short", hex.EncodeToString(raw[1:]), base64.StdEncoding.EncodeToString(make([]byte, seal.KeySize+1)), strings.Repeat("z", 64)} {
		_, err := seal.ParseKey(secret.New(bad))
		require.ErrorIs(t, err, seal.ErrKey, bad)
	}
}

func TestAPassphraseMakesTheSameKeyWithTheSameSalt(t *testing.T) {
	salt := seal.NewSalt()
	require.NotEqual(t, salt, seal.NewSalt())
	derive := func(passphrase, salt string) string {
		k, err := seal.Derive(secret.New(passphrase), salt)
		require.NoError(t, err)
		return k.ID()
	}
	require.Equal(t, derive("correct horse", salt), derive("correct horse", salt))
	require.NotEqual(t, derive("correct horse", salt), derive("correct horse ", salt))
	require.NotEqual(t, derive("correct horse", salt), derive("correct horse", seal.NewSalt()))
	// The parameters are part of the stored format: with other parameters nothing could be opened any
	// more.
	require.Equal(t, "847fcb46813f", derive("correct horse", "AAAAAAAAAAAAAAAAAAAAAA"))
	for _, bad := range []string{"", "short", "not base64!"} {
		_, err := seal.Derive(secret.New("x"), bad)
		require.ErrorContains(t, err, "salt")
	}
}

func TestAHashKnowsTheSecretAgain(t *testing.T) {
	long := strings.Repeat("x", 72)
	for _, s := range []string{token, "", long, "zero\x00one"} {
		hash, err := seal.Hash(secret.New(s))
		require.NoError(t, err)
		require.True(t, seal.Same(hash, secret.New(s)))
		require.NotContains(t, hash, token)
		for _, other := range []string{s + "x", "zero\x00two", "other"} {
			require.False(t, seal.Same(hash, secret.New(other)), "%q is not %q", other, s)
		}
	}
	require.False(t, seal.Same("", secret.New("")))
	require.False(t, seal.Same("bcrypt-sha256:", secret.New("")))
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(token, row, uint(77))
	f.Add("", "", uint(0))
	f.Add("\x00\xff", "\x00", uint(1<<20))
	r := seal.NewRing(key(f, 1), key(f, 2))
	f.Fuzz(func(t *testing.T, plain, name string, bit uint) {
		text, err := r.Seal(secret.New(plain), name)
		require.NoError(t, err)
		back, err := r.Open(text, name)
		require.NoError(t, err)
		require.Equal(t, plain, back.Reveal())
		_, err = r.Open(text, name+"x")
		require.ErrorIs(t, err, seal.ErrForged)
		b := []byte(text)
		b[bit/8%uint(len(b))] ^= 1 << (bit % 8)
		_, err = r.Open(string(b), name)
		require.Error(t, err)
		_, _ = r.Open(plain, name) // any text at all: no panic
	})
}
