-- +goose Up
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_page_content ADD COLUMN last_edit jsonb;

COMMENT ON COLUMN confluence_page_content.last_edit IS 'what the last version that was written changed in the page''s chunks: how many were inserted, renumbered, kept and removed, and which; NULL for a page that was written before this was kept';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_page_content DROP COLUMN last_edit;
