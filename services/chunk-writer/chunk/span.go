package chunk

import (
	"math"
	"unicode/utf8"
)

// span is a measured text. The estimate of two concatenated texts follows from their spans, so that
// no text is measured again as part of a longer one.
type span struct {
	first, last class // of the first character and of the last; none for no text
	many        bool  // more than one run
	head, run   uint8 // remaining weight of the first of many runs and of the last, below one token
	done        int   // tokens of all runs, without those two rests
}

// spanOf measures a text.
func spanOf(s string) span {
	p, _ := spanWithin(s, math.MaxInt)
	return p
}

// spanWithin measures a text, but stops and returns false as soon as it has more than limit tokens.
func spanWithin(s string, limit int) (span, bool) {
	var (
		p    span
		done int
		run  int
		i    int
	)
	for i < len(s) {
		var (
			c      class
			weight int
		)
		if c = asciiClass[s[i]]; c != none {
			from := i
			for i++; i < len(s) && asciiClass[s[i]] == c; i++ {
			}
			weight = (i - from) * int(asciiWeight[c])
		} else {
			r, n := utf8.DecodeRuneInString(s[i:])
			c, weight = weigh(r)
			i += n
		}
		switch {
		case c == p.last, c == lower && p.last == upper:
			p.last = c
			run += weight
			continue
		case p.many:
			done += runTokens(p.last, run)
		case p.last != none:
			p.many = true
			done, p.head = run/scale, uint8(run%scale)
		default:
			p.first = c
		}
		if done > limit {
			return span{}, false
		}
		p.last, run = c, weight
	}
	p.done, p.run = done+run/scale, uint8(run%scale)
	return p, p.tokens() <= limit
}

// tokens returns the estimate of the text.
func (p span) tokens() int {
	n := p.done + runTokens(p.last, int(p.run))
	if p.many {
		n += runTokens(p.first, int(p.head))
	}
	return n
}

// then returns the span of p's text followed by q's.
func (p span) then(q span) span {
	switch {
	case p.first == none:
		return q
	case q.first == none:
		return p
	}
	out := span{first: p.first, last: q.last, many: true, head: p.head, run: q.run, done: p.done + q.done}
	if q.first != p.last && (q.first != lower || p.last != upper) { // two runs meet
		if p.many {
			out.done += runTokens(p.last, int(p.run))
		} else {
			out.head = p.run
		}
		if q.many {
			out.done += runTokens(q.first, int(q.head))
		}
		return out
	}
	joint := int(p.run) + int(q.run) // one run continues
	if q.many {
		joint = int(p.run) + int(q.head)
	}
	switch {
	case p.many && q.many:
		out.done += runTokens(p.last, joint)
		return out
	case q.many:
		out.head = uint8(joint % scale) //nolint:gosec // the remainder of a division by 120
	default:
		out.many, out.head, out.run = p.many, p.head, uint8(joint%scale) //nolint:gosec // the remainder of a division by 120
	}
	out.done += joint / scale
	return out
}
