-- +goose Up
-- Sources are synced by themselves. A source without a row is from before there were schedules: nobody has said anything
-- about it, and nothing is done.
SET LOCAL lock_timeout = '10s';

CREATE TABLE confluence_schedules (
    source_id     text PRIMARY KEY REFERENCES archon_sources (source_id) ON DELETE CASCADE,
    is_on         boolean NOT NULL,
    every         text NOT NULL DEFAULT '',
    cron          text NOT NULL DEFAULT '',
    time_zone     text NOT NULL DEFAULT '',
    quiet_hours   text NOT NULL DEFAULT '',
    full_every    text NOT NULL DEFAULT '',
    next_at       timestamptz,
    full_after    timestamptz NOT NULL DEFAULT now(),
    look_token    text NOT NULL DEFAULT '',
    look_until    timestamptz,
    looked_at     timestamptz,
    look_result   text NOT NULL DEFAULT '',
    look_problem  text NOT NULL DEFAULT '',
    look_failures integer NOT NULL DEFAULT 0,
    seen_until    timestamptz,
    changed_at    timestamptz,
    mended_at     timestamptz,
    CHECK (NOT is_on OR next_at IS NOT NULL)
);
CREATE INDEX idx_confluence_schedules_next ON confluence_schedules (next_at) WHERE is_on;

COMMENT ON TABLE confluence_schedules IS 'When sources are synced by themselves, and what came of it last';
COMMENT ON COLUMN confluence_schedules.source_id IS 'the source; without a row, nobody has said anything about it';
COMMENT ON COLUMN confluence_schedules.is_on IS 'false: somebody has said that the source is synced only when asked';
COMMENT ON COLUMN confluence_schedules.every IS 'the interval, or auto; empty with cron';
COMMENT ON COLUMN confluence_schedules.cron IS 'minute, hour, day of the month, month, day of the week';
COMMENT ON COLUMN confluence_schedules.time_zone IS 'of cron and quiet_hours; empty for UTC';
COMMENT ON COLUMN confluence_schedules.quiet_hours IS 'as 22:00-06:00, in which nothing is done';
COMMENT ON COLUMN confluence_schedules.full_every IS 'how often all pages are compared; empty or never for never';
COMMENT ON COLUMN confluence_schedules.next_at IS 'when the source is due';
COMMENT ON COLUMN confluence_schedules.full_after IS 'no full run by schedule before this time';
COMMENT ON COLUMN confluence_schedules.look_token IS 'who looks at the source now';
COMMENT ON COLUMN confluence_schedules.look_until IS 'until when nobody else does';
COMMENT ON COLUMN confluence_schedules.looked_at IS 'when the source was last looked at';
COMMENT ON COLUMN confluence_schedules.look_result IS 'what came of it: unchanged, requested, busy, waits or failed';
COMMENT ON COLUMN confluence_schedules.look_problem IS 'why it failed, as a code';
COMMENT ON COLUMN confluence_schedules.look_failures IS 'how often in a row it failed';
COMMENT ON COLUMN confluence_schedules.seen_until IS 'nothing had changed up to here since the watermark, by the site''s clock';
COMMENT ON COLUMN confluence_schedules.changed_at IS 'when something had last changed';
COMMENT ON COLUMN confluence_schedules.mended_at IS 'when somebody last mended what made it fail; failures before do not count';

ALTER TABLE confluence_sync_runs ADD COLUMN reason text NOT NULL DEFAULT 'asked', ADD COLUMN marks text[];
COMMENT ON COLUMN confluence_sync_runs.reason IS 'asked or schedule';
COMMENT ON COLUMN confluence_sync_runs.marks IS 'for what a run by schedule was requested: content@version as the site showed it; once it has listed these, they are no reason for another run';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_sync_runs DROP COLUMN reason, DROP COLUMN marks;
DROP TABLE confluence_schedules;
