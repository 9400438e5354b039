// Package vault stores the sealed credentials of sources and sites, and hashes of the HTTP API's keys. Only Secret
// returns a credential, and it needs the key ring.
package vault

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// Vault stores credentials and API keys in the database. It is safe for concurrent use.
type Vault struct{ pool *pgxpool.Pool }

// New returns the vault of a database.
func New(pool *pgxpool.Pool) *Vault { return &Vault{pool: pool} }

// Forget deletes the credential stored under a name, if there is one, in a transaction.
func Forget(ctx context.Context, tx pgx.Tx, name string) error {
	_, err := forget(ctx, tx, name)
	return err
}

// forget does the same and returns the number of deleted rows.
func forget(ctx context.Context, tx pgx.Tx, name string) (int64, error) {
	stored, err := tx.Exec(ctx, `DELETE FROM archon_settings WHERE key = $1 AND`+ourSecrets, secretPrefix+name)
	if err != nil {
		return 0, err
	}
	known, err := tx.Exec(ctx, `DELETE FROM confluence_tokens WHERE name = $1`, name)
	return stored.RowsAffected() + known.RowsAffected(), err
}

// Sweep deletes the tokens of sources that no longer exist, since Archon deletes a source without its token. It
// returns their names. It keeps tokens younger than age, whose source may be added in a moment.
func (v *Vault) Sweep(ctx context.Context, age time.Duration) ([]string, error) {
	var swept []string
	err := pg.InTx(ctx, v.pool, "delete the tokens of removed sources", func(tx pgx.Tx) error {
		// A name with a dot or a colon belongs to a site.
		rows, _ := tx.Query(ctx, `SELECT name FROM confluence_tokens t
			WHERE name !~ '[.:]' AND stored_at < now() - $1::interval AND NOT EXISTS (SELECT FROM archon_sources s WHERE s.source_id = t.name)
			ORDER BY name FOR UPDATE`, age)
		var err error
		if swept, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		for _, name := range swept {
			if err := Forget(ctx, tx, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return swept, nil
}
