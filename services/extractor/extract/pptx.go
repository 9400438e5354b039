package extract

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// readPPTX reads the slides in the order in which they are shown, each with its notes.
func readPPTX(j *job, p *pack) error {
	main := "ppt/presentation.xml"
	if p.byName[main] == nil {
		_, byType, err := p.relations("")
		if err != nil {
			return err
		}
		main = byType["officeDocument"]
	}
	root, err := p.tree(main)
	if err != nil {
		return err
	}
	slides, _, err := p.relations(main)
	if err != nil {
		return err
	}
	list := root.child("sldIdLst")
	if list == nil {
		return failure.New(failure.FileNoText, "the presentation has no slides")
	}
	n := 0
	for _, id := range list.children {
		if id.name != "sldId" {
			continue
		}
		n++
		target := ""
		for _, a := range id.attrs { // r:id, beside an id of its own
			if a.Name.Local == "id" && a.Name.Space != "" {
				target = slides[a.Value]
			}
		}
		text, err := readSlide(j, p, target)
		if err != nil {
			return fmt.Errorf("read slide %d: %w", n, err)
		}
		if err := j.part(fmt.Sprintf("slide %d", n), text); err != nil {
			return err
		}
	}
	return nil
}

// slide is a slide while it is read.
type slide struct {
	j      *job
	p      *pack
	links  map[string]string
	title  string
	blocks []string
}

func readSlide(j *job, p *pack, name string) (string, error) {
	root, err := p.tree(name)
	if err != nil {
		return "", err
	}
	if root == nil {
		return "", failure.New(failure.FileDamaged, "the slide is missing")
	}
	links, byType, err := p.relations(name)
	if err != nil {
		return "", err
	}
	s := &slide{j: j, p: p, links: links}
	if err := s.shapes(root.child("cSld", "spTree")); err != nil {
		return "", err
	}
	var out []string
	if s.title != "" {
		out = append(out, "### "+s.title)
	}
	out = append(out, s.blocks...)
	if byType["comments"] != "" {
		j.lose("pptx:comments", page.Dropped, "not part of the text")
	}
	if notes := byType["notesSlide"]; notes != "" {
		text, err := s.notes(notes)
		if err != nil {
			return "", err
		}
		if text != "" {
			out = append(out, "Notes:\n\n"+text)
		}
	}
	return strings.Join(out, "\n\n"), j.ctx.Err()
}

// shapes reads the shapes of a slide or a group, in the order of the file.
func (s *slide) shapes(tree *element) error {
	if tree == nil {
		return nil
	}
	for _, e := range tree.children {
		switch e.name {
		case "sp":
			s.shape(e)
		case "grpSp":
			if err := s.shapes(e); err != nil {
				return err
			}
		case "graphicFrame":
			if err := s.graphic(e); err != nil {
				return err
			}
		case "pic":
			s.j.lose("pptx:image", page.Placeholder, "the text in pictures is not read")
			s.described(e.child("nvPicPr", "cNvPr"))
		case "AlternateContent":
			if err := s.shapes(e.child("Choice")); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *slide) described(props *element) {
	if alt := strings.TrimSpace(props.attr("descr")); alt != "" {
		s.blocks = append(s.blocks, escape(alt))
	}
}

func (s *slide) shape(e *element) {
	body := e.child("txBody")
	if body == nil {
		s.described(e.child("nvSpPr", "cNvPr"))
		return
	}
	placeholder := e.child("nvSpPr", "nvPr", "ph")
	switch placeholder.attr("type") {
	case "title", "ctrTitle":
		if title := strings.TrimSpace(s.flat(body)); title != "" {
			if s.title != "" {
				title = s.title + " " + title
			}
			s.title = title
		}
		return
	case "sldNum", "dt", "ftr", "hdr":
		return // the same on every slide
	}
	// The text of the slide's body is a list unless its paragraphs say otherwise.
	list := placeholder != nil && (placeholder.attr("type") == "" || placeholder.attr("type") == "body" || placeholder.attr("type") == "obj")
	if text := s.paragraphs(body, list); text != "" {
		s.blocks = append(s.blocks, text)
	}
}

func (s *slide) paragraphs(body *element, list bool) string {
	var b strings.Builder
	wasItem := false
	for _, p := range body.children {
		if p.name != "p" {
			continue
		}
		text := strings.TrimSpace(s.inline(p))
		if text == "" {
			continue
		}
		props := p.child("pPr")
		bullet, none := props.child("buChar") != nil || props.child("buAutoNum") != nil, props.child("buNone") != nil
		item := (list || bullet) && !none
		if b.Len() > 0 && !(item && wasItem) {
			b.WriteByte('\n')
		}
		if item {
			mark := "- "
			if props.child("buAutoNum") != nil {
				mark = "1. "
			}
			b.WriteString(strings.Repeat("    ", min(number(props.attr("lvl")), 8)) + mark)
		}
		b.WriteString(text + "\n")
		wasItem = item
	}
	return strings.TrimRight(b.String(), "\n")
}

// inline returns the text of a paragraph.
func (s *slide) inline(p *element) string {
	var out, plain strings.Builder
	flush := func() {
		text := plain.String()
		plain.Reset()
		lead, trail := strings.TrimLeft(text, " ") != text, strings.TrimRight(text, " ") != text
		if lead {
			out.WriteByte(' ')
		}
		if text = strings.TrimSpace(text); text != "" {
			out.WriteString(escape(text))
			if trail {
				out.WriteByte(' ')
			}
		}
	}
	for _, r := range p.children {
		switch r.name {
		case "r", "fld":
			text := r.child("t")
			if text == nil {
				continue
			}
			target := s.links[r.child("rPr", "hlinkClick").attr("id")]
			if target == "" {
				plain.WriteString(text.text)
				continue
			}
			flush()
			out.WriteString(link(escape(text.text), target))
		case "br", "tab":
			plain.WriteByte(' ')
		case "m", "AlternateContent":
			plain.WriteString(flatText(r))
		}
	}
	flush()
	return out.String()
}

// flat returns the paragraphs of a text as one line.
func (s *slide) flat(body *element) string {
	var lines []string
	for _, p := range body.children {
		if text := strings.TrimSpace(s.inline(p)); p.name == "p" && text != "" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, " ")
}

// graphic reads a table, the texts of SmartArt, or tells of a chart.
func (s *slide) graphic(e *element) error {
	data := e.child("graphic", "graphicData")
	if t := data.child("tbl"); t != nil {
		rows, err := s.table(t)
		if err != nil {
			return err
		}
		if text := strings.TrimRight(table(rows), "\n"); text != "" {
			s.blocks = append(s.blocks, text)
		}
		return nil
	}
	if ids := data.child("relIds"); ids != nil {
		root, err := s.p.tree(s.links[ids.attr("dm")])
		if err != nil || root == nil {
			return err
		}
		var lines []string
		root.walk(func(c *element) bool {
			if c.name == "t" && c.child("p") != nil {
				lines = append(lines, s.flat(c))
				return false
			}
			return true
		})
		s.blocks = append(s.blocks, strings.TrimRight(listed(lines), "\n"))
		return nil
	}
	if data.child("chart") != nil {
		s.j.lose("pptx:chart", page.Dropped, "charts are not read")
	}
	s.described(e.child("nvGraphicFramePr", "cNvPr"))
	return nil
}

func (s *slide) table(t *element) ([][]string, error) {
	var rows [][]string
	for _, tr := range t.children {
		if tr.name != "tr" {
			continue
		}
		var row []string
		for _, tc := range tr.children {
			if tc.name != "tc" {
				continue
			}
			text := ""
			if body := tc.child("txBody"); body != nil {
				text = s.flat(body)
			}
			if v := tc.attr("vMerge"); (v == "1" || v == "true") && text == "" && len(rows) > 0 && len(row) < len(rows[len(rows)-1]) {
				text = rows[len(rows)-1][len(row)]
			}
			row = append(row, text)
		}
		if s.j.cells += len(row); s.j.cells > s.j.limits.Cells {
			return nil, failure.New(failure.FileTooManyParts, "the file has more than %d cells", s.j.limits.Cells)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (s *slide) notes(name string) (string, error) {
	root, err := s.p.tree(name)
	if err != nil || root == nil {
		return "", err
	}
	links, _, err := s.p.relations(name)
	if err != nil {
		return "", err
	}
	n := &slide{j: s.j, p: s.p, links: links}
	tree := root.child("cSld", "spTree")
	var lines []string
	if tree != nil {
		for _, e := range tree.children {
			if e.name == "sp" && e.child("nvSpPr", "nvPr", "ph").attr("type") == "body" && e.child("txBody") != nil {
				lines = append(lines, n.paragraphs(e.child("txBody"), false))
			}
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n\n")), nil
}
