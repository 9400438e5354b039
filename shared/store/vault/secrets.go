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

// Sluice's rows in archon_settings. Each secret is one row in Archon's own format: is_encrypted is true and
// encrypted_value contains the sealed credential. The column value, which Archon reads only in unencrypted rows,
// contains a bcrypt hash that identifies the token. In a row of its own, Archon would show the hash as a setting.
const (
	secretPrefix   = "confluence_token:"
	secretCategory = "confluence"
	saltKey        = "sluice_master_salt"
)

// Credential is what requests to Confluence are authenticated with: a token, its owner, and the only site that it may
// be sent to. It is sealed as a whole, so a changed source address in the database cannot redirect the token.
type Credential struct {
	Site   string // the address of the site with /wiki
	Email  string
	Token  secret.String
	Scoped bool // a scoped token, which works only at the gateway
	// Expires says when the token stops working, zero if unknown. It is stored beside the credential, not in it: Secrets
	// returns it without a key, and Secret does not.
	Expires time.Time
}

// Secret describes a stored credential without its content.
type Secret struct {
	Name    string    `json:"name"`   // a source id, or the host of a site
	KeyID   string    `json:"key_id"` // of the master key that sealed it; "" if the row is unreadable
	Created time.Time `json:"created_at"`
	Updated time.Time `json:"updated_at"`
	Expires time.Time `json:"expires_at,omitzero"` // zero if unknown

	Vanished bool `json:"vanished,omitempty"` // another program deleted it; see ErrVanished
}

// ErrVanished says that a stored token is missing although Sluice did not remove it.
var ErrVanished = errors.New("it was stored, but somebody else deleted or changed its row in archon_settings; " +
	"set it again (sluice secret set), or remove it (sluice secret remove)")

// SealedError names a secret that could not be opened. It wraps seal.ErrForged, seal.ErrMalformed, ErrVanished or a
// *seal.KeyError.
type SealedError struct {
	Name  string
	cause error
}

func (e *SealedError) Error() string {
	return "the secret of " + e.Name + " cannot be opened: " + e.cause.Error()
}

// Unwrap returns the cause.
func (e *SealedError) Unwrap() error { return e.cause }

// sealed is the JSON of a credential inside a sealed text.
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
	if json.Unmarshal([]byte(plain.Reveal()), &s) != nil { // do not wrap the error: it could quote the token
		return Credential{}, &SealedError{Name: name, cause: seal.ErrMalformed}
	}
	return Credential{Site: s.Site, Email: s.Email, Token: secret.New(s.Token), Scoped: s.Scoped}, nil
}

// SecretNames returns the names under which the credential of a source may be stored: first the source's id, which
// contains no dot, then the host of its site's address.
func SecretNames(site, sourceID string) []string {
	u, err := url.Parse(site)
	if err != nil || !strings.ContainsAny(u.Host, ".:") {
		return []string{sourceID} // a host without a dot or port would look like a source id
	}
	return []string{sourceID, strings.ToLower(u.Host)}
}

// secretRow is a stored row.
type secretRow struct{ key, hash, text string }

const ourSecrets = ` starts_with(key, '` + secretPrefix + `') AND category = '` + secretCategory + `' AND is_encrypted`

// secretRows reads all secrets and locks their rows until tx ends.
func secretRows(ctx context.Context, tx pgx.Tx) ([]secretRow, error) {
	rows, _ := tx.Query(ctx, `SELECT key, coalesce(value, ''), coalesce(encrypted_value, '') FROM archon_settings
		WHERE`+ourSecrets+` ORDER BY key FOR UPDATE`)
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (s secretRow, err error) {
		err = r.Scan(&s.key, &s.hash, &s.text)
		return s, err
	})
}

// SetSecret seals a credential under the name of a source or of a site's host, replaces the stored one, and reports
// whether that one had the same token. It writes nothing if any secret is sealed with a key that is not in the ring,
// or if the secret to replace cannot be opened: a wrong master key would otherwise seal a secret that only that key
// opens. DeleteSecret needs no key. The error is seal.ErrNoKey or wraps a *SealedError.
func (v *Vault) SetSecret(ctx context.Context, ring *seal.Ring, name string, c Credential) (same bool, err error) {
	key := secretPrefix + name
	text, err := sealCredential(ring, key, c)
	if err != nil {
		return false, fmt.Errorf("set the secret of %s: %w", name, err)
	}
	var expires *time.Time
	if !c.Expires.IsZero() {
		expires = &c.Expires
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
			err = fmt.Errorf("the row %s in archon_settings belongs to another program", key)
		}
		if err == nil {
			// The same token, stored again without saying when it expires, still expires then.
			_, err = tx.Exec(ctx, `INSERT INTO confluence_tokens AS t (name, expires_at) VALUES ($1, $2) ON CONFLICT (name)
				DO UPDATE SET expires_at = CASE WHEN $3 THEN coalesce(excluded.expires_at, t.expires_at) ELSE excluded.expires_at END`,
				name, expires, same)
		}
		if err == nil {
			// What failed with the token before may go well now, so the sources that it is for are due at once.
			_, err = tx.Exec(ctx, `UPDATE confluence_schedules h SET next_at = now(), mended_at = now(), look_failures = 0, look_token = '', look_until = NULL
				FROM archon_sources s WHERE h.source_id = s.source_id AND h.is_on
				AND (s.source_id = $1 OR split_part(lower(s.metadata->>'confluence_base_url'), '/', 3) = $1)`, name)
		}
		return err
	})
	return same, err
}

// CanSetSecret checks whether the keys of the ring suffice for SetSecret, and returns the same errors.
func (v *Vault) CanSetSecret(ctx context.Context, ring *seal.Ring, name string) error {
	if ring.Current() == "" {
		return seal.ErrNoKey
	}
	return pg.InTx(ctx, v.pool, "check the secrets beside that of "+name, func(tx pgx.Tx) error {
		_, err := openableRows(ctx, tx, ring, secretPrefix+name)
		return err
	})
}

// openableRows reads all secrets, and returns an error if one of them prevents writing the secret with the key.
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

// openable returns an error if the row cannot be opened. Unless strict is true, only a missing key is an error.
func openable(ring *seal.Ring, r secretRow, strict bool) error {
	_, err := openCredential(ring, r.key, r.text)
	var missing *seal.KeyError
	if strict || errors.As(err, &missing) {
		return err
	}
	return nil // a damaged row says nothing about the key
}

// SameToken reports whether the token is the one stored under the name. It needs no key. The error is ErrNotFound if
// there is none.
func (v *Vault) SameToken(ctx context.Context, name string, token secret.String) (bool, error) {
	var hash string
	err := v.pool.QueryRow(ctx, `SELECT coalesce(value, '') FROM archon_settings WHERE key = $1 AND`+ourSecrets, secretPrefix+name).Scan(&hash)
	if err != nil {
		return false, pg.NotFound(err, "look up the secret of "+name)
	}
	return seal.Same(hash, token), nil
}

// Secret opens the first credential that is stored under one of the names. The error is ErrNotFound if there is none.
// If it wraps a *SealedError, later names are not tried.
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

// Secrets describes the stored credentials, ordered by name. It opens none.
func (v *Vault) Secrets(ctx context.Context) ([]Secret, error) {
	rows, _ := pg.Pool{Pool: v.pool}.Query(ctx, `SELECT key, coalesce(encrypted_value, ''), coalesce(created_at, updated_at, now()), coalesce(updated_at, created_at, now()), false,
			(SELECT expires_at FROM confluence_tokens WHERE key = '`+secretPrefix+`' || name)
		FROM archon_settings WHERE`+ourSecrets+`
		UNION ALL SELECT name, '', stored_at, stored_at, true, expires_at FROM confluence_tokens
		WHERE NOT EXISTS (SELECT FROM archon_settings WHERE key = '`+secretPrefix+`' || name AND`+ourSecrets+`) ORDER BY 1`)
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Secret, error) {
		var info Secret
		var text string
		var expires *time.Time
		err := r.Scan(&info.Name, &text, &info.Created, &info.Updated, &info.Vanished, &expires)
		if expires != nil {
			info.Expires = expires.UTC()
		}
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

// DeleteSecret deletes a credential. The error is ErrNotFound if there is none.
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

// RotateSecrets seals every credential with the current key and returns how many were sealed with another one. It is
// all or nothing: if one cannot be opened, none is changed. The error is seal.ErrNoKey or wraps a *SealedError for
// each credential that cannot be opened.
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

// MasterSalt returns the salt from which this database's passphrase is derived, and creates it at the first call. It
// is not secret; without it, nothing that the passphrase sealed can be opened.
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
