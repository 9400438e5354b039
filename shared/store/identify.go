package store

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// Identity is how a source's system identifies the source. Unknown fields are empty.
type Identity struct {
	Site string   // Atlassian's id of the site
	ID   string   // Confluence's id of the space
	Key  string   // the current key of the space
	Keys []string // all keys that the space has now, including its alias
}

// Identify compares a source's stored identity with its current one, stores what was unknown, and returns the updated
// source. If the space has a different key now, the addresses of its pages must change: see Readdress.
//
// The error carries failure.OtherSite if a different site answers at the source's address, and failure.SpaceTaken if
// another source is the same space. The caller must then do nothing for the source.
func (s *Store) Identify(ctx context.Context, sourceID string, is Identity) (Source, error) {
	err := s.inTx(ctx, "compare source "+sourceID+" with its site", func(tx pgx.Tx) error {
		if err := lockSites(ctx, tx); err != nil {
			return err
		}
		was, err := readIdentity(ctx, tx, sourceID)
		if err != nil {
			return err
		}
		if was.site, err = was.resolveSite(ctx, tx, is); err != nil {
			return err
		}
		if err := was.recordSpace(ctx, tx, is); err != nil {
			return err
		}
		return was.recordKeys(ctx, tx, is)
	})
	if err != nil {
		return Source{}, err
	}
	return s.Source(ctx, sourceID)
}

// identity is the stored identity of a source.
type identity struct {
	Source
	site    siteID
	cloudID string
	keys    []string // the current ones
}

func readIdentity(ctx context.Context, tx pgx.Tx, sourceID string) (identity, error) {
	rows, _ := tx.Query(ctx, `SELECT `+sourceColumns+`, 0, 0`+sourceFrom+` WHERE s.source_id = $1 AND `+ourSource, sourceID)
	src, err := pgx.CollectExactlyOneRow(rows, scanSource)
	was := identity{Source: src}
	if err == nil {
		err = tx.QueryRow(ctx, `SELECT n.site_id, coalesce(t.cloud_id, ''), n.keys FROM confluence_spaces n JOIN confluence_sites t USING (site_id)
			WHERE n.source_id = $1`, sourceID).Scan(&was.site, &was.cloudID, &was.keys)
	}
	if err != nil {
		return was, pg.NotFound(err, "read source "+sourceID)
	}
	return was, nil
}

// resolveSite returns the site of the source. If two stored sites turn out to be the same site, it merges them.
func (was identity) resolveSite(ctx context.Context, tx pgx.Tx, is Identity) (siteID, error) {
	switch is.Site {
	case "", was.cloudID:
		return was.site, nil
	}
	if was.cloudID != "" {
		return 0, failure.New(failure.OtherSite, "the site at %s (cloud id %s) is not the site of source %s (cloud id %s); "+
			"if the source's site has a new address, run: sluice source set %s --base-url URL; otherwise add the space there as a new source",
			was.BaseURL, is.Site, was.ID, was.cloudID, was.ID)
	}
	var same siteID
	err := tx.QueryRow(ctx, `SELECT site_id FROM confluence_sites WHERE cloud_id = $1`, is.Site).Scan(&same)
	if errors.Is(err, pgx.ErrNoRows) {
		_, err = tx.Exec(ctx, `UPDATE confluence_sites SET cloud_id = $2 WHERE site_id = $1`, was.site, is.Site)
		return was.site, err
	}
	if err == nil {
		err = was.site.mergeInto(ctx, tx, same)
	}
	return same, err
}

// mergeInto merges two stored sites that are the same site. It waits until running writes of pages end, because they
// have already looked up their site. If both sites have a page, the page of the site to remains. The other source
// finds the page missing and fetches it.
func (at siteID) mergeInto(ctx context.Context, tx pgx.Tx, to siteID) error {
	var taken, by, space string
	err := tx.QueryRow(ctx, `SELECT a.source_id, b.source_id, a.space_id FROM confluence_spaces a JOIN confluence_spaces b USING (space_id)
		WHERE a.site_id = $1 AND b.site_id = $2 LIMIT 1`, at, to).Scan(&taken, &by, &space)
	if err == nil {
		return spaceTaken(taken, by, space)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	b := &pgx.Batch{}
	b.Queue(`SELECT FROM archon_sources WHERE source_id IN (SELECT source_id FROM confluence_spaces WHERE site_id IN ($1, $2))
		ORDER BY source_id FOR UPDATE`, at, to)
	const both = `FROM confluence_pages p JOIN confluence_pages o USING (page_id) WHERE p.site_id = $1 AND o.site_id = $2`
	b.Queue(`DELETE FROM archon_crawled_pages c WHERE (c.source_id, `+pg.ChunkPage("c")+`) IN (SELECT p.source_id, p.page_id `+both+`)`, at, to)
	b.Queue(`DELETE FROM confluence_pages WHERE site_id = $1 AND page_id IN (SELECT page_id `+both+`)`, at, to)
	b.Queue(`UPDATE confluence_pages SET site_id = $2 WHERE site_id = $1`, at, to)
	b.Queue(`UPDATE confluence_spaces SET site_id = $2 WHERE site_id = $1`, at, to)
	b.Queue(`DELETE FROM confluence_sites WHERE site_id = $1`, at)
	return tx.SendBatch(ctx, b).Close()
}

// recordSpace stores the id of the space. Another source of the site must not have the same id.
func (was identity) recordSpace(ctx context.Context, tx pgx.Tx, is Identity) error {
	switch {
	case is.ID == "":
		return nil
	case was.SpaceID != "" && was.SpaceID != is.ID:
		return failure.New(failure.SpaceNotFound, "space %s (id %s) is not the space of source %s (id %s); add it as a new source",
			is.Key, is.ID, was.ID, was.SpaceID)
	}
	var other string
	err := tx.QueryRow(ctx, `SELECT source_id FROM confluence_spaces WHERE site_id = $1 AND space_id = $2 AND source_id <> $3`,
		was.site, is.ID, was.ID).Scan(&other)
	if err == nil {
		return spaceTaken(was.ID, other, is.ID)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE confluence_spaces SET space_id = $2 WHERE source_id = $1 AND space_id IS NULL`, was.ID, is.ID)
	return err
}

func spaceTaken(sourceID, by, spaceID string) error {
	return failure.New(failure.SpaceTaken, "source %s is the same space as source %s (space id %s); a page belongs to one source, so keep only one of them "+
		"(run: sluice source remove %s)", sourceID, by, spaceID, sourceID)
}

// recordKeys stores the current keys of the space.
func (was identity) recordKeys(ctx context.Context, tx pgx.Tx, is Identity) error {
	if is.Key == "" {
		return nil
	}
	var keys, old []string
	for _, key := range append([]string{is.Key}, is.Keys...) {
		if key = strings.ToLower(key); key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, key := range was.Keys {
		if !slices.Contains(keys, key) && !slices.Contains(old, key) {
			old = append(old, key)
		}
	}
	b := &pgx.Batch{}
	if !slices.Equal(keys, was.keys) {
		// A former key that another space has by now is no longer this one's: spaces may swap their keys.
		b.Queue(`UPDATE confluence_spaces SET keys = $2, old_keys = ARRAY(SELECT k FROM unnest($3::text[]) WITH ORDINALITY f(k, i)
				WHERE NOT EXISTS (SELECT FROM confluence_spaces o WHERE o.site_id = $4 AND o.source_id <> $1 AND k = ANY (o.keys)) ORDER BY i)
			WHERE source_id = $1`, was.ID, keys, orEmpty(old), was.site)
	}
	// A current key of this space is no longer a former key of another space.
	b.Queue(`UPDATE confluence_spaces SET old_keys = ARRAY(SELECT k FROM unnest(old_keys) k WHERE k <> ALL ($3))
		WHERE site_id = $1 AND source_id <> $2 AND old_keys && $3`, was.site, was.ID, keys)
	if is.Key != was.SpaceKey {
		now := was.Source
		now.SpaceKey = is.Key
		was.queueMove(b, now)
	}
	return tx.SendBatch(ctx, b).Close()
}

// Relocate gives the source's site a new address. The next run first verifies that the same site answers there (see
// Identify), and then updates the addresses of the stored pages (see Readdress). The error is ErrNotFound if there is
// no such source, and ErrSpaceTaken if another source has the space at the new address. It carries failure.OtherSite
// if the address is known to belong to another site.
func (s *Store) Relocate(ctx context.Context, sourceID, baseURL string) error {
	return s.inTx(ctx, "change the address of source "+sourceID, func(tx pgx.Tx) error {
		if err := lockSites(ctx, tx); err != nil {
			return err
		}
		was, err := readIdentity(ctx, tx, sourceID)
		if err != nil || was.BaseURL == baseURL {
			return err
		}
		now := was.Source
		now.BaseURL = baseURL
		if was.System == Confluence {
			if err := was.checkNewAddress(ctx, tx, now); err != nil {
				return err
			}
		}
		b := &pgx.Batch{}
		was.queueMove(b, now)
		b.Queue(wakeSQL+`s.source_id = $1`, sourceID)
		return tx.SendBatch(ctx, b).Close()
	})
}

// checkNewAddress checks that the source can be at its new address. A source whose site is not verified gets a site
// of its own there, until a run proves that it is the same site. Otherwise a wrong new address would also apply to
// the other sources of the site, which are still at the old address.
func (was identity) checkNewAddress(ctx context.Context, tx pgx.Tx, now Source) error {
	at, err := findSite(ctx, tx, now)
	if err != nil {
		return err
	}
	var cloud string
	var siblings int
	err = tx.QueryRow(ctx, `SELECT coalesce((SELECT cloud_id FROM confluence_sites WHERE site_id = $1), ''),
		(SELECT count(*)::int FROM confluence_spaces WHERE site_id = $2 AND source_id <> $3)`, at, was.site, was.ID).Scan(&cloud, &siblings)
	switch {
	case err != nil:
		return err
	case cloud != "" && was.cloudID != "" && cloud != was.cloudID:
		return failure.New(failure.OtherSite, "%s is not the site of source %s; add its space as a new source", now.BaseURL, was.ID)
	case was.cloudID != "" || siblings == 0:
		return nil
	}
	var own siteID
	if err := tx.QueryRow(ctx, `INSERT INTO confluence_sites DEFAULT VALUES RETURNING site_id`).Scan(&own); err != nil {
		return err
	}
	b := &pgx.Batch{}
	b.Queue(`SELECT FROM archon_sources WHERE source_id = $1 FOR UPDATE`, was.ID) // waits for running writes of its pages
	b.Queue(`UPDATE confluence_pages SET site_id = $2 WHERE source_id = $1`, was.ID, own)
	b.Queue(`UPDATE confluence_spaces SET site_id = $2 WHERE source_id = $1`, was.ID, own)
	return tx.SendBatch(ctx, b).Close()
}

// queueMove queues the statements that give the source another address or key. The next run updates its pages. A name
// that equals the key changes with it.
func (s Source) queueMove(b *pgx.Batch, now Source) {
	at := `confluence_base_url`
	if s.System != Confluence {
		at = `base_url`
	}
	set := map[string]any{at: now.BaseURL, "original_url": archonMetadata(now)["original_url"]}
	if s.System == Confluence {
		set["confluence_space_key"] = now.SpaceKey
	}
	b.Queue(`UPDATE archon_sources SET metadata = metadata || $2::jsonb, source_url = $3, updated_at = now(),
			source_display_name = CASE WHEN source_display_name = $4 THEN $5 ELSE source_display_name END,
			title = CASE WHEN title = $4 THEN $5 ELSE title END
		WHERE source_id = $1`, s.ID, set, now.address(), s.SpaceKey, now.SpaceKey)
	b.Queue(`UPDATE confluence_spaces SET readdress = readdress || $2::jsonb WHERE source_id = $1`, s.ID, replacements(s, now))
}
