package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// APIKey is a key of the HTTP API with the hash of its secret.
type APIKey struct {
	apikey.Key
	Hash string `json:"-"`
}

const apiKeyColumns = `key_id, name, role, sources, created_at, revoked_at, hash, account, act_as` //nolint:gosec // names of columns

func scanAPIKey(row pgx.CollectableRow) (APIKey, error) {
	var k APIKey
	var revoked *time.Time
	err := row.Scan(&k.ID, &k.Name, &k.Role, &k.Sources, &k.CreatedAt, &revoked, &k.Hash, &k.Account, &k.ActAs)
	k.CreatedAt = k.CreatedAt.UTC()
	if revoked != nil {
		k.RevokedAt = revoked.UTC()
	}
	return k, err
}

// AddAPIKey stores a new key.
func (v *Vault) AddAPIKey(ctx context.Context, k APIKey) error {
	sources := k.Sources
	if sources == nil {
		sources = []string{}
	}
	_, err := v.pool.Exec(ctx, `INSERT INTO confluence_api_keys (key_id, name, role, sources, hash, account, act_as) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		k.ID, pg.CleanText(k.Name), k.Role, sources, k.Hash, k.Account, k.ActAs)
	if err != nil {
		return fmt.Errorf("add API key %s: %w", k.ID, err)
	}
	return nil
}

// PutAPIKey stores a new key, and returns when it was made. If there is one with its id that is the same but for its hash,
// was made less than again ago and is not revoked, it gets the new hash; any other is ErrKeyThere.
func (v *Vault) PutAPIKey(ctx context.Context, k APIKey, again time.Duration) (time.Time, error) {
	sources := k.Sources
	if sources == nil {
		sources = []string{}
	}
	var made time.Time
	err := v.pool.QueryRow(ctx, `INSERT INTO confluence_api_keys AS k (key_id, name, role, sources, hash, account, act_as) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (key_id) DO UPDATE SET hash = excluded.hash
		WHERE k.revoked_at IS NULL AND k.created_at > now() - $8::interval
		AND (k.name, k.role, k.sources, k.account, k.act_as) = (excluded.name, excluded.role, excluded.sources, excluded.account, excluded.act_as)
		RETURNING created_at`,
		k.ID, pg.CleanText(k.Name), k.Role, sources, k.Hash, k.Account, k.ActAs, again).Scan(&made)
	if errors.Is(err, pgx.ErrNoRows) {
		return made, ErrKeyThere
	}
	if err != nil {
		return made, fmt.Errorf("put API key %s: %w", k.ID, err)
	}
	return made.UTC(), nil
}

// ErrKeyThere says that there is another API key with the id, or the same one for too long.
var ErrKeyThere = errors.New("there is an API key with this id")

// APIKey returns a key, revoked or not, or ErrNotFound.
func (v *Vault) APIKey(ctx context.Context, id string) (APIKey, error) {
	rows, _ := v.pool.Query(ctx, `SELECT `+apiKeyColumns+` FROM confluence_api_keys WHERE key_id = $1`, id)
	k, err := pgx.CollectExactlyOneRow(rows, scanAPIKey)
	if err != nil {
		return k, pg.NotFound(err, "read API key "+id)
	}
	return k, nil
}

// APIKeys lists every key, the revoked ones too, the oldest first.
func (v *Vault) APIKeys(ctx context.Context) ([]APIKey, error) {
	rows, _ := v.pool.Query(ctx, `SELECT `+apiKeyColumns+` FROM confluence_api_keys ORDER BY created_at, key_id`)
	list, err := pgx.CollectRows(rows, scanAPIKey)
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return list, nil
}

// HasAPIKeys reports whether there is a key that is not revoked.
func (v *Vault) HasAPIKeys(ctx context.Context) (bool, error) {
	var has bool
	err := v.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM confluence_api_keys WHERE revoked_at IS NULL)`).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("look for API keys: %w", err)
	}
	return has, nil
}

// RevokeAPIKey revokes a key. Revoking it again changes nothing. The error is ErrNotFound if there is no such key.
func (v *Vault) RevokeAPIKey(ctx context.Context, id string) (APIKey, error) {
	rows, _ := v.pool.Query(ctx, `UPDATE confluence_api_keys SET revoked_at = coalesce(revoked_at, now())
		WHERE key_id = $1 RETURNING `+apiKeyColumns, id)
	k, err := pgx.CollectExactlyOneRow(rows, scanAPIKey)
	if err != nil {
		return k, pg.NotFound(err, "revoke API key "+id)
	}
	return k, nil
}

// RenewAPIKey replaces the hash that a key has, unless another one has replaced it already.
func (v *Vault) RenewAPIKey(ctx context.Context, id, was, hash string) error {
	_, err := v.pool.Exec(ctx, `UPDATE confluence_api_keys SET hash = $3 WHERE key_id = $1 AND hash = $2`, id, was, hash)
	if err != nil {
		return fmt.Errorf("renew the hash of API key %s: %w", id, err)
	}
	return nil
}
