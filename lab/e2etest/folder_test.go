package e2etest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// handbook is a world with a second source: a folder.
type handbook struct {
	*world
	dir string
}

const handbookSource = "handbook"

func newHandbook(t *testing.T) *handbook {
	t.Helper()
	site := sandbox.New(sandbox.Options{})
	require.NoError(t, site.AddSpace("DOCS", "Docs"))
	h := &handbook{world: newWorld(t, "DOCS", site), dir: filepath.Join(t.TempDir(), "docs")}
	require.NoError(t, os.Mkdir(h.dir, 0o755))
	return h
}

// register adds the folder as a source.
func (h *handbook) register() {
	h.t.Helper()
	src, err := systems.Locate("folder", h.dir)
	require.NoError(h.t, err)
	src.ID = handbookSource
	require.NoError(h.t, h.store.AddSource(h.t.Context(), src))
	require.NoError(h.t, h.store.AddSource(h.t.Context(), src), "adding the same source again changes nothing")
	src.ID = "twin"
	require.ErrorIs(h.t, h.store.AddSource(h.t.Context(), src), store.ErrSpaceTaken)
}

func (h *handbook) put(name, text string) {
	h.t.Helper()
	name = filepath.Join(h.dir, name)
	require.NoError(h.t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(h.t, os.WriteFile(name, []byte(text), 0o600))
}

// run syncs the folder.
func (h *handbook) run(mode event.Mode) event.Progress {
	h.t.Helper()
	h.runs++
	id := fmt.Sprintf("folder-run-%d", h.runs)
	require.NoError(h.t, h.bus.Publish(h.t.Context(), event.SyncRequested{RequestID: id, Mode: mode, SourceID: handbookSource}))
	ctx, cancel := context.WithTimeout(h.t.Context(), 2*time.Minute)
	defer cancel()
	var last event.Progress
	for p, err := range h.bus.FollowProgress(ctx, handbookSource, id) {
		require.NoError(h.t, err)
		last = p
	}
	require.True(h.t, last.State.Final())
	return last
}

// ends runs a sync, requires the counts, and requires that exactly the folder's files are stored and found.
func (h *handbook) ends(want event.Counts) {
	h.t.Helper()
	last := h.run(event.Incremental)
	require.Equal(h.t, event.StateCompleted, last.State, last.Message)
	require.Equal(h.t, event.Full, last.Mode, "every sync of a folder looks for removals")
	want.Listed = want.Created + want.Updated + want.Unchanged + want.Removed
	require.Equal(h.t, want, last.Counts)

	var urls []string
	require.NoError(h.t, filepath.WalkDir(h.dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".md") {
			urls = append(urls, "file://"+strings.ReplaceAll(name, " ", "%20"))
		}
		return err
	}))
	rows, err := h.db.Query(h.t.Context(), `SELECT c.url FROM confluence_pages p JOIN confluence_page_content c USING (page_id, site_id)
		WHERE p.source_id = $1 AND p.is_deleted = false`, handbookSource)
	require.NoError(h.t, err)
	var stored []string
	for rows.Next() {
		var url string
		require.NoError(h.t, rows.Scan(&url))
		stored = append(stored, url)
	}
	require.NoError(h.t, rows.Err())
	require.ElementsMatch(h.t, urls, stored)
	require.Equal(h.t, len(urls), h.count(`SELECT count(DISTINCT url) FROM archon_crawled_pages WHERE source_id = $1`, handbookSource))
}

// found returns the title and the address of a search's first hit.
func (h *handbook) found(words string) (title, address string) {
	h.t.Helper()
	hits, err := h.store.Searcher().Search(h.t.Context(), viewer.All(), words, search.Filter{SourceID: handbookSource})
	require.NoError(h.t, err)
	if len(hits) == 0 {
		return "", ""
	}
	return hits[0].Title, hits[0].URL
}

func TestAFolderOfMarkdown(t *testing.T) {
	t.Parallel()
	h := newHandbook(t)
	h.put("README.md", "---\ntags: [start]\n---\n# Welcome\n\nRead the [guide](guides/setup.md#first-steps) on marmalade.\n")
	h.put("guides/setup.md", "# Set up\n\n## First steps\n\nInstall the quincebolt.\n\n## Last steps\n\nClean the figwrench.\n")
	h.put("guides/deep/a b.md", "Only plumtext here.\n")
	for i := range 12 {
		h.put(fmt.Sprintf("notes/%02d.md", i), fmt.Sprintf("# Note %d\n\nNothing but pearword%d.\n", i, i))
	}
	h.register()
	h.startAll()
	base := "file://" + h.dir

	h.ends(event.Counts{Created: 15})
	title, address := h.found("figwrench")
	require.Equal(t, "Set up", title)
	require.Contains(t, address, base+"/guides/setup.md#")
	title, address = h.found("plumtext")
	require.Equal(t, []string{"a b", base + "/guides/deep/a%20b.md"}, []string{title, address})
	var path, links, ancestors, labels string
	meta := `SELECT p.path, p.metadata->'internal_links'->0->>'page_url', coalesce(p.metadata->'ancestors'->1->>'url', ''), p.metadata->'labels'->>0
		FROM confluence_pages p JOIN confluence_page_content c USING (page_id, site_id) WHERE c.url = $1`
	require.NoError(t, h.db.QueryRow(t.Context(), meta, base+"/README.md").Scan(&path, &links, &ancestors, &labels))
	require.Equal(t, []string{base + "/guides/setup.md#first-steps", "start"}, []string{links, labels})
	require.NoError(t, h.db.QueryRow(t.Context(), `SELECT p.path, p.metadata->'ancestors'->1->>'url' FROM confluence_pages p
		JOIN confluence_page_content c USING (page_id, site_id) WHERE c.url = $1`, base+"/guides/deep/a%20b.md").Scan(&path, &ancestors))
	require.Regexp(t, `^/9\d+/9\d+/9\d+$`, path)
	require.Equal(t, base+"/guides/deep", ancestors)

	h.ends(event.Counts{Unchanged: 15})

	// An edit with an older time and the same size, a new file, a rename, and a deleted file.
	setup := filepath.Join(h.dir, "guides/setup.md")
	info, err := os.Stat(setup)
	require.NoError(t, err)
	h.put("guides/setup.md", "# Set up\n\n## First steps\n\nInstall the quincebolt.\n\n## Last steps\n\nClean the limewrench.\n")
	require.NoError(t, os.Chtimes(setup, info.ModTime(), info.ModTime().Add(-24*time.Hour)))
	h.put("new.md", "# New\n\nThis is medlar.\n")
	require.NoError(t, os.Rename(filepath.Join(h.dir, "notes/00.md"), filepath.Join(h.dir, "notes/zero.md")))
	require.NoError(t, os.Remove(filepath.Join(h.dir, "notes/01.md")))
	h.ends(event.Counts{Created: 2, Updated: 1, Removed: 2, Unchanged: 12})
	title, _ = h.found("figwrench")
	require.Empty(t, title)
	title, _ = h.found("limewrench")
	require.Equal(t, "Set up", title)
	_, address = h.found("pearword0")
	require.Contains(t, address, base+"/notes/zero.md")
	require.Equal(t, 2, h.count(`SELECT count(*) FROM confluence_removals WHERE source_id = $1 AND reason = 'deleted'`, handbookSource))

	// The file is restored and edited twice within a moment.
	h.put("notes/01.md", "# Note 1\n\nNothing but pearword1.\n")
	h.put("new.md", "# New\n\nThis is sorb.\n")
	h.put("new.md", "# New\n\nThis is medlars\n")
	h.ends(event.Counts{Created: 1, Updated: 1, Unchanged: 14})
	title, _ = h.found("medlars")
	require.Equal(t, "New", title)

	// Only an unreadable file fails, and readers still see its previous version.
	h.put("new.md", "a\x00b")
	last := h.run(event.Full)
	require.Equal(t, event.StateCompletedWithFailures, last.State)
	require.Equal(t, 1, last.Counts.Failed)
	title, _ = h.found("medlars")
	require.Equal(t, "New", title)
	h.put("new.md", "# New\n\nThis is medlars\n")
	h.ends(event.Counts{Unchanged: 16})

	// A missing folder fails the run. A folder that has lost most of its files holds it.
	away := h.dir + "-away"
	require.NoError(t, os.Rename(h.dir, away))
	last = h.run(event.Full)
	require.Equal(t, []any{event.StateFailed, failure.FolderNotFound}, []any{last.State, last.Code}, last.Message)
	require.Contains(t, last.Message, h.dir)
	require.NoError(t, os.Mkdir(h.dir, 0o755))
	require.Equal(t, event.StateFailed, h.run(event.Full).State, "an empty folder is treated as not mounted")
	require.NoError(t, os.Remove(h.dir))
	require.NoError(t, os.Rename(filepath.Join(away, "notes"), filepath.Join(filepath.Dir(away), "notes")))
	require.NoError(t, os.Rename(away, h.dir))
	last = h.run(event.Full)
	require.Equal(t, event.StateHeld, last.State, last.Message)
	require.Zero(t, last.Counts.Removed)
	require.NoError(t, os.Rename(filepath.Join(filepath.Dir(away), "notes"), filepath.Join(h.dir, "notes")))
	h.ends(event.Counts{Updated: 12, Unchanged: 4}) // their folder has its old title again

	// The site's source is unaffected.
	require.Equal(t, event.StateCompleted, h.sync(event.Full).State)
	require.NoError(t, h.store.RemoveSource(t.Context(), handbookSource))
	require.Zero(t, h.count(`SELECT count(*) FROM archon_crawled_pages WHERE source_id = $1`, handbookSource))
}
