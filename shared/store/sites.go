package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// siteOfRun is the SQL expression for the site of the source of run $1.
const siteOfRun = `(SELECT of.site_id FROM confluence_sync_runs r JOIN confluence_spaces of USING (source_id) WHERE r.run_id = $1)`

// sameSite selects the sources of the site of source $2.
const sameSite = `(SELECT o.source_id FROM confluence_spaces me JOIN confluence_spaces o USING (site_id) WHERE me.source_id = $2)`

// lockSites serializes the transactions that assign sources to sites.
func lockSites(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('confluence sites', 0))`)
	return err
}

// siteID is the key of a site, 0 for a site that does not exist yet.
type siteID int

// findSite finds the site for a new source or a new address: the site that has other sources at the same address. A
// source of a system other than Confluence is a site of its own. The error is ErrSpaceTaken if another source already
// has the space. Only its key is compared here; each run compares its id.
func findSite(ctx context.Context, tx pgx.Tx, src Source) (siteID, error) {
	var at siteID
	var other string
	var err error
	what := src.String()
	if src.System == Confluence {
		what = "space " + src.SpaceKey
		err = tx.QueryRow(ctx, `SELECT n.site_id FROM confluence_spaces n JOIN archon_sources s USING (source_id)
			WHERE lower(s.metadata->>'confluence_base_url') = lower($1) ORDER BY n.site_id LIMIT 1`, src.BaseURL).Scan(&at)
		if err == nil {
			err = tx.QueryRow(ctx, `SELECT source_id FROM confluence_spaces
				WHERE site_id = $1 AND source_id <> $2 AND $3 = ANY (keys) ORDER BY source_id LIMIT 1`,
				at, src.ID, strings.ToLower(src.SpaceKey)).Scan(&other)
		}
	} else {
		err = tx.QueryRow(ctx, `SELECT source_id FROM archon_sources WHERE source_id <> $1 AND `+systemOf+` = $2
			AND metadata->>'location' = $3 ORDER BY source_id LIMIT 1`, src.ID, src.System, src.Location).Scan(&other)
	}
	switch {
	case err == nil:
		return 0, fmt.Errorf("%s is already the source %s: %w", what, other, ErrSpaceTaken)
	case !errors.Is(err, pgx.ErrNoRows):
		return 0, err
	}
	return at, nil
}

// recordSource assigns the source to the site, and creates the site if it does not exist.
func (at siteID) recordSource(ctx context.Context, tx pgx.Tx, src Source) error {
	if at == 0 {
		if err := tx.QueryRow(ctx, `INSERT INTO confluence_sites DEFAULT VALUES RETURNING site_id`).Scan(&at); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO confluence_spaces (source_id, site_id, keys, permissions, permissions_chosen)
		VALUES ($1, $2, array_remove(ARRAY[$3], ''), coalesce(nullif($4, ''), $5), $4 <> '') ON CONFLICT (source_id) DO NOTHING`,
		src.ID, at, strings.ToLower(src.SpaceKey), src.Permissions, OpenToAll)
	return err
}

// dropSites deletes the sites that have no source left.
func dropSites(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM confluence_sites t WHERE NOT EXISTS (SELECT FROM confluence_spaces n WHERE n.site_id = t.site_id)`)
	return err
}
