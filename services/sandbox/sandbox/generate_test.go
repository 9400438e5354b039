package sandbox

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGeneratedSpaceFollowsFromItsSeed(t *testing.T) {
	one, two, other := New(Options{}), New(Options{}), New(Options{})
	one.AddGenerated("GEN", 500, 42)
	two.AddBuiltin()
	two.AddGenerated("GEN", 500, 42)
	other.AddGenerated("GEN", 500, 43)
	require.Equal(t, one.Pages("GEN"), two.Pages("GEN"))
	require.NotEqual(t, one.Pages("GEN"), other.Pages("GEN"))
	for _, p := range one.Pages("GEN") {
		a, err := one.Body(p.ID)
		require.NoError(t, err)
		b, err := two.Body(p.ID)
		require.NoError(t, err)
		require.Equal(t, a, b)
		require.NoError(t, checkStorage(a), p.Title)
	}
}

func TestGeneratedSpaceIsLarge(t *testing.T) {
	site := New(Options{})
	site.AddGenerated("GEN", 40_000, 1)
	pages := site.Pages("GEN")
	require.Len(t, pages, 40_000)
	parents := map[string]string{}
	for _, p := range pages {
		parents[p.ID] = p.ParentID
	}
	deepest, small, large, total := 0, 1<<30, 0, 0
	for i, p := range pages {
		depth := 1
		for id := p.ParentID; id != ""; id = parents[id] {
			depth++
		}
		deepest = max(deepest, depth)
		if i%40 == 0 {
			body, err := site.Body(p.ID)
			require.NoError(t, err)
			small, large, total = min(small, len(body)), max(large, len(body)), total+len(body)
		}
	}
	require.Equal(t, 7, deepest)
	require.GreaterOrEqual(t, small, 1_000)
	require.LessOrEqual(t, large, 78_000)
	require.Greater(t, large, 60_000)
	require.Less(t, total/1_000, 30_000, "most pages are small")
}

func TestSmallGeneratedSpaces(t *testing.T) {
	site := New(Options{})
	site.AddGenerated("ONE", 1, 1)
	site.AddGenerated("SEVEN", 7, 1)
	site.AddGenerated("NONE", 0, 1)
	require.Len(t, site.Pages("ONE"), 1)
	require.Len(t, site.Pages("SEVEN"), 7)
	require.Empty(t, site.Pages("NONE"))
	before := site.Pages("SEVEN")
	site.AddGenerated("SEVEN", 9, 2)
	require.Equal(t, before, site.Pages("SEVEN"), "a key that is taken adds nothing")
}

func TestCorpusIsAFolderOfBodies(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{
		"a-first.xml":  "<p>intro</p><h2>The <em>first</em> heading</h2><h2>no</h2>",
		"b-plain.xml":  "<p>no heading</p>",
		"c-twin.xml":   "<h1>The first heading</h1>",
		"d-broken.xml": "<p>not <b>closed</p>",
		"ignored.txt":  "text",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600))
	}
	site := New(Options{})
	require.NoError(t, site.AddCorpus(dir))
	c := serve(t, site)
	a := c.get(200, "/wiki/api/v2/spaces/"+c.spaceID(CorpusSpace)+"/pages?sort=created-date")
	require.Equal(t, []string{"The first heading", "b-plain", "The first heading (c-twin)", "d-broken"}, a.column("title"))
	body, err := site.Body(a.column("id")[1])
	require.NoError(t, err)
	require.Equal(t, "<p>no heading</p>", body)
	require.Contains(t, c.browse("/wiki/spaces/"+CorpusSpace+"/overview").raw, "b-plain", "a space without a homepage lists its pages")

	again := New(Options{})
	require.NoError(t, again.AddCorpus(dir))
	require.Equal(t, site.Pages(CorpusSpace)[1].ID, again.Pages(CorpusSpace)[1].ID)
}

func TestCorpusFolderWithoutBodies(t *testing.T) {
	site := New(Options{})
	require.ErrorContains(t, site.AddCorpus(t.TempDir()), "there is no .xml file in")
	require.ErrorIs(t, site.AddCorpus(filepath.Join(t.TempDir(), "none")), os.ErrNotExist)
	require.Empty(t, site.Pages(CorpusSpace))
}
