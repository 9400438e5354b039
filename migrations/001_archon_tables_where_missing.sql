-- +goose Up
-- Archon's tables, with Archon's columns, only where they are missing. An existing Archon
-- installation is never altered: every statement here makes nothing that is there already.

-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('archon_sources') IS NOT NULL THEN
        RETURN;
    END IF;

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
END
$$;
-- +goose StatementEnd

CREATE TABLE IF NOT EXISTS archon_settings (
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

CREATE TABLE IF NOT EXISTS archon_migrations (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    version        varchar(20) NOT NULL,
    migration_name varchar(255) NOT NULL,
    applied_at     timestamptz DEFAULT now(),
    checksum       varchar(32),
    UNIQUE (version, migration_name)
);

-- Chunks. The vector columns exist only where the extension does; the indexes belong to the
-- table that is made here, so an existing table keeps the ones it has.
-- +goose StatementBegin
DO $$
DECLARE
    dim integer;
BEGIN
    IF to_regclass('archon_crawled_pages') IS NOT NULL THEN
        RETURN;
    END IF;

    CREATE TABLE archon_crawled_pages (
        id                    bigserial PRIMARY KEY,
        url                   varchar NOT NULL,
        chunk_number          integer NOT NULL,
        content               text NOT NULL,
        metadata              jsonb NOT NULL DEFAULT '{}',
        source_id             text NOT NULL REFERENCES archon_sources (source_id) ON DELETE CASCADE,
        llm_chat_model        text,
        embedding_model       text,
        embedding_dimension   integer,
        content_search_vector tsvector GENERATED ALWAYS AS (to_tsvector('english', content)) STORED,
        created_at            timestamptz NOT NULL DEFAULT timezone('utc', now()),
        UNIQUE (url, chunk_number)
    );
    CREATE INDEX idx_archon_crawled_pages_metadata ON archon_crawled_pages USING gin (metadata);
    CREATE INDEX idx_archon_crawled_pages_source_id ON archon_crawled_pages (source_id);
    CREATE INDEX idx_archon_crawled_pages_content_search ON archon_crawled_pages USING gin (content_search_vector);
    CREATE INDEX idx_archon_crawled_pages_embedding_model ON archon_crawled_pages (embedding_model);
    CREATE INDEX idx_archon_crawled_pages_embedding_dimension ON archon_crawled_pages (embedding_dimension);
    CREATE INDEX idx_archon_crawled_pages_llm_chat_model ON archon_crawled_pages (llm_chat_model);

    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        CREATE INDEX idx_archon_crawled_pages_content_trgm ON archon_crawled_pages USING gin (content gin_trgm_ops);
    END IF;

    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
        CREATE EXTENSION IF NOT EXISTS vector;
        FOREACH dim IN ARRAY ARRAY[384, 768, 1024, 1536, 3072] LOOP
            EXECUTE format('ALTER TABLE archon_crawled_pages ADD COLUMN embedding_%s vector(%s)', dim, dim);
            IF dim <= 2000 THEN -- the index type ends at 2,000 dimensions
                EXECUTE format('CREATE INDEX idx_archon_crawled_pages_embedding_%s ON archon_crawled_pages '
                    'USING ivfflat (embedding_%s vector_cosine_ops) WITH (lists = 100)', dim, dim);
            END IF;
        END LOOP;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- Archon's tables may hold Archon's data: going down never drops them.
SELECT 1;
