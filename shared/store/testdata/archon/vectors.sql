-- Embeddings of five widths, and the functions that search them.
CREATE SCHEMA extensions;
CREATE EXTENSION vector SCHEMA extensions;

DO $$
DECLARE
    place text;
    dim integer;
BEGIN
    FOREACH place IN ARRAY ARRAY['archon_crawled_pages', 'archon_code_examples'] LOOP
        FOREACH dim IN ARRAY ARRAY[384, 768, 1024, 1536, 3072] LOOP
            EXECUTE format('ALTER TABLE %I ADD COLUMN embedding_%s extensions.vector(%s)', place, dim, dim);
            IF dim < 3072 THEN
                EXECUTE format('CREATE INDEX idx_%s_embedding_%s ON %I USING ivfflat (embedding_%s extensions.vector_cosine_ops) WITH (lists = 100)',
                    place, dim, place, dim);
            END IF;
        END LOOP;
    END LOOP;
END
$$;
UPDATE archon_crawled_pages SET embedding_384 = (SELECT array_agg((i * id)::real) FROM generate_series(1, 384) i)::extensions.vector
    WHERE source_id = 'web';

CREATE FUNCTION match_archon_crawled_pages(
    query_embedding extensions.vector(384), match_count integer DEFAULT 10, filter jsonb DEFAULT '{}', source_filter text DEFAULT NULL
) RETURNS TABLE (id bigint, url varchar, chunk_number integer, content text, metadata jsonb, source_id text, similarity double precision)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.id, c.url, c.chunk_number, c.content, c.metadata, c.source_id,
        1 - (c.embedding_384 OPERATOR(extensions.<=>) query_embedding)
    FROM archon_crawled_pages c
    WHERE c.embedding_384 IS NOT NULL AND c.metadata @> filter AND (source_filter IS NULL OR c.source_id = source_filter)
    ORDER BY c.embedding_384 OPERATOR(extensions.<=>) query_embedding
    LIMIT match_count;
END
$$;

CREATE FUNCTION hybrid_search_archon_crawled_pages(
    query_embedding extensions.vector(384), query_text text, match_count integer DEFAULT 10, filter jsonb DEFAULT '{}', source_filter text DEFAULT NULL
) RETURNS TABLE (id bigint, url varchar, chunk_number integer, content text, metadata jsonb, source_id text, similarity double precision, match_type text)
LANGUAGE sql STABLE AS $$
    WITH near AS (
        SELECT * FROM match_archon_crawled_pages(query_embedding, match_count, filter, source_filter)
    ), said AS (
        SELECT c.id, ts_rank_cd(c.content_search_vector, plainto_tsquery('english', query_text))::double precision AS rank
        FROM archon_crawled_pages c
        WHERE c.content_search_vector @@ plainto_tsquery('english', query_text)
            AND c.metadata @> filter AND (source_filter IS NULL OR c.source_id = source_filter)
        ORDER BY 2 DESC LIMIT match_count
    )
    SELECT c.id, c.url, c.chunk_number, c.content, c.metadata, c.source_id, coalesce(n.similarity, s.rank),
        CASE WHEN n.id IS NULL THEN 'keyword' WHEN s.id IS NULL THEN 'vector' ELSE 'hybrid' END
    FROM near n FULL JOIN said s ON s.id = n.id
    JOIN archon_crawled_pages c ON c.id = coalesce(n.id, s.id)
    ORDER BY 7 DESC LIMIT match_count;
$$;
COMMENT ON FUNCTION hybrid_search_archon_crawled_pages IS 'Vectors and words together';
