package markdown

import (
	"strconv"
	"strings"
)

// list writes a bullet, numbered, task or definition list.
func (r *renderer) list(n *node, st style) {
	l := r.beginList(n)
	for c := n.first; c != nil && !r.w.overflow; c = c.next {
		r.listChild(c, l, st)
	}
	// Loose content between the items belongs to the last item; see listChild.
	r.flush()
}

// listWriter is one list being written.
type listWriter struct {
	kind   blockKind
	number int  // of the next item; bullets have none
	empty  int  // empty items before the next
	opened bool // whether the list has begun in the output
	tasks  bool
}

func (r *renderer) beginList(n *node) *listWriter {
	l := &listWriter{kind: bulletBlock}
	if n.tag == tagOL {
		l.kind, l.number = dotBlock, 1
		if start, err := strconv.Atoi(n.attr("start")); err == nil && start >= 0 && start < 1e8 {
			l.number = start
		}
	}
	// Two lists in a row would become one: the second takes the other marker.
	if r.w.lastBlock() == l.kind {
		l.kind++
	}
	l.tasks = n.tag == tagTaskList || strings.Contains(n.attr("class"), "inline-task-list")
	return l
}

// listChild writes one child of a list. Only items are valid there; a nested list between items
// belongs to the item before it, and text gets an item of its own.
func (r *renderer) listChild(c *node, l *listWriter, st style) {
	switch c.tag {
	case tagText, tagCDATA:
		if strings.TrimSpace(c.text) == "" {
			return
		}
	case tagLI, tagDT:
		if inner := onlyList(c); inner != nil {
			r.nested(inner, l, st)
			return
		}
		if c.tag == tagDT {
			st = st.with(bold)
		}
		r.item(l, r.itemMark(c, l), func() { r.walk(c, st) })
		return
	case tagDD: // below its term
		if !l.opened {
			r.item(l, "", func() { r.walk(c, st) })
			return
		}
		r.w.reopen(l.indent())
		r.item(&listWriter{kind: bulletBlock}, "", func() { r.walk(c, st) })
		r.w.close()
		return
	case tagTask:
		r.task(c, l, st)
		return
	case tagUL, tagOL, tagTaskList:
		r.nested(c, l, st)
		return
	case tagHidden, tagHiddenVoid, tagScript:
		r.hidden(c)
		return
	}
	r.item(l, "", func() { r.node(c, st) })
}

// onlyList returns the list of an item that holds nothing else: such an item only indents.
func onlyList(n *node) *node {
	var only *node
	for c := n.first; c != nil; c = c.next {
		switch {
		case c.tag == tagText && strings.TrimSpace(c.text) == "":
		case (c.tag == tagUL || c.tag == tagOL || c.tag == tagTaskList) && only == nil:
			only = c
		default:
			return nil
		}
	}
	return only
}

// nested writes a list without an item of its own: below the item before it, or in place of this
// list if there is none.
func (r *renderer) nested(n *node, l *listWriter, st style) {
	if !l.opened {
		r.list(n, st)
		return
	}
	r.w.reopen(l.indent())
	r.list(n, st)
	r.w.close()
}

// item writes one item; mark precedes its text, for example a task's box.
func (r *renderer) item(l *listWriter, mark string, body func()) {
	before := r.w.mark()
	if !l.opened {
		r.w.list(l.kind, l.number)
	}
	// Empty items are left out, unless the numbering of a later item depends on them.
	for n := l.number - l.empty; l.opened && l.kind.isNumbered() && n < l.number; n++ {
		r.w.line()
		r.w.out = append(strconv.AppendInt(r.w.out, int64(n), 10), l.delimiter())
		r.w.end()
	}
	marker := l.marker()
	r.w.open(marker+mark, strings.Repeat(" ", len(marker)))
	body()
	r.flush()
	if r.w.close() {
		l.opened = true
		l.empty = 0
	} else {
		r.w.rewind(before)
		l.empty++
	}
	l.number++
}

// indent is the width of the previous item's marker.
func (l *listWriter) indent() string {
	if l.kind.isNumbered() {
		return strings.Repeat(" ", len(strconv.Itoa(l.number-1))+2)
	}
	return "  "
}

func (l *listWriter) marker() string {
	switch {
	case l.kind.isNumbered():
		return strconv.Itoa(l.number) + string(l.delimiter()) + " "
	case l.kind == starBlock:
		return "* "
	}
	return "- "
}

// delimiter follows the number of an item.
func (l *listWriter) delimiter() byte {
	if l.kind == parenBlock {
		return ')'
	}
	return '.'
}

// itemMark returns the box of an item in a task list of an older page.
func (r *renderer) itemMark(n *node, l *listWriter) string {
	if !l.tasks || n.tag != tagLI {
		return ""
	}
	if strings.Contains(" "+n.attr("class")+" ", " checked ") {
		return "[x] "
	}
	return "[ ] "
}

func (r *renderer) task(n *node, l *listWriter, st style) {
	mark := "[ ] "
	if s := n.child(tagTaskStatus); s != nil && strings.TrimSpace(textOf(s, 32)) == "complete" {
		mark = "[x] "
	}
	r.item(l, mark, func() {
		for c := n.first; c != nil; c = c.next {
			switch c.tag {
			case tagTaskStatus, tagHidden:
			case tagTaskBody:
				r.walk(c, st)
			default:
				r.node(c, st)
			}
		}
	})
}

// strayItem renders an item outside a list.
func (r *renderer) strayItem(n *node, st style) {
	l := &listWriter{kind: bulletBlock}
	if k := r.w.lastBlock(); k == bulletBlock {
		l.opened = true
	}
	if n.tag == tagTask {
		r.task(n, l, st)
		return
	}
	r.item(l, "", func() { r.walk(n, st) })
}

// textOf is the text below n, at most about limit bytes.
func textOf(n *node, limit int) string {
	if n.first != nil && n.first == n.last && n.first.tag == tagText {
		return n.first.text[:min(len(n.first.text), limit)]
	}
	var b strings.Builder
	var walk func(*node)
	walk = func(n *node) {
		for c := n.first; c != nil && b.Len() < limit; c = c.next {
			switch c.tag {
			case tagText, tagCDATA:
				b.WriteString(c.text[:min(len(c.text), limit)])
			case tagParameter, tagHidden:
			default:
				walk(c)
			}
		}
	}
	walk(n)
	return b.String()
}
