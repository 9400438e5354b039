// Package vault keeps what opens doors: the sealed credentials of sources and sites, and the
// keys of the HTTP API, of which only hashes are kept. No credential leaves it but through
// Secret, which needs the ring of keys.
package vault

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Vault keeps credentials and API keys in the knowledge base. It is safe for concurrent use.
type Vault struct{ pool *pgxpool.Pool }

// New returns the vault of a database.
func New(pool *pgxpool.Pool) *Vault { return &Vault{pool: pool} }

// Forget deletes the credential that is stored under a name, if there is one, in a transaction.
func Forget(ctx context.Context, tx pgx.Tx, name string) error {
	_, err := tx.Exec(ctx, `DELETE FROM archon_settings WHERE key = $1 AND`+ourSecrets, secretPrefix+name)
	return err
}
