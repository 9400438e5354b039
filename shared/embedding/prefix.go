package embedding

import (
	"hash/crc32"
	"strings"
	"unicode"
)

// prefixes are what a model wants before a text of each kind.
type prefixes struct{ passage, query string }

// known are the prefixes of models that were trained with some, by a word of their names. Without them
// such a model answers clearly worse, and no server adds them. The first match counts.
var known = []struct {
	words string // all of them stand in the name, one after the other
	prefixes
}{
	{"multilingual e5 large instruct", prefixes{"", "Instruct: Given a question, retrieve passages that answer it\nQuery: "}},
	{"e5 mistral", prefixes{"", "Instruct: Given a question, retrieve passages that answer it\nQuery: "}},
	{"e5", prefixes{"passage: ", "query: "}},
	{"nomic embed", prefixes{"search_document: ", "search_query: "}},
	{"embeddinggemma", prefixes{"title: none | text: ", "task: search result | query: "}},
	{"bge m3", prefixes{}},
	{"bge en", prefixes{"", "Represent this sentence for searching relevant passages: "}},
	{"mxbai embed", prefixes{"", "Represent this sentence for searching relevant passages: "}},
	{"snowflake arctic embed", prefixes{"", "Represent this sentence for searching relevant passages: "}},
	{"qwen3 embedding", prefixes{"", "Instruct: Given a question, retrieve passages that answer it\nQuery: "}},
}

// prefixesOf looks a model's name up: "intfloat/e5-small-v2" and "nomic-embed-text:latest" are known.
func prefixesOf(model string) prefixes {
	name := strings.FieldsFunc(strings.ToLower(model), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, k := range known {
		rest := name
		found := true
		for word := range strings.FieldsSeq(k.words) {
			i := 0
			for i < len(rest) && rest[i] != word {
				i++
			}
			if found = i < len(rest); !found {
				break
			}
			rest = rest[i+1:]
		}
		if found {
			return k.prefixes
		}
	}
	return prefixes{}
}

// before is the prefix for a kind.
func (p prefixes) before(kind Kind) string {
	if kind == Query {
		return p.query
	}
	return p.passage
}

// version is Model.PrefixVersion. Stored vectors depend on the passage's prefix only.
func (p prefixes) version() int {
	if p.passage == "" {
		return 0
	}
	return int(crc32.ChecksumIEEE([]byte(p.passage)) & 0x7FFFFFFF)
}
