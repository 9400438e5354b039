package markdown

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decode replaces character references. Unlike HTML, it requires the semicolon: "?a=1&copy=2" holds
// no reference.
func decode(s string) string {
	i := strings.IndexByte(s, '&')
	if i < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i >= 0 {
		b = append(b, s[:i]...)
		s = s[i:]
		if text, n := reference(s); n > 0 {
			b = append(b, text...)
			s = s[n:]
		} else {
			b = append(b, '&')
			s = s[1:]
		}
		i = strings.IndexByte(s, '&')
	}
	b = append(b, s...)
	return string(b)
}

// reference decodes the character reference at the start of s and returns its length, 0 if there is
// none.
func reference(s string) (string, int) {
	const longest = 33 // &CounterClockwiseContourIntegral;
	end := strings.IndexByte(s[:min(len(s), longest)], ';')
	if end < 2 {
		return "", 0
	}
	name := s[1:end]
	switch name {
	case "amp":
		return "&", end + 1
	case "lt":
		return "<", end + 1
	case "gt":
		return ">", end + 1
	case "quot":
		return `"`, end + 1
	case "semi":
		return ";", end + 1
	case "nbsp":
		return "\u00a0", end + 1
	}
	if name[0] == '#' {
		return numericReference(name[1:], end+1)
	}
	for i := range len(name) {
		if c := name[i] | 0x20; (c < 'a' || c > 'z') && (name[i] < '0' || name[i] > '9') {
			return "", 0
		}
	}
	if text := html.UnescapeString(s[:end+1]); text != s[:end+1] && !strings.HasSuffix(text, ";") {
		return text, end + 1
	}
	return "", 0
}

func numericReference(digits string, length int) (string, int) {
	base := 10
	if len(digits) > 1 && digits[0]|0x20 == 'x' {
		digits, base = digits[1:], 16
	}
	v, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return "", 0
	}
	if v == 0 || v > utf8.MaxRune || v >= 0xD800 && v <= 0xDFFF {
		return "\uFFFD", length
	}
	return string(rune(v)), length
}

// referenceAt reports whether a Markdown renderer would decode the start of s as a character
// reference.
func referenceAt(s string) bool {
	_, n := reference(s)
	return n > 0
}
