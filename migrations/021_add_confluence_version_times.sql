-- +goose Up
-- A version's number is not what a version is: it falls, and comes again with other text, when
-- people delete old versions. The time at which it was made tells versions apart.
-- What breaks beside a listing is noted with the run, and looked up again by the next one.

ALTER TABLE confluence_sync_pages ADD COLUMN version_at timestamptz;
ALTER TABLE confluence_sync_runs ADD COLUMN notes text[] NOT NULL DEFAULT '{}';
ALTER TABLE confluence_tree ADD COLUMN failed_run text;

COMMENT ON COLUMN confluence_pages.version IS 'version.number of the stored body; what is older, by last_modified and then by this number, never overwrites it';
COMMENT ON COLUMN confluence_sync_pages.version_at IS 'when the listed version was made; null where the listing does not know it';
COMMENT ON COLUMN confluence_sync_runs.notes IS 'what the run did without, and why, in sentences';
COMMENT ON COLUMN confluence_tree.failed_run IS 'the run that could not look the container up; the next one asks again';

-- +goose Down
ALTER TABLE confluence_tree DROP COLUMN failed_run;
ALTER TABLE confluence_sync_runs DROP COLUMN notes;
ALTER TABLE confluence_sync_pages DROP COLUMN version_at;
