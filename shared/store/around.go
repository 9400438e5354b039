package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// PageKey identifies a page. Page ids are unique per site only, so it includes the source.
type PageKey struct{ SourceID, ID string }

// Relation is how another page is related to a page.
type Relation string

// The relations, in the order in which Related lists them.
const (
	Parent     Relation = "parent"
	Child      Relation = "child"
	Includes   Relation = "includes"
	IncludedBy Relation = "included_by"
	LinksTo    Relation = "links_to"
	LinkedFrom Relation = "linked_from"
	SameIssue  Relation = "same_issue"
)

// RelatedPage is a live page that is related to another one.
type RelatedPage struct {
	Relation Relation
	Issue    string // the Jira issue, for SameIssue
	SourceID string
	ID       string
	Title    string
	URL      string
}

// relatedAtMost limits the pages of each relation.
const relatedAtMost = 200

// Related lists the live pages of the same site that are related to a page, at most 200 per relation, ordered by
// relation, title and id. It omits pages that the viewer may not see.
func (r *Reader) Related(ctx context.Context, v viewer.Viewer, p PageKey) ([]RelatedPage, error) {
	if !v.Sees(p.SourceID) {
		return nil, nil
	}
	seen, err := r.see(ctx, v)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		WITH me AS (SELECT site_id, path, metadata FROM confluence_pages WHERE page_id = $1 AND source_id = $2 AND NOT is_deleted AND `+pg.Shows("source_id", "page_id", "$5", "$6")+`),
		linked AS (SELECT DISTINCT l->>'page_id' AS page_id FROM me CROSS JOIN jsonb_array_elements(
			CASE jsonb_typeof(me.metadata->'internal_links') WHEN 'array' THEN me.metadata->'internal_links' END) l),
		issues AS (SELECT DISTINCT i->>'issue_key' AS issue FROM me CROSS JOIN jsonb_array_elements(
			CASE jsonb_typeof(me.metadata->'jira_issue_links') WHEN 'array' THEN me.metadata->'jira_issue_links' END) i),
		found (place, relation, issue, page_id) AS (
			(SELECT 1, 'parent', '', id FROM (
				SELECT step.id FROM unnest((SELECT string_to_array(btrim(path, '/'), '/') FROM me)) WITH ORDINALITY AS step(id, place)
				JOIN confluence_pages p ON p.page_id = step.id AND p.source_id = $2 AND NOT p.is_deleted
				WHERE step.id <> $1 ORDER BY step.place DESC LIMIT 1) nearest)
			UNION ALL SELECT 2, 'child', '', node_id FROM confluence_tree WHERE source_id = $2 AND parent_id = $1 AND kind NOT IN `+partKinds+`
			UNION ALL SELECT 3, 'includes', '', i->>'page_id' FROM confluence_page_content c CROSS JOIN jsonb_array_elements(c.includes) i
				WHERE c.page_id = $1 AND c.site_id = (SELECT site_id FROM me)
			UNION ALL SELECT 4, 'included_by', '', c.page_id FROM confluence_page_content c
				WHERE c.includes <> '[]' AND c.includes @> jsonb_build_array(jsonb_build_object('page_id', $1::text)) AND c.site_id = (SELECT site_id FROM me)
			UNION ALL SELECT 5, 'links_to', '', page_id FROM linked
			UNION ALL SELECT DISTINCT 6, 'linked_from', '', `+pg.ChunkPage("c")+` FROM archon_crawled_pages c
				WHERE c.metadata ? 'internal_links' AND c.metadata->'internal_links' @> jsonb_build_array(jsonb_build_object('page_id', $1::text))
			UNION ALL SELECT 7, 'same_issue', issue, p.page_id FROM issues
				JOIN confluence_pages p ON p.metadata->'jira_issue_links' @> jsonb_build_array(jsonb_build_object('issue_key', issue))
		), seen AS (
			SELECT DISTINCT f.place, f.relation, f.issue, p.source_id, p.page_id, p.title, coalesce(c.url, '') AS url
			FROM found f JOIN confluence_pages p ON p.page_id = f.page_id AND p.site_id = (SELECT site_id FROM me) AND NOT p.is_deleted
			LEFT JOIN confluence_page_content c ON c.page_id = p.page_id AND c.site_id = p.site_id
			WHERE p.page_id <> $1 AND ($3::text[] IS NULL OR p.source_id = ANY ($3)) AND `+pg.Shows("p.source_id", "p.page_id", "$5", "$6")+`
		), numbered AS (
			SELECT *, row_number() OVER (PARTITION BY place ORDER BY title COLLATE "C", page_id, issue) AS n FROM seen
		)
		SELECT relation, issue, source_id, page_id, title, url FROM numbered WHERE n <= $4 ORDER BY place, n`,
		p.ID, p.SourceID, seen.Sources, relatedAtMost, seen.Free, seen.Sets)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RelatedPage])
	if err != nil {
		return nil, fmt.Errorf("look for pages related to %s: %w", p.ID, err)
	}
	return list, nil
}

// Headings lists a page's headings in order.
func (r *Reader) Headings(ctx context.Context, v viewer.Viewer, sourceID, pageID string) ([]page.Heading, error) {
	if !v.Sees(sourceID) {
		return nil, nil
	}
	seen, err := r.see(ctx, v)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT h.level, h.text, h.anchor FROM confluence_pages p JOIN confluence_page_content c USING (page_id, site_id)
		CROSS JOIN ROWS FROM (jsonb_to_recordset(c.headings) AS (level int, text text, anchor text)) WITH ORDINALITY AS h(level, text, anchor, place)
		WHERE p.page_id = $1 AND p.source_id = $2 AND NOT p.is_deleted AND `+pg.Shows("p.source_id", "p.page_id", "$3", "$4")+` ORDER BY h.place`, pageID, sourceID, seen.Free, seen.Sets)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[page.Heading])
	if err != nil {
		return nil, fmt.Errorf("read the headings of page %s: %w", pageID, err)
	}
	return list, nil
}

// PageAt returns the key of the live page with this URL, or with a chunk of this URL, without a fragment. It returns
// ErrNotFound if there is none.
func (r *Reader) PageAt(ctx context.Context, v viewer.Viewer, url string) (PageKey, error) {
	if !storable(url) {
		return PageKey{}, fmt.Errorf("look up an address: %w", ErrNotFound)
	}
	seen, err := r.see(ctx, v)
	if err != nil {
		return PageKey{}, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT DISTINCT p.source_id, p.page_id FROM archon_crawled_pages c
		JOIN confluence_pages p ON p.page_id = `+pg.ChunkPage("c")+` AND p.source_id = c.source_id AND NOT p.is_deleted
		WHERE c.url = $1 AND ($2::text[] IS NULL OR c.source_id = ANY ($2)) AND `+pg.Shows("p.source_id", "p.page_id", "$3", "$4")+`
		ORDER BY 1, 2 LIMIT 1`, url, seen.Sources, seen.Free, seen.Sets)
	key, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[PageKey])
	if err != nil {
		return key, pg.NotFound(err, "look up the page at "+url)
	}
	return key, nil
}

// PlacedChunk is a chunk with its source and URL.
type PlacedChunk struct {
	SourceID string
	URL      string
	StoredChunk
}

// ChunksByID reads chunks by their ids, in no particular order. It omits those that the viewer may not see.
func (r *Reader) ChunksByID(ctx context.Context, v viewer.Viewer, ids []int64) ([]PlacedChunk, error) {
	return r.placed(ctx, `c.id = ANY ($4)`, v, ids)
}

// ChunksAround reads a chunk of a document and the given number of chunks before and after it, in order. The document
// may be a page, or a document of another program.
func (r *Reader) ChunksAround(ctx context.Context, v viewer.Viewer, sourceID, url string, number, around int) ([]PlacedChunk, error) {
	return r.placed(ctx, `c.source_id = $4 AND c.url = $5 AND c.chunk_number BETWEEN $6 AND $7`, v, sourceID, url, number-around, number+around)
}

func (r *Reader) placed(ctx context.Context, where string, v viewer.Viewer, args ...any) ([]PlacedChunk, error) {
	seen, err := r.see(ctx, v)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT c.source_id, c.url, c.id, c.chunk_number, c.content, c.metadata FROM archon_crawled_pages c
		WHERE `+where+` AND ($1::text[] IS NULL OR c.source_id = ANY ($1)) AND `+pg.Shows("c.source_id", pg.ChunkPage("c"), "$2", "$3")+`
		ORDER BY c.chunk_number, c.id`, append([]any{seen.Sources, seen.Free, seen.Sets}, args...)...)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c PlacedChunk, err error) {
		return c, row.Scan(&c.SourceID, &c.URL, &c.ID, &c.Number, &c.Content, &c.Metadata)
	})
	if err != nil {
		return nil, fmt.Errorf("read chunks: %w", err)
	}
	return list, nil
}

// HiddenText counts the elements with text that readers of the page do not see, for each given page that has any.
// Elements that the conversion removed do not count.
func (r *Reader) HiddenText(ctx context.Context, v viewer.Viewer, pages []PageKey) (map[PageKey]int, error) {
	found := map[PageKey]int{}
	var sources, ids []string
	for _, p := range pages {
		if v.Sees(p.SourceID) {
			sources, ids = append(sources, p.SourceID), append(ids, p.ID)
		}
	}
	if len(ids) == 0 {
		return found, nil
	}
	seen, err := r.see(ctx, v)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT p.source_id, p.page_id, sum(l.count)::int FROM (SELECT DISTINCT source_id, id FROM unnest($1::text[], $2::text[]) AS a(source_id, id)) a
		JOIN confluence_pages p ON p.page_id = a.id AND p.source_id = a.source_id AND NOT p.is_deleted
		JOIN confluence_page_content c ON c.page_id = p.page_id AND c.site_id = p.site_id
		CROSS JOIN jsonb_to_recordset(c.losses) AS l(element text, fate text, count int)
		WHERE l.element = $3 AND l.fate = $4 AND `+pg.Shows("p.source_id", "p.page_id", "$5", "$6")+`
		GROUP BY 1, 2`, sources, ids, page.HiddenText, page.Rendered, seen.Free, seen.Sets)
	var key PageKey
	var n int
	_, err = pgx.ForEachRow(rows, []any{&key.SourceID, &key.ID, &n}, func() error {
		found[key] = n
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count hidden text: %w", err)
	}
	return found, nil
}

// Freshness describes how up to date the stored copy of a source is.
type Freshness struct {
	SourceID   string
	Complete   time.Time // when the last complete run ended; zero before the first
	Running    string    // the id of the open run, "" for none
	Waiting    int       // pages that the open run has listed and that are not stored in their current version yet
	Failed     int       // pages that failed and have not been stored since
	OldestWait time.Time // when the oldest of these changes was made, or was found if that is unknown; zero for none
}

// Freshness returns the freshness of each source, ordered by id.
func (r *Reader) Freshness(ctx context.Context, v viewer.Viewer) ([]Freshness, error) {
	seen, err := r.see(ctx, v)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT s.source_id, done.at, coalesce(open.run_id, ''), coalesce(waiting.n, 0)::int, coalesce(failed.n, 0)::int, least(waiting.oldest, failed.oldest)
		FROM archon_sources s
		LEFT JOIN LATERAL (SELECT max(finished_at) AS at FROM confluence_sync_runs r
			WHERE r.source_id = s.source_id AND r.state IN ('completed', 'completed_with_failures') AND `+wholeSQL("r")+`) done ON true
		LEFT JOIN confluence_sync_runs open ON open.source_id = s.source_id AND open.state IN ('listing', 'fetching', 'finishing')
		LEFT JOIN LATERAL (SELECT count(*) AS n, min(coalesce(l.version_at, open.requested_at)) AS oldest FROM confluence_sync_pages l
			WHERE l.run_id = open.run_id AND l.outcome IS NULL AND `+pg.Shows("s.source_id", "l.page_id", "$2", "$3")+`) waiting ON true
		LEFT JOIN LATERAL (SELECT count(DISTINCT f.page_id) AS n, min(coalesce(f.version_at, f.ended_at)) AS oldest
			FROM confluence_sync_runs r JOIN confluence_sync_pages f USING (run_id)
			WHERE r.source_id = s.source_id AND f.outcome = 'failed' AND NOT `+settledSQL+` AND `+pg.Shows("s.source_id", "f.page_id", "$2", "$3")+`) failed ON true
		WHERE `+ourSource+` AND ($1::text[] IS NULL OR s.source_id = ANY ($1)) ORDER BY s.source_id`, seen.Sources, seen.Free, seen.Sets)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Freshness, err error) {
		var done, oldest *time.Time
		err = row.Scan(&f.SourceID, &done, &f.Running, &f.Waiting, &f.Failed, &oldest)
		if done != nil {
			f.Complete = done.UTC()
		}
		if oldest != nil {
			f.OldestWait = oldest.UTC()
		}
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the freshness of the sources: %w", err)
	}
	return list, nil
}

// Changed lists the live pages whose version was made at or after since, the newest first: of the given sources, or
// of all that the viewer may see.
func (r *Reader) Changed(ctx context.Context, v viewer.Viewer, sources []string, since time.Time, offset, limit int) ([]PageInfo, error) {
	of := visibleSources(v)
	if len(sources) > 0 {
		of = slices.DeleteFunc(slices.Clone(sources), func(id string) bool { return !v.Sees(id) || !storable(id) })
	}
	seen, err := r.see(ctx, v)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT p.page_id, p.kind, p.source_id, p.space_key, p.title, p.version, p.last_modified, p.path, coalesce(c.url, ''),
			'{}'::text[], coalesce((p.metadata->>'word_count')::int, 0), '[]'::jsonb
		FROM confluence_pages p LEFT JOIN confluence_page_content c USING (page_id, site_id)
		WHERE NOT p.is_deleted AND p.last_modified >= $1 AND ($2::text[] IS NULL OR p.source_id = ANY ($2)) AND `+pg.Shows("p.source_id", "p.page_id", "$5", "$6")+`
		ORDER BY p.last_modified DESC, p.source_id, p.page_id OFFSET $3 LIMIT $4`, since, of, offset, limit, seen.Free, seen.Sets)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PageInfo])
	if err != nil {
		return nil, fmt.Errorf("list changed pages: %w", err)
	}
	for i := range list {
		list[i].LastModified = list[i].LastModified.UTC()
	}
	return list, nil
}
