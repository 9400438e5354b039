-- +goose Up
-- Whom a key reads for: an account, or whoever each request names.
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_api_keys
    ADD COLUMN account text NOT NULL DEFAULT '',
    ADD COLUMN act_as  boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT confluence_api_keys_reader CHECK (account = '' OR NOT act_as);

-- From now on reads ask who may see a page. Without a row in confluence_spaces a source of Sluice's is hidden, so
-- those that exist get theirs, open as all others. It comes as it does with a source's first page (migration 030).
-- +goose StatementBegin
DO $$
DECLARE
    missing text;
    site    integer;
BEGIN
    FOR missing IN
        SELECT s.source_id FROM archon_sources s LEFT JOIN confluence_spaces p USING (source_id)
        WHERE p.source_id IS NULL AND (s.metadata->>'source_type' = 'confluence' OR s.metadata ? 'sluice_system') ORDER BY 1
    LOOP
        INSERT INTO confluence_sites DEFAULT VALUES RETURNING site_id INTO site;
        INSERT INTO confluence_spaces (source_id, site_id) VALUES (missing, site);
    END LOOP;
END
$$;
-- +goose StatementEnd

COMMENT ON COLUMN confluence_api_keys.account IS 'the account id for which the key reads; empty for nobody in particular';
COMMENT ON COLUMN confluence_api_keys.act_as IS 'whether each request may name the account for which it reads';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_api_keys DROP COLUMN account, DROP COLUMN act_as;
