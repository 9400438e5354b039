package house

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)(?:/[^`]*)?`")

// A page that says which test holds a promise names one that exists.
func TestPagesNameTestsThatExist(t *testing.T) {
	exists := map[string]bool{}
	for _, s := range all(t) {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				exists[f.Name.Name] = true
			}
		}
	}
	named := 0
	for _, page := range markdownPages(t) {
		for _, m := range testName.FindAllStringSubmatch(read(t, page), -1) {
			named++
			assert.True(t, exists[m[1]], "%s names %s, which no test file has", page, m[1])
		}
	}
	require.Greater(t, named, 20, "hardly any test is named, so this proves nothing")
	require.Len(t, testName.FindAllString(strings.Repeat("`TestA`, `TestB/c` and TestC ", 2), -1), 4)
}
