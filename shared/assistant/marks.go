package assistant

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text is the readable part of an answer.
type text struct{ strings.Builder }

// line writes one line.
func (t *text) line(format string, args ...any) {
	fmt.Fprintf(t, format, args...)
	t.Builder.WriteByte('\n')
}

// add writes s as it is.
func (t *text) add(s string) { t.Builder.WriteString(s) }

// data puts text of a page between marks that it cannot close: they carry a digest of itself.
func data(s string) string {
	sum := sha256.Sum256([]byte(s))
	mark := hex.EncodeToString(sum[:8])
	return "<page-text " + mark + ">\n" + strings.TrimRight(s, "\n") + "\n</page-text " + mark + ">\n"
}

// shown makes characters visible that show nothing or turn the direction of others, so that no page
// tells an assistant what people do not see. What joins letters or emoji stays.
func shown(s string) string {
	if !strings.ContainsFunc(s, suspect) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	before := rune(0)
	hidden := 0
	flush := func() {
		switch {
		case hidden == 1:
			fmt.Fprintf(&b, "⟨U+%04X⟩", before)
		case hidden > 1:
			fmt.Fprintf(&b, "⟨%d hidden characters⟩", hidden)
		}
		hidden = 0
	}
	var last rune // that was written
	flagEnds := 0
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		after, _ := utf8.DecodeRuneInString(s[i+size:])
		if r == blackFlag {
			flagEnds = i + len(flag.FindString(s[i:]))
		}
		if i >= flagEnds && suspect(r) && !joins(last, r, after) {
			hidden++
			before = r
			continue
		}
		flush()
		b.WriteRune(r)
		last = r
	}
	flush()
	return b.String()
}

const blackFlag = '\U0001F3F4'

// flag is the flag of a region, such as Scotland's, which is spelt with characters that show nothing.
var flag = regexp.MustCompile(`^\x{1F3F4}[\x{E0030}-\x{E0039}\x{E0061}-\x{E007A}]{2,6}\x{E007F}`)

// longestLine is how many bytes of a title, or of the titles above it, an answer repeats.
const longestLine = 300

// oneLine is shown for what stands in a line of the answer, such as a title.
func oneLine(s string) string {
	return short(strings.Join(strings.Fields(shown(s)), " "), longestLine)
}

// short is the beginning of a text that is longer than so many bytes.
func short(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// trail is a way from above, such as a breadcrumb; of a long one, its end.
func trail(titles []string) string {
	way := ""
	for i := len(titles) - 1; i >= 0; i-- {
		title := oneLine(titles[i])
		switch {
		case way == "":
			way = title
		case len(title)+len(way) > longestLine:
			return "… > " + way
		default:
			way = title + " > " + way
		}
	}
	return way
}

// titled is a page's address of Confluence that repeats its title, which may be long; it leads there without it.
var titled = regexp.MustCompile(`^(https?://[^?#]*/pages/\d+)/[^?#]*`)

// longestAnchor is how many bytes of an address lead to a heading rather than to the page alone.
const longestAnchor = 1000

// address is shown for an address. A long one is as short as it can be.
func address(s string) string {
	if len(s) > longestLine {
		s = titled.ReplaceAllString(s, "$1")
	}
	if len(s) > longestAnchor {
		s, _, _ = strings.Cut(s, "#")
	}
	return shown(s)
}

// suspect reports whether a character may hide something.
func suspect(r rune) bool {
	switch {
	case r == '\n', r == '\t', r == '\r', r == 0xad: // a soft hyphen shows where it breaks a line
		return false
	case r < ' ', 0x7f <= r && r <= 0x9f:
		return true
	case r == 0x034f, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r == 0x3164, r == 0xffa0: // joiners and fillers without width
		return true
	case 0xfe00 <= r && r <= 0xfe0f, 0xe0000 <= r && r <= 0xe0fff: // variation selectors and tags
		return true
	}
	return r > 0xad && unicode.Is(unicode.Cf, r)
}

// joins reports whether a character between two others only does what it is for.
func joins(before, r, after rune) bool {
	wide := func(c rune) bool { return c > unicode.MaxLatin1 && !suspect(c) }
	switch {
	case r == 0x200c || r == 0x200d: // in scripts that join letters, and in emoji
		return (wide(before) || 0xfe00 <= before && before <= 0xfe0f) && wide(after)
	case 0xfe00 <= r && r <= 0xfe0f: // the form of the symbol or letter before it
		return before != 0 && before >= '#' && !suspect(before)
	case 0xe0100 <= r && r <= 0xe01ef: // the form of a Chinese character
		return unicode.Is(unicode.Han, before)
	case r == 0x200e || r == 0x200f || r == 0x061c: // marks of Arabic and Hebrew text
		return rightToLeft(before) || rightToLeft(after)
	}
	return 0x600 <= r && r <= 0x8ff || r == 0x110bd || r == 0x110cd // signs that show, of scripts that have them
}

func rightToLeft(r rune) bool {
	return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana)
}
