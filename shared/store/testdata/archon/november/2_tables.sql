-- Archon's last set-up script, of November 2025, in our words. It makes tables only where they are
-- missing, but some of its indexes, triggers and policies without asking: those fail where something
-- of the name is there. Vectors and trigrams are in files of their own, since not every server of the
-- tests has the extensions.
CREATE TABLE IF NOT EXISTS archon_settings (
    id              uuid DEFAULT gen_random_uuid() PRIMARY KEY,
    key             varchar(255) UNIQUE NOT NULL,
    value           text,
    encrypted_value text,
    is_encrypted    boolean DEFAULT false,
    category        varchar(100),
    description     text,
    created_at      timestamptz DEFAULT now(),
    updated_at      timestamptz DEFAULT now()
);
CREATE INDEX IF NOT EXISTS idx_archon_settings_key ON archon_settings (key);
CREATE INDEX IF NOT EXISTS idx_archon_settings_category ON archon_settings (category);
CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END
$$;
CREATE TRIGGER update_archon_settings_updated_at BEFORE UPDATE ON archon_settings
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
INSERT INTO archon_settings (key, value, category, description) VALUES
    ('MCP_TRANSPORT', 'dual', 'server_config', 'How assistants connect'),
    ('USE_HYBRID_SEARCH', 'true', 'rag_strategy', 'Vectors and words together'),
    ('USE_RERANKING', 'true', 'rag_strategy', NULL);
INSERT INTO archon_settings (key, encrypted_value, is_encrypted, category) VALUES ('OPENAI_API_KEY', NULL, true, 'api_keys');
INSERT INTO archon_settings (key, value, category) VALUES ('EMBEDDING_MODEL', 'text-embedding-3-small', 'rag_strategy')
    ON CONFLICT (key) DO NOTHING;
COMMENT ON TABLE archon_settings IS 'Settings and keys';

CREATE TABLE IF NOT EXISTS archon_sources (
    source_id           text PRIMARY KEY,
    source_url          text,
    source_display_name text,
    summary             text,
    total_word_count    integer DEFAULT 0,
    title               text,
    metadata            jsonb DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT timezone('utc', now()),
    updated_at          timestamptz NOT NULL DEFAULT timezone('utc', now())
);
CREATE INDEX IF NOT EXISTS idx_archon_sources_title ON archon_sources (title);
CREATE INDEX IF NOT EXISTS idx_archon_sources_url ON archon_sources (source_url);
CREATE INDEX IF NOT EXISTS idx_archon_sources_display_name ON archon_sources (source_display_name);
CREATE INDEX IF NOT EXISTS idx_archon_sources_metadata ON archon_sources USING gin (metadata);
CREATE INDEX IF NOT EXISTS idx_archon_sources_knowledge_type ON archon_sources ((metadata ->> 'knowledge_type'));
COMMENT ON COLUMN archon_sources.source_url IS 'the address that was crawled';

CREATE TABLE IF NOT EXISTS archon_crawled_pages (
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
    FOREIGN KEY (source_id) REFERENCES archon_sources (source_id) ON DELETE CASCADE
);
CREATE INDEX idx_archon_crawled_pages_metadata ON archon_crawled_pages USING gin (metadata);
CREATE INDEX idx_archon_crawled_pages_source_id ON archon_crawled_pages (source_id);
CREATE INDEX idx_archon_crawled_pages_content_search ON archon_crawled_pages USING gin (content_search_vector);
CREATE INDEX idx_archon_crawled_pages_embedding_model ON archon_crawled_pages (embedding_model);
CREATE INDEX idx_archon_crawled_pages_embedding_dimension ON archon_crawled_pages (embedding_dimension);
CREATE INDEX idx_archon_crawled_pages_llm_chat_model ON archon_crawled_pages (llm_chat_model);

CREATE TABLE IF NOT EXISTS archon_code_examples (
    id                    bigserial PRIMARY KEY,
    url                   varchar NOT NULL,
    chunk_number          integer NOT NULL,
    content               text NOT NULL,
    summary               text NOT NULL,
    metadata              jsonb NOT NULL DEFAULT '{}',
    source_id             text NOT NULL,
    llm_chat_model        text,
    embedding_model       text,
    embedding_dimension   integer,
    content_search_vector tsvector GENERATED ALWAYS AS (to_tsvector('english', content || ' ' || COALESCE(summary, ''))) STORED,
    created_at            timestamptz NOT NULL DEFAULT timezone('utc', now()),
    UNIQUE (url, chunk_number),
    FOREIGN KEY (source_id) REFERENCES archon_sources (source_id) ON DELETE CASCADE
);
CREATE INDEX idx_archon_code_examples_metadata ON archon_code_examples USING gin (metadata);
CREATE INDEX idx_archon_code_examples_source_id ON archon_code_examples (source_id);
CREATE INDEX idx_archon_code_examples_content_search ON archon_code_examples USING gin (content_search_vector);

CREATE TABLE IF NOT EXISTS archon_page_metadata (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    source_id     text NOT NULL,
    url           text NOT NULL,
    full_content  text NOT NULL,
    section_title text,
    section_order integer DEFAULT 0,
    word_count    integer NOT NULL,
    char_count    integer NOT NULL,
    chunk_count   integer NOT NULL DEFAULT 0,
    created_at    timestamptz DEFAULT now(),
    updated_at    timestamptz DEFAULT now(),
    metadata      jsonb DEFAULT '{}',
    CONSTRAINT archon_page_metadata_url_unique UNIQUE (url),
    CONSTRAINT archon_page_metadata_source_fk FOREIGN KEY (source_id) REFERENCES archon_sources (source_id) ON DELETE CASCADE
);
ALTER TABLE archon_crawled_pages ADD COLUMN IF NOT EXISTS page_id uuid REFERENCES archon_page_metadata (id) ON DELETE SET NULL;
CREATE INDEX IF NOT EXISTS idx_archon_page_metadata_source_id ON archon_page_metadata (source_id);
CREATE INDEX IF NOT EXISTS idx_archon_page_metadata_url ON archon_page_metadata (url);
CREATE INDEX IF NOT EXISTS idx_archon_page_metadata_section ON archon_page_metadata (source_id, section_title, section_order);
CREATE INDEX IF NOT EXISTS idx_archon_page_metadata_created_at ON archon_page_metadata (created_at);
CREATE INDEX IF NOT EXISTS idx_archon_page_metadata_metadata ON archon_page_metadata USING gin (metadata);
CREATE INDEX IF NOT EXISTS idx_archon_crawled_pages_page_id ON archon_crawled_pages (page_id);
COMMENT ON TABLE archon_page_metadata IS 'Whole pages';

CREATE TABLE IF NOT EXISTS archon_projects (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title      text NOT NULL,
    docs       jsonb DEFAULT '[]',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE OR REPLACE TRIGGER update_archon_projects_updated_at BEFORE UPDATE ON archon_projects
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE IF NOT EXISTS archon_migrations (
    id             uuid DEFAULT gen_random_uuid() PRIMARY KEY,
    version        varchar(20) NOT NULL,
    migration_name varchar(255) NOT NULL,
    applied_at     timestamptz DEFAULT now(),
    checksum       varchar(32),
    UNIQUE (version, migration_name)
);
CREATE INDEX IF NOT EXISTS idx_archon_migrations_version ON archon_migrations (version);
CREATE INDEX IF NOT EXISTS idx_archon_migrations_applied_at ON archon_migrations (applied_at DESC);
COMMENT ON TABLE archon_migrations IS 'What was applied to this installation';
INSERT INTO archon_migrations (version, migration_name) VALUES
    ('0.1.0', '001_add_source_url_display_name'), ('0.1.0', '002_add_hybrid_search_tsvector'), ('0.1.0', '003_ollama_add_columns'),
    ('0.1.0', '004_ollama_migrate_data'), ('0.1.0', '005_ollama_create_functions'), ('0.1.0', '006_ollama_create_indexes_optional'),
    ('0.1.0', '007_add_priority_column_to_tasks'), ('0.1.0', '008_add_migration_tracking'), ('0.1.0', '009_add_cascade_delete_constraints'),
    ('0.1.0', '010_add_provider_placeholders'), ('0.1.0', '011_add_page_metadata_table')
ON CONFLICT (version, migration_name) DO NOTHING;
