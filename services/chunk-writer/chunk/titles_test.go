package chunk_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

var boldLine = regexp.MustCompile(`^(> )?(- )?\*\*[^*]+\*\*:?$`)

// A bold line above a block, the title of an expand, stays with the block, for every kind of block
// and all lengths.
func TestTitlesStayWithTheirText(t *testing.T) {
	t.Parallel()
	words := func(n int) string { return strings.TrimSpace(strings.Repeat("Some words of an answer. ", n)) }
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 4))
		var b strings.Builder
		b.WriteString("# Questions\n\n")
		for q := range 12 {
			fmt.Fprintf(&b, "**Question %d%s**\n\n", q, strings.Repeat(" again", r.IntN(3)))
			switch r.IntN(5) {
			case 0:
				fmt.Fprintf(&b, "- %s\n- %s\n\n", words(1+r.IntN(30)), words(1+r.IntN(30)))
			case 1:
				fmt.Fprintf(&b, "```go\n%s```\n\n", strings.Repeat("f(x)\n", 1+r.IntN(60)))
			case 2:
				fmt.Fprintf(&b, "| a | b |\n| --- | --- |\n%s\n", strings.Repeat("| some | cells |\n", 1+r.IntN(60)))
			case 3:
				fmt.Fprintf(&b, "> [!NOTE]\n> **Beware %d**\n>\n> %s\n\n", q, words(1+r.IntN(60)))
			default:
				fmt.Fprintf(&b, "%s\n\n%s\n\n", words(1+r.IntN(90)), words(r.IntN(20)))
			}
		}
		b.WriteString("The end.\n")
		doc := chunk.Document{Title: "FAQ", Markdown: b.String()}
		chunks := chunk.Split(doc, chunk.Options{MaxTokens: 128 + r.IntN(320)})
		require.Equal(t, strings.TrimSpace(doc.Markdown), strings.TrimSpace(chunk.Join(chunks)))
		for i, c := range chunks[:len(chunks)-1] {
			lines := strings.Split(strings.TrimRight(c.Content, "\n> "), "\n")
			require.NotRegexp(t, boldLine, lines[len(lines)-1], "seed %d: chunk %d of %d tokens ends in a title\n%s\n=== next (%d)\n%s", seed, i, c.Tokens, c.Content, chunks[i+1].Tokens, chunks[i+1].Content)
		}
	}
}

// Every chunk of a block with a title repeats the title, below the heading.
func TestTitlesAreRepeated(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("One more sentence of it. ", 60)
	for name, tc := range map[string]struct{ md, want string }{
		"paragraph": {"# FAQ\n\n**Why?**\n\n" + long, "# FAQ\n\n**Why?**\n\nOne more"},
		"list":      {"# FAQ\n\n**Why?**\n\n" + strings.Repeat("- One more item of the list, with some words.\n", 40), "# FAQ\n\n**Why?**\n\n- One more"},
		"code":      {"# FAQ\n\n**run.sh**\n\n```sh\n" + strings.Repeat("echo one more line\n", 80) + "```\n", "# FAQ\n\n**run.sh**\n\n```sh\necho"},
		"table":     {"# FAQ\n\n**Rates**\n\n| a | b |\n| --- | --- |\n" + strings.Repeat("| one more | row |\n", 80), "# FAQ\n\n**Rates**\n\n| a | b |\n| --- | --- |\n| one"},
		"alert":     {"# FAQ\n\n> [!NOTE]\n> **Beware**\n>\n> " + long, "# FAQ\n\n> [!NOTE]\n>\n> **Beware**\n>\n> One more"},
		"item":      {"# FAQ\n\n- **Why?**\n\n  " + long, "# FAQ\n\n- …\n\n  **Why?**\n\n  One more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chunks := chunk.Split(chunk.Document{Title: "T", Markdown: tc.md}, chunk.Options{MaxTokens: 160})
			require.Greater(t, len(chunks), 2)
			require.Equal(t, strings.TrimSpace(tc.md), strings.TrimSpace(chunk.Join(chunks)))
			for _, c := range chunks[1:] {
				require.True(t, strings.HasPrefix(c.Content, tc.want), "want %q\ngot\n%s", tc.want, c.Content)
				require.LessOrEqual(t, c.Tokens, 160)
			}
		})
	}
	// It is the title of the block that follows, not of all that comes.
	chunks := chunk.Split(chunk.Document{Markdown: "**Why?**\n\nBecause.\n\n" + long}, chunk.Options{MaxTokens: 160})
	for _, c := range chunks[1:] {
		require.NotContains(t, c.Content, "Why?")
	}
}
