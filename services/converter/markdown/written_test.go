package markdown_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

const folderBase = "https://github.com/acme/handbook/blob/main/docs"

func adopt(t *testing.T, body string) markdown.Result {
	t.Helper()
	out, err := markdown.Adopt(body, page.Facts{
		ID: "1", Title: "Guide", BaseURL: folderBase, URL: folderBase + "/guides/setup.md", Format: page.Markdown,
		Labels: []string{"howto"},
		Links: map[string]page.Link{
			"../api.md#keys": {PageID: "2", PageURL: folderBase + "/api.md#keys"},
			"setup.md":       {PageID: "1", PageURL: folderBase + "/guides/setup.md"},
		},
	})
	require.NoError(t, err)
	return out
}

func TestMarkdownStaysAsItIsWritten(t *testing.T) {
	body := "# Set up\n\nOne *two* `three`.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n- [x] done\n\n```sh\nmake [all](x.md)\n```\n"
	out := adopt(t, "\n"+strings.ReplaceAll(body, "\n", "\r\n"))
	require.Equal(t, body, out.Markdown)
	require.Equal(t, 13, out.Metadata.WordCount)
	require.Equal(t, len(body), out.Metadata.ContentLength)
	require.Equal(t, []string{"howto"}, out.Metadata.Labels)
	require.Equal(t, []page.Heading{{Level: 1, Text: "Set up", Anchor: "set-up"}}, out.Headings)
	require.Empty(t, out.Losses)
	require.NotNil(t, out.Metadata.InternalLinks)
}

func TestLinksOfMarkdownLeadSomewhere(t *testing.T) {
	out := adopt(t, strings.Join([]string{
		"See [the **keys**](../api.md#keys 'title'), [this](setup.md), [below](#next), [site](https://example.com/a_(b)),",
		"[list](../data/list.csv), ![plan](<../img/a plan.png>), [![badge](/img/b.svg)](https://ci.example.com), [ref][r],",
		"[bad](javascript:alert(1)) and <https://auto.example.com>.",
		"",
		"[r]: ../other/ref.txt",
	}, "\n"))
	require.Equal(t, strings.Join([]string{
		"See [the **keys**](" + folderBase + "/api.md#keys 'title'), [this](" + folderBase + "/guides/setup.md), [below](" + folderBase + "/guides/setup.md#next), [site](https://example.com/a_(b)),",
		"[list](" + folderBase + "/data/list.csv), ![plan](<" + folderBase + "/img/a%20plan.png>), [![badge](" + folderBase + "/img/b.svg)](https://ci.example.com), [ref][r],",
		"[bad](#) and <https://auto.example.com>.",
		"",
		"[r]: " + folderBase + "/other/ref.txt",
		"",
	}, "\n"), out.Markdown)
	require.Equal(t, []page.Link{{PageID: "2", PageTitle: "the keys", PageURL: folderBase + "/api.md#keys"}}, out.Metadata.InternalLinks)
	require.Equal(t, []page.External{
		{Title: "site", URL: "https://example.com/a_(b)"}, {Title: "badge", URL: "https://ci.example.com"}, {URL: "https://auto.example.com"},
	}, out.Metadata.ExternalLinks)
	require.Equal(t, []page.Asset{
		{Title: "list.csv", Type: "file", DownloadURL: folderBase + "/data/list.csv"},
		{Title: "a plan.png", Type: "image", DownloadURL: folderBase + "/img/a%20plan.png"},
		{Title: "b.svg", Type: "image", DownloadURL: folderBase + "/img/b.svg"},
		{Title: "ref.txt", Type: "file", DownloadURL: folderBase + "/other/ref.txt"},
	}, out.Metadata.AssetLinks)
}

func TestAnchorsOfMarkdownAreThoseOfItsHosts(t *testing.T) {
	out := adopt(t, "# What's `new`?\n\n## Ünïcode & more\n\nSame\n====\n\n## Same\n\n## Same\n")
	var anchors []string
	for _, h := range out.Headings {
		anchors = append(anchors, h.Anchor)
	}
	require.Equal(t, []string{"whats-new", "%C3%BCn%C3%AFcode--more", "same", "same-1", "same-2"}, anchors)
}

func TestOfHTMLTheTextIsLeft(t *testing.T) {
	out := adopt(t, "A <b>bold</b> <span onclick=\"x\">word</span> and<br>more <!-- not this -->\n\n<div align=\"center\">\n<img src=\"x.png\" alt=\"A logo\">\n<script>alert(1)</script>\n<p>1 < 2</p>\n</div>\n\nEnd\n")
	require.Equal(t, "A <b>bold</b> word and<br>more \n\nA logo\n1 &lt; 2\n\nEnd\n", out.Markdown)
	require.NotEmpty(t, out.Losses)
	require.Equal(t, "html:img", out.Losses[0].Element)
	require.Equal(t, "html:script", out.Losses[1].Element)
}

func TestMarkdownThatCannotBeRead(t *testing.T) {
	out := adopt(t, "bad \xff byte")
	require.Equal(t, "bad \uFFFD byte\n", out.Markdown)
	require.Len(t, out.Losses, 1)
	require.Equal(t, "", adopt(t, " \n\n").Markdown)
	_, err := markdown.Adopt(strings.Repeat("> ", 300)+"deep", page.Facts{})
	require.Equal(t, failure.ConvertTooDeep, failure.CodeOf(err))
	_, err = markdown.Adopt(strings.Repeat("-", 300), page.Facts{})
	require.NoError(t, err)
	_, err = markdown.Adopt(strings.Repeat("x", markdown.MaxBody+1), page.Facts{})
	require.Equal(t, failure.ConvertTooLarge, failure.CodeOf(err))
}

func FuzzAdopt(f *testing.F) {
	for _, s := range []string{"# a\n[b](c.md)", "<div>x</div>", "[![a](b)](c)", "---\n- a\n  - b", "[a]: b\n[a]", "```\n[x](y)\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		_, err := markdown.Adopt(body, page.Facts{ID: "1", BaseURL: folderBase, URL: folderBase + "/a.md"})
		if err != nil {
			require.Contains(t, []failure.Code{failure.ConvertTooDeep, failure.ConvertTooLarge}, failure.CodeOf(err))
		}
	})
}
