package store

import (
	"context"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sluicehq/sluice/migrations"
)

// Extensions returns the state of each Postgres extension that Sluice can use, and what to do about missing ones.
func (s *Store) Extensions(ctx context.Context) ([]migrations.Extension, error) {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	return migrations.Extensions(ctx, db)
}
