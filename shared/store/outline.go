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
	// The first step of a path may be an unknown parent, which does not count as a level.
	rows, _ := r.pool.Query(ctx, `
		WITH base AS (SELECT CASE WHEN $2 = '' THEN '' ELSE (SELECT path FROM confluence_tree WHERE source_id = $1 AND node_id = $2) END AS path),
		below AS (
			SELECT t.*, cardinality(string_to_array(t.path, '/')) - greatest(cardinality(string_to_array((SELECT path FROM base), '/')), 1)
				- CASE WHEN (SELECT path FROM base) = '' AND NOT EXISTS (
					SELECT FROM confluence_tree top WHERE top.source_id = $1 AND top.node_id = split_part(t.path, '/', 2)) THEN 1 ELSE 0 END AS level
			FROM confluence_tree t WHERE t.source_id = $1 AND starts_with(t.path, (SELECT path FROM base) || '/')
		)
		SELECT t.node_id, t.kind, t.title, t.level, coalesce(c.url, ''), coalesce((p.metadata->>'content_length')::int, octet_length(c.markdown), 0), inner_pages.n, p.last_modified
		FROM below t
		LEFT JOIN confluence_pages p ON p.page_id = t.node_id AND p.source_id = $1 AND NOT p.is_deleted
		LEFT JOIN confluence_page_content c ON c.page_id = p.page_id AND c.site_id = p.site_id
		CROSS JOIN LATERAL (SELECT count(*)::int AS n FROM confluence_pages b WHERE b.source_id = $1 AND NOT b.is_deleted AND `+pg.Shows("b.source_id", "b.page_id", "$6", "$7")+`
			AND b.path ~>=~ (t.path || '/') AND b.path ~<~ (t.path || '0')) inner_pages
		WHERE t.level <= $3 AND `+pg.Shows("t.source_id", "t.node_id", "$6", "$7")+` AND (p.page_id IS NOT NULL OR t.kind NOT IN ('page', 'blogpost') AND inner_pages.n > 0)
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
