package seal

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sluicehq/sluice/shared/secret"
)

// KeySize is the length of a key in bytes.
const KeySize = chacha20poly1305.KeySize

// Key is one key of a ring, made by ParseKey or Derive.
type Key struct{ bytes secret.String }

// Format writes "[redacted]" for every verb and flag.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

// ErrKey says that a text is not a key.
var ErrKey = errors.New("not 32 bytes as base64 or hex")

// ParseKey reads a key: 32 bytes as hex, or as base64 of either alphabet, padded or not. The
// error is ErrKey.
func ParseKey(text secret.String) (Key, error) {
	t := strings.TrimSpace(text.Reveal())
	decode := []func(string) ([]byte, error){hex.DecodeString}
	t64 := strings.TrimRight(t, "=")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		decode = append(decode, func(string) ([]byte, error) { return e.DecodeString(t64) })
	}
	for _, d := range decode {
		if b, err := d(t); err == nil && len(b) == KeySize {
			return Key{secret.New(string(b))}, nil
		}
	}
	return Key{}, ErrKey
}

// SaltSize is the length of a salt in bytes.
const SaltSize = 16

// NewSalt makes a salt, as a text.
func NewSalt() string {
	salt := make([]byte, SaltSize)
	_, _ = rand.Read(salt) // never fails
	return base64.RawStdEncoding.EncodeToString(salt)
}

// Derive makes a key from a passphrase and a salt of NewSalt by argon2id with the parameters of RFC 9106
// for environments with little memory: three passes over 64 MiB. It takes about a tenth of a second,
// also for an attacker's every guess.
func Derive(passphrase secret.String, salt string) (Key, error) {
	b, err := base64.RawStdEncoding.DecodeString(salt)
	if err != nil || len(b) != SaltSize {
		return Key{}, fmt.Errorf("derive the master key: the stored salt is not %d bytes as base64", SaltSize)
	}
	return Key{secret.New(string(argon2.IDKey([]byte(passphrase.Reveal()), b, 3, 64<<10, 4, KeySize)))}, nil
}

const keyIDSize = 6 // bytes, of the 12 hex digits that people compare

// ID identifies the key without revealing anything about it.
func (k Key) ID() string {
	mac := hmac.New(sha256.New, []byte(k.bytes.Reveal()))
	_, _ = mac.Write([]byte("sluice key id"))
	return hex.EncodeToString(mac.Sum(nil)[:keyIDSize])
}

func isKeyID(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == keyIDSize && id == strings.ToLower(id)
}

// aead fails only for the zero Key. It is built for each use: the library's state of a key would appear
// where a ring is printed or dumped.
func (k Key) aead() (cipher.AEAD, error) {
	a, err := chacha20poly1305.NewX([]byte(k.bytes.Reveal()))
	if err != nil {
		return nil, ErrNoKey
	}
	return a, nil
}

// hashPrefix identifies the text for readers who find it in a table.
const hashPrefix = "bcrypt-sha256:"

// Hash returns a text with which Same recognizes the secret, and from which no one can recover it.
// bcrypt reads 72 bytes at most, so it hashes a digest.
func Hash(s secret.String) (string, error) {
	h, err := bcrypt.GenerateFromPassword(digest(s), bcrypt.DefaultCost)
	if err != nil {
		return "", fmt.Errorf("hash a secret: %w", err)
	}
	return hashPrefix + string(h), nil
}

// Same reports whether the hash was made from the secret.
func Same(hash string, s secret.String) bool {
	h, ok := strings.CutPrefix(hash, hashPrefix)
	return ok && bcrypt.CompareHashAndPassword([]byte(h), digest(s)) == nil
}

// digest has no zero byte, at which some implementations of bcrypt stop.
func digest(s secret.String) []byte {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return []byte(base64.RawStdEncoding.EncodeToString(sum[:]))
}
