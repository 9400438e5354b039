package embedding

import (
	"github.com/sluicehq/sluice/shared/config"
)

func open(c config.Embeddings, o options) (Model, error) {
	switch {
	case c.EmbeddingsPath != "":
		l, err := openLocal(c)
		if err != nil {
			return nil, err
		}
		return l, nil
	case c.EmbeddingsURL != "":
		s, err := openServer(c, o)
		if err != nil {
			return nil, err
		}
		return s, nil
	default:
		return nil, nil //nolint:nilnil // no model is a choice
	}
}
