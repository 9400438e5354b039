package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// escape makes text that a Markdown reader shows as it is. It escapes only where a character would mean
// something: a search for snake_case finds it. Line ends become spaces.
func escape(s string) string {
	s = strings.Join(strings.FieldsFunc(s, lineEnd), " ")
	if !strings.ContainsAny(s, "\\`*_[<>#~&+-=.)") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	before := ' '
	target := max(strings.LastIndex(s, "]("), strings.LastIndex(s, "]:"), strings.LastIndex(s, "][")) // no link can begin after it
	for i, r := range s {
		after, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(max(r, 0)):])
		if r == '[' && i < target || special(r, before, after, s[:i], s[i:]) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		before = r
	}
	return b.String()
}

func lineEnd(r rune) bool {
	return r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' || r == '\v' || r == '\f'
}

// special reports whether r means something to Markdown between its neighbours. line is the text before
// it, rest the text from it on.
func special(r, before, after rune, line, rest string) bool {
	space := after == utf8.RuneError || unicode.IsSpace(after)
	switch r {
	case '`':
		return true
	case '\\':
		return strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", after)
	case '*':
		return !(space && unicode.IsSpace(before)) || strings.TrimSpace(line) == ""
	case '_':
		word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
		return !(word(before) && word(after)) && !(space && unicode.IsSpace(before))
	case '~':
		return after == '~' || before == '~'
	case '[':
		return strings.HasPrefix(rest, "[^") || strings.TrimSpace(line) == "-"
	case '<':
		return after == '/' || after == '!' || after == '?' || unicode.IsLetter(after)
	case '&':
		end := strings.IndexByte(rest[:min(len(rest), 34)], ';')
		return end > 1 && !strings.ContainsAny(rest[:end], " \t")
	}
	return opensBlock(r, line, space, rest)
}

// opensBlock reports whether r would make its line a heading, a quote, a list or a rule.
func opensBlock(r rune, line string, space bool, rest string) bool {
	switch r {
	case '#':
		return strings.TrimSpace(line) == "" && strings.TrimLeft(rest, "#") == "" || strings.TrimSpace(line) == "" && strings.HasPrefix(strings.TrimLeft(rest, "#"), " ")
	case '>':
		return strings.TrimSpace(line) == ""
	case '-', '+', '=':
		return strings.TrimSpace(line) == "" && (space || strings.Trim(rest, "-= ") == "")
	case '.', ')':
		number := strings.TrimSpace(line)
		return space && number != "" && len(number) < 10 && strings.Trim(number, "0123456789") == ""
	}
	return false
}

// cell makes text that stays in a cell of a table.
func cell(s string) string { return inCell(escape(strings.TrimSpace(s))) }

// inCell keeps Markdown in its cell.
func inCell(md string) string { return strings.ReplaceAll(md, "|", "\\|") }

// fence makes a code block that its content cannot end.
func fence(language, content string) string {
	longest, run := 2, 0
	for _, c := range []byte(content) {
		if run++; c != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	ticks := strings.Repeat("`", longest+1)
	return ticks + language + "\n" + strings.TrimRight(content, "\n") + "\n" + ticks + "\n"
}

// link makes a link, or only its text if nobody should follow its target.
func link(text, target string) string {
	target = strings.TrimSpace(target)
	lower := strings.ToLower(target)
	if text == "" || !strings.HasPrefix(lower, "https://") && !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "mailto:") ||
		strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("<>\\", r) }) {
		return text
	}
	target = strings.NewReplacer("(", "%28", ")", "%29").Replace(target)
	return "[" + strings.NewReplacer("[", "\\[", "]", "\\]").Replace(strings.ReplaceAll(text, "\\[", "[")) + "](" + target + ")"
}
