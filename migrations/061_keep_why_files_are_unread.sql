-- +goose Up
-- An attachment whose text is not stored would be downloaded by every full run, only to be skipped or to fail
-- again. What its version, its reader and their bounds have decided is kept until one of them changes.

SET LOCAL lock_timeout = '10s';
CREATE TABLE confluence_unread_files (
    source_id  text NOT NULL REFERENCES archon_sources (source_id) ON DELETE CASCADE,
    page_id    text NOT NULL,
    version    integer NOT NULL,
    version_at timestamptz,
    reader     text NOT NULL,
    bounds     text NOT NULL,
    skipped    boolean NOT NULL,
    reason     text NOT NULL,
    message    text NOT NULL DEFAULT '',
    times      integer NOT NULL DEFAULT 1,
    PRIMARY KEY (source_id, page_id)
);

COMMENT ON TABLE confluence_unread_files IS 'Attachments whose text is not stored, and why';
COMMENT ON COLUMN confluence_unread_files.source_id IS 'the source';
COMMENT ON COLUMN confluence_unread_files.page_id IS 'Confluence''s id of the attachment';
COMMENT ON COLUMN confluence_unread_files.version IS 'the version of the attachment that this is about';
COMMENT ON COLUMN confluence_unread_files.version_at IS 'when that version was made; null if Confluence does not say';
COMMENT ON COLUMN confluence_unread_files.reader IS 'the version of the extractor, and what the file''s name and media type say that it is';
COMMENT ON COLUMN confluence_unread_files.bounds IS 'the extractor''s settings on which the outcome depends';
COMMENT ON COLUMN confluence_unread_files.skipped IS 'true: files of this kind are not read; false: it could not be read';
COMMENT ON COLUMN confluence_unread_files.reason IS 'the reason of the skip, such as format_audio, or the failure code';
COMMENT ON COLUMN confluence_unread_files.message IS 'why it could not be read, for people';
COMMENT ON COLUMN confluence_unread_files.times IS 'how often it ended so';

-- +goose Down
SET LOCAL lock_timeout = '10s';
DROP TABLE confluence_unread_files;
