package markdown

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/page"
)

// emoji are Confluence's own emoticons: the old names, and the short names of emoticons without a
// code point of their own.
var emoji = map[string]string{
	"smile": "🙂", "sad": "🙁", "cheeky": "😛", "laugh": "😀", "wink": "😉",
	"thumbs-up": "👍", "thumbs-down": "👎", "information": "ℹ️", "tick": "✅", "cross": "❌",
	"warning": "⚠️", "plus": "➕", "minus": "➖", "question": "❓", "light-on": "💡", "light-off": "💡",
	"yellow-star": "⭐", "red-star": "⭐", "green-star": "⭐", "blue-star": "⭐",
	"heart": "❤️", "broken-heart": "💔",
	":info:": "ℹ️", ":note:": "📝", ":warning:": "⚠️", ":check_mark:": "✅", ":cross_mark:": "❌",
	":plus:": "➕", ":minus:": "➖", ":question_mark:": "❓", ":exclamation_mark:": "❗",
	":light_bulb_on:": "💡", ":light_bulb_off:": "💡", ":yellow_star:": "⭐", ":red_star:": "⭐",
	":green_star:": "⭐", ":blue_star:": "⭐", ":thumbsup:": "👍", ":thumbsdown:": "👎",
	":smile:": "😄", ":slight_smile:": "🙂", ":disappointed:": "😞", ":wink:": "😉", ":heart:": "❤️",
	":white_check_mark:": "✅", ":x:": "❌", ":bulb:": "💡", ":star:": "⭐",
	"(/)": "✅", "(x)": "❌", "(!)": "⚠️", "(i)": "ℹ️", "(?)": "❓", "(y)": "👍", "(n)": "👎", "(+)": "➕", "(-)": "➖",
	"(on)": "💡", "(off)": "💡", "(*)": "⭐", "(tick)": "✅", "(error)": "❌", "(cross)": "❌", "(warning)": "⚠️", "(info)": "ℹ️", "(star)": "⭐",
	":)": "🙂", ":-)": "🙂", ":(": "🙁", ":-(": "🙁", ":P": "😛", ":D": "😀", ";)": "😉", ";-)": "😉", "(smile)": "🙂", "(sad)": "🙁", "(tongue)": "😛",
	"(big grin)": "😀", "(wink)": "😉", "(thumbs up)": "👍", "(thumbs down)": "👎", "(question)": "❓", "(plus)": "➕", "(minus)": "➖",
	"(light on)": "💡", "(light off)": "💡", "(yellow star)": "⭐", "(red star)": "⭐", "(green star)": "⭐", "(blue star)": "⭐", "(heart)": "❤️", "(broken heart)": "💔",
	"check": "✅", "error": "❌", "add": "➕", "forbidden": "➖", "help-16": "❓", "lightbulb-on": "💡", "lightbulb": "💡", "star-yellow": "⭐",
	"star-red": "⭐", "star-green": "⭐", "star-blue": "⭐", "tongue": "😛", "biggrin": "😀", "thumbs-up-16": "👍",
	":broken_heart:": "💔", ":flag_on:": "🚩", ":flag_off:": "🏳️", ":tick:": "✅", ":cross:": "❌",
}

// emoticon renders an emoji as a character. It tries ac:name last, because for emoji that the old
// editor did not have it is a misleading "blue-star".
func (r *renderer) emoticon(n *node, st style) {
	short := n.attr("ac:emoji-shortname")
	if fallback := emojiFallback(n); fallback != "" && fallback[0] != ':' {
		r.text(fallback, st)
		return
	}
	if s := codePoints(n.attr("ac:emoji-id")); s != "" {
		r.text(s, st)
		return
	}
	if s := emoji[short]; s != "" {
		r.text(s, st)
		return
	}
	if short == "" {
		if s := emoji[n.attr("ac:name")]; s != "" {
			r.text(s, st)
			return
		}
	}
	name := first(short, n.attr("ac:emoji-fallback"), n.attr("ac:name"))
	if name == "" {
		return
	}
	r.lose("ac:emoticon", page.Placeholder, "an emoji of the site; its name stands for it")
	r.text(name, st)
}

// emojiFallback returns the characters of an emoji. Some importers write them as JavaScript
// escapes.
func emojiFallback(n *node) string {
	s := n.attr("ac:emoji-fallback")
	if !strings.Contains(s, `\u`) {
		return s
	}
	var out []rune
	for s != "" {
		hex, ok := strings.CutPrefix(s, `\u`)
		if !ok {
			r, size := utf8.DecodeRuneInString(s)
			out, s = append(out, r), s[size:]
			continue
		}
		var rest string
		if inner, braced := strings.CutPrefix(hex, "{"); braced {
			hex, rest, _ = strings.Cut(inner, "}")
		} else if len(hex) >= 4 {
			hex, rest = hex[:4], hex[4:]
		}
		v, err := strconv.ParseUint(hex, 16, 21)
		if err != nil {
			return "" // the caller tries the id and the name
		}
		r := rune(v)
		if n := len(out); n > 0 && utf16.IsSurrogate(out[n-1]) {
			if both := utf16.DecodeRune(out[n-1], r); both != utf8.RuneError {
				out, s = append(out[:n-1], both), rest
				continue
			}
		}
		out, s = append(out, r), rest
	}
	if slices.ContainsFunc(out, utf16.IsSurrogate) {
		return ""
	}
	return string(out)
}

// oldEmoticon returns the emoji for one of Confluence's own images.
func oldEmoticon(n *node) string {
	class := " " + n.attr("class") + " "
	if !strings.Contains(class, " emoticon ") && !strings.Contains(n.attr("src"), "/emoticons/") {
		return ""
	}
	as := &node{attrs: []attr{
		{"ac:emoji-fallback", n.attr("data-emoji-fallback")}, {"ac:emoji-id", n.attr("data-emoji-id")},
		{"ac:emoji-shortname", first(n.attr("data-emoji-shortname"), n.attr("data-emoji-short-name"))}, {"ac:name", n.attr("data-emoticon-name")},
	}}
	if _, name, ok := strings.Cut(class, " emoticon-"); ok {
		name, _, _ = strings.Cut(name, " ")
		as.attrs = append(as.attrs, attr{"file", name})
	}
	src := n.attr("src")
	file := src[strings.LastIndexByte(src, '/')+1:]
	file, _, _ = strings.Cut(file, ".")
	fallback := emojiFallback(as)
	if strings.HasPrefix(fallback, ":") {
		fallback = ""
	}
	return first(fallback, codePoints(as.attr("ac:emoji-id")), emoji[as.attr("ac:emoji-shortname")], emoji[as.attr("ac:name")],
		emoji[as.attr("file")], emoji[n.attr("alt")], codePoints(file), emoji[strings.ReplaceAll(file, "_", "-")])
}

// codePoints decodes an id such as 1f1e9-1f1ea.
func codePoints(id string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(id, "-") {
		v, err := strconv.ParseUint(part, 16, 31)
		if err != nil || !emojiPart(rune(v)) {
			return ""
		}
		b.WriteRune(rune(v))
	}
	return b.String()
}

// emojiPart reports whether emoji contain the code point. An id that only looks like code points is
// the site's own.
func emojiPart(r rune) bool {
	return 0x1f000 <= r && r <= 0x1faff || 0x2000 <= r && r <= 0x32ff || 0xe0020 <= r && r <= 0xe007f ||
		'0' <= r && r <= '9' || r == '#' || r == '*' || r == 0xa9 || r == 0xae || r == 0xfe0f
}
