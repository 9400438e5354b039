package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/page"
)

// KeptPage is a removed page whose Markdown is still stored.
type KeptPage struct {
	Page     page.Facts
	Metadata page.Metadata
	Markdown string
	Headings []page.Heading
	Losses   []page.Loss
	Includes []page.Link
}

// sameVersion is the SQL condition that the stored page p is the version listed as l. The number alone is not enough:
// when versions are deleted, a number can be used again for other text.
const sameVersion = `p.version = l.version AND (l.version_at IS NULL OR p.last_modified = l.version_at)`

// KeptPages returns pages that were removed from the run's source and that the run lists in the version that is still
// stored: they can be restored without being fetched.
func (s *Store) KeptPages(ctx context.Context, run Run, ids []string) ([]KeptPage, error) {
	rows, _ := s.pool.Query(ctx, `
		SELECT p.page_id, CASE WHEN p.kind <> 'page' THEN p.kind ELSE '' END, p.version, p.title, p.space_key, p.last_modified, c.url, coalesce(c.body_hash, ''), coalesce(l.parent_id, ''), coalesce(l.parent_kind, ''),
			p.metadata, c.markdown, c.headings, c.losses, c.includes
		FROM confluence_sync_pages l JOIN confluence_pages p USING (page_id) JOIN confluence_page_content c USING (page_id, site_id)
		WHERE l.run_id = $1 AND l.page_id = ANY ($3) AND l.outcome IS NULL AND l.status = 'current'
		AND p.source_id = $2 AND p.is_deleted AND `+sameVersion+` AND p.title = l.title AND c.pipeline_version = $4
		ORDER BY p.page_id`, run.ID, run.SourceID, ids, Pipeline)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k KeptPage, err error) {
		err = row.Scan(&k.Page.ID, &k.Page.Kind, &k.Page.Version, &k.Page.Title, &k.Page.SpaceKey, &k.Page.ModifiedAt, &k.Page.URL, &k.Page.Hash,
			&k.Page.ParentID, &k.Page.ParentType, &k.Metadata, &k.Markdown, &k.Headings, &k.Losses, &k.Includes)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("read kept pages of run %s: %w", run.ID, err)
	}
	return list, nil
}
