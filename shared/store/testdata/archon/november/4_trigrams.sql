CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX idx_archon_crawled_pages_content_trgm ON archon_crawled_pages USING gin (content gin_trgm_ops);
CREATE INDEX idx_archon_code_examples_content_trgm ON archon_code_examples USING gin (content gin_trgm_ops);
CREATE INDEX idx_archon_code_examples_summary_trgm ON archon_code_examples USING gin (summary gin_trgm_ops);
