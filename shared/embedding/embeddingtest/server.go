package embeddingtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Server is a server with OpenAI's API for embeddings, whose vectors are those of Vector. Set its fields
// before the first call.
type Server struct {
	URL   string // for EMBEDDINGS_URL
	Dims  int    // of the vectors, unless a call asks for others; 64 by default
	Limit int    // the longest text, in words; 0 is none
	Cuts  bool   // cut longer texts off without saying so, instead of refusing the call
	Most  int    // the most texts of a call; 0 is no limit

	// Fault is asked for each call, with its number from 1 on. It answers the call itself and returns true,
	// or returns false.
	Fault func(call int, texts []string, w http.ResponseWriter, r *http.Request) bool

	mu    sync.Mutex
	calls []Call
}

// Call is a call that the server has received.
type Call struct {
	Header http.Header
	Path   string         // with the query
	Body   map[string]any // as JSON
	Texts  []string
}

// Answer is what the server answers; a fault may answer another one.
type Answer struct {
	Data  []Item `json:"data"`
	Model string `json:"model"`
	Usage struct {
		PromptTokens int `json:"prompt_tokens"`
		TotalTokens  int `json:"total_tokens"`
	} `json:"usage"`
}

// Item is one vector of an answer.
type Item struct {
	Index     int       `json:"index"`
	Embedding []float32 `json:"embedding"`
}

// NewServer starts a server for a test. It ends with the test.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{Dims: 64}
	h := httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(h.Close)
	s.URL = h.URL + "/v1"
	return s
}

// Calls returns what was received so far, in order.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Texts returns the texts of all calls that are not about the server itself, in order: probes, which find
// out where a server cuts texts off, are left out.
func (s *Server) Texts() []string {
	var texts []string
	for _, c := range s.Calls() {
		for _, text := range c.Texts {
			if !IsProbe(text) {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// IsProbe reports whether a text is about the server itself and not a passage.
func IsProbe(text string) bool {
	return text == "A plain text." || strings.HasPrefix(text, "one two three four ")
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	call := Call{Header: r.Header.Clone(), Path: r.URL.RequestURI()}
	if err := json.NewDecoder(r.Body).Decode(&call.Body); err != nil {
		Refuse(w, http.StatusBadRequest, "not JSON")
		return
	}
	if input, ok := call.Body["input"].([]any); ok {
		for _, text := range input {
			if t, ok := text.(string); ok {
				call.Texts = append(call.Texts, t)
			}
		}
	}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	call.Texts = append([]string(nil), call.Texts...)
	n := len(s.calls)
	s.mu.Unlock()
	if s.Fault != nil && s.Fault(n, call.Texts, w, r) {
		return
	}
	if s.Most > 0 && len(call.Texts) > s.Most {
		Refuse(w, http.StatusUnprocessableEntity, "batch size is larger than the maximum allowed batch size")
		return
	}
	dims := s.Dims
	if asked, ok := call.Body["dimensions"].(float64); ok {
		dims = int(asked)
	}
	for i, text := range call.Texts {
		words := strings.Fields(text)
		if s.Limit == 0 || len(words) <= s.Limit {
			continue
		}
		if !s.Cuts {
			Refuse(w, http.StatusBadRequest, "This model's maximum context length is exceeded")
			return
		}
		call.Texts[i] = strings.Join(words[:s.Limit], " ")
	}
	Reply(w, NewAnswer(call.Texts, dims))
}

// NewAnswer is the right answer for these texts.
func NewAnswer(texts []string, dims int) Answer {
	a := Answer{Data: []Item{}}
	for i, text := range texts {
		v, _ := Vector(text, dims)
		a.Data = append(a.Data, Item{i, v})
		a.Usage.PromptTokens += len(strings.Fields(text))
	}
	a.Usage.TotalTokens = a.Usage.PromptTokens
	return a
}

// Reply answers 200 with v as JSON.
func Reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone, or a test has closed the server
}

// Refuse answers with an error in OpenAI's shape.
func Refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message}}) // as above
}
