-- +goose Up
COMMENT ON COLUMN confluence_api_keys.hash IS 'sha256: and the SHA-256 digest of key id and secret; without sha256:, bcrypt of it, from an earlier release';

-- +goose Down
COMMENT ON COLUMN confluence_api_keys.hash IS 'bcrypt of the SHA-256 digest of key id and secret';
