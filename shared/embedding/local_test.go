//go:build !race

// The race detector slows the model's arithmetic down twentyfold: "make test" runs this file once more
// without it. The package bert, which shares the work between processors, has tests with it.

package embedding_test

import (
	"archive/zip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/failure"
)

var mini embedding.Model // which takes a second to load

func miniLM(tb testing.TB) embedding.Model {
	tb.Helper()
	if mini == nil {
		mini = open(tb, config.Embeddings{EmbeddingsPath: embeddingtest.MiniLM(tb), EmbeddingsModel: "all-MiniLM-L6-v2", EmbeddingsBatch: 8, EmbeddingsParallel: 2})
	}
	return mini
}

// The vectors are those of onnxruntime, for texts with every kind of character.
func TestVectorsAreTheReference(t *testing.T) {
	m := miniLM(t)
	require.Equal(t, "all-MiniLM-L6-v2@53aa5117", m.Name())
	require.Equal(t, 384, m.Dimensions())
	require.Equal(t, 254, m.MaxTokens())
	require.Zero(t, m.PrefixVersion())
	require.NoError(t, m.Prepare(t.Context()))
	doc, err := os.ReadFile(filepath.Join("internal", "bert", "testdata", "minilm.json"))
	require.NoError(t, err)
	var cases []struct {
		Text   string    `json:"text"`
		IDs    []int32   `json:"ids"`
		Vector []float32 `json:"vector"`
	}
	require.NoError(t, json.Unmarshal(doc, &cases))
	require.Greater(t, len(cases), 8)
	var texts []string
	for _, c := range cases {
		texts = append(texts, c.Text)
	}
	for _, kind := range []embedding.Kind{embedding.Passage, embedding.Query} {
		results, err := m.Embed(t.Context(), kind, texts)
		require.NoError(t, err)
		for i, c := range cases {
			require.NoError(t, results[i].Err)
			require.Greater(t, cosine(c.Vector, results[i].Vector), 0.9999, "%q", c.Text)
			require.InDelta(t, 1, cosine(results[i].Vector, results[i].Vector), 1e-6)
			require.Equal(t, len(c.IDs)-2, results[i].Tokens, "without the two around them: %q", c.Text)
		}
	}
}

// Nothing of a long text is lost: the vector depends on its end as much as on its beginning.
func TestLongTextsAreEmbeddedInParts(t *testing.T) {
	m := miniLM(t)
	about := func(what string, words int) string { return strings.Repeat(what+" ", words) }
	start, end := about("bread", 254), about("database", 254)
	results, err := m.Embed(t.Context(), embedding.Passage, []string{start, end, start + end, start + start})
	require.NoError(t, err)
	for _, r := range results {
		require.NoError(t, r.Err)
	}
	require.Equal(t, 508, results[2].Tokens)
	require.InDelta(t, cosine(results[2].Vector, results[0].Vector), cosine(results[2].Vector, results[1].Vector), 1e-3)
	require.InDelta(t, 1, cosine(results[0].Vector, results[3].Vector), 1e-5)
	require.Less(t, cosine(results[0].Vector, results[2].Vector), 0.95)
}

func TestACallEndsWithItsContext(t *testing.T) {
	m := miniLM(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.Embed(ctx, embedding.Passage, []string{strings.Repeat("bread ", 3000)})
	require.ErrorIs(t, err, context.Canceled)
	none, err := m.Embed(t.Context(), embedding.Passage, nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

// A folder that is not a whole model is refused, with the file and the reason, instead of giving wrong
// vectors.
func TestWhatIsNoModelIsRefused(t *testing.T) {
	z, err := zip.OpenReader(embeddingtest.MiniLM(t))
	require.NoError(t, err)
	defer z.Close()
	whole := t.TempDir()
	require.NoError(t, os.CopyFS(whole, z))
	edit := func(name, old, new string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			doc, err := os.ReadFile(filepath.Join(whole, name))
			require.NoError(t, err)
			require.Contains(t, string(doc), old)
			replace(t, filepath.Join(dir, name), strings.Replace(string(doc), old, new, 1))
		}
	}
	for says, spoil := range map[string]func(t *testing.T, dir string){
		"model.safetensors": func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "model.safetensors"))) },
		"ends early": func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "model.safetensors"), "\x08\x00\x00\x00\x00\x00\x00\x00{")
		},
		"not a safetensors file": func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "model.safetensors"), "version https://git-lfs")
		},
		"lacks embeddings": func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "model.safetensors"), "\x02\x00\x00\x00\x00\x00\x00\x00{}")
		},
		`"roberta"`:                         edit("config.json", `"model_type": "bert"`, `"model_type": "roberta"`),
		`"relu"`:                            edit("config.json", `"hidden_act": "gelu"`, `"hidden_act": "relu"`),
		"lacks encoder.layer.6":             edit("config.json", `"num_hidden_layers": 6`, `"num_hidden_layers": 7`),
		"[1536 384], and config.json says":  edit("config.json", `"intermediate_size": 1536`, `"intermediate_size": 768`),
		"a head needs":                      edit("config.json", `"num_attention_heads": 12`, `"num_attention_heads": 16`),
		`"Unigram"`:                         edit("tokenizer.json", `"model":{"type":"WordPiece"`, `"model":{"type":"Unigram"`),
		`step "Dense"`:                      edit("modules.json", "models.Normalize", "models.Dense"),
		"has no pooling":                    edit("modules.json", "models.Pooling", "models.Normalize"),
		`"max_tokens"`:                      edit("1_Pooling/config.json", `"pooling_mode_max_tokens": false`, `"pooling_mode_max_tokens": true`),
		"by neither":                        edit("1_Pooling/config.json", `"pooling_mode_mean_tokens": true`, `"pooling_mode_mean_tokens": false`),
		"there are 100":                     edit("config.json", `"vocab_size": 30522`, `"vocab_size": 100`),
		"EMBEDDINGS_DIMENSIONS is 512":      nil,
		"no room":                           edit("sentence_bert_config.json", "256", "8"),
		"neither a folder nor a zip file":   nil,
		"no such file or directory":         nil,
		"tokenizer.json: unexpected end of": func(t *testing.T, dir string) { replace(t, filepath.Join(dir, "tokenizer.json"), "") },
	} {
		t.Run(says, func(t *testing.T) {
			dir := t.TempDir()
			entries, err := os.ReadDir(whole)
			require.NoError(t, err)
			for _, e := range entries {
				require.NoError(t, os.Symlink(filepath.Join(whole, e.Name()), filepath.Join(dir, e.Name())))
			}
			c := config.Embeddings{EmbeddingsPath: dir, EmbeddingsBatch: 8, EmbeddingsParallel: 2}
			switch says {
			case "EMBEDDINGS_DIMENSIONS is 512":
				c.EmbeddingsDimensions = 512
			case "no room":
				c.EmbeddingsModel = "e5-small-v2"
				replace(t, filepath.Join(dir, "config_sentence_transformers.json"), `{"prompts": {"query": "one two three four five six"}}`)
			case "neither a folder nor a zip file":
				c.EmbeddingsPath = filepath.Join(dir, "config.json")
			case "no such file or directory":
				c.EmbeddingsPath = filepath.Join(dir, "gone")
			}
			if spoil != nil {
				spoil(t, dir)
			}
			_, err = embedding.Open(c)
			require.ErrorContains(t, err, says)
			require.ErrorContains(t, err, c.EmbeddingsPath)
			require.Equal(t, failure.EmbeddingNoModel, failure.CodeOf(err))
		})
	}
}

// replace writes a file in place of a symbolic link, or of the folder that it is in.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if info, err := os.Lstat(filepath.Dir(path)); err == nil && info.Mode()&os.ModeSymlink != 0 {
		require.NoError(t, os.Remove(filepath.Dir(path)))
		require.NoError(t, os.Mkdir(filepath.Dir(path), 0o755))
	}
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// BenchmarkMiniLM embeds passages of 240 tokens, about as long as the model reads at once, and questions.
// Its rate is by processor time: that of one core, whatever else the machine does.
func BenchmarkMiniLM(b *testing.B) {
	m := miniLM(b)
	passage := strings.Repeat("The monitor checks the memory of each node and ends the worker that began last. ", 15)
	for name, texts := range map[string][]string{"passage": {passage}, "question": {"How do I rotate an API token of a source?"}} {
		b.Run(name, func(b *testing.B) {
			begun := processorTime(b)
			tokens := 0
			for b.Loop() {
				results, err := m.Embed(b.Context(), embedding.Passage, texts)
				require.NoError(b, err)
				tokens = results[0].Tokens
			}
			b.ReportMetric(float64(b.N)/(processorTime(b)-begun).Seconds(), "texts/s/core")
			b.ReportMetric(float64(tokens), "tokens/text")
		})
	}
}

func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
