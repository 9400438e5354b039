package storetest

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// grownSQL gives the source $3 $1 pages with a chunk each, and $2 runs: the last listed all pages, the others a hundred.
var grownSQL = []string{
	`INSERT INTO confluence_pages (page_id, source_id, space_key, title, version, last_modified, path, metadata, site_id)
		SELECT i::text, $3::text, 'DOCS', 'Page ' || i, 1, now(), '/' || i, '{"labels": ["x"], "word_count": 7}', (SELECT site_id FROM confluence_spaces WHERE source_id = $3::text)
		FROM generate_series(1000, 999 + $1::int) i WHERE $2::int > 0 AND $3::text <> ''`,
	`INSERT INTO confluence_page_content (page_id, url, markdown, losses, pipeline_version, site_id)
		SELECT i::text, 'https://acme.atlassian.net/wiki/' || i, '# Page', '[{"element": "macro:toc", "fate": "dropped", "count": 1}]', 1, (SELECT site_id FROM confluence_spaces WHERE source_id = $3::text)
		FROM generate_series(1000, 999 + $1::int) i WHERE $2::int > 0 AND $3::text <> ''`,
	`INSERT INTO archon_crawled_pages (url, chunk_number, content, metadata, source_id)
		SELECT 'https://acme.atlassian.net/wiki/' || i, 0, 'The harbour has lights, number ' || i, jsonb_build_object('confluence_page_id', i::text, 'title', 'Page ' || i), $3::text
		FROM generate_series(1000, 999 + $1::int) i WHERE $2::int > 0 AND $3::text <> ''`,
	`INSERT INTO confluence_sync_runs (run_id, source_id, requested_mode, mode, state, requested_at, started_at, listing_started_at, listing_completed_at, listed, removals_checked_at, finished_at)
		SELECT 'grown-' || r, $3::text, 'full', 'full', 'completed', t, t, t, t, CASE WHEN r = $2::int THEN $1::int ELSE least(100, $1::int) END, t, t
		FROM (SELECT r, now() - ($2::int - r + 1) * interval '1 minute' AS t FROM generate_series(1, $2::int) r) x WHERE $3::text <> ''`,
	`INSERT INTO confluence_sync_pages (run_id, page_id, version, title, outcome, ended_at, fetched_at, converted_at, bytes)
		SELECT 'grown-' || r, i::text, 1, 'Page ' || i, CASE WHEN r = $2::int THEN 'created' ELSE 'unchanged' END, now(), now(), now(), 1000
		FROM generate_series(1, $2::int) r CROSS JOIN LATERAL generate_series(1000, 999 + CASE WHEN r = $2::int THEN $1::int ELSE least(100, $1::int) END) i WHERE $3::text <> ''`,
	`UPDATE confluence_sync_runs SET report = jsonb_build_object('bytes', 1000 * $1::bigint, 'listing_seconds', 0, 'fetching_seconds', 0,
			'stages', '[{"stage": "fetch", "pages": 1, "p50_seconds": 0, "p95_seconds": 0}]'::jsonb, 'slowest_pages', '[{"page_id": "1000", "seconds": 0}]'::jsonb)
		WHERE run_id = 'grown-' || $2::int AND $3::text <> ''`,
}

// Grow gives a source of the database at url many pages, with the ids from 1000 on and a chunk each, and runs with the ids
// grown-1, grown-2 and so on: the last one listed all pages, the others up to a hundred. The pages are in no tree, and
// their words are not counted.
func Grow(tb testing.TB, url, source string, pages, runs int) {
	tb.Helper()
	db, err := pgx.Connect(tb.Context(), url)
	require.NoError(tb, err)
	defer func() { _ = db.Close(tb.Context()) }()
	_, err = db.Exec(tb.Context(), `SET session_replication_role = replica`) // without triggers
	require.NoError(tb, err)
	for _, sql := range grownSQL {
		_, err := db.Exec(tb.Context(), sql, pages, runs, source)
		require.NoError(tb, err)
	}
	_, err = db.Exec(tb.Context(), `ANALYZE`)
	require.NoError(tb, err)
}
