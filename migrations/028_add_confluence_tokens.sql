-- +goose Up
-- Whose tokens are stored. The tokens themselves are in archon_settings, where Archon's own policies
-- let any user who is signed in to Supabase delete rows. Without this table, a source whose token
-- somebody deleted would be read with the token of its site or of the environment.

CREATE TABLE confluence_tokens (
    name      text PRIMARY KEY,
    stored_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE confluence_tokens IS 'Whose tokens are stored in archon_settings';
COMMENT ON COLUMN confluence_tokens.name IS 'a source, or the host of a site';
COMMENT ON COLUMN confluence_tokens.stored_at IS 'when a token was first stored under the name';

INSERT INTO confluence_tokens (name, stored_at)
SELECT substr(key, length('confluence_token:') + 1), coalesce(created_at, now()) FROM archon_settings
WHERE starts_with(key, 'confluence_token:') AND category = 'confluence' AND is_encrypted;

SELECT confluence_guard();

-- +goose Down
DROP TABLE confluence_tokens;
