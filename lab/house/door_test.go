package house

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// behindTheDoor are the stages that use source systems only through shared/source.
var behindTheDoor = []string{"services/fetcher/", "services/deletion-detector/"}

// systemsFolder contains the map of systems, and beside it a package for each.
const systemsFolder = "shared/source/systems"

// doorImports returns the imports that are allowed only in the map of systems and in the systems themselves.
func doorImports(t *testing.T) []string {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(root(), "shared/source"))
	require.NoError(t, err)
	var paths []string
	for _, e := range list {
		if e.IsDir() && e.Name() != "systems" {
			paths = append(paths, "github.com/sluicehq/sluice/shared/source/"+e.Name())
		}
	}
	require.NotEmpty(t, paths)
	return paths
}

// A system is one package and one line in the map: no other code names it.
func TestOnlyTheMapNamesASystem(t *testing.T) {
	for _, s := range all(t) {
		if s.test || s.dir == systemsFolder {
			continue
		}
		for _, path := range doorImports(t) {
			own := strings.HasSuffix(path, "/"+s.dir)
			assert.False(t, !own && slices.Contains(s.imports, path), "%s imports %s; sources are opened by %s", s.path, path, systemsFolder)
		}
	}
}

// foreignWords are words of a single system.
var foreignWords = regexp.MustCompile(`(?i)confluence|space_?key|\bspaces?\b|/wiki|cql|\bri:|storage format`)

// The stages that list, fetch and remove pages name no system.
func TestStagesSpeakToNoSystemByName(t *testing.T) {
	checked := 0
	for _, s := range all(t) {
		if s.test || !slices.ContainsFunc(behindTheDoor, func(dir string) bool { return strings.HasPrefix(s.path, dir) }) {
			continue
		}
		checked++
		assert.NotContains(t, s.imports, "github.com/sluicehq/sluice/shared/confluence", s.path)
		for i, line := range strings.Split(read(t, s.path), "\n") {
			assert.NotRegexp(t, foreignWords, line, "%s:%d", s.path, i+1)
		}
	}
	require.Greater(t, checked, 5)
}

func TestForeignWordsAreFound(t *testing.T) {
	for _, line := range []string{"facts.SpaceKey", `src.BaseURL + "/wiki/spaces"`, "client.CQLSearch(", "`ri:account-id`"} {
		assert.Regexp(t, foreignWords, line)
	}
	assert.NotRegexp(t, foreignWords, "a workspace of pages, source.Labels")
}
