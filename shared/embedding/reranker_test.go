package embedding_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/secret"
)

func TestAServerScoresTexts(t *testing.T) {
	t.Parallel()
	const tei, cohere = `[{"index":1,"score":0.9},{"index":0,"score":0.1}]`, `{"results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":0.1}]}`
	for name, c := range map[string]struct {
		model, answer string
		status        int
		path          string
		why           string
	}{
		"TEI":             {"", tei, 200, "", ""},
		"Cohere":          {"rerank-v3.5", cohere, 200, "/v2", ""},
		"the whole path":  {"", tei, 200, "/rerank", ""},
		"no key":          {"", `{"message":"secret"}`, 401, "", "the rerank server rejects the key"},
		"refused":         {"", `{"error":"secret"}`, 413, "", "the rerank server answers with status 413"},
		"moved":           {"", "", 307, "", "the rerank server answers with status 307"},
		"not JSON":        {"", "<html>", 200, "", "the rerank server's answer cannot be used"},
		"too few":         {"", `[{"index":0,"score":1}]`, 200, "", "the rerank server's answer cannot be used"},
		"one twice":       {"", `[{"index":0,"score":1},{"index":0,"score":1}]`, 200, "", "the rerank server's answer cannot be used"},
		"one that is not": {"", `[{"index":0,"score":1},{"index":2,"score":1}]`, 200, "", "the rerank server's answer cannot be used"},
		"no score":        {"", `[{"index":0,"score":1},{"index":1}]`, 200, "", "the rerank server's answer cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls []map[string]any
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body := map[string]any{}
				err := json.NewDecoder(r.Body).Decode(&body)
				body["err"], body["path"], body["key"] = err, r.URL.Path, r.Header.Get("Authorization")
				calls = append(calls, body)
				w.Header().Set("Location", "/other")
				w.WriteHeader(c.status)
				_, _ = fmt.Fprint(w, c.answer)
			}))
			t.Cleanup(s.Close)
			r, err := embedding.OpenReranker(config.Reranking{RerankURL: s.URL + c.path, RerankModel: c.model, RerankAPIKey: secret.New("key")}, zerolog.Nop())
			require.NoError(t, err)
			t.Cleanup(r.Close)
			for range 2 { // a server that has failed rests
				scores, err := r.Scores(t.Context(), "why", []string{"a", "b"})
				if c.why == "" {
					require.NoError(t, err)
					require.Equal(t, []float64{0.1, 0.9}, scores)
				} else {
					require.EqualError(t, err, c.why)
				}
			}
			require.Len(t, calls, map[bool]int{true: 2, false: 1}[c.why == ""])
			want := map[string]any{"err": nil, "path": "/rerank", "key": "Bearer key", "query": "why", "texts": []any{"a", "b"}, "truncate": true}
			if c.model != "" {
				want = map[string]any{"err": nil, "path": "/v2/rerank", "key": "Bearer key", "query": "why", "documents": []any{"a", "b"}, "model": c.model, "top_n": 2.0}
			}
			require.Equal(t, want, calls[0])
		})
	}
}

func TestAServerThatIsAwayScoresNothing(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	r, err := embedding.OpenReranker(config.Reranking{RerankURL: s.URL}, zerolog.Nop())
	require.NoError(t, err)
	_, err = r.Scores(t.Context(), "why", []string{"a"})
	require.EqualError(t, err, "the rerank server does not answer")
	none, err := embedding.OpenReranker(config.Reranking{}, zerolog.Nop())
	require.NoError(t, err)
	require.Nil(t, none)
	none.Close()
}
