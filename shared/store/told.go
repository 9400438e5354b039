package store

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// toldRun is a run as a viewer may know it.
type toldRun struct {
	Run
	counts  event.Counts // of the pages that the viewer may see, if they were asked for or differ from those of all pages
	waiting int          // pages that wait for a body
	stages  StageCounts
	at      time.Time // when it was read
}

// countColumns count the pages l of a run by outcome, and how many of the pending ones wait for a body rather than for the
// deletion-detector.
const countColumns = `count(*) AS all_pages, count(*) FILTER (WHERE outcome IS NULL) AS pending,
	count(*) FILTER (WHERE outcome IS NULL AND status = 'current') AS waiting,
	count(*) FILTER (WHERE outcome = 'created') AS created, count(*) FILTER (WHERE outcome = 'updated') AS updated,
	count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged, count(*) FILTER (WHERE outcome = 'removed') AS removed,
	count(*) FILTER (WHERE outcome = 'skipped') AS skipped, count(*) FILTER (WHERE outcome = 'failed') AS failed`

// told reads runs as a viewer may know them, with one query: those that the SQL condition selects, in the SQL order, at most
// limit; the parameters of the condition are args. Pages are counted for a viewer who may not see all of a
// source, who is told nothing that depends on the others, and if counted is set.
func told(ctx context.Context, q pg.Querier, v viewer.Viewer, counted bool, condition, order string, limit int, args ...any) ([]toldRun, error) {
	var seen pg.Seen
	if !v.Oversees() {
		var err error
		if seen, err = pg.See(ctx, q, v, visibleSources(v)); err != nil {
			return nil, err
		}
	}
	n := len(args)
	sources, free, sets, always, most := param(n+1), param(n+2), param(n+3), param(n+4), param(n+5)
	args = append(args, visibleSources(v), seen.Free, seen.Sets, counted, limit)
	rows, _ := q.Query(ctx, `SELECT `+runColumns+`, now(), c.* FROM (
			SELECT * FROM confluence_sync_runs r WHERE (`+sources+`::text[] IS NULL OR r.source_id = ANY (`+sources+`)) AND `+condition+`
			ORDER BY `+order+` LIMIT `+most+`) r CROSS JOIN LATERAL (
			SELECT `+countColumns+`, count(*) FILTER (WHERE fetched_at IS NOT NULL) AS fetched, count(*) FILTER (WHERE converted_at IS NOT NULL) AS converted
			FROM confluence_sync_pages l WHERE l.run_id = r.run_id
			AND (`+always+`::bool OR `+sets+`::int[] IS NOT NULL AND NOT r.source_id = ANY (`+free+`::text[]))
			AND `+pg.Shows("r.source_id", "l.page_id", free, sets)+`) c ORDER BY `+order, args...)
	list, err := pgx.CollectRows(rows, scanTold)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if t := &list[i]; !seen.All() && !slices.Contains(seen.Free, t.SourceID) {
			t.Listed = min(t.Listed, t.counts.Listed)
			hush(&t.Run, t.counts)
		}
	}
	return list, nil
}

// param is the name of a parameter.
func param(n int) string { return "$" + strconv.Itoa(n) }

func scanTold(row pgx.CollectableRow) (t toldRun, err error) {
	c := &t.counts
	t.Run, err = scanRunAnd(row, &t.at, &c.Listed, &c.Pending, &t.waiting, &c.Created, &c.Updated, &c.Unchanged, &c.Removed, &c.Skipped, &c.Failed,
		&t.stages.Fetched, &t.stages.Converted)
	return t, err
}

// toldRuns are told without their counts.
func toldRuns(ctx context.Context, q pg.Querier, v viewer.Viewer, condition, order string, limit int, args ...any) ([]Run, error) {
	list, err := told(ctx, q, v, false, condition, order, limit, args...)
	runs := make([]Run, len(list))
	for i, t := range list {
		runs[i] = t.Run
	}
	return runs, err
}

// operation is the run with how far it is.
func (t toldRun) operation() Operation {
	seen := t.Run
	seen.SnapshotSeq = max(seen.SnapshotSeq, t.at.UnixMicro())
	return Operation{Run: t.Run, Progress: snapshot(seen, t.counts, t.waiting, t.at), Stages: t.stages}
}

// Untold is the message of a run for somebody who may not see all of its pages: the true one may count or name them.
const Untold = "only keys with the role operate, and operators, are told why"

// hush takes from a run what depends on pages that the reader may not see. Failures and removals of such pages did not
// happen for the reader.
func hush(r *Run, c event.Counts) {
	switch {
	case r.State == event.StateHeld, r.State == event.StateCompletedWithFailures && c.Failed == 0:
		r.State, r.Code, r.Decision, r.Message = event.StateCompleted, "", "", ""
	case r.Code == failure.TooManyRemovals: // it will be held, or was cancelled before
		r.Code, r.Message = "", ""
	case r.Message != "":
		r.Message = Untold
	}
	r.ApproveRemovals, r.ApprovesRun = false, "" // that something was, or may be, held
	r.Notes, r.OnlyPages, r.APICalls, r.APIBytes = nil, nil, 0, 0
}
