package embedding

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
)

const (
	rerankWithin = 2 * time.Second  // of which nobody minds having waited
	rerankRest   = 10 * time.Second // a server that has failed is not asked
	rerankMost   = 1 << 20          // bytes of an answer
)

// Reranker has a server score texts by how well they answer a question, while a person waits. It is safe for
// concurrent use.
type Reranker struct {
	cfg     config.Reranking
	log     zerolog.Logger
	address string
	http    *http.Client

	mu  sync.Mutex
	not time.Time // before this time the server is not asked
	why error
}

// OpenReranker returns a reranker with the settings' server, or nil if they name none.
func OpenReranker(c config.Reranking, log zerolog.Logger) (*Reranker, error) {
	if c.RerankURL == "" {
		return nil, nil //nolint:nilnil // no server is a choice
	}
	u, err := outgoing.ParseAddress(c.RerankURL)
	if err != nil {
		return nil, fmt.Errorf("RERANK_URL: %w", err)
	}
	if !strings.HasSuffix(u.Path, "/rerank") {
		u.Path += "/rerank"
	}
	return &Reranker{cfg: c, log: log, address: u.String(), http: &http.Client{
		Transport:     outgoing.NewTransport(u.Scheme == "http", 4),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key must not travel
	}}, nil
}

// Close closes the connections.
func (r *Reranker) Close() {
	if r != nil {
		r.http.CloseIdleConnections()
	}
}

// Scores returns a score for each text, higher for a better answer. The error says why there are none, in
// words that anybody may read: the log has the rest.
func (r *Reranker) Scores(ctx context.Context, question string, texts []string) ([]float64, error) {
	if err := r.resting(); err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, rerankWithin)
	defer cancel()
	scores, status, err := r.exchange(within, question, texts)
	if err == nil {
		return scores, nil
	}
	var why error
	switch {
	case within.Err() != nil:
		why = errors.New("the rerank server did not answer in time")
	case status == 0:
		why = errors.New("the rerank server does not answer")
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		why = errors.New("the rerank server rejects the key")
	case status >= 300:
		why = fmt.Errorf("the rerank server answers with status %d", status)
	default:
		why = errors.New("the rerank server's answer cannot be used")
	}
	if ctx.Err() == nil { // otherwise whoever asked has gone
		r.log.Warn().Err(err).Msg("hits are not reranked")
		r.mu.Lock()
		r.not, r.why = time.Now().Add(rerankRest), why
		r.mu.Unlock()
	}
	return nil, why
}

func (r *Reranker) resting() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.not) {
		return r.why
	}
	return nil
}

// exchange sends one request and reads its answer. The status is 0 without an answer.
func (r *Reranker) exchange(ctx context.Context, question string, texts []string) ([]float64, int, error) {
	body := map[string]any{"query": question, "texts": texts, "truncate": true}
	if r.cfg.RerankModel != "" {
		body = map[string]any{"query": question, "documents": texts, "model": r.cfg.RerankModel, "top_n": len(texts)}
	}
	doc, err := json.Marshal(body)
	if err != nil {
		return nil, 0, fmt.Errorf("rerank: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.address, bytes.NewReader(doc))
	if err != nil {
		return nil, 0, fmt.Errorf("rerank: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sluice")
	if key := r.cfg.RerankAPIKey; !key.IsZero() {
		req.Header.Set("Authorization", "Bearer "+key.Reveal())
	}
	resp, err := r.http.Do(req)
	if err != nil {
		var ue *url.Error // quotes the address
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, 0, fmt.Errorf("rerank: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, rerankMost))
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, resp.StatusCode, fmt.Errorf("rerank: status %d", resp.StatusCode)
	case err != nil:
		return nil, 0, fmt.Errorf("rerank: %w", err)
	}
	scores, err := readScores(answer, len(texts))
	return scores, resp.StatusCode, err
}

// readScores reads TEI's answer, a list, or Cohere's, in which the list has a name. Every text must have
// one score.
func readScores(answer []byte, texts int) ([]float64, error) {
	type score struct {
		Index     *int     `json:"index"`
		Score     *float64 `json:"score"`
		Relevance *float64 `json:"relevance_score"`
	}
	var list []score
	if err := json.Unmarshal(answer, &list); err != nil {
		var named struct {
			Results []score `json:"results"`
		}
		if err := json.Unmarshal(answer, &named); err != nil {
			return nil, errors.New("rerank: the answer is no list of scores")
		}
		list = named.Results
	}
	if len(list) != texts {
		return nil, fmt.Errorf("rerank: %d scores came for %d texts", len(list), texts)
	}
	scores, has := make([]float64, texts), make([]bool, texts)
	for _, s := range list {
		value := s.Score
		if value == nil {
			value = s.Relevance
		}
		if s.Index == nil || value == nil || *s.Index < 0 || *s.Index >= texts || has[*s.Index] {
			return nil, errors.New("rerank: the scores do not name each text once")
		}
		scores[*s.Index], has[*s.Index] = *value, true
	}
	return scores, nil
}
