package chunk_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

// sweep cuts a document for every length of a text in it, so that every limit is met exactly,
// missed by one and exceeded by one.
func sweep(t *testing.T, document func(text string) string, check func(md string, chunks []chunk.Chunk)) {
	t.Helper()
	for n := 1; n < 160; n++ {
		md := document(strings.TrimSpace(strings.Repeat("word ", n)))
		for _, o := range []chunk.Options{{MaxTokens: 64}, {MaxTokens: 120, OverlapTokens: 20}} {
			chunks := checkAll(t, md, o)
			if check != nil {
				check(md, chunks)
			}
		}
	}
}

func TestSweepContainers(t *testing.T) {
	for _, document := range []func(text string) string{
		func(s string) string { return "0)\n   " + s + "\n1) a\n" },
		func(s string) string { return "> >\n> > " + s + "\n\nend" },
		func(s string) string { return "1. one\n\n   ```sh\n   " + s + "\n   ```\n2. two\n" },
		func(s string) string { return "1. one\n\n   > " + s + "\n\n   - " + s + "\n2. two\n" },
		func(s string) string { return "- - - " + s + "\n- x" },
		func(s string) string { return "- a\n\n  | a |\n  |---|\n  | " + s + " |\n" },
		func(s string) string { return "- a\n\n  <!--\n  " + s + "\n  ```\n- b\n" },
	} {
		sweep(t, document, nil)
	}
}

// TestSweepFenceThatItsItemCloses: without the item around it the fence is closed by hand, and
// nothing of the next item falls into it.
func TestSweepFenceThatItsItemCloses(t *testing.T) {
	document := func(s string) string { return "0) " + prose + "\n\n   ```\n   " + s + "\n1) a\n" }
	sweep(t, document, func(_ string, chunks []chunk.Chunk) {
		for _, c := range chunks {
			require.Zero(t, inCode(c.Content, "1) a"), c.Content)
		}
	})
}

// inCode counts the code blocks that contain text.
func inCode(md, text string) int {
	n := 0
	_ = ast.Walk(parseReference(md), func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if f, ok := node.(*ast.FencedCodeBlock); ok && entering && strings.Contains(string(f.Lines().Value([]byte(md))), text) {
			n++
		}
		return ast.WalkContinue, nil
	})
	return n
}

func TestSweepNoEmptyFence(t *testing.T) {
	code := numbered(90, "call(#)\n")
	word := strings.Repeat("0123456789abcdef", 30)
	check := func(_ string, chunks []chunk.Chunk) {
		for _, c := range chunks {
			for n := parseReference(c.Content).FirstChild(); n != nil; n = n.NextSibling() {
				if f, ok := n.(*ast.FencedCodeBlock); ok {
					require.Greater(t, f.Lines().Len(), 0, c.Content)
				}
			}
		}
	}
	sweep(t, func(s string) string { return s + "\n\n```go\n" + code + "```\n" }, check)
	sweep(t, func(s string) string { return "```\n" + word + "\n```\n\n" + s + "\n\n" + prose }, check)
}

func TestSweepAlertMarkIsNeverAlone(t *testing.T) {
	document := func(s string) string { return s + "\n\n> [!NOTE]\n>\n> " + prose + " " + prose + "\n" }
	sweep(t, document, func(_ string, chunks []chunk.Chunk) {
		for _, c := range chunks {
			require.NotRegexp(t, `\[!NOTE\][\s>]*$`, c.Content)
		}
	})
}

func TestSweepTableHeadIsNeverAlone(t *testing.T) {
	document := func(s string) string {
		return s + "\n\n| first column | second column |\n| --- | --- |\n" + numbered(60, "| # | x |\n")
	}
	sweep(t, document, func(_ string, chunks []chunk.Chunk) {
		for _, c := range chunks {
			require.NotRegexp(t, `--- \|$`, c.Content)
		}
	})
}

func TestSweepHeadings(t *testing.T) {
	sweep(t, func(s string) string { return "# Top\n\n## " + s + "\n\n" + prose + "\n\n" + prose + "\n" }, nil)
	for _, block := range []string{"\n", "```\n", "| a |\n|---|\n", "- ", "    "} {
		document := func(s string) string {
			return "# Top\n\n## Of some words\n\n" + block + s + "\n" + strings.Trim(block, "-|a \n")
		}
		sweep(t, document, func(_ string, chunks []chunk.Chunk) {
			for _, c := range chunks {
				require.NotRegexp(t, `# [\w ]*$`, c.Content)
			}
		})
	}
}

func TestSweepSpacesInsideAGrapheme(t *testing.T) {
	for n := range 200 {
		checkAll(t, strings.Repeat("a"+strings.Repeat(" ", n)+"\u0301", 40), chunk.Options{MaxTokens: 64})
	}
}

func TestWideIndentInsideAnItem(t *testing.T) {
	md := "- a\n\n  ```\n  " + strings.Repeat(" ", 900) + strings.Repeat("word ", 300) + "\n  ```\n"
	chunks := checkAll(t, md, chunk.Options{MaxTokens: 64})
	require.Greater(t, len(chunks), 3)
	for _, c := range chunks {
		require.IsType(t, &ast.List{}, parseReference(c.Content).FirstChild(), c.Content)
	}
}
