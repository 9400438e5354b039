package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type embedder struct{ Embeddings }

func TestEmbeddingsNameOneModel(t *testing.T) {
	load := func(vars map[string]string) (embedder, error) {
		return Load[embedder](func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	}
	const url, model, path, key = "EMBEDDINGS_URL", "EMBEDDINGS_MODEL", "EMBEDDINGS_PATH", "EMBEDDINGS_API_KEY"
	for _, good := range []map[string]string{
		{},
		{path: "/models/minilm"},
		{path: "/models/minilm", model: "minilm"},
		{url: "https://api.openai.com/v1", model: "text-embedding-3-small", key: "sk-proj-x"},
		{url: "http://ollama:11434/v1/", model: "all-minilm"},
		{url: "https://acme.openai.azure.com/openai/deployments/e3?api-version=2024-10-21", model: "e3"},
	} {
		cfg, err := load(good)
		require.NoError(t, err, good)
		require.Equal(t, len(good) > 0, cfg.Configured())
	}
	for name, bad := range map[string]map[string]string{
		"the model":    {url: "https://api.openai.com/v1"},
		"a model":      {model: "text-embedding-3-small"},
		"both":         {url: "https://api.openai.com/v1", model: "m", path: "/models/minilm"},
		"a key":        {path: "/models/minilm", key: "sk-proj-x"},
		"a broken key": {url: "https://api.openai.com/v1", model: "m", key: "sk proj"},
		"no URL":       {url: "api.openai.com", model: "m"},
		"a user":       {url: "https://u:p@api.openai.com/v1", model: "m"},
		"a query":      {url: "https://api.openai.com/v1?key=secret", model: "m"},
		"two versions": {url: "https://api.openai.com/v1?api-version=1&key=2", model: "m"},
		"dimensions":   {path: "/m", "EMBEDDINGS_DIMENSIONS": "4001"},
		"price":        {path: "/m", "EMBEDDINGS_PRICE": "NaN"},
		"batch":        {path: "/m", "EMBEDDINGS_BATCH": "0"},
		"parallel":     {path: "/m", "EMBEDDINGS_PARALLEL": "257"},
		"max tokens":   {path: "/m", "EMBEDDINGS_MAX_TOKENS": "-1"},
	} {
		_, err := load(bad)
		var wrong *ConfigurationError
		require.ErrorAs(t, err, &wrong, name)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), ":p@")
	}
}
