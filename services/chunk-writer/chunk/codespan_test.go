package chunk_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

// A cut inside inline code would turn the rest into text, and its tags into HTML.
func TestInlineCodeIsNotCut(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"`a. <script>alert(1)</script> b`", "``a ` b. <img src=x onerror=alert(1)> c``", "`<b> <i> <u>`"} {
		for n := range 60 {
			md := strings.Repeat("w ", n) + strings.Repeat("Say "+code+" and stop. ", 30) + "\\` x. `"
			chunks := chunk.Split(chunk.Document{Markdown: md}, chunk.Options{MaxTokens: 64})
			require.Greater(t, len(chunks), 5)
			require.Equal(t, strings.TrimSpace(md), chunk.Join(chunks))
			for _, c := range chunks {
				require.Empty(t, strings.Trim(strings.ReplaceAll(c.Content, code, ""), "Sayndstop.wx \\`\n…"), c.Content)
			}
		}
	}
}
