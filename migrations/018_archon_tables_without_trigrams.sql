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
-- The tables stay when Sluice goes, and nobody is left who would read the index.
SELECT 1;
