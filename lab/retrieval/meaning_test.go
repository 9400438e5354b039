//go:build !race

// The race detector slows the model's arithmetic down twentyfold: "make test" runs this file once more
// without it.

package retrieval

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/localpg"
	"github.com/sluicehq/sluice/shared/pgtest"
)

// meaningFloors are the floors for words and vectors together.
var meaningFloors = map[string]float64{"natural": 0.92, "keyword": 0.96, "identifier": 0.94, "typo": 0.76, "other scripts": 0.80}

// Its server has no pg_trgm, so that fewer typos are forgiven.
func TestOurOwnQuestionsAreAnsweredByMeaning(t *testing.T) {
	t.Parallel()
	cache, err := localpg.DefaultCacheDir()
	require.NoError(t, err)
	requireFloors(t, pgtest.MigratedVectorURL(t), Options{
		Ways:       []string{"both"},
		Embeddings: config.Embeddings{EmbeddingsPath: embeddingtest.MiniLM(t), EmbeddingsModel: "all-MiniLM-L6-v2", EmbeddingsBatch: 32, EmbeddingsParallel: 8},
		Vectors:    filepath.Join(cache, "retrieval"),
	}, meaningFloors)
}
