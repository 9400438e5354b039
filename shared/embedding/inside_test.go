package embedding

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/config"
)

func TestKnownServers(t *testing.T) {
	for address, want := range map[string]struct {
		call    string
		azure   bool
		refuses bool
	}{
		"https://api.openai.com/v1":                                               {"https://api.openai.com/v1/embeddings", false, true},
		"https://a.openai.azure.com/openai/v1":                                    {"https://a.openai.azure.com/openai/v1/embeddings", true, true},
		"https://a.openai.azure.com.evil.com/v1":                                  {"https://a.openai.azure.com.evil.com/v1/embeddings", false, false},
		"https://a.openai.azure.com/openai/deployments/e3?api-version=2024-10-21": {"https://a.openai.azure.com/openai/deployments/e3/embeddings?api-version=2024-10-21", true, true},
		"http://tei:80": {"http://tei/v1/embeddings", false, false},
	} {
		s, err := openServer(config.Embeddings{EmbeddingsURL: address, EmbeddingsParallel: 1}, options{})
		require.NoError(t, err)
		require.Equal(t, want.call, s.address)
		require.Equal(t, want.azure, s.azure, address)
		require.Equal(t, want.refuses, s.refuses, address)
	}
}

func TestPrefixes(t *testing.T) {
	for name, want := range map[string]string{
		"intfloat/e5-small-v2":                  "query: ",
		"multilingual-e5-large":                 "query: ",
		"nomic-embed-text:latest":               "search_query: ",
		"BAAI/bge-small-en-v1.5":                "Represent this sentence for searching relevant passages: ",
		"bge-m3":                                "",
		"text-embedding-3-small":                "",
		"all-MiniLM-L6-v2":                      "",
		"multilingual-e5-large-instruct":        "Instruct: Given a question, retrieve passages that answer it\nQuery: ",
		"Qwen/Qwen3-Embedding-0.6B":             "Instruct: Given a question, retrieve passages that answer it\nQuery: ",
		"Snowflake/snowflake-arctic-embed-m":    "Represent this sentence for searching relevant passages: ",
		"embeddinggemma:300m":                   "task: search result | query: ",
		"sentence-transformers/gtr-t5-base":     "",
		"text-embedding-ada-002":                "",
		"mixedbread-ai/mxbai-embed-large-v1":    "Represent this sentence for searching relevant passages: ",
		"somebody/e50-is-another-word-entirely": "",
	} {
		require.Equal(t, want, prefixesOf(name).before(Query), name)
	}
	require.Zero(t, prefixesOf("bge-small-en").version(), "stored vectors do not depend on what is put before a question")
	require.NotEqual(t, prefixesOf("e5").version(), prefixesOf("nomic-embed").version())
}

func FuzzSplit(f *testing.F) {
	f.Add("A line.\nAnother line, which is longer.\nAnd a third.")
	f.Add(strings.Repeat("潮汐表", 20))
	f.Fuzz(func(t *testing.T, text string) {
		left, right, ok := split(text)
		if !ok {
			require.Less(t, utf8.RuneCountInString(text), smallestPart)
			return
		}
		require.Equal(t, text, left+right)
		require.NotEmpty(t, left)
		require.NotEmpty(t, right)
		if utf8.ValidString(text) {
			require.True(t, utf8.ValidString(left) && utf8.ValidString(right))
			require.GreaterOrEqual(t, units(text), utf8.RuneCountInString(text)/2)
		}
	})
}
