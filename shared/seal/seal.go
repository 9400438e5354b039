// Package seal encrypts data that must be stored and used again, such as an API token:
// XChaCha20-Poly1305 with a ring of keys, one of which is current. It uses no database: it turns a
// secret into a text and back.
//
// A sealed text is "v1.<key id>.<base64 of nonce and ciphertext>". The name of its row is authenticated
// with it, so a text that is copied into another row cannot be opened there.
package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/shared/secret"
)

const version = "v1"

// encoding rejects the stray bits in which two texts of the same bytes could differ: every change of a
// sealed text must be detected.
var encoding = base64.RawURLEncoding.Strict()

// Errors of Open that callers distinguish. A *KeyError is the third.
var (
	// ErrMalformed says that a text does not have the format of a sealed text.
	ErrMalformed = errors.New("not a sealed text, or one of a newer version")
	// ErrForged says that a text was changed, or was sealed for another name.
	ErrForged = errors.New("the sealed text was changed, or belongs to another name")
	// ErrNoKey says that there is no key to seal with.
	ErrNoKey = errors.New("there is no master key: set SLUICE_MASTER_KEY or SLUICE_MASTER_PASSPHRASE, or their _FILE")
)

// KeyError says that a text is sealed with a key that is not in the ring.
type KeyError struct {
	ID   string   // of the missing key
	Have []string // ids of the keys in the ring, the current one first
}

func (e *KeyError) Error() string {
	if len(e.Have) == 0 {
		return "sealed with the master key " + e.ID + ", and no master key is set: set SLUICE_MASTER_KEY or SLUICE_MASTER_PASSPHRASE"
	}
	return fmt.Sprintf("sealed with the master key %s, but the key that is set is %s: set that one, or add it to SLUICE_MASTER_KEYS_OLD",
		e.ID, strings.Join(e.Have, ", "))
}

// Ring is the keys that open texts; the current one seals. A Ring never changes. The zero Ring and a nil
// Ring have no key.
type Ring struct {
	order []string // ids, the current one first
	keys  map[string]Key
}

// NewRing makes a ring of the current key and older ones, which only open.
func NewRing(current Key, old ...Key) *Ring {
	r := &Ring{keys: map[string]Key{}}
	for _, k := range append([]Key{current}, old...) {
		if id := k.ID(); !r.Has(id) {
			r.keys[id] = k
			r.order = append(r.order, id)
		}
	}
	return r
}

// Current returns the id of the key that seals, "" without one.
func (r *Ring) Current() string {
	if r == nil || len(r.order) == 0 {
		return ""
	}
	return r.order[0]
}

// Has reports whether the ring has the key with that id.
func (r *Ring) Has(id string) bool {
	if r == nil {
		return false
	}
	_, ok := r.keys[id]
	return ok
}

// Seal encrypts plain for the row called name with the current key. Sealing twice gives two different
// texts. The error is ErrNoKey.
func (r *Ring) Seal(plain secret.String, name string) (string, error) {
	id := r.Current()
	if id == "" {
		return "", ErrNoKey
	}
	aead, err := r.keys[id].aead()
	if err != nil {
		return "", err
	}
	box := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain.Reveal())+aead.Overhead())
	// crypto/rand.Read never fails. 24 random bytes do not repeat, for any number of texts.
	_, _ = rand.Read(box)
	box = aead.Seal(box, box, []byte(plain.Reveal()), bound(id, name))
	return version + "." + id + "." + encoding.EncodeToString(box), nil
}

// Open decrypts a text that was sealed for the row called name. The error is ErrMalformed, ErrForged or
// a *KeyError, and never contains any of the text.
func (r *Ring) Open(text, name string) (secret.String, error) {
	id, box, err := split(text)
	if err != nil {
		return secret.String{}, err
	}
	if !r.Has(id) {
		e := &KeyError{ID: id}
		if r != nil {
			e.Have = r.order
		}
		return secret.String{}, e
	}
	aead, err := r.keys[id].aead()
	if err != nil {
		return secret.String{}, err
	}
	data, err := encoding.DecodeString(box)
	if err != nil || len(data) < aead.NonceSize()+aead.Overhead() {
		return secret.String{}, ErrMalformed
	}
	nonce, ciphertext := data[:aead.NonceSize()], data[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, ciphertext, bound(id, name))
	if err != nil {
		return secret.String{}, ErrForged
	}
	return secret.New(string(plain)), nil
}

// KeyID returns the id of the key that sealed a text, without opening it. The error is ErrMalformed.
func KeyID(text string) (string, error) {
	id, _, err := split(text)
	return id, err
}

func split(text string) (id, box string, err error) {
	rest, ok := strings.CutPrefix(text, version+".")
	id, box, parted := strings.Cut(rest, ".")
	// The decoder would silently ignore line breaks, and nothing else.
	if !ok || !parted || !isKeyID(id) || strings.ContainsAny(box, "\r\n") {
		return "", "", ErrMalformed
	}
	return id, box, nil
}

// bound is the associated data: everything around the ciphertext that must not be exchangeable.
func bound(id, name string) []byte { return []byte("sluice " + version + "\x00" + id + "\x00" + name) }
