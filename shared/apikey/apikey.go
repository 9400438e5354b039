// Package apikey is what a key of the HTTP API is: its form, what it may do, and how it is
// proved without being kept.
//
// A key reads sluice_<key id>_<secret>. The id finds the key and is no secret. Of the secret
// only a bcrypt hash is kept, and that of a digest, since bcrypt reads no more than 72 bytes.
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

// Role is what a key may do. Each role may do what those before it may.
type Role string

// The roles.
const (
	Read    Role = "read"    // look and search
	Operate Role = "operate" // ask for syncs, decide on removals
	Admin   Role = "admin"   // add and delete sources
)

// Roles are all of them, the weakest first.
var Roles = []Role{Read, Operate, Admin}

// Valid reports whether r is a role.
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// May reports whether r is enough where need is asked for. What is no role is never enough.
func (r Role) May(need Role) bool {
	return need.Valid() && slices.Index(Roles, r) >= slices.Index(Roles, need)
}

// Key is what is known of a key apart from its secret.
type Key struct {
	ID        string    `json:"key_id"`
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	Sources   []string  `json:"sources"` // none: every source
	CreatedAt time.Time `json:"created_at"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

// Scoped reports whether the key is for some sources only.
func (k Key) Scoped() bool { return len(k.Sources) > 0 }

// Viewer is on whose behalf the key reads. A key without a role is nobody's and sees nothing.
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
	idLength     = 12 // letters and digits of base32: 60 bits, so that ids do not meet
	secretLength = 52 // 260 bits
)

// Cost is how much work it is to hold one secret against a hash; each step up doubles it. A hash
// carries the cost that it was made with.
type Cost int

// DefaultCost is that of every key that is given to anybody. A secret has 260 random bits, which
// nobody guesses at any cost; the work is for the day on which that is no longer so.
const DefaultCost = Cost(bcrypt.DefaultCost)

// New makes a key: its id, the whole of it, to be shown once, and the hash to be kept.
func New() (id string, token secret.String, hash string, err error) { return DefaultCost.New() }

// New is the package's New at this cost.
func (c Cost) New() (id string, token secret.String, hash string, err error) {
	id = strings.ToLower(rand.Text()[:idLength])
	// One text of crypto/rand has 26 letters.
	text := strings.ToLower(rand.Text() + rand.Text())
	if hash, err = c.Hash(id, text); err != nil {
		return "", secret.String{}, "", err
	}
	return id, secret.New(prefix + "_" + id + "_" + text), hash, nil
}

// Parse takes a key apart. It returns false for what cannot be a key.
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

// Hash returns what is kept of a key's secret.
func (c Cost) Hash(id, text string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword(digest(id, text), int(c))
	if err != nil {
		return "", fmt.Errorf("hash an API key: %w", err)
	}
	return string(hash), nil
}

// Matches reports whether the hash is that of the key. It takes as long when it is not.
func Matches(hash, id, text string) bool {
	return bcrypt.CompareHashAndPassword([]byte(hash), digest(id, text)) == nil
}

// digest is text that bcrypt reads to its end: 44 letters without a zero byte.
func digest(id, text string) []byte {
	sum := sha256.Sum256([]byte(prefix + "\x00" + id + "\x00" + text))
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}
