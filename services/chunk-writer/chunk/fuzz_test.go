package chunk_test

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

func FuzzSplit(f *testing.F) {
	long := strings.Repeat("a sentence of several words, then another. ", 40)
	for _, seed := range []string{
		"", " \n\t\n", "# Only a heading", "text before\n# H\ntext\n## H2\n",
		"```go\n" + strings.Repeat("line of code\n", 80) + "```\n",
		"~~~\nnever closed\n" + strings.Repeat("x", 500),
		"| a | b |\n|---|---|\n" + strings.Repeat("| cell | other |\n", 60),
		"| a |\n|---|\n| " + long + long + " |\n",
		"> [!NOTE]\n> " + long + "\n>\n> ```\n> code\n> ```\n",
		"1. one\n\n   ```sh\n" + strings.Repeat("   run it\n", 90) + "   ```\n2. two\n   - " + long,
		"<!-- \n```\n" + strings.Repeat("hidden line\n", 60) + "-->\n", "<pre>\n" + strings.Repeat("```\n\n", 60),
		"Title\n=====\n\n" + long, strings.Repeat("漢字、かな。", 120), strings.Repeat("👩‍👩‍👧‍👦", 90),
		"e" + strings.Repeat("\u0301", 300), "\xff\xfe\x00bad\r\nline\rends",
		strings.Repeat("`", 700) + "\ncode\n" + strings.Repeat("`", 700), "```" + strings.Repeat(" info", 300) + "\ncode\n```\n",
		strings.Repeat("> ", 40) + "deep", strings.Repeat("- ", 40) + long, "# " + long + long + "\ntext",
		strings.Repeat("## empty\n", 60), strings.Repeat(">\n", 300), "    " + long + "\n\n    indented\n",
		"0) 00\n   ```" + strings.Repeat("00A", 50), "0)\n   " + strings.Repeat("0A0AA", 40), "<!a0\n" + strings.Repeat("`0A\n", 90) + "```0\n",
		"<" + strings.Repeat("x", 600) + ">\n```\n", strings.Repeat("a \u0301b。\u0301", 200), "a" + strings.Repeat(" ", 3000) + "\u0301b", "a\u00a0b" + strings.Repeat("\u00a0", 700) + "c",
	} {
		f.Add(seed, uint16(64), uint8(0))
		f.Add(seed, uint16(448), uint8(40))
	}
	f.Fuzz(func(t *testing.T, md string, limit uint16, overlap uint8) {
		checkAll(t, md, chunk.Options{MaxTokens: max(int(limit), chunk.LeastMaxTokens), MinTokens: int(limit) / 6, OverlapTokens: int(overlap)})
	})
}
