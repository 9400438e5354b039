package embeddingtest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/sluicehq/sluice/shared/embedding"
)

// ModelVariable names the variable with the path of all-MiniLM-L6-v2, a folder or a zip file, for machines
// that cannot download it.
const ModelVariable = "SLUICE_TEST_MINILM"

// MiniLM is the path of all-MiniLM-L6-v2, for EMBEDDINGS_PATH. It is downloaded once, as
// embedding.FetchMiniLM does. Without it the test fails; it never skips.
func MiniLM(tb testing.TB) string {
	tb.Helper()
	if path := os.Getenv(ModelVariable); path != "" {
		return path
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	path, err := embedding.FetchMiniLM(ctx, func(text string) { _, _ = os.Stderr.WriteString(text + "\n") })
	if err != nil {
		tb.Fatalf("embeddingtest: these tests need all-MiniLM-L6-v2, and PyPI is not reached; download it elsewhere and let %s name its folder: %v", ModelVariable, err)
	}
	return path
}
