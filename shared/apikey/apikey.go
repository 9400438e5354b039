// Package apikey defines the keys of the HTTP API: their format, their permissions, and how they are
// verified without being stored.
//
// A key has the form sluice_<key id>_<secret>. The id finds the key and is not secret. Only a bcrypt
// hash of the secret is stored, over a digest, because bcrypt reads at most 72 bytes.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

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
	Sources   []string  `json:"sources"` // empty: every source
	CreatedAt time.Time `json:"created_at"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

// Scoped reports whether the key is limited to some sources.
func (k Key) Scoped() bool { return len(k.Sources) > 0 }

// Viewer is the viewer for whom the key reads. A key without a valid role sees nothing.
func (k Key) Viewer() viewer.Viewer {
	switch {
	case !k.Role.Valid():
		return viewer.Viewer{}
	case k.Scoped():
		return viewer.OfSources(k.Sources...)
	default:
		return viewer.All()
	}
}

const (
	prefix       = "sluice"
	idLength     = 12 // letters and digits of base32: 60 bits, so that ids do not collide
	secretLength = 52 // 260 bits
)

// Cost is the work of comparing one secret with a hash; each step doubles it. A hash contains its cost.
type Cost int

// DefaultCost is the cost of every real key. A secret has 260 random bits, which no one can guess at any
// cost; the cost protects it if that ever changes.
const DefaultCost = Cost(bcrypt.DefaultCost)

// New makes a key. It returns its id, the whole key, which is shown once, and the hash to store.
func New() (id string, token secret.String, hash string, err error) { return DefaultCost.New() }

// New is the package's New with this cost.
func (c Cost) New() (id string, token secret.String, hash string, err error) {
	id = strings.ToLower(rand.Text()[:idLength])
	// One text of crypto/rand has 26 letters; a key needs more.
	text := strings.ToLower(rand.Text() + rand.Text())
	if hash, err = c.Hash(id, text); err != nil {
		return "", secret.String{}, "", err
	}
	return id, secret.New(prefix + "_" + id + "_" + text), hash, nil
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

// Hash returns the hash of a key's secret for storage.
func (c Cost) Hash(id, text string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword(digest(id, text), int(c))
	if err != nil {
		return "", fmt.Errorf("hash an API key: %w", err)
	}
	return string(hash), nil
}

// Matches reports whether the hash belongs to the key. A mismatch takes as long as a match.
func Matches(hash, id, text string) bool {
	return bcrypt.CompareHashAndPassword([]byte(hash), digest(id, text)) == nil
}

// digest is a text that bcrypt reads completely: 44 letters without a zero byte.
func digest(id, text string) []byte {
	sum := sha256.Sum256([]byte(prefix + "\x00" + id + "\x00" + text))
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}
