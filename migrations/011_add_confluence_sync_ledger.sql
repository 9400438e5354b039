-- +goose Up
-- The ledger: every run, and every page that a run listed with how it ended. A run is
-- complete when its listing is proven complete and no page of it is without an outcome.

CREATE TABLE confluence_sync_runs (
    run_id               text PRIMARY KEY,
    source_id            text NOT NULL REFERENCES archon_sources (source_id) ON DELETE CASCADE,
    requested_mode       text NOT NULL CHECK (requested_mode IN ('incremental', 'full')),
    mode                 text NOT NULL CHECK (mode IN ('incremental', 'full')),
    state                text NOT NULL CHECK (state IN ('requested', 'listing', 'fetching', 'finishing',
                             'completed', 'completed_with_failures', 'held', 'failed', 'cancelled')),
    approve_removals     boolean NOT NULL DEFAULT false,
    requested_at         timestamptz NOT NULL DEFAULT now(),
    started_at           timestamptz,
    listing_started_at   timestamptz,
    listing_completed_at timestamptz,
    listed               integer,
    removal_candidates   integer,
    removals_checked_at  timestamptz,
    sent_at              timestamptz,
    listing_until        timestamptz,
    attempt              integer NOT NULL DEFAULT 1,
    finished_at          timestamptz,
    code                 text,
    message              text
);

-- One open run a source: the second one waits in state requested.
CREATE UNIQUE INDEX idx_confluence_sync_runs_open ON confluence_sync_runs (source_id)
    WHERE state IN ('listing', 'fetching', 'finishing');
CREATE INDEX idx_confluence_sync_runs_source ON confluence_sync_runs (source_id, requested_at DESC);

CREATE TABLE confluence_sync_pages (
    run_id      text NOT NULL REFERENCES confluence_sync_runs (run_id) ON DELETE CASCADE,
    page_id     text NOT NULL,
    version     integer NOT NULL,
    title       text NOT NULL DEFAULT '',
    status      text NOT NULL DEFAULT 'current',
    parent_id   text,
    parent_kind text,
    outcome     text CHECK (outcome IN ('created', 'updated', 'unchanged', 'removed', 'skipped', 'failed')),
    reason      text,
    message     text,
    stage       text,
    attempts    integer NOT NULL DEFAULT 0,
    ended_at    timestamptz,
    PRIMARY KEY (run_id, page_id)
);

CREATE INDEX idx_confluence_sync_pages_pending ON confluence_sync_pages (run_id, page_id) WHERE outcome IS NULL;
-- What an incremental run lists again; see AddFailed, whose condition this is.
CREATE INDEX idx_confluence_sync_pages_again ON confluence_sync_pages (page_id)
    WHERE outcome = 'failed' OR outcome = 'skipped' AND reason = 'missing';

COMMENT ON TABLE confluence_sync_runs IS 'Every sync run; run_id is the id of the request';
COMMENT ON COLUMN confluence_sync_runs.mode IS 'how the run really lists: the first run of a source is full';
COMMENT ON COLUMN confluence_sync_runs.listing_started_at IS 'Confluence''s clock when the listing began; becomes the watermark';
COMMENT ON COLUMN confluence_sync_runs.listed IS 'pages that the complete listing gave; null until it is complete';
COMMENT ON COLUMN confluence_sync_runs.removal_candidates IS 'stored pages that the listing lacked, added to the ledger to be judged';
COMMENT ON COLUMN confluence_sync_runs.sent_at IS 'when pages were last sent to the fetchers; the lease against sending twice';
COMMENT ON COLUMN confluence_sync_runs.listing_until IS 'until when one replica alone lists; null while none does';
COMMENT ON TABLE confluence_sync_pages IS 'Every page that a run listed and how it ended';
COMMENT ON COLUMN confluence_sync_pages.outcome IS 'null while under way; set once';
COMMENT ON COLUMN confluence_sync_pages.reason IS 'why removed or skipped, or the failure code';

-- +goose Down
DROP TABLE confluence_sync_pages;
DROP TABLE confluence_sync_runs;
