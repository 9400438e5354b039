package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ReasonRestricted is why a page is not stored, or no longer: its source is UnrestrictedOnly, and a view restriction of
// the page or of an ancestor applies to it. A page that is not stored yet also has this reason while nobody knows.
const ReasonRestricted = "restricted"

// restrictedSQL is the SQL condition that the source $2 is UnrestrictedOnly and its page l.page_id must not be stored. A
// page whose restrictions are unknown must not, either.
const restrictedSQL = `EXISTS (SELECT FROM confluence_spaces n WHERE n.source_id = $2 AND n.permissions = 'unrestricted-only')
	AND NOT EXISTS (SELECT FROM confluence_tree t JOIN confluence_layer_sets s ON s.set_id = t.layer_set
		WHERE t.source_id = $2 AND t.node_id = l.page_id AND s.layers = '{}')`

// provenSQL is the SQL condition that a restriction applies to the node t that is known. What the latest complete reading
// has not confirmed, or what is too old, is not known: layers outlive failed readings, and the time in which the source
// was open.
const provenSQL = `EXISTS (SELECT ` + restrictingSQL + `)`

const restrictingSQL = `FROM confluence_layer_sets y JOIN confluence_spaces k USING (source_id)
	JOIN confluence_layers r ON r.layer_id = ANY (y.layers) AND r.unknown = '' AND r.read_at >= greatest(k.access_read_at, now() - k.permissions_max_age)
	WHERE y.set_id = t.layer_set`

// stillRestrictedSQL is the SQL condition that the source of run must not store its page l.page_id, as is known now.
const stillRestrictedSQL = `EXISTS (SELECT FROM confluence_tree t JOIN confluence_spaces n USING (source_id)
	WHERE t.source_id = run.source_id AND t.node_id = l.page_id AND n.permissions = 'unrestricted-only' AND ` + provenSQL + `)`

// storedSQL is the SQL condition that the source $2 has the page l.page_id.
const storedSQL = `EXISTS (SELECT FROM confluence_pages p WHERE p.source_id = $2 AND p.page_id = l.page_id AND p.is_deleted = false)`

// LeaveOutListed leaves out what the run's complete listing has and the source must not store because it is restricted.
// Pages that are not stored end as skipped. Stored ones become candidates of RestrictedPages if a restriction applies to
// them that was read since the run began, by the database's clock. What is unknown or from before does not remove them:
// they are hidden until it is known. In a source that stores restricted pages it does
// nothing but note that none are left out. The error is ErrNotCurrent if another replica has taken the run over.
func (s *Store) LeaveOutListed(ctx context.Context, run Run, attempt int) error {
	return s.inTx(ctx, "leave restricted pages out of run "+run.ID, func(tx pgx.Tx) error {
		if err := renewLease(ctx, tx, run.ID, attempt); err != nil {
			return err
		}
		for _, step := range []string{
			`UPDATE confluence_sync_pages l SET outcome = 'skipped', reason = $3, ended_at = now()
			WHERE l.run_id = $1 AND l.outcome IS NULL AND l.status = 'current' AND NOT ` + storedSQL + ` AND ` + restrictedSQL,

			`UPDATE confluence_sync_pages l SET status = $3
			WHERE l.run_id = $1 AND l.outcome IS NULL AND l.status = 'current' AND ` + storedSQL + ` AND ` + restrictedSQL + `
			AND EXISTS (SELECT FROM confluence_tree t WHERE t.source_id = $2 AND t.node_id = l.page_id AND EXISTS (
				SELECT ` + restrictingSQL + ` AND r.read_at >= (SELECT run.started_at FROM confluence_sync_runs run WHERE run.run_id = $1)))`,
		} {
			if _, err := tx.Exec(ctx, step, run.ID, run.SourceID, ReasonRestricted); err != nil {
				return err
			}
		}
		return noteLeftOut(ctx, tx, run.SourceID, `
			SELECT t.node_id, EXISTS (SELECT FROM confluence_sync_pages l WHERE l.run_id = $2 AND l.page_id = t.node_id AND $3 IN (l.status, l.reason))
			FROM confluence_tree t WHERE t.source_id = $1`, run.ID, ReasonRestricted)
	})
}

// LeaveOut ends those of the pages as skipped that the run's source must not store because they are restricted, and
// returns their ids.
func (s *Store) LeaveOut(ctx context.Context, run Run, ids []string) (out []string, err error) {
	err = s.inTx(ctx, "leave out restricted pages", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT l.page_id FROM confluence_sync_pages l WHERE l.run_id = $1 AND l.page_id = ANY ($3) AND `+restrictedSQL+` ORDER BY 1`,
			run.ID, run.SourceID, ids)
		if out, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		if len(out) > 0 {
			if _, err := tx.Exec(ctx, keepSQL, run.ID, out, ReasonRestricted); err != nil {
				return err
			}
		}
		return noteLeftOut(ctx, tx, run.SourceID, `SELECT id, id = ANY ($3) FROM unnest($2::text[]) AS id`, ids, out)
	})
	return out, err
}

// noteLeftOut notes in the source's tree which nodes are left out, as the query says of each. It locks the tree only if
// that changes.
func noteLeftOut(ctx context.Context, tx pgx.Tx, sourceID, query string, args ...any) error {
	args = append([]any{sourceID}, args...)
	differs := `t.source_id = $1 AND t.node_id = n.id AND t.left_out <> n.left_out`
	news := `(` + query + `) AS n (id, left_out)`
	var some bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM confluence_tree t, `+news+` WHERE `+differs+`)`, args...).Scan(&some); err != nil || !some {
		return err
	}
	if _, err := tx.Exec(ctx, lockTreeSQL, sourceID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE confluence_tree t SET left_out = n.left_out FROM `+news+` WHERE `+differs, args...)
	return err
}

// RestrictedPages lists the stored pages that the run's listing has and that its source must no longer store. It asks the
// setting and the restrictions again: either may have changed since LeaveOutListed.
func (s *Store) RestrictedPages(ctx context.Context, run Run) ([]Removal, error) {
	rows, _ := s.pool.Query(ctx, `SELECT l.page_id, l.title, l.status FROM confluence_sync_pages l JOIN confluence_sync_runs run USING (run_id)
		WHERE l.run_id = $1 AND l.outcome IS NULL AND l.status = $2 AND `+stillRestrictedSQL+` ORDER BY l.page_id`, run.ID, ReasonRestricted)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Removal])
	if err != nil {
		return nil, fmt.Errorf("list the restricted pages of run %s: %w", run.ID, err)
	}
	return list, nil
}

// unsettledSQL is the SQL condition that the source $1 stores pages that it must not, or leaves out pages that it need
// not leave out any more. Only a full run mends that.
const unsettledSQL = `(EXISTS (
		SELECT FROM confluence_tree t JOIN confluence_spaces n USING (source_id) LEFT JOIN confluence_layer_sets s ON s.set_id = t.layer_set
		WHERE t.source_id = $1 AND t.left_out AND (n.permissions <> 'unrestricted-only' OR s.layers = '{}'))
	OR EXISTS (
		SELECT FROM confluence_spaces n JOIN confluence_pages p USING (source_id) JOIN confluence_tree t ON t.source_id = n.source_id AND t.node_id = p.page_id
		WHERE n.source_id = $1 AND n.permissions = 'unrestricted-only' AND p.is_deleted = false AND ` + provenSQL + `))`

// Unsettled reports whether the source stores pages that it must not, or leaves out pages that it need not leave out any
// more. Its next run is then a full one, which mends that.
func (s *Store) Unsettled(ctx context.Context, sourceID string) (bool, error) {
	var unsettled bool
	if err := s.pool.QueryRow(ctx, `SELECT `+unsettledSQL, sourceID).Scan(&unsettled); err != nil {
		return false, fmt.Errorf("compare the pages of %s with its permissions: %w", sourceID, err)
	}
	return unsettled, nil
}
