-- +goose Up
-- A search of a few pages compares the vector of each of their chunks: page, chunk, text, vector. Rows of words are
-- long, so these indexes hold all that is read on the way.

SET LOCAL lock_timeout = '10s';
CREATE INDEX idx_confluence_chunk_words_of_page ON confluence_chunk_words (page_id) INCLUDE (chunk_id, place, source_id);
CREATE UNIQUE INDEX idx_confluence_chunk_texts_of_chunk ON confluence_chunk_texts (chunk_id, space_id) INCLUDE (key);
-- Searches go on until here: what they read is locked only when nothing is left to build.
LOCK TABLE confluence_chunk_texts, confluence_chunk_words IN ACCESS EXCLUSIVE MODE;
DROP INDEX idx_confluence_chunk_words_page;
ALTER TABLE confluence_chunk_texts DROP CONSTRAINT confluence_chunk_texts_pkey;
ALTER TABLE confluence_chunk_texts ADD CONSTRAINT confluence_chunk_texts_pkey PRIMARY KEY USING INDEX idx_confluence_chunk_texts_of_chunk;

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_chunk_texts DROP CONSTRAINT confluence_chunk_texts_pkey;
ALTER TABLE confluence_chunk_texts ADD CONSTRAINT confluence_chunk_texts_pkey PRIMARY KEY (chunk_id, space_id);
CREATE INDEX idx_confluence_chunk_words_page ON confluence_chunk_words (page_id);
DROP INDEX idx_confluence_chunk_words_of_page;
