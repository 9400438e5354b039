-- What Supabase brings (the role of a request, and rights on everything for every role) and the
-- policies that Archon therefore has. The files before this one have made its tables.
CREATE SCHEMA auth;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('request.jwt.claim.role', true) $$;
GRANT USAGE ON SCHEMA auth, public TO anon, authenticated, service_role;
GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, service_role;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;

DO $$
DECLARE
    t text;
BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'archon\_%' LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        IF t IN ('archon_sources', 'archon_crawled_pages', 'archon_code_examples') THEN
            EXECUTE format('CREATE POLICY "Allow public read access to %s" ON %I FOR SELECT TO public USING (true)', t, t);
            CONTINUE;
        END IF;
        EXECUTE format('CREATE POLICY "Allow service role full access" ON %I FOR ALL USING (auth.role() = ''service_role'')', t);
        IF t = 'archon_migrations' THEN
            EXECUTE format('CREATE POLICY "Allow authenticated users to read" ON %I FOR SELECT TO authenticated USING (true)', t);
        ELSIF t = 'archon_page_metadata' THEN
            EXECUTE format('CREATE POLICY "Allow public to read" ON %I FOR SELECT TO public USING (true)', t);
        ELSE
            EXECUTE format('CREATE POLICY "Allow authenticated users to read and update" ON %I FOR ALL TO authenticated USING (true)', t);
        END IF;
    END LOOP;
END
$$;
