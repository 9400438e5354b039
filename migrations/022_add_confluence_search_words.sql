-- +goose Up
-- What search reads: for each chunk the words of its text and, with "^" before them, those of its
-- page's title and of its heading, and how many chunks hold each word. Archon's tables stay as they
-- are.

CREATE TABLE confluence_search (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one), -- there is one row
    language text NOT NULL -- of the words that are stored, as a quoted name of a text search configuration
);
INSERT INTO confluence_search (language) VALUES ('english');

CREATE TABLE confluence_chunk_words (
    chunk_id  bigint PRIMARY KEY REFERENCES archon_crawled_pages (id) ON DELETE CASCADE,
    source_id text NOT NULL,
    page_id   text,            -- NULL for what is no page
    place     bigint NOT NULL, -- a hash of address and text: an order that is the same after every load
    length    integer NOT NULL, -- words of the text
    titles    integer NOT NULL, -- words of title and heading
    words     tsvector NOT NULL
) WITH (toast_tuple_target = 8160); -- words are compared at every search: kept in the row, and not compressed
CREATE INDEX idx_confluence_chunk_words_words ON confluence_chunk_words USING gin (words);
CREATE INDEX idx_confluence_chunk_words_source ON confluence_chunk_words (source_id);
CREATE INDEX idx_confluence_chunk_words_page ON confluence_chunk_words (page_id);
CREATE INDEX idx_confluence_chunk_words_place ON confluence_chunk_words (place);

-- In how many chunks each word stands. The index for words that are nearly right needs pg_trgm
-- and is made where that is installed.
CREATE TABLE confluence_words (
    word   text COLLATE "C" PRIMARY KEY,
    chunks bigint NOT NULL
) WITH (fillfactor = 80); -- a count that changes stays on its page of the table
CREATE TABLE confluence_word_totals (
    source_id text PRIMARY KEY,
    chunks    bigint NOT NULL,
    length    bigint NOT NULL
);

-- What is not counted yet: chunks that came, and the words of those that went.
CREATE TABLE confluence_words_uncounted (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chunk_id  bigint, -- came; NULL for one that went
    source_id text,
    length    integer,
    words     tsvector
);
CREATE INDEX idx_confluence_words_uncounted_chunk ON confluence_words_uncounted (chunk_id);

-- +goose StatementBegin
CREATE FUNCTION confluence_words_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO confluence_words_uncounted (chunk_id) SELECT chunk_id FROM came;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION confluence_words_went() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH never AS (
        DELETE FROM confluence_words_uncounted u USING went WHERE u.chunk_id = went.chunk_id RETURNING u.chunk_id
    )
    INSERT INTO confluence_words_uncounted (source_id, length, words)
    SELECT source_id, length, words FROM went WHERE NOT EXISTS (SELECT FROM never WHERE never.chunk_id = went.chunk_id);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION confluence_words_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH never AS (
        DELETE FROM confluence_words_uncounted u USING went WHERE u.chunk_id = went.chunk_id RETURNING u.chunk_id
    )
    INSERT INTO confluence_words_uncounted (source_id, length, words)
    SELECT source_id, length, words FROM went WHERE NOT EXISTS (SELECT FROM never WHERE never.chunk_id = went.chunk_id);
    INSERT INTO confluence_words_uncounted (chunk_id) SELECT chunk_id FROM came;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER came AFTER INSERT ON confluence_chunk_words
    REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION confluence_words_came();
CREATE TRIGGER went AFTER DELETE ON confluence_chunk_words
    REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION confluence_words_went();
CREATE TRIGGER changed AFTER UPDATE ON confluence_chunk_words
    REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION confluence_words_changed();

DROP INDEX idx_confluence_chunks_titles;

-- What is nearly right is found with pg_trgm. Where that comes later, "migrate up" makes the index then.
-- +goose StatementBegin
DO $$
DECLARE
    trgm text := (SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pg_trgm');
BEGIN
    IF trgm IS NOT NULL THEN
        EXECUTE 'CREATE INDEX idx_confluence_words_similar ON confluence_words USING gin (word ' || trgm || '.gin_trgm_ops) '
            || $w$WHERE word ~ '^\^?[[:alpha:]]{3,30}$'$w$;
    END IF;
END
$$;
-- +goose StatementEnd

COMMENT ON TABLE confluence_search IS 'How the search stores words; one row';
COMMENT ON COLUMN confluence_search.one IS 'always true: there is one row';
COMMENT ON COLUMN confluence_search.language IS 'the text search configuration of the stored words, as a quoted name';
COMMENT ON TABLE confluence_chunk_words IS 'What the search reads of each chunk, whoever wrote it';
COMMENT ON COLUMN confluence_chunk_words.chunk_id IS 'the chunk';
COMMENT ON COLUMN confluence_chunk_words.source_id IS 'its source';
COMMENT ON COLUMN confluence_chunk_words.page_id IS 'its page; null for what is no page';
COMMENT ON COLUMN confluence_chunk_words.place IS 'a hash of address and text: an order that is the same after every load';
COMMENT ON COLUMN confluence_chunk_words.length IS 'words of the text';
COMMENT ON COLUMN confluence_chunk_words.titles IS 'words of the page''s title and the heading';
COMMENT ON COLUMN confluence_chunk_words.words IS 'words of the text, brought to their stem, with their places; parts of identifiers; those of title and heading with ^ before them';
COMMENT ON TABLE confluence_words IS 'Every word of the chunks, with how many hold it';
COMMENT ON COLUMN confluence_words.word IS 'as in confluence_chunk_words.words';
COMMENT ON COLUMN confluence_words.chunks IS 'chunks that hold it, but for those not counted yet';
COMMENT ON TABLE confluence_word_totals IS 'How much text each source has, but for what is not counted yet';
COMMENT ON COLUMN confluence_word_totals.source_id IS 'the source';
COMMENT ON COLUMN confluence_word_totals.chunks IS 'its chunks';
COMMENT ON COLUMN confluence_word_totals.length IS 'words of their texts';
COMMENT ON TABLE confluence_words_uncounted IS 'Chunks that came or went and whose words are to be counted';
COMMENT ON COLUMN confluence_words_uncounted.id IS 'order of arrival';
COMMENT ON COLUMN confluence_words_uncounted.chunk_id IS 'the chunk that came; null for one that went';
COMMENT ON COLUMN confluence_words_uncounted.source_id IS 'source of one that went';
COMMENT ON COLUMN confluence_words_uncounted.length IS 'words of the text of one that went';
COMMENT ON COLUMN confluence_words_uncounted.words IS 'words of one that went';

-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated')
       AND to_regprocedure('auth.role()') IS NOT NULL THEN
        FOREACH name IN ARRAY ARRAY['confluence_search', 'confluence_chunk_words', 'confluence_words', 'confluence_word_totals', 'confluence_words_uncounted'] LOOP
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
            EXECUTE format('CREATE POLICY "Allow service role full access" ON %I FOR ALL USING (auth.role() = ''service_role'')', name);
        END LOOP;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
CREATE INDEX idx_confluence_chunks_titles ON archon_crawled_pages USING gin (
    to_tsvector('english', coalesce(metadata ->> 'title', '') || ' ' || coalesce(metadata ->> 'section_title', '')));
DROP TABLE confluence_words_uncounted, confluence_word_totals, confluence_words, confluence_chunk_words, confluence_search;
DROP FUNCTION confluence_words_came, confluence_words_went, confluence_words_changed;
