package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// Pipeline is the generation of converter and chunker. A page that an older generation
// wrote is listed as changed, so raising it rewrites every page on its next run.
const Pipeline = 3

// again is the generation of a page that was written although something is missing from it that can
// be had later: the next run fetches it again.
const again = 0

// generation is that of a page as it is to be written.
func generation(f page.Facts) int {
	if f.Unnamed {
		return again
	}
	return Pipeline
}

// Listed is one page as a listing gives it. Title, status and parent are empty where the
// listing does not know them (the search index).
type Listed struct {
	ID         string
	Version    int
	Title      string
	Kind       string // page.BlogPost, or "" for a page
	Status     string
	ParentID   string
	ParentKind string
	ModifiedAt time.Time // when the version was made; zero where the listing does not know it
	Labels     []string  // nil: not known
	Failure    string    // why its row is no use, where it is none: then it ends as failed at once
	Hash       string    // of the content, where its system counts no versions: then the ledger does
}

// ListingLease is how long a lister that gives no sign is waited for before another one may
// begin. It is shorter than the broker's wait for a worker that has died, so that its
// request finds the listing free.
const ListingLease = 45 * time.Second

// StartListing begins or restarts a run's listing and forgets what an earlier attempt
// listed. startedAt is Confluence's clock and becomes the watermark. It returns the
// attempt, which every later step of this listing must show.
//
// ErrNotCurrent when another replica lists the run and has renewed its lease within
// ListingLease: copies of one request would else take the listing from each other for ever.
func (s *Store) StartListing(ctx context.Context, runID string, startedAt time.Time) (int, error) {
	var attempt int
	err := s.inTx(ctx, "start listing of run "+runID, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			UPDATE confluence_sync_runs SET listing_started_at = $2, attempt = attempt + 1, sent_at = now(), notes = '{}',
				listing_until = now() + $3::interval
			WHERE run_id = $1 AND state = 'listing' AND coalesce(listing_until, now()) <= now()
			RETURNING attempt`, runID, startedAt, ListingLease).Scan(&attempt)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotCurrent
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM confluence_sync_pages WHERE run_id = $1`, runID)
		return err
	})
	return attempt, err
}

// RenewListing renews the lister's lease. ErrNotCurrent when the run is no longer its own.
func (s *Store) RenewListing(ctx context.Context, runID string, attempt int) error {
	if err := holdListing(ctx, s.pool, runID, attempt); err != nil {
		return fmt.Errorf("renew the lease of the listing of run %s: %w", runID, err)
	}
	return nil
}

// ReleaseListing lets another replica list at once, for a lister that gives up before the end.
func (s *Store) ReleaseListing(ctx context.Context, runID string, attempt int) error {
	_, err := s.pool.Exec(ctx, `UPDATE confluence_sync_runs SET listing_until = NULL
		WHERE run_id = $1 AND attempt = $2 AND state = 'listing'`, runID, attempt)
	if err != nil {
		return fmt.Errorf("release the listing of run %s: %w", runID, err)
	}
	return nil
}

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// holdListing renews the lister's lease, or says that another replica has the run now.
func holdListing(ctx context.Context, q execer, runID string, attempt int) error {
	tag, err := q.Exec(ctx, `UPDATE confluence_sync_runs SET sent_at = now(), listing_until = now() + $3::interval
		WHERE run_id = $1 AND attempt = $2 AND state = 'listing'`, runID, attempt, ListingLease)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNotCurrent
	}
	return err
}

// AddListed writes a batch of the listing into the ledger. A page that is listed twice,
// because it moved between batches, counts once, with its newest version: the one that was made
// last, and of one time that with the higher number. Of a page with a Hash,
// the version is the stored one where the content is, else one more. ErrNotCurrent
// when another replica lists the run now.
func (s *Store) AddListed(ctx context.Context, runID string, attempt int, batch []Listed) error {
	n := len(batch)
	ids, versions, titles := make([]string, n), make([]int, n), make([]string, n)
	status, parents, parentKinds := make([]string, n), make([]string, n), make([]string, n)
	labels, kinds, hashes, made := make([]*string, n), make([]string, n), make([]string, n), make([]*time.Time, n)
	failures := make([]string, n)
	for i, l := range batch {
		ids[i], versions[i], titles[i], status[i], parents[i], parentKinds[i] = l.ID, l.Version, l.Title, l.Status, l.ParentID, l.ParentKind
		labels[i], kinds[i], hashes[i], made[i] = joinLabels(l.Labels), cmp.Or(l.Kind, "page"), l.Hash, orNull(l.ModifiedAt)
		failures[i] = pg.Clean(l.Failure)
	}
	return s.inTx(ctx, "list pages of run "+runID, func(tx pgx.Tx) error {
		if err := holdListing(ctx, tx, runID, attempt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO confluence_sync_pages (run_id, page_id, version, title, status, parent_id, parent_kind, labels, kind, version_at,
				message, outcome, reason, stage, ended_at)
			SELECT DISTINCT ON (id) $1, id, CASE WHEN hash = '' THEN version ELSE coalesce((
				SELECT p.version + CASE WHEN c.body_hash = hash THEN 0 ELSE 1 END
				FROM confluence_pages p LEFT JOIN confluence_page_content c USING (page_id, site_id)
				WHERE p.page_id = id AND p.site_id = `+siteOfRun+`), 1) END, title, coalesce(nullif(status, ''), 'current'), nullif(parent, ''), nullif(parent_kind, ''),
				string_to_array(labels, ' '), kind, made, nullif(failure, ''),
				CASE WHEN failure <> '' THEN 'failed' END, CASE WHEN failure <> '' THEN $13 END,
				CASE WHEN failure <> '' THEN 'fetcher' END, CASE WHEN failure <> '' THEN now() END
			FROM unnest($2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::text[])
				AS l(id, version, title, status, parent, parent_kind, labels, kind, hash, made, failure)
			ORDER BY id, made DESC NULLS LAST, version DESC
			ON CONFLICT (run_id, page_id) DO UPDATE SET
				version = excluded.version, title = excluded.title, status = excluded.status,
				parent_id = excluded.parent_id, parent_kind = excluded.parent_kind, labels = excluded.labels, kind = excluded.kind,
				version_at = excluded.version_at, message = excluded.message, outcome = excluded.outcome,
				reason = excluded.reason, stage = excluded.stage, ended_at = excluded.ended_at
			WHERE (coalesce(excluded.version_at, '-infinity'), excluded.version)
				> (coalesce(confluence_sync_pages.version_at, '-infinity'), confluence_sync_pages.version)`,
			runID, ids, versions, titles, status, parents, parentKinds, labels, kinds, hashes, made, failures, failure.Protocol)
		return err
	})
}

// joinLabels makes one text of labels, which hold no space; nil of labels that are not known.
func joinLabels(labels []string) *string {
	if labels == nil {
		return nil
	}
	text := strings.Join(labels, " ")
	return &text
}

// AddLabels says which labels listed pages have, where the listing itself does not: the
// search index knows. A page that it does not name keeps the labels that it is stored with.
func (s *Store) AddLabels(ctx context.Context, runID string, attempt int, labels map[string][]string) error {
	ids, texts := make([]string, 0, len(labels)), make([]string, 0, len(labels))
	for id, list := range labels {
		ids, texts = append(ids, id), append(texts, strings.Join(list, " "))
	}
	return s.inTx(ctx, "add labels to run "+runID, func(tx pgx.Tx) error {
		if err := holdListing(ctx, tx, runID, attempt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE confluence_sync_pages l SET labels = string_to_array(n.labels, ' ')
			FROM unnest($2::text[], $3::text[]) AS n(id, labels) WHERE l.run_id = $1 AND l.page_id = n.id`, runID, ids, texts)
		return err
	})
}

// Labels returns the labels of pages of a run: those that it listed, else those that are
// stored.
func (s *Store) Labels(ctx context.Context, runID string, ids []string) (map[string][]string, error) {
	rows, _ := s.pool.Query(ctx, `
		SELECT l.page_id, coalesce(l.labels, (SELECT array_agg(x) FROM jsonb_array_elements_text(p.metadata->'labels') x), '{}')
		FROM confluence_sync_pages l LEFT JOIN confluence_pages p ON p.page_id = l.page_id AND p.site_id = `+siteOfRun+`
		WHERE l.run_id = $1 AND l.page_id = ANY ($2)`, runID, ids)
	labels := make(map[string][]string, len(ids))
	var id string
	var list []string
	_, err := pgx.ForEachRow(rows, []any{&id, &list}, func() error {
		labels[id] = list
		list = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read labels of run %s: %w", runID, err)
	}
	return labels, nil
}

// AddFailed lists the source's pages whose last outcome was failed, or that Confluence did
// not give when they were fetched, so that an incremental run tries them again although the
// search index does not name them. A later full run that came to its end has settled them:
// what it does not list is not there. So it lists stored pages from which something is missing that
// could not be looked up.
func (s *Store) AddFailed(ctx context.Context, run Run, attempt int) error {
	return s.inTx(ctx, "list failed pages again", func(tx pgx.Tx) error {
		if err := holdListing(ctx, tx, run.ID, attempt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO confluence_sync_pages (run_id, page_id, version, title, kind, version_at)
			SELECT DISTINCT ON (f.page_id) $1, f.page_id, f.version, f.title, f.kind, f.version_at
			FROM confluence_sync_pages f JOIN confluence_sync_runs r USING (run_id)
			WHERE r.source_id = $2 AND (f.outcome = 'failed' OR f.outcome = 'skipped' AND f.reason = 'missing')
			AND (f.kind = 'page' OR $3) AND NOT `+settledSQL+`
			ORDER BY f.page_id, f.ended_at DESC
			ON CONFLICT (run_id, page_id) DO NOTHING`, run.ID, run.SourceID, run.BlogPosts)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO confluence_sync_pages (run_id, page_id, version, title, kind, version_at)
			SELECT $1, p.page_id, p.version, p.title, p.kind, p.last_modified
			FROM confluence_pages p JOIN confluence_page_content c USING (page_id, site_id)
			WHERE p.source_id = $2 AND p.is_deleted = false AND c.pipeline_version = $4 AND (p.kind = 'page' OR $3)
			ORDER BY p.page_id ON CONFLICT (run_id, page_id) DO NOTHING`, run.ID, run.SourceID, run.BlogPosts, again)
		return err
	})
}

// settledSQL is whether something later is known of the page whose ledger row is f, of run r:
// another outcome, or that a complete listing of its space lacks it.
const settledSQL = `(
	EXISTS (
		SELECT FROM confluence_sync_pages l JOIN confluence_sync_runs lr USING (run_id)
		WHERE lr.source_id = r.source_id AND l.page_id = f.page_id AND l.ended_at > f.ended_at AND l.reason IS DISTINCT FROM 'cancelled')
	OR EXISTS (
		SELECT FROM confluence_sync_runs settled
		WHERE settled.source_id = r.source_id AND settled.mode = 'full' AND settled.started_at > f.ended_at
		AND settled.state IN ('completed', 'completed_with_failures', 'held')))`

// CompleteListing ends the listing: pages that are stored as listed end as unchanged, also those
// whose version has got another number, those of
// which only the labels differ get them and end as updated, and archived pages that are not
// stored end as skipped. Pages that show a page which is about to change are fetched too. It
// returns the number of pages listed. The listing must be known to be complete, and for a full
// run its tree built.
func (s *Store) CompleteListing(ctx context.Context, run Run, attempt int) (int, error) {
	var listed int
	err := s.inTx(ctx, "complete listing of run "+run.ID, func(tx pgx.Tx) error {
		if err := holdListing(ctx, tx, run.ID, attempt); err != nil {
			return err
		}
		for _, step := range []string{renumberSQL, relabelSQL, unchangedSQL, showingSQL} {
			if _, err := tx.Exec(ctx, step, pgx.NamedArgs{
				"run": run.ID, "source": run.SourceID, "mode": run.Mode, "pipeline": Pipeline, "posts": run.BlogPosts,
			}); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `
			UPDATE confluence_sync_pages l SET outcome = 'skipped', reason = l.status, ended_at = now()
			WHERE l.run_id = $1 AND l.status <> 'current' AND l.outcome IS NULL AND NOT EXISTS (
				SELECT FROM confluence_pages p
				WHERE p.page_id = l.page_id AND p.source_id = $2 AND p.is_deleted = false)`, run.ID, run.SourceID)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			UPDATE confluence_sync_runs SET state = 'fetching', listing_completed_at = now(), listing_until = NULL,
				listed = (SELECT count(*) FROM confluence_sync_pages WHERE run_id = $1)
			WHERE run_id = $1 RETURNING listed`, run.ID).Scan(&listed)
	})
	return listed, err
}

// asListed is the condition under which the stored page p with its content c is the one that
// is listed as l, or newer. Numbers are compared where no time is known, and between versions of
// one time. A page that is listed without a version is not known to be the stored one. The search index knows no parents, so only a full listing compares paths: a
// move changes no version and shows there alone.
const asListed = `
	l.run_id = @run AND p.page_id = l.page_id AND p.source_id = @source
	AND l.status = 'current' AND p.is_deleted = false AND c.pipeline_version = @pipeline
	AND l.version > 0 AND (
		p.last_modified > l.version_at AND ` + timeCounts + `
		OR p.last_modified = coalesce(l.version_at, p.last_modified) AND (
			p.version > l.version OR p.version = l.version AND (p.title = l.title OR l.title = '')))
	AND (@mode = 'incremental' OR p.path = (
		SELECT t.path FROM confluence_tree t WHERE t.source_id = @source AND t.node_id = l.page_id))`

// hasChunks is the condition under which the live page p has chunks. A page without text has one too, so
// something else than the store has deleted those of a page that has none: an Archon, for example, that
// has crawled the address of the page.
var hasChunks = `EXISTS (SELECT FROM archon_crawled_pages k WHERE k.source_id = p.source_id AND ` + pg.ChunkOfPages("k", "= p.page_id") + `)`

// The steps of CompleteListing, in their order.
const (
	// A version that only has another number now, since older ones were deleted, is the same
	// version. What a full listing says of it is the truth.
	renumberSQL = `
		UPDATE confluence_pages p SET version = l.version, updated_at = now()
		FROM confluence_sync_pages l
		WHERE @mode = 'full' AND l.run_id = @run AND l.outcome IS NULL AND p.page_id = l.page_id AND p.source_id = @source
		AND p.is_deleted = false AND l.version > 0 AND p.last_modified = l.version_at AND p.version <> l.version`

	relabelSQL = `
		WITH relabelled AS (
			UPDATE confluence_pages p SET metadata = jsonb_set(p.metadata, '{labels}', to_jsonb(l.labels)), updated_at = now()
			FROM confluence_sync_pages l, confluence_page_content c
			WHERE c.page_id = p.page_id AND c.site_id = p.site_id AND l.labels IS NOT NULL AND p.metadata->'labels' IS DISTINCT FROM to_jsonb(l.labels)
			AND ` + asListed + `
			RETURNING p.page_id
		)
		UPDATE confluence_sync_pages l SET outcome = 'updated', ended_at = now()
		FROM relabelled r WHERE l.run_id = @run AND l.page_id = r.page_id AND l.outcome IS NULL`

	// A page that shows another one has no new version when that one changes. Includes go by
	// id, or by title where the page was not known; a page that shows one that shows the
	// changed one counts too.
	showingSQL = `
		WITH RECURSIVE shows AS (
			SELECT p.page_id, p.version, p.title, p.kind, i->>'page_id' AS shown_id, i->>'page_title' AS shown_title
			FROM confluence_page_content c JOIN confluence_pages p USING (page_id, site_id)
			CROSS JOIN jsonb_array_elements(c.includes) i
			WHERE c.includes <> '[]' AND p.source_id = @source AND p.is_deleted = false AND (p.kind = 'page' OR @posts)
		), affected AS (
			SELECT s.page_id, s.version, s.title, s.kind FROM shows s JOIN confluence_sync_pages l
				ON l.run_id = @run AND l.outcome IS NULL AND l.status = 'current'
				AND (l.page_id = s.shown_id OR s.shown_id = '' AND l.title = s.shown_title)
			UNION
			SELECT s.page_id, s.version, s.title, s.kind FROM shows s JOIN affected a
				ON a.page_id = s.shown_id OR s.shown_id = '' AND a.title = s.shown_title
		)
		INSERT INTO confluence_sync_pages AS l (run_id, page_id, version, title, kind)
		SELECT @run, page_id, version, title, kind FROM affected ORDER BY page_id
		ON CONFLICT (run_id, page_id) DO UPDATE SET outcome = NULL, ended_at = NULL WHERE l.outcome = 'unchanged'`
)

var unchangedSQL = `
	UPDATE confluence_sync_pages l SET outcome = 'unchanged', ended_at = now()
	FROM confluence_pages p JOIN confluence_page_content c USING (page_id, site_id)
	WHERE l.outcome IS NULL AND ` + asListed + ` AND ` + hasChunks

// PendingPages returns up to limit pages of the run that wait for their body, in order of their
// ids, those after the given id.
func (s *Store) PendingPages(ctx context.Context, runID, after string, limit int) ([]page.Ref, error) {
	rows, _ := s.pool.Query(ctx, `
		SELECT page_id, version, CASE WHEN kind <> 'page' THEN kind ELSE '' END FROM confluence_sync_pages
		WHERE run_id = $1 AND outcome IS NULL AND status = 'current' AND page_id > $2
		ORDER BY page_id LIMIT $3`, runID, after, limit)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (page.Ref, error) {
		var r page.Ref
		return r, row.Scan(&r.ID, &r.Version, &r.Kind)
	})
	if err != nil {
		return nil, fmt.Errorf("read pending pages of run %s: %w", runID, err)
	}
	return list, nil
}

// UnfinishedPages returns which of the pages have no outcome in the run yet: a task that is
// delivered again need not fetch the others.
func (s *Store) UnfinishedPages(ctx context.Context, runID string, ids []string) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `
		SELECT page_id FROM confluence_sync_pages
		WHERE run_id = $1 AND page_id = ANY ($2) AND outcome IS NULL ORDER BY page_id`, runID, ids)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read unfinished pages of run %s: %w", runID, err)
	}
	return list, nil
}

// SkipPage ends a page of a run that is not to be stored; reason is a status such as
// archived, or missing when Confluence no longer gives it.
func (s *Store) SkipPage(ctx context.Context, runID, pageID, reason string) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE confluence_sync_pages SET outcome = 'skipped', reason = $3, ended_at = now()
		WHERE run_id = $1 AND page_id = $2 AND outcome IS NULL`, runID, pageID, reason)
	if err != nil {
		return fmt.Errorf("skip page %s: %w", pageID, err)
	}
	return nil
}

// FailPage ends a page of a run that a stage has given up. A page that has an outcome
// keeps it.
func (s *Store) FailPage(ctx context.Context, f event.PageFailed) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE confluence_sync_pages SET outcome = 'failed', reason = $3, message = $4, stage = $5,
			attempts = $6, ended_at = now()
		WHERE run_id = $1 AND page_id = $2 AND outcome IS NULL`,
		f.RunID, f.PageID, f.Code, pg.Clean(f.Message), f.Stage, f.Attempts)
	if err != nil {
		return fmt.Errorf("fail page %s: %w", f.PageID, err)
	}
	return nil
}
