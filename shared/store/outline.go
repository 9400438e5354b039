package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// TreeNode is a live page in its source's tree, or a container, such as a folder, that holds one.
type TreeNode struct {
	ID           string
	Kind         string // page, blogpost, folder, …
	Title        string
	Level        int    // 1 directly below the start of the list
	URL          string // "" for a container
	Bytes        int    // of the page's Markdown
	Below        int    // number of live pages below it
	LastModified time.Time
}

// Tree lists the nodes below a node of a source's tree or, if under is empty, the whole tree, down to a number of
// levels. Each node comes before the nodes below it; siblings are ordered by title. If after is not empty, the list
// continues after that node. A page that is not stored yet is omitted; the pages below it are not.
func (r *Reader) Tree(ctx context.Context, v viewer.Viewer, sourceID, under string, levels int, after string, limit int) ([]TreeNode, error) {
	if !v.Sees(sourceID) || !storable(sourceID) || !storable(under) || !storable(after) {
		return nil, nil
	}
	seen, err := r.see(ctx, v)
	if err != nil {
		return nil, err
	}
	// A step of a path may be a parent that is unknown, that failed or that nobody could look up. It is not in the
	// list, so it does not count as a level either.
	rows, _ := r.pool.Query(ctx, `
		WITH base AS (SELECT CASE WHEN $2 = '' THEN '' ELSE (SELECT path FROM confluence_tree WHERE source_id = $1 AND node_id = $2) END AS path),
		shown AS MATERIALIZED (
			SELECT t.node_id FROM confluence_tree t
			LEFT JOIN confluence_pages p ON p.page_id = t.node_id AND p.source_id = $1 AND NOT p.is_deleted
			WHERE t.source_id = $1 AND t.kind NOT IN `+partKinds+` AND starts_with(t.path, (SELECT path FROM base) || '/') AND `+pg.Shows("t.source_id", "t.node_id", "$6", "$7")+`
			AND (p.page_id IS NOT NULL OR t.kind NOT IN `+contentKinds+` AND NOT (t.title = '' AND t.failed_run IS NOT NULL)
				AND EXISTS (SELECT FROM confluence_pages b WHERE b.source_id = $1 AND NOT b.is_deleted AND `+pg.Shows("b.source_id", "b.page_id", "$6", "$7")+`
					AND b.path ~>=~ (t.path || '/') AND b.path ~<~ (t.path || '0')))
		), below AS (
			SELECT t.*, (SELECT count(*)::int FROM unnest(string_to_array(substr(t.path, length((SELECT path FROM base)) + 2), '/')) AS step (id)
				WHERE id IN (SELECT node_id FROM shown)) AS level
			FROM shown JOIN confluence_tree t ON t.source_id = $1 AND t.node_id = shown.node_id
		)
		SELECT t.node_id, t.kind, t.title, t.level, coalesce(c.url, ''), coalesce((p.metadata->>'content_length')::int, octet_length(c.markdown), 0), inner_pages.n, p.last_modified
		FROM below t
		LEFT JOIN confluence_pages p ON p.page_id = t.node_id AND p.source_id = $1 AND NOT p.is_deleted
		LEFT JOIN confluence_page_content c ON c.page_id = p.page_id AND c.site_id = p.site_id
		CROSS JOIN LATERAL (SELECT count(*)::int AS n FROM confluence_pages b WHERE b.source_id = $1 AND NOT b.is_deleted AND b.kind NOT IN `+partKinds+` AND `+pg.Shows("b.source_id", "b.page_id", "$6", "$7")+`
			AND b.path ~>=~ (t.path || '/') AND b.path ~<~ (t.path || '0')) inner_pages
		WHERE t.level <= $3
		AND ($4 = '' OR (t.trail COLLATE "C", t.node_id) > (SELECT a.trail COLLATE "C", a.node_id FROM confluence_tree a WHERE a.source_id = $1 AND a.node_id = $4))
		ORDER BY t.trail COLLATE "C", t.node_id LIMIT $5`, sourceID, under, levels, after, limit, seen.Free, seen.Sets)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n TreeNode, err error) {
		var modified *time.Time
		err = row.Scan(&n.ID, &n.Kind, &n.Title, &n.Level, &n.URL, &n.Bytes, &n.Below, &modified)
		if modified != nil {
			n.LastModified = modified.UTC()
		}
		return n, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree of %s: %w", sourceID, err)
	}
	return list, nil
}

// Holds reports whether the viewer looks into a source with a live page below the node with this id, which may be a
// folder, say, or a page that is not stored.
func (r *Reader) Holds(ctx context.Context, v viewer.Viewer, id string) (bool, error) {
	if !storable(id) {
		return false, nil
	}
	seen, err := r.see(ctx, v)
	if err != nil {
		return false, err
	}
	var holds bool
	err = r.pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM archon_sources s JOIN confluence_tree t ON t.source_id = s.source_id AND t.node_id = $1
			JOIN confluence_pages p ON p.source_id = t.source_id AND NOT p.is_deleted AND p.path ~>=~ (t.path || '/') AND p.path ~<~ (t.path || '0')
			WHERE ($2::text[] IS NULL OR s.source_id = ANY ($2))
			AND `+pg.Shows("t.source_id", "t.node_id", "$3", "$4")+` AND `+pg.Shows("p.source_id", "p.page_id", "$3", "$4")+`)`,
		id, visibleSources(v), seen.Free, seen.Sets).Scan(&holds)
	if err != nil {
		return false, fmt.Errorf("look for pages below %s: %w", id, err)
	}
	return holds, nil
}
