package extract

import (
	"fmt"
	"strings"
)

// numbering counts the items of a docx's lists.
type numbering struct {
	levels  map[string][]numberLevel // by abstract numbering
	of      map[string]string        // numbering → abstract numbering
	counted map[string][]int         // by abstract numbering: the number at each depth
}

type numberLevel struct {
	format string // decimal, bullet, lowerLetter, …
	text   string // "%1.%2"
	start  int
}

func readNumbering(p *pack, name string) (*numbering, error) {
	n := &numbering{levels: map[string][]numberLevel{}, of: map[string]string{}, counted: map[string][]int{}}
	if name == "" {
		return n, nil
	}
	root, err := p.tree(name)
	if err != nil || root == nil {
		return n, err
	}
	for _, e := range root.children {
		switch e.name {
		case "abstractNum":
			levels := make([]numberLevel, 9)
			for _, l := range e.children {
				if i := number(l.attr("ilvl")); l.name == "lvl" && i < len(levels) {
					levels[i] = numberLevel{l.child("numFmt").attr("val"), l.child("lvlText").attr("val"), 1}
					if s := l.child("start"); s != nil {
						levels[i].start = number(s.attr("val"))
					}
				}
			}
			n.levels[e.attr("abstractNumId")] = levels
		case "num":
			n.of[e.attr("numId")] = e.child("abstractNumId").attr("val")
		}
	}
	return n, nil
}

// level returns how a list numbers at a depth.
func (n *numbering) level(num string, depth int) (numberLevel, bool) {
	levels := n.levels[n.of[num]]
	if depth >= len(levels) || levels[depth].format == "" || levels[depth].format == "none" {
		return numberLevel{}, false
	}
	return levels[depth], true
}

func (n *numbering) known(num string, depth int) bool {
	_, ok := n.level(num, depth)
	return ok
}

// next counts one more item and returns its label, such as "2.1", and whether it has a number.
func (n *numbering) next(num string, depth int) (label string, ordered bool) {
	l, ok := n.level(num, depth)
	if !ok {
		return "", false
	}
	all := n.levels[n.of[num]]
	at := n.counted[n.of[num]]
	if at == nil {
		at = make([]int, len(all))
		for i := range at {
			at[i] = all[i].start - 1
		}
		n.counted[n.of[num]] = at
	}
	at[depth]++
	for i := depth + 1; i < len(at); i++ {
		at[i] = all[i].start - 1
	}
	if l.format == "bullet" {
		return "", false
	}
	label = l.text
	for i := range depth + 1 {
		label = strings.ReplaceAll(label, fmt.Sprintf("%%%d", i+1), spelled(max(at[i], 1), all[i].format))
	}
	return strings.TrimSpace(label), true
}

func (n *numbering) count(num string, depth int) int {
	at := n.counted[n.of[num]]
	if depth >= len(at) {
		return 1
	}
	return at[depth]
}

// spelled writes a number as a list does.
func spelled(n int, format string) string {
	switch format {
	case "upperLetter":
		return column(n)
	case "lowerLetter":
		return strings.ToLower(column(n))
	case "upperRoman":
		return roman(n)
	case "lowerRoman":
		return strings.ToLower(roman(n))
	case "decimalZero":
		return fmt.Sprintf("%02d", n)
	}
	return fmt.Sprint(n)
}

func roman(n int) string {
	if n > 3999 {
		return fmt.Sprint(n)
	}
	var b strings.Builder
	for _, d := range []struct {
		value int
		sign  string
	}{{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}} {
		for ; n >= d.value; n -= d.value {
			b.WriteString(d.sign)
		}
	}
	return b.String()
}
