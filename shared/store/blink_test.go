package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// edition is the text of a page in one of its versions. The editions differ in the number and order of their chunks:
// some chunks appear in several editions, and at least one has the edition's number.
type edition struct {
	number int // also the version of the page
	title  string
	texts  []string
}

// editionOf returns the edition with a number; the result is always the same.
func editionOf(number int) edition {
	r := rand.New(rand.NewPCG(uint64(number), 3))
	e := edition{number: number, title: fmt.Sprintf("Log, volume %d", number/4)}
	if number%3 != 0 { // every third edition shares nothing with the others
		for i := range 2 + r.IntN(7) {
			e.texts = append(e.texts, fmt.Sprintf("lighthouse paragraph %d", i))
		}
		if number%2 == 0 {
			r.Shuffle(len(e.texts), func(i, j int) { e.texts[i], e.texts[j] = e.texts[j], e.texts[i] })
			e.texts = append(e.texts, e.texts[0]) // the same text twice
		}
	}
	for i := range 1 + r.IntN(3) {
		e.texts = slices.Insert(e.texts, r.IntN(len(e.texts)+1)/(1+i%2), fmt.Sprintf("lighthouse edition %d part %d", number, i))
	}
	return e
}

// write returns the edition as a page to store.
func (e edition) write(pageID, runID string) store.PageWrite {
	w := write("docs", runID, pageID, e.number, e.title, e.texts...)
	for i := range w.Chunks {
		sum := sha256.Sum256([]byte(w.Chunks[i].Content))
		w.Chunks[i].Metadata.ContentHash = hex.EncodeToString(sum[:16])
		w.Chunks[i].Metadata.SectionTitle = w.Chunks[i].Content
	}
	return w
}

// answer is what one statement returns of the page.
type answer struct {
	lines   []string // chunks, with their numbers if the statement returns them
	facts   []string // of the page, returned with the chunks: "title …", "version …"
	pending bool     // a chunk is marked as pending deletion
}

func (a *answer) add(number int, text string) {
	a.lines = append(a.lines, fmt.Sprintf("%d %s", number, text))
}

// edition returns the number of the edition that the answer contains, 0 if it is empty, and an error if it is not
// exactly one edition.
func (a answer) edition() (int, error) {
	if a.pending {
		return 0, errors.New("a chunk that goes is marked for all to see")
	}
	number := 0
	for _, line := range a.lines {
		_, mark, marked := strings.Cut(line, "edition ")
		if !marked {
			continue
		}
		if _, err := fmt.Sscan(mark, &number); err != nil {
			return 0, fmt.Errorf("read %q: %w", line, err)
		}
		break
	}
	if len(a.lines) == 0 {
		return 0, nil
	}
	e := editionOf(number)
	var want []string
	for i, text := range e.texts {
		if strings.HasPrefix(a.lines[0], "light") {
			want = append(want, text)
		} else {
			want = append(want, fmt.Sprintf("%d %s", i, text))
		}
	}
	got := slices.Sorted(slices.Values(a.lines))
	slices.Sort(want)
	if !slices.Equal(want, got) {
		return 0, fmt.Errorf("a mixed answer: %q is not edition %d: %q", got, number, want)
	}
	for _, fact := range a.facts {
		if fact != "title "+e.title && fact != fmt.Sprint("version ", number) {
			return 0, fmt.Errorf("a mixed answer: edition %d with %s", number, fact)
		}
	}
	return number, nil
}

// reader reads the page's chunks in one statement.
type reader func(context.Context) (answer, error)

// readers returns the ways to read a page: Sluice's, and those of a program that does not know Sluice. Each has its
// own connection.
func readers(t *testing.T, s *store.Store, conn *pgx.Conn, pageID string) map[string]reader {
	t.Helper()
	query := func(sql string) reader {
		own, err := pgx.Connect(t.Context(), conn.Config().ConnString())
		require.NoError(t, err)
		t.Cleanup(func() { _ = own.Close(context.Background()) })
		return func(ctx context.Context) (a answer, err error) {
			rows, _ := own.Query(ctx, sql, pageID)
			var number, version int
			var text string
			var pending bool
			_, err = pgx.ForEachRow(rows, []any{&number, &text, &pending, &version}, func() error {
				a.add(number, text)
				a.pending = a.pending || pending
				if version > 0 {
					a.facts = append(a.facts, fmt.Sprint("version ", version))
				}
				return nil
			})
			return a, err
		}
	}
	const row = `c.chunk_number, c.content, c.metadata ? '_pending_deletion'`
	return map[string]reader{
		"search": func(ctx context.Context) (a answer, err error) {
			hits, err := s.Searcher().Search(ctx, viewer.All(), "lighthouse", search.Filter{SourceID: "docs", Limit: 100, PerPage: 100})
			for _, h := range hits {
				if h.PageID == pageID {
					a.lines = append(a.lines, h.SectionTitle)
					a.facts = append(a.facts, "title "+h.Title)
				}
			}
			return a, err
		},
		"chunks": func(ctx context.Context) (a answer, err error) {
			chunks, err := s.Reader().Chunks(ctx, viewer.All(), "docs", pageID, store.Whole())
			for _, c := range chunks {
				a.add(c.Number, c.Content)
			}
			return a, err
		},
		"text": query(`SELECT ` + row + `, 0 FROM archon_crawled_pages c, plainto_tsquery('english', 'lighthouse') q
			WHERE c.content_search_vector @@ q AND c.metadata @> jsonb_build_object('page_id', $1::text)
			ORDER BY ts_rank_cd(c.content_search_vector, q) DESC LIMIT 100`),
		"source": query(`SELECT ` + row + `, 0 FROM archon_crawled_pages c
			WHERE c.source_id = 'docs' AND c.metadata->>'page_id' = $1`),
		"page": query(`SELECT ` + row + `, p.version FROM confluence_pages p
			JOIN archon_crawled_pages c ON c.metadata ? 'page_id' AND c.metadata->>'page_id' = p.page_id AND c.source_id = p.source_id
			WHERE p.page_id = $1`),
	}
}

// The states that a page passes through repeatedly.
const (
	absent = iota
	coming
	present
	going
	states
)

// watch is what readers know about the writer.
type watch struct {
	state  atomic.Int64 // grows with each state
	stored atomic.Int64 // number of the newest edition that is certainly stored
}

// witness is a reader that checks the answers and counts its reads while the page was present.
type witness struct {
	*watch
	ask   reader
	reads atomic.Int64
}

// read reads once and returns the edition that it saw.
func (w *witness) read(ctx context.Context) (int, error) {
	state, stored := w.state.Load(), int(w.stored.Load())
	a, err := w.ask(ctx)
	if err != nil {
		return 0, err
	}
	seen, err := a.edition()
	if err != nil {
		return seen, err
	}
	if w.state.Load() != state || state%states == coming || state%states == going {
		return seen, nil // the change is running: all or nothing, both are right
	}
	switch there := state%states == present; {
	case there && seen == 0:
		return seen, fmt.Errorf("an empty answer, edition %d is stored", stored)
	case there && seen < stored:
		return seen, fmt.Errorf("edition %d, when %d was stored before", seen, stored)
	case !there && seen != 0:
		return seen, fmt.Errorf("edition %d of a page that is gone", seen)
	case there:
		w.reads.Add(1)
	}
	return seen, nil
}

// atOnce returns how many readers of one kind run concurrently, and how often each kind reads. A search costs ten
// times as much as the others: it reads less often, so that it does not take minutes longer. The others have one
// connection.
func atOnce(name string, reads int64) (readers int, of int64) {
	if name == "search" {
		return 3, reads / 5
	}
	return 1, reads
}

// readAll reads the given number of times, until the context ends or an answer is wrong.
func (w *witness) readAll(ctx context.Context, name string, reads int64) error {
	last := 0
	for ctx.Err() == nil && w.reads.Load() < reads {
		seen, err := w.read(ctx)
		if err == nil && seen != 0 && seen < last {
			err = fmt.Errorf("edition %d after edition %d", seen, last)
		}
		if err != nil && ctx.Err() == nil { // a read at the end is interrupted
			return fmt.Errorf("%s: %w", name, err)
		}
		last = max(last, seen)
	}
	return nil
}

// replaceFunc replaces the stored page with the next edition.
type replaceFunc func(ctx context.Context, e edition) error

// observe repeatedly creates a page, replaces it and removes it, while all readers read at full speed. It ends when
// each has read the page often enough and the page has completed the given number of rounds, or when one of the
// readers gets a wrong answer.
func observe(t *testing.T, s *store.Store, conn *pgx.Conn, reads int64, rounds int, replace replaceFunc) error {
	t.Helper()
	addSource(t, s, "docs")
	w := &watch{}
	witnesses, wanted := map[string]*witness{}, map[string]int64{}
	readCtx, stop := context.WithCancel(t.Context())
	defer stop()
	group, ctx := errgroup.WithContext(readCtx)
	for name, read := range readers(t, s, conn, "1") {
		one := &witness{watch: w, ask: read}
		many, of := atOnce(name, reads)
		witnesses[name], wanted[name] = one, of
		for range many {
			group.Go(func() error { return one.readAll(ctx, name, of) })
		}
	}
	behind := func() bool {
		for name, one := range witnesses {
			if one.reads.Load() < wanted[name] {
				return true
			}
		}
		return false
	}
	number, round := 0, 0
	for ; (round < rounds || behind()) && ctx.Err() == nil; round++ {
		number++
		run := fullRun(t, s, "docs", fmt.Sprint("create ", round), listed("1", number, "Log"))
		w.state.Add(1)
		require.Equal(t, event.Created, store1(t, s, editionOf(number).write("1", run.ID)))
		w.stored.Store(int64(number))
		w.state.Add(1)
		finish(t, s, run)
		for i := 0; i < 40 && ctx.Err() == nil; i++ {
			number++
			require.NoError(t, replace(t.Context(), editionOf(number)))
			w.stored.Store(int64(number))
			if i%10 == 9 {
				vacuum(t, conn)
			}
		}
		run = fullRun(t, s, "docs", fmt.Sprint("remove ", round))
		_, _, err := s.FindRemovalCandidates(t.Context(), run)
		require.NoError(t, err)
		w.state.Add(1)
		require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{{PageID: "1", Reason: "trashed"}}))
		w.state.Add(1)
		require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
		require.True(t, advance(t, s, run.ID).State.Final())
		vacuum(t, conn)
	}
	stop()
	err := group.Wait()
	t.Logf("%d editions, %d removals", number, round)
	for name, one := range witnesses {
		t.Logf("%s: %d reads", name, one.reads.Load())
	}
	return err
}

// vacuum does sooner what the server does by itself: otherwise every search would spend most of its time on dead
// rows.
func vacuum(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `VACUUM archon_crawled_pages`)
	require.NoError(t, err)
}

// Each reader reads ten thousand times, a search two thousand times, over at least two thousand editions.
func TestSearchNeverBlinks(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	err := observe(t, s, conn, 10_000, 50, func(ctx context.Context, e edition) error {
		outcome, err := s.WritePage(ctx, e.write("1", ""))
		if err == nil && outcome != event.Updated {
			err = fmt.Errorf("edition %d is %s", e.number, outcome)
		}
		return err
	})
	require.NoError(t, err)
}

// A writer that replaces the page in more than one transaction is detected, whatever its order.
func TestABlinkIsSeen(t *testing.T) {
	t.Parallel()
	const (
		mark  = `UPDATE archon_crawled_pages SET metadata = metadata || '{"_pending_deletion": true}'`
		clear = `DELETE FROM archon_crawled_pages`
		aside = `UPDATE archon_crawled_pages SET chunk_number = chunk_number + 1000`
	)
	type step func(context.Context, *pgx.Conn, edition) error
	insert := func(ctx context.Context, conn *pgx.Conn, e edition) error {
		b := &pgx.Batch{}
		w := e.write("1", "")
		for _, c := range w.Chunks {
			c.Metadata.ArchonPage = c.Metadata.PageID
			b.Queue(`INSERT INTO archon_crawled_pages (url, chunk_number, content, metadata, source_id) VALUES ($1, $2, $3, $4, 'docs')`,
				w.Page.URL, c.Number, c.Content, c.Metadata)
		}
		return conn.SendBatch(ctx, b).Close()
	}
	facts := func(ctx context.Context, conn *pgx.Conn, e edition) error {
		_, err := conn.Exec(ctx, `UPDATE confluence_pages SET title = $1, version = $2`, e.title, e.number)
		return err
	}
	exec := func(sql string) step {
		return func(ctx context.Context, conn *pgx.Conn, _ edition) error {
			_, err := conn.Exec(ctx, sql)
			return err
		}
	}
	begin, commit := exec("BEGIN"), exec("COMMIT")
	blinks := map[string]struct {
		steps []step
		want  string
	}{
		"deleted, then inserted": {steps: []step{begin, facts, exec(clear), commit, insert}, want: "an empty answer"},
		"inserted, then deleted": {steps: []step{begin, facts, exec(aside), insert, commit, exec(`DELETE FROM archon_crawled_pages WHERE chunk_number >= 1000`)}, want: "a mixed answer|search: an empty answer"},
		"marked, then replaced":  {steps: []step{exec(mark), begin, facts, exec(clear), insert, commit}, want: "marked for all to see|search: an empty answer"}, // a search omits marked chunks
		"the page before chunks": {steps: []step{facts, begin, exec(clear), insert, commit}, want: "a mixed answer|search: an empty answer"},
		"the chunks before page": {steps: []step{begin, exec(clear), insert, commit, facts}, want: "a mixed answer|search: an empty answer"},
	}
	for _, name := range slices.Sorted(maps.Keys(blinks)) {
		t.Run(name, func(t *testing.T) {
			s, conn := open(t)
			err := observe(t, s, conn, 1_000_000, 1, func(ctx context.Context, e edition) error {
				for _, step := range blinks[name].steps {
					if err := step(ctx, conn, e); err != nil {
						return err
					}
				}
				return nil
			})
			require.Error(t, err)
			require.Regexp(t, blinks[name].want, err.Error())
		})
	}
}
