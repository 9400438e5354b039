package storebench

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Grow has a source hold times as many pages as were synced: it adds copies of each of these with different ids, titles
// and addresses, unless they are there from an earlier call. In the copies, the number of the generated page differs too, so that rare words stay rare. It drops the
// indexes on chunks first, and creates them again at the end. It works over the given number of connections, and
// finally updates the planner's statistics.
func Grow(ctx context.Context, databaseURL, sourceID string, times, connections int) error {
	err := grow(ctx, databaseURL, sourceID, times, connections)
	if err != nil {
		return fmt.Errorf("make the knowledge base %d times as large: %w", times, err)
	}
	return Vacuum(ctx, databaseURL)
}

func grow(ctx context.Context, databaseURL, sourceID string, times, connections int) error {
	var indexes []index
	var have int
	err := with(ctx, databaseURL, func(c *pgx.Conn) (err error) {
		if indexes, err = indexesOf(ctx, c); err != nil {
			return err
		}
		for _, i := range indexes {
			if _, err := c.Exec(ctx, "DROP INDEX "+pgx.Identifier{i.name}.Sanitize()); err != nil {
				return err
			}
		}
		return c.QueryRow(ctx, `SELECT count(*) / greatest(count(*) FILTER (WHERE page_id !~ '-'), 1) FROM confluence_pages WHERE source_id = $1`, sourceID).Scan(&have)
	})
	if err != nil {
		return err
	}
	group, copying := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for n := have; n < times; n++ {
		group.Go(func() error {
			return with(copying, databaseURL, func(c *pgx.Conn) error { return addCopy(copying, c, sourceID, n) })
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	group, building := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for _, i := range indexes {
		group.Go(func() error {
			return with(building, databaseURL, func(c *pgx.Conn) error {
				_, err := c.Exec(building, "SET maintenance_work_mem = '512MB'; "+i.definition)
				return err
			})
		})
	}
	return group.Wait()
}

// Vacuum runs VACUUM ANALYZE, which the database would otherwise do later.
func Vacuum(ctx context.Context, databaseURL string) error {
	err := with(ctx, databaseURL, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "VACUUM ANALYZE")
		return err
	})
	if err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	return nil
}

type index struct{ name, definition string }

// indexesOf lists the indexes on chunks that do not belong to a constraint.
func indexesOf(ctx context.Context, c *pgx.Conn) ([]index, error) {
	rows, err := c.Query(ctx, `SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
		WHERE i.indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)`, chunks)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (i index, err error) {
		err = r.Scan(&i.name, &i.definition)
		i.name = strings.Trim(i.name, `"`)
		return i, err
	})
}

// addCopy adds copy n of every original page. The ids of originals contain no dash.
func addCopy(ctx context.Context, c *pgx.Conn, sourceID string, n int) error {
	const (
		// The generator puts "generated page 17" into a body and "(17)" at the end of a title.
		text  = `regexp_replace(%s, 'generated page (\d+)', 'generated page \1' || lpad($2::text, 3, '0'))`
		title = `regexp_replace(%s, '\((\d+)\)$', '(\1' || lpad($2::text, 3, '0') || ')')`
	)
	of := func(pattern, column string) string { return fmt.Sprintf(pattern, column) }
	for _, sql := range []string{
		`INSERT INTO confluence_pages (page_id, site_id, source_id, space_key, title, version, last_modified, is_deleted, path, metadata, kind)
			SELECT page_id || '-' || $2, site_id, source_id, space_key, ` + of(title, "title") + `, version, last_modified, is_deleted,
				regexp_replace(path, '(\d+)', '\1-' || $2, 'g'), metadata, kind
			FROM confluence_pages WHERE source_id = $1 AND page_id !~ '-'`,
		`INSERT INTO confluence_page_content (page_id, site_id, url, markdown, losses, headings, includes, pipeline_version)
			SELECT page_id || '-' || $2, c.site_id, url || '-' || $2, ` + of(text, "markdown") + `, losses, c.headings, includes, pipeline_version
			FROM confluence_page_content c JOIN confluence_pages p USING (page_id, site_id) WHERE source_id = $1 AND page_id !~ '-'`,
		`INSERT INTO archon_crawled_pages (url, chunk_number, content, metadata, source_id)
			SELECT url || '-' || $2, chunk_number, ` + of(text, "content") + `, metadata || jsonb_build_object(
				'page_id', metadata->>'page_id' || '-' || $2, 'confluence_page_id', metadata->>'confluence_page_id' || '-' || $2, 'title', ` + of(title, "metadata->>'title'") + `, 'url', url || '-' || $2), source_id
			FROM archon_crawled_pages WHERE source_id = $1 AND metadata->>'confluence_page_id' !~ '-'`,
	} {
		if _, err := c.Exec(ctx, sql, sourceID, fmt.Sprint(n)); err != nil {
			return err
		}
	}
	return nil
}
