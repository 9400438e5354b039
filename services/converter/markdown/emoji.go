package markdown

import (
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// emoji are Confluence's own emoticons: their old names, and the short names of those that
// have no code point of their own.
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
	":broken_heart:": "💔", ":flag_on:": "🚩", ":flag_off:": "🏳️", ":tick:": "✅", ":cross:": "❌",
}

// emoticon renders an emoji as a character. ac:name comes last: for emoji that the old
// editor did not have it is a misleading "blue-star".
func (r *renderer) emoticon(n *node, st style) {
	short := n.attr("ac:emoji-shortname")
	if fallback := n.attr("ac:emoji-fallback"); fallback != "" && fallback[0] != ':' {
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

// emojiPart reports whether emoji are made of the code point. An id that only looks like one
// is the site's own.
func emojiPart(r rune) bool {
	return 0x1f000 <= r && r <= 0x1faff || 0x2000 <= r && r <= 0x32ff || 0xe0020 <= r && r <= 0xe007f ||
		'0' <= r && r <= '9' || r == '#' || r == '*' || r == 0xa9 || r == 0xae || r == 0xfe0f
}
