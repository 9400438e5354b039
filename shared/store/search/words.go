package search

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words are the words of a text beyond those that the database's own parser finds. That parser keeps
// dotted names, paths and addresses as one word, and treats a run of Chinese or Japanese as one word.
// WordsOf splits them, in the same way for stored texts and for queries.
type Words struct {
	// Parts are the parts of identifiers: "kubectl.kubernetes.io/last-applied" is split at every sign,
	// "getUserById" also at its capitals. They are reduced to their stems like other words.
	Parts []string
	// Whole are complete identifiers, in lower case, and pairs of characters of the scripts that write
	// without spaces. They are compared unchanged.
	Whole []string
	// Count is the number of words in the text.
	Count int
}

const (
	longestWhole = 100 // bytes; longer identifiers are found by their parts
	// maxWord is the longest word that Postgres keeps, in bytes.
	maxWord = 2000
)

// WordsOf splits a text into its words.
func WordsOf(text string) Words {
	var w Words
	for text != "" {
		token, after, simple := nextToken(text)
		switch {
		case !simple:
			w.add(token)
		case token != "":
			w.Count++
		}
		text = text[after:]
	}
	return w
}

// What a byte of a text is to nextToken.
const (
	isSeparator = iota
	isSign
	isLetter // or a digit
	isUpper
	isOdd // a slash, or part of a character beyond ASCII
)

var kinds = func() (list [256]uint8) {
	for i := range list {
		switch {
		case i >= utf8.RuneSelf || i == '/':
			list[i] = isOdd
		case asciiSeparates[i]:
			list[i] = isSeparator
		case unicode.IsUpper(rune(i)):
			list[i] = isUpper
		case asciiInWord[i]:
			list[i] = isLetter
		default:
			list[i] = isSign
		}
	}
	return list
}()

// nextToken returns what stands in front of the first separator and where the text after that separator begins. Most
// tokens are simple: one word of ASCII letters, without signs or capitals inside, which add would only count. Such a
// token is returned as "" if there is nothing in it to count. One pass over the bytes tells them from the others.
func nextToken(text string) (token string, after int, simple bool) {
	simple = true
	word, gap := 0, false // bytes of the word; whether a sign follows it
	at := 0
scan:
	for at < len(text) {
		switch kinds[text[at]] {
		case isSeparator:
			after = at + 1
			break scan
		case isSign:
			gap = word > 0
		case isUpper:
			simple = simple && word == 0
			word++
		case isLetter:
			simple = simple && !gap
			word++
		default:
			r, size := utf8.DecodeRuneInString(text[at:])
			if separates(r) {
				after = at + size
				break scan
			}
			simple = false
			at += size - 1
		}
		at++
	}
	if after == 0 {
		after = at
	}
	if simple && (word == 0 || word > maxWord) {
		return "", after, true
	}
	return text[:at], after, simple
}

const separators = "\"'`()[]{}<>|,;*!?\u2018\u2019\u201c\u201d…"

// What ASCII characters are: looked up, since most of every text is.
var asciiSeparates, asciiInWord = func() (separate, in [utf8.RuneSelf]bool) {
	for r := range rune(utf8.RuneSelf) {
		separate[r] = unicode.IsSpace(r) || strings.ContainsRune(separators, r)
		in[r] = unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	return separate, in
}()

// tagged reports whether the database's parser may find a tag of HTML in a text, of which it keeps no word:
// <kestrel>, List<String>.
func tagged(text string) bool {
	for {
		begin := strings.IndexByte(text, '<')
		if begin < 0 {
			return false
		}
		text = text[begin+1:]
		if text != "" && (unicode.IsLetter(rune(text[0])) || strings.ContainsRune("/!?", rune(text[0]))) {
			return strings.IndexByte(text, '>') > 0
		}
	}
}

// untagged is a text without the signs that make a tag. Its words are the same otherwise.
func untagged(text string) string { return untags.Replace(text) }

var untags = strings.NewReplacer("<", " ", ">", " ")

// separates reports whether a character never stands inside an identifier.
func separates(r rune) bool {
	if r < utf8.RuneSelf {
		return asciiSeparates[r]
	}
	return unicode.IsSpace(r) || strings.ContainsRune(separators, r)
}

// add takes apart what stands between separators: words with signs between them.
func (w *Words) add(token string) {
	full := token
	token = strings.TrimFunc(token, notInWord)
	if token == "" {
		return
	}
	split := strings.ContainsFunc(token, notInWord)
	path := !split && len(full) > len(token) && strings.Contains(full, "/") // /etc, for which the parser keeps "/etc" only
	for piece := range strings.FieldsFuncSeq(token, notInWord) {
		if len(piece) > maxWord {
			continue
		}
		if dense(piece) {
			w.pairs(piece)
			continue
		}
		w.Count++
		if split || path {
			w.Parts = append(w.Parts, piece)
		}
		if humps := humpsOf(piece); len(humps) > 1 {
			w.Parts = append(w.Parts, humps...)
		}
	}
	if split && len(token) <= longestWhole && !strings.Contains(token, "://") {
		w.Whole = append(w.Whole, strings.ToLower(token))
	}
}

// inWord reports whether a character is part of a word: letters, digits and marks on them.
func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return asciiInWord[r]
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

func notInWord(r rune) bool { return !inWord(r) }

// humpsOf splits "getUserById" and "HTTPServer" where a capital begins a word. A piece without a
// hump gives one or none.
func humpsOf(piece string) []string {
	if _, size := utf8.DecodeRuneInString(piece); !strings.ContainsFunc(piece[size:], unicode.IsUpper) {
		return nil
	}
	var humps []string
	runes := []rune(piece)
	start := 0
	for i := 1; i < len(runes); i++ {
		up := unicode.IsUpper(runes[i])
		if up && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])) ||
			up && unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1]) {
			humps = append(humps, string(runes[start:i]))
			start = i
		}
	}
	return append(humps, string(runes[start:]))
}

// unspaced are the scripts that put no space between words.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

func isUnspaced(r rune) bool { return r >= 0x0e00 && (unicode.In(r, unspaced...) || r == 'ー') }

func dense(piece string) bool { return strings.ContainsFunc(piece, isUnspaced) }

// pairs adds each two characters that follow each other in a run of such a script, or the only
// one; what stands between the runs is a word.
func (w *Words) pairs(piece string) {
	for piece != "" {
		first, size := utf8.DecodeRuneInString(piece)
		runs := isUnspaced(first)
		end := strings.IndexFunc(piece[size:], func(r rune) bool { return isUnspaced(r) != runs })
		if end < 0 {
			end = len(piece) - size
		}
		run := piece[:size+end]
		piece = piece[size+end:]
		w.Count++
		if !runs {
			w.Parts = append(w.Parts, run)
			continue
		}
		runes := []rune(run)
		w.Count += len(runes) / 2
		if len(runes) == 1 {
			w.Whole = append(w.Whole, run)
		}
		for i := range len(runes) - 1 {
			w.Whole = append(w.Whole, string(runes[i:i+2]))
		}
	}
}
