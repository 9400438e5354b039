// Package apikey defines the keys of the HTTP API: their format, their permissions, and how they are
// verified without being stored.
//
// A key has the form sluice_<key id>_<secret>. The id finds the key and is not secret. Only a SHA-256
// digest of the secret is stored: a secret has 260 random bits, which nobody can guess however fast the
// digest is, and a slow one would let guessers cost others their turn. Earlier releases stored bcrypt
// hashes; see Slow.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Role is the permissions of a key. Each role includes the roles before it.
type Role string

// The roles.
const (
	Read    Role = "read"    // look and search
	Operate Role = "operate" // request syncs, decide on removals
	Admin   Role = "admin"   // add and delete sources
)

// Roles are all roles, the weakest first.
var Roles = []Role{Read, Operate, Admin}

// Valid reports whether r is a role.
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// May reports whether r includes need. An invalid role includes nothing.
func (r Role) May(need Role) bool {
	return need.Valid() && slices.Index(Roles, r) >= slices.Index(Roles, need)
}

// Key is a key without its secret.
type Key struct {
	ID        string    `json:"key_id"`
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	Sources   []string  `json:"sources"`           // empty: every source
	Account   string    `json:"account,omitempty"` // the account for which the key reads; "" for nobody in particular
	ActAs     bool      `json:"act_as,omitempty"`  // each request may name the account for which it reads
	CreatedAt time.Time `json:"created_at"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

// Scoped reports whether the key is limited to some sources.
func (k Key) Scoped() bool { return len(k.Sources) > 0 }

// Viewer is the viewer for whom the key reads. A key without a valid role sees nothing.
func (k Key) Viewer() viewer.Viewer {
	v := viewer.Everywhere()
	switch {
	case !k.Role.Valid():
		return viewer.Viewer{}
	case k.Scoped():
		v = viewer.OfSources(k.Sources...)
	}
	v = v.As(k.Account)
	if k.Role.May(Operate) {
		v = v.Overseeing()
	}
	return v
}

// ErrReader says that a key may not read for the account that a request names.
var ErrReader = errors.New("this key may not read for others: make one with sluice key create --act-as")

// ViewerAs is the viewer of a request that names the account for which it reads; "" names none. The named account
// oversees nothing, whatever the key may do.
func (k Key) ViewerAs(account string) (viewer.Viewer, error) {
	switch {
	case account == "":
		return k.Viewer(), nil
	case !k.ActAs:
		return viewer.Viewer{}, ErrReader
	case !access.ValidAccount(account):
		return viewer.Viewer{}, access.ErrAccount
	}
	return k.Viewer().As(account), nil
}

// LooksFor reports whether people with the key may look at what any account sees: with a key that reads for others, and
// with an admin's key for all sources, which makes such keys. A key that is bound to an account reads as no other.
func (k Key) LooksFor() bool { return k.ActAs || k.Role.May(Admin) && !k.Scoped() && k.Account == "" }

// ViewerFor is the viewer of a person who looks at what an account sees; "" is what the key itself sees. The error is
// ErrReader if LooksFor is false, or access.ErrAccount.
func (k Key) ViewerFor(account string) (viewer.Viewer, error) {
	if account != "" {
		k.ActAs = k.LooksFor()
	}
	return k.ViewerAs(account)
}

const (
	prefix       = "sluice"
	idLength     = 12 // letters and digits of base32: 60 bits, so that ids do not collide
	secretLength = 52 // 260 bits
)

// New makes a key. It returns its id, the whole key, which is shown once, and the hash to store.
func New() (id string, token secret.String, hash string) {
	id = strings.ToLower(rand.Text()[:idLength])
	token, hash = WithID(id)
	return id, token, hash
}

// IDOf returns the id that belongs to a digest of at least 8 bytes.
func IDOf(sum []byte) string {
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum)[:idLength])
}

// WithID makes a new secret for a key with this id. It returns the whole key, which is shown once, and the hash to store.
func WithID(id string) (token secret.String, hash string) {
	// One text of crypto/rand has 26 letters; a key needs more.
	text := strings.ToLower(rand.Text() + rand.Text())
	return secret.New(prefix + "_" + id + "_" + text), Hash(id, text)
}

// Parse splits a key into its id and its secret. It returns false for a text that cannot be a key.
func Parse(token string) (id, text string, ok bool) {
	parts := strings.Split(token, "_")
	if len(parts) != 3 || parts[0] != prefix || len(parts[1]) != idLength || len(parts[2]) != secretLength {
		return "", "", false
	}
	for _, r := range parts[1] + parts[2] {
		if (r < 'a' || r > 'z') && (r < '2' || r > '7') {
			return "", "", false
		}
	}
	return parts[1], parts[2], true
}

// scheme begins every hash, except those of earlier releases.
const scheme = "sha256:"

// Hash returns the hash of a key's secret for storage.
func Hash(id, text string) string { return scheme + digest(id, text) }

// Slow reports whether an earlier release stored the hash: it is of bcrypt, and comparing it takes long.
func Slow(hash string) bool { return !strings.HasPrefix(hash, scheme) }

// Matches reports whether the hash belongs to the key.
func Matches(hash, id, text string) bool {
	if Slow(hash) {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(digest(id, text))) == nil
	}
	return subtle.ConstantTimeCompare([]byte(hash), []byte(Hash(id, text))) == 1
}

// digest has 44 letters without a zero byte, all of which bcrypt reads.
func digest(id, text string) string {
	sum := sha256.Sum256([]byte(prefix + "\x00" + id + "\x00" + text))
	return base64.StdEncoding.EncodeToString(sum[:])
}
