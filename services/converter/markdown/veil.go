package markdown

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/page"
)

// hiddenText is the element under which the loss report counts text that readers of the page do not
// see. A search still finds it, and a model still reads it.
const hiddenText = page.HiddenText

// veil describes the visibility of text, as far as styles define it.
type veil struct {
	unseen      unseen
	ink, ground colour
	unsure      bool // the background is unknown, such as an image
}

// unseen are the reasons why text is invisible, whatever its colour.
type unseen uint8

const (
	notShown unseen = 1 << iota
	invisible
	transparent
	tiny
	outside
)

// colour is red, green and blue, or noColour.
type colour int32

const (
	noColour colour = -1
	white    colour = 0xffffff
	// nearColour is the largest difference in each part at which two colours look the same.
	nearColour = 12
)

// hides says why a text is invisible, or "".
func (v *veil) hides() string {
	switch {
	case v.unseen&(notShown|invisible|transparent) != 0:
		return "the page does not show it; it is kept"
	case v.unseen&tiny != 0:
		return "its letters have no size; it is kept"
	case v.unseen&outside != 0:
		return "it stands outside of the page; it is kept"
	case v.ink == noColour || v.unsure:
		return ""
	}
	for shift := 0; shift < 24; shift += 8 {
		if d := v.ink>>shift&0xff - v.ground>>shift&0xff; d > nearColour || d < -nearColour {
			return ""
		}
	}
	return "its colour is that of its background; it is kept"
}

// look reads the visibility of n's content from its attributes.
func (v *veil) look(n *node) {
	for i := range n.attrs {
		switch a := &n.attrs[i]; a.name {
		case "style":
			v.style(a.value)
		case "color":
			v.ink = colourOf(a.value)
		case "bgcolor", "data-highlight-colour":
			v.paint(a.value)
		case "hidden":
			v.unseen |= notShown
		}
	}
}

// paint sets the background.
func (v *veil) paint(value string) {
	switch value = strings.ToLower(strings.TrimSpace(value)); value {
	case "", "transparent", "inherit", "initial", "unset", "none": // the background of the elements around it
	default:
		v.ground = colourOf(value)
		v.unsure = v.ground == noColour
	}
}

// style reads a style attribute.
func (v *veil) style(css string) {
	for css != "" {
		var one string
		one, css, _ = strings.Cut(css, ";")
		name, value, ok := strings.Cut(one, ":")
		if !ok {
			continue
		}
		name = strings.TrimSpace(name)
		// The usual properties, which do not affect visibility.
		if len(name) < 3 || name[0]|0x20 == 'w' || name == "text-align" {
			continue
		}
		v.declaration(strings.ToLower(name), strings.ToLower(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "!important"))))
	}
}

func (v *veil) declaration(name, value string) {
	set := func(how unseen, on bool) {
		v.unseen &^= how
		if on {
			v.unseen |= how
		}
	}
	n, isNumber := number(value)
	switch name {
	case "display":
		if value == "none" {
			v.unseen |= notShown // no element inside can undo this
		}
	case "opacity":
		if isNumber && n < 0.05 {
			v.unseen |= notShown
		}
	case "clip", "clip-path":
		if strings.HasPrefix(value, "rect(0") || strings.HasPrefix(value, "inset(50%") || strings.HasPrefix(value, "inset(100%") {
			v.unseen |= notShown
		}
	case "visibility":
		set(invisible, value == "hidden" || value == "collapse")
	case "font-size":
		if relative := strings.HasSuffix(value, "em") || strings.HasSuffix(value, "%"); isNumber && (n == 0 || !relative) {
			set(tiny, n <= 1)
		}
	case "color":
		if value != "inherit" {
			set(transparent, value == "transparent")
			v.ink = colourOf(value)
		}
	case "background", "background-color":
		v.paint(value)
	case "text-indent", "left", "top", "margin-left":
		if isNumber && n <= -999 {
			v.unseen |= outside
		}
	}
}

// number reads the number at the start of a value.
func number(value string) (float64, bool) {
	end := 0
	for end < len(value) && (isDigit(value[end]) || value[end] == '.' || value[end] == '-' && end == 0) {
		end++
	}
	n, err := strconv.ParseFloat(value[:end], 64)
	return n, err == nil
}

// colourOf reads a colour: #fff, #ffffff, rgb(…) or one of the relevant names.
func colourOf(s string) colour {
	s = strings.ToLower(strings.TrimSpace(s))
	switch {
	case s == "white":
		return white
	case s == "black":
		return 0
	case strings.HasPrefix(s, "#"):
		return hexColour(s[1:])
	case strings.HasPrefix(s, "rgb"):
		_, parts, _ := strings.Cut(s, "(")
		parts, _, _ = strings.Cut(parts, ")")
		fields := strings.FieldsFunc(parts, func(r rune) bool { return r == ',' || r == ' ' || r == '/' })
		if len(fields) < 3 {
			return noColour
		}
		c := colour(0)
		for _, f := range fields[:3] {
			n, ok := number(f)
			if strings.HasSuffix(f, "%") {
				n *= 2.55
			}
			if !ok || n < 0 || n > 255 {
				return noColour
			}
			c = c<<8 | colour(n)
		}
		return c
	}
	return noColour
}

func hexColour(digits string) colour {
	if len(digits) == 3 || len(digits) == 4 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	if len(digits) != 6 && len(digits) != 8 {
		return noColour
	}
	n, err := strconv.ParseUint(digits[:6], 16, 32)
	if err != nil {
		return noColour
	}
	return colour(n) //nolint:gosec // six hex digits are 24 bits
}

// noteHidden counts a text that is about to be written and is invisible on the page.
func (r *renderer) noteHidden(text string) {
	if reason := r.veil.hides(); reason != "" && strings.TrimSpace(text) != "" {
		r.lose(hiddenText, page.Rendered, reason)
	}
}

// hiddenCharacters counts characters that are invisible or change the order of others.
type hiddenCharacters struct{ tags, width, joiners, direction, code int }

// invisible counts a character that runeClass calls invisible, except hyphens that show when they
// break a line and control characters.
func (h *hiddenCharacters) invisible(r rune) {
	if r > 0xad {
		h.width++
	}
}

// unseen counts a character of running text and reports whether it is left out; before is the text
// before it.
func (h *hiddenCharacters) unseen(before []byte, r rune) bool {
	switch {
	case r < 0x200c:
		return false
	case isTag(r):
		last, _ := utf8.DecodeLastRune(before)
		// After a Chinese character, a variation selector selects its form.
		if continuesFlag(last) && r < 0xe0080 || r >= 0xe0100 && unicode.Is(unicode.Han, last) {
			return false
		}
		h.tags++
		return true
	case r == 0x200c || r == 0x200d: // between letters of scripts that join them, and in emoji
		if n := len(before); n == 0 || before[n-1] < utf8.RuneSelf {
			h.joiners++
		}
	case isDirection(r):
		h.direction++
	}
	return false
}

// inCode counts the hidden characters of a piece of code, which is written byte for byte.
func (h *hiddenCharacters) inCode(code string) {
	before := rune(0)
	for _, c := range code {
		if c >= 0x80 && (runeClass(c) == classInvisible || isTag(c) && !continuesFlag(before) || isDirection(c)) {
			h.code++
		}
		before = c
	}
}

func (r *renderer) fileHiddenCharacters() {
	for _, l := range []struct {
		count  int
		fate   page.Fate
		reason string
	}{
		{r.c.hidden.tags, page.Dropped, "tag characters, which show nothing and can spell a text"},
		{r.c.hidden.width, page.Dropped, "characters without width"},
		{r.c.hidden.joiners, page.Rendered, "joiners where nothing is joined; they are kept"},
		{r.c.hidden.direction, page.Rendered, "characters that change the direction of text; they are kept"},
		{r.c.hidden.code, page.Rendered, "such characters in code; they are kept"},
	} {
		if l.count > 0 {
			r.losses[lossKey{hiddenText, l.fate, l.reason}] += l.count
		}
	}
}

// isTag reports whether a character belongs to the characters that spell the region of a flag and
// are invisible otherwise; the variation selectors supplement, which is used to smuggle in text the
// same way, counts too.
func isTag(r rune) bool { return 0xe0000 <= r && r <= 0xe01ef }

// continuesFlag reports whether tag characters behind the character belong to a flag.
func continuesFlag(before rune) bool {
	return before == 0x1f3f4 || 0xe0020 <= before && before <= 0xe007f
}

// isDirection reports whether a character embeds or overrides the direction of others. The marks
// U+200E and U+200F only have a direction of their own and are common in Arabic and Hebrew text.
func isDirection(r rune) bool { return 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 }
