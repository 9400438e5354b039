package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// The rows of archon_settings that are ours. One secret is one row, as Archon keeps its own:
// is_encrypted is true and encrypted_value holds the sealed credential. value, which Archon reads
// of rows that are not encrypted only, holds the bcrypt hash by which the token is known again; in
// a row of its own, Archon would take the hash for a setting and show it.
const (
	secretPrefix   = "confluence_token:"
	secretCategory = "confluence"
	saltKey        = "sluice_master_salt"
)

// Credential is what Confluence is asked with: a token, whose it is, and the one site that it may
// be sent to. It is sealed as a whole, so that whoever can change a source's address in the
// database does not thereby choose where its token goes.
type Credential struct {
	Site   string // the address of the site with /wiki
	Email  string
	Token  secret.String
	Scoped bool // a scoped token, which is taken at the gateway only
}

// Secret says what is known of a stored credential without opening it.
type Secret struct {
	Name    string    `json:"name"`   // of a source, or of a site's host
	KeyID   string    `json:"key_id"` // of the master key that it is sealed with; "" where the row is no longer readable
	Created time.Time `json:"created_at"`
	Updated time.Time `json:"updated_at"`

	Vanished bool `json:"vanished,omitempty"` // somebody else deleted it; see ErrVanished
}

// ErrVanished says that a token is no longer where it was stored, although Sluice did not remove it.
var ErrVanished = errors.New("it was stored, and somebody else deleted or changed its row in archon_settings; " +
	"set it again (sluice secret set), or do without it (sluice secret remove)")

// SealedError says which secret could not be opened. It wraps seal.ErrForged, seal.ErrMalformed,
// ErrVanished or a *seal.KeyError.
type SealedError struct {
	Name  string
	cause error
}

func (e *SealedError) Error() string {
	return "the secret of " + e.Name + " cannot be opened: " + e.cause.Error()
}

// Unwrap returns the cause.
func (e *SealedError) Unwrap() error { return e.cause }

// sealed is a credential as it stands inside a sealed text.
type sealed struct {
	Site   string `json:"site"`
	Email  string `json:"email"`
	Token  string `json:"token"`
	Scoped bool   `json:"scoped,omitempty"`
}

func sealCredential(ring *seal.Ring, key string, c Credential) (string, error) {
	b, err := json.Marshal(sealed{Site: c.Site, Email: c.Email, Token: c.Token.Reveal(), Scoped: c.Scoped})
	if err != nil {
		return "", err
	}
	return ring.Seal(secret.New(string(b)), key)
}

func openCredential(ring *seal.Ring, key, text string) (Credential, error) {
	name := strings.TrimPrefix(key, secretPrefix)
	plain, err := ring.Open(text, key)
	if err != nil {
		return Credential{}, &SealedError{Name: name, cause: err}
	}
	var s sealed
	if json.Unmarshal([]byte(plain.Reveal()), &s) != nil { // its error could quote the token
		return Credential{}, &SealedError{Name: name, cause: seal.ErrMalformed}
	}
	return Credential{Site: s.Site, Email: s.Email, Token: secret.New(s.Token), Scoped: s.Scoped}, nil
}

// SecretNames are the names under which the credential of a source may be stored, its own before
// that of its site: a source's id, in which there is no dot, and the host of a site's address.
func SecretNames(site, sourceID string) []string {
	u, err := url.Parse(site)
	if err != nil || !strings.ContainsAny(u.Host, ".:") {
		return []string{sourceID} // a bare word would be taken for a source
	}
	return []string{sourceID, strings.ToLower(u.Host)}
}

// secretRow is a row as it is stored.
type secretRow struct{ key, hash, text string }

const ourSecrets = ` starts_with(key, '` + secretPrefix + `') AND category = '` + secretCategory + `' AND is_encrypted`

// secretRows reads rows, locked until tx ends.
func secretRows(ctx context.Context, tx pgx.Tx) ([]secretRow, error) {
	rows, _ := tx.Query(ctx, `SELECT key, coalesce(value, ''), coalesce(encrypted_value, '') FROM archon_settings
		WHERE`+ourSecrets+` ORDER BY key FOR UPDATE`)
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (s secretRow, err error) {
		err = r.Scan(&s.key, &s.hash, &s.text)
		return s, err
	})
}

// SetSecret seals a credential under the name of a source or of a site's host, in place of the
// one that was there, and reports whether that one had the same token. Nothing is written while a
// secret of any name is sealed with a key that the ring has not, or the one to be replaced cannot
// be opened: with a mistaken master key, one that nobody else has would come to lie beside the
// others. DeleteSecret needs no key. The error is seal.ErrNoKey or wraps a *SealedError.
func (v *Vault) SetSecret(ctx context.Context, ring *seal.Ring, name string, c Credential) (same bool, err error) {
	key := secretPrefix + name
	text, err := sealCredential(ring, key, c)
	if err != nil {
		return false, fmt.Errorf("set the secret of %s: %w", name, err)
	}
	hash, err := seal.Hash(c.Token)
	if err != nil {
		return false, err
	}
	err = pg.InTx(ctx, v.pool, "set the secret of "+name, func(tx pgx.Tx) error {
		there, err := openableRows(ctx, tx, ring, key)
		if err != nil {
			return err
		}
		same = false
		for _, r := range there {
			if r.key == key && seal.Same(r.hash, c.Token) {
				same, hash = true, r.hash
			}
		}
		tag, err := tx.Exec(ctx, `
			INSERT INTO archon_settings (key, value, encrypted_value, is_encrypted, category, description)
			VALUES ($1, $2, $3, true, '`+secretCategory+`', $4)
			ON CONFLICT (key) DO UPDATE SET value = excluded.value, encrypted_value = excluded.encrypted_value,
				is_encrypted = true, category = excluded.category, description = excluded.description, updated_at = now()
			WHERE archon_settings.category = '`+secretCategory+`'`,
			key, hash, text, "Confluence credential of "+name+", kept by Sluice: sluice secret list")
		if err == nil && tag.RowsAffected() == 0 {
			err = fmt.Errorf("archon_settings has a row %s of somebody else's", key)
		}
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO confluence_tokens (name) VALUES ($1) ON CONFLICT DO NOTHING`, name)
		}
		return err
	})
	return same, err
}

// CanSetSecret reports whether SetSecret would refuse for want of a key, with its errors.
func (v *Vault) CanSetSecret(ctx context.Context, ring *seal.Ring, name string) error {
	if ring.Current() == "" {
		return seal.ErrNoKey
	}
	return pg.InTx(ctx, v.pool, "look at the secrets beside that of "+name, func(tx pgx.Tx) error {
		_, err := openableRows(ctx, tx, ring, secretPrefix+name)
		return err
	})
}

// openableRows reads the rows beside which the one with the key may be written.
func openableRows(ctx context.Context, tx pgx.Tx, ring *seal.Ring, key string) ([]secretRow, error) {
	there, err := secretRows(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, r := range there {
		if err := openable(ring, r, r.key == key); err != nil {
			return nil, err
		}
	}
	return there, nil
}

// openable reports why a row cannot be opened: for any reason, or for want of its key alone.
func openable(ring *seal.Ring, r secretRow, wholly bool) error {
	_, err := openCredential(ring, r.key, r.text)
	var missing *seal.KeyError
	if wholly || errors.As(err, &missing) {
		return err
	}
	return nil // a row that is broken by itself says nothing about the key
}

// SameToken reports whether the token is the one that is stored under the name. It needs no key.
// ErrNotFound when there is none.
func (v *Vault) SameToken(ctx context.Context, name string, token secret.String) (bool, error) {
	var hash string
	err := v.pool.QueryRow(ctx, `SELECT coalesce(value, '') FROM archon_settings WHERE key = $1 AND`+ourSecrets, secretPrefix+name).Scan(&hash)
	if err != nil {
		return false, pg.NotFound(err, "look for the secret of "+name)
	}
	return seal.Same(hash, token), nil
}

// Secret opens the first of the names under which a credential is stored. ErrNotFound when there
// is none; otherwise the error may wrap a *SealedError, and no later name is tried then.
func (v *Vault) Secret(ctx context.Context, ring *seal.Ring, names ...string) (Credential, error) {
	var name, text string
	var there bool
	err := v.pool.QueryRow(ctx, `SELECT n.name, s.key IS NOT NULL, coalesce(s.encrypted_value, '')
		FROM unnest($1::text[]) WITH ORDINALITY AS n (name, place)
		LEFT JOIN (SELECT key, encrypted_value FROM archon_settings WHERE`+ourSecrets+`) s ON s.key = '`+secretPrefix+`' || n.name
		LEFT JOIN confluence_tokens k ON k.name = n.name
		WHERE s.key IS NOT NULL OR k.name IS NOT NULL ORDER BY n.place LIMIT 1`, names).Scan(&name, &there, &text)
	switch {
	case err != nil:
		return Credential{}, pg.NotFound(err, "read the secret of "+strings.Join(names, " or "))
	case !there:
		return Credential{}, &SealedError{Name: name, cause: ErrVanished}
	}
	return openCredential(ring, secretPrefix+name, text)
}

// Secrets lists what is known of the stored credentials, by name. It opens none.
func (v *Vault) Secrets(ctx context.Context) ([]Secret, error) {
	rows, _ := v.pool.Query(ctx, `SELECT key, coalesce(encrypted_value, ''), coalesce(created_at, updated_at, now()), coalesce(updated_at, created_at, now()), false
		FROM archon_settings WHERE`+ourSecrets+`
		UNION ALL SELECT name, '', stored_at, stored_at, true FROM confluence_tokens
		WHERE NOT EXISTS (SELECT FROM archon_settings WHERE key = '`+secretPrefix+`' || name AND`+ourSecrets+`) ORDER BY 1`)
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Secret, error) {
		var info Secret
		var text string
		err := r.Scan(&info.Name, &text, &info.Created, &info.Updated, &info.Vanished)
		info.Name = strings.TrimPrefix(info.Name, secretPrefix)
		if id, bad := seal.KeyID(text); bad == nil {
			info.KeyID = id
		}
		info.Created, info.Updated = info.Created.UTC(), info.Updated.UTC()
		return info, err
	})
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	return list, nil
}

// DeleteSecret forgets a credential. ErrNotFound when there is none.
func (v *Vault) DeleteSecret(ctx context.Context, name string) error {
	err := pg.InTx(ctx, v.pool, "remove the secret of "+name, func(tx pgx.Tx) error {
		n, err := forget(ctx, tx, name)
		if err == nil && n == 0 {
			err = pg.ErrNotFound
		}
		return err
	})
	return err
}

// RotateSecrets seals every credential anew with the current key and returns how many were sealed
// with another one. It is all or nothing: one that cannot be opened leaves every one as it is. The
// error is seal.ErrNoKey or wraps a *SealedError for each that cannot be opened.
func (v *Vault) RotateSecrets(ctx context.Context, ring *seal.Ring) (int, error) {
	if ring.Current() == "" {
		return 0, fmt.Errorf("rotate secrets: %w", seal.ErrNoKey)
	}
	rotated := 0
	err := pg.InTx(ctx, v.pool, "rotate secrets", func(tx pgx.Tx) error {
		rotated = 0
		rows, err := secretRows(ctx, tx)
		if err != nil {
			return err
		}
		var bad []error
		for _, r := range rows {
			c, err := openCredential(ring, r.key, r.text)
			if err != nil {
				bad = append(bad, err)
				continue
			}
			if id, _ := seal.KeyID(r.text); id == ring.Current() {
				continue
			}
			text, err := sealCredential(ring, r.key, c)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `UPDATE archon_settings SET encrypted_value = $2, updated_at = now() WHERE key = $1`, r.key, text); err != nil {
				return err
			}
			rotated++
		}
		return errors.Join(bad...)
	})
	if err != nil {
		return 0, err
	}
	return rotated, nil
}

// MasterSalt returns the salt that this database's passphrase is derived with, and makes it when
// it is first asked for. It is no secret; without it, what the passphrase sealed does not open.
func (v *Vault) MasterSalt(ctx context.Context) (string, error) {
	_, err := v.pool.Exec(ctx, `
		INSERT INTO archon_settings (key, value, is_encrypted, category, description)
		VALUES ($1, $2, false, '`+secretCategory+`', 'Salt of SLUICE_MASTER_PASSPHRASE. What was encrypted is lost without it.')
		ON CONFLICT (key) DO NOTHING`, saltKey, seal.NewSalt())
	var salt string
	if err == nil {
		err = v.pool.QueryRow(ctx, `SELECT coalesce(value, '') FROM archon_settings WHERE key = $1`, saltKey).Scan(&salt)
	}
	if err != nil {
		return "", fmt.Errorf("read the salt of the master passphrase: %w", err)
	}
	return salt, nil
}
