package extracttest

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"net/url"
	"strings"
)

// HTML writes the content as a page.
func (c Content) HTML() []byte {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><html><head><meta charset="utf-8"><title>` + esc(c.Title) + `</title><style>p { color: red }</style></head><body><script>var hidden = 1</script><h1>` + esc(c.Title) + `</h1>`)
	for _, s := range c.Sections {
		b.WriteString(`<h2>` + esc(s.Heading) + `</h2>`)
		for _, p := range s.Paragraphs {
			b.WriteString(`<p>` + esc(p) + `</p>`)
		}
		b.WriteString(`<ul>`)
		for _, item := range s.List {
			b.WriteString(`<li>` + esc(item) + `</li>`)
		}
		b.WriteString(`</ul><table>`)
		for i, row := range s.Table {
			b.WriteString(`<tr>`)
			for _, cell := range row {
				tag := "td"
				if i == 0 {
					tag = "th"
				}
				b.WriteString(`<` + tag + `>` + esc(cell) + `</` + tag + `>`)
			}
			b.WriteString(`</tr>`)
		}
		b.WriteString(`</table><p><small>` + esc(s.Notes) + `</small></p>`)
	}
	return []byte(b.String() + `</body></html>`)
}

// CSV writes the table of one section.
func (s Section) CSV(comma rune) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = comma
	if err := w.WriteAll(s.Table); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

// SVG writes the content's texts as a picture.
func (c Content) SVG() []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><title>` + esc(c.Title) + `</title><style>.a{fill:red}</style>`)
	for _, s := range c.Sections {
		b.WriteString(`<g><text>` + esc(s.Heading) + `</text>`)
		for _, p := range s.Paragraphs {
			first, rest, _ := strings.Cut(p, " ")
			b.WriteString(`<text>` + esc(first) + ` <tspan x="1">` + esc(rest) + `</tspan></text>`)
		}
		b.WriteString(`</g>`)
	}
	return []byte(b.String() + `</svg>`)
}

// Drawio writes the content as a diagram, a page for each section; every second one is deflated.
func (c Content) Drawio() []byte {
	var b strings.Builder
	b.WriteString(`<mxfile host="app.diagrams.net">`)
	for i, s := range c.Sections {
		var m strings.Builder
		m.WriteString(`<mxGraphModel><root><mxCell id="0"/><mxCell id="1" parent="0"/>`)
		for k, text := range append(append([]string{}, s.Paragraphs...), s.List...) {
			if k%2 == 0 {
				fmt.Fprintf(&m, `<mxCell id="%d" value="%s" vertex="1"/>`, k+2, esc(esc(text)))
			} else {
				fmt.Fprintf(&m, `<UserObject label="%s" id="%d"><mxCell/></UserObject>`, esc("<b>"+esc(text)+"</b>"), k+2)
			}
		}
		m.WriteString(`</root></mxGraphModel>`)
		model := m.String()
		if i%2 == 1 {
			model = DeflateDiagram(model)
		}
		b.WriteString(`<diagram id="d" name="` + esc(s.Heading) + `">` + model + `</diagram>`)
	}
	return []byte(b.String() + `</mxfile>`)
}

// DeflateDiagram packs a diagram as diagrams.net does.
func DeflateDiagram(model string) string {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		panic(err) // the level is a good one
	}
	if _, err := w.Write([]byte(url.PathEscape(model))); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes())
}
