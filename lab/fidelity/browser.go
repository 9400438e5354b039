package fidelity

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	xhtml "golang.org/x/net/html"
)

var gfm = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))

// readMarkdown returns what a reader of the rendered Markdown sees.
func readMarkdown(md string) (features, error) {
	var doc bytes.Buffer
	if err := gfm.Convert([]byte(md), &doc); err != nil {
		return features{}, fmt.Errorf("render Markdown: %w", err)
	}
	root, err := xhtml.Parse(&doc)
	if err != nil {
		return features{}, fmt.Errorf("parse the rendered page: %w", err)
	}
	var f features
	visit(root, &f)
	f.text = visibleText(root)
	f.words = wordsOf(f.text)
	return f, nil
}

func visit(n *xhtml.Node, f *features) {
	if n.Type == xhtml.ElementNode {
		switch n.Data {
		case "h1", "h2", "h3", "h4", "h5", "h6":
			f.headings = append(f.headings, n.Data[1:]+" "+strings.Join(wordsOf(visibleText(n)), " "))
		case "pre":
			f.code = append(f.code, strings.TrimSuffix(visibleText(n), "\n"))
		case "code":
			if n.Parent.Data != "pre" {
				f.inline = append(f.inline, visibleText(n))
			}
		case "a":
			f.links = append(f.links, attrOf(n, "href"))
		case "img":
			f.images = append(f.images, attrOf(n, "src"))
		case "table":
			f.tables = append(f.tables, gridOf(n))
		case "li":
			if box := boxOf(n); box != "" {
				f.tasks = append(f.tasks, box+" "+strings.Join(wordsOf(ownText(n)), " "))
			}
		case "td", "th":
			f.tasks = append(f.tasks, cellTasks(visibleText(n))...)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		visit(c, f)
	}
}

func attrOf(n *xhtml.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

var inlineElements = map[string]bool{
	"a": true, "strong": true, "em": true, "del": true, "code": true, "sub": true, "sup": true, "input": true, "img": true, "span": true,
}

// visibleText returns the text below n, with a newline at the end of each line and block.
func visibleText(n *xhtml.Node) string {
	var b strings.Builder
	var walk func(*xhtml.Node)
	walk = func(n *xhtml.Node) {
		if n.Type == xhtml.TextNode {
			b.WriteString(n.Data)
			return
		}
		block := n.Type == xhtml.ElementNode && !inlineElements[n.Data] && b.Len() > 0
		if block {
			b.WriteByte('\n')
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
		if block {
			b.WriteByte('\n')
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c)
	}
	return b.String()
}

// ownText returns the text of a list item without the lists in it.
func ownText(n *xhtml.Node) string {
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == xhtml.ElementNode && (c.Data == "ul" || c.Data == "ol") {
			continue
		}
		if c.Type == xhtml.TextNode {
			b.WriteString(c.Data)
		} else {
			b.WriteString(visibleText(c))
		}
	}
	return b.String()
}

// boxOf returns "x" or "-" for a list item that is a task.
func boxOf(n *xhtml.Node) string {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == xhtml.ElementNode && c.Data == "p" {
			return boxOf(c)
		}
		if c.Type == xhtml.ElementNode && c.Data == "input" {
			for _, a := range c.Attr {
				if a.Key == "checked" {
					return "x"
				}
			}
			return "-"
		}
	}
	return ""
}

var cellTask = regexp.MustCompile(`^\s*-\s+\[([ x])\]\s+(.*)$`)

// cellTasks returns the tasks that a cell shows as lines.
func cellTasks(text string) []string {
	var tasks []string
	for line := range strings.SplitSeq(text, "\n") {
		if m := cellTask.FindStringSubmatch(line); m != nil {
			state := "-"
			if m[1] == "x" {
				state = "x"
			}
			tasks = append(tasks, state+" "+strings.Join(wordsOf(m[2]), " "))
		}
	}
	return tasks
}

func gridOf(n *xhtml.Node) grid {
	var g grid
	var walk func(*xhtml.Node)
	walk = func(n *xhtml.Node) {
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			if c.Type != xhtml.ElementNode {
				continue
			}
			switch c.Data {
			case "tr":
				var row []string
				for d := c.FirstChild; d != nil; d = d.NextSibling {
					if d.Type == xhtml.ElementNode {
						row = append(row, strings.Join(wordsOf(visibleText(d)), " "))
					}
				}
				g = append(g, row)
			default:
				walk(c)
			}
		}
	}
	walk(n)
	return g
}
