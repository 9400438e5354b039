-- +goose Up
-- What every table and column is for, where an earlier migration does not say it.

COMMENT ON COLUMN confluence_pages.source_id IS 'the source that it is of; a page has one';
COMMENT ON COLUMN confluence_pages.space_key IS 'key of the space that it was in';
COMMENT ON COLUMN confluence_pages.title IS 'title of the stored version';
COMMENT ON COLUMN confluence_pages.created_at IS 'when it was first stored';
COMMENT ON COLUMN confluence_pages.updated_at IS 'when this row last changed';

COMMENT ON COLUMN confluence_sync_runs.run_id IS 'id of the request that asked for the run; the same request twice is one run';
COMMENT ON COLUMN confluence_sync_runs.source_id IS 'the source that is synced';
COMMENT ON COLUMN confluence_sync_runs.requested_mode IS 'what was asked for: incremental or full';
COMMENT ON COLUMN confluence_sync_runs.state IS 'where the run stands; completed, completed_with_failures, held, failed and cancelled are final';
COMMENT ON COLUMN confluence_sync_runs.approve_removals IS 'a person has approved more removals than the brake lets pass';
COMMENT ON COLUMN confluence_sync_runs.requested_at IS 'when it was asked for';
COMMENT ON COLUMN confluence_sync_runs.started_at IS 'when it became the source''s open run';
COMMENT ON COLUMN confluence_sync_runs.listing_completed_at IS 'when the listing was proven complete';
COMMENT ON COLUMN confluence_sync_runs.removals_checked_at IS 'when each candidate for removal had been judged';
COMMENT ON COLUMN confluence_sync_runs.attempt IS 'grows with every listing and every sending; results of an older one are late';
COMMENT ON COLUMN confluence_sync_runs.finished_at IS 'when it came to its final state';
COMMENT ON COLUMN confluence_sync_runs.code IS 'failure code of a run that failed';
COMMENT ON COLUMN confluence_sync_runs.message IS 'the same in words';

COMMENT ON COLUMN confluence_sync_pages.run_id IS 'the run that listed it';
COMMENT ON COLUMN confluence_sync_pages.page_id IS 'Confluence''s page id';
COMMENT ON COLUMN confluence_sync_pages.version IS 'version.number as listed';
COMMENT ON COLUMN confluence_sync_pages.title IS 'title as listed';
COMMENT ON COLUMN confluence_sync_pages.status IS 'Confluence''s status as listed: current, archived and so on';
COMMENT ON COLUMN confluence_sync_pages.parent_id IS 'id of the parent, null at the top of the space';
COMMENT ON COLUMN confluence_sync_pages.parent_kind IS 'page, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_sync_pages.message IS 'what went wrong, in words';
COMMENT ON COLUMN confluence_sync_pages.stage IS 'the stage that gave the outcome';
COMMENT ON COLUMN confluence_sync_pages.attempts IS 'failed tries so far';
COMMENT ON COLUMN confluence_sync_pages.ended_at IS 'when the outcome was set';

COMMENT ON COLUMN confluence_page_content.page_id IS 'the page';
COMMENT ON COLUMN confluence_page_content.url IS 'the page''s address without an anchor';
COMMENT ON COLUMN confluence_page_content.markdown IS 'the whole page';
COMMENT ON COLUMN confluence_page_content.losses IS 'what the conversion could not keep, by kind and place';
COMMENT ON COLUMN confluence_page_content.headings IS 'headings with their level and anchor';
COMMENT ON COLUMN confluence_page_content.updated_at IS 'when the Markdown was last written';

COMMENT ON COLUMN confluence_tree.source_id IS 'the source whose tree it is';
COMMENT ON COLUMN confluence_tree.node_id IS 'Confluence''s id of the page, folder or other node';
COMMENT ON COLUMN confluence_tree.kind IS 'page, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_tree.title IS 'its title, which breadcrumbs show';
COMMENT ON COLUMN confluence_tree.parent_id IS 'id of the parent, null at the top of the space';
COMMENT ON COLUMN confluence_tree.parent_kind IS 'page, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_tree.checked_run IS 'the last run that asked Confluence about this node';

COMMENT ON TABLE sluice_migrations IS 'Which of Sluice''s migrations were applied, as the migration tool keeps it';
COMMENT ON COLUMN sluice_migrations.id IS 'order of application';
COMMENT ON COLUMN sluice_migrations.version_id IS 'the number that the file begins with';
COMMENT ON COLUMN sluice_migrations.is_applied IS 'always true; a migration that is taken back has no row';
COMMENT ON COLUMN sluice_migrations.tstamp IS 'when it was applied';

-- +goose Down
-- Comments go with their tables.
SELECT 1;
