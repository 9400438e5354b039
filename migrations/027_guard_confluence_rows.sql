-- +goose Up
-- Supabase gives its public roles, anon and authenticated, every right on every new table. Anyone who
-- has the project's public key is anon, and anyone who may sign up is authenticated. This migration
-- keeps both away from Sluice's tables, and from Sluice's rows in Archon's tables, whose own policies
-- let everybody read them. Archon itself uses service_role, which nothing here restricts.
--
-- The work is done by a function, which "migrate up" calls again every time: tables may be added, and
-- the roles or Archon may come later.

-- The function belongs to the tables' owner, because the roles that it is asked for may not read
-- archon_sources.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format($f$
        CREATE FUNCTION confluence_keeps(source text) RETURNS boolean
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp
        AS 'SELECT EXISTS (SELECT FROM archon_sources s WHERE s.source_id = source
            AND (s.metadata->>''source_type'' = ''confluence'' OR s.metadata ? ''sluice_system''))'$f$,
        (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = 'archon_sources'::regclass));
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION confluence_keeps IS 'Whether a source is one of Sluice''s';

-- +goose StatementBegin
CREATE FUNCTION confluence_guard() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    home      oid := (SELECT relnamespace FROM pg_class WHERE oid = 'confluence_pages'::regclass);
    -- Roles belong to the server: they count where this database gives them anything, or has Supabase's functions.
    strangers text := (SELECT string_agg(quote_ident(rolname), ', ' ORDER BY rolname) FROM pg_roles r
        WHERE rolname IN ('anon', 'authenticated') AND (to_regprocedure('auth.role()') IS NOT NULL OR EXISTS (
            SELECT FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid AND b.datname = current_database()
            WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid)));
    served    boolean := EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role');
    t         record;
BEGIN
    IF strangers IS NULL THEN
        RETURN;
    END IF;

    -- Tables that Sluice made: nobody but the owner and Archon's service role. Where Sluice came first,
    -- it made Archon's tables as well; they have no policy until an Archon gives them its own.
    FOR t IN
        SELECT c.oid::regclass AS name, c.relkind IN ('r', 'p') AS holds, c.relrowsecurity AS guarded,
            EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive) AS allows,
            EXISTS (SELECT FROM aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee WHERE r.rolname IN ('anon', 'authenticated')) AS granted
        FROM pg_class c
        WHERE c.relnamespace = home AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND (c.relname ~ '^(confluence_|sluice_migrations)'
            OR to_regclass('archon_code_examples') IS NULL AND coalesce(
                (SELECT a.oid FROM pg_depend d JOIN pg_class a ON a.oid = d.refobjid WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                    AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND c.relkind = 'S'), c.oid)
                IN (to_regclass('archon_sources'), to_regclass('archon_crawled_pages'), to_regclass('archon_settings'), to_regclass('archon_migrations')))
    LOOP
        IF t.holds AND NOT t.guarded THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name);
        END IF;
        IF t.holds AND NOT t.allows AND served THEN
            EXECUTE format('CREATE POLICY confluence_service_role ON %s FOR ALL TO service_role USING (true)', t.name);
        END IF;
        IF t.granted THEN
            EXECUTE format('REVOKE ALL ON %s FROM %s', t.name, strangers);
        END IF;
    END LOOP;

    -- Archon's tables: its policies stay, and a restrictive one takes Sluice's rows out of them.
    FOR t IN
        SELECT c.oid::regclass AS name, CASE c.relname
            WHEN 'archon_sources' THEN $q$(metadata->>'source_type' = 'confluence' OR metadata ? 'sluice_system') IS NOT TRUE$q$
            WHEN 'archon_settings' THEN $q$NOT (starts_with(key, 'confluence_') OR starts_with(key, 'sluice_'))$q$
            ELSE 'NOT confluence_keeps(source_id)' END AS condition
        FROM pg_class c
        WHERE c.relnamespace = home AND c.relkind IN ('r', 'p')
            AND c.relname IN ('archon_sources', 'archon_settings', 'archon_crawled_pages', 'archon_page_metadata', 'archon_code_examples')
            AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'confluence_rows')
    LOOP
        EXECUTE format('CREATE POLICY confluence_rows ON %s AS RESTRICTIVE FOR ALL TO %s USING (%s)', t.name, strangers, t.condition);
    END LOOP;
    -- The record of migrations may be read, as Archon lets it be. Who changes it keeps Sluice from starting.
    FOR t IN
        SELECT cmd, CASE cmd WHEN 'INSERT' THEN 'WITH CHECK' ELSE 'USING' END AS clause FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) cmd
        WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = 'archon_migrations'::regclass AND p.polname = 'confluence_' || lower(cmd))
    LOOP
        EXECUTE format('CREATE POLICY %I ON archon_migrations AS RESTRICTIVE FOR %s TO %s %s (false)',
            'confluence_' || lower(t.cmd), t.cmd, strangers, t.clause);
    END LOOP;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION confluence_guard IS 'Keeps Supabase''s public roles away from Sluice''s tables and rows';

-- +goose StatementBegin
DO $$
DECLARE
    old record;
BEGIN
    FOR old IN SELECT polname, polrelid::regclass AS name FROM pg_policy
        WHERE polrelid = 'confluence_pages'::regclass AND polname = 'Allow authenticated users to read'
    LOOP
        EXECUTE format('DROP POLICY %I ON %s', old.polname, old.name);
    END LOOP;
    PERFORM confluence_guard();
END
$$;
-- +goose StatementEnd

-- +goose Down
-- What keeps others out of Archon's tables that Sluice made stays, like the tables.
-- +goose StatementBegin
DO $$
DECLARE
    old record;
BEGIN
    FOR old IN SELECT polname, polrelid::regclass AS name FROM pg_policy
        WHERE polname IN ('confluence_rows', 'confluence_insert', 'confluence_update', 'confluence_delete')
    LOOP
        EXECUTE format('DROP POLICY %I ON %s', old.polname, old.name);
    END LOOP;
END
$$;
-- +goose StatementEnd
DROP FUNCTION confluence_guard();
DROP FUNCTION confluence_keeps(text);
