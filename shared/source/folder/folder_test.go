package folder_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/folder"
	"github.com/sluicehq/sluice/shared/store"
)

// files writes a folder.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		put(t, dir, name, text)
	}
	return dir
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
}

func open(t *testing.T, dir string) source.System {
	t.Helper()
	system, err := folder.Opener{}.Open(t.Context(), store.Source{ID: "docs", System: folder.System, Location: dir, BaseURL: "https://example.com/docs"})
	require.NoError(t, err)
	return system
}

// list lists the folder, by title.
func list(t *testing.T, dir string) map[string]source.Item {
	t.Helper()
	items, err := listing(t.Context(), open(t, dir))
	require.NoError(t, err)
	return items
}

func listing(ctx context.Context, system source.System) (map[string]source.Item, error) {
	l, err := system.Changes(ctx, time.Now(), nil)
	if err != nil {
		return nil, err
	}
	items := map[string]source.Item{}
	for _, part := range l.Parts {
		for item, err := range part(ctx) {
			if err != nil {
				return nil, err
			}
			items[item.Title] = item
		}
	}
	return items, nil
}

func TestAFileIsAPage(t *testing.T) {
	dir := files(t, map[string]string{
		"README.md":           "Intro\n\n```\n# not this\n```\n\n# Hello *big* [world](x.md) #\n",
		"guides/setup.md":     "---\ntitle: Set up\ntags: [How To, api]\ndate: 2026-01-02\nlastmod: 2026-03-04T05:06:07Z\n---\n# Other\n\n[a](../README.md#top) [b](sub) [c](missing.md) [d](../../out.md) [e](<a b.md>)\n\n[r]: /guides/sub/index.md\n",
		"guides/a b.md":       "no heading",
		"guides/sub/index.md": "Below\n=====\n",
		"guides/.draft.md":    "hidden",
		".git/notes.md":       "hidden",
		"picture.png":         "no page",
		"UPPER.MARKDOWN":      "---\nno front matter\n",
	})
	items := list(t, dir)
	require.Len(t, items, 5, "%v", items)
	setup, below := items["Set up"], items["Below"]
	require.Contains(t, items, "Hello *big* world")
	require.Contains(t, items, "UPPER")
	require.Equal(t, []string{"api", "how-to"}, setup.Labels)
	require.Equal(t, "folder", setup.ParentKind)
	require.Empty(t, items["UPPER"].ParentID)
	for _, item := range items {
		require.Regexp(t, `^9[0-9]{18}$`, item.ID)
		require.Zero(t, item.Version)
		require.Len(t, item.Hash, 64)
	}

	pages, err := open(t, dir).Bodies(t.Context(), []page.Ref{{ID: setup.ID}, {ID: "1"}})
	require.NoError(t, err)
	require.Len(t, pages, 1, "what is not there is left out")
	got := pages[0]
	require.True(t, strings.HasPrefix(got.Body, "# Other\n"), "without its front matter")
	address := func(path string) string { return "https://example.com/docs/" + path }
	require.Equal(t, page.Facts{
		ID: setup.ID, Title: "Set up", BaseURL: "https://example.com/docs", URL: address("guides/setup.md"), Status: "current",
		ParentID: setup.ParentID, ParentType: "folder", Format: page.Markdown, Hash: setup.Hash,
		CreatedAt: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), ModifiedAt: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Links: map[string]page.Link{
			"../README.md#top":     {PageID: items["Hello *big* world"].ID, PageURL: address("README.md#top")},
			"sub":                  {PageID: below.ID, PageURL: address("guides/sub/index.md")},
			"a b.md":               {PageID: items["a b"].ID, PageURL: address("guides/a%20b.md")},
			"/guides/sub/index.md": {PageID: below.ID, PageURL: address("guides/sub/index.md")},
		},
	}, got.Facts)

	folders, err := open(t, dir).(source.Containers).Containers(t.Context(), []source.ContainerRef{{ID: below.ParentID, Kind: "folder"}, {ID: "1", Kind: "folder"}})
	require.NoError(t, err)
	require.Equal(t, source.Container{ContainerRef: source.ContainerRef{ID: below.ParentID, Kind: "folder"}, Title: "sub", ParentID: setup.ParentID, ParentKind: "folder"}, folders[0])
	require.Empty(t, folders[1].Title)
}

// Neither time nor size says that a file is as it was.
func TestTheContentDecides(t *testing.T) {
	dir := files(t, map[string]string{"a.md": "# A\n\none"})
	before := list(t, dir)["A"]
	name := filepath.Join(dir, "a.md")
	info, err := os.Stat(name)
	require.NoError(t, err)
	put(t, dir, "a.md", "# A\n\ntwo")
	require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime().Add(-time.Hour)))
	edited := list(t, dir)["A"]
	require.Equal(t, before.ID, edited.ID)
	require.NotEqual(t, before.Hash, edited.Hash)
	put(t, dir, "a.md", "# A\n\none")
	require.Equal(t, before, list(t, dir)["A"])
	require.NoError(t, os.Rename(name, filepath.Join(dir, "b.md")))
	require.NotEqual(t, before.ID, list(t, dir)["A"].ID, "another path is another page")
}

// What is wrong with a file is its own affair: it is listed, and fails alone.
func TestAFileThatCannotBeReadFailsAlone(t *testing.T) {
	dir := files(t, map[string]string{"good.md": "# Good", "binary.md": "a\x00b", "large.md": strings.Repeat("x", 16<<20+1)})
	items := list(t, dir)
	require.Len(t, items, 3)
	pages, err := open(t, dir).Bodies(t.Context(), []page.Ref{items["Good"].Ref, items["binary"].Ref, items["large"].Ref})
	require.NoError(t, err)
	codes := map[string]failure.Code{}
	for _, p := range pages {
		if p.Err != nil {
			codes[p.Facts.ID] = failure.CodeOf(p.Err)
		}
	}
	require.Equal(t, map[string]failure.Code{items["binary"].ID: failure.NotText, items["large"].ID: failure.ConvertTooLarge}, codes)
}

// A link may lead anywhere on this machine.
func TestLinksOfTheFileSystemAreNotFollowed(t *testing.T) {
	outside := files(t, map[string]string{"secret.md": "# Secret", "deep/secret.md": "# Deep"})
	dir := files(t, map[string]string{"a.md": "# A\n\n[x](link.md) [y](folder/secret.md)"})
	require.NoError(t, os.Symlink(filepath.Join(outside, "secret.md"), filepath.Join(dir, "link.md")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "deep"), filepath.Join(dir, "folder")))
	require.NoError(t, os.Symlink("a.md", filepath.Join(dir, "b.md")))
	items := list(t, dir)
	require.Len(t, items, 1)
	pages, err := open(t, dir).Bodies(t.Context(), []page.Ref{items["A"].Ref})
	require.NoError(t, err)
	require.Empty(t, pages[0].Facts.Links)
}

// A folder that is not there, or that holds nothing since it is not mounted, is no empty listing.
func TestAFolderThatIsAwayIsAFailure(t *testing.T) {
	dir := files(t, map[string]string{"a.md": "# A"})
	ref := list(t, dir)["A"].Ref
	away := func() {
		t.Helper()
		system := open(t, dir)
		_, listErr := listing(t.Context(), system)
		_, verifyErr := system.Verify(t.Context(), []page.Ref{ref}, true)
		for _, err := range []error{system.Probe(t.Context()), listErr, verifyErr} {
			require.Equal(t, failure.FolderNotFound, failure.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, dir)
		}
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "a.md")))
	away()
	require.NoError(t, os.Remove(dir))
	away()
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	away()
	require.NoError(t, os.Remove(dir))
	put(t, dir, "b.md", "# B")
	found, err := open(t, dir).Verify(t.Context(), []page.Ref{ref, list(t, dir)["B"].Ref}, false)
	require.NoError(t, err)
	require.Equal(t, map[string]source.Standing{ref.ID: source.Deleted, list(t, dir)["B"].ID: source.Here}, found)
}

func TestWhereAFolderIsRead(t *testing.T) {
	dir := files(t, map[string]string{"docs/a.md": "# A"})
	docs := filepath.Join(dir, "docs")
	locate := func(at string) string {
		src, err := folder.Locate(at)
		require.NoError(t, err)
		require.Equal(t, store.EverySync, src.DeletionStrategy)
		require.Equal(t, at, src.Location)
		require.Equal(t, "docs", src.DisplayName)
		return src.BaseURL
	}
	require.Equal(t, "file://"+docs, locate(docs))
	put(t, dir, ".git/HEAD", "ref: refs/heads/feature/x\n")
	for origin, want := range map[string]string{
		"https://github.com/acme/handbook.git":         "https://github.com/acme/handbook/blob/feature/x/docs",
		"git@github.com:acme/handbook.git":             "https://github.com/acme/handbook/blob/feature/x/docs",
		"ssh://git@gitlab.com:22/acme/team/handbook":   "https://gitlab.com/acme/team/handbook/-/blob/feature/x/docs",
		"https://user:secret@github.com/acme/handbook": "https://github.com/acme/handbook/blob/feature/x/docs",
		"https://git.example.com/acme/handbook":        "file://" + docs,
		"/srv/git/handbook":                            "file://" + docs,
	} {
		put(t, dir, ".git/config", "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = "+origin+"\n")
		require.Equal(t, want, locate(docs), origin)
	}
	put(t, dir, ".git/HEAD", "0123456789abcdef0123456789abcdef01234567\n")
	put(t, dir, ".git/config", "[remote \"origin\"]\n url=https://github.com/acme/handbook\n")
	require.Equal(t, "https://github.com/acme/handbook/blob/0123456789abcdef0123456789abcdef01234567/docs", locate(docs))

	linked := files(t, map[string]string{"docs/a.md": "# A", ".git": "gitdir: " + filepath.Join(dir, ".git/worktrees/w") + "\n"})
	put(t, dir, ".git/worktrees/w/HEAD", "ref: refs/heads/side\n")
	put(t, dir, ".git/worktrees/w/commondir", "../..\n")
	require.Equal(t, "https://github.com/acme/handbook/blob/side/docs", locate(filepath.Join(linked, "docs")))

	_, err := folder.Locate(filepath.Join(dir, "docs/a.md"))
	require.ErrorContains(t, err, "is not a folder")
	_, err = folder.Locate(filepath.Join(dir, "nowhere"))
	require.Error(t, err)
}
