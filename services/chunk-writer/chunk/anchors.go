package chunk

import (
	"strings"
	"unicode"

	"github.com/sluicehq/sluice/shared/page"
)

// match finds the heading of each section among the headings that the converter has found, nil if
// there is none. Both lists are in document order and nearly always the same; where they differ,
// match takes the longest run of headings that agree in order.
func match(all []*section, headings []page.Heading) []*page.Heading {
	out := make([]*page.Heading, len(all))
	if len(headings) == 0 {
		return out
	}
	left := make([]string, len(all))
	for i, s := range all {
		if s.head != nil {
			left[i] = normal(s.title)
		}
	}
	right := make([]string, len(headings))
	for i, h := range headings {
		right[i] = normal(h.Text)
	}
	from, to, endTo := 0, len(left), len(right)
	if all[0].head == nil {
		from = 1
	}
	j := 0
	for ; from < to && j < endTo && left[from] == right[j]; from, j = from+1, j+1 {
		out[from] = &headings[j]
	}
	for ; to > from && endTo > j && left[to-1] == right[endTo-1]; to, endTo = to-1, endTo-1 {
		out[to-1] = &headings[endTo-1]
	}
	for _, pair := range common(left[from:to], right[j:endTo]) {
		out[from+pair[0]] = &headings[j+pair[1]]
	}
	return out
}

// common returns the pairs of a longest common subsequence of a and b. If that would take more than
// a million comparisons, each element of a takes the next equal element of b instead.
func common(a, b []string) [][2]int {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	if len(a)*len(b) > 1_000_000 {
		return ahead(a, b)
	}
	width := len(b) + 1
	best := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				best[i*width+j] = best[(i+1)*width+j+1] + 1
			} else {
				best[i*width+j] = max(best[(i+1)*width+j], best[i*width+j+1])
			}
		}
	}
	var pairs [][2]int
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			pairs = append(pairs, [2]int{i, j})
			i, j = i+1, j+1
		case best[(i+1)*width+j] >= best[i*width+j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}

func ahead(a, b []string) [][2]int {
	places := make(map[string][]int, len(b))
	for j, text := range b {
		places[text] = append(places[text], j)
	}
	var pairs [][2]int
	next := 0
	for i, text := range a {
		p := places[text]
		for len(p) > 0 && p[0] < next {
			p = p[1:]
		}
		if len(p) > 0 {
			pairs = append(pairs, [2]int{i, p[0]})
			next = p[0] + 1
			p = p[1:]
		}
		places[text] = p
	}
	return pairs
}

// normal keeps the parts of a title that do not depend on its spelling: letters, digits and
// symbols, in small letters. It returns a title without any of them unchanged.
func normal(s string) string {
	n := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) || r > unicode.MaxLatin1 && unicode.IsSymbol(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
	if n == "" {
		return strings.TrimSpace(s)
	}
	return n
}
