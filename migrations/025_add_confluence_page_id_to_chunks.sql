-- +goose Up
-- A chunk names its page by a key that is ours alone. Archon takes metadata.page_id for the id of a row
-- of its own, so where it has such rows the store writes that id there; see
-- docs/adr/0018-what-a-page-is-called.md. The index on page_id stays as it was.

-- Without an Archon nobody reads these indexes of its table, and Archon's own set-up makes them
-- without asking whether they are there: it failed. The one that is needed gets a name of ours.
-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('archon_code_examples') IS NULL AND to_regclass('archon_page_metadata') IS NULL THEN
        DROP INDEX IF EXISTS idx_archon_crawled_pages_metadata;
        DROP INDEX IF EXISTS idx_archon_crawled_pages_content_search;
        DROP INDEX IF EXISTS idx_archon_crawled_pages_embedding_model;
        DROP INDEX IF EXISTS idx_archon_crawled_pages_embedding_dimension;
        DROP INDEX IF EXISTS idx_archon_crawled_pages_llm_chat_model;
        DROP INDEX IF EXISTS idx_archon_crawled_pages_source_id;
        CREATE INDEX idx_confluence_chunks_source ON archon_crawled_pages (source_id);
    END IF;
END
$$;
-- +goose StatementEnd

UPDATE archon_crawled_pages c SET metadata = c.metadata || jsonb_build_object('confluence_page_id', c.metadata ->> 'page_id')
FROM archon_sources s
WHERE s.source_id = c.source_id AND (s.metadata ->> 'source_type' = 'confluence' OR s.metadata ? 'sluice_system')
    AND c.metadata ->> 'crawl_type' IN ('confluence', 'page') AND c.metadata ->> 'page_id' IS NOT NULL AND NOT c.metadata ? 'confluence_page_id';

CREATE INDEX idx_confluence_chunks_confluence_page_id ON archon_crawled_pages ((metadata ->> 'confluence_page_id'))
    WHERE metadata ? 'confluence_page_id';

-- What a chunk shows is found by these. Archon's own chunks are in none of them.
CREATE INDEX idx_confluence_chunks_jira_issue_links ON archon_crawled_pages USING gin ((metadata -> 'jira_issue_links'))
    WHERE metadata ? 'jira_issue_links';
CREATE INDEX idx_confluence_chunks_user_mentions ON archon_crawled_pages USING gin ((metadata -> 'user_mentions'))
    WHERE metadata ? 'user_mentions';
CREATE INDEX idx_confluence_chunks_internal_links ON archon_crawled_pages USING gin ((metadata -> 'internal_links'))
    WHERE metadata ? 'internal_links';

-- Archon's page knows a source of the type url as a web page, and any other as an uploaded document.
-- A crawl of the wiki by its Refresh would find the way in, not the pages: the address that it
-- would crawl is one that it cannot.
UPDATE archon_sources SET metadata = metadata || jsonb_build_object(
    'sluice_system', coalesce(metadata ->> 'sluice_system', 'confluence'),
    'source_type', 'url',
    'update_frequency', coalesce(metadata -> 'update_frequency', '7'),
    'original_url', 'sluice+' || coalesce(source_url, ''))
WHERE metadata ->> 'source_type' = 'confluence' OR metadata ? 'sluice_system';

-- +goose Down
-- Older releases know a chunk's page by page_id alone: it holds Confluence's id again, and the rows
-- for an Archon go.
-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('archon_page_metadata') IS NOT NULL THEN
        UPDATE archon_crawled_pages SET page_id = NULL WHERE metadata ? 'confluence_page_id' AND page_id IS NOT NULL;
        DELETE FROM archon_page_metadata WHERE metadata ? 'sluice_document';
    END IF;
END
$$;
-- +goose StatementEnd
UPDATE archon_crawled_pages SET metadata = metadata - 'confluence_page_id' || jsonb_build_object('page_id', metadata -> 'confluence_page_id')
WHERE metadata ? 'confluence_page_id';
UPDATE archon_sources SET metadata = metadata || jsonb_build_object('source_type', metadata ->> 'sluice_system', 'original_url', source_url)
WHERE metadata ? 'sluice_system';
DROP INDEX idx_confluence_chunks_internal_links;
DROP INDEX idx_confluence_chunks_user_mentions;
DROP INDEX idx_confluence_chunks_jira_issue_links;
DROP INDEX idx_confluence_chunks_confluence_page_id;
DROP INDEX IF EXISTS idx_confluence_chunks_source;
