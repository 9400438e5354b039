-- +goose Up
-- Several processes look for sources whose permissions are due to be read again. One of them reads those
-- of a source at a time; if it dies, its lease ends and another begins anew.
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_spaces
    ADD COLUMN sweep_token text NOT NULL DEFAULT '',
    ADD COLUMN sweep_until timestamptz,
    ADD COLUMN sweep_tried_at timestamptz;
COMMENT ON COLUMN confluence_spaces.sweep_token IS 'who reads the permissions now';
COMMENT ON COLUMN confluence_spaces.sweep_until IS 'until when nobody else does, unless renewed';
COMMENT ON COLUMN confluence_spaces.sweep_tried_at IS 'when the latest reading of permissions began';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_spaces DROP COLUMN sweep_token, DROP COLUMN sweep_until, DROP COLUMN sweep_tried_at;
