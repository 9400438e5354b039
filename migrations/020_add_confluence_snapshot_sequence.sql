-- +goose Up
-- A snapshot of a run is published after the transaction that makes it, so two may arrive in
-- any order. The one with the higher sequence number is the newer one.

ALTER TABLE confluence_sync_runs ADD COLUMN snapshot_seq bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN confluence_sync_runs.snapshot_seq IS 'sequence number of the newest snapshot of the run: microseconds since 1970, or one more than the last one where the clock went back; 0 before the first';

-- +goose Down
ALTER TABLE confluence_sync_runs DROP COLUMN snapshot_seq;
