package retrieval

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
)

func TestPassagesAreEmbeddedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	ask := func(m *embeddingtest.Model, kind embedding.Kind, texts ...string) []embedding.Result {
		t.Helper()
		r, err := remember(t.Context(), m, dir)
		require.NoError(t, err)
		results, err := r.Embed(t.Context(), kind, texts)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		for i, one := range results {
			if want, _ := embeddingtest.Vector(texts[i], m.Dimensions()); one.Err == nil {
				require.Equal(t, want, one.Vector)
			}
		}
		return results
	}
	first := &embeddingtest.Model{ModelName: "org/model:latest", FailText: func(text string) error {
		if text == "bad" {
			return errors.New("refused")
		}
		return nil
	}}
	require.Error(t, ask(first, embedding.Passage, "one", "bad", "two")[1].Err)
	require.Equal(t, []string{"one", "bad", "two"}, first.Texts())

	// The next process has them; not those that failed, and no questions.
	second := &embeddingtest.Model{ModelName: "org/model:latest"}
	ask(second, embedding.Passage, "two", "one")
	require.Empty(t, second.Texts())
	ask(second, embedding.Passage, "three", "one", "bad")
	ask(second, embedding.Query, "one")
	require.Equal(t, []string{"three", "bad", "one"}, second.Texts())

	// A process that was killed has left half a record.
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	raw, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files[0], raw[:len(raw)-100], 0o600))
	third := &embeddingtest.Model{ModelName: "org/model:latest"}
	ask(third, embedding.Passage, "one", "two", "three", "bad")
	require.Equal(t, []string{"bad"}, third.Texts())
	ask(third, embedding.Passage, "one", "two", "three", "bad")
	require.Equal(t, []string{"bad"}, third.Texts())

	// What a vector depends on beside the text.
	for _, other := range []*embeddingtest.Model{{}, {ModelName: "org/model:latest", Dims: 32}, {ModelName: "org/model:latest", Prefix: 7}} {
		ask(other, embedding.Passage, "one")
		require.Equal(t, []string{"one"}, other.Texts())
	}
}

func TestAModelThatIsAwayIsSaid(t *testing.T) {
	m := &embeddingtest.Model{Fail: func([]string) error { return context.DeadlineExceeded }}
	r, err := remember(t.Context(), m, t.TempDir())
	require.NoError(t, err)
	_, err = r.Embed(t.Context(), embedding.Passage, []string{"one"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, r.Close())
}
