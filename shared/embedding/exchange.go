package embedding

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/failure"
)

// refusedError says that the server refuses the texts of a call: one or all of them, or that many.
type refusedError struct {
	status  int
	reason  string
	tooLong bool
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the embedding server refuses the text: %d %s", e.status, e.reason)
}

// FailureCode implements what failure.CodeOf looks for.
func (e *refusedError) FailureCode() failure.Code {
	if e.tooLong {
		return failure.EmbeddingTooLong
	}
	return failure.EmbeddingRefused
}

// garbledError says that an answer is unusable. It may be because of one text.
type garbledError struct{ reason string }

func (e *garbledError) Error() string {
	return "the embedding server's answer is unusable: " + e.reason
}

// FailureCode implements what failure.CodeOf looks for.
func (*garbledError) FailureCode() failure.Code { return failure.EmbeddingProtocol }

// busyError says that the same call may succeed later.
type busyError struct {
	reason string
	wait   time.Duration // that the server asks for; 0 is none
	cause  error
}

func (e *busyError) Error() string { return "the embedding server does not answer: " + e.reason }
func (e *busyError) Unwrap() error { return e.cause }

// FailureCode implements what failure.CodeOf looks for.
func (*busyError) FailureCode() failure.Code { return failure.EmbeddingUnavailable }

// final reports whether the same call would fail in the same way: it is about the address.
func (e *busyError) final() bool {
	var untrusted *tls.CertificateVerificationError
	return errors.Is(e.cause, outgoing.ErrPublic) || errors.As(e.cause, &untrusted)
}

// alone reports whether an error may be about one of several texts.
func alone(err error) bool {
	var no *refusedError
	var garbled *garbledError
	return errors.As(err, &no) || errors.As(err, &garbled)
}

// parseAddress makes the address of the call of EMBEDDINGS_URL, and the client that may go there.
func (s *server) parseAddress() error {
	text, query, _ := strings.Cut(s.cfg.EmbeddingsURL, "?")
	u, err := outgoing.ParseAddress(text)
	if err != nil {
		return fmt.Errorf("EMBEDDINGS_URL: %w", err)
	}
	if u.Path == "" {
		u.Path = "/v1"
	}
	if !strings.HasSuffix(u.Path, "/embeddings") {
		u.Path += "/embeddings"
	}
	u.RawQuery = query
	s.address = u.String()
	host := u.Hostname()
	for _, domain := range []string{".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"} {
		s.azure = s.azure || strings.HasSuffix(host, domain)
	}
	s.refuses = s.azure || host == "api.openai.com"
	s.http = &http.Client{
		Transport:     outgoing.NewTransport(u.Scheme == "http", s.cfg.EmbeddingsParallel),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key must not travel
	}
	return nil
}

// policies are shared by all calls, retry outermost: a call that waits for its retry holds no place.
type policies struct {
	retry    retrypolicy.RetryPolicy[[]Result]
	bulkhead bulkhead.Bulkhead[[]Result]
}

func newPolicies(s *server) policies {
	return policies{
		retry: retrypolicy.NewBuilder[[]Result]().
			HandleIf(func(_ []Result, err error) bool {
				var busy *busyError
				return errors.As(err, &busy) && busy.wait <= s.opt.maxWait && !busy.final()
			}).
			WithMaxRetries(len(s.opt.delays)).
			WithDelayFunc(func(e failsafe.ExecutionAttempt[[]Result]) time.Duration {
				d := s.opt.delays[min(e.Retries(), len(s.opt.delays)-1)]
				var busy *busyError
				if errors.As(e.LastError(), &busy) {
					d = max(d, busy.wait)
				}
				return d + time.Duration(0.3*rand.Float64()*float64(d)) //nolint:gosec // spreads the retries of calls
			}).
			ReturnLastFailure().
			OnRetryScheduled(func(e failsafe.ExecutionScheduledEvent[[]Result]) {
				s.opt.log.Warn().Err(e.LastError()).Int("attempt", e.Attempts()).Dur("delay", e.Delay).Msg("embedding call failed, retrying")
			}).
			Build(),
		bulkhead: bulkhead.NewBuilder[[]Result](uint(s.cfg.EmbeddingsParallel)).
			WithMaxWaitTime(24 * time.Hour). // the caller's context ends the wait
			Build(),
	}
}

// call embeds texts in one call, with retries.
func (s *server) call(ctx context.Context, texts []string) ([]Result, error) {
	results, err := failsafe.With[[]Result](s.policies.retry, s.policies.bulkhead).WithContext(ctx).
		GetWithExecution(func(e failsafe.Execution[[]Result]) ([]Result, error) {
			callCtx, cancel := context.WithTimeout(e.Context(), s.opt.timeout)
			defer cancel()
			return s.exchange(callCtx, texts)
		})
	var busy *busyError
	switch {
	case err == nil:
		return results, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("embed: %w", context.Cause(ctx))
	case errors.As(err, &busy) && busy.wait > 0:
		return nil, failure.Later(err, busy.wait)
	default:
		return nil, err
	}
}

// exchange sends one request and reads its answer.
func (s *server) exchange(ctx context.Context, texts []string) ([]Result, error) {
	body := map[string]any{"model": s.cfg.EmbeddingsModel, "input": texts, "encoding_format": "float"}
	if s.cfg.EmbeddingsDimensions > 0 {
		body["dimensions"] = s.cfg.EmbeddingsDimensions
	}
	doc, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address, bytes.NewReader(doc))
	if err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sluice")
	if key := s.cfg.EmbeddingsAPIKey; !key.IsZero() && s.azure {
		req.Header.Set("Api-Key", key.Reveal())
	} else if !key.IsZero() {
		req.Header.Set("Authorization", "Bearer "+key.Reveal())
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, s.broken(err)
	}
	defer resp.Body.Close()
	// A number takes up to 25 bytes.
	most := int64(1<<20) + int64(len(texts))*25*8192
	answer, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if failed := s.classify(resp, answer); failed != nil {
		return nil, failed // the status matters more than the end of the body
	}
	if err != nil {
		return nil, s.broken(err)
	}
	if int64(len(answer)) > most {
		return nil, &garbledError{fmt.Sprintf("more than %d bytes", most)}
	}
	return s.read(answer, texts)
}

// broken is the error for a connection that failed. It unwraps the url.Error, which quotes the address.
func (s *server) broken(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &busyError{reason: fmt.Sprintf("no answer within %s", s.opt.timeout), cause: err}
	}
	return &busyError{reason: s.clean(err.Error()), cause: err}
}

// tooLong are words of refusals that are about a text's length, of OpenAI, vLLM, TEI, llama.cpp, Ollama,
// Cohere and others.
var tooLong = []string{
	"context length", "context_length", "maximum context", "too long", "must have less than", "too large to process",
	"input length", "exceeds the available context", "exceed_context_size", "max input length", "max_tokens", "maximum number of tokens", "token limit",
}

// classify returns the error for an answer's status, nil for a success.
func (s *server) classify(resp *http.Response, body []byte) error {
	status := resp.StatusCode
	if status >= 200 && status < 300 {
		return nil
	}
	reason := s.clean(message(body))
	if reason == "" {
		reason = http.StatusText(status)
	}
	said := strings.ToLower(reason)
	long := status == http.StatusRequestEntityTooLarge
	if status == http.StatusBadRequest || status == http.StatusUnprocessableEntity || status >= 500 {
		for _, words := range tooLong {
			long = long || strings.Contains(said, words)
		}
	}
	switch {
	case long:
		return &refusedError{status, reason, true}
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return failure.New(failure.EmbeddingUnauthorized, "the embedding server rejects EMBEDDINGS_API_KEY: %d %s", status, reason)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusBadRequest && strings.Contains(said, "model") && strings.Contains(said, "not found"):
		return failure.New(failure.EmbeddingNoModel, "the embedding server does not have the model %q, or EMBEDDINGS_URL lacks its /v1: %d %s", s.cfg.EmbeddingsModel, status, reason)
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500 && status != http.StatusNotImplemented:
		return &busyError{reason: fmt.Sprintf("%d %s", status, reason), wait: retryAfter(resp.Header)}
	case status < 400 || status == http.StatusNotImplemented:
		return failure.New(failure.EmbeddingProtocol, "the embedding server answers %d %s; EMBEDDINGS_URL must name the API itself", status, reason)
	default:
		return &refusedError{status, reason, false}
	}
}

// retryAfter is the wait that an answer asks for.
func retryAfter(h http.Header) time.Duration {
	for name, unit := range map[string]time.Duration{"Retry-After-Ms": time.Millisecond, "Retry-After": time.Second} {
		if n, err := strconv.ParseFloat(h.Get(name), 64); err == nil && n > 0 {
			return time.Duration(min(n*float64(unit), float64(24*time.Hour)))
		}
	}
	if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// message finds the message in one of the known shapes of errors.
func message(body []byte) string {
	var shape struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	_ = json.Unmarshal(body, &shape) // a key of another type leaves the others readable
	var inner struct {
		Message string `json:"message"`
		Code    string `json:"code"`
	}
	var text string
	switch {
	case json.Unmarshal(shape.Error, &inner) == nil && inner.Message != "":
		return strings.TrimSpace(inner.Message)
	case json.Unmarshal(shape.Error, &text) == nil && text != "":
		return text
	case shape.Message != "":
		return shape.Message
	default:
		return string(shape.Detail)
	}
}

// clean makes text suitable for an error: one short line without the key.
func (s *server) clean(text string) string {
	if key := s.cfg.EmbeddingsAPIKey; !key.IsZero() {
		text = strings.ReplaceAll(text, key.Reveal(), "[redacted]")
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	const longest = 200
	if text = strings.ToValidUTF8(text, ""); len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
