-- +goose Up
-- Blog posts beside pages, where a source is set to have them.

ALTER TABLE confluence_pages ADD COLUMN kind text NOT NULL DEFAULT 'page';
ALTER TABLE confluence_sync_pages ADD COLUMN kind text NOT NULL DEFAULT 'page';
ALTER TABLE confluence_sync_runs ADD COLUMN blog_posts boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN confluence_pages.kind IS 'page or blogpost';
COMMENT ON COLUMN confluence_sync_pages.kind IS 'page or blogpost, as listed';
COMMENT ON COLUMN confluence_sync_runs.blog_posts IS 'the run is about blog posts too, as its source was set when it was asked for';
COMMENT ON COLUMN confluence_tree.kind IS 'page, blogpost, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_removals.reason IS 'trashed, archived, moved, unreadable or excluded';

-- +goose Down
ALTER TABLE confluence_pages DROP COLUMN kind;
ALTER TABLE confluence_sync_pages DROP COLUMN kind;
ALTER TABLE confluence_sync_runs DROP COLUMN blog_posts;
