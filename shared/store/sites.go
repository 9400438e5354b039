package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// siteOfRun is the site of the source of run $1.
const siteOfRun = `(SELECT of.site_id FROM confluence_sync_runs r JOIN confluence_spaces of USING (source_id) WHERE r.run_id = $1)`

// sameSite are the sources of the site of source $2.
const sameSite = `(SELECT o.source_id FROM confluence_spaces me JOIN confluence_spaces o USING (site_id) WHERE me.source_id = $2)`

// lockSites makes those take turns who say which site a source is of.
func lockSites(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('confluence sites', 0))`)
	return err
}

// siteID is the number of a site, 0 for one that is not there yet.
type siteID int

// siteFor finds the site of a source that is to be: the one that has other sources at its address.
// A source of another system is a site of its own. The error is ErrSpaceTaken where the space is a
// source already, as far as that can be told from its key: each run looks at its id.
func siteFor(ctx context.Context, tx pgx.Tx, src Source) (siteID, error) {
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
		return 0, fmt.Errorf("%s is the source %s already: %w", what, other, ErrSpaceTaken)
	case !errors.Is(err, pgx.ErrNoRows):
		return 0, err
	}
	return at, nil
}

// enter writes down that the source is of the site, which is made where it is not there yet.
func (at siteID) enter(ctx context.Context, tx pgx.Tx, src Source) error {
	if at == 0 {
		if err := tx.QueryRow(ctx, `INSERT INTO confluence_sites DEFAULT VALUES RETURNING site_id`).Scan(&at); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO confluence_spaces (source_id, site_id, keys)
		VALUES ($1, $2, array_remove(ARRAY[$3], '')) ON CONFLICT (source_id) DO NOTHING`, src.ID, at, strings.ToLower(src.SpaceKey))
	return err
}

// dropSites forgets the sites of which there is no source any more: who adds one finds them anew.
func dropSites(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM confluence_sites t WHERE NOT EXISTS (SELECT FROM confluence_spaces n WHERE n.site_id = t.site_id)`)
	return err
}
