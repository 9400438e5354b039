-- What Supabase brings (the role of a request, and rights on every table for every role) and
-- the policies that Archon therefore has.
CREATE SCHEMA auth;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('request.jwt.claim.role', true) $$;
GRANT USAGE ON SCHEMA auth, public TO anon, authenticated, service_role;
GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;

DO $$
DECLARE
    t text;
BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'archon\_%' LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY "Allow service role full access" ON %I FOR ALL USING (auth.role() = ''service_role'')', t);
        EXECUTE format('CREATE POLICY "Allow authenticated users to read" ON %I FOR SELECT TO authenticated USING (true)', t);
    END LOOP;
END
$$;
