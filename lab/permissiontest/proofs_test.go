package permissiontest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/fetcher/sweep"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

// While several readers search at full speed, a page is restricted: no search that begins after the sweep has committed
// finds it.
func TestARestrictedPageIsHiddenOnceTheSweepHasCommitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("bob")
	secret := w.create(sandbox.Draft{Title: "Plans", Body: "<p>" + everyWord + "</p>"})
	w.run(event.Full)
	require.True(t, w.admitted("bob")[secret])
	require.NoError(t, w.site.Restrict(secret, []string{api}, nil))
	bob := viewer.Everywhere().As("bob")
	var committed, stop atomic.Bool
	var before, after, late atomic.Int64
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for !stop.Load() {
				hidden := committed.Load() // before the search begins
				hits, err := w.store.Searcher().Search(t.Context(), bob, everyWord, search.Filter{Limit: all})
				if err != nil {
					t.Error(err)
					return
				}
				for _, h := range hits {
					switch {
					case h.PageID == secret && hidden:
						late.Add(1)
					case h.PageID == secret:
						before.Add(1)
					}
				}
				if hidden {
					after.Add(1)
				}
			}
		})
	}
	within := func(n *atomic.Int64) {
		require.Eventually(t, func() bool { return n.Load() >= 20 }, time.Minute, time.Millisecond)
	}
	within(&before)
	began := time.Now()
	w.sweep()
	committed.Store(true)
	took := time.Since(began)
	within(&after)
	stop.Store(true)
	readers.Wait()
	require.Zero(t, late.Load(), "answers that hold the page after the sweep")
	t.Logf("%d answers held the page before, none of %d after; hidden %s after the sweep began", before.Load(), after.Load(), took.Round(time.Millisecond))
}

// killed ends a sweep in its middle, as the end of its process does: nothing is given back.
type killed struct {
	*store.Store
	died chan struct{}
}

func (k killed) SaveAccess(ctx context.Context, _ store.AccessRead) (store.AccessChange, error) {
	close(k.died)
	<-ctx.Done()
	return store.AccessChange{}, ctx.Err()
}

func (killed) EndSweep(context.Context, string, string) error { return nil }

// A sweep whose process dies is begun anew by another one when its lease has ended, and not before.
func TestAKilledSweepIsBegunAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("bob")
	open := w.create(sandbox.Draft{Title: "Plans"})
	w.run(event.Full)
	require.NoError(t, w.site.Restrict(open, []string{api}, nil))
	does := func(sql string) {
		_, err := w.conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	does(`UPDATE confluence_spaces SET sweep_tried_at = NULL`)
	dying, kill := context.WithCancel(t.Context())
	k := killed{w.store, make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- sweep.New(k, w, w.systems, time.Nanosecond, 24*time.Hour, zerolog.Nop()).Look(dying) }()
	<-k.died
	does(`UPDATE confluence_spaces SET sweep_tried_at = NULL`)
	require.NoError(t, w.sweeper.Look(t.Context()))
	require.True(t, w.admitted("bob")[open], "the other process has the lease")
	kill()
	require.NoError(t, <-ended) // a shutdown is no failure
	require.NoError(t, w.sweeper.Look(t.Context()))
	require.True(t, w.admitted("bob")[open], "still")
	does(`UPDATE confluence_spaces SET sweep_until = now() - interval '1 second', sweep_tried_at = NULL`)
	require.NoError(t, w.sweeper.Look(t.Context()))
	require.False(t, w.admitted("bob")[open])
	require.Empty(t, w.problem())
}

// interrupted is a store that goes away when a sweep has saved what moved.
type interrupted struct {
	*store.Store
	repath bool // not before the paths are built
}

var errGone = errors.New("the database is gone")

func (i interrupted) BuildPaths(ctx context.Context, sourceID string) error {
	if !i.repath {
		return errGone
	}
	return i.Store.BuildPaths(ctx, sourceID)
}

func (interrupted) Repath(context.Context, store.Run) error { return errGone }

// A sweep that ends between saving a move and writing the breadcrumbs leaves pages hidden until the next one, not longer.
func TestTheNextSweepShowsWhatAnInterruptedOneHasHidden(t *testing.T) {
	w := newWorld(t)
	w.person("bob")
	top := w.create(sandbox.Draft{Title: "Top"})
	moves := w.create(sandbox.Draft{Title: "Moves"})
	below := w.create(sandbox.Draft{Title: "Below", ParentID: moves})
	w.run(event.Full)
	for _, step := range []struct {
		parent string
		repath bool
	}{{top, false}, {"", true}} {
		require.True(t, w.admitted("bob")[below])
		require.NoError(t, w.site.MovePage(moves, step.parent))
		_, err := w.conn.Exec(t.Context(), `UPDATE confluence_spaces SET sweep_tried_at = NULL`)
		require.NoError(t, err)
		require.NoError(t, sweep.New(interrupted{w.store, step.repath}, w, w.systems, time.Nanosecond, 24*time.Hour, zerolog.Nop()).Look(t.Context()))
		require.False(t, w.admitted("bob")[below], "its breadcrumb is the former one")
		w.sweep()
		require.True(t, w.admitted("bob")[moves])
		require.True(t, w.admitted("bob")[below])
	}
}

// ungrown is a store that goes away when a sweep would add what is above the pages that have moved.
type ungrown struct{ *store.Store }

func (ungrown) PutNodes(context.Context, store.Run, []store.Node) error { return errGone }

// A page that has moved below something that no run has seen yet, a folder that had no page or a new page, is as visible as
// there after the next sweep: it waits for no run.
func TestAPageThatMovedBelowSomethingNewIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("ann", "bob")
	moves := w.create(sandbox.Draft{Title: "Moves"})
	below := w.create(sandbox.Draft{Title: "Below", ParentID: moves})
	outer := w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Outer"})
	folder := w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Folder", ParentID: outer})
	w.run(event.Full)
	check := func(where, parent string, ann, bob bool) {
		t.Helper()
		require.NoError(t, w.site.MovePage(moves, parent))
		w.sweep()
		for _, id := range []string{moves, below} {
			require.Equal(t, ann, w.admitted("ann")[id], where)
			require.Equal(t, bob, w.admitted("bob")[id], where)
		}
	}
	check("folders", folder, true, true)
	fresh := w.create(sandbox.Draft{Title: "New", ParentID: w.create(sandbox.Draft{Title: "Above"})})
	check("new pages", fresh, true, true)
	closed := w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Closed"})
	require.NoError(t, w.site.Restrict(closed, []string{"ann", api}, nil))
	check("a restricted folder", closed, true, false)
	shut := w.create(sandbox.Draft{Title: "Shut"})
	require.NoError(t, w.site.Restrict(shut, []string{"ann", api}, nil))
	check("below a new page that is restricted", w.create(sandbox.Draft{Title: "Free", ParentID: shut}), true, false)
	check("a new folder below new pages", w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "In", ParentID: w.create(sandbox.Draft{
		Title: "Between", ParentID: w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Around", ParentID: w.create(sandbox.Draft{Title: "Over"})}),
	})}), true, true)
	locked := w.create(sandbox.Draft{Title: "Locked"})
	require.NoError(t, w.site.Restrict(locked, []string{"ann", api}, nil))
	check("a new folder below a new page that is restricted", w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Inside", ParentID: locked}), true, false)
	// A sweep that ends after it has saved the move leaves the rest to the next one.
	for _, parent := range []string{
		w.create(sandbox.Draft{Title: "Late", ParentID: w.create(sandbox.Draft{Title: "Later"})}),
		w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Last", ParentID: w.create(sandbox.Draft{Title: "Latest"})}),
	} {
		require.NoError(t, w.site.MovePage(moves, parent))
		_, err := w.conn.Exec(t.Context(), `UPDATE confluence_spaces SET sweep_tried_at = NULL`)
		require.NoError(t, err)
		require.NoError(t, sweep.New(ungrown{w.store}, w, w.systems, time.Nanosecond, 24*time.Hour, zerolog.Nop()).Look(t.Context()))
		require.False(t, w.admitted("bob")[moves])
		check("after a sweep that has ended early", parent, true, true)
	}
	check("a folder that the account may not see", func() string {
		dark := w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Dark"})
		require.NoError(t, w.site.Restrict(dark, []string{"ann", "bob"}, nil))
		return dark
	}(), false, false)
}

// What is counted of vectors is of the pages that the viewer may see.
func TestVectorsAreCountedForTheirReader(t *testing.T) {
	t.Parallel()
	w := newVectorWorld(t)
	w.person("ann", "bob")
	closed := w.create(sandbox.Draft{Title: "Plans", Body: "<p>" + everyWord + "</p>"})
	require.NoError(t, w.site.Restrict(closed, []string{"ann", api}, nil))
	w.run(event.Full)
	w.embed()
	space, there, err := w.store.Vectors().Active(t.Context())
	require.NoError(t, err)
	if !there {
		spaces, err := w.store.Vectors().Spaces(t.Context())
		require.NoError(t, err)
		space = spaces[0]
	}
	count := func(v viewer.Viewer) vectors.Count {
		t.Helper()
		ledger, err := w.store.Vectors().Ledger(t.Context(), v, space)
		require.NoError(t, err)
		return ledger[docs]
	}
	everything := count(viewer.All())
	require.Equal(t, everything.Chunks, everything.Embedded)
	require.Equal(t, everything, count(viewer.Everywhere().As("ann")))
	require.Equal(t, everything.Chunks-1, count(viewer.Everywhere().As("bob")).Chunks)
	require.Less(t, count(viewer.Everywhere().As("bob")).Tokens, everything.Tokens)
	require.Zero(t, count(viewer.Everywhere().As("stranger")).Chunks)
}
