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
	Kind          string // page or one of page.Kinds; "" is all but parts of pages, such as comments
	Label         string
	Title         string // a part of the title, case-insensitive
	Under         string // a page's id: that page and everything below it
	ModifiedSince time.Time
	Lost          LossKind // something with which this happened in the conversion
	Part                   // Limit is 50 by default
}

// LossKind is what can happen to a macro or an element of a page in its conversion: a row of Losses without its counts.
type LossKind struct {
	Element string // "" is nothing in particular, whatever the rest is
	Fate    page.Fate
	Reason  string
}

// PageInfo is one page in a list.
type PageInfo struct {
	ID           string    `json:"page_id"`
	Kind         string    `json:"kind"` // page or one of page.Kinds
	SourceID     string    `json:"source_id"`
	SpaceKey     string    `json:"space_key"`
	Title        string    `json:"title"`
	Version      int       `json:"version"`
	LastModified time.Time `json:"last_modified"`
	Path         string    `json:"path"`
	URL          string    `json:"url"`
	Labels       []string  `json:"labels"`
	WordCount    int       `json:"word_count"`

	// Ancestors are the pages and the containers, such as folders, above it, from the top. Changed leaves them out.
	Ancestors []page.Ancestor `json:"ancestors"`
}

// storable reports whether Postgres can store the text.
func storable(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

// Pages lists a source's live pages, ordered by id.
func (r *Reader) Pages(ctx context.Context, v viewer.Viewer, sourceID string, f PageFilter) ([]PageInfo, error) {
	if !v.Sees(sourceID) {
		return nil, nil
	}
	for _, text := range []string{sourceID, f.Kind, f.Label, f.Title, f.Under, f.Lost.Element, string(f.Lost.Fate), f.Lost.Reason} {
		if !storable(text) {
			return nil, nil
		}
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	args, err := r.partAs(ctx, v, f.Part, 1, sourceID, f.Kind, strings.ToLower(f.Label), f.Title, f.Under, orNull(f.ModifiedSince), f.Lost.Element, f.Lost.Fate, f.Lost.Reason)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT p.page_id, p.kind, p.source_id, p.space_key, p.title, p.version, p.last_modified, p.path, coalesce(c.url, ''),
			coalesce((SELECT array_agg(l) FROM jsonb_array_elements_text(
				CASE jsonb_typeof(p.metadata->'labels') WHEN 'array' THEN p.metadata->'labels' END) l), '{}'),
			coalesce((p.metadata->>'word_count')::int, 0),
			coalesce(CASE jsonb_typeof(p.metadata->'ancestors') WHEN 'array' THEN p.metadata->'ancestors' END, '[]')
		FROM confluence_pages p LEFT JOIN confluence_page_content c USING (page_id, site_id)
		WHERE p.source_id = $1 AND p.is_deleted = false
		AND ($2 = '' AND p.kind NOT IN `+partKinds+` OR p.kind = $2) AND ($3 = '' OR p.metadata->'labels' ? $3)
		AND ($4 = '' OR strpos(lower(p.title), lower($4)) > 0)
		AND ($5 = '' OR strpos(p.path || '/', '/' || $5 || '/') > 0)
		AND ($6::timestamptz IS NULL OR p.last_modified >= $6)
		AND ($7 = '' OR EXISTS (SELECT FROM jsonb_to_recordset(c.losses) AS l(element text, fate text, reason text)
			WHERE l.element = $7 AND l.fate = $8 AND coalesce(l.reason, '') = $9))
		AND p.page_id > coalesce($10, '') AND `+pg.Shows("p.source_id", "p.page_id", "$12", "$13")+`
		ORDER BY p.page_id LIMIT $11`, args...)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PageInfo])
	if err != nil {
		return nil, fmt.Errorf("list pages of %s: %w", sourceID, err)
	}
	for i := range list {
		list[i].LastModified = list[i].LastModified.UTC()
	}
	return list, nil
}

// Operation is a run and how far it is.
type Operation struct {
	Run      Run
	Progress event.Progress
	Stages   StageCounts
}

// StageCounts are how many pages of a run came how far.
type StageCounts struct {
	Fetched   int // their bodies were read
	Converted int // to Markdown
}

// Position is that of the run.
func (o Operation) Position() Position { return o.Run.Position() }

// Operation returns a run and how far it is. The error is ErrNotFound if there is no such run.
func (r *Reader) Operation(ctx context.Context, v viewer.Viewer, runID string) (Operation, error) {
	if !storable(runID) {
		return Operation{}, fmt.Errorf("read run: %w", ErrNotFound)
	}
	t, err := readTold(ctx, r.pool, v, true, runID)
	if err != nil {
		return Operation{}, err
	}
	return t.operation(), nil
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
