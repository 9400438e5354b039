// Package terminal keeps text that comes from elsewhere from being obeyed by a terminal. A page's title
// may hold control sequences that write to the clipboard, move the cursor or reverse the reading
// direction. Everything that goes to a terminal or a log goes through here.
package terminal

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

// shown stands where a character was that a terminal would obey.
const shown = "\uFFFD"

// obeyed reports whether a terminal obeys the character instead of showing it: control characters of
// ASCII and of Latin-1, and what overrides or isolates the reading direction. Line breaks and tabs are
// left to the caller. U+200E and U+200F only mark a direction; Arabic and Hebrew text is full of them.
func obeyed(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < ' ', 0x7f <= r && r <= 0x9f, 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
		return true
	default:
		return r == 0x2028 || r == 0x2029 // some end the line there
	}
}

// Clean returns text with U+FFFD for every character that a terminal would obey, and for every byte that is
// not UTF-8. Line breaks and tabs stay, and \r\n is a line break.
func Clean(text string) string {
	if safe(text) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for i, r := range text {
		switch {
		case r == '\r' && strings.HasPrefix(text[i:], "\r\n"):
		case obeyed(r):
			b.WriteString(shown)
		default:
			b.WriteRune(r) // U+FFFD for what is not UTF-8
		}
	}
	return b.String()
}

// Line is Clean for what must not begin a line of its own, such as a title.
func Line(text string) string {
	return strings.NewReplacer("\n", shown, "\t", " ").Replace(Clean(text))
}

func safe(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, obeyed)
}

// EscapeJSON returns a JSON document that means the same, with a reference such as \u009b for each
// character that a terminal would obey. An encoder has escaped those below U+0020 already.
func EscapeJSON(document []byte) []byte {
	if safe(string(document)) {
		return document
	}
	var b strings.Builder
	for _, r := range string(document) {
		if obeyed(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return []byte(b.String())
}

// Writer cleans what is written to a terminal, a file or a pipe. Whole texts are to be written at once.
type Writer struct {
	to     io.Writer
	colors bool
}

// NewWriter returns a writer that cleans. Bold and coloured text, which programs write to a terminal
// themselves, passes where to is one.
func NewWriter(to io.Writer) *Writer {
	if w, already := to.(*Writer); already {
		return w
	}
	return &Writer{to: to, colors: Is(to)}
}

// color is bold, a colour that shows on dark and on light, or the end of either.
var color = regexp.MustCompile(`\x1b\[(?:[01]|[39][1-7]|90)m`)

// Write cleans p and writes it. It reports all of p as written, however long the clean text is.
func (w *Writer) Write(p []byte) (int, error) {
	text := string(p)
	if !safe(text) {
		var b strings.Builder
		if w.colors {
			for _, at := range color.FindAllStringIndex(text, -1) {
				done := len(p) - len(text)
				b.WriteString(Clean(text[:at[0]-done]))
				b.WriteString(string(p[at[0]:at[1]]))
				text = string(p[at[1]:])
			}
		}
		b.WriteString(Clean(text))
		text = b.String()
	}
	if _, err := io.WriteString(w.to, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// File returns the file that is written to in the end, if it is one.
func File(w io.Writer) (*os.File, bool) {
	if cleaned, ok := w.(*Writer); ok {
		w = cleaned.to
	}
	f, ok := w.(*os.File)
	return f, ok
}

// Is reports whether w shows to a person rather than going into a file or a pipe.
func Is(w io.Writer) bool {
	f, ok := File(w)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
