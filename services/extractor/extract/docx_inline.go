package extract

import (
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// inline returns the text of a paragraph: runs, links, fields, notes and the descriptions of pictures.
func (w *wordFile) inline(e *element) string {
	in := &wordInline{w: w}
	for _, c := range e.children {
		in.add(c)
	}
	in.flush()
	return in.out.String()
}

type wordInline struct {
	w     *wordFile
	out   strings.Builder
	plain strings.Builder // text that is not escaped yet, so that runs that split a word do not matter
	// A complex field is begun, told, separated and ended by runs of their own.
	fields []*wordField
}

type wordField struct {
	code  string
	shown bool
	start int
}

func (in *wordInline) flush() {
	s := in.plain.String()
	in.plain.Reset()
	if s == "" {
		return
	}
	trimmed := strings.TrimLeft(s, " \t\n")
	if len(trimmed) < len(s) {
		in.out.WriteByte(' ')
	}
	body := strings.TrimRight(trimmed, " \t\n")
	in.out.WriteString(escape(body))
	if body != "" && len(body) < len(trimmed) {
		in.out.WriteByte(' ')
	}
}

func (in *wordInline) add(e *element) {
	switch e.name {
	case "r":
		in.run(e)
	case "hyperlink":
		in.flush()
		sub := &wordInline{w: in.w}
		for _, c := range e.children {
			sub.add(c)
		}
		sub.flush()
		in.out.WriteString(link(sub.out.String(), in.w.target(e.attr("id"))))
	case "fldSimple":
		in.flush()
		at := in.out.Len()
		for _, c := range e.children {
			in.add(c)
		}
		in.flush()
		in.relink(at, e.attr("instr"))
	case "del", "moveFrom":
		in.w.j.lose("docx:deleted", page.Dropped, "text that a tracked change deletes")
	case "oMath", "oMathPara":
		in.plain.WriteString(strings.ReplaceAll(flatText(e), " ", ""))
	case "pPr", "rPr", "Fallback", "bookmarkStart", "bookmarkEnd", "proofErr", "commentRangeStart", "commentRangeEnd":
	case "txbxContent":
		in.w.boxes = append(in.w.boxes, strings.TrimSpace(in.w.flat(e)))
	default: // ins, moveTo, sdt, smartTag, AlternateContent, Choice, and what else wraps runs
		for _, c := range e.children {
			in.add(c)
		}
	}
}

func (in *wordInline) run(r *element) {
	if v := r.child("rPr", "vanish"); v != nil && v.attr("val") != "0" && v.attr("val") != "false" {
		in.w.j.lose(page.HiddenText, page.Dropped, "hidden in Word")
		return
	}
	for _, c := range r.children {
		switch c.name {
		case "t":
			in.plain.WriteString(c.text)
		case "tab", "br", "cr", "ptab":
			in.plain.WriteByte(' ')
		case "noBreakHyphen":
			in.plain.WriteByte('-')
		case "sym":
			in.w.j.lose("docx:symbol", page.Dropped, "a sign of a symbol font")
		case "fldChar":
			in.field(c.attr("fldCharType"))
		case "instrText":
			if n := len(in.fields); n > 0 {
				in.fields[n-1].code += c.text
			}
		case "footnoteReference", "endnoteReference":
			in.note(strings.TrimSuffix(c.name, "Reference") + c.attr("id"))
		case "drawing", "pict", "object":
			in.picture(c)
		case "AlternateContent":
			for _, choice := range c.children {
				if choice.name == "Choice" {
					in.run(choice)
				}
			}
		}
	}
}

func (in *wordInline) field(step string) {
	switch n := len(in.fields); {
	case step == "begin" && n < 64:
		in.fields = append(in.fields, &wordField{})
	case step == "separate" && n > 0:
		in.flush()
		in.fields[n-1].start, in.fields[n-1].shown = in.out.Len(), true
	case step == "end" && n > 0:
		f := in.fields[n-1]
		in.fields = in.fields[:n-1]
		if f.shown {
			in.flush()
			in.relink(f.start, f.code)
		}
	}
}

// relink makes a link of what was written from a place on, if the field's code is one.
func (in *wordInline) relink(at int, code string) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(code), "HYPERLINK ")
	if !ok {
		return
	}
	_, rest, ok = strings.Cut(rest, `"`)
	target, _, ended := strings.Cut(rest, `"`)
	if !ok || !ended {
		return
	}
	all := in.out.String()
	in.out.Reset()
	in.out.WriteString(all[:at] + link(all[at:], target))
}

func (in *wordInline) note(id string) {
	text, ok := in.w.notes[id]
	if !ok || text == "" {
		return
	}
	in.flush()
	at := 0
	for i, u := range in.w.used {
		if u == id {
			at = i + 1
		}
	}
	if at == 0 {
		in.w.used = append(in.w.used, id)
		at = len(in.w.used)
	}
	in.out.WriteString("[^" + strconv.Itoa(at) + "]")
}

// picture writes the description of a picture, and keeps the text in a shape for after the paragraph.
func (in *wordInline) picture(e *element) {
	described := false
	e.walk(func(c *element) bool {
		switch c.name {
		case "docPr":
			if alt := strings.TrimSpace(c.attr("descr")); alt != "" && !described {
				in.plain.WriteString(" " + alt + " ")
				described = true
			}
		case "txbxContent":
			if text := strings.TrimSpace(in.w.flat(c)); text != "" {
				in.w.boxes = append(in.w.boxes, text)
			}
			return false
		case "Fallback":
			return false
		case "blip", "imagedata":
			in.w.j.lose("docx:image", page.Placeholder, "the text in pictures is not read")
		case "chart":
			in.w.j.lose("docx:chart", page.Dropped, "charts are not read")
		}
		return true
	})
}
