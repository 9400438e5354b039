-- +goose Up
-- One row a Confluence page. Its chunks live in archon_crawled_pages, tied to it by
-- metadata->>'page_id'.

CREATE TABLE confluence_pages (
    page_id       text PRIMARY KEY,
    source_id     text NOT NULL REFERENCES archon_sources (source_id) ON DELETE CASCADE,
    space_key     text NOT NULL,
    title         text NOT NULL,
    version       integer NOT NULL,
    last_modified timestamptz NOT NULL,
    is_deleted    boolean NOT NULL DEFAULT false,
    path          text NOT NULL,
    metadata      jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX idx_confluence_pages_source ON confluence_pages (source_id) WHERE is_deleted = false;
CREATE INDEX idx_confluence_pages_space ON confluence_pages (space_key);
CREATE INDEX idx_confluence_pages_path ON confluence_pages (path text_pattern_ops);
CREATE INDEX idx_confluence_pages_jira_issue_links ON confluence_pages USING gin ((metadata -> 'jira_issue_links'));
CREATE INDEX idx_confluence_pages_user_mentions ON confluence_pages USING gin ((metadata -> 'user_mentions'));
CREATE INDEX idx_confluence_chunks_page_id ON archon_crawled_pages ((metadata ->> 'page_id')) WHERE metadata ? 'page_id';

COMMENT ON TABLE confluence_pages IS 'Confluence pages as last synced; chunks are in archon_crawled_pages';
COMMENT ON COLUMN confluence_pages.page_id IS 'Confluence''s page id';
COMMENT ON COLUMN confluence_pages.version IS 'version.number of the stored body; an older one never overwrites it';
COMMENT ON COLUMN confluence_pages.last_modified IS 'when Confluence made this version';
COMMENT ON COLUMN confluence_pages.is_deleted IS 'left the space; such a page has no chunks';
COMMENT ON COLUMN confluence_pages.path IS 'materialized path /<ancestor id>/…/<page id>; folders count as ancestors';
COMMENT ON COLUMN confluence_pages.metadata IS 'ancestors, children, created_by, labels, jira_issue_links, user_mentions, internal_links, external_links, asset_links, word_count, content_length';

-- Supabase, as Archon uses it, has row level security on; elsewhere its roles do not exist.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated')
       AND to_regprocedure('auth.role()') IS NOT NULL THEN
        ALTER TABLE confluence_pages ENABLE ROW LEVEL SECURITY;
        CREATE POLICY "Allow service role full access" ON confluence_pages
            FOR ALL USING (auth.role() = 'service_role');
        CREATE POLICY "Allow authenticated users to read" ON confluence_pages
            FOR SELECT TO authenticated USING (true);
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP INDEX idx_confluence_chunks_page_id;
DROP TABLE confluence_pages;
