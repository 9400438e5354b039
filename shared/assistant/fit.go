package assistant

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// envelope is what an answer takes as JSON beside what is put into it.
const envelope = 700

// purse holds the bytes that an answer may still take. An answer says everything twice, as text and as
// structured content, since clients read one or the other.
type purse struct{ left int }

// costs is what a value takes as JSON, with the comma behind it.
func costs(parts ...any) int {
	sum := 0
	for _, p := range parts {
		wire, err := json.Marshal(p)
		if err != nil {
			return 1 << 30 // which nothing can pay
		}
		sum += len(wire) + 1
	}
	return sum
}

// pay takes what the parts cost, or nothing where that is too much.
func (p *purse) pay(parts ...any) bool {
	cost := costs(parts...)
	if cost > p.left {
		return false
	}
	p.left -= cost
	return true
}

// fit returns the longest beginning of a text that costs at most so much where it is said twice. It ends
// with a line, or a word, where that does not lose more than a fifth.
func fit(s string, room int) string {
	if 2*costs(s) <= room {
		return s
	}
	low, high := 0, min(len(s), max(room, 0))
	for low < high {
		mid := (low + high + 1) / 2
		if 2*costs(s[:mid]) <= room {
			low = mid
		} else {
			high = mid - 1
		}
	}
	for low > 0 && !utf8.RuneStart(s[low]) {
		low--
	}
	for _, end := range []string{"\n", " "} {
		if at := strings.LastIndex(s[:low], end); at >= low*4/5 && at > 0 {
			return s[:at+1]
		}
	}
	return s[:low]
}
