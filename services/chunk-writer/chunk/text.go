package chunk

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Ellipsis begins the continuation of a sentence, a cell or a list item from an earlier chunk.
const Ellipsis = "…"

// push adds a unit without trailing white space, unless it is empty then.
func (s *splitter) push(u unit) {
	text := strings.TrimRightFunc(s.src[u.start:u.end], unicode.IsSpace)
	if text == "" {
		return
	}
	u.end = u.start + len(text)
	u.alone = u.alone || s.after
	s.after = false
	s.units = append(s.units, u)
}

func (s *splitter) lineEnd(at, limit int) int {
	if n := strings.IndexByte(s.src[at:limit], '\n'); n >= 0 {
		return at + n
	}
	return limit
}

// skip returns the offset of the first text at or after at: it skips white space and, at the
// beginning of a line, the marks of quotes quotes.
func (s *splitter) skip(at, limit, quotes int) int {
	left := 0
	if at == 0 || s.src[at-1] == '\n' {
		left = quotes
	}
	for at < limit {
		r, n := utf8.DecodeRuneInString(s.src[at:limit])
		switch {
		case r == '\n':
			left = quotes
		case r == '>' && left > 0:
			left--
		case !unicode.IsSpace(r):
			return at
		}
		at += n
	}
	return limit
}

// lineStyle says how to turn lines into units.
type lineStyle struct {
	lead, tail string // of a chunk that begins or ends between lines
	mid        string // lead of a chunk that begins inside a line
	room       int    // tokens of the first unit
	hard       bool   // the lead is never dropped
	held       int    // number of lines that the first unit keeps with it where they fit
}

// lines adds the units of the lines from start to end and returns the tokens of the last unit, 0
// when it is part of a line. Short lines are grouped depending on their own text, not on their
// position.
func (s *splitter) lines(start, end int, style lineStyle) int {
	tail := Estimate(style.tail)
	later := max(s.max-Estimate(style.mid)-tail, s.max/8)
	first := min(style.room-tail, later)
	open, gap, n := 0, 0, 0 // tokens of the current unit, blank lines before this one, lines so far
	for at := start; at < end; {
		stop := s.lineEnd(at, end)
		line := strings.TrimRightFunc(s.src[at:stop], unicode.IsSpace)
		if line == "" {
			gap++
			at = stop + 1
			continue
		}
		size, room := Estimate(line), later
		held := open > 0 && n <= style.held
		switch {
		case held:
			room = first - open - 1 - gap
		case n == 0:
			room = first
		}
		switch {
		case size > room:
			s.longLine(at, stop, style, max(room, s.max/8))
			open = 0
		case held, open > 0 && gap == 0 && open+size+1 <= room/8 && hash(line)%4 != 0:
			s.units[len(s.units)-1].end = at + len(line)
			open += size + 1 + gap
		default:
			s.push(unit{
				start: at, end: stop, lead: style.lead, tail: style.tail,
				soft: !style.hard, rank: lineRank(line, gap > 0),
			})
			open = size
		}
		gap = 0
		n++
		at = stop + 1
	}
	return open
}

// lineRank prefers the seam before a line that follows a blank line, and before a line without
// indentation, where a function or an element begins.
func lineRank(line string, afterBlank bool) rank {
	outer := line[0] != ' ' && line[0] != '\t' && line[0] != '}'
	switch {
	case afterBlank && outer:
		return rankItem
	case afterBlank, strings.HasPrefix(strings.TrimLeft(line, " \t"), "<tr"):
		return rankInner
	}
	return rankLine
}

// longLine cuts a line that is larger than a chunk.
func (s *splitter) longLine(start, end int, style lineStyle, room int) {
	from := s.skip(start, end, 0)
	indent := Estimate(s.src[start:from])
	if indent > room/4 {
		start, indent = from, 0
	}
	first := len(s.units)
	s.words(start, from, end, textStyle{lead: style.mid, marked: style.mid, tail: style.tail, room: room - indent})
	if len(s.units) > first && style.hard && s.units[first].start != from {
		s.units[first].lead = style.lead
	}
}

// textStyle says how to turn running text into units.
type textStyle struct {
	lead   string // of a part that begins with a letter
	marked string // of any other part, which could look like the beginning of a block
	tail   string
	room   int
	quotes int
}

// paragraphParts cuts a paragraph between sentences, then between words.
func (s *splitter) paragraphParts(b *block, f *frame, room int) {
	style := textStyle{lead: f.open + f.prefix, marked: f.open + f.prefix + Ellipsis + " ", quotes: f.quotes}
	before := Estimate(s.src[b.start:b.body])
	if before > room/4 { // see block
		before = 0
	}
	style.room = max(min(room-before, s.max-Estimate(style.marked)), s.max/8)
	s.sentences(b.body, b.body, b.end, style)
}

// sentences adds the units of a text; the first begins at start.
func (s *splitter) sentences(start, from, end int, style textStyle) {
	for from < end {
		stop, next := s.sentence(from, end, style.quotes)
		if Estimate(s.src[start:stop]) <= style.room {
			s.pushText(start, stop, rankSentence, style)
		} else {
			s.words(start, from, stop, style)
		}
		start, from = next, next
	}
}

func (s *splitter) pushText(start, end int, r rank, style textStyle) {
	if start >= end {
		return
	}
	lead := style.marked
	if c, _ := utf8.DecodeRuneInString(s.src[start:]); unicode.IsLetter(c) {
		lead = style.lead
	}
	s.push(unit{start: start, end: end, rank: r, lead: lead, tail: style.tail})
}

// sentence returns the end of the sentence at from and the start of the next. A sentence ends at a
// hard line break, and at a full stop, exclamation mark or question mark without a small letter
// behind it.
func (s *splitter) sentence(from, end, quotes int) (stop, next int) {
	for i := from; i < end; {
		r, n := utf8.DecodeRuneInString(s.src[i:end])
		i += n
		switch r {
		case '\\':
			if i < end && s.src[i] == '`' {
				i++
			}
		case '`':
			i = s.codeEnd(i-1, end)
		case '.', '!', '?', '؟', '।':
			j := s.closers(i, end)
			if j < end && s.src[j] != ' ' && s.src[j] != '\n' {
				continue
			}
			k := s.skip(j, end, quotes)
			if c, _ := utf8.DecodeRuneInString(s.src[k:end]); k < end && unicode.IsLower(c) {
				continue
			}
			if !s.cuttable(k, end) {
				continue
			}
			return j, k
		case '。', '！', '？', '．':
			j := s.closers(i, end)
			if k := s.skip(j, end, quotes); s.cuttable(k, end) {
				return j, k
			}
		case '>':
			if strings.HasSuffix(s.src[from:i], "<br>") { // a line of a table's cell
				if k := s.skip(i, end, quotes); s.cuttable(k, end) {
					return i, k
				}
			}
		case '\n':
			if line := s.src[from : i-1]; strings.HasSuffix(line, "  ") || strings.HasSuffix(line, `\`) {
				return i - 1, s.skip(i, end, quotes)
			}
		}
	}
	return end, end
}

// codeEnd returns the offset behind the code span that begins at at, or behind its backticks if the
// span is not closed. A cut inside code would turn the rest into text, and its tags into HTML.
func (s *splitter) codeEnd(at, end int) int {
	const longest = 4000 // limit of the search for the end, in bytes
	run := leading(s.src[at:end], '`')
	limit := min(end, at+longest)
	for i := at + run; i < limit; {
		n := strings.IndexByte(s.src[i:limit], '`')
		if n < 0 {
			break
		}
		i += n
		if n = leading(s.src[i:end], '`'); n == run {
			return i + n
		}
		i += n
	}
	return at + run
}

// closers passes over the quotes, brackets and emphasis that can end a sentence.
func (s *splitter) closers(at, end int) int {
	for at < end {
		r, n := utf8.DecodeRuneInString(s.src[at:end])
		if !strings.ContainsRune("\"')]*_`”’»」』）】", r) {
			break
		}
		at += n
	}
	return at
}

// words adds the units of a sentence that does not fit. It groups short words.
func (s *splitter) words(start, from, end int, style textStyle) {
	few := max(style.room/16, 1)
	open, last := 0, start // tokens and end of the current unit, which begins at start
	for at := from; at < end; {
		stop, next := s.word(at, end, style.quotes)
		word := s.src[at:stop]
		size := Estimate(word)
		if open > 0 && (open+size+1 > 2*few || open >= few && hash(word)%4 == 0) {
			s.pushText(start, last, rankWord, style)
			start, open = at, 0
		}
		if size > style.room {
			if open > 0 {
				s.pushText(start, last, rankWord, style)
				start = at
			}
			s.graphemes(start, at, stop, style)
			start, open = next, 0
		} else {
			open += size + s.between(stop, next)
		}
		last = stop
		at = next
	}
	if open > 0 {
		s.pushText(start, last, rankWord, style)
	}
}

// word returns the end of the word at from and the start of the next.
func (s *splitter) word(from, end, quotes int) (stop, next int) {
	for stop = from; stop < end; stop = next {
		n := strings.IndexFunc(s.src[stop:end], func(r rune) bool { return r == '`' || unicode.IsSpace(r) })
		if n < 0 {
			break
		}
		stop += n
		if s.src[stop] == '`' {
			next = stop + 1
			if stop == from || s.src[stop-1] != '\\' {
				next = s.codeEnd(stop, end)
			}
			continue
		}
		if next = s.skip(stop, end, quotes); s.cuttable(next, end) {
			return stop, next
		}
	}
	return end, end
}

// cuttable reports whether the character at offset at begins a grapheme even behind a space. A
// combining mark does not.
func (s *splitter) cuttable(at, end int) bool {
	if at >= end || s.src[at] < utf8.RuneSelf {
		return true
	}
	_, n := utf8.DecodeRuneInString(s.src[at:end])
	return uniseg.GraphemeClusterCount("a"+s.src[at:at+n]) == 2
}

// between returns the tokens of the text between two words.
func (s *splitter) between(from, to int) int {
	if to == from+1 && s.src[from] == ' ' {
		return 0
	}
	return Estimate(s.src[from:to])
}

// graphemes adds the units of a word that does not fit, cutting behind punctuation where it can.
func (s *splitter) graphemes(start, at, end int, style textStyle) {
	few := max(style.room/8, 1)
	var m meter
	r := rankWord
	state := -1
	for rest := s.src[at:end]; rest != ""; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		more := m
		more.addString(cluster)
		if at > start && more.tokens() > few {
			s.pushText(start, at, r, style)
			start, r = at, rankCut
			more = meter{}
			more.addString(cluster)
		}
		m = more
		at += len(cluster)
		if m.tokens() > few/2 && strings.Contains(cutAfter, cluster) {
			s.pushText(start, at, r, style)
			start, r = at, rankCut
			m = meter{}
		}
	}
	s.pushText(start, end, r, style)
}

// hash is FNV-1a of the beginning of s.
func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := range min(len(s), 64) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

// cutAfter are the preferred characters to cut behind in text without white space.
const cutAfter = ",;)}]>|/、，；："
