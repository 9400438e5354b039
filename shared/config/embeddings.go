package config

import (
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/secret"
)

// Embeddings says which model makes vectors: one behind a server's API, or one in a folder, which runs in
// this process. Without either, search goes by words alone.
type Embeddings struct {
	_                    struct{}      `title:"Embeddings"`
	EmbeddingsURL        string        `env:"EMBEDDINGS_URL" need:"the address of an API like OpenAI's, with https:// (http:// for a server on this machine or a private network), without user and fragment; for Azure with ?api-version=…" example:"https://api.openai.com/v1" desc:"The server that makes vectors, up to the /v1 before /embeddings: OpenAI, Azure, TEI, Ollama, vLLM, llama.cpp."`
	EmbeddingsModel      string        `env:"EMBEDDINGS_MODEL" need:"the server's name of a model, or with EMBEDDINGS_PATH the model's name, up to 100 characters" example:"text-embedding-3-small" desc:"The model that the server is asked for; needed with EMBEDDINGS_URL. For EMBEDDINGS_PATH it replaces the folder's name."`
	EmbeddingsAPIKey     secret.String `env:"EMBEDDINGS_API_KEY" need:"a key without white space, and EMBEDDINGS_URL" example:"sk-proj-…" desc:"The server's key. It is sent to the host of EMBEDDINGS_URL only. Servers of your own often need none."`
	EmbeddingsPath       string        `env:"EMBEDDINGS_PATH" need:"a folder or a zip file with a sentence model, without EMBEDDINGS_URL" example:"/var/lib/sluice/all-MiniLM-L6-v2" desc:"A sentence model that runs in this process instead of a server: model.safetensors and its JSON files, as sentence-transformers saves them."`
	EmbeddingsDimensions int           `env:"EMBEDDINGS_DIMENSIONS" default:"0" need:"a whole number from 0 to 4000" example:"512" desc:"Asks the server for vectors of this length, which not every model can; 0 takes the model's own."`
	EmbeddingsMaxTokens  int           `env:"EMBEDDINGS_MAX_TOKENS" default:"0" need:"a whole number from 0 to 1000000" example:"512" desc:"The longest text that the model reads, in its tokens. Longer texts are embedded in parts. 0 finds it out."`
	EmbeddingsBatch      int           `env:"EMBEDDINGS_BATCH" default:"32" need:"a whole number from 1 to 2048" example:"128" desc:"The most texts of one call."`
	EmbeddingsParallel   int           `env:"EMBEDDINGS_PARALLEL" default:"4" need:"a whole number from 1 to 256" example:"8" desc:"The most calls of one process at a time. A local model uses one thread for each."`
	EmbeddingsPrice      float64       `env:"EMBEDDINGS_PRICE" default:"0" need:"a number from 0 to 10000" example:"0.02" desc:"What a million tokens cost, in any currency, for the estimate of costs."`
}

func (e Embeddings) check(c *checker) {
	if e.EmbeddingsURL != "" && !isEmbeddingsURL(e.EmbeddingsURL) {
		c.wrong("EMBEDDINGS_URL", "has a value that cannot be used") // in which a key may stand
	}
	c.ensure("EMBEDDINGS_MODEL", len(e.EmbeddingsModel) <= 100 && (e.EmbeddingsURL != "" || e.EmbeddingsPath != ""))
	if e.EmbeddingsURL != "" && e.EmbeddingsModel == "" {
		c.wrong("EMBEDDINGS_MODEL", "is not set although EMBEDDINGS_URL is")
	}
	c.ensure("EMBEDDINGS_API_KEY", e.EmbeddingsURL != "" && !strings.ContainsAny(c.raw["EMBEDDINGS_API_KEY"], " \t\r\n"))
	c.ensure("EMBEDDINGS_PATH", e.EmbeddingsURL == "")
	c.ensure("EMBEDDINGS_DIMENSIONS", e.EmbeddingsDimensions >= 0 && e.EmbeddingsDimensions <= 4000)
	c.ensure("EMBEDDINGS_MAX_TOKENS", e.EmbeddingsMaxTokens >= 0 && e.EmbeddingsMaxTokens <= 1_000_000)
	c.ensure("EMBEDDINGS_BATCH", e.EmbeddingsBatch >= 1 && e.EmbeddingsBatch <= 2048)
	c.ensure("EMBEDDINGS_PARALLEL", e.EmbeddingsParallel >= 1 && e.EmbeddingsParallel <= 256)
	c.ensure("EMBEDDINGS_PRICE", e.EmbeddingsPrice >= 0 && e.EmbeddingsPrice <= 10_000)
}

// Configured reports whether there is a model at all.
func (e Embeddings) Configured() bool { return e.EmbeddingsURL != "" || e.EmbeddingsPath != "" }

// isEmbeddingsURL accepts an address of an API. A query may name Azure's version and nothing else: a key
// in an address would be logged.
func isEmbeddingsURL(text string) bool {
	address, query, _ := strings.Cut(text, "?")
	if _, err := outgoing.ParseAddress(address); err != nil {
		return false
	}
	values, err := url.ParseQuery(query)
	return err == nil && (query == "" || len(values) == 1 && values.Get("api-version") != "")
}
