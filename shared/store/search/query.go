package search

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// asked is a query, taken apart.
type asked struct {
	text string   // all that is not excluded, without the quotes
	must []string // what stands between quotes
	not  []string // what is excluded
}

// longestQuery is how much of a query is looked at, in bytes: more than anybody types.
const longestQuery = 4000

// parse takes a query apart. Any of its words may match. Words between quotes must be there, and
// a word or quotes after " -" must not: a letter after the sign and one more, so that neither
// the options of a pasted command (--force, -n) nor a number (-1) are taken for it.
func parse(query string) asked {
	// A zero byte fits no text of the database.
	query = strings.NewReplacer("\x00", " ", "“", `"`, "”", `"`, "„", `"`).Replace(strings.ToValidUTF8(query, " "))
	if len(query) > longestQuery {
		query = strings.ToValidUTF8(query[:longestQuery], "")
	}
	var a asked
	var text []string
	for rest := strings.TrimSpace(query); rest != ""; rest = strings.TrimSpace(rest) {
		var part string
		part, rest = cutPart(rest)
		out := strings.TrimPrefix(part, "-")
		switch quote := strings.Trim(out, `"`); {
		case out != part && excludes(out):
			a.not = append(a.not, quote)
		case len(part) > 2 && part[0] == '"' && part[len(part)-1] == '"':
			a.must = append(a.must, quote)
			text = append(text, quote)
		default:
			text = append(text, part)
		}
	}
	a.text = strings.Join(text, " ")
	return a
}

// soften makes words of what stands between quotes, unless it is so short that just that must
// be meant. It reports whether there is such.
func (a *asked) soften() bool {
	before := len(a.must)
	a.must = slices.DeleteFunc(a.must, func(text string) bool { return len(strings.Fields(text)) >= longQuote })
	return len(a.must) < before
}

// longQuote is from how many words on what stands between quotes is a message, say, that may
// differ in a word.
const longQuote = 3

// excludes reports whether what stands after a "-" says what is to be left out.
func excludes(part string) bool {
	if strings.HasPrefix(part, `"`) {
		return len(part) > 2
	}
	first, size := utf8.DecodeRuneInString(part)
	return unicode.IsLetter(first) && (len(part) > size || isUnspaced(first))
}

// cutPart cuts the first part off a query: a word or what stands between quotes, with the sign before it.
func cutPart(query string) (part, rest string) {
	sign := 0
	if query[0] == '-' {
		sign = 1
	}
	if strings.HasPrefix(query[sign:], `"`) {
		if end := strings.IndexByte(query[sign+1:], '"'); end >= 0 {
			end += sign + 2
			return query[:end], query[end:]
		}
	}
	if end := strings.IndexFunc(query, unicode.IsSpace); end >= 0 {
		return query[:end], query[end:]
	}
	return query, ""
}
