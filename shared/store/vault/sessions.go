package vault

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// AddSession stores a session of the console that reads for a key and ends after lasts. hash is the SHA-256 digest of
// its secret. Sessions that have ended are deleted.
func (v *Vault) AddSession(ctx context.Context, hash []byte, keyID string, lasts time.Duration) error {
	_, err := v.pool.Exec(ctx, `WITH ended AS (DELETE FROM confluence_console_sessions WHERE expires_at < now())
		INSERT INTO confluence_console_sessions (session_hash, key_id, expires_at) VALUES ($1, $2, now() + $3::interval)`, hash, keyID, lasts)
	if err != nil {
		return fmt.Errorf("add a session of key %s: %w", keyID, err)
	}
	return nil
}

// Session returns the key that a session reads for, as it is now. The error is ErrNotFound if there is no such session,
// if it has ended, or if its key was revoked. Of a key that is not in the database, only the id is known.
func (v *Vault) Session(ctx context.Context, hash []byte) (apikey.Key, error) {
	rows, _ := v.pool.Query(ctx, `SELECT s.key_id, coalesce(k.name, ''), coalesce(k.role, ''), coalesce(k.sources, '{}'),
			coalesce(k.account, ''), coalesce(k.act_as, false), coalesce(k.created_at, s.created_at)
		FROM confluence_console_sessions s LEFT JOIN confluence_api_keys k USING (key_id)
		WHERE s.session_hash = $1 AND s.expires_at > now() AND k.revoked_at IS NULL`, hash)
	k, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (k apikey.Key, err error) {
		err = row.Scan(&k.ID, &k.Name, &k.Role, &k.Sources, &k.Account, &k.ActAs, &k.CreatedAt)
		k.CreatedAt = k.CreatedAt.UTC()
		return k, err
	})
	if err != nil {
		return apikey.Key{}, pg.NotFound(err, "read a session of the console")
	}
	return k, nil
}

// EndSession deletes a session, if there is one.
func (v *Vault) EndSession(ctx context.Context, hash []byte) error {
	if _, err := v.pool.Exec(ctx, `DELETE FROM confluence_console_sessions WHERE session_hash = $1`, hash); err != nil {
		return fmt.Errorf("end a session of the console: %w", err)
	}
	return nil
}
