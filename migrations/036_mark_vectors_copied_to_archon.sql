-- +goose Up
SET LOCAL lock_timeout = '10s';
-- Where an Archon searches with the same model, its column has the vectors too.
ALTER TABLE confluence_chunk_texts ADD COLUMN copied boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN confluence_chunk_texts.copied IS 'Archon''s column has the vector of this text';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_chunk_texts DROP COLUMN copied;
