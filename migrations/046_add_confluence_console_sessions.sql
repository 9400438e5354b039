-- +goose Up
-- Who is logged in at the console. Every gateway on this database knows all sessions, and whoever revokes a
-- key ends its sessions, because each request looks its key up.
SET LOCAL lock_timeout = '10s';
CREATE TABLE confluence_console_sessions (
    session_hash bytea PRIMARY KEY,
    key_id       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);
COMMENT ON TABLE confluence_console_sessions IS 'Who is logged in at the console';
COMMENT ON COLUMN confluence_console_sessions.session_hash IS 'SHA-256 of the secret in the cookie, which has 260 random bits';
COMMENT ON COLUMN confluence_console_sessions.key_id IS 'the key it reads for; local for the one in GATEWAY_KEY_FILE';
COMMENT ON COLUMN confluence_console_sessions.created_at IS 'when somebody logged in';
COMMENT ON COLUMN confluence_console_sessions.expires_at IS 'when it ends, whatever happens';

-- +goose Down
SET LOCAL lock_timeout = '10s';
DROP TABLE confluence_console_sessions;
