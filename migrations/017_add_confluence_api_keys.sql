-- +goose Up
-- Who may call the HTTP API. A key's secret is never here, only what proves it.

CREATE TABLE confluence_api_keys (
    key_id     text PRIMARY KEY,
    name       text NOT NULL,
    role       text NOT NULL CHECK (role IN ('read', 'operate', 'admin')),
    sources    text[] NOT NULL DEFAULT '{}',
    hash       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

COMMENT ON TABLE confluence_api_keys IS 'Keys of the HTTP API';
COMMENT ON COLUMN confluence_api_keys.key_id IS 'the public part of the key, by which it is found';
COMMENT ON COLUMN confluence_api_keys.name IS 'what a person calls it: who or what has the key';
COMMENT ON COLUMN confluence_api_keys.role IS 'read, operate or admin; each may do what those before it may';
COMMENT ON COLUMN confluence_api_keys.sources IS 'the sources that the key may see and touch; empty for all';
COMMENT ON COLUMN confluence_api_keys.hash IS 'bcrypt of the SHA-256 digest of key id and secret';
COMMENT ON COLUMN confluence_api_keys.created_at IS 'when it was made';
COMMENT ON COLUMN confluence_api_keys.revoked_at IS 'when it was taken back; it opens nothing since';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated')
       AND to_regprocedure('auth.role()') IS NOT NULL THEN
        ALTER TABLE confluence_api_keys ENABLE ROW LEVEL SECURITY;
        CREATE POLICY "Allow service role full access" ON confluence_api_keys
            FOR ALL USING (auth.role() = 'service_role');
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE confluence_api_keys;
