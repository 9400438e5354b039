package store_test

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

// Removing a source while its pages are being written must succeed at once and leave nothing behind: locks taken in
// different orders would cause a deadlock.
func TestASourceIsRemovedWhileItsPagesAreWritten(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	const pages, writers = 40, 4
	for round := range 5 {
		addSource(t, s, "docs")
		var list []store.Listed
		for i := range pages {
			list = append(list, listed(fmt.Sprint(100+i), 1, fmt.Sprintf("Page %d", i)))
		}
		runID := fmt.Sprintf("r%d", round)
		fullRun(t, s, "docs", runID, list...)
		begun := make(chan struct{}, pages*writers)
		var group errgroup.Group
		for n := range writers {
			group.Go(func() error {
				for version := 1; ; version++ {
					for i := range pages {
						id := fmt.Sprint(100 + (i*7+n*11)%pages)
						w := write("docs", runID, id, version, "Page", fmt.Sprint("one ", version), fmt.Sprint("two ", version))
						if _, err := s.WritePage(t.Context(), w); failure.CodeOf(err) == failure.SourceGone {
							return nil
						} else if err != nil {
							return err
						}
						select {
						case begun <- struct{}{}:
						default:
						}
					}
				}
			})
		}
		for range pages * 2 {
			<-begun
		}
		require.NoError(t, s.RemoveSource(t.Context(), "docs"))
		require.NoError(t, group.Wait())
		var left int
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM archon_crawled_pages) + (SELECT count(*) FROM confluence_pages)`).Scan(&left))
		require.Zero(t, left)
	}
}

// Several fetchers update the tree concurrently: the final paths match the final parents.
func TestPathsAreThoseOfTheNewestParents(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	var list []store.Listed
	for i := range 200 {
		list = append(list, listed(fmt.Sprint(i), 1, fmt.Sprintf("Page %d", i)))
	}
	run := fullRun(t, s, "docs", "r1", list...)
	for round := range 10 {
		var group errgroup.Group
		for n := range 6 {
			group.Go(func() error {
				var moved []store.Node
				for i := 199; i > 10; i-- {
					if i%6 == n {
						moved = append(moved, store.Node{ID: fmt.Sprint(i), Kind: "page", Title: "P", ParentID: fmt.Sprint((round + n) % 10), ParentKind: "page"})
					}
				}
				if err := s.PutNodes(t.Context(), run, moved); err != nil {
					return err
				}
				return s.BuildPaths(t.Context(), "docs")
			})
		}
		require.NoError(t, group.Wait())
		var wrong int
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM confluence_tree
			WHERE path <> coalesce('/' || parent_id, '') || '/' || node_id`).Scan(&wrong))
		require.Zero(t, wrong, "round %d", round)
	}
}

// Replicas that advance one run concurrently publish its snapshots in order and end it once.
func TestManyAdvanceOneRun(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	const pages = 60
	var list []store.Listed
	for i := range pages {
		list = append(list, listed(fmt.Sprint(100+i), 1, "Page"))
	}
	run := fullRun(t, s, "docs", "r1", list...)
	_, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
	var mu sync.Mutex
	var made []event.Progress
	var firsts int
	var group errgroup.Group
	group.Go(func() error {
		for i := range pages {
			if _, err := s.WritePage(t.Context(), write("docs", "r1", fmt.Sprint(100+i), 1, "Page", "text")); err != nil {
				return err
			}
		}
		return nil
	})
	for range 3 {
		group.Go(func() error {
			for {
				snap, first, err := s.Advance(t.Context(), "r1")
				mu.Lock()
				made = append(made, snap)
				if first {
					firsts++
				}
				mu.Unlock()
				if err != nil || snap.State.Final() {
					return err
				}
			}
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, 1, firsts, "one of them reports the end")
	slices.SortFunc(made, func(a, b event.Progress) int { return cmp.Compare(a.Seq, b.Seq) })
	last := made[0]
	for _, p := range made[1:] {
		require.True(t, p.After(last), "each has its own number")
		require.LessOrEqual(t, p.Counts.Pending, last.Counts.Pending)
		require.GreaterOrEqual(t, p.Percent, last.Percent)
		require.False(t, p.At.Before(last.At), "the times are in order too")
		last = p
	}
	require.Equal(t, event.StateCompleted, last.State)
}
