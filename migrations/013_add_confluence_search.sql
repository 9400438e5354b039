-- +goose Up
-- What search narrows pages by and has no index for yet, and the words of titles and headings:
-- the best answer to a common word is the page that is named so.

CREATE INDEX idx_confluence_pages_labels ON confluence_pages USING gin ((metadata -> 'labels'));
CREATE INDEX idx_confluence_pages_last_modified ON confluence_pages (last_modified);
CREATE INDEX idx_confluence_chunks_titles ON archon_crawled_pages USING gin (
    to_tsvector('english', coalesce(metadata ->> 'title', '') || ' ' || coalesce(metadata ->> 'section_title', '')));

-- +goose Down
DROP INDEX idx_confluence_chunks_titles;
DROP INDEX idx_confluence_pages_last_modified;
DROP INDEX idx_confluence_pages_labels;
