package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// pauseLock is held by the test; a writer that reaches the step in pause_at waits for it.
const pauseLock = 4711

// pauseSQL stops a writer before and after every statement that writes, and while it commits. Steps are counted
// within a transaction. The writer sets its application name to the step at which it waits; other sessions see that
// at once.
const pauseSQL = `
	CREATE TABLE pause_at (wanted int);
	INSERT INTO pause_at VALUES (0);
	CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$
	DECLARE
		step int := coalesce(nullif(current_setting('pause.step', true), ''), '0')::int + 1;
	BEGIN
		PERFORM set_config('pause.step', step::text, true);
		IF step = (SELECT wanted FROM pause_at) THEN
			PERFORM set_config('application_name', lower(concat_ws(' ', TG_NAME, TG_OP, TG_TABLE_NAME)), true);
			PERFORM pg_advisory_xact_lock(4711);
		END IF;
		RETURN NULL;
	END $$;
	DO $$
	DECLARE
		tab text;
	BEGIN
		FOREACH tab IN ARRAY ARRAY['archon_crawled_pages', 'confluence_pages', 'confluence_page_content', 'confluence_sync_pages'] LOOP
			EXECUTE format('CREATE TRIGGER before BEFORE INSERT OR UPDATE OR DELETE ON %I EXECUTE FUNCTION pause()', tab);
			EXECUTE format('CREATE TRIGGER after AFTER INSERT OR UPDATE OR DELETE ON %I EXECUTE FUNCTION pause()', tab);
		END LOOP;
	END $$;
	CREATE CONSTRAINT TRIGGER committing AFTER INSERT OR UPDATE ON confluence_pages
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pause();`

// stopAt runs write until it waits at a step. It returns the name of the step, the backend's pid and a channel for
// write's result, or "" if write ended before the step.
func stopAt(t *testing.T, conn *pgx.Conn, step int, write func() error) (where string, pid int, ended chan error) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `UPDATE pause_at SET wanted = $1`, step)
	require.NoError(t, err)
	ended = make(chan error, 1)
	go func() { ended <- write() }()
	deadline := time.After(time.Minute)
	for {
		rows, _ := conn.Query(t.Context(), `SELECT a.application_name, a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE l.locktype = 'advisory' AND l.objid = $1 AND NOT l.granted AND a.datname = current_database()`, pauseLock)
		_, err := pgx.ForEachRow(rows, []any{&where, &pid}, func() error { return nil })
		require.NoError(t, err)
		if where != "" {
			return where, pid, ended
		}
		select {
		case err := <-ended:
			require.NoError(t, err)
			return "", 0, nil
		case <-deadline:
			require.Fail(t, "the writer neither waits nor ends")
		default:
		}
	}
}

// whole checks that every reader sees exactly the edition with that number, or nothing if it is 0, and that the
// tables contain nothing else.
func whole(t *testing.T, conn *pgx.Conn, all map[string]reader, pageID string, number int, where string) {
	t.Helper()
	for name, read := range all {
		a, err := read(t.Context())
		require.NoError(t, err)
		seen, err := a.edition()
		require.NoError(t, err, "%s, %s", where, name)
		require.Equal(t, number, seen, "%s, %s", where, name)
	}
	texts := 0
	if number > 0 {
		texts = len(editionOf(number).texts)
	}
	var chunks, pending, versions, contents int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE metadata ? '_pending_deletion'),
		(SELECT coalesce(sum(version), 0) FROM confluence_pages WHERE page_id = $1 AND NOT is_deleted),
		(SELECT count(*) FROM confluence_page_content JOIN confluence_pages USING (page_id, site_id) WHERE page_id = $1 AND NOT is_deleted)
		FROM archon_crawled_pages WHERE metadata->>'page_id' = $1`, pageID).Scan(&chunks, &pending, &versions, &contents))
	require.Equal(t, []int{texts, 0, number, min(number, 1)}, []int{chunks, pending, versions, contents}, where)
}

// A writer may be killed at any step: the old edition stays complete, also during the write, and the same write
// succeeds when repeated.
func TestAWriterThatIsKilledLeavesTheOldAnswer(t *testing.T) {
	t.Parallel()
	const before, after = 4, 8 // they share chunks, in a different order
	for _, c := range []struct {
		name     string
		from, to int
		outcome  event.Outcome
		passes   []string // steps that must occur
	}{
		{"created", 0, after, event.Created, []string{
			"after insert confluence_pages", "before insert archon_crawled_pages", "after insert archon_crawled_pages",
			"after insert confluence_page_content", "after update confluence_sync_pages", "committing insert confluence_pages",
		}},
		{"replaced", before, after, event.Updated, []string{
			"after update confluence_pages", "before update archon_crawled_pages", "after update archon_crawled_pages",
			"after insert archon_crawled_pages", "after delete archon_crawled_pages", "after update confluence_page_content",
			"after update confluence_sync_pages", "committing update confluence_pages",
		}},
		{"removed", before, 0, event.Removed, []string{
			"before update confluence_sync_pages", "after update confluence_pages", "after delete archon_crawled_pages",
			"committing update confluence_pages",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, conn := open(t)
			_, err := conn.Exec(t.Context(), pauseSQL)
			require.NoError(t, err)
			_, err = conn.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, pauseLock)
			require.NoError(t, err)
			addSource(t, s, "docs")
			var passed []string
			for step := 1; ; step++ {
				where := killedAt(t, s, conn, step, c.from, c.to, c.outcome)
				if where == "" {
					break
				}
				passed = append(passed, where)
			}
			for _, p := range c.passes {
				require.Contains(t, passed, p)
			}
			t.Logf("killed at %d steps", len(passed))
		})
	}
}

// killedAt changes its own page from one edition to another, kills the writer at a step of that, repeats the write,
// and returns the name of the step, or "" if there is no such step.
func killedAt(t *testing.T, s *store.Store, conn *pgx.Conn, step, from, to int, outcome event.Outcome) string {
	t.Helper()
	id := fmt.Sprint(step)
	all := readers(t, s, conn, id)
	if from > 0 {
		store1(t, s, editionOf(from).write(id, ""))
	}
	var pages []store.Listed
	if to > 0 {
		pages = append(pages, listed(id, to, "Log"))
	}
	run := fullRun(t, s, "docs", fmt.Sprint("run ", step), pages...)
	_, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	write := func() error {
		if to == 0 {
			return s.RemovePages(t.Context(), run, []store.Removal{{PageID: id, Reason: "trashed"}})
		}
		_, err := s.WritePage(t.Context(), editionOf(to).write(id, run.ID))
		return err
	}
	where, pid, ended := stopAt(t, conn, step, write)
	_, err = conn.Exec(t.Context(), `UPDATE pause_at SET wanted = 0`)
	require.NoError(t, err)
	if where != "" {
		whole(t, conn, all, id, from, where+", while it waits")
		_, err = conn.Exec(t.Context(), `SELECT pg_terminate_backend($1)`, pid)
		require.NoError(t, err)
		require.Error(t, <-ended, where)
		whole(t, conn, all, id, from, where+", when it is dead")
		open, err := s.PendingPages(t.Context(), run.ID, "", 10)
		require.NoError(t, err)
		if to > 0 {
			require.Equal(t, []page.Ref{{ID: id, Version: to}}, open, where+": the run still waits for the page")
		}
		require.NoError(t, write(), where)
	}
	whole(t, conn, all, id, to, where+", written again")
	list, err := s.Reader().LedgerPages(t.Context(), viewer.All(), run.ID, outcome, store.First(10))
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(list, func(p store.LedgerPage) bool { return p.PageID == id }), where)

	// The next step uses its own page; this one is removed.
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
	require.True(t, advance(t, s, run.ID).State.Final())
	_, err = conn.Exec(t.Context(), `WITH c AS (DELETE FROM archon_crawled_pages) DELETE FROM confluence_pages`)
	require.NoError(t, err)
	return where
}

// A write that the database rejects half-way leaves the old chunks searchable.
func TestAWriteThatFailsLeavesTheOldAnswer(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	const before = 4
	all := readers(t, s, conn, "1")
	w := editionOf(before).write("1", "")
	store1(t, s, w)
	after := before + 1
	for len(editionOf(after).texts) <= len(w.Chunks) {
		after++
	}
	_, err := conn.Exec(t.Context(), `INSERT INTO archon_sources (source_id) VALUES ('web')`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `INSERT INTO archon_crawled_pages (url, chunk_number, content, metadata, source_id)
		VALUES ($1, $2, 'crawled', '{"crawl_type": "normal"}', 'web')`, w.Page.URL, len(editionOf(after).texts)-1)
	require.NoError(t, err)

	for range 3 {
		_, err = s.WritePage(t.Context(), editionOf(after).write("1", ""))
		require.Equal(t, failure.AddressTaken, failure.CodeOf(err))
		whole(t, conn, all, "1", before, "after the failure")
	}
	var crawled string
	require.NoError(t, conn.QueryRow(t.Context(), `DELETE FROM archon_crawled_pages WHERE source_id = 'web' RETURNING content`).Scan(&crawled))
	require.Equal(t, "crawled", crawled)
	require.Equal(t, event.Updated, store1(t, s, editionOf(after).write("1", "")))
	whole(t, conn, all, "1", after, "at last")
}

// When a writer's program ends, the server rolls its transaction back.
func TestAWriterThatGivesUpLeavesTheOldAnswer(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	_, err := conn.Exec(t.Context(), pauseSQL)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, pauseLock)
	require.NoError(t, err)
	addSource(t, s, "docs")
	all := readers(t, s, conn, "1")
	store1(t, s, editionOf(4).write("1", ""))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	where, _, ended := stopAt(t, conn, 8, func() error {
		_, err := s.WritePage(ctx, editionOf(8).write("1", ""))
		return err
	})
	require.NotEmpty(t, where)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	_, err = conn.Exec(t.Context(), `UPDATE pause_at SET wanted = 0`)
	require.NoError(t, err)
	whole(t, conn, all, "1", 4, where)
	require.Equal(t, event.Updated, store1(t, s, editionOf(8).write("1", "")))
	whole(t, conn, all, "1", 8, where)
}
