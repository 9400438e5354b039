-- +goose Up
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_tokens ADD COLUMN expires_at timestamptz;
COMMENT ON COLUMN confluence_tokens.expires_at IS 'when the token stops working, as whoever stored it said; NULL if unknown';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_tokens DROP COLUMN expires_at;
