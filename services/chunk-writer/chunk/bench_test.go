package chunk_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

// extremes are documents of about n bytes; each could provoke more than linear time.
var extremes = map[string]func(n int) string{
	"prose": func(n int) string {
		return repeat(n, "A sentence of some words. Another one, somewhat longer than the first!\n\n")
	},
	"sections":   func(n int) string { return repeat(n, "## A heading\n\nShort text.\n\n") },
	"bare heads": func(n int) string { return repeat(n, "# a\n") },
	"code":       func(n int) string { return "```go\n" + repeat(n, "\tx := call(a, b)\n") + "```\n" },
	"code line":  func(n int) string { return "```\n" + repeat(n, "0123456789abcdef") + "\n```\n" },
	"open fence": func(n int) string { return "~~~\n" + repeat(n, "text\n\n") },
	"ticks":      func(n int) string { return repeat(n, "`") },
	"table":      func(n int) string { return "| a | b |\n|---|---|\n" + repeat(n, "| one cell | another |\n") },
	"table row":  func(n int) string { return "| a | b |\n|---|---|\n| " + repeat(n, "word ") + "|\n" },
	"wide table": func(n int) string {
		return repeat(n/3, "| a ") + "|\n" + repeat(n/3, "|---") + "|\n" + repeat(n/3, "| b ") + "|\n"
	},
	"table head":   func(n int) string { return "| " + repeat(n, "head ") + "|\n|---|\n| x |\n" },
	"items":        func(n int) string { return repeat(n, "- an item\n") },
	"empty items":  func(n int) string { return repeat(n, "-\n") },
	"loose items":  func(n int) string { return repeat(n, "1. one\n\n   more\n\n") },
	"nested items": nestedItems,
	"markers":      func(n int) string { return repeat(n, "- ") },
	"quotes":       func(n int) string { return repeat(n, ">") },
	"quote lines":  func(n int) string { return repeat(n, ">\n") },
	"alert":        func(n int) string { return "> [!NOTE]\n" + repeat(n, "> Text of the note.\n") },
	"html":         func(n int) string { return "<table>\n" + repeat(n, "<tr><td>x</td></tr>\n") + "</table>\n" },
	"comment":      func(n int) string { return "<!--\n" + repeat(n, "text\n\n") },
	"tag":          func(n int) string { return "<" + repeat(n, "x") + ">" },
	"attributes":   func(n int) string { return "<a" + repeat(n, " b=c") + " !" },
	"rules":        func(n int) string { return repeat(n, "* ") + "x" },
	"word":         func(n int) string { return repeat(n, "x") },
	"han":          func(n int) string { return repeat(n, "漢字") },
	"family":       func(n int) string { return repeat(n, "👩‍👩‍👧‍👦") },
	"one grapheme": func(n int) string { return "e" + repeat(n, "\u0301") },
	"spaces":       func(n int) string { return "a" + repeat(n, " ") + "b" },
	"line ends":    func(n int) string { return "a" + repeat(n, "\n") + "b" },
	"stops":        func(n int) string { return repeat(n, ".)") },
	"brackets":     func(n int) string { return "# " + repeat(n, "[](") },
	"pipes":        func(n int) string { return repeat(n, "|") + "\n" + repeat(n, "-|") },
}

func repeat(n int, s string) string { return strings.Repeat(s, max(n/len(s), 1)) }

func nestedItems(n int) string {
	var b strings.Builder
	for b.Len() < n {
		for depth := range 12 {
			fmt.Fprintf(&b, "%s- item %d\n", strings.Repeat("  ", depth), depth)
		}
	}
	return b.String()
}

// TestExtremesAreLinear cuts documents of 1 MB. A quadratic step would take many minutes, a
// linear one takes less than a second.
func TestExtremesAreLinear(t *testing.T) {
	for name, make := range extremes {
		t.Run(name, func(t *testing.T) {
			md := make(1 << 20 / share)
			started := time.Now()
			chunks := chunk.Split(chunk.Document{Markdown: md}, chunk.Options{})
			took := time.Since(started)
			t.Logf("%d chunks in %v", len(chunks), took)
			require.Less(t, took, time.Minute)
			require.Equal(t, asRead(md), chunk.Join(chunks))
			total := 0
			for _, c := range chunks {
				total += len(c.Content)
				if c.Tokens > chunk.DefaultMaxTokens {
					require.Equal(t, "one grapheme", name)
				}
			}
			require.Less(t, total, 4*len(md)+1000, "what is repeated is bounded too")
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	for _, name := range []string{"prose", "sections", "code", "table", "items", "word"} {
		for _, n := range []int{1 << 14, 1 << 20} {
			md := extremes[name](n)
			b.Run(fmt.Sprintf("%s/%dkB", name, n>>10), func(b *testing.B) {
				b.SetBytes(int64(len(md)))
				b.ReportAllocs()
				for b.Loop() {
					chunk.Split(chunk.Document{Markdown: md}, chunk.Options{})
				}
			})
		}
	}
}

func BenchmarkEstimate(b *testing.B) {
	md := extremes["prose"](1 << 20)
	b.SetBytes(int64(len(md)))
	for b.Loop() {
		chunk.Estimate(md)
	}
}
