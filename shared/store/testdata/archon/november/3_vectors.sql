-- Embeddings of five widths, and the functions that search them. Archon asks the two that take a
-- vector of 1,536 numbers, and no other.
CREATE EXTENSION IF NOT EXISTS vector;

DO $$
DECLARE
    place text;
    dim integer;
BEGIN
    FOREACH place IN ARRAY ARRAY['archon_crawled_pages', 'archon_code_examples'] LOOP
        FOREACH dim IN ARRAY ARRAY[384, 768, 1024, 1536, 3072] LOOP
            EXECUTE format('ALTER TABLE %I ADD COLUMN IF NOT EXISTS embedding_%s vector(%s)', place, dim, dim);
            IF dim < 3072 THEN
                EXECUTE format('CREATE INDEX IF NOT EXISTS idx_%s_embedding_%s ON %I USING ivfflat (embedding_%s vector_cosine_ops) WITH (lists = 100)',
                    place, dim, place, dim);
            END IF;
        END LOOP;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION match_archon_crawled_pages_multi(
    query_embedding vector, embedding_dimension integer, match_count integer DEFAULT 10, filter jsonb DEFAULT '{}', source_filter text DEFAULT NULL
) RETURNS TABLE (id bigint, url varchar, chunk_number integer, content text, metadata jsonb, source_id text, similarity double precision)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF embedding_dimension NOT IN (384, 768, 1024, 1536, 3072) THEN
        RAISE EXCEPTION 'Unsupported embedding dimension: %', embedding_dimension;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT id, url, chunk_number, content, metadata, source_id, 1 - (%1$I <=> $1)
        FROM archon_crawled_pages WHERE %1$I IS NOT NULL AND metadata @> $3 AND ($4 IS NULL OR source_id = $4)
        ORDER BY %1$I <=> $1 LIMIT $2', 'embedding_' || embedding_dimension)
        USING query_embedding, match_count, filter, source_filter;
END
$$;

CREATE OR REPLACE FUNCTION match_archon_crawled_pages(
    query_embedding vector(1536), match_count integer DEFAULT 10, filter jsonb DEFAULT '{}', source_filter text DEFAULT NULL
) RETURNS TABLE (id bigint, url varchar, chunk_number integer, content text, metadata jsonb, source_id text, similarity double precision)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM match_archon_crawled_pages_multi(query_embedding, 1536, match_count, filter, source_filter);
END
$$;

CREATE OR REPLACE FUNCTION hybrid_search_archon_crawled_pages_multi(
    query_embedding vector, embedding_dimension integer, query_text text, match_count integer DEFAULT 10, filter jsonb DEFAULT '{}', source_filter text DEFAULT NULL
) RETURNS TABLE (id bigint, url varchar, chunk_number integer, content text, metadata jsonb, source_id text, similarity double precision, match_type text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF embedding_dimension NOT IN (384, 768, 1024, 1536, 3072) THEN
        RAISE EXCEPTION 'Unsupported embedding dimension: %', embedding_dimension;
    END IF;
    RETURN QUERY EXECUTE format('
        WITH near AS (
            SELECT c.id, 1 - (c.%1$I <=> $1) AS similarity FROM archon_crawled_pages c
            WHERE c.metadata @> $3 AND ($4 IS NULL OR c.source_id = $4) AND c.%1$I IS NOT NULL
            ORDER BY c.%1$I <=> $1 LIMIT $2
        ), said AS (
            SELECT c.id, ts_rank_cd(c.content_search_vector, plainto_tsquery(''english'', $5)) AS similarity FROM archon_crawled_pages c
            WHERE c.metadata @> $3 AND ($4 IS NULL OR c.source_id = $4) AND c.content_search_vector @@ plainto_tsquery(''english'', $5)
            ORDER BY 2 DESC LIMIT $2
        )
        SELECT c.id, c.url, c.chunk_number, c.content, c.metadata, c.source_id, coalesce(n.similarity, s.similarity, 0)::double precision,
            CASE WHEN s.id IS NULL THEN ''vector'' WHEN n.id IS NULL THEN ''keyword'' ELSE ''hybrid'' END
        FROM near n FULL JOIN said s ON s.id = n.id JOIN archon_crawled_pages c ON c.id = coalesce(n.id, s.id)
        ORDER BY 7 DESC LIMIT $2', 'embedding_' || embedding_dimension)
        USING query_embedding, match_count, filter, source_filter, query_text;
END
$$;

CREATE OR REPLACE FUNCTION hybrid_search_archon_crawled_pages(
    query_embedding vector(1536), query_text text, match_count integer DEFAULT 10, filter jsonb DEFAULT '{}', source_filter text DEFAULT NULL
) RETURNS TABLE (id bigint, url varchar, chunk_number integer, content text, metadata jsonb, source_id text, similarity double precision, match_type text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM hybrid_search_archon_crawled_pages_multi(query_embedding, 1536, query_text, match_count, filter, source_filter);
END
$$;
COMMENT ON FUNCTION hybrid_search_archon_crawled_pages IS 'Vectors and words together';
