package search

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// asked is a parsed query.
type asked struct {
	text string   // everything that is not excluded, without quotes
	must []string // quoted phrases
	not  []string // excluded phrases
}

// longestQuery limits the part of a query that is read, in bytes: more than anyone types.
const longestQuery = 4000

// parse parses a query. Any of its words may match. Quoted words are required, and a word or quoted text
// after " -" is excluded. The sign must precede a letter and another character, so that neither the
// options of a pasted command (--force, -n) nor a number (-1) count as exclusions.
func parse(query string) asked {
	// No text in the database contains a zero byte.
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

// soften turns quoted phrases into words, unless they are short enough to be meant literally. It reports
// whether there are any.
func (a *asked) soften() bool {
	before := len(a.must)
	a.must = slices.DeleteFunc(a.must, func(text string) bool { return len(strings.Fields(text)) >= longQuote })
	return len(a.must) < before
}

// longQuote is the number of words from which a quoted phrase may be, for example, an error message that
// differs in a word.
const longQuote = 3

// excludes reports whether the text after a "-" is an exclusion.
func excludes(part string) bool {
	if strings.HasPrefix(part, `"`) {
		return len(part) > 2
	}
	first, size := utf8.DecodeRuneInString(part)
	return unicode.IsLetter(first) && (len(part) > size || isUnspaced(first))
}

// cutPart cuts the first part off a query: a word or a quoted phrase, with the sign before it.
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
