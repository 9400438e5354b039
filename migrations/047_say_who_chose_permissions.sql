-- +goose Up
-- A source that was there before permissions could be enforced is open because nobody has said anything yet. People
-- are told about it until somebody has chosen.
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_spaces ADD COLUMN permissions_chosen boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN confluence_spaces.permissions_chosen IS 'whether somebody has chosen the setting permissions; false: it is left over from before there was one';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_spaces DROP COLUMN permissions_chosen;
