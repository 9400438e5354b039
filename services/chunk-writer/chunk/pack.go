package chunk

import "math"

// plan cuts a document: it groups units into stems, then cuts and merges them into pieces.
type plan struct {
	splitter
	opts   Options
	stems  []stem
	pieces []piece
}

// stem is cut separately: a section with the headings directly above it that have no text of their
// own.
type stem struct {
	from, to int      // units
	sec      *section // the innermost section, which holds the text
	level    int      // of the highest heading in it
	again    string   // the repeated heading with a blank line; "" if it is too long
	cost     int      // tokens of again
}

// piece becomes one chunk.
type piece struct {
	from, to int // units
	stem     int
	level    int
	size     int
	whole    bool // the whole stem
}

func newPlan(src string, d Document, o Options) *plan {
	p := &plan{splitter: splitter{src: src, max: o.MaxTokens}, opts: o}
	p.addStems(sections(src, parse(src), d))
	p.measure()
	for i := range p.stems {
		p.cut(i)
	}
	p.pieces = p.merge(p.pieces)
	return p
}

// addStems turns the sections into units. Headings without text join the next section as far as
// they fit; the last ones of the document stay alone.
func (p *plan) addStems(all []*section) {
	from, level, heads := 0, 7, 0 // of the current stem; heads: tokens of its headings
	flush := func(sec *section) {
		st := stem{from: from, to: len(p.units), sec: sec, level: level}
		st.again, st.cost = p.repeated(sec)
		p.stems = append(p.stems, st)
		from, level, heads = len(p.units), 7, 0
	}
	for i, sec := range all {
		if sec.head != nil {
			size := Estimate(p.src[sec.head.start:sec.head.end]) + 1
			if heads > 0 && heads+size > p.max/2 {
				flush(all[i-1])
			}
			first := len(p.units)
			p.block(sec.head, &frame{}, p.max, rankBlock)
			p.units[first].glue = heads > 0
			heads += size
		}
		level = min(level, sec.level)
		if len(sec.blocks) > 0 {
			p.addBlocks(sec, heads)
			flush(sec)
		} else if i+1 == len(all) {
			flush(sec)
		}
	}
}

// repeated returns a section's heading as its chunks repeat it, and its size in tokens.
func (p *plan) repeated(sec *section) (again string, cost int) {
	if sec.head == nil {
		return "", 0
	}
	again = sec.line + "\n\n"
	if cost = Estimate(again); cost > p.max/8 {
		return "", 0
	}
	return again, cost
}

// addBlocks adds the units of a section's text. The first unit fits together with the headings
// above it and is not cut off from them, like any unit under a title.
func (p *plan) addBlocks(sec *section, heads int) {
	over := title{size: heads}
	_, cost := p.repeated(sec)
	p.again = cost + p.opts.OverlapTokens
	for i, b := range sec.blocks {
		r := rankBlock
		if i > 0 && sec.blocks[i-1].kind == paragraph && b.kind != paragraph && b.kind != rule {
			r = rankLead
		}
		over = p.under(over, b, &frame{}, p.max, r)
	}
}

// measure fills in the sizes of the units.
func (p *plan) measure() {
	var lead, tail string
	var leadSize, tailSize int
	for i := range p.units {
		u := &p.units[i]
		if u.spanEnd != u.end {
			u.measured(spanOf(p.src[u.start:u.end]))
		}
		u.size = u.span.tokens()
		if u.rank == rankCut {
			u.size++ // for a run of spaces that a seam may cut
		}
		u.key = hash(p.src[u.start:u.end])
		if i+1 < len(p.units) {
			u.gap = Estimate(p.src[u.end:p.units[i+1].start])
		}
		if u.lead != lead {
			lead, leadSize = u.lead, Estimate(u.lead)
		}
		if u.tail != tail {
			tail, tailSize = u.tail, Estimate(u.tail)
		}
		u.leadSize, u.tailSize = leadSize, tailSize
	}
}

// cut makes pieces of a stem. Each has at most MaxTokens and, where there is a choice, at least
// half of that, so that the text can decide.
func (p *plan) cut(i int) {
	st := &p.stems[i]
	left := 0 // tokens from the current unit to the end
	for k := st.from; k < st.to; k++ {
		left += p.units[k].size + p.units[k].gap
	}
	for from := st.from; from < st.to; {
		to, size := p.next(st, from, left)
		p.pieces = append(p.pieces, piece{
			from: from, to: to, stem: i, level: st.level, size: size,
			whole: from == st.from && to == st.to,
		})
		for ; from < to; from++ {
			left -= p.units[from].size + p.units[from].gap
		}
	}
}

// seam is a possible end of a piece and its score; lower is better.
type seam struct {
	to, size int
	score    uint64
}

// next returns the end of the piece that begins at from, and its tokens.
func (p *plan) next(st *stem, from, left int) (to, size int) {
	u := p.units
	limit := p.limit(st, from)
	acc := u[from].leadSize
	if u[from].soft && acc+u[from].size+u[from].tailSize > limit {
		acc = 0
	}
	best := seam{score: math.MaxUint64}
	var last, fits seam
	k := from
	for ; k < st.to; k++ {
		if k > from && (u[k].alone || acc+u[k].size+u[k].tailSize > limit) {
			break
		}
		acc += u[k].size
		left -= u[k].size + u[k].gap
		fits = seam{to: k + 1, size: acc + u[k].tailSize}
		if k+1 < st.to && !u[k+1].glue {
			last = fits
			if acc >= limit/2 {
				fits.score = p.score(&u[k+1], left)
				if fits.score <= best.score {
					best = fits
				}
			}
		}
		acc += u[k].gap
	}
	switch {
	case k == st.to: // the whole rest fits
		return fits.to, fits.size
	case best.to > 0:
		return best.to, best.size
	case last.to > 0:
		return last.to, last.size
	}
	return fits.to, fits.size
}

// limit returns the maximum tokens of a piece, for the document's text and its leads.
func (p *plan) limit(st *stem, from int) int {
	limit := p.max
	if from == st.from {
		return limit
	}
	limit -= p.opts.OverlapTokens
	u := &p.units[from]
	if u.leadSize+u.size+u.tailSize <= limit-st.cost {
		limit -= st.cost
	}
	return max(limit, 1)
}

// score rates a cut before u with left tokens behind the seam; lower is better. A nearly empty rest
// counts first, then the rank, then the hash of the text.
func (p *plan) score(u *unit, left int) uint64 {
	score := uint64(u.rank)<<32 | uint64(u.key)
	if left < p.opts.MinTokens {
		score |= 1 << 48
	}
	return score
}

// merge merges each section of less than MinTokens with the next ones beside or below it, and the
// last such section with the previous piece if that is beside or above it. The next section must be
// whole: otherwise a chunk with one short section and the beginning of a long one would carry the
// short section's name and address.
func (p *plan) merge(in []piece) []piece {
	out := make([]piece, 0, len(in))
	for i := 0; i < len(in); {
		if !p.small(in[i]) {
			out = append(out, in[i])
			i++
			continue
		}
		end := i + 1
		for end < len(in) && p.small(in[end]) {
			end++
		}
		for i < end {
			group, n := p.group(in[i:end])
			i += n
			if i == end && group.size < p.opts.MinTokens {
				switch {
				case i < len(in) && in[i].whole && p.fits(group, in[i]):
					group = p.join(group, in[i])
					i++
				case len(out) > 0 && p.fits(out[len(out)-1], group):
					out[len(out)-1] = p.join(out[len(out)-1], group)
					continue
				}
			}
			out = append(out, group)
		}
	}
	return out
}

func (p *plan) small(c piece) bool { return c.whole && c.size < p.opts.MinTokens }

// fits reports whether b can follow a in one chunk: it is not higher in the document's outline, it
// need not begin a chunk, and there is room.
func (p *plan) fits(a, b piece) bool {
	return b.level >= a.level && !p.units[b.from].alone && p.joined(a, b) <= p.max
}

func (p *plan) joined(a, b piece) int { return a.size + p.units[a.to-1].gap + b.size }

func (p *plan) join(a, b piece) piece {
	return piece{from: a.from, to: b.to, stem: a.stem, level: a.level, size: p.joined(a, b)}
}

// group merges the start of a run of small pieces and returns how many pieces it took. As in next,
// the text chooses among the ends that leave at least MinTokens, higher headings first.
func (p *plan) group(run []piece) (group piece, taken int) {
	limit := max(p.max/2, 2*p.opts.MinTokens)
	group = run[0]
	best, score := group, uint64(math.MaxUint64)
	bestTaken := 0
	for n := 1; ; n++ {
		if n == len(run) || !p.fits(group, run[n]) {
			return group, n
		}
		if group.size >= p.opts.MinTokens {
			key := uint64(run[n].level)<<32 | uint64(p.units[run[n].from].key) //nolint:gosec // a heading's level is 1 to 6
			if key <= score {
				best, bestTaken, score = group, n, key
			}
		}
		if bestTaken > 0 && p.joined(group, run[n]) > limit {
			return best, bestTaken
		}
		group = p.join(group, run[n])
	}
}
