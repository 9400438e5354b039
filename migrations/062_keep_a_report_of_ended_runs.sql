-- +goose Up
-- Whoever looks at a run that listed 100,000 pages waits for a second while all of them are read again.
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_sync_runs ADD COLUMN report jsonb;

COMMENT ON COLUMN confluence_sync_runs.report IS 'what is counted over all pages of a completed or held run: numbers by kind, times of the stages, the slowest pages; NULL for other runs, and for those that ended before this was kept';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_sync_runs DROP COLUMN report;
