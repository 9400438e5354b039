package embedding

import (
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/failure"
)

func open(c config.Embeddings, _ options) (Model, error) {
	switch {
	case c.EmbeddingsPath != "":
		l, err := openLocal(c)
		if err != nil {
			return nil, err
		}
		return l, nil
	case c.EmbeddingsURL != "":
		return nil, failure.New(failure.EmbeddingNoModel, "servers are not built in yet")
	default:
		return nil, nil //nolint:nilnil // no model is a choice
	}
}
