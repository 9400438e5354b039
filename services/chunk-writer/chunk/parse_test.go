package chunk_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

// scanReference is chunk.Scan implemented with goldmark.
func scanReference(md string) []chunk.Seen {
	var out []chunk.Seen
	for n := parseReference(md).FirstChild(); n != nil; n = n.NextSibling() {
		var name string
		switch n.(type) {
		case *ast.Heading:
			name = "heading"
		case *ast.FencedCodeBlock:
			name = "fence"
		case *ast.List:
			name = "list"
		case *ast.Blockquote:
			name = "quote"
		case *extast.Table:
			name = "table"
		default:
			continue
		}
		out = append(out, chunk.Seen{Kind: name, Line: strings.Count(md[:lineStart(md, n)], "\n")})
	}
	return out
}

func TestScannerAgreesWithGoldmark(t *testing.T) {
	for seed := range uint64(600) {
		md := newWriter(seed).document()
		require.Equal(t, scanReference(md), chunk.Scan(md), "seed %d\n%s", seed, md)
	}
}

// soup are lines whose meaning depends on the lines around them.
var soup = []string{
	"", "", "", "text", "more text", "  text", "    indented", "\ttab", "# H", "#no", "## H ##", "####### 7", "   # three", "    # four",
	"===", "---", "- - -", "***", "* * *", "``", "~~ x", "```", "```go", "~~~", "~~~~", "   ```", "    ```", "``` `x`",
	"- item", "-", "* item", "+ item", "1. one", "2. two", "3) three", "10. ten", "1234567890. no", "- # H in item", "- ```",
	"  - nested", "    - nested", "   continued", "> quote", ">quote", ">", "> # H", "> ```", "> - item", ">   item", "> > deep",
	"\n| a | b |\n|---|---|\n| x |\n", "\na | b\n-|:-:\n", "<div>", "</div>", "<!-- c", "-->", "<pre>", "</pre>", "<b>x</b>", "<b>", "<?x", "?>",
}

// TestScannerAgreesOnLineSoup puts such lines together.
func TestScannerAgreesOnLineSoup(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var b strings.Builder
		for range 1 + rng.IntN(7) {
			b.WriteString(soup[rng.IntN(len(soup))])
			b.WriteByte('\n')
		}
		md := b.String()
		require.Equal(t, scanReference(md), chunk.Scan(md), "%s", md)
	}
}

func TestScannerAgreesOnCases(t *testing.T) {
	for _, md := range []string{
		"> quote\n| --- |\na | b\n---\n",
		"text\n\n| a |\n| - |\n| b |\n\n# H\n",
		"| a \\| b |\n| --- |\n| x |\n",
		"- ```\n  # no\n  ```\n# H\n",
		"1.\n\n   text\n",
		"\t# code\n\n# H\n",
		"-\t- tab\n\n\t  # in an item\n# H\n",
		">\t# quoted\n# H\n",
		"<pre>\n\n# no\n</PRE>\n# H\n",
		"[x]\n<del>\n# H\n",
	} {
		require.Equal(t, scanReference(md), chunk.Scan(md), "%s", md)
	}
}
