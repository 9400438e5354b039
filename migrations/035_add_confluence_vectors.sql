-- +goose Up
-- What search by meaning stands on; see docs/adr/0023-spaces-of-vectors.md. The vectors themselves are in
-- a table for each space, confluence_vectors_<space_id>, which the program makes: how long they are
-- depends on the model, and the server may have no pgvector.

CREATE TABLE confluence_vector_spaces (
    space_id       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model          text NOT NULL,
    dimensions     integer NOT NULL CHECK (dimensions BETWEEN 1 AND 4000), -- where pgvector's index ends
    prefix_version integer NOT NULL,
    state          text NOT NULL CHECK (state IN ('filling', 'active', 'retired')),
    created_at     timestamptz NOT NULL DEFAULT now(),
    active_at      timestamptz,
    UNIQUE (model, dimensions, prefix_version)
);
CREATE UNIQUE INDEX idx_confluence_vector_spaces_active ON confluence_vector_spaces (state) WHERE state = 'active';

-- A text is embedded once a space, however many chunks have it.
CREATE TABLE confluence_texts (
    space_id integer NOT NULL REFERENCES confluence_vector_spaces ON DELETE CASCADE,
    key      uuid NOT NULL,
    state    text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'embedded', 'failed')),
    code     text,
    tries    integer NOT NULL DEFAULT 0,
    tokens   integer NOT NULL DEFAULT 0,
    due_at   timestamptz NOT NULL DEFAULT now(),
    seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (space_id, key)
);
CREATE INDEX idx_confluence_texts_due ON confluence_texts (space_id, due_at) WHERE state = 'pending';

-- Whoever changes what is embedded of a chunk deletes its row, and it is looked at again.
CREATE TABLE confluence_chunk_texts (
    chunk_id bigint NOT NULL REFERENCES archon_crawled_pages (id) ON DELETE CASCADE,
    space_id integer NOT NULL REFERENCES confluence_vector_spaces ON DELETE CASCADE,
    key      uuid NOT NULL,
    PRIMARY KEY (chunk_id, space_id)
);
CREATE INDEX idx_confluence_chunk_texts_key ON confluence_chunk_texts (space_id, key);

COMMENT ON TABLE confluence_vector_spaces IS 'Sets of vectors that can be compared: of one model, one length, one prefix';
COMMENT ON COLUMN confluence_vector_spaces.space_id IS 'its vectors are in confluence_vectors_<space_id>';
COMMENT ON COLUMN confluence_vector_spaces.model IS 'as its server calls it';
COMMENT ON COLUMN confluence_vector_spaces.dimensions IS 'of each vector';
COMMENT ON COLUMN confluence_vector_spaces.prefix_version IS 'of what is put before each text';
COMMENT ON COLUMN confluence_vector_spaces.state IS 'filling: not complete; active: searched; retired: searched before';
COMMENT ON COLUMN confluence_vector_spaces.created_at IS 'when filling began';
COMMENT ON COLUMN confluence_vector_spaces.active_at IS 'since when it is, or was, searched';
COMMENT ON TABLE confluence_texts IS 'The texts of chunks, each with what became of its vector';
COMMENT ON COLUMN confluence_texts.space_id IS 'the space';
COMMENT ON COLUMN confluence_texts.key IS 'hash of model, dimensions, prefix version and text';
COMMENT ON COLUMN confluence_texts.state IS 'pending, embedded, or failed for good';
COMMENT ON COLUMN confluence_texts.code IS 'failure code of the last try; null after a success';
COMMENT ON COLUMN confluence_texts.tries IS 'tries that failed';
COMMENT ON COLUMN confluence_texts.tokens IS 'that the text has, in the model''s own';
COMMENT ON COLUMN confluence_texts.due_at IS 'not tried before; in the future while a process embeds it';
COMMENT ON COLUMN confluence_texts.seen_at IS 'when a chunk last got this text';
COMMENT ON TABLE confluence_chunk_texts IS 'Which text a chunk has; none where that is not looked at yet';
COMMENT ON COLUMN confluence_chunk_texts.chunk_id IS 'the chunk';
COMMENT ON COLUMN confluence_chunk_texts.space_id IS 'the space';
COMMENT ON COLUMN confluence_chunk_texts.key IS 'its text, in confluence_texts';

-- +goose Down
-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relname ~ '^confluence_vectors_[0-9]+$'
        AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'confluence_vector_spaces'::regclass)
    LOOP
        EXECUTE 'DROP TABLE ' || name;
    END LOOP;
END
$$;
-- +goose StatementEnd
DROP TABLE confluence_chunk_texts, confluence_texts, confluence_vector_spaces;
