package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/sluicehq/sluice/"

var modules = []string{"migrations", "shared", "services", "lab"}

// source is one Go file of the repository.
type source struct {
	path    string // relative to the root, with slashes
	dir     string
	test    bool // a _test.go file
	lines   int
	imports []string
	ast     *ast.File
}

// kit reports whether the file belongs to a package that exists only for tests; the name of such a package ends in
// test.
func (s source) kit() bool { return strings.HasSuffix(s.dir, "test") }

// in reports whether the file is in folder or below it.
func (s source) in(folder string) bool {
	return s.dir == folder || strings.HasPrefix(s.dir, folder+"/")
}

var (
	files   = token.NewFileSet()
	sources = sync.OnceValues(parseAll)
)

// all returns every Go file of the modules.
func all(t *testing.T) []source {
	t.Helper()
	list, err := sources()
	require.NoError(t, err)
	require.Greater(t, len(list), 10, "the walk found too few files to prove anything")
	return list
}

func parseAll() ([]source, error) {
	var list []source
	for _, m := range modules {
		err := filepath.WalkDir(filepath.Join(root(), m), func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return filepath.SkipDir
			case d.IsDir() || filepath.Ext(name) != ".go":
				return nil
			}
			s, err := parse(name)
			list = append(list, s)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

func parse(name string) (source, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return source{}, err
	}
	f, err := parser.ParseFile(files, name, b, parser.ParseComments)
	if err != nil {
		return source{}, err
	}
	rel, err := filepath.Rel(root(), name)
	if err != nil {
		return source{}, err
	}
	s := source{
		path: filepath.ToSlash(rel), dir: filepath.ToSlash(filepath.Dir(rel)), ast: f,
		test: strings.HasSuffix(name, "_test.go"), lines: strings.Count(string(b), "\n"),
	}
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, p)
	}
	return s, nil
}

// root returns the folder of go.work. Tests run in their package's folder, two levels below it.
var root = sync.OnceValue(func() string {
	abs, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		panic(err) // without a working directory, no test can run
	}
	return abs
})

// read returns a file's content; name is relative to the root.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(), filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(b)
}

// programs returns the folders under services/ that contain Go files, except stages, which is the list of stages.
func programs(t *testing.T) []string {
	t.Helper()
	var names []string
	seen := map[string]bool{}
	for _, s := range all(t) {
		if rest, ok := strings.CutPrefix(s.path, "services/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			if !seen[name] && name != "stages" {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// Two changes that grew side by side may have taken the same number, and git merges their files without a word.
func TestMigrationsHaveNumbersOfTheirOwn(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(), "migrations", "[0-9]*.sql"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	names := map[string]string{}
	for _, file := range files {
		number, name, _ := strings.Cut(filepath.Base(file), "_")
		assert.Empty(t, names[number], "%s and %s have the number %s", names[number], name, number)
		names[number] = name
	}
}

// locking matches what takes a lock that others wait for, and may itself have to wait for one.
var locking = regexp.MustCompile(`(?i)\b(ALTER|REFERENCES|INDEX|TRIGGER|UPDATE|DELETE|TRUNCATE|DROP TABLE)\b`)

// A migration that waits for a table's lock lets everybody else wait behind it, readers too. Those that were
// there before the rule stay as they are, since a migration does not change; docs/changes.md says what they need.
func TestMigrationsDoNotWaitForLocksForLong(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(), "migrations", "[0-9]*.sql"))
	require.NoError(t, err)
	checked := 0
	for _, file := range files {
		name := filepath.Base(file)
		up, down, found := strings.Cut(read(t, filepath.Join("migrations", name)), "-- +goose Down")
		require.True(t, found, name)
		for _, part := range []string{up, down} {
			if name < "031" || name == "035_add_confluence_vectors.sql" || !locking.MatchString(part) {
				continue
			}
			checked++
			assert.Regexp(t, `(?m)^SET LOCAL lock_timeout = '\d+s';$`, part, "%s: write SET LOCAL lock_timeout = '10s'; before what locks", name)
		}
	}
	require.Positive(t, checked)
}
