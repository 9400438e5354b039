package markdown

import (
	"unicode"
	"unicode/utf8"
)

// resolve decides for every span whether renderers would understand its Markdown delimiters in
// their place. A span that becomes HTML changes its neighbours' surroundings, hence the loop.
func (e *emitter) resolve() {
	for pass := 0; ; pass++ {
		changed := false
		stars := 0 // spans open with '*'
		for i := 0; i < len(e.tokens); {
			t := e.tokens[i]
			own := byte(0)
			if t.kind == tokenOpen || t.kind == tokenClose {
				own = e.spans[t.span].delimiter()
			}
			if own == 0 {
				i++
				continue
			}
			end := i + 1
			for end < len(e.tokens) && e.tokens[end].kind == t.kind && e.spans[e.tokens[end].span].delimiter() == own {
				end++
			}
			// A run inside another span of the same character must not be able to end that span or
			// to begin a new one: it must only open, or only close.
			outer := stars
			if own == '*' && t.kind == tokenOpen {
				stars += end - i
			} else if own == '*' {
				stars -= end - i
				outer = stars
			}
			if pass == 3 || !e.flanks(i, end, own, own == '*' && outer > 0) {
				for _, t := range e.tokens[i:end] {
					e.spans[t.span].html = true
				}
				if t.kind == tokenOpen {
					stars = outer
				}
				changed = true
			}
			i = end
		}
		if !changed {
			return
		}
	}
}

// flanks reports whether the run of delimiters in tokens[from:to] opens or closes as intended;
// strictly means that it must not be able to do the opposite.
func (e *emitter) flanks(from, to int, own byte, strictly bool) bool {
	opening := e.tokens[from].kind == tokenOpen
	if opening && from > 0 {
		// "**a***b*": a closing run and an opening run of the same character would merge.
		if before := e.tokens[from-1]; before.kind == tokenClose && e.spans[before.span].delimiter() == own {
			return false
		}
	}
	before, after := e.neighbour(from, -1), e.neighbour(to-1, 1)
	if own == '~' && before == '~' {
		return false // some renderers count the escaped one as part of the run
	}
	if !unicode.IsSpace(before) && e.mailNext(to) {
		return false // some renderers take the delimiter for the start of the address
	}
	if !opening {
		before, after = after, before // closing mirrors opening
	}
	return opens(before, after) && !(strictly && mayOpen(after, before))
}

// opens is CommonMark's rule for a delimiter between the two characters that may open. Renderers
// differ on whether symbols count as punctuation: opens holds for all of them, mayOpen for any of
// them.
func opens(before, after rune) bool {
	return !unicode.IsSpace(after) && (!unicode.IsPunct(after) && !unicode.IsSymbol(after) || unicode.IsSpace(before) || isPunct(before))
}

func mayOpen(before, after rune) bool {
	return !unicode.IsSpace(after) && (!isPunct(after) || unicode.IsSpace(before) || unicode.IsPunct(before) || unicode.IsSymbol(before))
}

func isPunct(r rune) bool { return unicode.IsPunct(r) || isASCIIPunct(r) }

// mailNext reports whether the text at token i begins with a mail address.
func (e *emitter) mailNext(i int) bool {
	if i == len(e.tokens) || e.tokens[i].kind != tokenText {
		return false
	}
	for _, c := range e.esc[e.tokens[i].start:e.tokens[i].end] {
		if c <= ' ' {
			return false
		}
		if c == '@' {
			return true
		}
	}
	return false
}

// neighbour returns the character next to token i in the direction.
func (e *emitter) neighbour(i, dir int) rune {
	for i += dir; i >= 0 && i < len(e.tokens); i += dir {
		t := e.tokens[i]
		switch {
		case t.kind == tokenBreak:
			return ' '
		case t.kind != tokenText:
			return '<' // another delimiter, a bracket or a tag: all are punctuation
		case t.start == t.end:
		case dir > 0:
			r, _ := utf8.DecodeRune(e.esc[t.start:t.end])
			return r
		default:
			r, _ := utf8.DecodeLastRune(e.esc[t.start:t.end])
			return r
		}
	}
	return ' '
}
