package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

// Problem is every error that the API answers, in the form of RFC 9457. Its code is stable:
// clients go by it, people by the detail.
type Problem struct {
	Type   string              `json:"type" doc:"urn:sluice:problem: and the code" example:"urn:sluice:problem:unknown_source"`
	Title  string              `json:"title" example:"Not Found"`
	Status int                 `json:"status" example:"404"`
	Code   string              `json:"code" doc:"stable, for programs" example:"unknown_source"`
	Detail string              `json:"detail,omitempty" doc:"for people: what is wrong, and the way out"`
	Errors []*huma.ErrorDetail `json:"errors,omitempty" doc:"the fields that are wrong"`

	retryAfter time.Duration
}

// Error is the problem in one line.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders returns what an answer with this problem has to say besides.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	return h
}

// ContentType makes JSON problem+json.
func (p *Problem) ContentType(ct string) string {
	if ct == "application/json" {
		return "application/problem+json"
	}
	return ct
}

func fail(status int, code, detail string) *Problem {
	return &Problem{Type: "urn:sluice:problem:" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// codes of what the router and the validation find, by status. What the pipeline finds has
// the codes of shared/failure.
var codes = map[int]string{
	http.StatusBadRequest:            string(failure.BadRequest),
	http.StatusUnauthorized:          "unauthenticated",
	http.StatusForbidden:             "forbidden",
	http.StatusNotFound:              string(failure.NotFound),
	http.StatusMethodNotAllowed:      "method_not_allowed",
	http.StatusNotAcceptable:         "not_acceptable",
	http.StatusRequestTimeout:        "request_timeout",
	http.StatusRequestEntityTooLarge: "body_too_large",
	http.StatusUnsupportedMediaType:  "unsupported_media_type",
	http.StatusUnprocessableEntity:   "invalid",
	http.StatusServiceUnavailable:    "unavailable",
}

// useProblems makes the API library's own errors problems too, and has it take a field by its
// name only, not in another case. The library keeps both in variables of its package, so this
// is done once a process.
var useProblems = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		code, ok := codes[status]
		if !ok {
			code = string(failure.Internal)
		}
		p := fail(status, code, msg)
		if status >= http.StatusInternalServerError {
			return p // what went wrong inside is for the log
		}
		for _, err := range errs {
			var detailed huma.ErrorDetailer
			switch {
			case errors.As(err, &detailed):
				d := *detailed.ErrorDetail()
				d.Value = nil // the client knows what it sent, and it may be a secret
				p.Errors = append(p.Errors, &d)
			case err != nil:
				p.Errors = append(p.Errors, &huma.ErrorDetail{Message: err.Error()})
			}
		}
		return p
	}
})

// problem turns any error into what the client is told; what is nobody's business outside is
// logged and told as internal.
func (g *Gateway) problem(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	if p = told(ctx, err); p != nil {
		return p
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fail(http.StatusServiceUnavailable, "timeout", "it took too long; try again")
	case store.Unstorable(err):
		return fail(http.StatusUnprocessableEntity, "invalid", "a text holds a zero byte, or is not UTF-8")
	case store.Unavailable(err):
		g.log.Warn().Err(err).Str("request_id", requestID(ctx)).Msg("the database does not answer")
		p = fail(http.StatusServiceUnavailable, "unavailable", "the database does not answer; try again")
		p.retryAfter = 5 * time.Second
		return p
	default:
		g.log.Error().Err(err).Str("request_id", requestID(ctx)).Msg("request failed")
		return fail(http.StatusInternalServerError, string(failure.Internal), "something went wrong here; the log has it under the request id "+requestID(ctx))
	}
}

// write answers with a problem where no route is in charge.
func (p *Problem) write(w http.ResponseWriter) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// unknownSource is the same for a source that is missing and for one that the key is not for.
func unknownSource(id string) *Problem {
	return fail(http.StatusNotFound, string(failure.UnknownSource), "no source "+strconv.Quote(id)+" is registered, or the key is not for it")
}

func unknownRun(id string) *Problem {
	return fail(http.StatusNotFound, "unknown_run", "there is no run "+strconv.Quote(id)+", or the key is not for its source")
}
