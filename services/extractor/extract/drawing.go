package extract

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// readSVG reads the texts, title and description of a picture.
func readSVG(j *job) error {
	root, err := parse(j, j.reader())
	if err != nil {
		return err
	}
	var lines []string
	root.walk(func(e *element) bool {
		switch e.name {
		case "style", "script", "metadata":
			return false
		case "text", "title", "desc":
			lines = append(lines, escape(flatText(e)))
			return false
		case "foreignObject":
			lines = append(lines, escape(flatText(e)))
			return false
		}
		return true
	})
	return j.part("", listed(lines))
}

// flatText joins all texts in an element with spaces.
func flatText(e *element) string {
	var b strings.Builder
	e.walk(func(e *element) bool {
		b.WriteString(e.text + " ")
		return e.name != "style" && e.name != "script"
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

func listed(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" {
			b.WriteString("- " + l + "\n")
		}
	}
	return b.String()
}

// readDrawio reads the labels of a diagram, page by page.
func readDrawio(j *job) error {
	root, err := parse(j, j.reader())
	if err != nil {
		return err
	}
	if root.name == "mxGraphModel" {
		return j.part("", listed(labels(root)))
	}
	pages := 0
	for _, d := range root.children {
		if d.name != "diagram" {
			continue
		}
		pages++
		model := d
		if len(d.children) == 0 && strings.TrimSpace(d.text) != "" {
			if model, err = inflated(j, d.text); err != nil {
				return fmt.Errorf("read page %d of the diagram: %w", pages, err)
			}
		}
		text := listed(labels(model))
		if name := d.attr("name"); name != "" && text != "" {
			text = "### " + escape(name) + "\n\n" + text
		}
		if err := j.part(fmt.Sprintf("page %d", pages), text); err != nil {
			return err
		}
	}
	return nil
}

// labels returns the texts of a diagram's shapes and arrows. They may be HTML.
func labels(model *element) []string {
	var lines []string
	model.walk(func(e *element) bool {
		for _, name := range []string{"value", "label", "tooltip"} {
			if v := e.attr(name); v != "" {
				lines = append(lines, escape(textOfHTML(v)))
			}
		}
		return true
	})
	return lines
}

// inflated unpacks a diagram: base64 of deflated text that is escaped as in an address.
func inflated(j *job, s string) (*element, error) {
	packed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	if err != nil {
		return nil, damaged(err, "decode the diagram")
	}
	in := &counted{j: j, r: flate.NewReader(bytes.NewReader(packed)), name: "diagram", packed: int64(len(packed))}
	escaped, err := io.ReadAll(in)
	if err != nil {
		return nil, damaged(err, "unpack the diagram")
	}
	plain, err := url.PathUnescape(string(escaped))
	if err != nil {
		plain = string(escaped) // a percent sign of its own
	}
	return parse(j, strings.NewReader(plain))
}

// textOfHTML returns the text of a piece of HTML, with a space for each tag that ends a line.
func textOfHTML(s string) string {
	var b strings.Builder
	for t := html.NewTokenizer(strings.NewReader(s)); ; {
		switch t.Next() {
		case html.ErrorToken:
			return strings.Join(strings.Fields(b.String()), " ")
		case html.TextToken:
			b.Write(t.Text())
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			switch name, _ := t.TagName(); string(name) {
			case "b", "i", "u", "em", "strong", "span", "font", "sub", "sup", "a", "code":
			default:
				b.WriteByte(' ')
			}
		}
	}
}
