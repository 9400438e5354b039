package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// SweepLease is how long a sweep belongs to its process without a renewal.
const SweepLease = 2 * time.Minute

// dueSQL is true for a source whose permissions are due. After a failed reading, the next waits for $2.
// A full run that is listing reads them itself, and a source without pages has nothing to hide.
const dueSQL = `permissions <> 'open' AND EXISTS (SELECT FROM confluence_tree t WHERE t.source_id = confluence_spaces.source_id)
	AND NOT EXISTS (SELECT FROM confluence_sync_runs r WHERE r.source_id = confluence_spaces.source_id AND r.state = 'listing' AND r.mode = 'full')
	AND (sweep_until IS NULL OR sweep_until < now())
	AND (access_read_at IS NULL OR access_problem <> '' OR access_read_at < now() - $1::interval)
	AND (sweep_tried_at IS NULL OR sweep_tried_at < now() - least($1::interval, $2::interval))`

// DueSweeps returns the sources whose permissions were last read longer ago than every, and are read by
// nobody. A source whose last reading failed less than retry ago is not due.
func (s *Store) DueSweeps(ctx context.Context, every, retry time.Duration) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT source_id FROM confluence_spaces WHERE `+dueSQL+` ORDER BY access_read_at NULLS FIRST, source_id`, every, retry)
	due, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for permissions to read: %w", err)
	}
	return due, nil
}

// ClaimSweep takes the lease of a source that DueSweeps returns. It returns ErrNotCurrent if the source is
// no longer due.
func (s *Store) ClaimSweep(ctx context.Context, sourceID string, every, retry time.Duration) (token string, err error) {
	token = rand.Text()
	tag, err := s.pool.Exec(ctx, `UPDATE confluence_spaces SET sweep_token = $4, sweep_until = now() + $5::interval, sweep_tried_at = now()
		WHERE source_id = $3 AND `+dueSQL, every, retry, sourceID, token, SweepLease)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotCurrent
	}
	if err != nil {
		return "", fmt.Errorf("claim the permissions of %s: %w", sourceID, err)
	}
	return token, nil
}

// RenewSweep renews the lease. It returns ErrNotCurrent if another process has it.
func (s *Store) RenewSweep(ctx context.Context, sourceID, token string) error {
	tag, err := s.pool.Exec(ctx, `UPDATE confluence_spaces SET sweep_until = now() + $3::interval WHERE source_id = $1 AND sweep_token = $2`, sourceID, token, SweepLease)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotCurrent
	}
	if err != nil {
		return fmt.Errorf("keep the permissions of %s: %w", sourceID, err)
	}
	return nil
}

// EndSweep gives the lease back, unless another process has it.
func (s *Store) EndSweep(ctx context.Context, sourceID, token string) error {
	_, err := s.pool.Exec(ctx, `UPDATE confluence_spaces SET sweep_token = '', sweep_until = NULL WHERE source_id = $1 AND sweep_token = $2`, sourceID, token)
	if err != nil {
		return fmt.Errorf("give back the permissions of %s: %w", sourceID, err)
	}
	return nil
}

// UnknownAccess returns those of the nodes and of their ancestors whose own view restriction nobody has
// read, and the database's clock for SaveAccess.
func (s *Store) UnknownAccess(ctx context.Context, sourceID string, ids []string) ([]AccessNode, time.Time, error) {
	var now time.Time
	if err := s.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return nil, now, fmt.Errorf("read the clock: %w", err)
	}
	rows, _ := s.pool.Query(ctx, `
		WITH RECURSIVE up AS (
			SELECT node_id, kind, parent_id, access_known FROM confluence_tree WHERE source_id = $1 AND node_id = ANY ($2)
			UNION
			SELECT t.node_id, t.kind, t.parent_id, t.access_known FROM up JOIN confluence_tree t ON t.source_id = $1 AND t.node_id = up.parent_id
		) SELECT node_id, kind, coalesce(parent_id, ''), access_known FROM up WHERE NOT access_known AND kind NOT IN `+partKinds+` ORDER BY 1`, sourceID, ids)
	nodes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AccessNode])
	if err != nil {
		return nil, now, fmt.Errorf("look for unknown permissions of %s: %w", sourceID, err)
	}
	return nodes, now, nil
}

// UnknownGroups returns the ids of the groups that the layers of a source name and whose members are not
// known.
func (s *Store) UnknownGroups(ctx context.Context, sourceID string) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT DISTINCT p.principal_id FROM confluence_layers l JOIN confluence_layer_principals p USING (layer_id)
		WHERE l.source_id = $1 AND p.kind = 'group' AND NOT EXISTS (
			SELECT FROM confluence_groups g WHERE g.source_id = $1 AND g.group_id = p.principal_id AND g.unknown = '') ORDER BY 1`, sourceID)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for unknown groups of %s: %w", sourceID, err)
	}
	return ids, nil
}

// PermissionsOf returns the setting of a source. A source that no longer exists, or whose system has no
// permissions, has OpenToAll.
func (s *Store) PermissionsOf(ctx context.Context, sourceID string) (Permissions, error) {
	a, err := s.AccessState(ctx, sourceID)
	if errors.Is(err, ErrNotFound) {
		return OpenToAll, nil
	}
	return a.Permissions, err
}
