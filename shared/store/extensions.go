package store

import (
	"context"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sluicehq/sluice/migrations"
)

// Extensions tells what there is of the extensions that Sluice can use, and what to do about
// those that are missing.
func (s *Store) Extensions(ctx context.Context) ([]migrations.Extension, error) {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	return migrations.Extensions(ctx, db)
}
