package chunk_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

// scraps are fragments of Markdown, valid and invalid.
var scraps = []string{
	"\n", "\n", "\n\n", " ", "  ", "    ", "\t", "\r\n", "\r", "\x00", "\xff", "\xe6\xbc", "\ufeff", "\u00a0", "\u2028",
	"# ", "#", "###### ", "===\n", "---\n", "***\n", "- ", "* ", "1. ", "10) ", "> ", ">", "> [!NOTE]\n", "[x] ",
	"```", "```go\n", "~~~\n", "````\n", "`", "``", "| a | b |\n|---|---|\n", "|", "| cell ", "\\|", "|---|\n",
	"<!-- ", " -->", "<pre>\n", "</pre>\n", "<table>", "</table>", "<details>", "<br>", "<x", "<?php ", "?>", "<![CDATA[", "]]>",
	"word", "word ", "word ", "A sentence. ", "Another! ", strings.Repeat("long", 90), strings.Repeat("many words ", 40),
	"漢字", "。", "👩‍👩‍👧‍👦", "\u0301", "\u200d", "🇩🇪", "שלום ", "\u202e", "**", "_", "[a](b)", "![", "](", "&amp;", "\\",
}

// TestAnyText: what is no Markdown that anybody would write comes back whole as well, in
// chunks that fit, whatever is repeated between them.
func TestAnyText(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 11))
		var b strings.Builder
		for range 1 + r.IntN(250) {
			b.WriteString(scraps[r.IntN(len(scraps))])
		}
		md := b.String()
		o := chunk.Options{MaxTokens: chunk.LeastMaxTokens + r.IntN(400), OverlapTokens: r.IntN(33)}
		chunks := split(md, o)
		require.Equal(t, strings.TrimSpace(asRead(md)) == "", len(chunks) == 0, "seed %d", seed)
		require.Equal(t, asRead(md), chunk.Join(chunks), "seed %d", seed)
		for _, c := range chunks {
			require.True(t, utf8.ValidString(c.Content))
			require.NotContains(t, c.Content, "\x00", "Postgres takes none")
			require.LessOrEqual(t, c.Tokens, o.MaxTokens, "seed %d", seed)
		}
	}
}

// A line of a no-break space or a form feed is blank to a reader and text to Markdown.
func TestABeginningThatOnlyLooksBlank(t *testing.T) {
	for _, blank := range []string{"\u00a0", "\u2028", "\u3000", "\f", "\v", "\u0085", " \u00a0 "} {
		for _, next := range []string{"text", "\ntext", "# H", "- a", "> q", "```\nx\n```", prose + " " + prose} {
			chunks := split(blank+"\n"+next, small)
			require.Equal(t, strings.TrimSpace(next), chunk.Join(chunks), "%q", blank+"\n"+next)
			require.Equal(t, contents(split(next, small)), contents(chunks))
		}
	}
}
