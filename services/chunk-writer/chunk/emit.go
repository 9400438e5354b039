package chunk

// chunk turns a piece into a chunk.
func (p *plan) chunk(c piece) Chunk {
	st := &p.stems[c.stem]
	first, last := &p.units[c.from], &p.units[c.to-1]
	start, lead := first.start, first.lead
	again := ""
	if c.from > st.from {
		again = st.again
	}
	text := p.spanOfUnits(c)
	repeated := 0
	if again != "" {
		repeated = st.cost
	}
	switch size := text.tokens() + last.tailSize; {
	case size+repeated+first.leadSize <= p.max:
	case size+first.leadSize <= p.max:
		again = ""
	case first.soft:
		again, lead = "", ""
	default:
		again = ""
	}
	if c.from > st.from && p.opts.OverlapTokens > 0 && !first.alone {
		if start, lead = p.overlap(c, again, lead); start != first.start {
			text = spanOf(p.src[start:last.end])
		}
	}
	out := Chunk{
		Content:      again + lead + p.src[start:last.end] + last.tail,
		SectionTitle: st.sec.title,
		HeadingPath:  st.sec.path,
		Anchor:       st.sec.anchor,
		CitationURL:  st.sec.cite,
		lead:         len(again) + len(lead) + first.start - start,
		tail:         len(last.tail),
	}
	out.measure(spanOf(again + lead).then(text).then(spanOf(last.tail)))
	return out
}

// spanOfUnits measures the text from the first unit of c to its last.
func (p *plan) spanOfUnits(c piece) span {
	const short = 48 // texts up to this many bytes are measured faster than spans are combined
	if start, end := p.units[c.from].start, p.units[c.to-1].end; end-start < short*(c.to-c.from) {
		return spanOf(p.src[start:end])
	}
	text := p.units[c.from].span
	for k := c.from + 1; k < c.to; k++ {
		text = text.then(spanOf(p.src[p.units[k-1].end:p.units[k].start])).then(p.units[k].span)
	}
	return text
}

// overlap returns the start of c's chunk at which it repeats up to OverlapTokens of the previous
// piece in its stem, and the lead needed there; plain is the lead without overlap.
func (p *plan) overlap(c piece, again, plain string) (start int, lead string) {
	first, last := &p.units[c.from], &p.units[c.to-1]
	start, lead = first.start, plain
	room := p.max - Estimate(again) - Estimate(last.tail)
	try := func(u *unit) bool {
		if Estimate(p.src[u.start:first.start]) > p.opts.OverlapTokens {
			return false
		}
		if !u.glue && u.rank < rankWord && Estimate(u.lead)+Estimate(p.src[u.start:last.end]) <= room {
			start, lead = u.start, u.lead
		}
		return true
	}
	for k := c.from - 1; k >= p.stems[c.stem].from; k-- {
		u := &p.units[k]
		if u.block != nil && u.block.kind == heading || u.alone {
			break
		}
		if try(u) {
			continue
		}
		if u.block == nil {
			break
		}
		fine := splitter{src: p.src, max: max(p.opts.OverlapTokens, LeastMaxTokens)}
		fine.parts(u.block, u.frame, p.opts.OverlapTokens)
		for j := len(fine.units) - 1; j > 0 && try(&fine.units[j]); j-- {
		}
		break
	}
	return start, lead
}
