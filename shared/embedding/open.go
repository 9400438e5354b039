package embedding

import (
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/failure"
)

func open(c config.Embeddings, _ options) (Model, error) {
	if !c.Configured() {
		return nil, nil //nolint:nilnil // no model is a choice
	}
	return nil, failure.New(failure.EmbeddingNoModel, "models are not built in yet")
}
