-- +goose Up
-- The trigram index on chunks is Archon's, and nothing in Sluice reads it: words that are nearly
-- right are found through the index on words. It costs as much to keep as everything else that
-- is done to write a chunk, so a database without an Archon goes without it. Archon's own setup
-- makes it where it moves in, and there it stays.

-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('archon_code_examples') IS NULL AND to_regclass('archon_page_metadata') IS NULL THEN
        DROP INDEX IF EXISTS idx_archon_crawled_pages_content_trgm;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('archon_code_examples') IS NULL AND to_regclass('archon_page_metadata') IS NULL
        AND EXISTS (SELECT FROM pg_opclass WHERE opcname = 'gin_trgm_ops' AND pg_opclass_is_visible(oid)) THEN
        CREATE INDEX IF NOT EXISTS idx_archon_crawled_pages_content_trgm ON archon_crawled_pages USING gin (content gin_trgm_ops);
    END IF;
END
$$;
-- +goose StatementEnd
