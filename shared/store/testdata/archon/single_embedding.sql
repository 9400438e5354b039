-- The oldest installations: one embedding column, and nothing beside the chunks.
CREATE EXTENSION vector;
CREATE TABLE archon_crawled_pages (
    id           bigserial PRIMARY KEY,
    url          varchar NOT NULL,
    chunk_number integer NOT NULL,
    content      text NOT NULL,
    metadata     jsonb NOT NULL DEFAULT '{}',
    source_id    text NOT NULL REFERENCES archon_sources (source_id),
    embedding    vector(1536),
    created_at   timestamptz NOT NULL DEFAULT timezone('utc', now()),
    UNIQUE (url, chunk_number)
);
CREATE INDEX ON archon_crawled_pages USING ivfflat (embedding vector_cosine_ops);
INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id) VALUES ('https://docs.example.com/start', 0, 'crawled words', 'web');
