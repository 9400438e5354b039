-- What newer installations have: whole pages, and sources that take their chunks with them.
CREATE TABLE archon_page_metadata (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    source_id     text NOT NULL REFERENCES archon_sources (source_id) ON DELETE CASCADE,
    url           text NOT NULL UNIQUE,
    full_content  text NOT NULL,
    section_title text,
    section_order integer DEFAULT 0,
    word_count    integer NOT NULL,
    char_count    integer NOT NULL,
    chunk_count   integer NOT NULL DEFAULT 0,
    metadata      jsonb DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_archon_page_metadata_source_id ON archon_page_metadata (source_id);
CREATE INDEX idx_archon_page_metadata_metadata ON archon_page_metadata USING gin (metadata);
INSERT INTO archon_page_metadata (id, source_id, url, full_content, word_count, char_count, chunk_count) VALUES
    ('5d7e4e0e-0000-4000-8000-000000000000', 'web', 'https://docs.example.com/start', 'crawled words about harbours, more crawled words', 7, 48, 2);

ALTER TABLE archon_crawled_pages ADD COLUMN page_id uuid REFERENCES archon_page_metadata (id) ON DELETE SET NULL;
CREATE INDEX idx_archon_crawled_pages_page_id ON archon_crawled_pages (page_id);
UPDATE archon_crawled_pages SET page_id = '5d7e4e0e-0000-4000-8000-000000000000' WHERE source_id = 'web';

ALTER TABLE archon_crawled_pages DROP CONSTRAINT archon_crawled_pages_source_id_fkey,
    ADD CONSTRAINT archon_crawled_pages_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources (source_id) ON DELETE CASCADE;
ALTER TABLE archon_code_examples DROP CONSTRAINT archon_code_examples_source_id_fkey,
    ADD CONSTRAINT archon_code_examples_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources (source_id) ON DELETE CASCADE;
