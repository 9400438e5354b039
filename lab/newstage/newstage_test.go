package newstage

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root = "../.."
	page = "docs/adding-a-stage.md"
	// most is how many files that were there before may be edited by hand.
	most = 3
)

// generated are the files that make docs writes.
var generated = []string{".env.example", "deploy/nats-access.conf", "docs/configuration.md"}

// The page is done to a copy of the tree as it stands there. Then everything builds, the house
// tests have nothing against it, the stage passes its own tests on a real broker, and beside the
// new files and those that are written by make docs no more than three are touched.
func TestAStageIsAFolderARowAndAService(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, page))
	require.NoError(t, err)
	steps, err := parse(string(text))
	require.NoError(t, err)
	tree := copied(t)
	edited := map[string]bool{}
	for _, s := range steps {
		file := filepath.Join(tree, filepath.FromSlash(s.file))
		if !s.edit {
			require.NoFileExists(t, file)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, []byte(s.content), 0o644))
			continue
		}
		before, err := os.ReadFile(file)
		require.NoError(t, err)
		after, err := s.apply(string(before))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, []byte(after), 0o644))
		edited[s.file] = true
	}
	require.LessOrEqual(t, len(edited), most, "files that are edited by hand: %v", edited)

	in(t, tree, "test", "-count=1", "./lab/house", "-run", "TestSettingsAreDocumented|TestTheBrokersPermissionsAreInStep", "-update")
	in(t, tree, "list", "-export", "./shared/...", "./services/...") // compiles everything and links nothing
	in(t, tree, "build", "-o", t.TempDir(), "./services/announcer", "./services/sluice")
	in(t, tree, "vet", "./services/announcer/...")
	in(t, tree, "test", "-count=1", "./lab/house", "./shared/event", "./services/stages", "./services/announcer/...")
	in(t, tree, "test", "-count=1", "./shared/bus", "-run", "^(TestEveryTypeHasOneStream|TestTheListOfStagesFitsTogether|TestManyReplicasApplyAtOnce|TestEveryRoleDoesItsOwnWork)$")

	for _, file := range changed(t, tree) {
		require.True(t, edited[file] || slices.Contains(generated, file), "%s was changed, and the page does not say so", file)
	}
	for _, file := range generated {
		content, err := os.ReadFile(filepath.Join(tree, file))
		require.NoError(t, err)
		require.Contains(t, strings.ToLower(string(content)), "announce", "%s follows from the list", file)
	}
}

// copied copies the tree without what the checkout made for itself. It always takes the same place,
// so that the compiler finds again what it has compiled.
func copied(t *testing.T) string {
	t.Helper()
	tree, err := filepath.Abs(filepath.Join(root, ".cache", "newstage"))
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(tree))
	t.Cleanup(func() { _ = os.RemoveAll(tree) })
	walk(t, func(name string, content []byte, mode fs.FileMode) {
		file := filepath.Join(tree, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, content, mode))
	})
	return tree
}

// changed lists the files of the tree that are not in the copy as they are here.
func changed(t *testing.T, tree string) []string {
	t.Helper()
	var list []string
	walk(t, func(name string, content []byte, _ fs.FileMode) {
		there, err := os.ReadFile(filepath.Join(tree, name))
		if err != nil || !bytes.Equal(there, content) {
			list = append(list, filepath.ToSlash(name))
		}
	})
	return list
}

// walk calls do for every file of the tree that is its own.
func walk(t *testing.T, do func(name string, content []byte, mode fs.FileMode)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", ".cache", "bin", "node_modules"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if name == ".git" || !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		do(name, content, info.Mode().Perm())
		return nil
	})
	require.NoError(t, err)
}

// in runs go in the copy.
func in(t *testing.T, tree string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(tree, "go.work"), "PWD="+tree,
		"CGO_ENABLED=0", "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath")) // as make compiles all but what the race detector watches
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "go %s\n%s", strings.Join(args, " "), out)
}

func TestAnEditHasToFitOnce(t *testing.T) {
	steps, err := parse("`a/b.go`\n\n```diff\n one\n-two\n+three\n```\n")
	require.NoError(t, err)
	require.Len(t, steps, 1)
	after, err := steps[0].apply("zero\none\ntwo\n")
	require.NoError(t, err)
	require.Equal(t, "zero\none\nthree\n", after)
	for _, text := range []string{"one\n", "one\ntwo\none\ntwo\n"} {
		_, err = steps[0].apply(text)
		require.ErrorContains(t, err, "a/b.go")
	}
	_, err = parse("```go\npackage a\n```\n")
	require.ErrorContains(t, err, "no file is named")
}
