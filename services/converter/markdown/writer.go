package markdown

import (
	"bytes"
	"strings"
)

// blockKind is the kind of a block, as far as the next block depends on it.
type blockKind uint8

const (
	noBlock blockKind = iota
	paragraphBlock
	bulletBlock // a list with '-'
	starBlock   // a list with '*'
	dotBlock    // a list with "1."
	parenBlock  // a list with "1)"
	otherBlock
	alertLine // the line with the alert kind of a quote
)

func (k blockKind) isNumbered() bool { return k == dotBlock || k == parenBlock }

// frame is a container that prefixes every line: a quote, a list item.
type frame struct {
	first, rest string // before its first line, before the other lines
	started     bool
	blocks      int
	last        blockKind
}

// maxFrames is the number of containers that indent their lines. Items in deeper containers keep
// their markers and text and lose their indentation: no reader counts that far, and the output
// would grow with the square of the input.
const maxFrames = 32

// writer assembles blocks. Between blocks it is always at the start of a line.
type writer struct {
	out       []byte
	frames    []frame // the page itself first
	flattened int     // containers below maxFrames
	limit     int
	overflow  bool // out passed limit; nothing more is written
}

func newWriter(bodySize int) writer {
	return writer{
		out:    make([]byte, 0, bodySize/2+512),
		frames: make([]frame, 1, 16),
		limit:  min(MaxGrowth*bodySize+growthFloor, MaxMarkdown),
	}
}

func (w *writer) top() *frame { return &w.frames[len(w.frames)-1] }

// open begins a container.
func (w *writer) open(first, rest string) {
	if len(w.frames) > maxFrames {
		rest = ""
		w.flattened++
	}
	w.frames = append(w.frames, frame{first: first, rest: rest})
}

// close ends the innermost container and reports whether anything was written in it.
func (w *writer) close() bool {
	started := w.top().started
	w.frames = w.frames[:len(w.frames)-1]
	return started
}

// block begins a block of the kind in the innermost container: it writes the blank line that
// separates it from the block before.
func (w *writer) block(kind blockKind) {
	w.begin(kind, w.top().last != alertLine || kind != paragraphBlock)
}

// list begins a list; number is the first item's number, if the list is numbered. Directly after
// its item's text it needs no blank line, unless it starts with a number other than 1: such a list
// cannot interrupt a paragraph.
func (w *writer) list(kind blockKind, number int) {
	f := w.top()
	tight := (number == 1 || !kind.isNumbered()) && (f.last == alertLine || f.last == paragraphBlock && len(w.frames) > 1 && f.rest != quotePrefix)
	w.begin(kind, !tight)
}

func (w *writer) begin(kind blockKind, apart bool) {
	f := w.top()
	if !f.started && kind != paragraphBlock && strings.HasSuffix(f.first, "] ") {
		w.blank() // only text can follow a task's box, and it becomes a paragraph
		f.blocks, apart = 1, true
	}
	if f.blocks > 0 && apart {
		w.blank()
	}
	f.blocks++
	f.last = kind
}

const quotePrefix = "> "

// line writes the prefixes before the text of a line.
func (w *writer) line() {
	if len(w.out) > w.limit {
		w.overflow = true
	}
	for i := range w.frames {
		f := &w.frames[i]
		if f.started {
			w.out = append(w.out, f.rest...)
			continue
		}
		f.started = true
		w.out = append(w.out, f.first...)
	}
}

// blank writes an empty line.
func (w *writer) blank() {
	w.line()
	w.end()
}

// end ends a line without trailing spaces.
func (w *writer) end() {
	for len(w.out) > 0 && w.out[len(w.out)-1] == ' ' {
		w.out = w.out[:len(w.out)-1]
	}
	w.out = append(w.out, '\n')
}

// verbatim writes lines unchanged, each behind its prefix. Empty lines get no trailing spaces.
func (w *writer) verbatim(text string) {
	for {
		line, rest, more := strings.Cut(text, "\n")
		w.line()
		if line == "" {
			w.end()
		} else {
			w.out = append(w.out, line...)
			w.out = append(w.out, '\n')
		}
		if !more || w.overflow {
			return
		}
		text = rest
	}
}

// lastBlock is the kind of the previous block in the innermost container.
func (w *writer) lastBlock() blockKind { return w.top().last }

// mark is a point to which the output can be reset.
type mark struct {
	size, blocks, started int
	last                  blockKind
}

func (w *writer) mark() mark {
	m := mark{size: len(w.out), blocks: w.top().blocks, last: w.top().last}
	for m.started < len(w.frames) && w.frames[m.started].started {
		m.started++
	}
	return m
}

// rewind undoes a block of the innermost container that stayed empty.
func (w *writer) rewind(m mark) {
	w.out = w.out[:m.size]
	w.top().blocks, w.top().last = m.blocks, m.last
	for i := m.started; i < len(w.frames); i++ {
		w.frames[i].started = false
	}
}

// reopen continues a closed list item.
func (w *writer) reopen(indent string) {
	w.open(indent, indent)
	f := w.top()
	f.started, f.blocks, f.last = true, 1, paragraphBlock
}

// lines writes the lines of a paragraph.
func (w *writer) lines(text []byte) {
	for {
		line, rest, more := bytes.Cut(text, []byte{'\n'})
		w.line()
		w.out = append(w.out, line...)
		w.end()
		if !more || w.overflow {
			return
		}
		text = rest
	}
}
