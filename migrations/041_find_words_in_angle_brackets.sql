-- +goose Up
-- Postgres' parser takes <word> and List<String> for tags of HTML and keeps no word of them. The words of such chunks
-- and titles are made again, by sluice migrate up or, at the latest, by the first search of a new process.
SET LOCAL lock_timeout = '10s';
DELETE FROM confluence_chunk_words w USING archon_crawled_pages c
WHERE c.id = w.chunk_id AND (c.content ~ '<[[:alpha:]/!?][^>]*>'
    OR concat_ws(E'\n', c.metadata ->> 'title', c.metadata ->> 'section_title') ~ '<[[:alpha:]/!?][^>]*>');

-- +goose Down
SELECT 1;
