package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Reader reads on behalf of users. Each of its methods takes the viewer and treats everything that the viewer may not
// see as if it did not exist: it returns nothing, or ErrNotFound.
type Reader struct{ pool pg.Pool }

// Reader returns the store's Reader.
func (s *Store) Reader() *Reader { return &Reader{pool: pg.Pool{Pool: s.pool}} }

// Together runs reads for a viewer at the same time. They see the database as it is at one moment, and what they ask goes
// to the server together: see pg.Pool.Together. Each gets the context to read with; it is of no use afterwards. The error
// is that of the first read, in the order of reads, that failed by itself.
func (r *Reader) Together(ctx context.Context, v viewer.Viewer, reads ...func(context.Context) error) error {
	ctx = pg.Widest(ctx, v, visibleSources(v))
	if !v.Operator() { // nearly every read needs it, before it asks anything
		reads = append(reads, func(ctx context.Context) error {
			_, err := r.see(ctx, v)
			return err
		})
	}
	return r.pool.Together(ctx, reads...)
}

// visibleSources returns the ids of the sources that a viewer may see, as a query parameter. NULL means all.
func visibleSources(v viewer.Viewer) []string {
	if v.SeesAll() {
		return nil
	}
	return v.Sources()
}

// see returns what a viewer may see.
func (r *Reader) see(ctx context.Context, v viewer.Viewer) (pg.Seen, error) {
	return pg.See(ctx, r.pool, v, visibleSources(v))
}

// SeesEveryPage reports whether the viewer may see every page of a source, or of all that it looks into if sourceID is
// empty.
func (r *Reader) SeesEveryPage(ctx context.Context, v viewer.Viewer, sourceID string) (bool, error) {
	of := visibleSources(v)
	if sourceID != "" {
		of = []string{sourceID}
		if !v.Sees(sourceID) {
			return false, nil
		}
	}
	seen, err := pg.See(ctx, r.pool, v, of)
	return err == nil && seen.All(), err
}

// partAs are the last parameters of a query for a part of a list that the viewer may see: those of Part.args, then
// Seen.Free and Seen.Sets.
func (r *Reader) partAs(ctx context.Context, v viewer.Viewer, p Part, n int, before ...any) ([]any, error) {
	args, err := p.args(n, before...)
	if err != nil {
		return nil, err
	}
	seen, err := r.see(ctx, v)
	return append(args, seen.Free, seen.Sets), err
}

// Page is a stored page with its Markdown and its conversion losses.
type Page struct {
	ID           string        `json:"page_id"`
	Kind         string        `json:"kind"` // page or blogpost
	SourceID     string        `json:"source_id"`
	SpaceKey     string        `json:"space_key"`
	Title        string        `json:"title"`
	Version      int           `json:"version"`
	LastModified time.Time     `json:"last_modified"`
	Deleted      bool          `json:"is_deleted"`
	Path         string        `json:"path"`
	URL          string        `json:"url"`
	Metadata     page.Metadata `json:"metadata"`
	Losses       []page.Loss   `json:"losses"`
	Markdown     string        `json:"markdown"`
	LastEdit     *Edit         `json:"last_edit,omitempty" doc:"what the last version that was written changed in the chunks; missing for a page that was written before this was kept"`
}

// Key is how the page is named among all pages.
func (p Page) Key() PageKey { return PageKey{SourceID: p.SourceID, ID: p.ID} }

// AmbiguousPageError says that the viewer sees pages with the same id on several sites.
type AmbiguousPageError = pg.AmbiguousPageError

// Page returns a stored page, even if it has been removed, or ErrNotFound. If several sites have a page with the id,
// Page returns the only one that has not been removed, or an *AmbiguousPageError. A viewer of one source sees at most
// one of them.
func (r *Reader) Page(ctx context.Context, v viewer.Viewer, id string) (Page, error) {
	seen, err := r.see(ctx, v)
	if err != nil {
		return Page{}, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT p.page_id, p.kind, p.source_id, p.space_key, p.title, p.version, p.last_modified, p.is_deleted, p.path,
			coalesce(c.url, ''), p.metadata, coalesce(c.losses, '[]'), coalesce(c.markdown, ''), c.last_edit
		FROM confluence_pages p LEFT JOIN confluence_page_content c USING (page_id, site_id) WHERE p.page_id = $1
		AND ($2::text[] IS NULL OR p.source_id = ANY ($2)) AND `+pg.Shows("p.source_id", "p.page_id", "$3", "$4")+`
		ORDER BY p.is_deleted, p.source_id`, id, seen.Sources, seen.Free, seen.Sets)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Page])
	switch {
	case err != nil:
		return Page{}, fmt.Errorf("read page %s: %w", id, err)
	case len(list) == 0:
		return Page{}, fmt.Errorf("read page %s: %w", id, ErrNotFound)
	case len(list) > 1 && list[0].Deleted == list[1].Deleted:
		ambiguous := &AmbiguousPageError{ID: id}
		for _, p := range list {
			ambiguous.Sources = append(ambiguous.Sources, p.SourceID)
		}
		slices.Sort(ambiguous.Sources)
		return Page{}, ambiguous
	}
	return list[0], nil
}

// StoredChunk is a chunk as stored in the database.
type StoredChunk struct {
	ID       int64         `json:"id"`
	Number   int           `json:"chunk_number"`
	Content  string        `json:"content"`
	Metadata ChunkMetadata `json:"metadata"`
}

// Chunks returns a page's chunks in order.
func (r *Reader) Chunks(ctx context.Context, v viewer.Viewer, sourceID, pageID string, p Part) ([]StoredChunk, error) {
	if !v.Sees(sourceID) {
		return nil, nil
	}
	args, err := r.partAs(ctx, v, p, 2, sourceID, pageID)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT c.id, c.chunk_number, c.content, c.metadata FROM archon_crawled_pages c
		WHERE c.source_id = $1 AND `+pg.ChunkOfPages("c", "= $2")+`
		AND ($3::text IS NULL OR (c.chunk_number, c.id) > ($3::text::int, $4::text::bigint))
		AND `+pg.Shows("$1::text", "$2::text", "$6", "$7")+`
		ORDER BY c.chunk_number, c.id LIMIT $5`, args...)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[StoredChunk])
	if err != nil {
		return nil, p.listError(err, "read chunks of page "+pageID)
	}
	return list, nil
}

// LedgerPage is one page of a run and its outcome.
type LedgerPage struct {
	PageID   string        `json:"page_id"`
	Title    string        `json:"title"`
	Version  int           `json:"version"`
	Outcome  event.Outcome `json:"outcome"` // "" while the page is pending
	Reason   string        `json:"reason,omitempty"`
	Message  string        `json:"message,omitempty"`
	Stage    string        `json:"stage,omitempty"`
	Attempts int           `json:"attempts,omitempty"`
}

// LedgerPages lists the pages of a run that have the outcome, ordered by id.
func (r *Reader) LedgerPages(ctx context.Context, v viewer.Viewer, runID string, outcome event.Outcome, p Part) ([]LedgerPage, error) {
	args, err := r.partAs(ctx, v, p, 1, runID, outcome, visibleSources(v))
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT l.page_id, coalesce(nullif(l.title, ''), p.title, ''), l.version, coalesce(l.outcome, ''),
			coalesce(l.reason, ''), coalesce(l.message, ''), coalesce(l.stage, ''), l.attempts
		FROM confluence_sync_pages l JOIN confluence_sync_runs r USING (run_id) LEFT JOIN confluence_pages p ON p.page_id = l.page_id AND p.source_id = r.source_id
		WHERE l.run_id = $1 AND l.outcome = $2 AND ($3::text[] IS NULL OR r.source_id = ANY ($3))
		AND l.page_id > coalesce($4, '') AND `+pg.Shows("r.source_id", "l.page_id", "$6", "$7")+` ORDER BY l.page_id LIMIT $5`, args...)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[LedgerPage])
	if err != nil {
		return nil, fmt.Errorf("read ledger of run %s: %w", runID, err)
	}
	return list, nil
}

// LossTotal counts one kind of conversion loss: on how many pages of a source, and how often.
type LossTotal struct {
	Element string    `json:"element"`
	Fate    page.Fate `json:"fate"`
	Reason  string    `json:"reason,omitempty"`
	Pages   int       `json:"pages"`
	Count   int       `json:"count"`
}

// Losses adds up what happened to macros and elements on a source's live pages. Elements that were not rendered come
// first, then the most frequent ones.
func (r *Reader) Losses(ctx context.Context, v viewer.Viewer, sourceID string, p Part) ([]LossTotal, error) {
	if !v.Sees(sourceID) {
		return nil, nil
	}
	args, err := r.partAs(ctx, v, p, 4, sourceID)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT l.element, l.fate, coalesce(l.reason, ''), count(*)::int, sum(l.count)::int
		FROM confluence_pages p JOIN confluence_page_content c USING (page_id, site_id)
		CROSS JOIN jsonb_to_recordset(c.losses) AS l(element text, fate text, count int, reason text)
		WHERE p.source_id = $1 AND p.is_deleted = false AND `+pg.Shows("p.source_id", "p.page_id", "$7", "$8")+`
		GROUP BY 1, 2, 3
		HAVING $2::text IS NULL OR (l.fate = 'rendered', -sum(l.count), l.element, l.fate, coalesce(l.reason, ''))
			> ($2::text = 'rendered', -$3::text::bigint, $4::text, $2::text, $5::text)
		ORDER BY l.fate = 'rendered', sum(l.count) DESC, 1, 2, 3 LIMIT $6`, args...)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[LossTotal])
	if err != nil {
		return nil, p.listError(err, "add up the losses of "+sourceID)
	}
	return list, nil
}
