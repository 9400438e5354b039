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

// Identity is what a source's system says that the source is. What is empty is not known.
type Identity struct {
	Site string   // Atlassian's id of the site
	ID   string   // Confluence's id of the space
	Key  string   // by which the space is called now
	Keys []string // all by which it answers now, its alias among them
}

// Identify compares what a source is with what it was, writes down what was not known, and
// returns the source as it is now. Where the space has another key, the addresses of its pages are to
// begin with it: see Readdress.
//
// The error carries failure.OtherSite when its address answers for another site, and
// failure.SpaceTaken when another source is the same space: nothing is to be done for the source then.
func (s *Store) Identify(ctx context.Context, sourceID string, is Identity) (Source, error) {
	err := s.inTx(ctx, "compare source "+sourceID+" with its site", func(tx pgx.Tx) error {
		if err := lockSites(ctx, tx); err != nil {
			return err
		}
		was, err := readIdentity(ctx, tx, sourceID)
		if err != nil {
			return err
		}
		if was.site, err = was.atSite(ctx, tx, is); err != nil {
			return err
		}
		if err := was.beSpace(ctx, tx, is); err != nil {
			return err
		}
		return was.beCalled(ctx, tx, is)
	})
	if err != nil {
		return Source{}, err
	}
	return s.Source(ctx, sourceID)
}

// identity is what is stored of what a source is.
type identity struct {
	Source
	site    siteID
	cloudID string
	keys    []string // now
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

// atSite returns the site that the source is of. One that had two addresses becomes one.
func (was identity) atSite(ctx context.Context, tx pgx.Tx, is Identity) (siteID, error) {
	switch is.Site {
	case "", was.cloudID:
		return was.site, nil
	}
	if was.cloudID != "" {
		return 0, failure.New(failure.OtherSite, "another site answers at %s (its cloud id is %s) than the one that source %s is of (%s); "+
			"if the site has another address now: sluice source set %s --base-url URL; else add what is there as a source of its own",
			was.BaseURL, is.Site, was.ID, was.cloudID, was.ID)
	}
	var same siteID
	err := tx.QueryRow(ctx, `SELECT site_id FROM confluence_sites WHERE cloud_id = $1`, is.Site).Scan(&same)
	if errors.Is(err, pgx.ErrNoRows) {
		_, err = tx.Exec(ctx, `UPDATE confluence_sites SET cloud_id = $2 WHERE site_id = $1`, was.site, is.Site)
		return was.site, err
	}
	if err == nil {
		err = was.site.become(ctx, tx, same)
	}
	return same, err
}

// become makes one site of two that are one. Writers are waited for, since they have looked up their
// site. A page that both have is kept where it was first; its other source finds it missing, and
// fetches it.
func (at siteID) become(ctx context.Context, tx pgx.Tx, to siteID) error {
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

// beSpace writes the space's id down, which no other source may have.
func (was identity) beSpace(ctx context.Context, tx pgx.Tx, is Identity) error {
	switch {
	case is.ID == "":
		return nil
	case was.SpaceID != "" && was.SpaceID != is.ID:
		return failure.New(failure.SpaceNotFound, "space %s is another space now (its id is %s) than the one that source %s is (%s); add it as a source of its own",
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
	return failure.New(failure.SpaceTaken, "source %s is the same space as source %s (its id is %s): a page has one source, so keep one of them "+
		"(sluice source remove %s)", sourceID, by, spaceID, sourceID)
}

// beCalled writes down by which keys the space is known now.
func (was identity) beCalled(ctx context.Context, tx pgx.Tx, is Identity) error {
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
		b.Queue(`UPDATE confluence_spaces SET keys = $2, old_keys = $3 WHERE source_id = $1`, was.ID, keys, orEmpty(old))
	}
	// What is this space's key is no longer that of one that had it.
	b.Queue(`UPDATE confluence_spaces SET old_keys = ARRAY(SELECT k FROM unnest(old_keys) k WHERE k <> ALL ($3))
		WHERE site_id = $1 AND source_id <> $2 AND old_keys && $3`, was.site, was.ID, keys)
	if is.Key != was.SpaceKey {
		now := was.Source
		now.SpaceKey = is.Key
		was.move(b, now)
	}
	return tx.SendBatch(ctx, b).Close()
}

// Relocate says that the source's site has another address now. Its next run gives it to the stored
// pages (see Readdress), after it has made sure that the same site answers there (see Identify).
// ErrNotFound when there is no such source; the error is ErrSpaceTaken where the space has been added
// at the new address as another source, and carries failure.OtherSite where the address is known to
// be that of another site.
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
			if err := was.mayBeAt(ctx, tx, now); err != nil {
				return err
			}
		}
		b := &pgx.Batch{}
		was.move(b, now)
		return tx.SendBatch(ctx, b).Close()
	})
}

// mayBeAt checks that the source can be at its new address. One whose site is not proven becomes a
// site of its own there, until a run proves that it is the same: else its siblings, at the old
// address, would be taken along to where it may be by mistake.
func (was identity) mayBeAt(ctx context.Context, tx pgx.Tx, now Source) error {
	at, err := siteFor(ctx, tx, now)
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
		return failure.New(failure.OtherSite, "%s is another site than the one that source %s is of: add its space as a source of its own", now.BaseURL, was.ID)
	case was.cloudID != "" || siblings == 0:
		return nil
	}
	var own siteID
	if err := tx.QueryRow(ctx, `INSERT INTO confluence_sites DEFAULT VALUES RETURNING site_id`).Scan(&own); err != nil {
		return err
	}
	b := &pgx.Batch{}
	b.Queue(`SELECT FROM archon_sources WHERE source_id = $1 FOR UPDATE`, was.ID) // waits for who writes its pages
	b.Queue(`UPDATE confluence_pages SET site_id = $2 WHERE source_id = $1`, was.ID, own)
	b.Queue(`UPDATE confluence_spaces SET site_id = $2 WHERE source_id = $1`, was.ID, own)
	return tx.SendBatch(ctx, b).Close()
}

// move gives the source another address or key, and has the next run give it to its pages. A name
// that is the key follows it.
func (s Source) move(b *pgx.Batch, now Source) {
	at := `confluence_base_url`
	if s.System != Confluence {
		at = `base_url`
	}
	set := map[string]any{at: now.BaseURL, "original_url": archonSource(now)["original_url"]}
	if s.System == Confluence {
		set["confluence_space_key"] = now.SpaceKey
	}
	b.Queue(`UPDATE archon_sources SET metadata = metadata || $2::jsonb, source_url = $3, updated_at = now(),
			source_display_name = CASE WHEN source_display_name = $4 THEN $5 ELSE source_display_name END,
			title = CASE WHEN title = $4 THEN $5 ELSE title END
		WHERE source_id = $1`, s.ID, set, now.address(), s.SpaceKey, now.SpaceKey)
	b.Queue(`UPDATE confluence_spaces SET readdress = readdress || $2::jsonb WHERE source_id = $1`, s.ID, moves(s, now))
}
