package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type reranker struct{ Reranking }

func TestARerankServerIsNamed(t *testing.T) {
	load := func(vars map[string]string) error {
		_, err := Load[reranker](func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
		return err
	}
	const url, model, key = "RERANK_URL", "RERANK_MODEL", "RERANK_API_KEY"
	for _, good := range []map[string]string{
		{}, {url: "http://reranker:8080"}, {url: "https://api.cohere.com/v2", model: "rerank-v3.5", key: "key-x"},
	} {
		require.NoError(t, load(good), good)
	}
	for name, bad := range map[string]map[string]string{
		"no URL": {url: "reranker"}, "a query": {url: "https://api.cohere.com/v2?key=secret"}, "a user": {url: "https://u:p@api.cohere.com"},
		"only a model": {model: "rerank-v3.5"}, "only a key": {key: "secret"}, "a broken key": {url: "https://api.cohere.com/v2", key: "secret x"},
	} {
		err := load(bad)
		var wrong *ConfigurationError
		require.ErrorAs(t, err, &wrong, name)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), ":p@")
	}
}
