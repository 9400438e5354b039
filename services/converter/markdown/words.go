package markdown

import (
	"unicode"
	"unicode/utf8"
)

// wordCount counts words: runs of letters, digits and marks, with the apostrophes, hyphens, dots
// and underscores inside them. In scripts without spaces between words (Han, kana), each character
// counts as a word; Hangul, which uses spaces, counts as written.
func wordCount[S string | []byte](s S) int {
	n := 0
	inWord, joined := false, false
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case isNameStart(c) && c != '_' || isDigit(c):
				if !inWord {
					n++
				}
				inWord, joined = true, false
			case inWord && !joined && (c == '\'' || c == '-' || c == '.' || c == '_'):
				joined = true
			default:
				inWord, joined = false, false
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		i += size
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			n++
			inWord, joined = false, false
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if !inWord && !unicode.IsMark(r) {
				n++
			}
			inWord, joined = true, false
		case inWord && !joined && r == '’':
			joined = true
		default:
			inWord, joined = false, false
		}
	}
	return n
}
