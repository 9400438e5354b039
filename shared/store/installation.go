package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// Installation returns the id of the installation that uses the database. If there is none, it creates one or, if
// look is true, returns "". It returns "" before the database is migrated.
func (s *Store) Installation(ctx context.Context, look bool) (string, error) {
	const key = "sluice_installation"
	read := func() (id string, err error) {
		err = s.pool.QueryRow(ctx, `SELECT coalesce(value, '') FROM archon_settings WHERE key = $1`, key).Scan(&id)
		return id, err
	}
	id, err := read()
	if errors.Is(err, pgx.ErrNoRows) && look {
		return "", nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		_, err = s.pool.Exec(ctx, `
			INSERT INTO archon_settings (key, value, is_encrypted, category, description)
			VALUES ($1, $2, false, 'confluence', 'Names this installation of Sluice on its NATS account.')
			ON CONFLICT (key) DO NOTHING`, key, rand.Text())
		if err == nil {
			id, err = read()
		}
	}
	if pg.State(err) == "42P01" { // no such table
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the id of the installation: %w", err)
	}
	return id, nil
}
