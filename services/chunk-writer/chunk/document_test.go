package chunk_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/shared/page"
)

// TestDocument cuts a realistic page of more than a thousand words with code and tables.
func TestDocument(t *testing.T) {
	raw, err := os.ReadFile("testdata/operations.md")
	require.NoError(t, err)
	md := string(raw)
	require.Greater(t, len(strings.Fields(md)), 1000)

	d := chunk.Document{Title: "Operations", URL: "https://example.org/wiki/pages/1", Markdown: md, Headings: documentHeadings(md)}
	for _, o := range []chunk.Options{{}, {MaxTokens: 300}, {MaxTokens: 600, OverlapTokens: 50}, {MaxTokens: 8000}} {
		chunks := checkAll(t, md, o)
		require.Equal(t, len(chunks), len(chunk.Split(d, o)))
		tables, code, rows := 0, 0, 0
		whole := func(text string) {
			for _, c := range chunks {
				if strings.Contains(c.Content, text) {
					return
				}
			}
			require.Fail(t, "cut", "%d tokens at most: %s", o.MaxTokens, text)
		}
		for _, b := range referenceBlocks(md) {
			switch b.kind {
			case "code":
				code++
				whole(b.text)
			case "row":
				rows++
				whole(b.text)
			case "alert", "item":
				whole(b.text)
			}
		}
		for n := parseReference(md).FirstChild(); n != nil; n = n.NextSibling() {
			if _, ok := n.(*extast.Table); ok {
				tables++
				if text := strings.TrimSpace(between(md, n)); o.MaxTokens != 300 {
					whole(text)
				}
			}
		}
		require.Equal(t, 3, code)
		require.Equal(t, 3, tables)
		require.Equal(t, 17, rows)
	}

	chunks := chunk.Split(d, chunk.Options{})
	for _, c := range chunks[1:] {
		require.Equal(t, "Ticket service", c.HeadingPath[0])
		require.Equal(t, c.SectionTitle, c.HeadingPath[len(c.HeadingPath)-1])
		require.Equal(t, strings.ReplaceAll(c.SectionTitle, " ", "-"), c.Anchor)
		require.Equal(t, d.URL+"#"+c.Anchor, c.CitationURL)
		require.Contains(t, c.Content, "# "+c.SectionTitle+"\n")
	}
}

func documentHeadings(md string) []page.Heading {
	var out []page.Heading
	for n := parseReference(md).FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			text := string(h.Lines().Value([]byte(md)))
			out = append(out, page.Heading{Level: h.Level, Text: text, Anchor: strings.ReplaceAll(text, " ", "-")})
		}
	}
	return out
}
