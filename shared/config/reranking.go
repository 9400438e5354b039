package config

import (
	"strings"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/secret"
)

// Reranking says which server orders the best hits of a search again. Without one, they stay as the search has
// ranked them.
type Reranking struct {
	_            struct{}      `title:"Reranking"`
	RerankURL    string        `env:"RERANK_URL" need:"the address of an API with /rerank, with https:// (http:// for a server on this machine or a private network), without user, query and fragment" example:"http://reranker:8080" desc:"The server that orders the 30 best hits of a search again, up to the /rerank: TEI, Cohere, Jina, vLLM, llama.cpp. Unset, nothing is ordered again."`
	RerankModel  string        `env:"RERANK_MODEL" need:"the server's name of a model, up to 100 characters, and RERANK_URL" example:"rerank-v3.5" desc:"The model that the server is asked for, in Cohere's form. Unset, the call has TEI's form, which names none."`
	RerankAPIKey secret.String `env:"RERANK_API_KEY" need:"a key without white space, and RERANK_URL" example:"key-…" desc:"The server's key. It is sent to the host of RERANK_URL only."`
}

func (r Reranking) check(c *checker) {
	if r.RerankURL != "" && strings.ContainsAny(r.RerankURL, "?#") {
		c.wrong("RERANK_URL", "has a value that cannot be used") // in which a key may stand
	} else if _, err := outgoing.ParseAddress(r.RerankURL); r.RerankURL != "" && err != nil {
		c.wrong("RERANK_URL", "has a value that cannot be used")
	}
	c.ensure("RERANK_MODEL", len(r.RerankModel) <= 100 && r.RerankURL != "")
	c.ensure("RERANK_API_KEY", r.RerankURL != "" && !strings.ContainsAny(c.raw["RERANK_API_KEY"], " \t\r\n"))
}
