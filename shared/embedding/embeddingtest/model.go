// Package embeddingtest has a model for tests: texts that share words have similar vectors.
package embeddingtest

import (
	"context"
	"hash/fnv"
	"math"
	"strings"
	"sync"
	"unicode"

	"github.com/sluicehq/sluice/shared/embedding"
)

// Model is a deterministic embedding.Model without a server. The zero value is ready.
type Model struct {
	ModelName string // "words" by default
	Dims      int    // 64 by default
	Prefix    int    // what PrefixVersion returns
	Bounds    embedding.Limits

	// Fail is asked before each call. Its error is the call's.
	Fail func(texts []string) error
	// FailText is asked for each text. Its error is the text's.
	FailText func(text string) error

	mu    sync.Mutex
	texts []string
	calls int
}

var _ embedding.Model = (*Model)(nil)

// Name implements embedding.Model.
func (m *Model) Name() string {
	if m.ModelName == "" {
		return "words"
	}
	return m.ModelName
}

// Prepare implements embedding.Model.
func (*Model) Prepare(context.Context) error { return nil }

// Dimensions implements embedding.Model.
func (m *Model) Dimensions() int {
	if m.Dims == 0 {
		return 64
	}
	return m.Dims
}

// PrefixVersion implements embedding.Model.
func (m *Model) PrefixVersion() int { return m.Prefix }

// MaxTokens implements embedding.Model.
func (*Model) MaxTokens() int { return 0 }

// Limits implements embedding.Model: 16 texts in 2 calls by default.
func (m *Model) Limits() embedding.Limits {
	if m.Bounds == (embedding.Limits{}) {
		return embedding.Limits{Batch: 16, Parallel: 2}
	}
	return m.Bounds
}

// Close implements embedding.Model.
func (*Model) Close() error { return nil }

// Embed implements embedding.Model. A word is a token.
func (m *Model) Embed(ctx context.Context, _ embedding.Kind, texts []string) ([]embedding.Result, error) {
	m.mu.Lock()
	m.calls++
	m.texts = append(m.texts, texts...)
	m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.Fail != nil {
		if err := m.Fail(texts); err != nil {
			return nil, err
		}
	}
	results := make([]embedding.Result, len(texts))
	for i, text := range texts {
		if m.FailText != nil {
			if results[i].Err = m.FailText(text); results[i].Err != nil {
				continue
			}
		}
		results[i].Vector, results[i].Tokens = Vector(text, m.Dimensions())
	}
	return results, nil
}

// Texts returns every text that Embed was called with, in order.
func (m *Model) Texts() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.texts...)
}

// Calls returns the number of calls of Embed.
func (m *Model) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// Vector returns the vector of a text, of length 1, and the number of its words.
func Vector(text string, dims int) (vector []float32, words int) {
	v := make([]float64, dims)
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }) {
		h := fnv.New64a()
		_, _ = h.Write([]byte(word)) // never fails
		sum := h.Sum64()
		size := uint64(dims) //nolint:gosec // above 0
		v[sum%size] += 1 - 2*float64(sum>>63)
		v[(sum>>20)%size]++
		words++
	}
	v[0] += 1e-3 // a text without words has a vector too
	var square float64
	for _, x := range v {
		square += x * x
	}
	vector = make([]float32, dims)
	for i, x := range v {
		vector[i] = float32(x / math.Sqrt(square))
	}
	return vector, words
}
