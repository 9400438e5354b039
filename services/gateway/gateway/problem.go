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

// Problem is the form of every error response (RFC 9457). The code is stable and for programs; the detail is for
// people.
type Problem struct {
	Type   string              `json:"type" doc:"urn:sluice:problem: followed by the code" example:"urn:sluice:problem:unknown_source"`
	Title  string              `json:"title" example:"Not Found"`
	Status int                 `json:"status" example:"404"`
	Code   string              `json:"code" doc:"stable, for programs" example:"unknown_source"`
	Detail string              `json:"detail,omitempty" doc:"for people: what is wrong and how to fix it"`
	Errors []*huma.ErrorDetail `json:"errors,omitempty" doc:"the invalid fields"`

	retryAfter time.Duration
}

// Error returns the code and the detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders returns the headers of a response with this problem.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	return h
}

// ContentType returns problem+json for JSON.
func (p *Problem) ContentType(ct string) string {
	if ct == "application/json" {
		return "application/problem+json"
	}
	return ct
}

func fail(status int, code, detail string) *Problem {
	return &Problem{Type: "urn:sluice:problem:" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// codes are the codes of errors of the router and the validation, by status. Errors of the pipeline have the codes of
// shared/failure.
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

// useProblems makes huma return its own errors as problems, and makes it match field names exactly, including case.
// huma keeps both settings in package variables, so this is done once per process.
var useProblems = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		code, ok := codes[status]
		if !ok {
			code = string(failure.Internal)
		}
		p := fail(status, code, msg)
		if status >= http.StatusInternalServerError {
			return p // internal details belong in the log
		}
		for _, err := range errs {
			var detailed huma.ErrorDetailer
			switch {
			case errors.As(err, &detailed):
				d := *detailed.ErrorDetail()
				d.Value = nil // the client knows what it sent, and the value may be a secret
				p.Errors = append(p.Errors, &d)
			case err != nil:
				p.Errors = append(p.Errors, &huma.ErrorDetail{Message: err.Error()})
			}
		}
		return p
	}
})

// problem converts any error to the problem for the client. Errors with internal details are logged, and the client
// gets a general one.
func (g *Gateway) problem(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	if p = knownProblem(ctx, err); p != nil {
		return p
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fail(http.StatusServiceUnavailable, "timeout", "the request took too long; try again")
	case store.Unstorable(err):
		return fail(http.StatusUnprocessableEntity, "invalid", "a text contains a zero byte or is not UTF-8")
	case store.Unavailable(err):
		g.log.Warn().Err(err).Str("request_id", requestID(ctx)).Msg("the database does not respond")
		p = fail(http.StatusServiceUnavailable, "unavailable", "the database does not respond; try again")
		p.retryAfter = 5 * time.Second
		return p
	default:
		g.log.Error().Err(err).Str("request_id", requestID(ctx)).Msg("request failed")
		return fail(http.StatusInternalServerError, string(failure.Internal), "internal error; the server's log has the details under the request id "+requestID(ctx))
	}
}

// write sends the problem for requests that no huma handler serves.
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

// unknownSource is the same for a source that does not exist and for one that the key may not see.
func unknownSource(id string) *Problem {
	return fail(http.StatusNotFound, string(failure.UnknownSource), "no source "+strconv.Quote(id)+" is registered, or the key is not for it")
}

func unknownRun(id string) *Problem {
	return fail(http.StatusNotFound, "unknown_run", "there is no run "+strconv.Quote(id)+", or the key is not for its source")
}
