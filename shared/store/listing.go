package store

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// PageFilter selects some of a source's live pages. A zero value selects all.
type PageFilter struct {
	Kind          string // page or blogpost
	Label         string
	Title         string // a part of the title, case-insensitive
	Under         string // a page's id: that page and everything below it
	ModifiedSince time.Time
	Part          // Limit is 50 by default
}

// PageInfo is one page in a list.
type PageInfo struct {
	ID           string    `json:"page_id"`
	Kind         string    `json:"kind"` // page or blogpost
	SourceID     string    `json:"source_id"`
	SpaceKey     string    `json:"space_key"`
	Title        string    `json:"title"`
	Version      int       `json:"version"`
	LastModified time.Time `json:"last_modified"`
	Path         string    `json:"path"`
	URL          string    `json:"url"`
	Labels       []string  `json:"labels"`
	WordCount    int       `json:"word_count"`
}

// storable reports whether Postgres can store the text.
func storable(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

// Pages lists a source's live pages, ordered by id.
func (r *Reader) Pages(ctx context.Context, v viewer.Viewer, sourceID string, f PageFilter) ([]PageInfo, error) {
	if !v.Sees(sourceID) {
		return nil, nil
	}
	for _, text := range []string{sourceID, f.Kind, f.Label, f.Title, f.Under} {
		if !storable(text) {
			return nil, nil
		}
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	args, err := r.partAs(ctx, v, f.Part, 1, sourceID, f.Kind, strings.ToLower(f.Label), f.Title, f.Under, orNull(f.ModifiedSince))
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT p.page_id, p.kind, p.source_id, p.space_key, p.title, p.version, p.last_modified, p.path, coalesce(c.url, ''),
			coalesce((SELECT array_agg(l) FROM jsonb_array_elements_text(
				CASE jsonb_typeof(p.metadata->'labels') WHEN 'array' THEN p.metadata->'labels' END) l), '{}'),
			coalesce((p.metadata->>'word_count')::int, 0)
		FROM confluence_pages p LEFT JOIN confluence_page_content c USING (page_id, site_id)
		WHERE p.source_id = $1 AND p.is_deleted = false
		AND ($2 = '' OR p.kind = $2) AND ($3 = '' OR p.metadata->'labels' ? $3)
		AND ($4 = '' OR strpos(lower(p.title), lower($4)) > 0)
		AND ($5 = '' OR strpos(p.path || '/', '/' || $5 || '/') > 0)
		AND ($6::timestamptz IS NULL OR p.last_modified >= $6)
		AND p.page_id > coalesce($7, '') AND `+pg.Shows("p.source_id", "p.page_id", "$9", "$10")+`
		ORDER BY p.page_id LIMIT $8`, args...)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PageInfo])
	if err != nil {
		return nil, fmt.Errorf("list pages of %s: %w", sourceID, err)
	}
	for i := range list {
		list[i].LastModified = list[i].LastModified.UTC()
	}
	return list, nil
}

// Snapshot returns how far a run is, as Advance does, without changing it. The error is ErrNotFound if there is no
// such run.
func (r *Reader) Snapshot(ctx context.Context, v viewer.Viewer, runID string) (event.Progress, error) {
	if !storable(runID) {
		return event.Progress{}, fmt.Errorf("read run: %w", ErrNotFound)
	}
	var snap event.Progress
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, r.pool, opts, func(tx pgx.Tx) error {
		run, err := readVisibleRun(ctx, tx, v, runID)
		if err != nil {
			return err
		}
		seen, err := pg.See(ctx, tx, v, visibleSources(v))
		if err != nil {
			return err
		}
		counts, waiting, err := countSeen(ctx, tx, seen, &run)
		if err != nil {
			return err
		}
		var at time.Time
		if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&at); err != nil {
			return err
		}
		run.SnapshotSeq = max(run.SnapshotSeq, at.UnixMicro())
		snap = snapshot(run, counts, waiting, at)
		return nil
	})
	return snap, err
}

// LivePage returns a page as Page does, but ErrNotFound for a removed page: a user who can no longer read it in
// Confluence must not read it here. The returned Page then still names the source.
func (r *Reader) LivePage(ctx context.Context, v viewer.Viewer, id string) (Page, error) {
	if !storable(id) {
		return Page{}, fmt.Errorf("read page: %w", ErrNotFound)
	}
	p, err := r.Page(ctx, v, id)
	if err == nil && p.Deleted {
		return Page{ID: p.ID, SourceID: p.SourceID, Deleted: true, Losses: []page.Loss{}}, fmt.Errorf("read page %s: it is no longer in its space: %w", id, ErrNotFound)
	}
	return p, err
}
