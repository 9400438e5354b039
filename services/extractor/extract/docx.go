package extract

import (
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// wordFile is a docx while it is read.
type wordFile struct {
	j       *job
	p       *pack
	styles  map[string]wordStyle
	numbers *numbering
	links   map[string]string
	notes   map[string]string // id with its kind → text
	used    []string          // the notes in the order of their references
	boxes   []string          // text boxes of the current paragraph
	list    bool              // the last paragraph was an item
	out     strings.Builder
}

type wordStyle struct {
	level   int // of a heading, from 1; 0 is none
	num     string
	depth   int
	basedOn string
}

func readDOCX(j *job, p *pack) error {
	main := "word/document.xml"
	if p.byName[main] == nil {
		_, byType, err := p.relations("")
		if err != nil {
			return err
		}
		main = byType["officeDocument"]
	}
	w := &wordFile{j: j, p: p, notes: map[string]string{}}
	links, byType, err := p.relations(main)
	if err != nil {
		return err
	}
	w.links = links
	if err := w.readStyles(byType["styles"]); err != nil {
		return err
	}
	if w.numbers, err = readNumbering(p, byType["numbering"]); err != nil {
		return err
	}
	for _, kind := range []string{"footnotes", "endnotes"} {
		if err := w.readNotes(byType[kind], strings.TrimSuffix(kind, "s")); err != nil {
			return err
		}
	}
	for _, kind := range []string{"header", "footer", "comments"} {
		if byType[kind] != "" {
			j.lose("docx:"+kind, page.Dropped, "not part of the text")
		}
	}
	if err := w.readBody(main); err != nil {
		return err
	}
	for i, id := range w.used {
		w.out.WriteString("\n[^" + strconv.Itoa(i+1) + "]: " + w.notes[id] + "\n")
	}
	return j.part("", w.out.String())
}

// readBody reads block by block, so that only one of them is a tree at a time.
func (w *wordFile) readBody(name string) error {
	r, err := w.p.open(name)
	if err != nil {
		return err
	}
	if r == nil {
		return failure.New(failure.FileDamaged, "the file has no %s", name)
	}
	defer func() { _ = r.Close() }()
	s := newScanner(w.j, r)
	inBody := false
	for {
		t, err := s.next()
		if errors.Is(err, io.EOF) {
			if !inBody {
				return failure.New(failure.FileDamaged, "the document has no body")
			}
			return nil
		}
		if err != nil {
			return err
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if !inBody {
			inBody = start.Name.Local == "body"
			continue
		}
		block, err := s.tree(start)
		if err != nil {
			return err
		}
		if err := w.block(block); err != nil {
			return err
		}
	}
}

func (w *wordFile) block(e *element) error {
	switch e.name {
	case "p":
		w.paragraph(e)
	case "tbl":
		rows, err := w.table(e)
		if err != nil {
			return err
		}
		w.gap()
		w.out.WriteString(table(rows))
		w.list = false
	case "sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "AlternateContent", "Choice", "body":
		for _, c := range e.children {
			if err := w.block(c); err != nil {
				return err
			}
		}
	}
	return w.j.room(w.out.Len())
}

// gap leaves an empty line before a block.
func (w *wordFile) gap() {
	if w.out.Len() > 0 {
		w.out.WriteByte('\n')
	}
}

func (w *wordFile) paragraph(e *element) {
	text := strings.TrimSpace(w.inline(e))
	level, num, depth := w.role(e.child("pPr"))
	if text != "" {
		label, ordered := "", false
		if num != "" {
			label, ordered = w.numbers.next(num, depth)
		}
		switch {
		case level > 0:
			w.gap()
			if label != "" && ordered {
				text = label + " " + text
			}
			w.out.WriteString(strings.Repeat("#", min(level, 6)) + " " + text + "\n")
			w.list = false
		case num != "" && w.numbers.known(num, depth):
			if !w.list {
				w.gap()
			}
			mark := "- "
			if ordered {
				mark = strconv.Itoa(max(w.numbers.count(num, depth), 1)) + ". "
			}
			w.out.WriteString(strings.Repeat("    ", min(depth, 8)) + mark + text + "\n")
			w.list = true
		default:
			w.gap()
			w.out.WriteString(text + "\n")
			w.list = false
		}
	}
	for _, box := range w.boxes {
		w.gap()
		w.out.WriteString(box + "\n")
		w.list = false
	}
	w.boxes = nil
}

// role returns a paragraph's heading level, its numbering, and its depth in that.
func (w *wordFile) role(props *element) (level int, num string, depth int) {
	for id, steps := props.child("pStyle").attr("val"), 0; id != "" && steps < 16; steps++ {
		st := w.styles[id]
		if level == 0 {
			level = st.level
		}
		if num == "" && st.num != "" {
			num, depth = st.num, st.depth
		}
		id = st.basedOn
	}
	if o := props.child("outlineLvl"); o != nil && level == 0 {
		level = headingLevel(o.attr("val"))
	}
	if n := props.child("numPr"); n != nil {
		if id := n.child("numId").attr("val"); id != "" {
			num = id
		}
		if l := n.child("ilvl"); l != nil {
			depth = number(l.attr("val"))
		}
	}
	if num == "0" { // taken out of its style's list
		num = ""
	}
	return level, num, depth
}

// headingLevel makes a level from 1 of an outline level from 0; 9 is the body's text.
func headingLevel(outline string) int {
	n, err := strconv.Atoi(outline)
	if err != nil || n < 0 || n > 8 {
		return 0
	}
	return n + 1
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<20 {
		return 0
	}
	return n
}

func (w *wordFile) readStyles(name string) error {
	w.styles = map[string]wordStyle{}
	root, err := w.p.tree(name)
	if err != nil || root == nil {
		return err
	}
	for _, s := range root.children {
		if s.name != "style" {
			continue
		}
		st := wordStyle{basedOn: s.child("basedOn").attr("val")}
		// The names of built-in styles are English in every language; only their ids are translated.
		called := strings.ToLower(s.child("name").attr("val"))
		if n, ok := strings.CutPrefix(called, "heading "); ok && len(n) == 1 && n >= "1" && n <= "9" {
			st.level = int(n[0] - '0')
		} else if called == "title" {
			st.level = 1
		} else if o := s.child("pPr", "outlineLvl"); o != nil {
			st.level = headingLevel(o.attr("val"))
		}
		if n := s.child("pPr", "numPr"); n != nil {
			st.num, st.depth = n.child("numId").attr("val"), number(n.child("ilvl").attr("val"))
		}
		w.styles[s.attr("styleId")] = st
	}
	return nil
}

func (w *wordFile) readNotes(name, kind string) error {
	if name == "" {
		return nil
	}
	root, err := w.p.tree(name)
	if err != nil || root == nil {
		return err
	}
	own, _, err := w.p.relations(name)
	if err != nil {
		return err
	}
	main := w.links
	w.links = own
	defer func() { w.links = main }()
	for _, n := range root.children {
		if n.name == kind && n.attr("type") == "" {
			w.notes[kind+n.attr("id")] = w.flat(n)
		}
	}
	return nil
}

// flat returns the paragraphs of a cell or a note as one line.
func (w *wordFile) flat(e *element) string {
	var lines []string
	e.walk(func(c *element) bool {
		if c.name != "p" {
			return c.name != "Fallback"
		}
		if s := strings.TrimSpace(w.inline(c)); s != "" {
			lines = append(lines, s)
		}
		lines = append(lines, w.boxes...)
		w.boxes = nil
		return false
	})
	return strings.Join(lines, " ")
}

// table returns the cells of a table. A merged cell is in every row it reaches over, and in the first of
// its columns.
func (w *wordFile) table(e *element) ([][]string, error) {
	var rows [][]string
	above := map[int]string{}
	for _, tr := range deep(e, "tr", nil) {
		var row []string
		for _, tc := range deep(tr, "tc", nil) {
			props := tc.child("tcPr")
			at := len(row)
			text := w.flat(tc)
			merge := props.child("vMerge")
			if merge != nil && merge.attr("val") != "restart" {
				if text == "" {
					text = above[at]
				}
			}
			if merge != nil {
				above[at] = text
			} else {
				delete(above, at)
			}
			row = append(row, text)
			for range min(max(number(props.child("gridSpan").attr("val")), 1), maxSpan) - 1 {
				row = append(row, "")
			}
			if w.j.cells += len(row) - at; w.j.cells > w.j.limits.Cells {
				return nil, failure.New(failure.FileTooManyParts, "the file has more than %d cells", w.j.limits.Cells)
			}
		}
		rows = append(rows, row)
	}
	return rows, w.j.ctx.Err()
}

// deep returns the elements of a name in e, through wrappers such as content controls, but not those in
// a table of e's own.
func deep(e *element, name string, found []*element) []*element {
	for _, c := range e.children {
		switch c.name {
		case name:
			found = append(found, c)
		case "sdt", "sdtContent", "customXml", "ins", "AlternateContent", "Choice":
			found = deep(c, name, found)
		}
	}
	return found
}

// target returns where a relation leads, if that is outside of the file.
func (w *wordFile) target(id string) string {
	t := w.links[id]
	if path.IsAbs(t) {
		return ""
	}
	return t
}
