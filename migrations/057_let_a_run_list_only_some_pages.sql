-- +goose Up
-- A retry of some failed pages is a run that lists these pages and nothing else.
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_sync_runs ADD COLUMN only_pages text[];

COMMENT ON COLUMN confluence_sync_runs.only_pages IS 'the failed pages that were asked for, which an incremental run lists, and no others; NULL for one that lists what changed';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_sync_runs DROP COLUMN only_pages;
