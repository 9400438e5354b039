package house

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	link     = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	fence    = regexp.MustCompile("(?s)```.*?```")
	quoted   = regexp.MustCompile("`(?:[A-Z_]+=\\S+ )?make ([a-z-]+)")
	typed    = regexp.MustCompile(`(?m)^ *(?:[A-Z_]+=\S+ )?make ([a-z-]+)`) // in a fence only: prose may make a line begin so
	inline   = regexp.MustCompile("`[^`\n]+`")
	makeRule = regexp.MustCompile(`(?m)^([a-z-]+):.*## `)
)

// Links to missing files and names of missing make targets mislead readers.
func TestPagesPointToWhatIsThere(t *testing.T) {
	targets := map[string]bool{}
	for _, m := range makeRule.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[m[1]] = true
	}
	require.Contains(t, targets, "demo")
	require.Contains(t, targets, "test")
	pages := 0
	for _, name := range markdownPages(t) {
		pages++
		text := read(t, name)
		named := quoted.FindAllStringSubmatch(text, -1)
		for _, block := range fence.FindAllString(text, -1) {
			named = append(named, typed.FindAllStringSubmatch(block, -1)...)
		}
		for _, m := range named {
			assert.True(t, targets[m[1]], "%s names make %s", name, m[1])
		}
		prose := inline.ReplaceAllString(fence.ReplaceAllString(text, ""), "") // a link in code is an example
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			_, err := os.Stat(filepath.Join(root(), filepath.Dir(name), m[1]))
			assert.NoError(t, err, "%s links to %s", name, m[1])
		}
	}
	require.Greater(t, pages, 5)
}

var mapped = regexp.MustCompile("(?m)^\\| `(shared/[a-z/]+)` \\|")

// docs/README.md is the start page: it leads to every page and lists every package of shared.
func TestTheMapIsComplete(t *testing.T) {
	const index = "docs/README.md"
	text := read(t, index)
	linked := map[string]bool{}
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		linked[path.Join("docs", m[1])] = true
	}
	for _, page := range markdownPages(t) {
		if page != index && !strings.HasPrefix(page, "docs/adr/") {
			assert.True(t, linked[page], "%s does not link to %s", index, page)
		}
	}
	packages := map[string]bool{}
	for _, s := range all(t) {
		if s.in("shared") {
			packages[s.dir] = true
		}
	}
	var named []string
	for _, m := range mapped.FindAllStringSubmatch(text, -1) {
		named = append(named, m[1])
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(packages)), named, "the table of packages in %s must have one line for each package of shared, and no other", index)
}

// The README leads to the documentation, but is not its index.
func TestTheReadmeHasFewLinks(t *testing.T) {
	lines := 0
	for line := range strings.Lines(read(t, "README.md")) {
		if strings.Contains(line, "](docs/") {
			lines++
		}
		assert.Less(t, strings.Count(line, "]("), 4, "too many links in one line: %s", line)
	}
	assert.LessOrEqual(t, lines, 20)
}

// markdownPages returns the pages in the root folder and in docs/.
func markdownPages(t *testing.T) []string {
	t.Helper()
	top, err := filepath.Glob(filepath.Join(root(), "*.md"))
	require.NoError(t, err)
	var names []string
	for _, p := range top {
		names = append(names, filepath.Base(p))
	}
	err = fs.WalkDir(os.DirFS(root()), "docs", func(name string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(name) == ".md" {
			names = append(names, name)
		}
		return err
	})
	require.NoError(t, err)
	return names
}
