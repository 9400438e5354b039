package chunk

import (
	"regexp"
	"strings"
)

// These functions classify the start of a line, after CommonMark 0.31 and the tables of GitHub's
// dialect. The argument is a line from its first character that is not white space.

// atxLevel returns the level of the heading "## …", or 0.
func atxLevel(s string) int {
	n := leading(s, '#')
	if n > 6 || n < len(s) && s[n] != ' ' && s[n] != '\t' {
		return 0
	}
	return n
}

// underlineLevel returns the level of a heading that s underlines, or 0.
func underlineLevel(s string) int {
	n := leading(s, s[0])
	if strings.Trim(s[n:], " \t") != "" {
		return 0
	}
	if s[0] == '=' {
		return 1
	}
	return 2
}

func isRule(s string) bool {
	c := s[0]
	if c != '*' && c != '-' && c != '_' {
		return false
	}
	n := 0
	for i := range len(s) {
		switch s[i] {
		case c:
			n++
		case ' ', '\t':
		default:
			return false
		}
	}
	return n >= 3
}

// fenceOpener returns the fence that s opens, or nil.
func fenceOpener(s string) *extra {
	n := leading(s, s[0])
	if n < 3 || s[0] == '`' && strings.IndexByte(s[n:], '`') >= 0 {
		return nil
	}
	return &extra{char: s[0], run: n, opener: strings.TrimRight(s, " \t")}
}

func closesFence(s string, x *extra) bool {
	if s == "" || s[0] != x.char {
		return false
	}
	n := leading(s, x.char)
	return n >= x.run && strings.Trim(s[n:], " \t") == ""
}

// listMarker returns the marker that s begins with ("-", "12.") or "".
func listMarker(s string) string {
	n := 0
	for n < len(s) && n < 10 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	switch {
	case n == 10 || n >= len(s):
		return ""
	case n > 0 && (s[n] == '.' || s[n] == ')'):
	case n == 0 && (s[0] == '-' || s[0] == '+' || s[0] == '*'):
	default:
		return ""
	}
	if n++; n < len(s) && s[n] != ' ' && s[n] != '\t' {
		return ""
	}
	return s[:n]
}

// isDelimiterRow reports whether s is valid between a table's head and its rows.
func isDelimiterRow(s string) bool {
	s = strings.Trim(s, " \t")
	if s == "" || s[0] != '|' && s[0] != ':' && s[0] != '-' {
		return false
	}
	for _, cell := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(s, "|"), "|"), "|") {
		cell = strings.Trim(cell, " \t")
		dashes := strings.TrimSuffix(strings.TrimPrefix(cell, ":"), ":")
		if dashes == "" || leading(dashes, '-') != len(dashes) {
			return false
		}
	}
	return true
}

// cells counts the cells of a table row.
func cells(s string) int {
	s = strings.Trim(s, " \t")
	s = strings.TrimPrefix(s, "|")
	n, last := 1, -1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '|':
			n++
			last = i
		}
	}
	if last >= 0 && last == len(s)-1 {
		n--
	}
	return n
}

const blockTags = `address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h1|h2|h3|h4|h5|h6|head|header|hr|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul`

var (
	rawTag   = regexp.MustCompile(`^(?i)<(script|pre|textarea|style)(\s|>|$)`)
	blockTag = regexp.MustCompile(`^(?i)</?(` + blockTags + `)(\s|/?>|$)`)
	anyTag   = regexp.MustCompile(`^(<[A-Za-z][A-Za-z0-9-]*(\s+[A-Za-z_:][\w.:-]*(\s*=\s*([^\s"'=<>` + "`" + `]+|'[^']*'|"[^"]*"))?)*\s*/?>|</[A-Za-z][A-Za-z0-9-]*\s*>)\s*$`)
)

// htmlKind returns which of CommonMark's seven kinds of HTML block s begins, or 0. Kind 7
// cannot interrupt a paragraph.
func htmlKind(s string, inPara bool) int {
	switch {
	case rawTag.MatchString(s):
		return 1
	case strings.HasPrefix(s, "<!--"):
		return 2
	case strings.HasPrefix(s, "<?"):
		return 3
	case strings.HasPrefix(s, "<![CDATA["):
		return 5
	case len(s) > 2 && s[1] == '!' && s[2] >= 'A' && s[2] <= 'Z': // not "<!a", as at GitHub
		return 4
	case blockTag.MatchString(s):
		return 6
	case !inPara && anyTag.MatchString(s) && !rawTag.MatchString(strings.Replace(s, "/", "", 1)):
		return 7
	}
	return 0
}

var rawTagEnds = []string{"</script>", "</pre>", "</textarea>", "</style>"}

// closesHTML reports whether an HTML block of the kind ends in line s. Kinds 6 and 7 end at
// a blank line instead.
func closesHTML(s string, kind uint8) bool {
	switch kind {
	case 1:
		if !strings.Contains(s, "</") {
			return false
		}
		s = strings.ToLower(s)
		for _, end := range rawTagEnds {
			if strings.Contains(s, end) {
				return true
			}
		}
	case 2:
		return strings.Contains(s, "-->")
	case 3:
		return strings.Contains(s, "?>")
	case 4:
		return strings.Contains(s, ">")
	case 5:
		return strings.Contains(s, "]]>")
	}
	return false
}

// leading counts how often c stands at the beginning of s.
func leading(s string, c byte) int {
	n := 0
	for n < len(s) && s[n] == c {
		n++
	}
	return n
}
