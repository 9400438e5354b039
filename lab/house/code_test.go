package house

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/stages"
)

// longFiles are the files that may have more than maxLines lines, with the reason.
var longFiles = map[string]string{}

const maxLines = 500

func TestFilesAreShort(t *testing.T) {
	for _, s := range all(t) {
		if s.lines > maxLines && longFiles[s.path] == "" {
			assert.Failf(t, "file too long", "%s has %d lines; it probably contains two things", s.path, s.lines)
		}
	}
	for name := range longFiles {
		assert.FileExists(t, filepath.Join(root(), name), "longFiles contains a file that does not exist")
	}
}

func TestOnePackageComment(t *testing.T) {
	withComment := map[string][]string{}
	onlyTests := map[string]bool{}
	for _, s := range all(t) {
		if _, seen := onlyTests[s.dir]; !seen {
			onlyTests[s.dir] = true
		}
		onlyTests[s.dir] = onlyTests[s.dir] && s.test
		if s.ast.Doc != nil {
			withComment[s.dir] = append(withComment[s.dir], path.Base(s.path))
		}
	}
	for dir, only := range onlyTests {
		if only && len(withComment[dir]) == 0 {
			continue
		}
		assert.Len(t, withComment[dir], 1, "%s needs exactly one package comment", dir)
	}
}

// Package names without meaning; the content of such a package belongs where it is used.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "model", "models", "misc", "base"}

func TestPackageNamesSaySomething(t *testing.T) {
	for _, s := range all(t) {
		assert.NotContains(t, emptyNames, path.Base(s.dir), s.path)
		assert.NotContains(t, emptyNames, s.ast.Name.Name, s.path)
	}
}

// Every program is a folder with a main function of one statement, and a package beside it that can be tested. The
// folders are those that config lists.
func TestMainIsOneLine(t *testing.T) {
	var known []string
	for _, p := range stages.Programs() {
		known = append(known, p.Name)
	}
	require.ElementsMatch(t, known, programs(t))
	for _, name := range known {
		var mains []source
		for _, s := range all(t) {
			if s.dir == "services/"+name {
				mains = append(mains, s)
			}
		}
		if !assert.Len(t, mains, 1, "services/%s contains only main.go", name) {
			continue
		}
		assert.Equal(t, "services/"+name+"/main.go", mains[0].path)
		var funcs []*ast.FuncDecl
		for _, d := range mains[0].ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				funcs = append(funcs, f)
			}
		}
		if assert.Len(t, funcs, 1, mains[0].path) {
			assert.Equal(t, "main", funcs[0].Name.Name, mains[0].path)
			assert.Len(t, funcs[0].Body.List, 1, "%s: main is one statement", mains[0].path)
		}
	}
}

// A test that skips or sleeps does not always test.
func TestTestsNeitherSkipNorSleep(t *testing.T) {
	for _, s := range all(t) {
		if !s.test && !s.kit() {
			continue
		}
		for _, call := range forbiddenCalls(s.ast) {
			assert.Failf(t, "forbidden in tests", "%s: %s", files.Position(call.Pos()), call.Sel.Name)
		}
	}
}

func forbiddenCalls(f *ast.File) []*ast.SelectorExpr {
	var found []*ast.SelectorExpr
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		full := x.Name + "." + sel.Sel.Name
		switch {
		case slices.Contains([]string{"time.Sleep", "testing.Short"}, full),
			slices.Contains([]string{"t", "b", "f", "tb"}, x.Name) && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name):
			found = append(found, sel)
		}
		return true
	})
	return found
}

func TestForbiddenCallsAreFound(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x_test.go")
	require.NoError(t, os.WriteFile(name, []byte(`package x
		func TestX(t *testing.T) { t.Skip(); time.Sleep(1); defer t.SkipNow(); t.Log(testing.Short()); p.Skip() }`), 0o600))
	s, err := parse(name)
	require.NoError(t, err)
	require.Len(t, forbiddenCalls(s.ast), 4)
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

func TestNothingIsLeftForLater(t *testing.T) {
	for _, s := range all(t) {
		for _, group := range s.ast.Comments {
			for _, c := range group.List {
				if unfinished.MatchString(c.Text) {
					assert.Failf(t, "unfinished", "%s: %s", files.Position(c.Pos()), strings.TrimSpace(c.Text))
				}
			}
		}
	}
}

// One place decides what is retried: stages return plain errors, and service.Steer converts them for the bus. One
// place opens their dependencies: service.Host, with the settings of the process.
func TestOnePlaceDecides(t *testing.T) {
	for _, rule := range []struct {
		call, home, why string
	}{
		{"bus.Permanent(", "shared/service/steer.go", "give the error a permanent code of shared/failure"},
		{"bus.RetryAfter(", "shared/service/steer.go", "set the time with failure.Later"},
		{"store.Open(", "shared/service/host.go", "get the database from the Host"},
		{"bus.Connect(", "shared/service/host.go", "get the bus from the Host"},
	} {
		found := false
		for _, s := range all(t) {
			if s.test || s.kit() || s.in("lab") || !strings.Contains(read(t, s.path), rule.call) {
				continue
			}
			found = found || s.path == rule.home
			assert.Equal(t, rule.home, s.path, "%s calls %s…): %s", s.path, rule.call, rule.why)
		}
		assert.True(t, found, "%s is nowhere called, so this proves nothing", rule.call)
	}
}
