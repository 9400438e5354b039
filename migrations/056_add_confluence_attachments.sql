-- +goose Up
-- Attachments beside pages, blog posts and threads of comments. The same bytes are read once, wherever they are.

SET LOCAL lock_timeout = '10s';

CREATE INDEX idx_confluence_pages_file ON confluence_pages ((metadata->'file'->>'sha256')) WHERE kind = 'attachment';

COMMENT ON COLUMN confluence_sync_runs.kinds IS 'the kinds that the run is about besides pages, as its source was set when it was asked for: blogpost, comment, attachment';
COMMENT ON COLUMN confluence_pages.kind IS 'page, blogpost, comment or attachment; a comment is a thread and, as an attachment, below its page';
COMMENT ON COLUMN confluence_sync_pages.kind IS 'page, blogpost, comment or attachment, as listed';
COMMENT ON COLUMN confluence_tree.kind IS 'page, blogpost, comment, attachment, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_readable_pages.kind IS 'page, blogpost, comment or attachment';

-- +goose Down
SET LOCAL lock_timeout = '10s';
DROP INDEX idx_confluence_pages_file;
