package extract

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// headingSizes finds the sizes of letters that are headings: well above that of most of the text, of few
// and short lines. The largest comes first; there are at most three. Where most text has no one size,
// there are none.
func headingSizes(pages [][]pdfLine) []float64 {
	chars, lines, longest := map[float64]int{}, map[float64]int{}, map[float64]int{}
	total, count := 0, 0
	for _, p := range pages {
		for _, l := range p {
			n := utf8.RuneCountInString(l.text)
			chars[l.size] += n
			lines[l.size]++
			longest[l.size] = max(longest[l.size], n)
			total += n
			count++
		}
	}
	body := 0.0
	for size, n := range chars {
		if n > chars[body] || n == chars[body] && size < body {
			body = size
		}
	}
	if total == 0 || body == 0 || chars[body]*3 < total {
		return nil
	}
	var sizes []float64
	for size := range chars {
		if size >= body*1.15 && longest[size] <= 150 && lines[size]*4 <= count+3 {
			sizes = append(sizes, size)
		}
	}
	slices.Sort(sizes)
	slices.Reverse(sizes)
	return sizes[:min(len(sizes), 3)]
}

// layPage writes the lines of a page: headings by their size, paragraphs where the lines stand apart. A
// table stays the text that it is, line by line.
func layPage(lines []pdfLine, headings []float64) string {
	var b strings.Builder
	var before pdfLine
	gap := usualGap(lines)
	heading := -1 // the index of the level of the heading that is being written
	for i, l := range lines {
		level := slices.Index(headings, l.size)
		apart := i > 0 && (l.size != before.size || gap > 0 && (before.top-l.top > gap*1.45 || l.top > before.top+gap/2))
		text := strings.ReplaceAll(l.text, string(lineHyphen), "\u00ad")
		joined := strings.HasSuffix(before.text, string(lineHyphen))
		switch {
		case i == 0:
		case joined:
		case level >= 0 && level == heading && !apart:
			b.WriteByte(' ') // a heading of two lines
		case level >= 0 || heading >= 0 || apart:
			b.WriteString("\n\n")
		default:
			b.WriteByte('\n')
		}
		if level >= 0 && (level != heading || apart) && !joined {
			b.WriteString(strings.Repeat("#", 3+level) + " ")
		}
		text = strings.TrimSuffix(text, "\u00ad")
		b.WriteString(escape(strings.ReplaceAll(text, "\u00ad", "-")))
		heading, before = level, l
	}
	return b.String()
}

// usualGap returns the distance of lines of one size that is most usual on a page, the smaller of two.
func usualGap(lines []pdfLine) float64 {
	count := map[int]int{}
	for i := 1; i < len(lines); i++ {
		if d := lines[i-1].top - lines[i].top; lines[i].size == lines[i-1].size && d > 1 && d < 200 {
			count[int(d*2+0.5)]++
		}
	}
	best := 0
	for d, n := range count {
		if n > count[best] || n == count[best] && d < best {
			best = d
		}
	}
	return float64(best) / 2
}
