-- +goose Up
-- A system that counts no versions, such as a folder of files, tells by the content what changed.

ALTER TABLE confluence_page_content ADD COLUMN body_hash text;

COMMENT ON COLUMN confluence_page_content.body_hash IS 'of the content as it was read, where its system counts no versions; the ledger counts them then';
COMMENT ON COLUMN confluence_removals.reason IS 'trashed, archived, moved, unreadable, excluded or deleted';

-- +goose Down
ALTER TABLE confluence_page_content DROP COLUMN body_hash;
