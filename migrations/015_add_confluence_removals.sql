-- +goose Up
-- What left and came back, who approved it, what a run cost and where its time went.

CREATE TABLE confluence_removals (
    page_id     text NOT NULL,
    run_id      text NOT NULL,
    source_id   text NOT NULL REFERENCES archon_sources (source_id) ON DELETE CASCADE,
    title       text NOT NULL,
    reason      text NOT NULL,
    removed_at  timestamptz NOT NULL DEFAULT now(),
    restored_at timestamptz,
    purged_at   timestamptz,
    PRIMARY KEY (page_id, run_id)
);
CREATE INDEX idx_confluence_removals_source ON confluence_removals (source_id, removed_at DESC);
CREATE INDEX idx_confluence_removals_open ON confluence_removals (source_id, page_id)
    WHERE restored_at IS NULL AND purged_at IS NULL;

COMMENT ON TABLE confluence_removals IS 'Every page that a run took out of the knowledge base; kept longer than the run';
COMMENT ON COLUMN confluence_removals.page_id IS 'the page''s id';
COMMENT ON COLUMN confluence_removals.run_id IS 'the run that removed it';
COMMENT ON COLUMN confluence_removals.source_id IS 'the source that it was of';
COMMENT ON COLUMN confluence_removals.title IS 'its title at the time';
COMMENT ON COLUMN confluence_removals.reason IS 'trashed, archived, moved or unreadable';
COMMENT ON COLUMN confluence_removals.removed_at IS 'when it left; its chunks went with it';
COMMENT ON COLUMN confluence_removals.restored_at IS 'when it came back';
COMMENT ON COLUMN confluence_removals.purged_at IS 'when its kept Markdown was deleted too';

ALTER TABLE confluence_sync_runs
    ADD COLUMN approves_run text,
    ADD COLUMN decision     text CHECK (decision IN ('approved', 'rejected')),
    ADD COLUMN decided_at   timestamptz,
    ADD COLUMN api_calls    integer NOT NULL DEFAULT 0,
    ADD COLUMN api_bytes    bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN confluence_sync_runs.approves_run IS 'the held run whose removals this one may carry out';
COMMENT ON COLUMN confluence_sync_runs.decision IS 'what a person said to the removals of a held run';
COMMENT ON COLUMN confluence_sync_runs.decided_at IS 'when that was said';
COMMENT ON COLUMN confluence_sync_runs.api_calls IS 'calls to Confluence for this run, repetitions included';
COMMENT ON COLUMN confluence_sync_runs.api_bytes IS 'bytes of their answers, after decompression';

ALTER TABLE confluence_sync_pages
    ADD COLUMN labels       text[],
    ADD COLUMN bytes        integer,
    ADD COLUMN fetched_at   timestamptz,
    ADD COLUMN converted_at timestamptz;

COMMENT ON COLUMN confluence_sync_pages.labels IS 'the page''s labels; null where the listing does not know them';
COMMENT ON COLUMN confluence_sync_pages.bytes IS 'size of the body in storage format';
COMMENT ON COLUMN confluence_sync_pages.fetched_at IS 'when its body was read';
COMMENT ON COLUMN confluence_sync_pages.converted_at IS 'when it was Markdown';

ALTER TABLE confluence_page_content ADD COLUMN fetched_at timestamptz;
CREATE INDEX idx_confluence_page_content_includes ON confluence_page_content (page_id) WHERE includes <> '[]';
COMMENT ON COLUMN confluence_page_content.fetched_at IS 'when the body behind the Markdown was read';

ALTER TABLE confluence_tree
    ADD COLUMN trail text,
    ADD COLUMN stale boolean NOT NULL DEFAULT false;
CREATE INDEX idx_confluence_tree_stale ON confluence_tree (source_id, node_id) WHERE stale;
COMMENT ON COLUMN confluence_tree.trail IS 'the titles on the path, one a line';
COMMENT ON COLUMN confluence_tree.stale IS 'path or trail changed, and the stored page does not have it yet';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated')
       AND to_regprocedure('auth.role()') IS NOT NULL THEN
        ALTER TABLE confluence_removals ENABLE ROW LEVEL SECURITY;
        CREATE POLICY "Allow service role full access" ON confluence_removals
            FOR ALL USING (auth.role() = 'service_role');
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP INDEX idx_confluence_tree_stale;
ALTER TABLE confluence_tree DROP COLUMN trail, DROP COLUMN stale;
DROP INDEX idx_confluence_page_content_includes;
ALTER TABLE confluence_page_content DROP COLUMN fetched_at;
ALTER TABLE confluence_sync_pages DROP COLUMN labels, DROP COLUMN bytes, DROP COLUMN fetched_at, DROP COLUMN converted_at;
ALTER TABLE confluence_sync_runs DROP COLUMN approves_run, DROP COLUMN decision, DROP COLUMN decided_at,
    DROP COLUMN api_calls, DROP COLUMN api_bytes;
DROP TABLE confluence_removals;
