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

// Pipeline is the version of converter and chunker. A page written by an older version is listed as changed, so
// raising it rewrites every page in its next run.
const Pipeline = 3

// incomplete is the pipeline version of a page that was written although something is missing that may be available
// later: the next run fetches it again.
const incomplete = 0

// pipelineVersion returns the version with which a page is stored.
func pipelineVersion(f page.Facts) int {
	if f.Unnamed {
		return incomplete
	}
	return Pipeline
}

// Listed is one page of a listing. Title, status and parent are empty if the listing does not know them, as for the
// search index.
type Listed struct {
	ID         string
	Version    int
	Title      string
	Kind       string // one of page.Kinds, or "" for a page
	Status     string
	ParentID   string
	ParentKind string
	ModifiedAt time.Time    // when the version was made; zero if the listing does not know it
	Labels     []string     // nil: unknown
	Failure    string       // why its row is unusable, or "": such a page ends as failed at once
	Code       failure.Code // of the Failure; failure.Protocol if empty
	Hash       string       // of the content, in a system without version numbers: the ledger then counts them
	HashPart   string       // what a Hash contains if the content has what the listing has seen of it, where it has not seen all
}

// ListingLease is how long another lister waits for a sign of life before it takes a listing over. It is shorter than
// the broker's timeout for a dead worker, so that the redelivered request finds the listing free.
const ListingLease = 45 * time.Second

// StartListing begins or restarts a run's listing and deletes what an earlier attempt listed. startedAt is the time
// of Confluence's clock and becomes the watermark. It returns the attempt, which every later step of this listing
// must pass.
//
// The error is ErrNotCurrent if another replica lists the run and has renewed its lease within ListingLease:
// otherwise copies of one request would take the listing from each other for ever.
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

// RenewListing renews the lister's lease. The error is ErrNotCurrent if another replica has taken the run over.
func (s *Store) RenewListing(ctx context.Context, runID string, attempt int) error {
	if err := renewLease(ctx, s.pool, runID, attempt); err != nil {
		return fmt.Errorf("renew the lease of the listing of run %s: %w", runID, err)
	}
	return nil
}

// ReleaseListing ends the lister's lease early, so that another replica can list at once.
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

// renewLease renews the lister's lease, or returns ErrNotCurrent if another replica has taken the run over.
func renewLease(ctx context.Context, q execer, runID string, attempt int) error {
	tag, err := q.Exec(ctx, `UPDATE confluence_sync_runs SET sent_at = now(), listing_until = now() + $3::interval
		WHERE run_id = $1 AND attempt = $2 AND state = 'listing'`, runID, attempt, ListingLease)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNotCurrent
	}
	return err
}

// AddListed adds a batch of the listing to the ledger. A page that is listed twice, because it moved between batches,
// counts once, with its newest version: the one that was made last or, at the same time, the one with the higher
// number. A page with a Hash gets the stored version if its content is unchanged, otherwise the next one. The error
// is ErrNotCurrent if another replica has taken the run over.
func (s *Store) AddListed(ctx context.Context, runID string, attempt int, batch []Listed) error {
	n := len(batch)
	ids, versions, titles := make([]string, n), make([]int, n), make([]string, n)
	status, parents, parentKinds := make([]string, n), make([]string, n), make([]string, n)
	labels, kinds, hashes, made := make([]*string, n), make([]string, n), make([]string, n), make([]*time.Time, n)
	failures, parts, codes := make([]string, n), make([]string, n), make([]string, n)
	for i, l := range batch {
		ids[i], versions[i], titles[i], status[i], parents[i], parentKinds[i] = l.ID, l.Version, l.Title, l.Status, l.ParentID, l.ParentKind
		labels[i], kinds[i], hashes[i], made[i] = joinLabels(l.Labels), cmp.Or(l.Kind, "page"), l.Hash, orNull(l.ModifiedAt)
		failures[i], parts[i] = pg.CleanText(l.Failure), l.HashPart
		codes[i] = string(cmp.Or(l.Code, failure.Protocol))
	}
	return s.inTx(ctx, "list pages of run "+runID, func(tx pgx.Tx) error {
		if err := renewLease(ctx, tx, runID, attempt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO confluence_sync_pages (run_id, page_id, version, title, status, parent_id, parent_kind, labels, kind, version_at,
				message, outcome, reason, stage, ended_at)
			SELECT DISTINCT ON (id) $1, id, number, title, coalesce(nullif(status, ''), 'current'), nullif(parent, ''), nullif(parent_kind, ''),
				string_to_array(labels, ' '), kind, made, nullif(failure, ''),
				CASE WHEN failure <> '' THEN 'failed' END, CASE WHEN failure <> '' THEN code END,
				CASE WHEN failure <> '' THEN 'fetcher' END, CASE WHEN failure <> '' THEN now() END
			FROM unnest($2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::text[], $13::text[], $14::text[])
				AS l(id, version, title, status, parent, parent_kind, labels, kind, hash, made, failure, code, part)
			CROSS JOIN LATERAL (SELECT CASE WHEN hash = '' AND part = '' THEN version ELSE coalesce((
				SELECT p.version + CASE WHEN c.body_hash = hash OR hash = '' AND strpos(c.body_hash, part) > 0 THEN 0 ELSE 1 END
				FROM confluence_pages p LEFT JOIN confluence_page_content c USING (page_id, site_id)
				WHERE p.page_id = id AND p.site_id = `+siteOfRun+`), 1) END AS number) counted
			ORDER BY id, made DESC NULLS LAST, number DESC
			ON CONFLICT (run_id, page_id) DO UPDATE SET
				version = excluded.version, title = excluded.title, status = excluded.status,
				parent_id = excluded.parent_id, parent_kind = excluded.parent_kind, labels = excluded.labels, kind = excluded.kind,
				version_at = excluded.version_at, message = excluded.message, outcome = excluded.outcome,
				reason = excluded.reason, stage = excluded.stage, ended_at = excluded.ended_at
			WHERE (coalesce(excluded.version_at, '-infinity'), excluded.version)
				> (coalesce(confluence_sync_pages.version_at, '-infinity'), confluence_sync_pages.version)`,
			runID, ids, versions, titles, status, parents, parentKinds, labels, kinds, hashes, made, failures, codes, parts)
		return err
	})
}

// joinLabels joins labels, which contain no spaces; it returns nil for unknown labels.
func joinLabels(labels []string) *string {
	if labels == nil {
		return nil
	}
	text := strings.Join(labels, " ")
	return &text
}

// AddLabels stores the labels of listed pages, for a listing that does not contain them: the search index has them. A
// page that is not in labels keeps its stored labels.
func (s *Store) AddLabels(ctx context.Context, runID string, attempt int, labels map[string][]string) error {
	ids, texts := make([]string, 0, len(labels)), make([]string, 0, len(labels))
	for id, list := range labels {
		ids, texts = append(ids, id), append(texts, strings.Join(list, " "))
	}
	return s.inTx(ctx, "add labels to run "+runID, func(tx pgx.Tx) error {
		if err := renewLease(ctx, tx, runID, attempt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE confluence_sync_pages l SET labels = string_to_array(n.labels, ' ')
			FROM unnest($2::text[], $3::text[]) AS n(id, labels) WHERE l.run_id = $1 AND l.page_id = n.id`, runID, ids, texts)
		return err
	})
}

// Labels returns the labels of pages of a run: the listed ones, or else the stored ones.
func (s *Store) Labels(ctx context.Context, runID string, ids []string) (map[string][]string, error) {
	rows, _ := s.pool.Query(ctx, `
		SELECT l.page_id, coalesce(l.labels, (SELECT array_agg(x) FROM jsonb_array_elements_text(CASE jsonb_typeof(p.metadata->'labels') WHEN 'array' THEN p.metadata->'labels' END) x), '{}')
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

// AddFailed adds two kinds of pages to an incremental listing, because the search index does not name them. First,
// the source's pages whose last outcome was failed, or that Confluence did not return when they were fetched; a later
// full run that ended settles these, since a page that it does not list does not exist. A thread of comments that
// was too long, and a file that cannot be read, wait for their next version, which the index names, or for the next full run. Second, stored pages that are incomplete because something could not be looked up.
//
// A run of some pages gets these, if they are of the first kind or such threads and files, and no others.
func (s *Store) AddFailed(ctx context.Context, run Run, attempt int) error {
	return s.inTx(ctx, "add failed pages to the listing", func(tx pgx.Tx) error {
		if err := renewLease(ctx, tx, run.ID, attempt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO confluence_sync_pages (run_id, page_id, version, title, kind, version_at)
			SELECT DISTINCT ON (f.page_id) $1, f.page_id, f.version, f.title, f.kind, f.version_at
			FROM confluence_sync_pages f JOIN confluence_sync_runs r USING (run_id)
			WHERE r.source_id = $2 AND (f.outcome = 'failed' OR f.outcome = 'skipped' AND f.reason = 'missing')
			AND (f.kind = 'page' OR f.kind = ANY ($3)) AND (f.page_id = ANY ($5) OR $5::text[] IS NULL AND NOT (f.kind IN `+partKinds+` AND f.reason = ANY ($4))) AND NOT `+settledSQL+`
			ORDER BY f.page_id, f.ended_at DESC
			ON CONFLICT (run_id, page_id) DO NOTHING`, run.ID, run.SourceID, orEmpty(run.Kinds), hopeless, run.OnlyPages)
		if err != nil || run.OnlyPages != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO confluence_sync_pages (run_id, page_id, version, title, kind, version_at)
			SELECT $1, p.page_id, p.version, p.title, p.kind, p.last_modified
			FROM confluence_pages p JOIN confluence_page_content c USING (page_id, site_id)
			WHERE p.source_id = $2 AND p.is_deleted = false AND c.pipeline_version = $4 AND (p.kind = 'page' OR p.kind = ANY ($3))
			ORDER BY p.page_id ON CONFLICT (run_id, page_id) DO NOTHING`, run.ID, run.SourceID, orEmpty(run.Kinds), incomplete)
		return err
	})
}

// hopeless are the reasons for which only another version of a comment or an attachment is read: each costs calls or a download.
var hopeless = []string{
	string(failure.ConvertTooLarge), string(failure.FileTooLarge), string(failure.FileTooManyParts), string(failure.FileTooDeep),
	string(failure.FileEncrypted), string(failure.FileDamaged), string(failure.FileTooSlow), string(failure.FileNoText), string(failure.FileCrashed),
}

// wholeSQL is the SQL condition that a run listed what had changed and all that had failed, not only some failed pages.
func wholeSQL(run string) string {
	return `(` + run + `.only_pages IS NULL OR ` + run + `.mode = 'full')`
}

// settledSQL is the SQL condition that something newer is known about the page whose ledger row is f, of run r:
// another outcome, or a complete listing of its space without the page.
const settledSQL = `(
	EXISTS (
		SELECT FROM confluence_sync_pages l JOIN confluence_sync_runs lr USING (run_id)
		WHERE lr.source_id = r.source_id AND l.page_id = f.page_id AND l.ended_at > f.ended_at AND l.reason IS DISTINCT FROM 'cancelled')
	OR EXISTS (
		SELECT FROM confluence_sync_runs settled
		WHERE settled.source_id = r.source_id AND settled.mode = 'full' AND settled.started_at > f.ended_at
		AND settled.state IN ('completed', 'completed_with_failures', 'held')))`

// CompleteListing ends the listing and returns the number of listed pages. Pages that are stored as listed end as
// unchanged, even if only the version number differs. Pages whose labels alone differ get the new labels and end as
// updated. Archived pages that are not stored end as skipped. Pages that include a page that is about to change are
// fetched too. Attachments of a kind that is not read end as skipped for the reason for which their version did before. The run keeps the kinds of run, which are those that could be listed. The caller must know that the listing is complete and, for a full run, must have built its tree.
func (s *Store) CompleteListing(ctx context.Context, run Run, attempt int) (int, error) {
	var listed int
	err := s.inTx(ctx, "complete listing of run "+run.ID, func(tx pgx.Tx) error {
		if err := renewLease(ctx, tx, run.ID, attempt); err != nil {
			return err
		}
		for _, step := range []string{renumberSQL, relabelSQL, unchangedSQL, skippedSQL, includingSQL} {
			if _, err := tx.Exec(ctx, step, pgx.NamedArgs{
				"run": run.ID, "source": run.SourceID, "mode": run.Mode, "pipeline": Pipeline, "kinds": orEmpty(run.Kinds),
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
				kinds = $2::text[], blog_posts = blog_posts AND $3 = ANY ($2::text[]),
				listed = (SELECT count(*) FROM confluence_sync_pages WHERE run_id = $1)
			WHERE run_id = $1 RETURNING listed`, run.ID, orEmpty(run.Kinds), page.BlogPost).Scan(&listed)
	})
	return listed, err
}

// asListed is the SQL condition that the stored page p with its content c is the page listed as l, or newer. Version
// numbers are compared if no time is known, and between versions of the same time. A page that is listed without a
// version never matches. The search index has no parents, so only a full listing compares paths: a move changes no
// version and is visible only there.
const asListed = `
	l.run_id = @run AND p.page_id = l.page_id AND p.source_id = @source
	AND l.status = 'current' AND p.is_deleted = false AND c.pipeline_version = @pipeline
	AND l.version > 0 AND (
		p.last_modified > l.version_at AND ` + timeCounts + `
		OR p.last_modified = coalesce(l.version_at, p.last_modified) AND (
			p.version > l.version OR p.version = l.version AND (p.title = l.title OR l.title = '')))
	AND (@mode = 'incremental' OR p.path = (
		SELECT t.path FROM confluence_tree t WHERE t.source_id = @source AND t.node_id = l.page_id))`

// hasChunks is the SQL condition that the live page p has chunks. Even a page without text has one. If a page has
// none, something other than the store has deleted them, for example an Archon that has crawled the page's address.
var hasChunks = `EXISTS (SELECT FROM archon_crawled_pages k WHERE k.source_id = p.source_id AND ` + pg.ChunkOfPages("k", "= p.page_id") + `)`

// The steps of CompleteListing, in order.
const (
	// A version that has only a different number, because older versions were deleted, is the same version. A full
	// listing is authoritative.
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

	// A page that includes another one gets no new version when that one changes. An include names the page by id, or
	// by title if the id was unknown. Indirect includes count too.
	includingSQL = `
		WITH RECURSIVE shows AS (
			SELECT p.page_id, p.version, p.title, p.kind, i->>'page_id' AS shown_id, i->>'page_title' AS shown_title
			FROM confluence_page_content c JOIN confluence_pages p USING (page_id, site_id)
			CROSS JOIN jsonb_array_elements(c.includes) i
			WHERE c.includes <> '[]' AND p.source_id = @source AND p.is_deleted = false AND (p.kind = 'page' OR p.kind = ANY (@kinds))
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

// skippedSQL skips the attachments whose version is known to be of a kind that is not read: to find that out again would cost
// a call and a download of each. An incremental run looks again, of few.
const skippedSQL = `
	UPDATE confluence_sync_pages l SET outcome = 'skipped', reason = u.reason, ended_at = now()
	FROM confluence_unread_files u
	WHERE @mode = 'full' AND l.run_id = @run AND l.outcome IS NULL AND l.status = 'current' AND l.kind = 'attachment'
	AND u.source_id = @source AND u.page_id = l.page_id AND u.skipped AND u.version = l.version AND u.version_at IS NOT DISTINCT FROM l.version_at
	AND NOT EXISTS (SELECT FROM confluence_pages p WHERE p.page_id = l.page_id AND p.source_id = @source AND NOT p.is_deleted)`

// PendingPages returns up to limit pages of the run that wait for their body, with ids after the given id, ordered by
// id.
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

// UnfinishedPages returns the pages that have no outcome in the run yet: a redelivered task need not fetch the
// others.
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

// SkipPage ends a page of a run as skipped. The reason is a status such as archived, or missing if Confluence no
// longer returns the page.
func (s *Store) SkipPage(ctx context.Context, runID, pageID, reason string) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE confluence_sync_pages SET outcome = 'skipped', reason = $3, ended_at = now()
		WHERE run_id = $1 AND page_id = $2 AND outcome IS NULL`, runID, pageID, reason)
	if err != nil {
		return fmt.Errorf("skip page %s: %w", pageID, err)
	}
	return nil
}

// FailPage ends a page of a run as failed. A page that already has an outcome keeps it.
func (s *Store) FailPage(ctx context.Context, f event.PageFailed) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE confluence_sync_pages SET outcome = 'failed', reason = $3, message = $4, stage = $5,
			attempts = $6, ended_at = now()
		WHERE run_id = $1 AND page_id = $2 AND outcome IS NULL`,
		f.RunID, f.PageID, f.Code, pg.CleanText(f.Message), f.Stage, f.Attempts)
	if err != nil {
		return fmt.Errorf("fail page %s: %w", f.PageID, err)
	}
	return nil
}
