package bert

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// tokenizer is BERT's WordPiece, as a tokenizer.json describes it.
type tokenizer struct {
	vocab         map[string]int32
	lower, accent bool // make letters small; keep accents
	chinese       bool // Chinese characters are words
	continuing    string
	maxChars      int
	unknown       int32
	cls, sep      int32
}

// newTokenizer reads a tokenizer.json. The error says what in it is not BERT's.
func newTokenizer(doc []byte) (*tokenizer, error) {
	var file struct {
		Normalizer struct {
			Type         string `json:"type"`
			Chinese      bool   `json:"handle_chinese_chars"`
			StripAccents *bool  `json:"strip_accents"`
			Lowercase    bool   `json:"lowercase"`
		} `json:"normalizer"`
		PreTokenizer struct {
			Type string `json:"type"`
		} `json:"pre_tokenizer"`
		Model struct {
			Type       string           `json:"type"`
			Unknown    string           `json:"unk_token"`
			Continuing string           `json:"continuing_subword_prefix"`
			MaxChars   int              `json:"max_input_chars_per_word"`
			Vocab      map[string]int32 `json:"vocab"`
		} `json:"model"`
	}
	if err := json.Unmarshal(doc, &file); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	for what, is := range map[string][2]string{
		"model": {file.Model.Type, "WordPiece"}, "normalizer": {file.Normalizer.Type, "BertNormalizer"}, "pre_tokenizer": {file.PreTokenizer.Type, "BertPreTokenizer"},
	} {
		if is[0] != is[1] {
			return nil, fmt.Errorf("tokenizer.json: the %s is %q; only %q is supported", what, is[0], is[1])
		}
	}
	t := &tokenizer{
		vocab: file.Model.Vocab, lower: file.Normalizer.Lowercase, accent: !file.Normalizer.Lowercase, chinese: file.Normalizer.Chinese,
		continuing: file.Model.Continuing, maxChars: file.Model.MaxChars,
	}
	if strip := file.Normalizer.StripAccents; strip != nil {
		t.accent = !*strip
	}
	for token, id := range map[string]*int32{file.Model.Unknown: &t.unknown, "[CLS]": &t.cls, "[SEP]": &t.sep} {
		n, ok := t.vocab[token]
		if !ok {
			return nil, fmt.Errorf("tokenizer.json: the vocabulary lacks %q", token)
		}
		*id = n
	}
	return t, nil
}

// largest returns the largest id of the vocabulary.
func (t *tokenizer) largest() int32 {
	var most int32
	for _, id := range t.vocab {
		most = max(most, id)
	}
	return most
}

// tokens returns the ids of a text, without those that begin and end it.
func (t *tokenizer) tokens(text string) []int32 {
	ids := make([]int32, 0, len(text)/4+2)
	for _, field := range strings.Fields(t.normal(text)) {
		for word := range words(field) {
			ids = t.pieces(ids, word)
		}
	}
	return ids
}

// normal is the BertNormalizer.
func (t *tokenizer) normal(text string) string {
	var b strings.Builder
	b.Grow(len(text) + 16)
	for _, r := range text {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || unicode.IsSpace(r):
			b.WriteByte(' ')
		case r == 0 || r == unicode.ReplacementChar || unicode.Is(unicode.C, r):
		case t.chinese && isChinese(r):
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	text = b.String()
	if !t.accent && !isASCII(text) {
		text = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFD.String(text))
	}
	if t.lower {
		text = strings.ToLower(text)
	}
	return text
}

// words splits a text without white space: each punctuation character is a word.
func words(field string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start := 0
		for i, r := range field {
			if !isPunctuation(r) {
				continue
			}
			end := i + len(string(r))
			if start < i && !yield(field[start:i]) || !yield(field[i:end]) {
				return
			}
			start = end
		}
		if start < len(field) {
			yield(field[start:])
		}
	}
}

// pieces appends the ids of a word: always the longest piece of the rest that the vocabulary has.
func (t *tokenizer) pieces(ids []int32, word string) []int32 {
	if len(word) > t.maxChars && len([]rune(word)) > t.maxChars {
		return append(ids, t.unknown)
	}
	begin := len(ids)
	var key []byte
	for start := 0; start < len(word); {
		end := len(word)
		for ; end > start; end-- {
			if end < len(word) && word[end]&0xC0 == 0x80 {
				continue // inside a character
			}
			key = key[:0]
			if start > 0 {
				key = append(key, t.continuing...)
			}
			key = append(key, word[start:end]...)
			if id, ok := t.vocab[string(key)]; ok {
				ids = append(ids, id)
				break
			}
		}
		if end == start {
			return append(ids[:begin], t.unknown)
		}
		start = end
	}
	return ids
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

func isPunctuation(r rune) bool {
	if r < 0x80 {
		return r > ' ' && r < 0x7F && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	return unicode.IsPunct(r)
}

// isChinese reports whether r is in one of the blocks that BERT takes for Chinese; kana and hangul are not.
func isChinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B73F ||
		r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}
