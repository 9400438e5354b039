-- +goose Up
-- A page's Markdown with the record of what conversion lost, kept also for pages that are
-- hidden, and the tree of pages and folders from which paths and breadcrumbs are built.

CREATE TABLE confluence_page_content (
    page_id          text PRIMARY KEY REFERENCES confluence_pages (page_id) ON DELETE CASCADE,
    url              text NOT NULL,
    markdown         text NOT NULL,
    losses           jsonb NOT NULL DEFAULT '[]',
    headings         jsonb NOT NULL DEFAULT '[]',
    includes         jsonb NOT NULL DEFAULT '[]',
    pipeline_version integer NOT NULL,
    updated_at       timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE confluence_tree (
    source_id   text NOT NULL REFERENCES archon_sources (source_id) ON DELETE CASCADE,
    node_id     text NOT NULL,
    kind        text NOT NULL,
    title       text NOT NULL,
    parent_id   text,
    parent_kind text,
    path        text,
    checked_run text,
    PRIMARY KEY (source_id, node_id)
);
CREATE INDEX idx_confluence_tree_parent ON confluence_tree (source_id, parent_id);
CREATE INDEX idx_confluence_tree_title ON confluence_tree (source_id, title);

COMMENT ON TABLE confluence_page_content IS 'A page''s Markdown and conversion losses';
COMMENT ON COLUMN confluence_page_content.includes IS 'pages that this one transcludes, by id where it is known and by title';
COMMENT ON COLUMN confluence_page_content.pipeline_version IS 'the converter''s and chunker''s generation; a new one rewrites the page';
COMMENT ON TABLE confluence_tree IS 'Pages, folders, whiteboards, databases and embeds by parent';
COMMENT ON COLUMN confluence_tree.path IS '/<ancestor id>/…/<node id>; begins with the first ancestor that is not known';

-- lz4 compresses bodies several times as fast as the default; not every build has it.
-- +goose StatementBegin
DO $$
BEGIN
    ALTER TABLE confluence_page_content ALTER COLUMN markdown SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;
-- +goose StatementEnd

-- Supabase, as Archon uses it, serves every table to anyone who has its public key, unless row
-- level security is on.
-- +goose StatementBegin
DO $$
DECLARE
    ours text;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated')
       AND to_regprocedure('auth.role()') IS NOT NULL THEN
        FOREACH ours IN ARRAY ARRAY['confluence_sync_runs', 'confluence_sync_pages', 'confluence_page_content', 'confluence_tree'] LOOP
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', ours);
            EXECUTE format('CREATE POLICY "Allow service role full access" ON %I FOR ALL USING (auth.role() = ''service_role'')', ours);
        END LOOP;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE confluence_tree;
DROP TABLE confluence_page_content;
