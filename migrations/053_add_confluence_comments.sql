-- +goose Up
-- Threads of comments beside pages and blog posts. Which kinds a run lists besides pages is a list now.

SET LOCAL lock_timeout = '10s';

ALTER TABLE confluence_sync_runs ADD COLUMN kinds text[] NOT NULL DEFAULT '{}';
UPDATE confluence_sync_runs SET kinds = '{blogpost}' WHERE blog_posts;

-- Files of pages are to be of a kind of their own, too. The old index goes last, because that stops all who read the tree.
ALTER INDEX idx_confluence_tree_layer_set RENAME TO idx_confluence_tree_layer_set_before;
CREATE INDEX idx_confluence_tree_layer_set ON confluence_tree (layer_set, source_id, node_id) WHERE kind IN ('page', 'blogpost', 'comment', 'attachment');
DROP INDEX idx_confluence_tree_layer_set_before;

COMMENT ON COLUMN confluence_sync_runs.kinds IS 'the kinds that the run is about besides pages, as its source was set when it was asked for: blogpost, comment';
COMMENT ON COLUMN confluence_pages.kind IS 'page, blogpost or comment; a comment is a thread and below its page';
COMMENT ON COLUMN confluence_sync_pages.kind IS 'page, blogpost or comment, as listed';
COMMENT ON COLUMN confluence_sync_pages.parent_kind IS 'page, blogpost, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_tree.kind IS 'page, blogpost, comment, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_tree.parent_kind IS 'page, blogpost, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_readable_pages.kind IS 'page, blogpost or comment';

-- +goose Down
SET LOCAL lock_timeout = '10s';
DROP INDEX idx_confluence_tree_layer_set;
CREATE INDEX idx_confluence_tree_layer_set ON confluence_tree (layer_set, source_id, node_id) WHERE kind IN ('page', 'blogpost');
ALTER TABLE confluence_sync_runs DROP COLUMN kinds;
