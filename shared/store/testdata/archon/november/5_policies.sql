-- Anyone may read the knowledge; settings are for the service and for who is logged in.
ALTER TABLE archon_settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Allow service role full access" ON archon_settings FOR ALL USING (auth.role() = 'service_role');
CREATE POLICY "Allow authenticated users to read and update" ON archon_settings FOR ALL TO authenticated USING (true);

ALTER TABLE archon_sources ENABLE ROW LEVEL SECURITY;
ALTER TABLE archon_crawled_pages ENABLE ROW LEVEL SECURITY;
ALTER TABLE archon_code_examples ENABLE ROW LEVEL SECURITY;
ALTER TABLE archon_page_metadata ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Allow public read access to archon_crawled_pages" ON archon_crawled_pages FOR SELECT TO public USING (true);
CREATE POLICY "Allow public read access to archon_sources" ON archon_sources FOR SELECT TO public USING (true);
CREATE POLICY "Allow public read access to archon_code_examples" ON archon_code_examples FOR SELECT TO public USING (true);
CREATE POLICY "Allow public read access to archon_page_metadata" ON archon_page_metadata FOR SELECT TO public USING (true);

ALTER TABLE archon_migrations ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS "Allow service role full access to archon_migrations" ON archon_migrations;
DROP POLICY IF EXISTS "Allow authenticated users to read archon_migrations" ON archon_migrations;
CREATE POLICY "Allow service role full access to archon_migrations" ON archon_migrations FOR ALL USING (auth.role() = 'service_role');
CREATE POLICY "Allow authenticated users to read archon_migrations" ON archon_migrations FOR SELECT TO authenticated USING (true);

ALTER TABLE archon_projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Allow service role full access to archon_projects" ON archon_projects FOR ALL USING (auth.role() = 'service_role');
CREATE POLICY "Allow authenticated users to read and update archon_projects" ON archon_projects FOR ALL TO authenticated USING (true);
