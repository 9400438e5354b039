-- +goose Up
-- A second wall for people who query Postgres themselves: views that show what the account sluice.reader may see. It is
-- off: no role has them before confluence_enable_row_security gives it to one. docs/permissions.md says how.
--
-- The views run with their owner's rights, and a role that has them has no right on the tables. So no other role's
-- rights change: policies on the tables would bind the stages too where these do not own the tables.
SET LOCAL lock_timeout = '10s';

-- The function runs with its owner's rights, so it names its schema and the types of what it passes: no other function
-- of the same name can take the place of the one that is meant.
-- +goose StatementBegin
DO $$
DECLARE
    home name := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = 'confluence_pages'::regclass);
BEGIN
    EXECUTE format($f$
        CREATE FUNCTION confluence_readable() RETURNS TABLE (source_id text, set_id integer)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp
        AS 'SELECT a.source_id, a.set_id FROM %1$I.confluence_admitted(coalesce(current_setting(''sluice.reader'', true), ''''), ''{}''::text[], NULL::text[]) a'$f$, home);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION confluence_readable() FROM PUBLIC;

CREATE VIEW confluence_readable_pages WITH (security_barrier) AS
SELECT p.page_id, p.source_id, p.kind, p.space_key, p.title, p.version, p.last_modified, p.path, c.url, p.metadata, c.markdown
FROM confluence_pages p LEFT JOIN confluence_page_content c USING (page_id, site_id)
WHERE NOT p.is_deleted AND (p.source_id IN (SELECT r.source_id FROM confluence_readable() r WHERE r.set_id IS NULL)
    OR EXISTS (SELECT FROM confluence_tree t WHERE t.source_id = p.source_id AND t.node_id = p.page_id
        AND t.layer_set IN (SELECT r.set_id FROM confluence_readable() r WHERE r.set_id IS NOT NULL)));

CREATE VIEW confluence_readable_chunks WITH (security_barrier) AS
SELECT c.id, c.source_id, c.metadata->>'confluence_page_id' AS page_id, c.url, c.chunk_number, c.content, c.metadata
FROM archon_crawled_pages c
WHERE NOT c.metadata ? '_pending_deletion'
    AND NOT EXISTS (SELECT FROM confluence_pages p WHERE p.source_id = c.source_id AND p.page_id = c.metadata->>'confluence_page_id' AND p.is_deleted)
    AND (c.source_id IN (SELECT r.source_id FROM confluence_readable() r WHERE r.set_id IS NULL)
        OR EXISTS (SELECT FROM confluence_tree t WHERE t.source_id = c.source_id AND t.node_id = c.metadata->>'confluence_page_id'
            AND t.layer_set IN (SELECT r.set_id FROM confluence_readable() r WHERE r.set_id IS NOT NULL)));

-- Gives a role the views. It refuses roles that could look behind them.
-- +goose StatementBegin
CREATE FUNCTION confluence_enable_row_security(reader name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    home   regnamespace := (SELECT relnamespace FROM pg_class WHERE oid = 'confluence_pages'::regclass);
    behind text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
        RAISE EXCEPTION 'there is no role %', reader USING HINT = format('CREATE ROLE %I LOGIN PASSWORD ''…''', reader);
    END IF;
    SELECT string_agg(c.relname, ', ' ORDER BY c.relname) INTO behind FROM pg_class c
    WHERE c.relnamespace = home AND c.relkind IN ('r', 'p')
        AND (c.relname ~ '^confluence_' OR c.relname IN ('archon_sources', 'archon_crawled_pages', 'archon_page_metadata', 'archon_settings'))
        AND EXISTS (SELECT FROM pg_roles m WHERE pg_has_role(reader, m.oid, 'MEMBER') -- also what it can become with SET ROLE
            AND (has_table_privilege(m.oid, c.oid, 'SELECT') OR has_any_column_privilege(m.oid, c.oid, 'SELECT')));
    IF behind IS NOT NULL THEN
        RAISE EXCEPTION 'the role % reads the tables themselves, so the views would hide nothing from it: %', reader, behind
            USING HINT = 'give it no right on Sluice''s and Archon''s tables, and no role that has one';
    END IF;
    IF EXISTS (SELECT FROM pg_roles m WHERE pg_has_role(reader, m.oid, 'MEMBER') AND has_schema_privilege(m.oid, home, 'CREATE')) THEN
        RAISE EXCEPTION 'the role % may create functions in the schema %, and so could take the place of those that decide', reader, home
            USING HINT = format('REVOKE CREATE ON SCHEMA %s FROM PUBLIC, %I', home, reader);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', home, reader);
    EXECUTE format('GRANT SELECT ON %s.confluence_readable_pages, %s.confluence_readable_chunks TO %I', home, home, reader);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s.confluence_readable() TO %I', home, reader);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION confluence_enable_row_security(name) FROM PUBLIC;
SELECT confluence_guard();

-- Supabase gives its public roles every new function.
-- +goose StatementBegin
DO $$
DECLARE
    stranger name;
BEGIN
    FOR stranger IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION confluence_readable(), confluence_enable_row_security(name) FROM %I', stranger);
    END LOOP;
END
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION confluence_readable IS 'What the account in the setting sluice.reader may see: whole sources, and sets of layers';
COMMENT ON FUNCTION confluence_enable_row_security IS 'Gives a role the views that show what the account in its setting sluice.reader may see';
COMMENT ON VIEW confluence_readable_pages IS 'Live pages that the account in the setting sluice.reader may see';
COMMENT ON COLUMN confluence_readable_pages.page_id IS 'Confluence''s id of the page';
COMMENT ON COLUMN confluence_readable_pages.source_id IS 'its source';
COMMENT ON COLUMN confluence_readable_pages.kind IS 'page or blogpost';
COMMENT ON COLUMN confluence_readable_pages.space_key IS 'key of its space';
COMMENT ON COLUMN confluence_readable_pages.title IS 'its title';
COMMENT ON COLUMN confluence_readable_pages.version IS 'number of its version';
COMMENT ON COLUMN confluence_readable_pages.last_modified IS 'when the version was made';
COMMENT ON COLUMN confluence_readable_pages.path IS '/<ancestor id>/…/<page id>';
COMMENT ON COLUMN confluence_readable_pages.url IS 'its address';
COMMENT ON COLUMN confluence_readable_pages.metadata IS 'as in confluence_pages';
COMMENT ON COLUMN confluence_readable_pages.markdown IS 'its text';
COMMENT ON VIEW confluence_readable_chunks IS 'Chunks of live pages that the account in the setting sluice.reader may see';
COMMENT ON COLUMN confluence_readable_chunks.id IS 'as in archon_crawled_pages';
COMMENT ON COLUMN confluence_readable_chunks.source_id IS 'the source';
COMMENT ON COLUMN confluence_readable_chunks.page_id IS 'Confluence''s id of the page; null for another program''s chunk';
COMMENT ON COLUMN confluence_readable_chunks.url IS 'address of the page';
COMMENT ON COLUMN confluence_readable_chunks.chunk_number IS 'its place in the page';
COMMENT ON COLUMN confluence_readable_chunks.content IS 'its text';
COMMENT ON COLUMN confluence_readable_chunks.metadata IS 'as in archon_crawled_pages';

-- +goose Down
SET LOCAL lock_timeout = '10s';
DROP FUNCTION confluence_enable_row_security(name);
DROP VIEW confluence_readable_chunks, confluence_readable_pages;
DROP FUNCTION confluence_readable();
