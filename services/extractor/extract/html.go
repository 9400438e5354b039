package extract

import (
	"io"
	"strconv"
	"strings"

	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/strikethrough"
	tables "github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// The bounds of HTML, whose tree and conversion are in memory.
const (
	maxHTML      = 8 << 20
	maxHTMLNodes = 500_000
)

// readHTML reads a page of HTML: what a browser would show of it, without scripts, styles and forms.
func readHTML(j *job) error {
	if j.file.Size > maxHTML {
		return failure.New(failure.FileTooLarge, "the HTML has %d bytes, the limit is %d", j.file.Size, maxHTML)
	}
	raw, err := io.ReadAll(j.reader())
	if err != nil {
		return damaged(err, "read the file")
	}
	r, err := charset.NewReader(strings.NewReader(string(raw)), j.file.MediaType)
	if err != nil {
		return damaged(err, "decode the HTML")
	}
	root, err := html.Parse(r)
	if err != nil {
		return damaged(err, "read the HTML")
	}
	if err := j.measure(root); err != nil {
		return err
	}
	doc := goquery.NewDocumentFromNode(root)
	// Tika writes a title that is not there as a character that is none.
	title := strings.TrimSpace(strings.ReplaceAll(doc.Find("head title").First().Text(), "\uFFFD", ""))
	if n := doc.Find("iframe, object, embed, audio, video, canvas").Length(); n > 0 {
		j.losses[lossKind{"html", page.Dropped, "embedded content is not read"}] += n
	}
	doc.Find("head, script, style, noscript, template, iframe, object, embed, canvas, svg, [hidden]").Remove()
	hasTitle := doc.Find("h1").Length() > 0
	escapeTexts(root, false, false)
	conv := converter.NewConverter(converter.WithEscapeMode(converter.EscapeModeDisabled), converter.WithPlugins(
		base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), strikethrough.NewStrikethroughPlugin(),
		tables.NewTablePlugin(tables.WithSpanCellBehavior(tables.SpanBehaviorMirror), tables.WithHeaderPromotion(true), tables.WithSkipEmptyRows(true),
			tables.WithCellPaddingBehavior(tables.CellPaddingBehaviorMinimal)),
	))
	md, err := conv.ConvertNode(root, converter.WithContext(j.ctx))
	if err != nil {
		return damaged(err, "convert the HTML")
	}
	text := unveiled.Replace(string(md))
	if title != "" && !hasTitle && strings.TrimSpace(text) != "" {
		text = "# " + escape(title) + "\n\n" + text
	}
	return j.part("", text)
}

// measure bounds the tree, which others walk by recursion.
func (j *job) measure(root *html.Node) error {
	depth, nodes := 0, 0
	for n := root; ; {
		if nodes++; nodes > maxHTMLNodes {
			return failure.New(failure.FileTooManyParts, "the HTML has more than %d elements and texts", maxHTMLNodes)
		}
		if depth > j.limits.Depth {
			return failure.New(failure.FileTooDeep, "the file's elements nest deeper than %d", j.limits.Depth)
		}
		if n.Data == "td" || n.Data == "th" {
			if j.cells += span(n); j.cells > j.limits.Cells {
				return failure.New(failure.FileTooManyParts, "the file has more than %d cells", j.limits.Cells)
			}
		}
		if n.FirstChild != nil {
			n, depth = n.FirstChild, depth+1
			continue
		}
		for n != root && n.NextSibling == nil {
			n, depth = n.Parent, depth-1
		}
		if n == root {
			return nil
		}
		n = n.NextSibling
	}
}

// span returns how many places a cell takes. One that claims an absurd number gets one.
func span(n *html.Node) int {
	places := 1
	for i, a := range n.Attr {
		if a.Key == "colspan" || a.Key == "rowspan" {
			k, err := strconv.Atoi(strings.TrimSpace(a.Val))
			if err != nil || k < 1 || k > maxSpan {
				k = 1
				n.Attr[i].Val = "1"
			}
			places *= k
		}
	}
	return places
}

const maxSpan = 200

// The library writes these signs as entities, which nobody searches for; what needs an escape has one.
var (
	veiled   = strings.NewReplacer("<", "\uE000", ">", "\uE001", "&", "\uE002")
	unveiled = strings.NewReplacer("\uE000", "<", "\uE001", ">", "\uE002", "&")
)

// escapeTexts escapes the texts outside of code. The library's own escaping takes quadratic time, and
// escapes each underscore, so that nobody finds max_size.
func escapeTexts(n *html.Node, code, inTable bool) {
	switch n.Type {
	case html.ElementNode:
		switch n.Data {
		case "pre", "code", "kbd", "samp", "tt", "textarea":
			code = true
		case "td", "th":
			inTable = true
		}
	case html.TextNode:
		if !code {
			n.Data = escape(unveiled.Replace(n.Data))
		}
		if inTable {
			n.Data = inCell(n.Data)
		}
		if !code {
			n.Data = veiled.Replace(n.Data)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		escapeTexts(c, code, inTable)
	}
}
