package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	image     = regexp.MustCompile(`(?m)^\s*(?:FROM|image:)\s+(\S+)`)
	installed = regexp.MustCompile(`go (?:install|run) (\S+)@(\S+)`)
	toolDir   = regexp.MustCompile(`\.cache/([a-z-]+)-(\S+)/`)
	exact     = regexp.MustCompile(`^v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$`)
)

// Everything that is fetched has an exact version: no image, tool or package in its newest version. go.mod and go.sum
// are exact by themselves; TestModules checks them.
func TestEverythingThatIsFetchedIsPinned(t *testing.T) {
	pinned := 0
	for _, name := range []string{"deploy/Dockerfile", "docker-compose.yml", "Makefile", ".ci/run"} {
		text := read(t, name)
		assert.NotRegexp(t, `[:@]latest\b`, text, name)
		for _, m := range image.FindAllStringSubmatch(text, -1) {
			if m[1] == "scratch" || regexp.MustCompile(`(?m)^FROM \S+ AS `+regexp.QuoteMeta(m[1])+`$`).MatchString(text) {
				continue // nothing is fetched: the empty image, and an earlier stage of this file
			}
			_, tag, _ := strings.Cut(m[1], ":")
			assert.Regexp(t, exact, tag, "%s: %s", name, m[1])
			pinned++
		}
		for _, m := range installed.FindAllStringSubmatch(text, -1) {
			assert.True(t, strings.HasPrefix(m[2], "$("), "%s: %s@%s takes its version from a variable", name, m[1], m[2])
		}
	}
	makefile := read(t, "Makefile")
	assert.Regexp(t, `(?m)^LINT_VERSION := v\d+\.\d+\.\d+$`, makefile)
	for _, m := range toolDir.FindAllStringSubmatch(makefile, -1) {
		if m[2] != "$(LINT_VERSION)" {
			assert.Regexp(t, exact, m[2], m[1])
		}
		pinned++
	}
	require.Greater(t, pinned, 5)

	packages, err := filepath.Glob(filepath.Join(root(), "lab/clienttest/testdata/*/package.json"))
	require.NoError(t, err)
	for _, p := range packages {
		text, err := os.ReadFile(filepath.Clean(p))
		require.NoError(t, err)
		assert.NotRegexp(t, `"[\^~><*]`, string(text), "%s has a range", p)
	}
}
