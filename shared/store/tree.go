package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Node is a page or a container (folder, whiteboard, database, embed) in a space's tree.
type Node struct {
	ID         string
	Kind       string // page, one of page.Kinds, folder, whiteboard, database, embed
	Title      string
	ParentID   string // "" at the top
	ParentKind string
}

// inTree runs a statement that writes a source's tree. Such statements are serialized, so that paths built from
// outdated parents do not overwrite newer ones.
func (s *Store) inTree(ctx context.Context, sourceID, sql string, args ...any) error {
	return s.inTx(ctx, "write the tree of "+sourceID, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockTreeSQL, sourceID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}

const lockTreeSQL = `SELECT pg_advisory_xact_lock(hashtextextended('confluence tree:' || $1, 0))`

// pruneContainersSQL deletes the containers of a source that have no page below them.
var pruneContainersSQL = `
	WITH RECURSIVE used AS (
		SELECT parent_id AS id FROM confluence_tree WHERE source_id = $1 AND kind IN ` + contentKinds + ` AND parent_id IS NOT NULL
		UNION
		SELECT t.parent_id FROM used JOIN confluence_tree t ON t.source_id = $1 AND t.node_id = used.id WHERE t.parent_id IS NOT NULL
	)
	DELETE FROM confluence_tree t WHERE t.source_id = $1 AND t.kind NOT IN ` + contentKinds + `
	AND NOT EXISTS (SELECT FROM used WHERE used.id = t.node_id)`

// TreeFromListing copies the parents of the pages in a full listing to the tree. It deletes pages that are neither
// listed nor stored, and containers that are then empty.
func (s *Store) TreeFromListing(ctx context.Context, run Run) error {
	err := s.inTree(ctx, run.SourceID, `
		INSERT INTO confluence_tree AS t (source_id, node_id, kind, title, parent_id, parent_kind, access_known, checked_run)
		SELECT $2, page_id, kind, title, parent_id, parent_kind, kind IN `+partKinds+`, CASE WHEN kind IN `+partKinds+` THEN $1 END
		FROM confluence_sync_pages WHERE run_id = $1 AND outcome IS DISTINCT FROM 'failed' ORDER BY page_id
		ON CONFLICT (source_id, node_id) DO UPDATE SET kind = excluded.kind, title = excluded.title,
			parent_id = excluded.parent_id, parent_kind = excluded.parent_kind
		WHERE (t.kind, t.title, t.parent_id, t.parent_kind)
			IS DISTINCT FROM (excluded.kind, excluded.title, excluded.parent_id, excluded.parent_kind)`,
		run.ID, run.SourceID)
	if err == nil {
		err = s.inTree(ctx, run.SourceID, `
			DELETE FROM confluence_tree t WHERE t.source_id = $2 AND t.kind IN `+contentKinds+`
			AND NOT EXISTS (SELECT FROM confluence_sync_pages l WHERE l.run_id = $1 AND l.page_id = t.node_id)
			AND NOT EXISTS (SELECT FROM confluence_pages p WHERE p.page_id = t.node_id AND p.source_id = $2 AND p.is_deleted = false)`,
			run.ID, run.SourceID)
	}
	if err == nil {
		err = s.inTree(ctx, run.SourceID, pruneContainersSQL, run.SourceID)
	}
	if err != nil {
		return fmt.Errorf("copy the listing to the tree: %w", err)
	}
	return nil
}

// UncheckedContainers returns parents that are not pages and must still be looked up, because a listing of pages does
// not name them. In a full run, these are all containers that the run has not looked up yet; in other runs, only
// unknown ones. Both include containers that an earlier run could not look up. Only ID and Kind are set.
func (s *Store) UncheckedContainers(ctx context.Context, run Run, limit int) ([]Node, error) {
	rows, _ := s.pool.Query(ctx, `
		SELECT DISTINCT ON (c.parent_id) c.parent_id, c.parent_kind FROM confluence_tree c
		LEFT JOIN confluence_tree p ON p.source_id = c.source_id AND p.node_id = c.parent_id
		WHERE c.source_id = $2 AND c.parent_id IS NOT NULL AND c.parent_kind NOT IN `+contentKinds+`
		AND (p.node_id IS NULL OR p.failed_run IS NOT NULL OR $4 = 'full' AND p.checked_run IS DISTINCT FROM $1)
		AND p.failed_run IS DISTINCT FROM $1
		ORDER BY c.parent_id LIMIT $3`, run.ID, run.SourceID, limit, run.Mode)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Node, error) {
		var n Node
		return n, row.Scan(&n.ID, &n.Kind)
	})
	if err != nil {
		return nil, fmt.Errorf("look for unknown containers: %w", err)
	}
	return list, nil
}

// stillUsed excludes a container whose last page was removed while the site was asked for the container. Otherwise
// it would stay until the next full run, since pruneContainersSQL has already run with the removal.
var stillUsed = `(n.kind IN ` + contentKinds + `
	OR EXISTS (SELECT FROM confluence_tree c WHERE c.source_id = $1 AND c.parent_id = n.id))`

// PutNodes stores nodes in a source's tree and marks them as looked up by the run. It omits containers that are not
// the parent of any node.
func (s *Store) PutNodes(ctx context.Context, run Run, nodes []Node) error {
	n := len(nodes)
	ids, kinds, titles := make([]string, n), make([]string, n), make([]string, n)
	parents, parentKinds := make([]string, n), make([]string, n)
	for i, node := range nodes {
		ids[i], kinds[i], titles[i], parents[i], parentKinds[i] = node.ID, node.Kind, node.Title, node.ParentID, node.ParentKind
	}
	err := s.inTree(ctx, run.SourceID, `
		INSERT INTO confluence_tree (source_id, node_id, kind, title, parent_id, parent_kind, checked_run, access_known)
		SELECT DISTINCT ON (id) $1, id, kind, title, nullif(parent, ''), nullif(parent_kind, ''), $2, kind IN `+partKinds+`
		FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) AS n(id, kind, title, parent, parent_kind)
		WHERE `+stillUsed+` ORDER BY id
		ON CONFLICT (source_id, node_id) DO UPDATE SET kind = excluded.kind, title = excluded.title,
			parent_id = excluded.parent_id, parent_kind = excluded.parent_kind, checked_run = excluded.checked_run, failed_run = NULL`,
		run.SourceID, run.ID, ids, kinds, titles, parents, parentKinds)
	if err != nil {
		return fmt.Errorf("put nodes: %w", err)
	}
	return nil
}

// FailNodes records that the run could not look up containers. What is stored of them is kept, and the next run tries
// again. It omits containers that are not the parent of any node. Only ID and Kind are read.
func (s *Store) FailNodes(ctx context.Context, run Run, nodes []Node) error {
	ids, kinds := make([]string, len(nodes)), make([]string, len(nodes))
	for i, node := range nodes {
		ids[i], kinds[i] = node.ID, node.Kind
	}
	err := s.inTree(ctx, run.SourceID, `
		INSERT INTO confluence_tree (source_id, node_id, kind, title, failed_run)
		SELECT DISTINCT ON (id) $1, id, kind, '', $2 FROM unnest($3::text[], $4::text[]) AS n(id, kind)
		WHERE `+stillUsed+` ORDER BY id
		ON CONFLICT (source_id, node_id) DO UPDATE SET failed_run = excluded.failed_run`,
		run.SourceID, run.ID, ids, kinds)
	if err != nil {
		return fmt.Errorf("put nodes that could not be looked up: %w", err)
	}
	return nil
}

// StrayNodes returns the nodes that are missing in the source's tree or differ from it. A full run finds none because
// its listing has written them.
func (s *Store) StrayNodes(ctx context.Context, sourceID string, nodes []Node) ([]Node, error) {
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID
	}
	rows, _ := s.pool.Query(ctx, `
		SELECT node_id, kind, title, coalesce(parent_id, ''), coalesce(parent_kind, '') FROM confluence_tree
		WHERE source_id = $1 AND node_id = ANY ($2) AND path IS NOT NULL`, sourceID, ids)
	known, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Node])
	if err != nil {
		return nil, fmt.Errorf("read tree: %w", err)
	}
	same := make(map[Node]bool, len(known))
	for _, n := range known {
		same[n] = true
	}
	var stray []Node
	for _, n := range nodes {
		if !same[n] {
			stray = append(stray, n)
		}
	}
	return stray, nil
}

// BuildPaths computes the path and the titles along it for every node of a source from the parents. A parent that is
// unknown, for example because the account cannot read it, still appears in the path. Nodes on a cycle are placed at
// the top: Confluence has no cycles, but a listing that takes a while can show one. Nodes whose place has changed
// become stale until Repath has updated their pages.
func (s *Store) BuildPaths(ctx context.Context, sourceID string) error {
	err := s.inTree(ctx, sourceID, `
		WITH RECURSIVE built (node_id, path, trail) AS (
			SELECT n.node_id, coalesce('/' || n.parent_id, '') || '/' || n.node_id, n.title
			FROM confluence_tree n
			WHERE n.source_id = $1 AND NOT EXISTS (
				SELECT FROM confluence_tree p WHERE p.source_id = $1 AND p.node_id = n.parent_id)
			UNION ALL
			SELECT c.node_id, b.path || '/' || c.node_id, b.trail || E'\n' || c.title
			FROM built b JOIN confluence_tree c ON c.source_id = $1 AND c.parent_id = b.node_id
		)
		UPDATE confluence_tree t SET path = coalesce(b.path, '/' || t.node_id), trail = coalesce(b.trail, t.title), stale = true
		FROM confluence_tree n LEFT JOIN built b USING (node_id)
		WHERE n.source_id = $1 AND t.source_id = $1 AND t.node_id = n.node_id
		AND (t.path, t.trail) IS DISTINCT FROM (coalesce(b.path, '/' || t.node_id), coalesce(b.trail, t.title))`, sourceID)
	if err != nil {
		return fmt.Errorf("build paths of %s: %w", sourceID, err)
	}
	return nil
}

// PagesByTitle returns the ids of the source's pages with the given titles: links in storage format name a title, and
// titles are unique in a space.
func (s *Store) PagesByTitle(ctx context.Context, sourceID string, titles []string) (map[string]string, error) {
	found := map[string]string{}
	if len(titles) == 0 {
		return found, nil
	}
	rows, _ := s.pool.Query(ctx, `SELECT title, node_id FROM confluence_tree
		WHERE source_id = $1 AND kind = 'page' AND title = ANY ($2)`, sourceID, titles)
	var title, id string
	_, err := pgx.ForEachRow(rows, []any{&title, &id}, func() error {
		found[title] = id
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look pages up by title: %w", err)
	}
	return found, nil
}
