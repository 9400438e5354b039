-- An Archon 0.1 database before anything of Sluice's is in it. The chunks' table, which is
-- where installations differ, is in the files beside this one.

CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END
$$;

CREATE TABLE archon_settings (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key             varchar(255) UNIQUE NOT NULL,
    value           text,
    encrypted_value text,
    is_encrypted    boolean DEFAULT false,
    category        varchar(100),
    description     text,
    created_at      timestamptz DEFAULT now(),
    updated_at      timestamptz DEFAULT now()
);
CREATE INDEX idx_archon_settings_key ON archon_settings (key);
CREATE INDEX idx_archon_settings_category ON archon_settings (category);
CREATE TRIGGER update_archon_settings_updated_at BEFORE UPDATE ON archon_settings
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
INSERT INTO archon_settings (key, value, category, description) VALUES
    ('USE_HYBRID_SEARCH', 'true', 'rag_strategy', 'Vectors and words together'),
    ('EMBEDDING_DIMENSIONS', '1536', 'rag_strategy', NULL);
INSERT INTO archon_settings (key, encrypted_value, is_encrypted, category) VALUES
    ('OPENAI_API_KEY', 'gAAAAABnotarealtoken', true, 'api_keys');

CREATE TABLE archon_sources (
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
CREATE INDEX idx_archon_sources_title ON archon_sources (title);
CREATE INDEX idx_archon_sources_url ON archon_sources (source_url);
CREATE INDEX idx_archon_sources_display_name ON archon_sources (source_display_name);
CREATE INDEX idx_archon_sources_metadata ON archon_sources USING gin (metadata);
CREATE INDEX idx_archon_sources_knowledge_type ON archon_sources ((metadata ->> 'knowledge_type'));
COMMENT ON COLUMN archon_sources.source_url IS 'the address that was crawled';
INSERT INTO archon_sources (source_id, source_url, source_display_name, summary, total_word_count, title, metadata) VALUES
    ('web', 'https://docs.example.com', 'Example docs', 'About examples', 7, 'Example docs',
        '{"knowledge_type": "technical", "tags": ["go"], "source_type": "url", "update_frequency": 7, "original_url": "https://docs.example.com"}'),
    ('file_notes_pdf_1a2b', 'file://notes.pdf', 'notes.pdf', NULL, 3, 'notes.pdf',
        '{"knowledge_type": "business", "tags": [], "source_type": "file"}');

CREATE TABLE archon_migrations (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    version        varchar(20) NOT NULL,
    migration_name varchar(255) NOT NULL,
    applied_at     timestamptz DEFAULT now(),
    checksum       varchar(32),
    UNIQUE (version, migration_name)
);
CREATE INDEX idx_archon_migrations_version ON archon_migrations (version);
COMMENT ON TABLE archon_migrations IS 'What was applied to this installation';
INSERT INTO archon_migrations (version, migration_name, checksum) VALUES
    ('0.1.0', '009_add_cascade_delete_constraints', NULL),
    ('0.1.0', '010_add_provider_placeholders', '0123456789abcdef0123456789abcdef');

CREATE TYPE task_status AS ENUM ('todo', 'doing', 'review', 'done');
CREATE TABLE archon_projects (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title      text NOT NULL,
    docs       jsonb DEFAULT '[]',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE TABLE archon_tasks (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id uuid REFERENCES archon_projects (id) ON DELETE CASCADE,
    title      text NOT NULL,
    status     task_status DEFAULT 'todo'
);
CREATE INDEX idx_archon_tasks_status ON archon_tasks (status);
INSERT INTO archon_projects (title) VALUES ('Lighthouse');
INSERT INTO archon_tasks (project_id, title) SELECT id, 'Paint it' FROM archon_projects;
