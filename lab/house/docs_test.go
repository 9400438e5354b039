package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	link     = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	fence    = regexp.MustCompile("(?s)```.*?```")
	quoted   = regexp.MustCompile("`(?:[A-Z_]+=\\S+ )?make ([a-z]+)")
	typed    = regexp.MustCompile(`(?m)^ *(?:[A-Z_]+=\S+ )?make ([a-z]+)`) // in a fence only: prose may make a line begin so
	inline   = regexp.MustCompile("`[^`\n]+`")
	makeRule = regexp.MustCompile(`(?m)^([a-z]+):.*## `)
)

// A page that points to a file which is gone, or to a make target that is not, misleads.
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

// markdownPages are the pages at the top, and those under docs/.
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
