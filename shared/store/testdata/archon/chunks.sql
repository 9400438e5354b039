-- The chunks of an older installation: no embeddings here (vectors.sql has them), deleting a
-- source is refused while it has chunks.
CREATE TABLE archon_crawled_pages (
    id                    bigserial PRIMARY KEY,
    url                   varchar NOT NULL,
    chunk_number          integer NOT NULL,
    content               text NOT NULL,
    metadata              jsonb NOT NULL DEFAULT '{}',
    source_id             text NOT NULL,
    llm_chat_model        text,
    embedding_model       text,
    embedding_dimension   integer,
    content_search_vector tsvector GENERATED ALWAYS AS (to_tsvector('english', content)) STORED,
    created_at            timestamptz NOT NULL DEFAULT timezone('utc', now()),
    UNIQUE (url, chunk_number),
    FOREIGN KEY (source_id) REFERENCES archon_sources (source_id)
);
CREATE INDEX idx_archon_crawled_pages_metadata ON archon_crawled_pages USING gin (metadata);
CREATE INDEX idx_archon_crawled_pages_source_id ON archon_crawled_pages (source_id);
CREATE INDEX idx_archon_crawled_pages_content_search ON archon_crawled_pages USING gin (content_search_vector);
CREATE INDEX idx_archon_crawled_pages_embedding_model ON archon_crawled_pages (embedding_model);
CREATE INDEX idx_archon_crawled_pages_embedding_dimension ON archon_crawled_pages (embedding_dimension);
CREATE INDEX idx_archon_crawled_pages_llm_chat_model ON archon_crawled_pages (llm_chat_model);

CREATE TABLE archon_code_examples (
    id                    bigserial PRIMARY KEY,
    url                   varchar NOT NULL,
    chunk_number          integer NOT NULL,
    content               text NOT NULL,
    summary               text NOT NULL,
    metadata              jsonb NOT NULL DEFAULT '{}',
    source_id             text NOT NULL REFERENCES archon_sources (source_id),
    embedding_model       text,
    embedding_dimension   integer,
    content_search_vector tsvector GENERATED ALWAYS AS (to_tsvector('english', content || ' ' || COALESCE(summary, ''))) STORED,
    created_at            timestamptz NOT NULL DEFAULT timezone('utc', now()),
    UNIQUE (url, chunk_number)
);
CREATE INDEX idx_archon_code_examples_source_id ON archon_code_examples (source_id);

INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id, metadata, embedding_model, embedding_dimension) VALUES
    ('https://docs.example.com/start', 0, 'crawled words about harbours', 'web',
        '{"url": "https://docs.example.com/start", "page_id": "5d7e4e0e-0000-4000-8000-000000000000", "crawl_type": "normal", "chunk_index": 0}', 'text-embedding-3-small', 1536),
    ('https://docs.example.com/start', 1, 'more crawled words', 'web', '{"page_id": null, "chunk_index": 1}', NULL, NULL),
    ('file://notes.pdf', 0, 'uploaded words about keys', 'file_notes_pdf_1a2b', '{"source_type": "file", "chunk_index": 0}', NULL, NULL);
INSERT INTO archon_code_examples (url, chunk_number, content, summary, source_id) VALUES
    ('https://docs.example.com/start', 0, 'fmt.Println("words")', 'prints words', 'web');
