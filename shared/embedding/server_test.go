package embedding_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(tb testing.TB, c config.Embeddings, opts ...embedding.Option) embedding.Model {
	tb.Helper()
	m, err := embedding.Open(c, opts...)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = m.Close() })
	return m
}

func cosine(a, b []float32) float64 {
	var dot, aa, bb float64
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return dot / math.Sqrt(aa*bb)
}

func settings(s *embeddingtest.Server, change ...func(*config.Embeddings)) config.Embeddings {
	c := config.Embeddings{EmbeddingsURL: s.URL, EmbeddingsModel: "m", EmbeddingsAPIKey: secret.New("sk-key"), EmbeddingsBatch: 8, EmbeddingsParallel: 2}
	for _, f := range change {
		f(&c)
	}
	return c
}

var quick = embedding.WithRetryDelays(time.Millisecond, time.Millisecond)

func numbered(n int) []string {
	var texts []string
	for i := range n {
		texts = append(texts, fmt.Sprintf("text number %d", i))
	}
	return texts
}

// right requires the vectors of the texts, in their order.
func right(t *testing.T, dims int, texts []string, results []embedding.Result) {
	t.Helper()
	require.Len(t, results, len(texts))
	for i, text := range texts {
		want, _ := embeddingtest.Vector(text, dims)
		require.NoError(t, results[i].Err, text)
		require.InDelta(t, 1, cosine(want, results[i].Vector), 1e-5, text)
		require.Positive(t, results[i].Tokens)
	}
}

func TestWhatIsSent(t *testing.T) {
	s := embeddingtest.NewServer(t)
	m := open(t, settings(s), quick)
	require.Zero(t, m.Dimensions())
	require.NoError(t, m.Prepare(t.Context()))
	require.Equal(t, 64, m.Dimensions())
	before := len(s.Calls())
	texts := numbered(20)
	results, err := m.Embed(t.Context(), embedding.Passage, texts)
	require.NoError(t, err)
	right(t, 64, texts, results)
	calls := s.Calls()[before:]
	require.Len(t, calls, 3, "20 texts, 8 at a time")
	for _, c := range calls {
		require.Equal(t, "/v1/embeddings", c.Path)
		require.Equal(t, "Bearer sk-key", c.Header.Get("Authorization"))
		require.Equal(t, "m", c.Body["model"])
		require.NotContains(t, c.Body, "dimensions", "not every server knows it")
	}
	require.ElementsMatch(t, texts, s.Texts())

	short := open(t, settings(s, func(c *config.Embeddings) { c.EmbeddingsDimensions = 16 }), quick)
	require.Equal(t, 16, short.Dimensions())
	results, err = short.Embed(t.Context(), embedding.Query, texts[:1])
	require.NoError(t, err)
	right(t, 16, texts[:1], results)

	e5 := open(t, settings(s, func(c *config.Embeddings) { c.EmbeddingsModel = "intfloat/e5-small-v2" }), quick)
	require.NotZero(t, e5.PrefixVersion())
	for _, kind := range []embedding.Kind{embedding.Passage, embedding.Query} {
		_, err = e5.Embed(t.Context(), kind, []string{"hello"})
		require.NoError(t, err)
	}
	sent := s.Texts()
	require.Equal(t, []string{"passage: hello", "query: hello"}, sent[len(sent)-2:])
}

// A server's faults by what becomes of the call: a code for all of it, or for some of its texts.
func TestFaults(t *testing.T) {
	const bad = "text number 3"
	has := func(texts []string) bool {
		for _, text := range texts {
			if text == bad {
				return true
			}
		}
		return false
	}
	answer := func(change func(a *embeddingtest.Answer, i int)) func(int, []string, http.ResponseWriter, *http.Request) bool {
		return func(_ int, texts []string, w http.ResponseWriter, _ *http.Request) bool {
			a := embeddingtest.NewAnswer(texts, 64)
			for i, text := range texts {
				if text == bad {
					change(&a, i)
				}
			}
			embeddingtest.Reply(w, a)
			return true
		}
	}
	status := func(code int, message string) func(int, []string, http.ResponseWriter, *http.Request) bool {
		return func(_ int, texts []string, w http.ResponseWriter, _ *http.Request) bool {
			if has(texts) {
				embeddingtest.Refuse(w, code, message)
			}
			return has(texts)
		}
	}
	raw := func(body string) func(int, []string, http.ResponseWriter, *http.Request) bool {
		return func(_ int, texts []string, w http.ResponseWriter, _ *http.Request) bool {
			if has(texts) {
				_, _ = w.Write([]byte(body))
			}
			return has(texts)
		}
	}
	for name, c := range map[string]struct {
		fault func(int, []string, http.ResponseWriter, *http.Request) bool
		one   failure.Code // of the text, while the others have vectors
		all   failure.Code
		says  string
	}{
		"zeros":           {fault: answer(func(a *embeddingtest.Answer, i int) { clear(a.Data[i].Embedding) }), one: failure.EmbeddingProtocol, says: "all zeros"},
		"half an answer":  {fault: answer(func(a *embeddingtest.Answer, _ int) { a.Data = a.Data[:len(a.Data)/2] }), one: failure.EmbeddingProtocol, says: "0 vectors for 1 texts"},
		"an index twice":  {fault: answer(func(a *embeddingtest.Answer, i int) { a.Data[i].Index = 7 }), one: failure.EmbeddingProtocol, says: "index 7"},
		"another length":  {fault: answer(func(a *embeddingtest.Answer, i int) { a.Data[i].Embedding = a.Data[i].Embedding[:32] }), all: failure.EmbeddingProtocol, says: "of length 64, and now of length 32"},
		"NaN":             {fault: raw(`{"data":[{"index":0,"embedding":[NaN,1]}]}`), one: failure.EmbeddingProtocol, says: "no number"},
		"null":            {fault: raw(`{"data":[{"index":0,"embedding":[null,1]}]}`), one: failure.EmbeddingProtocol, says: "no number"},
		"infinity":        {fault: raw(`{"data":[{"index":0,"embedding":[1e999,1]}]}`), one: failure.EmbeddingProtocol, says: "no number"},
		"no vector":       {fault: raw(`{"data":[{"index":0}]}`), one: failure.EmbeddingProtocol, says: "missing"},
		"HTML":            {fault: raw(`<html>login</html>`), one: failure.EmbeddingProtocol, says: "not JSON"},
		"half a document": {fault: raw(`{"data":[`), one: failure.EmbeddingProtocol, says: "not JSON"},
		"refused":         {fault: status(400, "invalid input"), one: failure.EmbeddingRefused, says: "400 invalid input"},
		"unauthorized":    {fault: status(401, "wrong key sk-key"), all: failure.EmbeddingUnauthorized, says: "wrong key [redacted]"},
		"no model":        {fault: status(404, `model "m" not found, try pulling it first`), all: failure.EmbeddingNoModel, says: "pulling"},
		"errors":          {fault: status(503, "loading"), all: failure.EmbeddingUnavailable, says: "503 loading"},
		"a redirect":      {fault: status(307, ""), all: failure.EmbeddingProtocol, says: "307"},
		"hangs up": {fault: func(_ int, texts []string, _ http.ResponseWriter, _ *http.Request) bool {
			if has(texts) {
				panic(http.ErrAbortHandler)
			}
			return false
		}, all: failure.EmbeddingUnavailable, says: "EOF"},
		"slow": {fault: func(_ int, texts []string, _ http.ResponseWriter, r *http.Request) bool {
			if has(texts) {
				<-r.Context().Done()
			}
			return has(texts)
		}, all: failure.EmbeddingUnavailable, says: "no answer within"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := embeddingtest.NewServer(t)
			s.Fault = c.fault
			m := open(t, settings(s), quick, embedding.WithTimeout(300*time.Millisecond))
			texts := numbered(8)
			results, err := m.Embed(t.Context(), embedding.Passage, texts)
			if c.all != "" {
				require.ErrorContains(t, err, c.says)
				require.Equal(t, c.all, failure.CodeOf(err))
				require.NotContains(t, err.Error(), "sk-key")
				require.Nil(t, results)
				return
			}
			require.NoError(t, err)
			require.ErrorContains(t, results[3].Err, c.says)
			require.Equal(t, c.one, failure.CodeOf(results[3].Err))
			require.Nil(t, results[3].Vector)
			right(t, 64, texts[:3], results[:3])
			right(t, 64, texts[4:], results[4:])
		})
	}
}

// What fails for every text is not blamed on one of them.
func TestWrongSettingsFailEveryCall(t *testing.T) {
	s := embeddingtest.NewServer(t)
	broken := false
	s.Fault = func(_ int, _ []string, w http.ResponseWriter, r *http.Request) bool {
		if broken {
			embeddingtest.Refuse(w, 400, "this model does not support dimensions")
		}
		return broken
	}
	m := open(t, settings(s), quick)
	require.NoError(t, m.Prepare(t.Context()))
	broken = true
	for _, fresh := range []embedding.Model{m, open(t, settings(s), quick)} {
		_, err := fresh.Embed(t.Context(), embedding.Passage, numbered(3))
		require.ErrorContains(t, err, "refuses every text; check EMBEDDINGS_MODEL")
		require.Equal(t, failure.EmbeddingProtocol, failure.CodeOf(err))
	}
	broken = false
	ignores := open(t, settings(s, func(c *config.Embeddings) { c.EmbeddingsDimensions = 16 }), quick)
	s.Fault = func(_ int, texts []string, w http.ResponseWriter, _ *http.Request) bool {
		embeddingtest.Reply(w, embeddingtest.NewAnswer(texts, 64))
		return true
	}
	require.ErrorContains(t, ignores.Prepare(t.Context()), "EMBEDDINGS_DIMENSIONS asks for 16")
}

func TestCallsAreRetried(t *testing.T) {
	s := embeddingtest.NewServer(t)
	var asked time.Time
	s.Fault = func(n int, _ []string, w http.ResponseWriter, _ *http.Request) bool {
		switch n {
		case 1:
			embeddingtest.Refuse(w, 500, "oops")
		case 2:
			asked = time.Now()
			w.Header().Set("Retry-After-Ms", "60")
			embeddingtest.Refuse(w, 429, "slow down")
		case 3:
			require.GreaterOrEqual(t, time.Since(asked), 60*time.Millisecond)
			return false
		}
		return n < 3
	}
	results, err := open(t, settings(s), quick).Embed(t.Context(), embedding.Query, []string{"hello world"})
	require.NoError(t, err)
	right(t, 64, []string{"hello world"}, results)

	// A longer pause than a call waits for is the caller's.
	s.Fault = func(_ int, _ []string, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "3600")
		embeddingtest.Refuse(w, 429, "quota")
		return true
	}
	before := len(s.Calls())
	_, err = open(t, settings(s), quick).Embed(t.Context(), embedding.Passage, numbered(1))
	require.Equal(t, failure.EmbeddingUnavailable, failure.CodeOf(err))
	at, ok := failure.RetryAt(err)
	require.True(t, ok)
	require.WithinDuration(t, time.Now().Add(time.Hour), at, time.Minute)
	require.Len(t, s.Calls(), before+1)
}

// Without delays there is no retry, for questions that a person waits for.
func TestNoRetries(t *testing.T) {
	s := embeddingtest.NewServer(t)
	s.Fault = func(_ int, _ []string, w http.ResponseWriter, _ *http.Request) bool {
		embeddingtest.Refuse(w, 503, "loading")
		return true
	}
	_, err := open(t, settings(s), embedding.WithRetryDelays()).Embed(t.Context(), embedding.Query, []string{"hello"})
	require.Equal(t, failure.EmbeddingUnavailable, failure.CodeOf(err))
	require.Len(t, s.Calls(), 1)
}

// A call ends with its context, also while another one asks the server about itself.
func TestADeadlineHolds(t *testing.T) {
	s := embeddingtest.NewServer(t)
	arrived := make(chan struct{}, 9)
	s.Fault = func(_ int, _ []string, _ http.ResponseWriter, r *http.Request) bool {
		arrived <- struct{}{}
		<-r.Context().Done()
		return true
	}
	m := open(t, settings(s), quick)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Prepare(ctx) }()
	<-arrived
	short, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	_, err := m.Embed(short, embedding.Query, []string{"hello"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

// Whatever a server does with long texts, every word of them is in the vector, and no word is cut off.
func TestNothingIsCutOff(t *testing.T) {
	words := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "word%d ", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		limit  int
		cuts   bool
		max    int
		within [2]int // where the limit is found
	}{
		"refuses":             {limit: 100},
		"cuts":                {limit: 100, cuts: true, within: [2]int{90, 100}},
		"cuts late":           {limit: 3000, cuts: true, within: [2]int{2800, 3000}},
		"is told":             {limit: 100, cuts: true, max: 100, within: [2]int{100, 100}},
		"reads all":           {},
		"refuses, and is few": {limit: 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := embeddingtest.NewServer(t)
			s.Limit, s.Cuts, s.Dims = c.limit, c.cuts, 512
			m := open(t, settings(s, func(cfg *config.Embeddings) { cfg.EmbeddingsMaxTokens = c.max }), quick)
			texts := []string{words(10), words(80), words(100), words(101), words(250), words(4000), words(30)}
			results, err := m.Embed(t.Context(), embedding.Passage, texts)
			require.NoError(t, err)
			for i, text := range texts {
				require.NoError(t, results[i].Err)
				whole, _ := embeddingtest.Vector(text, 512)
				require.Greater(t, cosine(whole, results[i].Vector), 0.95, "text %d", i)
			}
			require.GreaterOrEqual(t, m.MaxTokens(), c.within[0])
			require.LessOrEqual(t, m.MaxTokens(), c.within[1])
			for _, text := range s.Texts() {
				sent := len(strings.Fields(text))
				if c.cuts && sent > c.limit {
					// It was sent to see how many tokens the server counts, and then again in parts.
					require.Contains(t, texts, text)
				}
			}
			_, err = m.Embed(t.Context(), embedding.Passage, texts)
			require.NoError(t, err)
		})
	}
	// One word that is longer than all is an error of its text.
	s := embeddingtest.NewServer(t)
	s.Fault = func(_ int, texts []string, w http.ResponseWriter, _ *http.Request) bool {
		if strings.Contains(strings.Join(texts, " "), "xxxx") {
			embeddingtest.Refuse(w, 413, "Input validation error: `inputs` must have less than 512 tokens")
			return true
		}
		return false
	}
	results, err := open(t, settings(s), quick).Embed(t.Context(), embedding.Passage, []string{"hello", strings.Repeat("x", 400)})
	require.NoError(t, err)
	right(t, 64, []string{"hello"}, results[:1])
	require.Equal(t, failure.EmbeddingTooLong, failure.CodeOf(results[1].Err))
}

// A person waits for it.
func TestNothingIsTriedOutForAQuestion(t *testing.T) {
	for name, c := range map[string]struct {
		question string
		calls    int
	}{
		"short":                {"what is this", 1},
		"long":                 {strings.Repeat("word ", 90), 1},
		"longer, but read":     {strings.Repeat("word ", 240), 1},
		"longer than is known": {strings.Repeat("word ", 400), 2}, // its halves
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := embeddingtest.NewServer(t)
			s.Limit, s.Cuts = 256, true
			results, err := open(t, settings(s), quick).Embed(t.Context(), embedding.Query, []string{c.question})
			require.NoError(t, err)
			require.NoError(t, results[0].Err)
			require.Len(t, s.Calls(), c.calls)
			for _, text := range s.Texts() {
				require.Contains(t, c.question, text, "a probe")
			}
		})
	}
}

func TestTheBatchIsLearned(t *testing.T) {
	s := embeddingtest.NewServer(t)
	s.Most = 3
	m := open(t, settings(s), quick)
	texts := numbered(16)
	results, err := m.Embed(t.Context(), embedding.Passage, texts)
	require.NoError(t, err)
	right(t, 64, texts, results)
	require.LessOrEqual(t, m.Limits().Batch, 3)
	before := len(s.Calls())
	_, err = m.Embed(t.Context(), embedding.Passage, texts)
	require.NoError(t, err)
	require.Len(t, s.Calls(), before+8, "two at a time, none refused")
}

func TestAddresses(t *testing.T) {
	s := embeddingtest.NewServer(t)
	root := strings.TrimSuffix(s.URL, "/v1")
	for address, path := range map[string]string{
		root:                             "/v1/embeddings",
		root + "/":                       "/v1/embeddings",
		root + "/v1/":                    "/v1/embeddings",
		root + "/openai/v1/embeddings":   "/openai/v1/embeddings",
		root + "/d/e3?api-version=2024x": "/d/e3/embeddings?api-version=2024x",
	} {
		m := open(t, settings(s, func(c *config.Embeddings) { c.EmbeddingsURL = address }), quick)
		_, err := m.Embed(t.Context(), embedding.Query, []string{"hello"})
		require.NoError(t, err)
		calls := s.Calls()
		require.Equal(t, path, calls[len(calls)-1].Path)
	}
	// Nothing goes unencrypted to the internet.
	m := open(t, settings(s, func(c *config.Embeddings) { c.EmbeddingsURL = "http://8.8.8.8/v1" }), quick)
	_, err := m.Embed(t.Context(), embedding.Query, []string{"hello"})
	require.ErrorContains(t, err, "use https://")
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // where the failed handshake would be told
	secure.StartTLS()
	defer secure.Close()
	m = open(t, settings(s, func(c *config.Embeddings) { c.EmbeddingsURL = secure.URL }), embedding.WithRetryDelays(time.Hour))
	_, err = m.Embed(t.Context(), embedding.Query, []string{"hello"})
	require.ErrorContains(t, err, "certificate", "without a retry, which would take an hour")
	none, err := embedding.Open(config.Embeddings{})
	require.NoError(t, err)
	require.Nil(t, none)
}
