package chunk_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

var reference = goldmark.New(goldmark.WithExtensions(extension.Table)).Parser()

func parseReference(md string) ast.Node { return reference.Parse(text.NewReader([]byte(md))) }

var sizes = []chunk.Options{
	{},
	{MaxTokens: 64},
	{MaxTokens: 100, MinTokens: 25, OverlapTokens: 30},
	{MaxTokens: 200, MinTokens: 50},
	{MaxTokens: 1000, OverlapTokens: 100},
}

// checkAll checks the invariants of the chunks of any text.
func checkAll(t *testing.T, md string, o chunk.Options) []chunk.Chunk {
	t.Helper()
	d := chunk.Document{Title: "Title", URL: "https://example.org/p", Markdown: md}
	chunks := chunk.Split(d, o)
	want := asRead(md)
	if strings.TrimSpace(want) == "" {
		require.Empty(t, chunks)
		return nil
	}
	require.NotEmpty(t, chunks)
	require.Equal(t, chunks, chunk.Split(d, o), "the same answer every time")
	require.Equal(t, want, chunk.Join(chunks))
	limit := o.MaxTokens
	if limit == 0 {
		limit = chunk.DefaultMaxTokens
	}
	graphemes := boundaries(want)
	at := 0
	for i, c := range chunks {
		at += len(chunk.Join(chunks[i : i+1]))
		require.True(t, graphemes[at-len(chunk.Own(c))], "chunk %d begins inside a grapheme", i)
		require.Equal(t, i, c.Number)
		require.True(t, utf8.ValidString(c.Content))
		require.NotEmpty(t, strings.TrimSpace(c.Content))
		require.Equal(t, chunk.Estimate(c.Content), c.Tokens)
		require.Equal(t, len(strings.Fields(c.Content)), c.Words)
		require.Equal(t, utf8.RuneCountInString(c.Content), c.Chars)
		require.Len(t, c.Hash, 32)
		if c.Tokens > limit {
			own := strings.TrimLeft(strings.TrimPrefix(c.Content, chunk.Ellipsis), " >")
			require.Equal(t, 1, uniseg.GraphemeClusterCount(own), "%d tokens: %q", c.Tokens, c.Content)
		}
		require.True(t, balanced(c.Content), "a fence is open at the end of %q", c.Content)
	}
	return chunks
}

// boundaries returns the offsets in s that are not inside a grapheme.
func boundaries(s string) map[int]bool {
	out := map[int]bool{0: true}
	at, state := 0, -1
	for s != "" {
		var cluster string
		cluster, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
		at += len(cluster)
		out[at] = true
	}
	return out
}

// asRead is the text that chunks give back: the input of Split without surrounding blank lines.
func asRead(md string) string {
	md = strings.TrimPrefix(md, "\ufeff")
	md = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\ufffd").Replace(md)
	md = strings.ToValidUTF8(md, "\ufffd")
	for {
		line, rest, more := strings.Cut(md, "\n")
		if !more || strings.TrimSpace(line) != "" {
			return strings.TrimRightFunc(md, unicode.IsSpace)
		}
		md = rest
	}
}

// balanced reports whether text behind md would be a paragraph: md leaves no fence, comment or
// other raw block open.
func balanced(md string) bool {
	const sentinel = "sentinel"
	last := parseReference(md + "\n\n" + sentinel).LastChild()
	p, ok := last.(*ast.Paragraph)
	return ok && p.Lines().Len() == 1
}

func TestAnyMarkdown(t *testing.T) {
	for seed := range uint64(150 / share) {
		md := newWriter(seed).document()
		for _, o := range sizes {
			checkAll(t, md, o)
		}
	}
}

// TestWholeBlocks: a block that fits is not cut. A block fits when there is room for it and the
// headings directly above it.
func TestWholeBlocks(t *testing.T) {
	kinds := map[string]int{}
	for seed := range uint64(120 / share) {
		md := newWriter(seed).document()
		for _, o := range sizes {
			if o.MaxTokens == 0 {
				o.MaxTokens = chunk.DefaultMaxTokens
			}
			chunks := checkAll(t, md, o)
			for _, b := range referenceBlocks(md) {
				if chunk.Estimate(b.text) > o.MaxTokens-b.over {
					continue
				}
				kinds[b.kind]++
				found := false
				for _, c := range chunks {
					found = found || strings.Contains(c.Content, b.text)
				}
				require.True(t, found, "seed %d, %d tokens at most: no chunk has the whole %s\n%s", seed, o.MaxTokens, b.kind, b.text)
			}
		}
	}
	for _, kind := range []string{"code", "row", "item", "alert", "paragraph"} {
		require.Greater(t, kinds[kind], 100/share, "too few to prove anything: %s", kind)
	}
}

type referenceBlock struct {
	kind string
	text string
	over int // tokens of the headings above it
}

// referenceBlocks returns the document's top-level blocks, list items and table rows, as goldmark
// finds them.
func referenceBlocks(md string) []referenceBlock {
	var out []referenceBlock
	over := 0
	root := parseReference(md)
	for n := root.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			over += 3 + chunk.Estimate(string(h.Lines().Value([]byte(md)))) + 1
			continue
		}
		add := func(kind, text string) {
			out = append(out, referenceBlock{kind, strings.TrimRight(text, " \n"), over})
		}
		text := between(md, n)
		switch n := n.(type) {
		case *ast.FencedCodeBlock:
			add("code", text)
		case *ast.Paragraph:
			add("paragraph", text)
		case *ast.Blockquote:
			if strings.HasPrefix(text, "> [!") {
				add("alert", text)
			}
		case *extast.Table:
			for _, row := range strings.Split(strings.TrimSpace(text), "\n")[2:] {
				add("row", row)
			}
		case *ast.List:
			for it := n.FirstChild(); it != nil; it = it.NextSibling() {
				add("item", between(md, it))
			}
		}
		over = 0
	}
	return out
}

// between returns the lines from a block's first to the last line before the next block.
func between(md string, n ast.Node) string {
	start := lineStart(md, n)
	end := len(md)
	for ; n != nil; n = n.Parent() {
		if next := n.NextSibling(); next != nil {
			end = lineStart(md, next)
			break
		}
	}
	return md[start:end]
}

func lineStart(md string, n ast.Node) int {
	pos := n.Pos()
	return strings.LastIndexByte(md[:pos], '\n') + 1
}
