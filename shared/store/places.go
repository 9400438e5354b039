package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// Place is the position of a page in its space's tree.
type Place struct {
	Path      string          // /<ancestor id>/…/<page id>
	Ancestors []page.Ancestor // from the top, without the unknown ones
	Trail     string          // the titles along the path, including the page's own, one per line
}

// Breadcrumb returns the known titles of the ancestors, from the top.
func (p Place) Breadcrumb() []string {
	titles := make([]string, 0, len(p.Ancestors))
	for _, a := range p.Ancestors {
		if a.Title != "" {
			titles = append(titles, a.Title)
		}
	}
	return titles
}

// Place returns a page's path and ancestors. A page that is not in the tree is at the top. baseURL is the site's
// address, for the addresses of the ancestors.
func (s *Store) Place(ctx context.Context, sourceID, pageID, spaceKey, baseURL string) (Place, error) {
	// With a single id, the server plans this once; with a list, it would plan it at every call.
	list, err := places(ctx, s.pool, sourceID, site{baseURL, spaceKey}, pickOne, pageID)
	if err != nil {
		return Place{}, fmt.Errorf("read place of page %s: %w", pageID, err)
	}
	if place, ok := list[pageID]; ok {
		return place, nil
	}
	return Place{Path: "/" + pageID, Ancestors: []page.Ancestor{}}, nil
}

// pickOne picks one node for places.
const pickOne = "me.node_id = $2"

// placesSQL reads the steps of paths. OFFSET 0 keeps the planner from joining the whole tree of the source: without
// statistics, as in a first sync, it expects a few rows there and would read all of them for each page.
func placesSQL(picked string) string {
	return `
		SELECT me.node_id, me.path, coalesce(me.trail, ''), t.node_id, t.kind, t.title
		FROM confluence_tree me CROSS JOIN unnest(string_to_array(me.path, '/')) WITH ORDINALITY AS step(id, place)
		CROSS JOIN LATERAL (SELECT n.node_id, n.kind, n.title FROM confluence_tree n WHERE n.source_id = $1 AND n.node_id = step.id OFFSET 0) t
		WHERE me.source_id = $1 AND ` + picked + ` AND me.path IS NOT NULL
		ORDER BY me.node_id, step.place`
}

// places reads the places of the nodes in the tree that meet the condition picked on me and $2.
func places(ctx context.Context, q pg.Querier, sourceID string, at site, picked string, by any) (map[string]Place, error) {
	rows, err := q.Query(ctx, placesSQL(picked), sourceID, by)
	if err != nil {
		return nil, err
	}
	found := map[string]Place{}
	var me, path, trail, id, kind, title string
	_, err = pgx.ForEachRow(rows, []any{&me, &path, &trail, &id, &kind, &title}, func() error {
		p, ok := found[me]
		if !ok {
			p = Place{Path: path, Trail: trail, Ancestors: []page.Ancestor{}}
		}
		if id != me {
			p.Ancestors = append(p.Ancestors, page.Ancestor{ID: id, Title: title, URL: at.address(kind, id, title, p.Ancestors)})
		}
		found[me] = p
		return nil
	})
	return found, err
}

// site is the prefix of the addresses of a source's pages.
type site struct{ base, space string }

// address returns the URL of a node: by its id in its space or, in a system without spaces, by the names along its
// path.
func (s site) address(kind, id, title string, above []page.Ancestor) string {
	if s.space != "" {
		switch kind {
		case "page":
			kind = "pages"
		case page.BlogPost: // the site's own address has the day, too
			return s.base + "/pages/viewpage.action?pageId=" + id
		}
		return s.base + "/spaces/" + s.space + "/" + kind + "/" + id
	}
	parent := s.base
	if n := len(above); n > 0 {
		parent = above[n-1].URL
	}
	return parent + "/" + url.PathEscape(title)
}

// repathAtOnce limits the pages in one transaction, since it holds a lock for each.
const repathAtOnce = 250

// Repath updates stored pages to their current place in the tree: path, ancestors and their chunks' breadcrumbs. It
// does not need their bodies. A page that has not changed otherwise ends as updated in the run.
func (s *Store) Repath(ctx context.Context, run Run) error {
	src, err := s.Source(ctx, run.SourceID)
	if err != nil {
		return err
	}
	after := ""
	for {
		rows, _ := s.pool.Query(ctx, `SELECT node_id FROM confluence_tree
			WHERE source_id = $1 AND stale AND node_id > $2 ORDER BY node_id LIMIT $3`, src.ID, after, repathAtOnce)
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("look for pages that have moved: %w", err)
		}
		if len(ids) == 0 {
			return nil
		}
		after = ids[len(ids)-1]
		err = s.inTx(ctx, "move pages of "+src.ID, func(tx pgx.Tx) error { return repath(ctx, tx, run, site{src.BaseURL, src.SpaceKey}, ids) })
		if err != nil {
			return err
		}
	}
}

func repath(ctx context.Context, tx pgx.Tx, run Run, at site, ids []string) error {
	if err := lockPages(ctx, tx, run.SourceID, ids...); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, lockTreeSQL, run.SourceID); err != nil {
		return err
	}
	// This comes before the places are read: a later change makes the node stale again.
	_, err := tx.Exec(ctx, `UPDATE confluence_tree SET stale = false WHERE source_id = $1 AND node_id = ANY ($2)`, run.SourceID, ids)
	if err != nil {
		return err
	}
	list, err := places(ctx, tx, run.SourceID, at, "me.node_id = ANY ($2)", ids)
	if err != nil {
		return err
	}
	var known, paths, ancestors, crumbs []string
	for id, place := range list {
		above, aboveErr := json.Marshal(place.Ancestors)
		crumb, crumbErr := json.Marshal(place.Breadcrumb())
		if err := errors.Join(aboveErr, crumbErr); err != nil {
			return fmt.Errorf("encode ancestors: %w", err)
		}
		known, paths = append(known, id), append(paths, place.Path)
		ancestors, crumbs = append(ancestors, string(above)), append(crumbs, string(crumb))
	}
	b := &pgx.Batch{}
	// The address of a file names the page that it is on, and so does each of its citations: it is written again.
	b.Queue(`UPDATE confluence_page_content c SET pipeline_version = $4
		FROM confluence_pages p JOIN unnest($2::text[], $3::text[]) AS n(id, path) ON p.page_id = n.id
		WHERE c.page_id = p.page_id AND c.site_id = p.site_id AND p.source_id = $1 AND p.kind = 'attachment' AND NOT p.is_deleted
		AND `+parentOf+` <> coalesce(substring(n.path from '/([^/]+)/[^/]+$'), '')`, run.SourceID, known, paths, incomplete)
	b.Queue(`
		WITH moved AS (
			UPDATE confluence_pages p SET path = n.path, metadata = jsonb_set(p.metadata, '{ancestors}', n.ancestors::jsonb), updated_at = now()
			FROM unnest($3::text[], $4::text[], $5::text[]) AS n(id, path, ancestors)
			WHERE p.page_id = n.id AND p.source_id = $2 AND p.is_deleted = false
			AND (p.path <> n.path OR p.metadata->'ancestors' IS DISTINCT FROM n.ancestors::jsonb)
			RETURNING p.page_id, p.site_id, p.version, p.last_modified, p.title
		)
		UPDATE confluence_sync_pages l SET outcome = 'updated', ended_at = now()
		FROM moved p JOIN confluence_page_content c USING (page_id, site_id)
		WHERE l.run_id = $1 AND l.page_id = p.page_id AND l.outcome IS NULL AND l.status = 'current'
		AND `+sameVersion+` AND p.title = l.title AND c.pipeline_version = $6`,
		run.ID, run.SourceID, known, paths, ancestors, Pipeline)
	b.Queue(`
		UPDATE archon_crawled_pages c SET metadata = jsonb_set(c.metadata, '{breadcrumb}', n.crumb::jsonb)
		FROM unnest($2::text[], $3::text[]) AS n(id, crumb)
		WHERE `+pg.ChunkOfPages("c", "= n.id")+` AND c.source_id = $1
		AND c.metadata->'breadcrumb' IS DISTINCT FROM n.crumb::jsonb`,
		run.SourceID, known, crumbs)
	b.Queue(`SELECT confluence_place_layers($1, $2)`, run.SourceID, known) // the pages no longer name former ancestors
	return tx.SendBatch(ctx, b).Close()
}
