-- +goose Up
-- Beside the views of migration 050: policies on the tables of pages and chunks, for one role. They are off: no table has
-- them, nor row level security, before confluence_enable_policies is called. docs/permissions.md says how.
--
-- Row level security would bind stages too that do not own the tables. So every role, also one that comes later, keeps
-- what it may do by a policy that lets all rows through, and a restrictive one, for the given role alone, takes away what
-- its reader may not see. Owners are not bound.
SET LOCAL lock_timeout = '10s';

-- +goose StatementBegin
DO $$
DECLARE
    home name := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = 'confluence_pages'::regclass);
BEGIN
    EXECUTE format($f$
        CREATE FUNCTION confluence_readable_nodes() RETURNS TABLE (source_id text, node_id text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp
        AS 'SELECT t.source_id, t.node_id FROM %1$I.confluence_tree t JOIN %1$I.confluence_readable() r ON r.source_id = t.source_id AND r.set_id = t.layer_set'$f$, home);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION confluence_readable_nodes() FROM PUBLIC;

-- Gives a role the views, and lets it read the tables of pages and chunks as far as its reader may see them.
-- +goose StatementBegin
CREATE FUNCTION confluence_enable_policies(reader name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    home   regnamespace := (SELECT relnamespace FROM pg_class WHERE oid = 'confluence_pages'::regclass);
    policy name := 'confluence_reader_' || reader;
    free   text := format('SELECT r.source_id FROM %s.confluence_readable() r WHERE r.set_id IS NULL', home);
    t      record;
BEGIN
    -- Postgres would cut the names of policies, so that two roles had the same.
    IF octet_length('confluence_reader_' || reader::text || '_all') > 63 THEN
        RAISE EXCEPTION 'the name of the role % is too long: policies are named after it', reader
            USING HINT = 'use a role whose name has at most 41 bytes';
    END IF;
    IF EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = 'archon_crawled_pages'::regclass AND p.polname = policy) THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM pg_roles m WHERE pg_has_role(reader, m.oid, 'MEMBER') AND m.rolbypassrls) THEN
        RAISE EXCEPTION 'the role % passes row level security by, so policies would hide nothing from it', reader
            USING HINT = format('ALTER ROLE %I NOBYPASSRLS, and give it no role that has it', reader);
    END IF;
    -- With policies of its own, Archon's table keeps public roles out. Without, one that lets all rows through would outlast
    -- the day on which Archon adds them.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname IN ('anon', 'authenticated'))
        AND NOT (SELECT relrowsecurity FROM pg_class WHERE oid = 'archon_crawled_pages'::regclass) THEN
        RAISE EXCEPTION 'the table archon_crawled_pages has no row level security, although the database has public roles'
            USING HINT = 'run Archon''s migrations, or use the views: confluence_enable_row_security';
    END IF;
    PERFORM confluence_enable_row_security(reader); -- it refuses roles that read the tables already
    FOR t IN
        SELECT c.oid::regclass AS name, c.relrowsecurity AS guarded, v.shown FROM (VALUES
            ('confluence_pages'::regclass, format('NOT is_deleted AND (source_id IN (%s)
                OR (source_id, page_id) IN (SELECT n.source_id, n.node_id FROM %s.confluence_readable_nodes() n))', free, home)),
            -- The policy of the pages applies in these two.
            ('confluence_page_content', format('EXISTS (SELECT FROM %s.confluence_pages p WHERE p.page_id = confluence_page_content.page_id
                AND p.site_id = confluence_page_content.site_id)', home)),
            ('archon_crawled_pages', format('NOT metadata ? ''_pending_deletion'' AND CASE WHEN metadata ? ''confluence_page_id''
                THEN EXISTS (SELECT FROM %s.confluence_pages p WHERE p.source_id = archon_crawled_pages.source_id
                    AND p.page_id = archon_crawled_pages.metadata->>''confluence_page_id'')
                ELSE source_id IN (%s) END', home, free))) AS v (oid, shown)
        JOIN pg_class c ON c.oid = v.oid
    LOOP
        EXECUTE format('CREATE POLICY %I ON %s AS RESTRICTIVE FOR ALL TO %I USING (%s)', policy, t.name, reader, t.shown);
        IF NOT t.guarded THEN
            EXECUTE format('CREATE POLICY confluence_others ON %s FOR ALL TO PUBLIC USING (true) WITH CHECK (true)', t.name);
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name);
        ELSIF NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.name AND p.polname = 'confluence_others') THEN
            EXECUTE format('CREATE POLICY %I ON %s FOR SELECT TO %I USING (true)', policy || '_all', t.name, reader);
        END IF;
        EXECUTE format('GRANT SELECT ON %s TO %I', t.name, reader);
    END LOOP;
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s.confluence_readable_nodes() TO %I', home, reader);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION confluence_enable_policies(name) FROM PUBLIC;

-- Supabase gives its public roles every new function.
-- +goose StatementBegin
DO $$
DECLARE
    stranger name;
BEGIN
    FOR stranger IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION confluence_readable_nodes(), confluence_enable_policies(name) FROM %I', stranger);
    END LOOP;
END
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION confluence_readable_nodes IS 'What the account in the setting sluice.reader may see of sources that are not open';
COMMENT ON FUNCTION confluence_enable_policies IS 'Lets a role read pages and chunks as far as the account in its setting sluice.reader may see them';

-- +goose Down
SET LOCAL lock_timeout = '10s';
-- +goose StatementBegin
DO $$
DECLARE
    old record;
BEGIN
    -- First the rights of the roles, which see all without the policies.
    FOR old IN SELECT DISTINCT p.polrelid::regclass AS name, r.rolname FROM pg_policy p JOIN pg_roles r ON r.oid = ANY (p.polroles)
        WHERE starts_with(p.polname, 'confluence_reader_') LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %I', old.name, old.rolname);
    END LOOP;
    FOR old IN SELECT p.polname, p.polrelid::regclass AS name FROM pg_policy p WHERE p.polname = 'confluence_others' OR starts_with(p.polname, 'confluence_reader_') LOOP
        EXECUTE format('DROP POLICY %I ON %s', old.polname, old.name);
        IF old.polname = 'confluence_others' THEN
            EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', old.name);
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd
DROP FUNCTION confluence_enable_policies(name);
DROP FUNCTION confluence_readable_nodes();
