-- +goose Up
-- A source whose permissions are unrestricted-only does not store restricted pages. Its tree has them, because they
-- restrict what is below them, and says that they were left out: when that is no longer right, a full run fetches them.
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_tree ADD COLUMN left_out boolean NOT NULL DEFAULT false;
CREATE INDEX idx_confluence_tree_left_out ON confluence_tree (source_id) WHERE left_out;
COMMENT ON COLUMN confluence_tree.left_out IS 'whether the latest run did not store the page because it is, or may be, restricted';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_tree DROP COLUMN left_out;
